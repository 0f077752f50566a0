"""A real process for crash tests: ``destroy.py ROOT CATALOGUE NOW BOUNDARY`` destroys what is over at a time
and kills itself with SIGKILL at a boundary, with ``-`` at none.  With ``delete TENANT RECORDING`` (or
``withdraw``) after that it only writes that down."""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from recorder.catalogue.database import open_catalogue
from recorder.lifecycle import amendment_recovery, expiry
from recorder.lifecycle.amendment_service import Changes
from recorder.seal import signing
from recorder.seal.amendment import By
from recorder.store.directory import DirectoryStore
from tests.installed import services_in


def main() -> None:
    root, catalogue, now, fatal = (
        Path(sys.argv[1]),
        sys.argv[2],
        datetime.fromisoformat(sys.argv[3]),
        sys.argv[4],
    )

    def boundary(name: str) -> None:
        if name == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    open_catalogue(catalogue)
    keys = root / "keys"
    services = services_in(root, DirectoryStore(root / "bucket"), boundary=boundary)
    if sys.argv[5:]:
        what, tenant, recording = sys.argv[5:]
        panel = signing.load_signer(keys / signing.PANEL_KEY, keys / signing.PANEL_ENDORSEMENT)
        changes = Changes(services.store, services.root, panel, lambda: now, boundary=boundary)
        getattr(changes, what)(tenant, recording, By("operator"), reason="they asked for it")
        return
    amendment_recovery.finish(services.store, services.root, now, services.entropy)
    expiry.destroy_due(services, now)


if __name__ == "__main__":
    main()
