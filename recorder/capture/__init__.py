"""The daemon beside the switch: it announces calls, starts recordings and writes the spool."""

from __future__ import annotations

from recorder.capture.daemon import Daemon
from recorder.capture.settings import DaemonSettings

__all__ = ["Daemon", "DaemonSettings"]
