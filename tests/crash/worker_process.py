"""A real worker process for crash tests: ``worker_process.py ROOT BOUNDARY [SEAWEEDFS PORT]`` kills itself
with SIGKILL at a boundary (``-``: it runs until it is stopped). ``NODE`` in its environment is the folder of
its node's own files below ROOT."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from recorder.catalogue.database import open_catalogue
from recorder.config import Settings, WorkerSettings
from recorder.processes.worker_loop import Worker
from recorder.store.contract import Store
from recorder.store.directory import DirectoryStore
from recorder.store.retry import with_retries
from recorder.store.s3 import S3Store
from recorder.store.seaweedfs import SeaweedFS
from tests.installation import services_in


def main() -> None:
    root = Path(sys.argv[1])
    fatal = sys.argv[2]
    store: Store = DirectoryStore(root / "bucket")
    if len(sys.argv) > 3:
        store = with_retries(S3Store(SeaweedFS(Path(sys.argv[3]), int(sys.argv[4])).bucket()), attempts=2)

    def boundary(name: str) -> None:
        if name == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    node = root / os.environ.get("NODE", "")
    open_catalogue(f"sqlite:///{root / 'catalogue.db'}")
    services = services_in(root, store, spool=node / "spool", snapshot=node / "snapshot", boundary=boundary)
    Worker(services, Settings(worker=WorkerSettings(processes=1, nice=0))).run()


if __name__ == "__main__":
    main()
