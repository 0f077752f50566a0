"""The process beside the switch: announces, starts recordings, writes the spool, and gets out of the way."""

from __future__ import annotations

from recorder.capture.daemon import Daemon, DaemonSettings

__all__ = ["Daemon", "DaemonSettings"]
