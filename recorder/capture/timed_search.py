"""Searches in the growing recording, within a time limit: a call goes on without a result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import gevent

T = TypeVar("T")


def attempt(work: Callable[[], T], seconds: float) -> tuple[T | None, str]:
    """Return the result of ``work``; or ``None`` and why, if it fails or takes longer than ``seconds``."""
    limit = gevent.Timeout(seconds)
    try:
        with limit:
            return work(), ""
    except gevent.Timeout as expiry:
        if expiry is not limit:
            raise
        return None, "the recording was not searched in time"
    except Exception as error:
        # Whatever the failure, the caller must get a result.
        return None, str(error) or type(error).__name__
