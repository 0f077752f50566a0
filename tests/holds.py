"""Sets legal holds."""

from __future__ import annotations

from typing import Any

from recorder.lifecycle.amendment_service import Changes
from recorder.seal.amendment import By


def set_hold(changes: Changes, tenant: str, recording: str, by: By, **options: Any) -> int:
    """Look at a recording, and put it on hold; returns the hold's number. The options are those of
    :meth:`Changes.hold`."""
    return changes.hold(changes.look(tenant, recording), by, **options)
