"""The daemon process, composed from the settings."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import phonenumbers  # noqa: F401, now: the first call would have to wait for it
import structlog

from recorder.capture import Daemon, DaemonSettings
from recorder.config import Settings
from recorder.errors import ConfigError
from recorder.processes.supervisor import heartbeat

LINGER: Final = 3.0
"""Seconds that a daemon without a supervisor continues after SIGTERM."""

HOST_PROCESSES: Final = 0xEFFFFFFC
"""The inode of the machine's own PID namespace (``PROC_PID_INIT_INO`` of Linux)."""

log = structlog.get_logger()


def run(settings: Settings, *, replace: bool) -> None:
    """Run until SIGTERM; with ``replace``, take over from the daemon that runs.  Raises
    :class:`ConfigError` (``switch.no_password``)."""
    node, switch = settings.node, settings.switch
    password = switch.password.get_secret_value()
    if not password:
        raise ConfigError(
            "switch.no_password",
            "there is no password for the switch's event socket",
            "set ACCORD_SWITCH_PASSWORD or ACCORD_SWITCH_PASSWORD_FILE: there is no default",
        )
    beat = heartbeat(os.environ)
    Daemon(
        DaemonSettings(
            node=node.name,
            spool=node.spool_folder.absolute(),
            snapshot=node.snapshot_folder.absolute(),
            password=password,
            switch_host=switch.host,
            switch_port=switch.port,
            listen_host=switch.listen_host,
            listen_port=switch.listen_port,
            command_timeout=switch.command_timeout,
            full_at=node.full_at,
            warn_at=node.warn_at,
            region=node.region or None,
            dial=settings.verification_calls.dial,
            dial_as=settings.verification_calls.dial_as,
            metrics_host=settings.metrics.host,
            metrics_port=settings.metrics.daemon_port,
            metrics_allow=tuple(str(network) for network in settings.metrics.allow),
            replace=replace,
        ),
        beat=beat,
        report_stop=beat.report_stop,
        # A supervisor starts the next daemon itself; at a terminal, SIGHUP means that the terminal is gone.
        renew=None if beat.supervised or sys.stderr.isatty() else lambda: renew(beat.alone),
        hand_on=beat.hand_on,
        # Without a supervisor, whoever ends this daemon starts the next one at the same time.
        linger=LINGER if beat.alone else 0.0,
    ).run()


def renew(alone: bool) -> None:
    """Start the next daemon, unless it would end with this one. ``alone``: neither ``accord run`` nor systemd
    supervises this process."""
    if os.getpid() == 1 or (alone and os.getppid() == 1 and _is_in_container()):
        log.error(
            "daemon.successor_refused",
            hint="the container ends with this daemon, and all its processes with it: start another one with "
            "`accord daemon --replace` on the same spool",
        )
    else:
        start_next()


def _is_in_container() -> bool:
    """Whether process 1 is not the machine's: under ``docker run --init`` it ends when its child does."""
    return os.stat("/proc/self/ns/pid").st_ino != HOST_PROCESSES


def start_next() -> None:
    """Start the daemon that takes over from this one, from the installation that is on disk now."""
    argv = sys.argv
    if not os.access(argv[0], os.X_OK):
        argv = [sys.executable, "-m", "recorder", *argv[1:]]
    if argv[-1] != "--replace":
        argv = [*argv, "--replace"]
    try:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    except OSError as error:
        log.error("daemon.successor_failed", command=argv[0], error=str(error))
    else:
        log.info("daemon.successor_started", pid=process.pid)
