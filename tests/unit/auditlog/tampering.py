"""Registers ways of tampering, each with the finding that an audit must report, and helps to write them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.auditlog import checkpoint, signed_note
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import CheckpointTable, LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.seal import canonical_json, signing
from recorder.seal.signing import CHECKPOINT, Signer, endorse

from .conftest import World

Change = Callable[[World], dict[str, Any] | None]
"""Changes something; returns arguments for the audit, if any."""

TAMPERINGS: dict[str, tuple[Change, str, str]] = {}
"""By name: the tampering, and the code and a part of the place of the expected finding."""


def found_as(code: str, where: str = "") -> Callable[[Change], Change]:
    """Register a tampering with its expected finding."""

    def register(change: Change) -> Change:
        TAMPERINGS[change.__name__] = (change, code, where)
        return change

    return register


def last_of(world: World) -> int:
    with connected():
        return LeafTable.select().where(LeafTable.tenant == world.tenant).count() - 1


def leaf_at(world: World, number: int) -> LeafTable:
    with connected():
        return LeafTable.get((LeafTable.tenant == world.tenant) & (LeafTable.number == number))


def write_checkpoint(world: World, number: int, text: str, head: signed_note.Head | None = None) -> None:
    """Change a checkpoint in the bucket and in the catalogue."""
    world.note(number).write_text(text)
    columns = {"note": text}
    if head is not None:
        columns |= {"root": head.root.hex(), "size": head.size, "at": head.at}
    with writing():
        CheckpointTable.update(**columns).where(CheckpointTable.number == number).execute()


def sign_anew(world: World, number: int, signer: Signer) -> None:
    head = replace(signed_note.read(world.note(number).read_bytes()).head, key=signer.key_id)
    write_checkpoint(world, number, signed_note.sign(head, signer), head)


def signer_of(world: World, endorsed=True, root=None, uses=(CHECKPOINT,), days=400) -> Signer:
    key = Ed25519PrivateKey.generate()
    known = signing.load_private(world.house.folder / "keys" / signing.ROOT_KEY)
    begin = world.house.clock() - timedelta(days=90)
    endorsement = endorse(root or known, key.public_key(), uses, begin, begin + timedelta(days=days))
    return Signer(key, endorsement)


def put_endorsement(world: World, signer: Signer) -> None:
    path = world.house.bucket / checkpoint.ENDORSEMENTS / f"{signer.key_id}-0.json"
    path.write_bytes(canonical_json.dump(signer.endorsement.document()))


def change_recording(world: World, **columns) -> None:
    with writing():
        assert RecordingTable.update(**columns).where(RecordingTable.id == world.live_recording).execute()


def object_of(world: World, name: str):
    return next(world.house.bucket.glob(f"*/*/*/*/{world.live_recording}/{name}"))
