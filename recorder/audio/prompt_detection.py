"""Prompts that played to both parties during the call, found in the external party's channel: the keep
question and its confirmation.

The announcement is searched for in the whole call; these near where the marks say that they ended. Each one
found makes the places of the next more exact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from recorder.audio import prompt_match, wav
from recorder.audio.encoded_take import LocatedAnnouncement, Prompt
from recorder.audio.keep_answers import NO, YES, Question, questions
from recorder.audio.timeline import Times, in_order, times
from recorder.domain.line_policy import Keep
from recorder.errors import TakeError
from recorder.spool.layout import Mark, Take

SEARCH_MARGIN_MS = 10_000
"""How much earlier or later than the clock says a prompt may be (holds can leave part of the call out of its
audio)."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Playing:
    """A prompt that both heard whole: of question ``number``, ``which`` of its sounds (``question``, ``yes``,
    ``no``, ``none``), its SHA-256, and from when to when by the marks."""

    number: int
    which: str
    sha256: str
    began: datetime
    ended: datetime


def find(
    take: Take, sound: wav.Wav, announced: LocatedAnnouncement | None, folder: Path
) -> tuple[Prompt, ...]:
    """The prompts that are whole in a take's audio, in order. Their sounds are in ``folder`` as
    ``<sha256>.wav``; one whose sound is missing is not found. Raises :class:`TakeError` for a take that
    cannot be read."""
    keep = take.start.keep
    if keep is None:
        return ()
    found: list[Prompt] = []
    order = in_order(take, times(take, sound, announced))
    for playing in playings(questions(order), keep):
        signal = _signal(folder, playing.sha256, sound.sample_rate)
        clock = times(take, sound, announced, tuple(found))
        after = found[-1].end_ms if found else announced.end_ms if announced else 0
        place = None if signal is None else _locate(signal, sound, playing, clock, after)
        if place is not None:
            end = min(place.end_ms, sound.duration_ms)
            found.append(
                Prompt(playing.number, playing.which, playing.ended, place.offset_ms, end, place.score)
            )
    return tuple(found)


def playings(asked: tuple[Question[Mark], ...], keep: Keep) -> Iterator[Playing]:
    """What played to both parties, as far as the marks say that both heard it."""
    said = {YES: keep.yes, NO: keep.no}
    for number, one in enumerate(asked):
        if keep.question is not None and one.heard is not None:
            yield Playing(number, "question", keep.question.sha256, one.asked.at, one.heard.at)
        if one.answered is not None and one.confirmed is not None:
            answer = one.answered.data["answer"]
            yield Playing(
                number, answer, said.get(answer, keep.none).sha256, one.answered.at, one.confirmed.at
            )


def sounds(take: Take) -> frozenset[str]:
    """The SHA-256 of every sound that :func:`find` looks for."""
    keep = take.start.keep
    return (
        frozenset()
        if keep is None
        else frozenset(each.sha256 for each in playings(questions(take.marks), keep))
    )


def _locate(
    signal: prompt_match.Signal, sound: wav.Wav, playing: Playing, clock: Times, after: int
) -> LocatedAnnouncement | None:
    """The whole playing that ends nearest to where the clock says. If a clock was set back during the call,
    that is too early: then the first playing from there."""
    due = clock.place(playing.ended)
    first = max(after, clock.place(playing.began) - SEARCH_MARGIN_MS)
    last = due + clock.set_back_ms + SEARCH_MARGIN_MS
    matches = prompt_match.playings(signal, sound, 1, first, last)
    if clock.set_back_ms:
        due = first
    near = min(matches, key=lambda match: abs(match.end * 1000 / sound.sample_rate - due), default=None)
    return None if near is None else prompt_match.as_found(near, sound.sample_rate)


def _signal(folder: Path, sha256: str, sample_rate: int) -> prompt_match.Signal | None:
    path = folder / f"{sha256}.wav"
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise TakeError("take.prompt", f"{path} is a different sound", "")
        return prompt_match.load_prompt(path, sample_rate)
    except (OSError, TakeError) as error:
        log.warning("take.prompt_missing", prompt=sha256, error=str(error))
        return None
