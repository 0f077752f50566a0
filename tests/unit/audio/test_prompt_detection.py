"""Keep questions and their outcomes are located in the right channel, and the answers between them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recorder.audio import prompt_detection
from recorder.audio.encoded_take import Encoded, Gap, read_encoded, write_encoded
from recorder.audio.encoding import encode
from recorder.audio.keep_answers import questions
from recorder.domain.line_policy import Keep
from recorder.domain.markers import Marker
from recorder.domain.sentences import TimedSentence
from recorder.prompts.sound_sources import SOUNDS
from recorder.spool import layout
from recorder.spool.layout import Take
from tests.announcements import AnnouncementFile

Sound = NDArray[np.int16]
WORDS = {
    "question": ("may-we-keep", "yes-or-no"),
    "cue": ("ask-now",),
    "yes": ("agreed", "kept-1-year"),
    "no": ("declined", "as-announced"),
    "none": ("no-answer", "as-announced"),
}
EVENT_MS = 120
"""How late or early the switch's events are, alternately."""


def clip(language: str, names: tuple[str, ...]) -> Sound:
    parts = [soundfile.read(SOUNDS / language / f"{name}.flac", dtype="int16") for name in names]
    assert {rate % 8000 for _, rate in parts} == {0}
    joined: Sound = np.concatenate([samples[:: rate // 8000] for samples, rate in parts])
    return joined


@dataclass
class Talk:
    """An announced call with keep questions. ``truth`` are the prompts' places in the audio, in milliseconds,
    ``answers`` those of the answers."""

    lab: ModuleType
    announced: AnnouncementFile
    folder: Path
    sounds: dict[str, Sound] = field(default_factory=dict)
    truth: list[tuple[str, float, float]] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    markers: list[tuple[float, str, dict[str, str]]] = field(default_factory=list)
    shift_ms: float = 0

    def __post_init__(self) -> None:
        self.sounds = {name: clip(self.announced.language, words) for name, words in WORDS.items()}
        call = self.lab.ordinary(self.announced)
        self.right, self.left = [call.right], [call.left]
        self.markers = [(float(at), kind, {}) for at, kind in call.markers]
        self.call = call
        (self.folder / "prompts").mkdir()
        self.announcement = self.folder / "prompts" / "announcement.wav"
        self.announcement.write_bytes(self.announced.path.read_bytes())
        sentences = {}
        for name, sound in self.sounds.items():
            at = self.folder / "prompts" / "new.wav"
            soundfile.write(at, sound, 8000, subtype="PCM_16")
            sha256 = hashlib.sha256(at.read_bytes()).hexdigest()
            at.rename(at.with_name(f"{sha256}.wav"))
            sentences[name] = TimedSentence(name, sha256, len(sound) // 8)
        self.keep = Keep("agreement", 365, **sentences)

    @property
    def now(self) -> float:
        return sum(map(len, self.right)) / 8

    def mark(self, kind: str, late_ms: float, **data: str) -> None:
        self.markers.append((self.now + late_ms + self.shift_ms, kind, data))

    def play(self, name: str, gap_ms: int = 300) -> None:
        self.talk(gap_ms)
        begin = self.now
        self.right.append(self.sounds[name])
        self.left.append(self.lab.speech(self.announced.language, "caller")[: len(self.sounds[name])])
        short = len(self.right[-1]) - len(self.left[-1])
        self.left.append(self.lab.silence(0) if short <= 0 else np.full(short, -1, np.int16))
        self.truth.append((name, begin, self.now))

    def talk(self, ms: int) -> None:
        for side, who in ((self.right, "callee"), (self.left, "caller")):
            sound = np.resize(self.lab.speech(self.announced.language, who), ms * 8)
            side.append(sound)

    def ask(self, answer: str, **how: str) -> None:
        self.mark("keep_question_asked", 0, how="question")
        self.play("question")
        self.mark("keep_question_heard", EVENT_MS)
        self.talk(3100)
        self.answers.append(self.now)
        self.mark("keep_question_answered", 60, answer=answer, **how)
        self.play(answer)
        self.mark("keep_answer_confirmed", EVENT_MS, answer="yes" if answer == "yes" else "no")
        self.talk(5000)

    def make(self) -> Take:
        call = replace(self.call, left=np.concatenate(self.left), right=np.concatenate(self.right))
        call = replace(call, markers=[(0, "recording_started")])
        take = call.make(self.folder / "spool")
        start = replace(take.start, keep=self.keep)
        end = next(marker for marker in take.markers if marker.kind == "hangup")
        end = replace(end, at=end.at + timedelta(milliseconds=self.shift_ms))
        markers = [
            Marker(take.start.started_at + timedelta(milliseconds=at), kind, data)
            for at, kind, data in self.markers
        ]
        (take.folder / layout.CALL).unlink()
        layout.open_take(self.folder / "spool", start)
        (take.folder / layout.EVENTS).unlink()
        for marker in (*markers, end):
            layout.append_marker(take.folder, marker)
        return layout.read_take(take.folder)

    def encode(self) -> Encoded:
        encoded = encode(self.make(), self.announcement)
        write_encoded(encoded)
        assert read_encoded(encoded.take.folder).prompts == encoded.prompts
        return encoded


@pytest.fixture
def talk(lab: ModuleType, announced: AnnouncementFile, tmp_path: Path) -> Talk:
    return Talk(lab, announced, tmp_path)


def check_places(talk: Talk, encoded: Encoded) -> None:
    assert [prompt.which for prompt in encoded.prompts] == [name for name, _, _ in talk.truth]
    for prompt, (_, begin, end) in zip(encoded.prompts, talk.truth, strict=True):
        assert abs(prompt.offset_ms - begin) <= 20
        assert abs(prompt.end_ms - end) <= 20
        assert prompt.score > 0.9
    answered = [marker.offset_ms for marker in encoded.markers if marker.kind == "keep_question_answered"]
    assert len(answered) == len(talk.answers)
    assert all(abs(at - true) <= 200 for at, true in zip(answered, talk.answers, strict=True))


def test_locates_question_and_outcome(talk: Talk) -> None:
    talk.ask("yes", by="external", how="key")
    encoded = talk.encode()
    check_places(talk, encoded)
    assert [prompt.number for prompt in encoded.prompts] == [0, 0]


def test_locates_the_prompts_of_every_question(talk: Talk) -> None:
    talk.ask("yes", by="internal", how="aloud")
    talk.ask("none")
    talk.ask("no", by="external", how="key")
    encoded = talk.encode()
    check_places(talk, encoded)
    assert [prompt.number for prompt in encoded.prompts] == [0, 0, 1, 1, 2, 2]


def test_prompt_is_a_gap_without_redaction(talk: Talk) -> None:
    talk.ask("yes", by="external", how="key")
    encoded = talk.encode()
    assert [gap for gap in encoded.gaps if gap.reason == "prompt"] == [
        Gap(prompt.offset_ms, prompt.end_ms, "right", "prompt") for prompt in encoded.prompts
    ]
    audio, _ = soundfile.read(encoded.take.folder / "kept.wav", dtype="int16")
    original, _ = soundfile.read(encoded.take.audio, dtype="int16")
    start = encoded.prompts[0].offset_ms * 8
    np.testing.assert_array_equal(audio[start:], original[start:])
    assert (
        np.abs(audio[start : encoded.prompts[0].end_ms * 8, 0].astype(int)).max() > 500
    )  # their speech is kept


def test_ignores_missing_and_different_sounds(talk: Talk) -> None:
    talk.ask("yes", by="external", how="key")
    folder = talk.folder / "prompts"
    keep = talk.keep
    assert keep.question is not None
    (folder / f"{keep.yes.sha256}.wav").unlink()
    soundfile.write(folder / f"{keep.question.sha256}.wav", talk.sounds["no"], 8000)
    assert talk.encode().prompts == ()


def test_does_not_locate_a_cut_question(talk: Talk) -> None:
    """For example, a hold removed a second of it, and the switch reported that it was played to its end."""
    talk.ask("yes", by="external", how="key")
    at = next(i for i, part in enumerate(talk.right) if part is talk.sounds["question"])
    whole = talk.right[at]
    talk.right[at] = np.concatenate([whole[:8000], np.full(8000, -1, np.int16), whole[16000:]])
    assert [prompt.which for prompt in talk.encode().prompts] == ["yes"]


def test_does_not_search_for_prompts_that_were_not_heard(talk: Talk) -> None:
    talk.mark("keep_question_asked", 0, how="question")
    talk.talk(1000)
    talk.mark("keep_question_interrupted", 0)
    talk.ask("yes", by="external", how="key")
    talk.mark("keep_question_asked", 0, how="question")  # then the daemon was killed
    talk.talk(3000)
    encoded = talk.encode()
    check_places(talk, encoded)
    assert [prompt.number for prompt in encoded.prompts] == [1, 1]


def test_locates_prompts_after_a_hold_missing_in_the_audio(talk: Talk) -> None:
    """Seven seconds of the call are missing in the audio, at a place known only by its holds. Silence is
    inserted there, and everything later moves by as much."""
    talk.talk(2000)
    talk.mark("hold", 0)
    talk.shift_ms += 7000
    talk.mark("unhold", 0)
    talk.talk(2000)
    talk.ask("yes", by="external", how="key")
    talk.truth = [(name, begin + 7000, end + 7000) for name, begin, end in talk.truth]
    talk.answers = [at + 7000 for at in talk.answers]
    check_places(talk, talk.encode())


@pytest.mark.parametrize("lost_ms", [-1000, 1000])
def test_places_answers_relative_to_the_question(talk: Talk, lost_ms: int) -> None:
    """A loaded switch drops frames, or writes more than the call's clock explains."""
    talk.talk(6000)
    talk.shift_ms += lost_ms
    talk.ask("yes", by="external", how="key")
    talk.shift_ms -= lost_ms
    talk.talk(20_000)
    check_places(talk, talk.encode())


def test_locates_prompts_despite_a_clock_set_back(talk: Talk) -> None:
    talk.talk(2000)
    talk.shift_ms -= 30_000
    talk.ask("yes", by="external", how="key")
    talk.mark("hold", 0)
    talk.talk(3000)
    talk.mark("unhold", 0)
    talk.talk(3000)
    encoded = talk.encode()
    check_places(talk, encoded)
    audio, _ = soundfile.read(encoded.take.folder / "kept.wav", dtype="int16")
    original, _ = soundfile.read(encoded.take.audio, dtype="int16")
    start = encoded.prompts[0].offset_ms * 8
    np.testing.assert_array_equal(audio[start:], original[start:])  # then no hold is redacted


def test_expects_only_sounds_that_were_heard(talk: Talk) -> None:
    talk.ask("none")
    keep = talk.keep
    assert keep.question is not None
    assert prompt_detection.expected_sounds(talk.make()) == {keep.question.sha256, keep.none.sha256}


KINDS = [
    ("keep_question_asked", {"how": "question"}),
    ("keep_question_asked", {"how": "own_words"}),
    ("keep_question_asked", {}),
    ("keep_question_heard", {}),
    ("keep_question_interrupted", {}),
    ("keep_question_answered", {"answer": "yes", "by": "external", "how": "key"}),
    ("keep_question_answered", {"answer": "no", "by": "internal", "how": "aloud"}),
    ("keep_question_answered", {"answer": "none"}),
    ("keep_question_answered", {"answer": "yes"}),
    ("keep_question_answered", {"answer": "maybe", "by": "external", "how": "key"}),
    ("keep_answer_confirmed", {"answer": "yes"}),
    ("keep_answer_unconfirmed", {}),
    ("unobserved_to", {}),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(KINDS), max_size=12))
def test_answer_always_follows_its_question(markers_seen: list[tuple[str, dict[str, str]]]) -> None:
    from .conftest import START

    markers = [
        Marker(START + timedelta(seconds=at), kind, data) for at, (kind, data) in enumerate(markers_seen)
    ]
    found = questions(markers)
    assert len(found) == sum(
        marker.kind == "keep_question_asked" and "how" in marker.data for marker in markers
    )
    for one, after in zip(found, [each.start for each in found[1:]] + [None] * bool(found), strict=True):
        if one.answered is not None:
            before = markers[markers.index(one.start) : markers.index(one.answered)]
            assert one.answer in ("yes", "no", "none")
            assert one.interruption is None
            was_heard = any(marker.kind == "keep_question_heard" for marker in before)
            assert one.how == "own_words" or was_heard or one.answer == "no"
            kinds = [marker.kind for marker in [*before, one.answered]]
            assert "keep_question_interrupted" not in kinds[: kinds.index("keep_question_answered")]
            assert (one.answered.data.get("by") is None) == (one.answer == "none")
        times = [
            marker.at
            for marker in (one.start, one.sound_end, one.answered, one.confirmed, after)
            if marker is not None
        ]
        assert times == sorted(times)
