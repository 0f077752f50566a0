"""Searches the growing recording for a prompt at the other end that plays over the announcement, in a thread
and within a time limit. Without a result by then there is none: the worker searches the finished take again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

import gevent
import structlog

from recorder.audio import talk_over
from recorder.capture.thread_pool import in_search_thread
from recorder.capture.timed_search import attempt
from recorder.domain.call_plan import Speech

log = structlog.get_logger()

TIME_LIMIT: Final = 1.0
"""Seconds that a call waits for the result."""

INTERVAL: Final = 0.3
"""Seconds between two looks at whether the other end is silent."""


class OverlapCheck:
    """Searches the recording at ``audio``."""

    def __init__(self, audio: Path) -> None:
        self._audio = audio

    @staticmethod
    def is_possible(announcement: Speech) -> bool:
        """Whether an announcement is long enough to be searched."""
        return announcement.length >= timedelta(milliseconds=talk_over.LEAST_MS)

    def find(self, announcement: Speech) -> bool:
        """Whether another prompt was played over the announcement, which has just ended."""
        length = announcement.length // timedelta(milliseconds=1)
        return self._attempt(lambda: talk_over.is_last_talked_over(self._audio, length))

    def await_quiet(self, is_awaited: Callable[[], bool]) -> bool:
        """Wait until the other end is silent, for as long as ``is_awaited``; return whether it is silent."""
        while is_awaited():
            gevent.sleep(INTERVAL)
            if self._attempt(lambda: talk_over.is_quiet(self._audio)):
                return is_awaited()
        return False

    def _attempt(self, work: Callable[[], bool]) -> bool:
        found, why = attempt(lambda: in_search_thread(work), TIME_LIMIT)
        if why:
            log.warning("call.overlap_check_failed", audio=str(self._audio), error=why)
        return bool(found)
