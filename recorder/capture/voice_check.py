"""Searches the growing recording for the external party's answer, off the hub and within a time limit;
without a result by then, no voice was found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import gevent
import structlog

from recorder.audio import voice_detection
from recorder.audio.voice_detection import VoiceSpan
from recorder.capture.thread_pool import in_thread

T = TypeVar("T")

log = structlog.get_logger()

BOUND: Final = 2.0
"""Seconds from the colleague's key on; ``call/keep_question.py`` waits a little longer."""


class VoiceCheck:
    """The speech in the recording at ``audio`` from now on: created when a question has ended. If the file
    cannot be read then, no voice is found."""

    def __init__(self, audio: Path) -> None:
        self._audio = audio
        self._since = gevent.spawn(self._begins)

    def look(self, *, last: bool, told: Callable[[tuple[int, int] | None], object]) -> None:
        """Report soon where the voice was found, the first time or the ``last``; ``None``: nowhere."""
        gevent.spawn(lambda: told(self._heard(last)))

    def _begins(self) -> int | None:
        return self._attempt(lambda: in_thread(lambda: voice_detection.count_frames(self._audio)))

    def _heard(self, last: bool) -> tuple[int, int] | None:
        found = self._attempt(lambda: self._find(last))
        return None if found is None else (found.from_ms, found.to_ms)

    def _find(self, last: bool) -> VoiceSpan | None:
        since = self._since.get()
        if since is None:
            return None
        return in_thread(lambda: voice_detection.find_answer(self._audio, since, last=last))

    def _attempt(self, work: Callable[[], T | None]) -> T | None:
        late = gevent.Timeout(BOUND)
        try:
            with late:
                return work()
        except gevent.Timeout as passed:
            if passed is not late:
                raise
            why = "the recording was not looked through in time"
        except Exception as error:
            # Whatever went wrong, it is no voice; and the caller must learn of it.
            why = str(error)
        log.warning("call.voice_check_failed", audio=str(self._audio), error=why)
        return None
