"""A real worker process for crash tests: ``work.py ROOT BOUNDARY [SEAWEEDFS PORT]`` kills itself with
SIGKILL at a boundary, and with ``-`` works until it is told to stop.  ``NODE`` in its environment is the
folder of its node's own files below ROOT."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from recorder.catalogue.database import open_catalogue
from recorder.processes.worker import Worker, WorkerOptions
from recorder.seal import kek_files, signing
from recorder.store.contract import Store
from recorder.store.directory import DirectoryStore
from recorder.store.retry import retrying
from recorder.store.s3 import S3Store
from recorder.store.seaweedfs import SeaweedFS


def main() -> None:
    root = Path(sys.argv[1])
    fatal = sys.argv[2]
    store: Store = DirectoryStore(root / "bucket")
    if len(sys.argv) > 3:
        store = retrying(S3Store(SeaweedFS(Path(sys.argv[3]), int(sys.argv[4])).bucket()), attempts=2)

    def boundary(name: str) -> None:
        if name == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    node = root / os.environ.get("NODE", "")
    open_catalogue(f"sqlite:///{root / 'catalogue.db'}")
    keys = root / "keys"
    Worker(
        WorkerOptions(spool=node / "spool", snapshot=node / "snapshot", nice=0),
        store=store,
        keyring=kek_files.keyring(keys),
        signer=signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT),
        root_public=signing.load_public(keys / signing.ROOT_PUBLIC),
        boundary=boundary,
    ).run()


if __name__ == "__main__":
    main()
