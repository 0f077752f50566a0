"""Amends recordings."""

from __future__ import annotations

from types import MethodType
from typing import Any


def amend(change: MethodType, tenant: str, recording: str, *arguments: Any, **options: Any) -> Any:
    """Look at a recording, and amend it by a method of :class:`recorder.lifecycle.amendment_service.Changes`,
    with that method's other arguments; returns what it returns."""
    return change(change.__self__.look(tenant, recording), *arguments, **options)
