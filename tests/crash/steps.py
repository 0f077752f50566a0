"""The work of real processes for crash tests.

``rotate`` changes the keys as `accord key rotate` does; ``hold``, ``lift``, ``agree``, ``withdraw``,
``narrow`` and ``delete`` amend the recording of that id, ``finish`` lists what somebody put who died;
``settle`` follows what a customer set; ``sign`` signs the logs, ``begin`` lets one go on that was cut;
``prepare`` puts together what a customer is handed, ``person`` erases for somebody who asks
(``REQUEST/RECORDING/USER``); ``restore`` brings that backup's file back, and ``rebuild`` makes rows again
from the bucket.  ``destroy`` destroys what is due, and ``erase`` what is left of customers who left.
``notify`` tells admins what has changed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from recorder.audit import continuation
from recorder.auditlog import checkpoint
from recorder.catalogue import tenant_queries
from recorder.catalogue.database import open_catalogue
from recorder.features.notifications.duty import Notifier
from recorder.features.offboarding import duty, service
from recorder.features.offboarding.plan import prepare_handover
from recorder.features.recovery import backup
from recorder.features.recovery.rebuild import Rebuild
from recorder.features.subject_requests import erasure
from recorder.features.subject_requests import service as request_register
from recorder.lifecycle import amendment_recovery, amendment_service, expiry, limit_application
from recorder.lifecycle.key_rotation import KeyRotation
from recorder.mail.outbox import Outbox
from recorder.playback.verified_recording import RecordingVerifier
from recorder.seal import kek_files, signing
from recorder.seal.amendment import By
from recorder.services import Services
from recorder.store.directory import DirectoryStore
from tests.amendments import amend
from tests.installation import services_in


@dataclass
class Step:
    """The work of one process; ``boundary`` is called with each point that it reaches."""

    root: Path
    now: datetime
    argument: str
    boundary: Callable[[str], None]

    def __post_init__(self) -> None:
        self.keys = self.root / "keys"
        self.store = ReportingStore(self.root / "bucket")
        self.store.boundary = self.boundary
        self.public = signing.load_public(self.keys / signing.ROOT_PUBLIC)
        self.signer = signing.load_signer(self.keys / signing.SIGNING_KEY, self.keys / signing.ENDORSEMENT)
        self.ring = kek_files.keyring(self.keys)

    def rotate(self) -> None:
        ring, owner = kek_files.rotation_keyring(self.keys), os.urandom(8).hex()
        KeyRotation(self.store, ring, lambda: self.now, os.urandom, owner, self.boundary).all()
        if (self.keys / kek_files.NEXT).exists():
            kek_files.promote(self.keys, self.boundary)

    @property
    def tenant(self) -> str:
        (tenant,) = tenant_queries.all_tenants()
        return tenant.id

    @property
    def changes(self) -> amendment_service.Changes:
        return amendment_service.Changes(
            self.store, self.public, self.signer, lambda: self.now, boundary=self.boundary
        )

    def amend(self, what: str, **options: object) -> None:
        change = getattr(self.changes, what)
        amend(change, self.tenant, self.argument, By("operator"), reason="order 12", **options)

    def hold(self) -> None:
        review = self.now + timedelta(days=90)
        self.amend("hold", owner=self.tenant, purposes=["agreement"], review_at=review)

    def lift(self) -> None:
        self.amend("lift", hold=1)

    def agree(self) -> None:
        self.amend("agree", purpose="agreement", keep_days=29)

    def withdraw(self) -> None:
        self.amend("withdraw")

    def narrow(self) -> None:
        self.amend("narrow", purposes=["agreement"])

    def delete(self) -> None:
        self.amend("delete")

    def settle(self) -> None:
        limit_application.apply_limits(self.store, self.public, self.now)

    def begin(self) -> None:
        sign = checkpoint.sign

        def signing_(*arguments: object) -> object:
            self.boundary("begun")
            return sign(*arguments)

        checkpoint.sign = signing_  # of this process only
        continuation.restart_log(self.tenant, "the disk broke", self.services, self.now)

    def prepare(self) -> None:
        seals, pem = RecordingVerifier(self.store, self.ring, self.public), signing.public_pem(self.public)
        report = lambda _count: self.boundary(f"{_count} looked at")  # noqa: E731
        sign = partial(service.hand_over, replace(self.changes, signer=self.signer), self.tenant)
        prepare_handover(
            self.tenant,
            seals,
            self.store,
            pem,
            sign,
            anew=False,
            now=self.now,
            entropy=os.urandom,
            tell=report,
        )

    def person(self) -> None:
        request, recording, user = self.argument.split("/")
        verified = request_register.find_erasure_request(self.tenant, request, self.now)
        erasure.erase_recording(self.changes, verified, recording, user)

    def finish(self) -> None:
        amendment_recovery.list_pending(self.store, self.public, self.now, os.urandom)

    def destroy(self) -> None:
        self.finish()
        expiry.destroy_due(replace(self.services, boundary=self.boundary), self.now)

    def erase(self) -> None:
        self.finish()
        duty.erase_due(replace(self.services, boundary=self.boundary), self.now)

    @property
    def services(self) -> Services:
        return services_in(self.root, self.store)

    def notify(self) -> None:
        outbox = Outbox(self.ring, "https://accord.example.com")
        services = replace(self.services, now=lambda: self.now, boundary=self.boundary)
        Notifier(outbox).notify(services)

    def sign(self) -> None:
        checkpoint.sign_due(self.services, self.now)

    def restore(self) -> None:
        report = lambda table, _count: self.boundary(table)  # noqa: E731
        backup.restore(Path(self.argument), self.ring, self.now, os.urandom, report)

    def rebuild(self) -> None:
        report = lambda phase, _count, _total: self.boundary(phase)  # noqa: E731
        Rebuild(self.store, self.ring, self.public, lambda: self.now, tell=report).run()


class ReportingStore(DirectoryStore):
    """A store that reports what it is about to put, what it has put, and how many manifests it has read."""

    boundary: Callable[[str], None]
    manifests = 0

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        content = super().read(key, start, end)
        if key.endswith("/manifest.json"):
            self.manifests += 1
            self.boundary(f"read {self.manifests}")
        return content

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


def run(root: Path, catalogue: str, now: datetime, what: str, argument: str, fatal: str) -> None:
    """Do something in this process, which kills itself with SIGKILL at the ``fatal`` boundary (``-``: at
    none)."""
    open_catalogue(catalogue)
    getattr(Step(root, now, argument, dying_at(fatal)), what)()
