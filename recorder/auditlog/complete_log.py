"""Proves that a log is as long as it was signed, before anything is erased by what it lacks.

Half of what keeps a recording is found by looking: a hold, a lifted limit, a customer who stays. Whoever
deletes such a statement together with its row and its leaf leaves a log that is shorter than its newest
checkpoint, or has a gap, or another root. This reads stored hashes of the tree, so an audit alone finds an
old leaf that was rewritten in place (:mod:`recorder.auditlog.tree_cache`).
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.auditlog import checkpoint, signed_note
from recorder.auditlog.append import LockedTenant, log_size
from recorder.auditlog.inclusion_proof import endorsement_of, verify_checkpoint
from recorder.auditlog.signed_note import Head
from recorder.auditlog.tree_cache import CachedTree
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import AuditLogError, CatalogueError, SealError
from recorder.store.contract import Store
from recorder.verified_state import VerifiedState


@dataclass(frozen=True, slots=True)
class SignedLength(VerifiedState):
    """The newest checkpoint of a customer's log in catalogue or bucket that the installation signed; without
    a ``head`` there is none yet."""

    tenant: str
    head: Head | None


@dataclass(frozen=True, slots=True)
class CompleteLog(VerifiedState):
    """The log of a customer who is locked: it has no gap, and continues the newest checkpoint."""

    locked: LockedTenant


def signed_length(tenant: str, store: Store, root: Ed25519PublicKey) -> SignedLength:
    """The newest checkpoint of a customer's log; to be read before the customer is locked. What nobody signed
    counts nowhere. Raises :class:`recorder.errors.StoreError`."""
    row = checkpoint.newest(tenant)
    listed = None if row is None else _verified(row.note, tenant, row.number, store, root)
    further = checkpoint.list_keys(store, tenant, 0 if listed is None else listed.number)
    for key in sorted((key for key in further if key.endswith(".note")), reverse=True):
        note = checkpoint.read_at(store, key).decode("utf-8", "replace")
        stored = _verified(note, tenant, None, store, root)
        if stored is not None and key == checkpoint.place_of(tenant, stored.number):
            return SignedLength(tenant, stored)
    return SignedLength(tenant, listed)


def _verified(
    note: str, tenant: str, number: int | None, store: Store, root: Ed25519PublicKey
) -> Head | None:
    """The content of a customer's checkpoint, with this number if one is given; ``None`` for anything
    else."""
    try:
        head = signed_note.read(note.encode()).head
        head = verify_checkpoint(note, endorsement_of(store, head, root), root)
    except (AuditLogError, SealError):
        return None
    return head if head.tenant == tenant and number in (None, head.number) else None


def complete_log(locked: LockedTenant, signed: SignedLength) -> CompleteLog:
    """The locked customer's log, compared with its newest checkpoint (:func:`signed_length`). Raises
    :class:`AuditLogError` (``audit_log.incomplete``)."""
    locked.check()
    tenant, head = locked.tenant, signed.head
    if signed.tenant != tenant:
        raise _incomplete(tenant, "was compared with another one's checkpoint")
    epoch = TenantTable.get_by_id(tenant).log_epoch
    if head is not None and (epoch, _root(tenant, head.size)) != (head.epoch, head.root):
        raise _incomplete(tenant, f"does not continue checkpoint {head.number}")
    check_gapless(locked)
    return CompleteLog(locked)


def check_gapless(locked: LockedTenant) -> None:
    """Check that a locked customer's log has as many leaves as were appended: for what can be taken back,
    where no store is at hand. Raises :class:`AuditLogError` (``audit_log.incomplete``)."""
    size = log_size(locked)
    if LeafTable.select().where(LeafTable.tenant == locked.tenant).count() != size:
        raise _incomplete(locked.tenant, "has a gap")


def _incomplete(tenant: str, what: str) -> AuditLogError:
    return AuditLogError(
        "audit_log.incomplete",
        f"the log of customer {tenant} {what}: nothing of the customer's is erased or widened",
        "run `accord audit run` to list the changes; after a restore, run `accord audit reopen`",
    )


def _root(tenant: str, size: int) -> bytes | None:
    """The root of a log's first leaves; ``None`` if it is shorter, or has a gap."""
    try:
        return CachedTree(tenant, size).root()
    except (CatalogueError, ValueError):  # a hash that is none
        return None
