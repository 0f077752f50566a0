"""A real worker process for crash tests."""

from __future__ import annotations

import os
import signal
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


def run(log: Path, root: Path, fatal: str, node: str, *seaweedfs: str) -> None:
    """Work until the process kills itself with SIGKILL at the ``fatal`` boundary (``-``: until it is
    stopped). ``node`` is the folder of its node's own files below ``root``; ``seaweedfs`` are the folder and
    the port of the store."""
    os.dup2(os.open(log, os.O_WRONLY), 1)
    store: Store = DirectoryStore(root / "bucket")
    if seaweedfs:
        folder, port = seaweedfs
        store = with_retries(S3Store(SeaweedFS(Path(folder), int(port)).bucket()), attempts=2)

    def boundary(name: str) -> None:
        if name == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    open_catalogue(f"sqlite:///{root / 'catalogue.db'}")
    files = {"spool": root / node / "spool", "snapshot": root / node / "snapshot"}
    services = services_in(root, store, **files, boundary=boundary)
    Worker(services, Settings(worker=WorkerSettings(processes=1, nice=0))).run()
