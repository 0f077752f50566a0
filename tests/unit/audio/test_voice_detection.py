"""The external party's voice is found in a growing recording, and nothing else is mistaken for it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench import voice as measured
from bench.voice import BEFORE_S, Case
from recorder.audio import speech_model, voice_detection, wav
from recorder.errors import TakeError

SEED = 11

EXPECTED = (0.241285, 0.048458, 0.006249, 0.038476, 0.011192, 0.009887, 0.016729)


def answer_case(language: str, condition: str = "quiet", digit: int = 2) -> Case:
    word = measured.word(language, digit, 0.25)
    return measured.answer(language, condition, word, random.Random(SEED))


@pytest.mark.parametrize("condition", ["quiet", "noisy", "lossy"])
@pytest.mark.parametrize("language", measured.LANGUAGES)
def test_finds_a_word_of_a_quarter_of_a_second(language: str, condition: str, tmp_path: Path) -> None:
    case = answer_case(language, condition)
    place = measured.detect(case, tmp_path)
    assert place is not None
    assert measured.right_place(case, place)


@pytest.mark.parametrize("rate", wav.RATES)
def test_finds_a_word_at_every_rate(rate: int, tmp_path: Path) -> None:
    case = answer_case("fr")
    at_8000 = measured.detect(case, tmp_path)
    place = measured.detect(case, tmp_path, rate)
    assert at_8000 is not None
    assert place is not None
    assert abs(place.from_ms - at_8000.from_ms) <= 64


@pytest.mark.parametrize("kind", measured.VOICELESS)
def test_ignores_everything_but_voices(kind: str, tmp_path: Path) -> None:
    case = next(each for each in measured.voiceless_cases() if each.condition == kind)
    assert measured.detect(case, tmp_path) is None


def test_ignores_speech_before_the_start(tmp_path: Path) -> None:
    case = answer_case("en")
    assert case.spoken is not None
    path = measured.write_case(case, tmp_path)
    after = (case.spoken[1] + 100) * measured.RATE // 1000
    assert voice_detection.find_answer(path, after) is None
    assert voice_detection.find_answer(path, after, last=True) is None


@pytest.mark.parametrize("last", [True, False])
def test_finds_the_first_or_the_last_answer(last: bool, tmp_path: Path) -> None:
    word = measured.word("de", 2)
    window = measured.comfort(np.random.default_rng(SEED))
    window = np.concatenate([window * 0.1] * 12)  # a minute
    for second in (7.3, 19.9, 41.0):
        at = int(second * measured.RATE)
        window[at : at + len(word)] += word
    left = measured.by_telephone(window, np.random.default_rng(SEED), loss_rate=0)
    samples = np.stack([left, np.zeros_like(left)], axis=1)
    place = voice_detection.find_answer(
        measured.write_case(Case("", "", samples, None), tmp_path), 0, last=last
    )
    assert place is not None
    begins = 41_000 if last else 7_300
    assert begins - 100 < place.from_ms < place.to_ms < begins + len(word) / 8 + 200


@pytest.mark.parametrize("cut", [lambda content: content[:-3], lambda content: content + b"\x01\x02"])
def test_ignores_a_partial_frame(cut: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = measured.write_case(answer_case("nl"), tmp_path)
    path.write_bytes(cut(path.read_bytes()))
    assert voice_detection.find_answer(path, int(BEFORE_S * measured.RATE)) is not None


def test_finds_nothing_in_an_empty_window(tmp_path: Path) -> None:
    path = measured.write_case(answer_case("nl"), tmp_path)
    for since in (
        voice_detection.count_frames(path) - 1,
        voice_detection.count_frames(path),
        voice_detection.count_frames(path) + 8000,
    ):
        assert voice_detection.find_answer(path, since) is None


def test_reports_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "audio.wav").write_bytes(b"nothing")
    with pytest.raises(TakeError):
        voice_detection.find_answer(tmp_path / "audio.wav", 0)


def test_network_matches_the_reference_implementation() -> None:
    """Compared with ONNX Runtime and silero_vad_16k_op15.onnx of silero-vad 6.2.3, for the same samples."""
    t = np.arange(speech_model.RATE) / speech_model.RATE
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 25))
    samples = (0.1 * buzz * (1 + np.sin(2 * np.pi * 4 * t))).astype(np.float32)
    probabilities = speech_model.speech_probabilities(samples)
    assert len(probabilities) == 31
    np.testing.assert_allclose(probabilities[::5], EXPECTED, atol=1e-4)
