"""A real process for crash tests: ``leave.py ROOT CATALOGUE NOW BOUNDARY`` destroys what is left of customers
who left, and kills itself with SIGKILL at a boundary, with ``-`` at none."""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime, timedelta
from pathlib import Path

from recorder.auditlog import checkpoint
from recorder.catalogue.database import open_catalogue
from recorder.features.offboarding import erasure
from recorder.lifecycle import amendment_recovery, expiry
from recorder.seal import signing
from recorder.store.directory import DirectoryStore


def main() -> None:
    root, catalogue, fatal = Path(sys.argv[1]), sys.argv[2], sys.argv[4]
    now = datetime.fromisoformat(sys.argv[3])

    def boundary(name: str) -> None:
        if name == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    open_catalogue(catalogue)
    keys = root / "keys"
    store, public = DirectoryStore(root / "bucket"), signing.load_public(keys / signing.ROOT_PUBLIC)
    signer = signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT)
    means = erasure.OffboardingDeps(
        expiry.ErasureDeps(store, public, signer, os.urandom, boundary),
        checkpoint.CheckpointDeps(store, signer, public, os.urandom, owner=os.urandom(8).hex()),
        timedelta(days=30),
    )
    amendment_recovery.finish(store, public, now, os.urandom)
    erasure.erase_due(means, now)


if __name__ == "__main__":
    main()
