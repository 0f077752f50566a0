"""A real worker process for crash tests: ``work.py ROOT [BOUNDARY]`` kills itself with SIGKILL at a
boundary, and without one works until it is told to stop."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from recorder.catalogue.models import open_catalogue
from recorder.seal import signing
from recorder.seal.keys import Keyring, load_kek
from recorder.store.directory import DirectoryStore
from recorder.worker import Worker, WorkerSettings


def main() -> None:
    root = Path(sys.argv[1])
    fatal = sys.argv[2] if len(sys.argv) > 2 else None

    def boundary(name: str) -> None:
        if name == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    open_catalogue(f"sqlite:///{root / 'catalogue.db'}")
    keys = root / "keys"
    Worker(
        WorkerSettings(spool=root / "spool", snapshot=root / "snapshot", nice=0),
        store=DirectoryStore(root / "bucket"),
        keyring=Keyring(load_kek(keys / signing.KEK)),
        signer=signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT),
        root_public=signing.load_public(keys / signing.ROOT_PUBLIC),
        boundary=boundary,
    ).run()


if __name__ == "__main__":
    main()
