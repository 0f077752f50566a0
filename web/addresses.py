"""Addresses that came from a browser."""

from __future__ import annotations


def inside(target: str | None) -> str | None:
    """An address of this panel to go on to, never another site's.  Browsers read ``\\`` as ``/`` and drop
    control characters, so that only a plain path passes."""
    if not target or not target.startswith("/") or target.startswith("//"):
        return None
    return target if target.isprintable() and "\\" not in target else None
