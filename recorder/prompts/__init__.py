"""Sentences that are played into a call, their sound, and the purposes that they announce.

``sentences`` is the catalogue, in four languages; ``composer`` combines sentences into text and sound;
``sound_sources`` finds the sound of each, and ``tts`` has the engines. ``purposes.standard()`` lists the
standard purposes; ``sound_check.check_sound()`` says whether an operator's own WAV can be played and found
again. ``country_rules`` has what each country requires.
"""
