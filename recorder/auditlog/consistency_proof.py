"""Proves that one checkpoint continues another, to somebody who has only a file and the root's public key.

The file is canonical JSON (RFC 8785): both checkpoints, each with the endorsement of the key that signed it,
and the consistency proof between them (RFC 6962, section 2.1.2). It reveals nothing about the log's content.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.auditlog import merkle, signed_note
from recorder.auditlog.inclusion_proof import endorsement_of, signed_head
from recorder.auditlog.signed_note import Head
from recorder.auditlog.tree_cache import CachedTree
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import CheckpointTable
from recorder.errors import LedgerError
from recorder.seal import canonical_json
from recorder.seal.canonical_json import Fields
from recorder.seal.signing import Endorsement
from recorder.store.contract import Store

TYPE = "accord-log-consistency"


@dataclass(frozen=True, slots=True)
class Followed:
    """What a checked file proves: everything in the log at ``before`` is in it at ``after``, unchanged."""

    before: Head
    after: Head


def show(tenant: str, before: int, after: int, store: Store) -> bytes:
    """The file for two checkpoints of a tenant's log, by their numbers.

    Raises :class:`LedgerError`: ``checkpoint.unknown``, ``ledger.begun_again`` (the log began a new epoch
    between them), ``ledger.rewritten`` (the leaves are not those that were signed);
    :class:`recorder.errors.CatalogueError` (``ledger.gap``), ``StoreError``.
    """
    notes = [_note(tenant, number) for number in sorted((before, after))]
    old, new = (signed_note.read(each.encode()).head for each in notes)
    if old.epoch != new.epoch:
        raise LedgerError(
            "ledger.begun_again",
            f"the log began a new epoch between checkpoints {old.number} and {new.number}",
            "the leaf log.begun has the reason; `accord audit` names it",
        )
    stored = CachedTree(tenant, new.size)
    path = merkle.consistency(old.size, new.size, stored)
    if not merkle.check_consistency(old.size, new.size, path, old.root, new.root):
        raise LedgerError(
            "ledger.rewritten",
            f"the leaves are not those that checkpoints {old.number} and {new.number} signed",
            "`accord audit` says which",
        )
    return canonical_json.dump(
        {
            "type": TYPE,
            "version": 1,
            "path": [each.hex() for each in path],
            "before": {"checkpoint": notes[0], "endorsement": endorsement_of(store, old).document()},
            "after": {"checkpoint": notes[1], "endorsement": endorsement_of(store, new).document()},
        }
    )


def check(content: bytes, root: Ed25519PublicKey, checkpoint: bytes | None = None) -> Followed:
    """Check a file, from the root's public key alone. ``checkpoint`` was received another way and must then
    be one of the two.

    Raises :class:`SealError` (malformed, a key that the root did not endorse) and :class:`LedgerError`:
    ``checkpoint.form``, ``checkpoint.signature``, ``checkpoint.other``, ``checkpoint.not_followed``.
    """
    fields = Fields(canonical_json.load(content, "file"), "file")
    fields.const("type", TYPE)
    fields.const("version", 1)
    path = [bytes.fromhex(each) for each in fields.hashes("path")]
    ends = [fields.fields(name) for name in ("before", "after")]
    fields.end()
    texts = [each.text("checkpoint") for each in ends]
    keys = [Endorsement.from_fields(each.fields("endorsement")) for each in ends]
    for each in ends:
        each.end()
    old, new = (signed_head(text, key, root) for text, key in zip(texts, keys, strict=True))
    ours = [signed_note.read(text.encode()).alone() for text in texts]
    if checkpoint is not None and signed_note.read(checkpoint).alone() not in ours:
        raise LedgerError(
            "checkpoint.other",
            f"the file is for checkpoints {old.number} and {new.number} of {new.origin}, not for yours",
            "request a file for yours: `accord audit follow --from NUMBER`",
        )
    same = (old.tenant, old.epoch) == (new.tenant, new.epoch)
    if not same or not merkle.check_consistency(old.size, new.size, path, old.root, new.root):
        raise LedgerError(
            "checkpoint.not_followed",
            f"checkpoint {new.number} does not continue checkpoint {old.number}",
            "the log's content was changed since, or this is another log",
        )
    return Followed(old, new)


def _note(tenant: str, number: int) -> str:
    with connected():
        mine = (CheckpointTable.tenant_id == tenant) & (CheckpointTable.number == number)
        row = CheckpointTable.get_or_none(mine & CheckpointTable.stored_at.is_null(False))
    if row is None:
        raise LedgerError(
            "checkpoint.unknown",
            f"the customer's log has no checkpoint {number}",
            "the newest is in `accord audit mail-to`'s mails, and in the bucket under checkpoints/",
        )
    return str(row.note)
