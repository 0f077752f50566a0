"""The gate, and who is asking as it knows them."""

from __future__ import annotations

from recorder.playback.interface import Actor
from web.language import current
from web.state import PanelDoor, here, someone


def gate() -> PanelDoor:
    return here().gate


def who() -> Actor:
    """Who is asking; in a view behind :func:`web.state.logged_in`."""
    return someone().who(current())
