"""The daemon's settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """``full_at`` is the used share of the spool's disk above which no recording starts, ``warn_at`` the
    share above which the operator is warned (``None``: no earlier). ``region`` (``BE``) is the country of
    numbers without a country code. ``command_timeout`` is in seconds. ``dial`` is the dial string for
    external numbers (empty: none), ``dial_as`` the caller number to show. ``metrics_port`` 0 serves no
    metrics; ``metrics_allow`` lists networks beside loopback that may read them. ``replace``: take over from
    the daemon that holds the spool (:mod:`recorder.capture.handover`)."""

    node: str
    spool: Path
    snapshot: Path
    password: str = field(repr=False)
    switch_host: str = "127.0.0.1"
    switch_port: int = 8021
    listen_host: str = "127.0.0.1"
    listen_port: int = 8084
    command_timeout: float = 5.0
    full_at: float = 0.95
    warn_at: float | None = None
    region: str | None = None
    dial: str = ""
    dial_as: str = ""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    metrics_allow: tuple[str, ...] = ()
    replace: bool = False
