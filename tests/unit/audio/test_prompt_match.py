"""The announcement is found at its place if it is whole, and otherwise not at all."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from recorder.audio import prompt_match
from recorder.audio.encoded_take import LocatedAnnouncement
from recorder.errors import TakeError
from tests.announcements import AnnouncementFile, announcement_in
from tests.expected_errors import expect_error
from tests.unit.audio.prompt_search import find

RATE = 8000


def look(
    folder: Path, right: np.ndarray, announced: AnnouncementFile, rate: int = RATE
) -> LocatedAnnouncement | None:
    """The result of ``find`` for a take with this right channel and a different left one."""
    left = np.random.default_rng(7).integers(-3000, 3000, len(right)).astype(np.int16)
    soundfile.write(folder / "t.wav", np.stack([left, right], axis=1), rate, subtype="PCM_16")
    return find(announced.path, folder / "t.wav")


@pytest.mark.parametrize("law", ["PCM_16", "ULAW", "ALAW"])
@pytest.mark.parametrize("lead", [0, 1, 1234, 31999])
def test_finds_the_prompt_to_the_sample(
    tmp_path: Path, lab: ModuleType, announced: AnnouncementFile, law: str, lead: int
) -> None:
    prompt = lab.sound_of(announced)
    before = np.full(lead, -1, dtype=np.int16)
    right = lab.g711(np.concatenate([before, prompt, lab.speech(announced.language, "callee")]), law)
    found = look(tmp_path, right, announced)
    assert found is not None
    assert found.offset_ms == round(lead / 8)
    assert found.end_ms == -(-(lead + len(prompt)) // 8)
    assert found.score > 0.999


def test_finds_the_prompt_within_20_ms_of_a_chirp(
    tmp_path: Path, lab: ModuleType, announced: AnnouncementFile
) -> None:
    """The place is measured independently of the correlator, by a chirp's onset in a silent channel."""
    rng = np.random.default_rng(3)
    for _ in range(5):
        lead = int(rng.integers(0, 40000))
        at = np.arange(800) / RATE
        chirp = (9000 * np.sin(2 * np.pi * (400 * at + 12000 * at**2))).astype(np.int16)
        prompt = lab.sound_of(announced)
        left = np.concatenate([np.full(lead, -1, dtype=np.int16), chirp, np.full(len(prompt), -1, np.int16)])
        right = np.full(len(left), -1, dtype=np.int16)
        right[lead : lead + len(prompt)] = prompt
        stereo = np.stack([lab.g711(left, "ALAW"), lab.g711(right, "ALAW")], axis=1)
        soundfile.write(tmp_path / "t.wav", stereo, RATE, subtype="PCM_16")
        onset = int(np.argmax(np.abs(stereo[:, 0].astype(int)) > 200))
        found = find(announced.path, tmp_path / "t.wav")
        assert found is not None
        assert abs(found.offset_ms - onset / 8) <= 20


@pytest.mark.parametrize("rate", [16000, 48000])
def test_finds_the_prompt_at_another_rate(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile, rate: int
) -> None:
    quiet = lab.silence(300)
    low = lab.g711(np.concatenate([quiet, lab.sound_of(english), lab.speech("en", "callee")[:40000]]), "ULAW")
    right = prompt_match.resample(low.astype(np.float32), RATE, rate).clip(-32768, 32767).astype(np.int16)
    found = look(tmp_path, right, english, rate)
    assert found is not None
    assert abs(found.offset_ms - 300) <= 1
    assert found.score > 0.99


def test_finds_a_16_khz_prompt_in_an_8_khz_take(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile
) -> None:
    low = lab.sound_of(english)
    high = prompt_match.resample(low.astype(np.float32), RATE, 16000).clip(-32768, 32767).astype(np.int16)
    soundfile.write(tmp_path / "p.wav", high, 16000, subtype="PCM_16")
    stereo = np.stack([low, np.concatenate([lab.silence(100), low])[: len(low)]], axis=1)
    stereo = np.concatenate([stereo, np.stack([low, low], axis=1) * 0])
    stereo[:, 1] = np.concatenate([lab.silence(100), low, low * 0])[: len(stereo)]
    soundfile.write(tmp_path / "t.wav", stereo, RATE, subtype="PCM_16")
    found = find(tmp_path / "p.wav", tmp_path / "t.wav")
    assert found is not None
    assert found.offset_ms == 100


def test_finds_the_prompt_at_another_level(
    tmp_path: Path, lab: ModuleType, announced: AnnouncementFile
) -> None:
    for gain in (0.05, 0.5, 1.4):
        right = np.concatenate([lab.silence(100), (lab.sound_of(announced) * gain).astype(np.int16)])
        found = look(tmp_path, lab.g711(right, "ULAW"), announced)
        assert found is not None, gain
        assert found.offset_ms == 100


CUTS = [
    pytest.param(cut_ms, share, instead, ("ULAW", "ALAW")[(i + j + k) % 2], ("en", "fr")[(i + j) % 2])
    for i, cut_ms in enumerate([150, 900, 3000])
    for j, share in enumerate([0.05, 0.25, 0.55, 0.8])
    for k, instead in enumerate(["silence", "zeros", "music", "nothing"])
]
"""Every cut, with each pair of its circumstances: codec and language do not depend on one another."""


@pytest.mark.parametrize(("cut_ms", "share", "instead", "law", "language"), CUTS)
def test_does_not_find_a_cut_prompt(
    tmp_path: Path, lab: ModuleType, cut_ms: int, share: float, instead: str, law: str, language: str
) -> None:
    """A hold masks it, covers it with music, or removes it (a shrunk recording). The cut begins with the
    first word after ``share`` of it."""
    announced = announcement_in(language)
    prompt = lab.sound_of(announced)
    words = np.flatnonzero(np.abs(prompt.astype(int)) > 1000)
    start = int(words[np.searchsorted(words, share * len(prompt))])
    end = min(start + cut_ms * 8, len(prompt))
    assert (np.abs(prompt[start:end].astype(int)) > 1000).mean() > 0.1  # there is speech
    ms = (end - start) // 8
    options = {
        "silence": lab.silence(ms),
        "zeros": lab.silence(ms) * 0,
        "music": lab.tone(ms, 440) + lab.tone(ms, 554),
        "nothing": lab.silence(0),
    }[instead]
    samples = np.concatenate([lab.silence(200), prompt[:start], options, prompt[end:]])
    assert (
        look(tmp_path, lab.g711(np.concatenate([samples, lab.speech("en", "callee")]), law), announced)
        is None
    )


def test_does_not_find_a_prompt_without_one_of_its_sentences(
    tmp_path: Path, lab: ModuleType, announced: AnnouncementFile
) -> None:
    """The cut is from pause to pause, so only the missing sentence shows it."""
    prompt = lab.sound_of(announced)
    loud = np.flatnonzero(np.abs(prompt) > 20)
    pauses = [(int(loud[i]), int(loud[i + 1])) for i in np.flatnonzero(np.diff(loud) > 100 * 8)]
    assert pauses
    for (_, start), (end, _) in pairwise([(0, 0), *pauses, (len(prompt), len(prompt))]):
        prompt_with_gap = prompt.copy()
        prompt_with_gap[start : end + 1] = 0
        assert (
            look(tmp_path, np.concatenate([lab.silence(200), prompt_with_gap, lab.silence(500)]), announced)
            is None
        )


@pytest.mark.parametrize("missing_ms", [300, 1000, 5000])
def test_does_not_find_a_prompt_that_the_call_cuts(
    tmp_path: Path, lab: ModuleType, announced: AnnouncementFile, missing_ms: int
) -> None:
    prompt = lab.sound_of(announced)
    assert look(tmp_path, np.concatenate([lab.silence(200), prompt[: -missing_ms * 8]]), announced) is None


def test_does_not_mistake_other_speech_for_the_prompt(
    tmp_path: Path, lab: ModuleType, announced: AnnouncementFile
) -> None:
    other = lab.speech(announced.language, "callee")
    assert (
        look(tmp_path, np.concatenate([other, lab.speech(announced.language, "caller")]), announced) is None
    )
    assert look(tmp_path, lab.silence(20000), announced) is None
    assert look(tmp_path, np.zeros(160000, dtype=np.int16), announced) is None
    assert look(tmp_path, lab.silence(500), announced) is None


def test_finds_the_last_whole_playing(tmp_path: Path, lab: ModuleType, announced: AnnouncementFile) -> None:
    prompt = lab.sound_of(announced)
    cut_prompt, pause = prompt[:24000], lab.silence(400)
    found = look(
        tmp_path, np.concatenate([cut_prompt, pause, prompt, pause, lab.speech("en", "callee")]), announced
    )
    assert found is not None
    assert found.offset_ms == 3400
    found = look(tmp_path, np.concatenate([prompt, pause, prompt, pause, cut_prompt]), announced)
    assert found is not None
    assert found.offset_ms == round(len(prompt) / 8) + 400


@pytest.mark.parametrize("slips", [1, 3, 5])
def test_tolerates_a_dropped_media_tick(
    tmp_path: Path, lab: ModuleType, announced: AnnouncementFile, slips: int
) -> None:
    """A loaded switch drops frames of 20 ms (observed); the sentence is still audible."""
    prompt = lab.sound_of(announced)
    parts, at = [lab.silence(100)], 0
    for slip in range(slips):
        where = len(prompt) * (slip + 1) // (slips + 1)
        parts.append(prompt[at:where])
        at = where + 160
    found = look(
        tmp_path, lab.g711(np.concatenate([*parts, prompt[at:], lab.silence(500)]), "ULAW"), announced
    )
    assert found is not None
    assert found.offset_ms == 100
    assert found.end_ms == -(-(800 + len(prompt) - 160 * slips) // 8)


def test_finds_the_prompt_after_the_search_window(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile
) -> None:
    talk = np.tile(lab.speech("en", "callee"), 4)
    stereo = np.concatenate([talk, lab.sound_of(english), talk])
    soundfile.write(tmp_path / "t.wav", np.stack([stereo * 0, stereo], axis=1), RATE, subtype="PCM_16")
    for until in (None, 1000, 20_000, 10**9, len(talk) // 8 + 3000):
        found = find(english.path, tmp_path / "t.wav", until_ms=until)
        assert found is not None
        assert found.offset_ms == round(len(talk) / 8)


def test_names_an_unreadable_prompt(tmp_path: Path, english: AnnouncementFile) -> None:
    for content in (None, b"no sound", b""):
        path = tmp_path / "p.wav"
        if content is not None:
            path.write_bytes(content)
        with expect_error(TakeError, "take.prompt"):
            prompt_match.load_prompt(path, RATE)
    soundfile.write(path, np.zeros(8000, dtype=np.int16), RATE, format="WAV")
    with pytest.raises(TakeError, match="silent"):
        prompt_match.load_prompt(path, RATE)
    assert hashlib.sha256(english.path.read_bytes()).hexdigest() == english.sha256
