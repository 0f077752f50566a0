"""``accord audit run``: compares checkpoints, leaves, rows and recordings, in an order in which each check
relies on the ones before:

1. checkpoints (:mod:`checkpoints`): signed by endorsed keys, and none is missing
2. leaves (:mod:`leaves`): none is missing or changed, and their bodies match
3. the leaves match the checkpoints
4. rows (:mod:`rows`): they agree with the leaves
5. recordings and their wrapped keys (:mod:`recordings`, :mod:`wrapped_keys`): bucket and rows match the seals
6. shared rows (:mod:`shared_rows`), and unknown objects (:mod:`unknown_objects`)

The catalogue is read in one snapshot while others write. Memory does not grow with the number of leaves, only
by an id for each row that they describe.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.audit import shared_rows, unknown_objects
from recorder.audit.checkpoints import CheckpointAudit
from recorder.audit.credentials import compare_credentials
from recorder.audit.dispute_copies import CopyAudit
from recorder.audit.disputes import compare_disputes
from recorder.audit.findings import AuditFinding, checked
from recorder.audit.leaves import LeafAudit
from recorder.audit.limits import compare_statements
from recorder.audit.offboarding import COLLECTED as OFFBOARDING
from recorder.audit.offboarding import OffboardingAudit
from recorder.audit.recordings import RecordingAudit
from recorder.audit.rows import COLLECTED, RowAudit
from recorder.audit.wrapped_keys import WrappedKeys
from recorder.auditlog.checkpoint import ENDORSEMENTS, FOLDER
from recorder.auditlog.signed_note import SignedNote
from recorder.catalogue.database import connected, database
from recorder.catalogue.tables.tenant import TenantTable
from recorder.catalogue.tenant_queries import unknown_tenant
from recorder.clock import from_iso
from recorder.features.recovery.dump import snapshot
from recorder.lifecycle import search_index
from recorder.seal.keyring import Keyring
from recorder.seal.revocation import Trust
from recorder.store.contract import Store

Progress = Callable[[str, int, int | None], None]
"""Called with progress: what is counted, how many are done, and the total if it is known."""


@dataclass(frozen=True, slots=True)
class Audit:
    """An audit. ``revoked`` are the ids of revoked keys, each with the time of revocation; ``certificates``
    (PEM) verify timestamps; ``external_notes`` are checkpoints received another way.
    ``recordings``: also read the audio. The ``keyring`` is for comparing parties and, with ``deep``, for
    opening every wrapped key."""

    store: Store
    root: Ed25519PublicKey
    now: datetime
    keyring: Keyring | None = None
    revoked: Mapping[str, datetime] = field(default_factory=dict)
    certificates: bytes | None = None
    external_notes: Sequence[SignedNote] = ()
    recordings: bool = True
    deep: bool = False
    tell: Progress = lambda _what, _count, _total: None

    def tenant(self, tenant: str) -> Iterator[AuditFinding]:
        """Audit one tenant. Raises :class:`recorder.errors.CatalogueError` (``tenant.unknown``),
        ``StoreError``."""
        if not _exists(tenant):
            raise unknown_tenant(tenant)
        notes = [each for each in self.external_notes if each.head.tenant == tenant]
        checkpoints = CheckpointAudit(tenant, self.root, self.now, self.revoked, self.certificates, notes)
        offboarding = OffboardingAudit(tenant, self.store, self.root, self.revoked)
        trust = Trust(self.root, lambda: self.revoked)
        copies = CopyAudit(tenant, self.store, self.keyring, trust, self.deep)
        rows = RowAudit(tenant, self.now)
        yield from checked(f"{tenant}: checkpoints", checkpoints.read, self.store)
        yield from checkpoints.findings
        yield from checked(f"{tenant}: offboarding", offboarding.read)
        with snapshot():
            yield from self._log(tenant, checkpoints, offboarding, rows, copies)
        steps: dict[str, Callable[[], Iterator[AuditFinding]]] = {
            "retention limits": lambda: compare_statements(tenant, self.store, trust, self.now),
            "credentials": lambda: compare_credentials(tenant, trust),
            "disputes": lambda: compare_disputes(tenant, trust),
            "copies of disputes": copies.compare,
            "recordings": lambda: self._recordings(tenant, rows),
        }
        for name, step in steps.items():
            yield from checked(f"{tenant}: {name}", step)

    def _log(
        self,
        tenant: str,
        checkpoints: CheckpointAudit,
        offboarding: OffboardingAudit,
        rows: RowAudit,
        copies: CopyAudit,
    ) -> Iterator[AuditFinding]:
        """Audit the leaves, and what they say about rows and checkpoints, inside a snapshot."""
        size, since = _stated_size(tenant)
        sizes = frozenset(head.size for head in checkpoints.heads)
        leaves = LeafAudit(tenant, sizes, offboarding.collector(rows.collect), COLLECTED | OFFBOARDING)
        yield from checked(f"{tenant}: leaves", leaves.read, lambda count: self.tell("leaves", count, size))
        if leaves.count != size:
            what = f"there are {leaves.count} leaves, but {size} were written"
            yield AuditFinding("log.size", tenant, what)
        yield from checked(f"{tenant}: copies of disputes", copies.read)
        covered = offboarding.covered(copies.disputes)
        steps: dict[str, Callable[[], Iterator[AuditFinding]]] = {
            "bodies of leaves": lambda: leaves.lost_bodies(covered),
            "cached hashes": leaves.subtrees,
            "checkpoints and leaves": lambda: checkpoints.compare(
                leaves.roots, leaves.count, rows.first_heads, since
            ),
            "rows": lambda: rows.end(leaves.erased | leaves.without_body, leaves.amended),
            "offboarding": lambda: offboarding.end(leaves.erased),
            "search index": lambda: _compare_index(tenant),
        }
        for name, step in steps.items():
            yield from checked(f"{tenant}: {name}", step)

    def _recordings(self, tenant: str, rows: RowAudit) -> Iterator[AuditFinding]:
        if not self.recordings:
            return
        deep = self.keyring if self.deep else None
        keys = WrappedKeys(tenant, self.store, rows.keys, rows.keys_destroyed, deep)
        recordings = RecordingAudit(tenant, self.store, self.root, self.now, self.keyring, self.revoked, keys)
        yield from recordings.read(lambda count: self.tell("recordings", count, None))

    def shared(self, known: Collection[str]) -> Iterator[AuditFinding]:
        """Audit sounds, and rows and objects without a customer. Raises ``StoreError``."""
        with snapshot():
            yield from checked("sounds", shared_rows.check_sounds)
            yield from checked("rows without a customer", shared_rows.check_ownerless, known)
        yield from checked("the bucket", unknown_objects.find_unknown, self.store, known)

    def lost_logs(self, known: Collection[str]) -> Iterator[AuditFinding]:
        """Find logs of customers that the catalogue lost. Raises ``StoreError``."""
        for tenant in sorted({each.head.tenant for each in self.external_notes} - {*known}):
            what = "a given checkpoint is of a customer that the catalogue does not know"
            yield AuditFinding("log.missing", tenant, what)
        after = ""
        while (key := next(iter(self.store.list(FOLDER, after)), None)) is not None:
            tenant = key.removeprefix(FOLDER).partition("/")[0]
            if tenant not in known and not key.startswith(ENDORSEMENTS):
                what = "the bucket has checkpoints of a customer that the catalogue does not know"
                yield AuditFinding("log.missing", key, what)
            after = f"{FOLDER}{tenant}~"


def _exists(tenant: str) -> bool:
    with connected():
        return bool(TenantTable.select(TenantTable.id).where(TenantTable.id == tenant).exists())


def _stated_size(tenant: str) -> tuple[Any, datetime]:
    """How many leaves a tenant's row says were written, and since when: as it is, for it may be anything."""
    query = TenantTable.select(TenantTable.log_size, TenantTable.created_at).where(TenantTable.id == tenant)
    size, since = database.execute(query).fetchone()
    try:
        return size, from_iso(since) if isinstance(since, str) else since
    except ValueError:
        return size, datetime.min.replace(tzinfo=UTC)


def _compare_index(tenant: str) -> Iterator[AuditFinding]:
    """Compare the call list's index with the calls."""
    for call, what in search_index.find_differences(tenant):
        yield AuditFinding("index.differs", f"{tenant}: listed_call {call}", what)
