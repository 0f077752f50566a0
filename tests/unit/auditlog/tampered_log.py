"""Tampering with leaves, their bodies, and checkpoints."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.auditlog import checkpoint, signed_note
from recorder.auditlog.append import append, leaf_hash
from recorder.catalogue.database import database, writing
from recorder.catalogue.tables.audit_log import CheckpointTable, LeafTable
from recorder.catalogue.tables.tenant import TenantTable

from .conftest import World
from .tampering import found_as, last_of, leaf_at, put_endorsement, sign_anew, signer_of, write_checkpoint

# --- leaves and their bodies


@found_as("leaf.missing", "leaf 3")
def deleted_leaf(world: World) -> None:
    with writing():
        LeafTable.delete().where(LeafTable.number == 3).execute()


@found_as("leaf.missing", "leaf 0")
def deleted_first_leaves(world: World) -> None:
    with writing():
        LeafTable.delete().where(LeafTable.number < 4).execute()


@found_as("log.size")
def deleted_last_leaf(world: World) -> None:
    with writing():
        LeafTable.delete().where(LeafTable.number == last_of(world)).execute()


@found_as("log.behind", "checkpoint 3")
def deleted_last_leaf_with_corrected_count(world: World) -> None:
    deleted_last_leaf(world)
    with writing():
        TenantTable.update(log_size=TenantTable.log_size - 1).execute()


@found_as("leaf.changed", "leaf 2")
def changed_leaf_text(world: World) -> None:
    leaf = leaf_at(world, 2)
    world.change(2, leaf=leaf.leaf.replace(leaf.kind, "line.ended"))


@found_as("leaf.changed", "leaf 2")
def malformed_leaf(world: World) -> None:
    world.change(2, leaf="{}")


@found_as("leaf.changed", "leaf 2")
def malformed_restart_leaf(world: World) -> None:
    body, salt = "{}", bytes(32)
    bodies = json.loads(leaf_at(world, 2).leaf) | {"kind": "log.restarted"}
    bodies["commitment"] = hmac.new(salt, body.encode(), hashlib.sha256).hexdigest()
    text = rfc8785.dumps(bodies)
    world.change(2, kind="log.restarted", body=body, salt=salt, leaf=text.decode(), leaf_hash=leaf_hash(text))


@found_as("leaf.changed", "leaf 2")
def malformed_leaf_hash(world: World) -> None:
    world.change(2, leaf="7", leaf_hash="x")


@found_as("checkpoint.row_differs", "/2")
def unreadable_row_of_checkpoint(world: World) -> None:
    with writing():
        database.execute_sql("UPDATE log_checkpoint SET at = 'x' WHERE number = 2")


@found_as("leaf.row_differs", "leaf 2")
def changed_kind_in_leaf_row(world: World) -> None:
    world.change(2, kind="line.ended")


@found_as("leaf.row_differs", "leaf 2")
def changed_time_in_leaf_row(world: World) -> None:
    world.change(2, at=leaf_at(world, 2).at + timedelta(seconds=1))


@found_as("leaf.hash", "leaf 2")
def changed_leaf_hash(world: World) -> None:
    world.change(2, leaf_hash="00" * 32)


def write_anew(world: World, number: int, was: str, becomes: str) -> None:
    """Change a leaf's body, and everything that depends on it."""
    leaf = leaf_at(world, number)
    body, salt = leaf.body.replace(was, becomes), bytes(32)
    assert body != leaf.body
    bodies = json.loads(leaf.leaf) | {"commitment": hmac.new(salt, body.encode(), hashlib.sha256).hexdigest()}
    text = rfc8785.dumps(bodies)
    world.change(number, body=body, salt=salt, leaf=text.decode(), leaf_hash=leaf_hash(text))


@found_as("log.rewritten", "checkpoint 1")
def consistently_rewritten_leaf(world: World) -> None:
    write_anew(world, 2, "notice", "opt-out")


@found_as("log.rewritten", "checkpoint 1")
def swapped_leaves(world: World) -> None:
    one, two = leaf_at(world, 1), leaf_at(world, 2)
    with writing():
        for leaf, number in ((one, -1), (two, 1), (one, 2)):
            text = rfc8785.dumps(json.loads(leaf.leaf) | {"number": number})
            columns = {"number": number, "leaf": text.decode(), "leaf_hash": leaf_hash(text)}
            LeafTable.update(**columns).where(LeafTable.id == leaf.id).execute()


@found_as("log.rewritten", "checkpoint 3")
def rewritten_leaves_after_checkpoint(world: World) -> None:
    size = world.checkpoint(2).size
    with writing():
        LeafTable.delete().where(LeafTable.number >= size).execute()
        TenantTable.update(log_size=size).execute()
        for _ in range(world.checkpoint(3).size - size + 3):
            append(world.tenant, "x", {}, world.house.clock(), world.house.entropy)


@found_as("body.changed", "leaf 2")
def changed_body(world: World) -> None:
    world.change(2, body=leaf_at(world, 2).body.replace("notice", "opt-out"))


@found_as("body.changed", "leaf 2")
def changed_salt(world: World) -> None:
    world.change(2, salt=bytes(32))


@found_as("body.missing", "leaf 2")
def deleted_body(world: World) -> None:
    world.change(2, body=None)


@found_as("body.missing")
def deleted_body_of_kept_recording(world: World) -> None:
    world.change(world.leaf("recording.stored", 1).number, body=None, salt=None)


@found_as("body.missing", "leaf 2")
def deleted_body_assigned_to_erased_recording(world: World) -> None:
    world.change(2, body=None, salt=None, recording_id=world.erased)


# --- what was signed


@found_as("checkpoint.missing", "checkpoint 2")
def deleted_checkpoint_in_bucket(world: World) -> None:
    world.note(2).unlink()


@found_as("checkpoint.unlisted", "checkpoint 2")
def deleted_checkpoint_row(world: World) -> None:
    with writing():
        CheckpointTable.delete().where(CheckpointTable.number == 2).execute()


@found_as("checkpoint.missing", "checkpoint 2")
def deleted_checkpoint(world: World) -> None:
    deleted_checkpoint_in_bucket(world)
    deleted_checkpoint_row(world)


@found_as("checkpoint.row_differs", "checkpoint 2")
def changed_root_in_checkpoint_row(world: World) -> None:
    with writing():
        CheckpointTable.update(root="00" * 32).where(CheckpointTable.number == 2).execute()


@found_as("checkpoint.differs", "checkpoint 2")
def changed_checkpoint_in_bucket(world: World) -> None:
    path = world.note(2)
    path.write_text(path.read_text().replace("\n1", "\n2", 1))


@found_as("checkpoint.signature", "checkpoint 2")
def changed_checkpoint(world: World) -> None:
    head = signed_note.read(world.note(2).read_bytes()).head
    changed = replace(head, size=head.size - 1)
    text = changed.text() + world.note(2).read_text()[len(head.text()) :]
    write_checkpoint(world, 2, text, changed)


@found_as("checkpoint.form", "checkpoint 2")
def malformed_checkpoint(world: World) -> None:
    write_checkpoint(world, 2, "nothing\n")


@found_as("checkpoint.foreign", "checkpoint 2")
def checkpoint_under_wrong_number(world: World) -> None:
    write_checkpoint(world, 2, world.note(1).read_text())


@found_as("checkpoint.foreign", "checkpoint 2")
def checkpoint_of_another_customer(world: World) -> None:
    head = signed_note.read(world.note(2).read_bytes()).head
    other = replace(head, tenant="01930000-0000-7000-8000-00000000000b")
    write_checkpoint(world, 2, signed_note.sign(other, world.house.services.signer))


@found_as("checkpoint.foreign", "0000000002.txt")
def unknown_object_among_checkpoints(world: World) -> None:
    world.note(2).with_suffix(".txt").write_text("x")


@found_as("checkpoint.key_unknown", "checkpoint 3")
def checkpoint_signed_by_unendorsed_key(world: World) -> None:
    sign_anew(world, 3, signer_of(world, endorsed=False))


@found_as("seal.endorsement_root", "checkpoint 3")
def checkpoint_signed_by_key_of_another_root(world: World) -> None:
    signer = signer_of(world, root=Ed25519PrivateKey.generate())
    put_endorsement(world, signer)
    sign_anew(world, 3, signer)


@found_as("seal.endorsement_use", "checkpoint 3")
def checkpoint_signed_by_key_for_another_use(world: World) -> None:
    signer = signer_of(world, uses=("manifest",))
    put_endorsement(world, signer)
    sign_anew(world, 3, signer)


@found_as("seal.endorsement_time", "checkpoint 3")
def checkpoint_signed_by_expired_key(world: World) -> None:
    signer = signer_of(world, days=1)
    put_endorsement(world, signer)
    sign_anew(world, 3, signer)


@found_as("endorsement.form", "checkpoints/endorsements/")
def changed_endorsement(world: World) -> None:
    (path,) = (world.house.bucket / checkpoint.ENDORSEMENTS).iterdir()
    path.write_bytes(path.read_bytes()[:-2])


@found_as("checkpoint.predecessor", "checkpoint 3")
def checkpoint_with_wrong_predecessor(world: World) -> None:
    head = signed_note.read(world.note(3).read_bytes()).head
    changed = replace(head, before="00" * 32)
    write_checkpoint(world, 3, signed_note.sign(changed, world.house.services.signer), changed)


@found_as("checkpoint.order", "checkpoint 3")
def backdated_checkpoint(world: World) -> None:
    head = signed_note.read(world.note(3).read_bytes()).head
    changed = replace(head, at=signed_note.read(world.note(1).read_bytes()).head.at)
    write_checkpoint(world, 3, signed_note.sign(changed, world.house.services.signer), changed)


@found_as("checkpoint.from_the_future", "checkpoint 3")
def checkpoint_from_the_future(world: World) -> None:
    head = signed_note.read(world.note(3).read_bytes()).head
    changed = replace(head, at=world.house.clock() + timedelta(hours=1))
    write_checkpoint(world, 3, signed_note.sign(changed, world.house.services.signer), changed)


@found_as("checkpoint.fork", "checkpoint 3")
def two_checkpoints_with_one_number(world: World) -> None:
    head = signed_note.read(world.note(3).read_bytes()).head
    other = signed_note.sign(replace(head, root=bytes(32)), world.house.services.signer)
    with writing():
        CheckpointTable.update(note=other, root="00" * 32).where(CheckpointTable.number == 3).execute()


@found_as("checkpoint.fork", "checkpoint 2")
def checkpoint_of_another_history(world: World) -> None:
    second, third = (signed_note.read(world.note(each).read_bytes()).head for each in (2, 3))
    changed = replace(second, root=bytes(32))
    text = signed_note.sign(changed, world.house.services.signer)
    write_checkpoint(world, 2, text, changed)
    later = replace(third, before=signed_note.fingerprint(text))
    write_checkpoint(world, 3, signed_note.sign(later, world.house.services.signer), later)


@found_as("log.behind", "checkpoint 3")
def restored_old_catalogue(world: World) -> None:
    size = world.checkpoint(2).size
    with writing():
        LeafTable.delete().where(LeafTable.number >= size).execute()
        CheckpointTable.delete().where(CheckpointTable.number == 3).execute()
        TenantTable.update(log_size=size).execute()


@found_as("log.rewritten")
def continued_old_catalogue(world: World) -> None:
    restored_old_catalogue(world)
    for _ in range(40):
        world.happen()


@found_as("log.not_signed")
def unsigned_log(world: World) -> None:
    world.happen()
    world.house.clock.forward(hours=4)
