"""Proves that one checkpoint continues another, to anyone with the proof file and the root's public key.

The file is canonical JSON (RFC 8785): both checkpoints, each with the endorsement of the key that signed it,
and the consistency proof between them (RFC 6962, section 2.1.2). It reveals nothing about the log's content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import merkle
from recorder.auditlog import signed_note
from recorder.auditlog.inclusion_proof import endorsement_of, verify_checkpoint
from recorder.auditlog.signed_note import Head
from recorder.auditlog.tree_cache import CachedTree
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import CheckpointTable
from recorder.errors import AuditLogError
from recorder.seal import canonical_json
from recorder.seal.signing import Endorsement
from recorder.store.contract import Store
from recorder.strict_json import Form, Sha256, Strict

TYPE: Final = "accord-log-consistency"


@dataclass(frozen=True, slots=True)
class _End(Strict):
    checkpoint: str
    endorsement: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Proof(Strict):
    """The content of the file."""

    path: tuple[Sha256, ...]
    before: _End
    after: _End


_PROOF: Final = Form[_Proof](_Proof)


@dataclass(frozen=True, slots=True)
class ProvenContinuation:
    """The result of a verified file: every leaf of ``before`` is in ``after``, unchanged."""

    before: Head
    after: Head


def build_proof(tenant: str, before: int, after: int, store: Store, root: Ed25519PublicKey) -> bytes:
    """The file for two checkpoints of a tenant's log, by their numbers; ``root`` is the installation's public
    key.

    Raises :class:`AuditLogError`: ``checkpoint.unknown``, ``audit_log.restarted`` (the log began a new epoch
    between them), ``audit_log.rewritten`` (the leaves are not those that were signed);
    :class:`recorder.errors.CatalogueError` (``audit_log.gap``), ``StoreError``.
    """
    notes = [_note(tenant, number) for number in sorted((before, after))]
    old, new = (signed_note.read(each.encode()).head for each in notes)
    if old.epoch != new.epoch:
        raise AuditLogError(
            "audit_log.restarted",
            f"the log began a new epoch between checkpoints {old.number} and {new.number}",
            "run `accord audit run`: the leaf log.restarted has the reason",
        )
    stored = CachedTree(tenant, new.size)
    path = merkle.consistency(old.size, new.size, stored)
    if not merkle.check_consistency(old.size, new.size, path, old.root, new.root):
        raise AuditLogError(
            "audit_log.rewritten",
            f"the leaves are not those of checkpoints {old.number} and {new.number}",
            "run `accord audit run` to list the changes",
        )
    proof = _Proof(
        path=tuple(each.hex() for each in path),
        before=_End(notes[0], endorsement_of(store, old, root).document()),
        after=_End(notes[1], endorsement_of(store, new, root).document()),
    )
    return canonical_json.dump({"type": TYPE, "version": 1, **_PROOF.write(proof)})


def verify_proof(
    content: bytes, root: Ed25519PublicKey, checkpoint: bytes | None = None
) -> ProvenContinuation:
    """Verify a file, with the root's public key alone. If ``checkpoint`` is given, received another way, it
    must be one of the two.

    Raises :class:`SealError` (malformed, a key that the root did not endorse) and :class:`AuditLogError`:
    ``checkpoint.form``, ``checkpoint.signature``, ``checkpoint.other``, ``checkpoint.not_followed``.
    """
    fields = canonical_json.take_constants(
        canonical_json.load(content, "file"), "file", {"type": TYPE, "version": 1}
    )
    proof = canonical_json.read(_PROOF, fields, "file")
    ends = {"before": proof.before, "after": proof.after}
    keys = [Endorsement.read(end.endorsement, f"file.{name}.endorsement") for name, end in ends.items()]
    texts = [end.checkpoint for end in ends.values()]
    old, new = (verify_checkpoint(text, key, root) for text, key in zip(texts, keys, strict=True))
    proven = [signed_note.read(text.encode()).alone() for text in texts]
    if checkpoint is not None and signed_note.read(checkpoint).alone() not in proven:
        raise AuditLogError(
            "checkpoint.other",
            f"the file is for checkpoints {old.number} and {new.number} of {new.origin}, not for yours",
            "request a file for yours: `accord audit prove-consistency --from NUMBER`",
        )
    path = [bytes.fromhex(each) for each in proof.path]
    same = (old.tenant, old.epoch) == (new.tenant, new.epoch)
    if not same or not merkle.check_consistency(old.size, new.size, path, old.root, new.root):
        raise AuditLogError(
            "checkpoint.not_followed",
            f"checkpoint {new.number} does not continue checkpoint {old.number}",
            "compare both with mailed ones: the log was changed between them, or they are of different logs",
        )
    return ProvenContinuation(old, new)


def _note(tenant: str, number: int) -> str:
    with connected():
        mine = (CheckpointTable.tenant_id == tenant) & (CheckpointTable.number == number)
        row = CheckpointTable.get_or_none(mine & CheckpointTable.stored_at.is_null(False))
    if row is None:
        raise AuditLogError(
            "checkpoint.unknown",
            f"the customer's log has no checkpoint {number}",
            "see the mailed checkpoints (`accord audit mail add`), or checkpoints/ in the bucket",
        )
    return str(row.note)
