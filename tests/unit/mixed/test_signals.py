"""Signals are recognised in either codec, from any place in them, and mixed with a tone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.freeswitch.mixed.signals import (
    FRAME,
    PARTIES,
    PAUSED_BIN,
    RATE,
    SILENCE,
    STEPS,
    WORDS,
    Word,
    classify,
    frame,
    heard_in,
    payload,
    runs,
    sentence,
)

EVERY = [Word(who, word) for who in range(PARTIES) for word in range(WORDS)]


@pytest.mark.parametrize("codec", [0, 8])
def test_every_word_is_recognised(codec: int) -> None:
    codes, tones = heard_in([payload(word, codec) for word in EVERY], codec)
    assert codes.tolist() == [word.code for word in EVERY]
    assert not tones.any()
    assert heard_in([payload(None, codec)], codec)[0].tolist() == [SILENCE]


def test_detection_from_any_offset_and_with_a_tone() -> None:
    words = EVERY[:: len(EVERY) // 200]
    tone = 0.05 * np.sin(2 * np.pi * PAUSED_BIN * np.arange(FRAME) / FRAME)
    codes, tones = classify(np.array([np.roll(frame(word), 37) + tone for word in words]))
    assert codes.tolist() == [word.code for word in words]
    assert set(tones.tolist()) == {PAUSED_BIN}


def test_two_at_once_are_neither() -> None:
    codes, _ = classify(np.array([frame(Word(3, 1)) + frame(Word(300, 2))]))
    assert codes[0] < 0


def test_sentence_is_its_steps_in_order() -> None:
    sound = sentence(2)[53:]
    assert len(sound) < 2 * RATE
    windows = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    found = runs(classify(windows)[0].tolist(), fewest=2)
    assert [(run.word.sentence, run.word.word) for run in found] == [(2, step) for step in range(STEPS)]
