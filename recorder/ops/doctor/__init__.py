"""Checks everything that a recording depends on, and says how to mend what fails."""
