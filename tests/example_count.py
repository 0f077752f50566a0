"""How many examples the long searches of the call's state machine try."""

from __future__ import annotations

import os

PERCENT = int(os.environ.get("TEST_CALL_PERCENT", "20"))


def share(count: int) -> int:
    """``TEST_CALL_PERCENT`` percent of a number of examples."""
    return count * PERCENT // 100
