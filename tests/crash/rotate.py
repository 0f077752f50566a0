"""Real processes for crash tests: ``rotate.py ROOT CATALOGUE NOW BOUNDARY…`` changes the keys, as
`accord keys rotate` does, once for each boundary, each time in a process of its own that kills itself with
SIGKILL there (``-``: at none).  Each is an hour after the one before, so that nobody waits for the claim of
one that died.  Prints how each ended."""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime, timedelta
from pathlib import Path

from recorder.catalogue.models import open_catalogue
from recorder.lifecycle.rewrapping import Rewrapping
from recorder.seal import keks
from recorder.store.directory import DirectoryStore


def rotate(root: Path, catalogue: str, now: datetime, fatal: str) -> None:
    def boundary(name: str) -> None:
        if name == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    open_catalogue(catalogue)
    keys = root / "keys"
    store = DirectoryStore(root / "bucket")
    owner = os.urandom(8).hex()
    Rewrapping(store, keks.rotating(keys), lambda: now, os.urandom, owner, boundary).all()
    if (keys / keks.NEXT).exists():
        keks.promote(keys, boundary)


def main() -> None:
    root, catalogue, now = Path(sys.argv[1]), sys.argv[2], datetime.fromisoformat(sys.argv[3])
    for number, fatal in enumerate(sys.argv[4:]):
        child = os.fork()
        if child == 0:
            rotate(root, catalogue, now + timedelta(hours=number), fatal)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
