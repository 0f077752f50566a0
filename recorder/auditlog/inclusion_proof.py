"""Proves that a leaf is in a signed log, to anyone with the proof file and the root's public key.

The file is canonical JSON (RFC 8785): the leaf, its body and salt (unless erased), its audit path (RFC 6962),
the checkpoint with the tree's root, and the endorsement of the key that signed the checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import merkle
from recorder.auditlog import signed_note
from recorder.auditlog.append import commitment
from recorder.auditlog.checkpoint import ENDORSEMENTS, read_at
from recorder.auditlog.signed_note import Head
from recorder.auditlog.tree_cache import CachedTree
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import CheckpointTable, LeafTable
from recorder.errors import AuditLogError, SealError
from recorder.seal import canonical_json, signing
from recorder.seal.signing import CHECKPOINT, Endorsement
from recorder.store.contract import Store
from recorder.strict_json import Form, Key, Sha256, Strict

TYPE: Final = "accord-log-inclusion"

_NO_PROOF: Final = (
    "the file proves nothing: ask the provider for another one, and compare with a checkpoint that you have"
)


@dataclass(frozen=True, slots=True)
class _Proof(Strict):
    """The content of the file. ``body`` and ``salt`` are ``None`` if they were erased."""

    leaf: str
    body: str | None
    salt: Key | None
    path: tuple[Sha256, ...]
    checkpoint: str
    endorsement: dict[str, Any]


_PROOF: Final = Form[_Proof](_Proof)


@dataclass(frozen=True, slots=True)
class ProvenLeaf:
    """The result of a verified file: the leaf, its body (``None`` if erased), and the checkpoint whose tree
    contains it."""

    leaf: dict[str, Any]
    body: dict[str, Any] | None
    head: Head


def find_leaves(about: str) -> Iterator[tuple[str, str, int, str, datetime]]:
    """Leaves about a recording, or the leaf with that id: their ids, tenants, numbers, kinds and times."""
    with connected():
        mine = (LeafTable.recording_id == about) | (LeafTable.id == about)
        for row in LeafTable.select().where(mine).order_by(LeafTable.number):
            yield row.id, row.tenant_id, row.number, row.kind, row.at


def build_proof(leaf_id: str, store: Store, root: Ed25519PublicKey, number: int | None = None) -> bytes:
    """The file for a leaf, with the first checkpoint that contains it, or with checkpoint ``number``.
    ``root`` is the installation's public key.

    Raises :class:`AuditLogError`: ``leaf.unknown``, ``audit_log.unsigned`` (no checkpoint contains it);
    :class:`recorder.errors.CatalogueError` (``audit_log.gap``), ``StoreError``.
    """
    with connected():
        leaf = LeafTable.get_or_none(LeafTable.id == leaf_id)
        if leaf is None:
            raise AuditLogError(
                "leaf.unknown", f"there is no leaf {leaf_id}", "run `accord audit leaves` to list them"
            )
        row = _checkpoint(leaf, number)
    stored = CachedTree(leaf.tenant_id, int(row.size))
    head = signed_note.read(row.note.encode()).head
    if stored.root() != head.root:
        raise AuditLogError(
            "audit_log.rewritten",
            f"the leaves are not those of checkpoint {row.number}",
            "run `accord audit run` to list the changes",
        )
    endorsement = endorsement_of(store, head, root)
    proof = _Proof(
        leaf=leaf.leaf,
        body=leaf.body,
        salt=None if leaf.salt is None else bytes(leaf.salt),
        path=tuple(each.hex() for each in merkle.inclusion(leaf.number, stored.size, stored)),
        checkpoint=row.note,
        endorsement=endorsement.document(),
    )
    return canonical_json.dump({"type": TYPE, "version": 1, **_PROOF.write(proof)})


def last_checkpoint(tenant: str, size: int, store: Store, root: Ed25519PublicKey) -> tuple[str, str] | None:
    """A log's last stored checkpoint with at most ``size`` leaves, and the endorsement of its key; ``None``
    if there is none. Raises ``StoreError``."""
    with connected():
        mine = (CheckpointTable.tenant_id == tenant) & CheckpointTable.stored_at.is_null(False)
        row = (
            CheckpointTable.select()
            .where(mine & (CheckpointTable.size <= size))
            .order_by(CheckpointTable.number.desc())
            .first()
        )
    if row is None:
        return None
    endorsement = endorsement_of(store, signed_note.read(row.note.encode()).head, root)
    return row.note, canonical_json.dump(endorsement.document()).decode()


def verify_proof(content: bytes, root: Ed25519PublicKey, checkpoint: bytes | None = None) -> ProvenLeaf:
    """Verify a file, with the root's public key alone. If ``checkpoint`` is given, received another way (by
    mail, for example), the file's must be the same.

    Raises :class:`SealError` (malformed, a key that the root did not endorse) and :class:`AuditLogError`:
    ``checkpoint.form``, ``checkpoint.signature``, ``checkpoint.other``, ``leaf.changed`` (its body does not
    match its commitment), ``leaf.not_in_it`` (it is not in the tree that was signed).
    """
    fields = canonical_json.take_constants(
        canonical_json.load(content, "file"), "file", {"type": TYPE, "version": 1}
    )
    proof = canonical_json.read(_PROOF, fields, "file")
    head = verify_checkpoint(proof.checkpoint, Endorsement.read(proof.endorsement, "file.endorsement"), root)
    if (
        checkpoint is not None
        and signed_note.read(checkpoint).alone() != signed_note.read(proof.checkpoint.encode()).alone()
    ):
        raise AuditLogError(
            "checkpoint.other",
            f"the file is for checkpoint {head.number} of {head.origin}, and yours is another one",
            "request a file for yours: `accord audit prove … --checkpoint NUMBER`",
        )
    leaf = canonical_json.load(proof.leaf.encode(), "leaf")
    if leaf.get("tenant") != head.tenant or type(leaf.get("number")) is not int:
        raise AuditLogError("leaf.changed", "the leaf and the checkpoint belong to different logs", _NO_PROOF)
    body, salt = proof.body, proof.salt
    committed = None if body is None or salt is None else commitment(salt, body.encode())
    if (body is None) != (salt is None) or (body is not None and leaf.get("commitment") != committed):
        raise AuditLogError("leaf.changed", "the body does not match the leaf's commitment", _NO_PROOF)
    if not merkle.check_inclusion(
        merkle.hash_leaf(proof.leaf.encode()),
        leaf["number"],
        head.size,
        [bytes.fromhex(each) for each in proof.path],
        head.root,
    ):
        raise AuditLogError("leaf.not_in_it", "the leaf is not in the signed tree", _NO_PROOF)
    return ProvenLeaf(leaf, None if body is None else json.loads(body), head)


def _checkpoint(leaf: LeafTable, number: int | None) -> CheckpointTable:
    mine = (CheckpointTable.tenant_id == leaf.tenant_id) & CheckpointTable.stored_at.is_null(False)
    mine &= CheckpointTable.number == number if number is not None else CheckpointTable.size > leaf.number
    row: CheckpointTable | None = (
        CheckpointTable.select().where(mine).order_by(CheckpointTable.number).first()
    )
    if row is None or row.size <= leaf.number:
        raise AuditLogError(
            "audit_log.unsigned",
            f"leaf {leaf.number} is not signed yet",
            "wait for the worker, which signs within the hour; if it does not, run `accord doctor`",
        )
    return row


def endorsement_of(store: Store, head: Head, root: Ed25519PublicKey) -> Endorsement:
    """The endorsement of the key that signed a checkpoint: the first one in the bucket that verifies. Raises
    :class:`AuditLogError` (``checkpoint.key_unknown``), ``StoreError``."""
    for place in store.list(f"{ENDORSEMENTS}{head.key}"):
        try:
            endorsement = Endorsement.read(canonical_json.load(read_at(store, place), "endorsement"))
            endorsement.check(root, CHECKPOINT, head.at)
        except SealError:
            continue  # the audit names it
        if endorsement.key_id == head.key:
            return endorsement
    raise AuditLogError(
        "checkpoint.key_unknown",
        f"no valid endorsement of key {head.key} is in the bucket",
        "look for an older version of its endorsement in the bucket",
    )


def verify_checkpoint(text: str, endorsement: Endorsement, root: Ed25519PublicKey) -> Head:
    """A checkpoint's content, after verifying its signature up to the root's key. Raises as
    :func:`verify_proof` does."""
    read = signed_note.read(text.encode())
    head = read.head
    if endorsement.key_id != head.key or head.installation != signing.key_id(root):
        raise SealError(
            "seal.endorsement_key", "the endorsement is for another key than the checkpoint's", _NO_PROOF
        )
    if not read.signed_by(endorsement.check(root, CHECKPOINT, head.at)):
        raise AuditLogError("checkpoint.signature", f"key {head.key} did not sign this checkpoint", _NO_PROOF)
    return head
