"""``accord`` with short waits, for tests: ``node.py [--migrations FOLDER] ARGUMENTS…``.

``--migrations`` makes it a later version, with other migrations."""

from __future__ import annotations

import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

HUBS = ("daemon", "web")

if [word for word in sys.argv if word in HUBS]:
    from gevent import monkey

    monkey.patch_all()

from recorder.catalogue import schema  # noqa: E402  # gevent first
from recorder.catalogue.tables import lease  # noqa: E402
from recorder.cli import accord  # noqa: E402
from recorder.processes import worker_loop  # noqa: E402


def main() -> None:
    lease.take.__defaults__ = (timedelta(seconds=8),)  # the default of its duration
    worker_loop.DUTY_INTERVAL = 1.0
    if sys.argv[1] == "--migrations":
        folder = Path(sys.argv[2])
        schema.check_schema = partial(schema.check_schema, folder=folder)
        schema.migrate = partial(schema.migrate, folder=folder)
        del sys.argv[1:3]
    accord(prog_name="accord")


if __name__ == "__main__":
    main()
