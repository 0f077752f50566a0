"""Sentences that are played into a call, their sound, and the purposes they announce.

``sentences`` is the catalogue of all of them, in four languages; ``render`` puts them together, text and
sound; ``clips`` knows where the sound of each comes from, ``speech`` the engines.  ``purposes.standard()``
lists the standard purposes; ``check.check_sound()`` says whether an operator's own WAV can be played and
found again.
"""
