"""``accord audit``: is everything as it was written? Catalogue, leaves, checkpoints, and recordings.

In this order, so that each part rests on the one before it:

1. checkpoints (:mod:`checkpoints`): signed by keys that the root endorsed, and none is missing
2. leaves (:mod:`leaves`): none is missing or changed, and what they commit to is there
3. the leaves are those that were signed
4. rows (:mod:`rows`): they agree with the leaves
5. recordings and their wrapped keys (:mod:`recordings`, :mod:`wrapped_keys`): the bucket has what was sealed,
   and the rows agree
6. what belongs to no single customer (:mod:`shared_rows`), and unknown objects (:mod:`unknown_objects`)

The catalogue is read in one snapshot while others write. What is read is not kept: memory does not grow with
the number of leaves, only by an id for each row that they describe.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.audit import shared_rows, unknown_objects
from recorder.audit.checkpoints import Signed
from recorder.audit.credentials import compare_credentials
from recorder.audit.findings import AuditFinding
from recorder.audit.leaves import Leaves
from recorder.audit.limits import compare_statements
from recorder.audit.offboarding import HEARD as OFFBOARDING
from recorder.audit.offboarding import Offboarded
from recorder.audit.recordings import RecordingAudit
from recorder.audit.rows import HEARD, RowAudit
from recorder.audit.wrapped_keys import WrappedKeys
from recorder.auditlog.checkpoint import ENDORSEMENTS, PLACE
from recorder.auditlog.signed_note import SignedNote
from recorder.catalogue.tables.tenant import TenantTable
from recorder.catalogue.tenant_queries import no_tenant
from recorder.features.recovery.dump import snapshot
from recorder.seal.keyring import Keyring
from recorder.seal.revocation import Trust
from recorder.store.contract import Store

Tell = Callable[[str, int, int | None], None]
"""Is told about progress: of what, how many are done, and of how many if that is known."""


@dataclass(frozen=True, slots=True)
class Audit:
    """How to audit. ``revoked``: key ids and since when they no longer count; ``certificates`` (PEM) verify
    timestamps; ``given`` are checkpoints received another way; ``recordings``: whether audio is read, too;
    ``keyring`` allows comparing the parties and, with ``deep``, opening every wrapped key."""

    store: Store
    root: Ed25519PublicKey
    now: datetime
    keyring: Keyring | None = None
    revoked: Mapping[str, datetime] = field(default_factory=dict)
    certificates: bytes | None = None
    given: Sequence[SignedNote] = ()
    recordings: bool = True
    deep: bool = False
    tell: Tell = lambda _what, _done, _total: None

    def tenant(self, tenant: str) -> Iterator[AuditFinding]:
        """Audit one tenant. Raises :class:`recorder.errors.CatalogueError` (``tenant.unknown``),
        ``StoreError``."""
        given = [each for each in self.given if each.head.tenant == tenant]
        signed = Signed(tenant, self.root, self.now, self.revoked, self.certificates, given)
        signed.read(self.store)
        yield from signed.findings
        offboarded = Offboarded(tenant, self.store, self.root, self.revoked)
        offboarded.read()
        with snapshot():
            row = TenantTable.get_or_none(TenantTable.id == tenant)
            if row is None:
                raise no_tenant(tenant)
            told = RowAudit(tenant, self.now)
            sizes = frozenset(head.size for head in signed.heads)
            leaves = Leaves(tenant, sizes, offboarded.heard(told.hear), HEARD | OFFBOARDING)
            size = int(row.log_size)
            yield from leaves.read(lambda done: self.tell("leaves", done, size))
            if leaves.count != size:
                what = f"{leaves.count} leaves are there, and {size} were written"
                yield AuditFinding("log.size", tenant, what)
            yield from signed.compare(leaves.roots, leaves.count, told.begun, row.created_at)
            yield from told.end(leaves.erased | leaves.gone, leaves.amended)
            yield from offboarded.end(leaves.erased)
        trust = Trust(self.root, lambda: self.revoked)
        yield from compare_statements(tenant, self.store, trust, self.now)
        yield from compare_credentials(tenant, trust)
        if self.recordings:
            deep = self.keyring if self.deep else None
            keys = WrappedKeys(tenant, self.store, told.keys, told.keys_destroyed, deep)
            kept = RecordingAudit(tenant, self.store, self.root, self.now, self.keyring, self.revoked, keys)
            yield from kept.read(lambda done: self.tell("recordings", done, None))

    def shared(self, known: Collection[str]) -> Iterator[AuditFinding]:
        """Audit what belongs to no single customer. Raises ``StoreError``."""
        with snapshot():
            yield from shared_rows.sounds()
            yield from shared_rows.nobodys(known)
        yield from unknown_objects.find_unknown(self.store, known)

    def lost(self, known: Collection[str]) -> Iterator[AuditFinding]:
        """Tenants whose log was signed and whom the catalogue does not know. Raises ``StoreError``."""
        for tenant in sorted({each.head.tenant for each in self.given} - {*known}):
            what = "a checkpoint was given of a customer that the catalogue does not know"
            yield AuditFinding("log.missing", tenant, what)
        after = ""
        while (key := next(iter(self.store.list(PLACE, after)), None)) is not None:
            tenant = key.removeprefix(PLACE).partition("/")[0]
            if tenant not in known and not key.startswith(ENDORSEMENTS):
                what = "the bucket has checkpoints of a customer that the catalogue does not know"
                yield AuditFinding("log.missing", key, what)
            after = f"{PLACE}{tenant}~"
