"""Controllers of calls, for tests that need neither the daemon nor a switch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from recorder.call.state import CallState
from recorder.capture.call_controller import CallController
from recorder.capture.spool_writer import SpoolWriter
from recorder.domain.parties import Party
from recorder.spool.layout import CallStart

RECORDING = "01a2101e-5dde-7d17-8d61-e2a8e19669f1"


def call_start(at: datetime, **more: Any) -> CallStart:
    """A call of nobody's number."""
    values = {
        "recording": RECORDING,
        "tenant": "t",
        "line": "l",
        "number": "100",
        "direction": "inbound",
        "node": "n",
        "channel": "a",
        "external_party": Party("withheld", ""),
        "started_at": at,
        "formats": ("opus",),
        "announcement": None,
    }
    return CallStart(**values | more)


def control(
    root: Path, state: CallState, at: datetime, start: Mapping[str, Any] = {}, **more: Any
) -> CallController:
    """The controller of a call in this state, whose folder is opened; ``more`` are its ways out."""
    call = call_start(at, **start)
    writer = SpoolWriter(root, call.recording, lambda error: None)
    ways = {"to_call": list, "to_switch": lambda command: None, "ask": str, "ended": lambda call: None}
    controller = CallController(call, state, writer, now=lambda: at, **ways | more)
    writer.open(call)
    return controller
