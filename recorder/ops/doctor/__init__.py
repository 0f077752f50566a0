"""Checks everything that a recording depends on, and says how to mend what fails, each cause once.

Causes come before what depends on them: a check that needs something which could not be used is skipped.
"""
