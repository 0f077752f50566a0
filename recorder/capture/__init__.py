"""The daemon beside the switch: it announces calls, starts recordings and writes the spool."""

from __future__ import annotations

from recorder.capture.daemon import Daemon, DaemonSettings

__all__ = ["Daemon", "DaemonSettings"]
