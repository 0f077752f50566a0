"""Searches the growing recording for the external party's answer, in a thread and within a time limit.
Without a result by then, no voice was found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import gevent
import structlog

from recorder.audio import voice_detection
from recorder.audio.voice_detection import VoiceSpan
from recorder.capture.thread_pool import in_search_thread, in_thread
from recorder.capture.timed_search import attempt

T = TypeVar("T")

log = structlog.get_logger()

TIME_LIMIT: Final = 2.0
"""Seconds from the internal party's key; ``call/keep_question.py`` waits a little longer."""


class VoiceCheck:
    """Searches the recording at ``audio`` from the moment of construction, when a question has ended. If the
    file cannot be read then, no voice is found."""

    def __init__(self, audio: Path) -> None:
        self._audio = audio
        self._since = gevent.spawn(self._recorded_length)

    def search(self, *, last: bool, report: Callable[[tuple[int, int] | None], object]) -> None:
        """Search in the background, then ``report`` the start and end (ms of audio) of the first voice, or of
        the ``last``; ``None`` if there is none."""
        gevent.spawn(lambda: report(self._search(last)))

    def _recorded_length(self) -> int | None:
        return self._attempt(lambda: in_thread(lambda: voice_detection.count_frames(self._audio)))

    def _search(self, last: bool) -> tuple[int, int] | None:
        found = self._attempt(lambda: self._find(last))
        return None if found is None else (found.from_ms, found.to_ms)

    def _find(self, last: bool) -> VoiceSpan | None:
        since = self._since.get()
        if since is None:
            return None
        return in_search_thread(lambda: voice_detection.find_answer(self._audio, since, last=last))

    def _attempt(self, work: Callable[[], T | None]) -> T | None:
        found, why = attempt(work, TIME_LIMIT)
        if why:
            log.warning("call.voice_check_failed", audio=str(self._audio), error=why)
        return found
