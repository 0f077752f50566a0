"""A real process for crash tests: ``leave.py ROOT CATALOGUE NOW BOUNDARY`` destroys what is left of customers
who left, and kills itself with SIGKILL at a boundary, with ``-`` at none."""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from recorder.catalogue.database import open_catalogue
from recorder.features.offboarding import duty
from recorder.lifecycle import amendment_recovery
from recorder.store.directory import DirectoryStore
from tests.installed import services_in


def main() -> None:
    root, catalogue, fatal = Path(sys.argv[1]), sys.argv[2], sys.argv[4]
    now = datetime.fromisoformat(sys.argv[3])

    def boundary(name: str) -> None:
        if name == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    open_catalogue(catalogue)
    services = services_in(root, DirectoryStore(root / "bucket"), boundary=boundary)
    amendment_recovery.finish(services.store, services.root, now, services.entropy)
    duty.erase_due(services, now)


if __name__ == "__main__":
    main()
