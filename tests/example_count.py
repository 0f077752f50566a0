"""How many examples the long searches of the call's state machine and of retention try."""

from __future__ import annotations

import os

PERCENT = int(os.environ.get("TEST_EXAMPLES_PERCENT", "10"))


def share(count: int) -> int:
    """``TEST_EXAMPLES_PERCENT`` percent of a number of examples."""
    return count * PERCENT // 100
