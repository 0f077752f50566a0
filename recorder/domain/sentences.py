"""Spoken sentences: the words that people hear in a call, and the sound that speaks them.

Composed or uploaded once (``prompts/composer.py``), listed by the catalogue, played from the node's snapshot
(``domain/line_policy.py``), found in the audio by the sound's hash, and sealed with the recording
(``seal/consent_record.py``). The language is that of the owner: an announcement has one, and so have the
sentences beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

from recorder.strict_json import Strict


@dataclass(frozen=True, slots=True)
class SpokenSentence(Strict):
    """A sentence and its sound: ``text`` word for word, ``sha256`` of the sound file's bytes, in hex."""

    text: str
    sha256: str


@dataclass(frozen=True, slots=True)
class TimedSentence(SpokenSentence):
    """A sentence with the length of its sound in milliseconds.

    It is a separate type because only a call waits for the end of a sound: the catalogue stores the length
    with the sound, and a manifest has the sentence's place in the audio instead."""

    duration_ms: int
