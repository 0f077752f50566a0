"""The gate, and the current visitor as the gate identifies them."""

from __future__ import annotations

from recorder.playback.interface import Actor
from web.language import current_language
from web.state import PanelGateInterface, current_visitor, panel_state


def gate() -> PanelGateInterface:
    return panel_state().gate


def who(tenant: str = "") -> Actor:
    """The visitor as the gate identifies them, in a view behind :func:`web.state.login_required`. The
    provider's support hears recordings of the ``tenant`` whose dispute it was called to."""
    return current_visitor().who(current_language(), tenant)
