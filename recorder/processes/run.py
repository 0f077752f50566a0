"""All processes of one machine under a supervisor, composed from the settings."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Final

from recorder import environment
from recorder.errors import StoreError
from recorder.fault_log import FaultLog
from recorder.processes.services import Context
from recorder.processes.spool_holders import DAEMON
from recorder.processes.supervisor import Program, Supervisor

AGAIN: Final = 0.5
"""The most seconds before a daemon that keeps ending is restarted: until then, calls are not recorded."""

DAEMON_GRACE: Final = 19.0
"""Seconds that the daemon has to let announcements end and to write their takes."""

STORE_GRACE: Final = 3.0
"""The store takes up to 16 s to end, and loses nothing when it is killed."""


def run(context: Context) -> None:
    """Start every process, restart those that end, kill those that hang, until SIGTERM."""
    supervisor = Supervisor(programs(context), dict(os.environ))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, supervisor.stop)
    if not sys.stderr.isatty():
        signal.signal(signal.SIGHUP, supervisor.renew)
    make_bucket(context)
    supervisor.run()


def make_bucket(context: Context) -> None:
    """Make the embedded store's bucket as soon as the server answers, in a thread: nothing waits for it,
    because takes stay in the spool while the store is away."""
    if not context.settings.store.embedded:
        return
    from recorder.processes import object_store  # imported here to keep a supervisor without a store small

    def wait() -> None:
        server, faults = object_store.embedded(context.settings), FaultLog()
        while True:
            try:
                server.wait_ready()
            except StoreError as error:
                # Keep trying, however late the server starts (its ports may be taken): nothing is stored
                # without a bucket.
                faults.report("store.unready", error, level="error")
                if error.error_id == "store.embedded_open":
                    return  # another attempt would change nothing
            else:
                faults.recover("store.unready")
                return

    threading.Thread(target=wait, name="make-bucket", daemon=True).start()


def programs(context: Context, base: Mapping[str, str] = os.environ) -> list[Program]:
    """The processes of one machine, the embedded store first if it is chosen.  Each inherits only its part of
    the ``base`` environment (:mod:`recorder.environment`)."""
    own = [sys.executable, "-m", "recorder"]
    if context.config_path is not None:
        own += ["--config", str(context.config_path.absolute())]
    found = [
        Program(
            "daemon",
            [*own, "daemon"],
            has_heartbeat=True,
            environment=environment.for_process("daemon", base),
            replacement=[*own, "daemon", "--replace"],
            longest=AGAIN,
            lock=context.settings.node.spool_folder / DAEMON,
            turn=2,  # it follows calls until the others have ended
            grace=DAEMON_GRACE,
        ),
        Program(
            "worker",
            [*own, "worker"],
            has_heartbeat=True,
            environment=environment.for_process("worker", base),
        ),
        Program("web", [*own, "web"], tied=True, environment=environment.for_process("web", base)),
    ]
    return [*store_programs(context), *found]


def store_programs(context: Context) -> list[Program]:
    """The embedded store, where the settings ask for it.  Raises :class:`recorder.errors.ConfigError`."""
    if not context.settings.store.embedded:
        return []
    from recorder.processes import object_store

    weed = object_store.embedded(context.settings)
    weed.prepare()
    argv, own = weed.command()
    folder = context.settings.node.data.absolute() / "seaweedfs"
    return [
        Program(
            "store",
            argv,
            environment=own,
            folder=folder,
            output=folder / "seaweedfs.log",
            turn=1,  # the others first finish their uploads
            grace=STORE_GRACE,
            is_permanent=True,
        )
    ]
