"""Runs the daemon, with its settings as JSON in argv[1]; supervised if the environment says so. ``clock``
among them has the fields of a :class:`tests.clock.PacedClock`."""

import os

from gevent import monkey

monkey.patch_all()
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as recorder/__main__.py does

import json  # noqa: E402
import sys  # noqa: E402
from datetime import datetime  # noqa: E402
from pathlib import Path  # noqa: E402

from recorder.capture import Daemon, DaemonSettings  # noqa: E402
from recorder.processes.supervisor import heartbeat  # noqa: E402
from tests.clock import PacedClock, since_boot  # noqa: E402

if os.environ.get("TEST_BROKEN_DISK"):
    # A disk that takes files and cannot make them durable.
    from recorder.spool import layout

    def damage_writes(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    layout.write_file = damage_writes

settings = json.loads(sys.argv[1])
for name in ("spool", "snapshot"):
    settings[name] = Path(settings[name])
linger, clock = settings.pop("linger", 0.0), settings.pop("clock", None)
options = {}
if clock is not None:
    now = PacedClock(datetime.fromisoformat(clock["start"]), clock["speed"], clock["zero"])
    options = {"now": now, "since_boot": lambda: since_boot(now())}
Daemon(DaemonSettings(**settings), beat=heartbeat(os.environ), linger=linger, **options).run()
