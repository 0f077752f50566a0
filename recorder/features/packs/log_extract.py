"""What a customer's log says of one recording, with what proves it: leaves, their bodies, inclusion proofs,
checkpoints that continue each other, timestamps.

Only leaves about the recording itself and about who was given its sound are taken, and only intact ones.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import merkle
from recorder.auditlog import consistency_proof, leaf_lookup, signed_note
from recorder.auditlog.checkpoint import read_at
from recorder.auditlog.inclusion_proof import endorsement_of, verify_checkpoint
from recorder.auditlog.signed_note import Head
from recorder.auditlog.timestamping import token_place, verify_token
from recorder.auditlog.tree_cache import CachedTree
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import CheckpointTable, LeafTable
from recorder.errors import AuditLogError
from recorder.seal import canonical_json
from recorder.seal.signing import Endorsement
from recorder.store.contract import Store
from recorder.strict_json import b64

KINDS: Final = (
    "recording.stored", "recording.rebuilt", "recording.amended", "listen.opened", "listen.closed",
    "recording.downloaded", "recording.exported", "recording.handed_over",
)  # fmt: skip
"""The kinds of leaves that a pack has: what the recording is, and who was given its sound. Bodies name
people by their ids alone."""

PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"
"""The first line of an inclusion proof (C2SP tlog-proof)."""


@dataclass(frozen=True, slots=True)
class LogExtract:
    """The ``files`` by name, and what they show: the ``number`` of the leaf that the recording was stored,
    the ``first`` signed checkpoint over it and the ``newest`` one (``None`` where none is signed yet), and
    the earliest time that an authority gave a checkpoint over it (``stamped_at``)."""

    files: tuple[tuple[str, bytes], ...]
    endorsements: tuple[Endorsement, ...]
    number: int | None
    first: Head | None
    newest: Head | None
    stamped_at: datetime | None


def extract_log(
    tenant: str, recording: str, store: Store, root: Ed25519PublicKey, certificates: bytes
) -> LogExtract:
    """What a customer's log says of a recording. A timestamp that the ``certificates`` (PEM, perhaps none)
    do not verify is left out. Raises :class:`AuditLogError` (``audit_log.rewritten``: the leaves are not
    those that were signed; ``checkpoint.…``), :class:`recorder.errors.SealError`,
    :class:`recorder.errors.CatalogueError`, :class:`recorder.errors.StoreError`."""
    known = {each.number for each in leaf_lookup.leaves_about(tenant, [recording], KINDS)}
    with connected():
        mine = (LeafTable.tenant == tenant) & LeafTable.number.in_(sorted(known))
        rows = list(LeafTable.select().where(mine).order_by(LeafTable.number))
    stored = next((row.number for row in rows if row.kind in KINDS[:2]), None)
    checkpoints = [] if stored is None else _checkpoints(tenant, stored)
    heads: dict[int, Head] = {}
    endorsements: dict[bytes, Endorsement] = {}
    files: list[tuple[str, bytes]] = []
    times: list[datetime] = []
    for row in checkpoints:
        head = signed_note.read(row.note.encode()).head
        endorsement = endorsement_of(store, head, root)
        heads[row.number] = verify_checkpoint(row.note, endorsement, root)
        endorsements[canonical_json.dump(endorsement.document())] = endorsement
        files.append((f"data/log/checkpoint-{row.number:010}.note", row.note.encode()))
        if row.stamped_at is not None and certificates:
            token = read_at(store, token_place(row.place))
            with suppress(AuditLogError):  # the audit names it
                times.append(verify_token(token, row.note.encode(), certificates))
                files.append((f"data/timestamps/checkpoint-{row.number:010}.tsr", token))
    newest = checkpoints[-1] if checkpoints else None
    for row in checkpoints[:-1]:
        assert newest is not None
        proof = consistency_proof.build_proof(tenant, row.number, newest.number, store, root)
        files.append((f"data/log/consistency-{row.number:010}-{newest.number:010}.json", proof))
    files += _leaf_files(tenant, rows, newest, None if newest is None else heads[newest.number])
    return LogExtract(
        files=tuple(files),
        endorsements=tuple(endorsements.values()),
        number=stored,
        first=heads[checkpoints[0].number] if checkpoints else None,
        newest=None if newest is None else heads[newest.number],
        stamped_at=min(times, default=None),
    )


def _checkpoints(tenant: str, leaf: int) -> list[CheckpointTable]:
    """The first stored checkpoint over a leaf, the first one with a timestamp and the newest, of the newest
    epoch: a log that was restarted does not continue its earlier checkpoints."""
    with connected():
        mine = (CheckpointTable.tenant_id == tenant) & (CheckpointTable.size > leaf)
        mine &= CheckpointTable.stored_at.is_null(False)
        rows = list(CheckpointTable.select().where(mine).order_by(CheckpointTable.number))
    rows = [row for row in rows if row.epoch == rows[-1].epoch]
    stamped = next((row for row in rows if row.stamped_at is not None), None)
    return sorted(
        {*rows[:1], *rows[-1:], *([] if stamped is None else [stamped])}, key=lambda row: row.number
    )


def _leaf_files(
    tenant: str, rows: list[LeafTable], newest: CheckpointTable | None, head: Head | None
) -> Iterator[tuple[str, bytes]]:
    tree = None if head is None else CachedTree(tenant, head.size)
    if tree is not None and head is not None and tree.root() != head.root:
        raise AuditLogError(
            "audit_log.rewritten",
            f"the leaves are not those of checkpoint {head.number}",
            "run `accord audit run` to list the changes",
        )
    for row in rows:
        stem = f"data/log/leaf-{row.number:010}"
        yield f"{stem}.json", row.leaf.encode()
        yield (
            f"{stem}.body.json",
            canonical_json.dump({"body": row.body, "salt": b64(bytes(row.salt or b""))}),
        )
        if tree is not None and newest is not None and row.number < tree.size:
            path = merkle.inclusion(row.number, tree.size, tree)
            yield f"{stem}.tlog-proof", inclusion_proof_text(row.number, path, newest.note)


def inclusion_proof_text(number: int, path: list[bytes], note: str) -> bytes:
    """An inclusion proof in the C2SP format, with the checkpoint that it is for."""
    hashes = "".join(f"{base64.b64encode(each).decode()}\n" for each in path)
    return f"{PROOF_HEADER}\nindex {number}\n{hashes}\n{note}".encode()
