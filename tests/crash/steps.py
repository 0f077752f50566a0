"""Real processes for crash tests: ``steps.py ROOT CATALOGUE NOW WHAT ARGUMENT BOUNDARY…`` does something once
for each boundary, each time in a process of its own that kills itself with SIGKILL there (``-``: at none).
Each is a day after the one before, so that nobody waits for the claim of one that died.  Prints how each
ended.

``rotate`` changes the keys as `accord keys rotate` does; ``hold`` holds the recording of that id, ``finish``
lists what somebody put who died; ``sign`` signs the logs; ``restore`` brings that backup's file back, and
``rebuild`` makes rows again from the bucket."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from recorder.catalogue import customers
from recorder.catalogue.models import open_catalogue
from recorder.ledger import checkpoint
from recorder.lifecycle import changing
from recorder.lifecycle.rewrapping import Rewrapping
from recorder.recover import backup
from recorder.recover.rebuild import Rebuild
from recorder.seal import keks, signing
from recorder.seal.amendment import By
from recorder.store.directory import DirectoryStore


@dataclass
class Step:
    """One process's work: ``boundary`` is told each point that was reached."""

    root: Path
    now: datetime
    argument: str
    boundary: Callable[[str], None]

    def __post_init__(self) -> None:
        self.keys = self.root / "keys"
        self.store = Telling(self.root / "bucket")
        self.store.boundary = self.boundary
        self.public = signing.load_public(self.keys / signing.ROOT_PUBLIC)
        self.signer = signing.load_signer(self.keys / signing.SIGNING_KEY, self.keys / signing.ENDORSEMENT)
        self.ring = keks.keyring(self.keys)

    def rotate(self) -> None:
        ring, owner = keks.rotating(self.keys), os.urandom(8).hex()
        Rewrapping(self.store, ring, lambda: self.now, os.urandom, owner, self.boundary).all()
        if (self.keys / keks.NEXT).exists():
            keks.promote(self.keys, self.boundary)

    def hold(self) -> None:
        changes = changing.Changes(
            self.store, self.public, self.signer, lambda: self.now, boundary=self.boundary
        )
        (tenant,) = customers.tenants()
        review = self.now + timedelta(days=90)
        said = {"owner": tenant.id, "purposes": ["agreement"], "reason": "order 12", "review_at": review}
        changes.hold(tenant.id, self.argument, By("operator"), **said)

    def finish(self) -> None:
        changing.finish(self.store, self.public, self.now, os.urandom)

    def sign(self) -> None:
        owner = os.urandom(8).hex()
        means = checkpoint.Means(self.store, self.signer, self.public, os.urandom, owner=owner)
        checkpoint.keep(means, self.now)

    def restore(self) -> None:
        told = lambda table, _count: self.boundary(table)  # noqa: E731
        backup.restore(Path(self.argument), self.ring, self.now, os.urandom, told)

    def rebuild(self) -> None:
        told = lambda phase, _done, _total: self.boundary(phase)  # noqa: E731
        Rebuild(self.store, self.ring, self.public, lambda: self.now, tell=told).run()


class Telling(DirectoryStore):
    """A store that says what it is about to put, and what it has put."""

    boundary: Callable[[str], None]

    def put(self, key: str, path: Path, sha256: str, *, locked_until: datetime | None = None) -> None:
        kind = key.rpartition(".")[2] if key.startswith("checkpoints/") else ""
        self.boundary(f"putting {kind}")
        super().put(key, path, sha256, locked_until=locked_until)
        self.boundary(f"has put {kind}")


def dying_at(fatal: str) -> Callable[[str], None]:
    def boundary(name: str) -> None:
        if name == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    return boundary


def main() -> None:
    root, catalogue, now, what, argument = sys.argv[1:6]

    for number, fatal in enumerate(sys.argv[6:]):
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)  # its log
            status = 1
            try:
                open_catalogue(catalogue)
                at = datetime.fromisoformat(now) + timedelta(days=number)
                getattr(Step(Path(root), at, argument, dying_at(fatal)), what)()
                status = 0
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
