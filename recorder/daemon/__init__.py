"""The process beside the switch: announces, starts recordings, writes the spool, and gets out of the way."""

from __future__ import annotations

from recorder.daemon.main import Daemon, DaemonSettings

__all__ = ["Daemon", "DaemonSettings"]
