"""Locates the prompts that both parties heard during the call, in the right channel: keep questions and their
outcomes.

The announcement is searched for in the whole call, but these only near the markers of their ends. Each
located prompt makes the places of the next ones more exact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from recorder.audio import prompt_match
from recorder.audio.encoded_take import LocatedAnnouncement, Prompt
from recorder.audio.keep_answers import NO, YES, Question, questions
from recorder.audio.timeline import LocatedTake, locate_take, sort_markers
from recorder.domain.line_policy import Keep
from recorder.domain.markers import Marker
from recorder.errors import TakeError
from recorder.spool.layout import Take

SEARCH_MARGIN_MS = 10_000
"""How much earlier or later than by the clock a prompt may be: the audio may lack parts of the call, due to
holds."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ExpectedPrompt:
    """A prompt that both heard whole: of question ``number``, ``which`` of its sounds (``question``, ``yes``,
    ``no``, ``none``), its SHA-256, and its start and end by the markers."""

    number: int
    which: str
    sha256: str
    start: datetime
    end: datetime


def find_prompts(located: LocatedTake, folder: Path) -> LocatedTake:
    """Locate the prompts that are whole in a take's audio. Their sounds are in ``folder`` as
    ``<sha256>.wav``; without its sound a prompt is not found. Raises :class:`TakeError` for an unreadable
    take."""
    take, sound = located.take, located.sound
    if take.start.keep is None:
        return located
    order = sort_markers(take, located.clock)
    for prompt in expected_prompts(questions(order), take.start.keep):
        signal = _load_signal(folder, prompt.sha256, sound.sample_rate)
        place = None if signal is None else _locate(signal, prompt, located)
        if place is not None:
            end = min(place.end_ms, sound.duration_ms)
            found = Prompt(prompt.number, prompt.which, prompt.end, place.offset_ms, end, place.score)
            located = locate_take(take, sound, located.announcement, (*located.prompts, found))
    return located


def expected_prompts(questions: tuple[Question[Marker], ...], keep: Keep) -> Iterator[ExpectedPrompt]:
    """The prompts that both parties heard, by the markers."""
    outcomes = {YES: keep.yes, NO: keep.no}
    for number, question in enumerate(questions):
        if keep.question is not None and question.sound_end is not None:
            yield ExpectedPrompt(
                number, "question", keep.question.sha256, question.start.at, question.sound_end.at
            )
        if question.answered is not None and question.confirmed is not None:
            answer = question.answered.data["answer"]
            yield ExpectedPrompt(
                number,
                answer,
                outcomes.get(answer, keep.none).sha256,
                question.answered.at,
                question.confirmed.at,
            )


def expected_sounds(take: Take) -> frozenset[str]:
    """The SHA-256 of every sound for which :func:`find_prompts` searches."""
    keep = take.start.keep
    return (
        frozenset()
        if keep is None
        else frozenset(each.sha256 for each in expected_prompts(questions(take.markers), keep))
    )


def _locate(
    signal: prompt_match.Signal, prompt: ExpectedPrompt, located: LocatedTake
) -> LocatedAnnouncement | None:
    """The whole playing whose end is nearest to the expected one. If a clock was set back during the call,
    the expected place is too early: then the first playing after it."""
    sound, clock = located.sound, located.clock
    before = located.prompts[-1] if located.prompts else located.announcement
    after = 0 if before is None else before.end_ms
    due = clock.place(prompt.end)
    first = max(after, clock.place(prompt.start) - SEARCH_MARGIN_MS)
    last = due + clock.set_back_ms + SEARCH_MARGIN_MS
    matches = prompt_match.find_playings(signal, sound, 1, first, last)
    if clock.set_back_ms:
        due = first
    near = min(matches, key=lambda match: abs(match.end * 1000 / sound.sample_rate - due), default=None)
    return None if near is None else prompt_match.to_milliseconds(near, sound.sample_rate)


def _load_signal(folder: Path, sha256: str, sample_rate: int) -> prompt_match.Signal | None:
    path = folder / f"{sha256}.wav"
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise TakeError(
                "take.prompt",
                f"{path} is a different sound",
                "put the announcement's own file back: `accord doctor` says which differ",
            )
        return prompt_match.load_prompt(path, sample_rate)
    except (OSError, TakeError) as error:
        log.warning("take.prompt_missing", prompt=sha256, error=str(error))
        return None
