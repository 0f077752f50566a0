"""Changes to leaves, their bodies, and what was signed of them."""

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
def a_leaf_is_deleted(world: World) -> None:
    with writing():
        LeafTable.delete().where(LeafTable.number == 3).execute()


@found_as("leaf.missing", "leaf 0")
def the_first_leaves_are_deleted(world: World) -> None:
    with writing():
        LeafTable.delete().where(LeafTable.number < 4).execute()


@found_as("log.size")
def the_last_leaf_is_deleted(world: World) -> None:
    with writing():
        LeafTable.delete().where(LeafTable.number == last_of(world)).execute()


@found_as("log.behind", "checkpoint 3")
def the_last_leaf_is_deleted_and_the_count_put_right(world: World) -> None:
    the_last_leaf_is_deleted(world)
    with writing():
        TenantTable.update(log_size=TenantTable.log_size - 1).execute()


@found_as("leaf.changed", "leaf 2")
def a_leafs_words_are_changed(world: World) -> None:
    leaf = leaf_at(world, 2)
    world.change(2, leaf=leaf.leaf.replace(leaf.kind, "line.ended"))


@found_as("leaf.changed", "leaf 2")
def a_leaf_is_made_unreadable(world: World) -> None:
    world.change(2, leaf="{}")


@found_as("leaf.changed", "leaf 2")
def a_leaf_says_of_a_new_log_what_nobody_writes(world: World) -> None:
    body, salt = "{}", bytes(32)
    said = json.loads(leaf_at(world, 2).leaf) | {"kind": "log.restarted"}
    said["commitment"] = hmac.new(salt, body.encode(), hashlib.sha256).hexdigest()
    text = rfc8785.dumps(said)
    world.change(2, kind="log.restarted", body=body, salt=salt, leaf=text.decode(), leaf_hash=leaf_hash(text))


@found_as("leaf.changed", "leaf 2")
def a_leafs_hash_becomes_something_else(world: World) -> None:
    world.change(2, leaf="7", leaf_hash="x")


@found_as("checkpoint.row_differs", "/2")
def a_checkpoints_row_is_made_unreadable(world: World) -> None:
    with writing():
        database.execute_sql("UPDATE log_checkpoint SET at = 'x' WHERE number = 2")


@found_as("leaf.row_differs", "leaf 2")
def a_leafs_kind_is_changed_in_its_row(world: World) -> None:
    world.change(2, kind="line.ended")


@found_as("leaf.row_differs", "leaf 2")
def a_leafs_time_is_changed_in_its_row(world: World) -> None:
    world.change(2, at=leaf_at(world, 2).at + timedelta(seconds=1))


@found_as("leaf.hash", "leaf 2")
def a_leafs_hash_is_changed(world: World) -> None:
    world.change(2, leaf_hash="00" * 32)


def write_anew(world: World, number: int, was: str, becomes: str) -> None:
    """A leaf says something else, with everything that belongs to it."""
    leaf = leaf_at(world, number)
    body, salt = leaf.body.replace(was, becomes), bytes(32)
    assert body != leaf.body
    said = json.loads(leaf.leaf) | {"commitment": hmac.new(salt, body.encode(), hashlib.sha256).hexdigest()}
    text = rfc8785.dumps(said)
    world.change(number, body=body, salt=salt, leaf=text.decode(), leaf_hash=leaf_hash(text))


@found_as("log.rewritten", "checkpoint 1")
def a_leaf_is_written_anew_with_everything_that_belongs_to_it(world: World) -> None:
    write_anew(world, 2, "notice", "opt-out")


@found_as("log.rewritten", "checkpoint 1")
def two_leaves_change_places(world: World) -> None:
    one, two = leaf_at(world, 1), leaf_at(world, 2)
    with writing():
        for leaf, number in ((one, -1), (two, 1), (one, 2)):
            text = rfc8785.dumps(json.loads(leaf.leaf) | {"number": number})
            columns = {"number": number, "leaf": text.decode(), "leaf_hash": leaf_hash(text)}
            LeafTable.update(**columns).where(LeafTable.id == leaf.id).execute()


@found_as("log.rewritten", "checkpoint 3")
def what_was_added_after_the_second_checkpoint_is_another_history(world: World) -> None:
    size = world.checkpoint(2).size
    with writing():
        LeafTable.delete().where(LeafTable.number >= size).execute()
        TenantTable.update(log_size=size).execute()
        for _ in range(world.checkpoint(3).size - size + 3):
            append(world.tenant, "x", {}, world.house.clock(), world.house.entropy)


@found_as("body.changed", "leaf 2")
def a_leafs_body_is_changed(world: World) -> None:
    world.change(2, body=leaf_at(world, 2).body.replace("notice", "opt-out"))


@found_as("body.changed", "leaf 2")
def a_leafs_salt_is_changed(world: World) -> None:
    world.change(2, salt=bytes(32))


@found_as("body.missing", "leaf 2")
def a_leafs_body_is_deleted(world: World) -> None:
    world.change(2, body=None)


@found_as("body.missing")
def body_and_salt_of_a_recording_that_was_not_erased_are_deleted(world: World) -> None:
    world.change(world.leaf("recording.stored", 1).number, body=None, salt=None)


@found_as("body.missing", "leaf 2")
def body_and_salt_are_deleted_and_said_to_be_about_the_erased_recording(world: World) -> None:
    world.change(2, body=None, salt=None, recording_id=world.erased)


# --- what was signed


@found_as("checkpoint.missing", "checkpoint 2")
def a_checkpoint_is_deleted_from_the_bucket(world: World) -> None:
    world.note(2).unlink()


@found_as("checkpoint.unlisted", "checkpoint 2")
def a_checkpoint_is_deleted_from_the_catalogue(world: World) -> None:
    with writing():
        CheckpointTable.delete().where(CheckpointTable.number == 2).execute()


@found_as("checkpoint.missing", "checkpoint 2")
def a_checkpoint_is_deleted_from_both(world: World) -> None:
    a_checkpoint_is_deleted_from_the_bucket(world)
    a_checkpoint_is_deleted_from_the_catalogue(world)


@found_as("checkpoint.row_differs", "checkpoint 2")
def a_checkpoints_root_is_changed_in_its_row(world: World) -> None:
    with writing():
        CheckpointTable.update(root="00" * 32).where(CheckpointTable.number == 2).execute()


@found_as("checkpoint.differs", "checkpoint 2")
def a_checkpoint_is_changed_in_the_bucket(world: World) -> None:
    path = world.note(2)
    path.write_text(path.read_text().replace("\n1", "\n2", 1))


@found_as("checkpoint.signature", "checkpoint 2")
def a_checkpoint_is_changed_in_both(world: World) -> None:
    head = signed_note.read(world.note(2).read_bytes()).head
    changed = replace(head, size=head.size - 1)
    text = changed.text() + world.note(2).read_text()[len(head.text()) :]
    write_checkpoint(world, 2, text, changed)


@found_as("checkpoint.form", "checkpoint 2")
def a_checkpoint_becomes_something_else(world: World) -> None:
    write_checkpoint(world, 2, "nothing\n")


@found_as("checkpoint.foreign", "checkpoint 2")
def a_checkpoint_is_put_in_anothers_place(world: World) -> None:
    write_checkpoint(world, 2, world.note(1).read_text())


@found_as("checkpoint.foreign", "checkpoint 2")
def a_checkpoint_of_another_customers_takes_its_place(world: World) -> None:
    head = signed_note.read(world.note(2).read_bytes()).head
    other = replace(head, tenant="01930000-0000-7000-8000-00000000000b")
    write_checkpoint(world, 2, signed_note.sign(other, world.house.means.signer))


@found_as("checkpoint.foreign", "0000000002.txt")
def something_else_is_put_among_the_checkpoints(world: World) -> None:
    world.note(2).with_suffix(".txt").write_text("x")


@found_as("checkpoint.key_unknown", "checkpoint 3")
def the_last_checkpoint_is_signed_by_a_key_that_nobody_endorsed(world: World) -> None:
    sign_anew(world, 3, signer_of(world, endorsed=False))


@found_as("seal.endorsement_root", "checkpoint 3")
def the_last_checkpoint_is_signed_by_a_key_of_another_root(world: World) -> None:
    signer = signer_of(world, root=Ed25519PrivateKey.generate())
    put_endorsement(world, signer)
    sign_anew(world, 3, signer)


@found_as("seal.endorsement_use", "checkpoint 3")
def the_last_checkpoint_is_signed_by_a_key_for_something_else(world: World) -> None:
    signer = signer_of(world, uses=("manifest",))
    put_endorsement(world, signer)
    sign_anew(world, 3, signer)


@found_as("seal.endorsement_time", "checkpoint 3")
def the_last_checkpoint_is_signed_by_a_key_whose_time_was_over(world: World) -> None:
    signer = signer_of(world, days=1)
    put_endorsement(world, signer)
    sign_anew(world, 3, signer)


@found_as("endorsement.form", "checkpoints/endorsements/")
def an_endorsement_is_changed(world: World) -> None:
    (path,) = (world.house.bucket / checkpoint.ENDORSEMENTS).iterdir()
    path.write_bytes(path.read_bytes()[:-2])


@found_as("checkpoint.predecessor", "checkpoint 3")
def a_checkpoint_follows_another_one_than_is_there(world: World) -> None:
    head = signed_note.read(world.note(3).read_bytes()).head
    changed = replace(head, before="00" * 32)
    write_checkpoint(world, 3, signed_note.sign(changed, world.house.means.signer), changed)


@found_as("checkpoint.order", "checkpoint 3")
def a_checkpoint_is_dated_back(world: World) -> None:
    head = signed_note.read(world.note(3).read_bytes()).head
    changed = replace(head, at=signed_note.read(world.note(1).read_bytes()).head.at)
    write_checkpoint(world, 3, signed_note.sign(changed, world.house.means.signer), changed)


@found_as("checkpoint.from_the_future", "checkpoint 3")
def a_checkpoint_is_dated_ahead(world: World) -> None:
    head = signed_note.read(world.note(3).read_bytes()).head
    changed = replace(head, at=world.house.clock() + timedelta(hours=1))
    write_checkpoint(world, 3, signed_note.sign(changed, world.house.means.signer), changed)


@found_as("checkpoint.fork", "checkpoint 3")
def two_are_signed_of_one_number(world: World) -> None:
    head = signed_note.read(world.note(3).read_bytes()).head
    other = signed_note.sign(replace(head, root=bytes(32)), world.house.means.signer)
    with writing():
        CheckpointTable.update(note=other, root="00" * 32).where(CheckpointTable.number == 3).execute()


@found_as("checkpoint.fork", "checkpoint 2")
def one_is_signed_of_another_history_than_the_one_after_it(world: World) -> None:
    second, third = (signed_note.read(world.note(each).read_bytes()).head for each in (2, 3))
    changed = replace(second, root=bytes(32))
    text = signed_note.sign(changed, world.house.means.signer)
    write_checkpoint(world, 2, text, changed)
    later = replace(third, before=signed_note.fingerprint(text))
    write_checkpoint(world, 3, signed_note.sign(later, world.house.means.signer), later)


@found_as("log.behind", "checkpoint 3")
def an_old_copy_of_the_catalogue_is_brought_back(world: World) -> None:
    size = world.checkpoint(2).size
    with writing():
        LeafTable.delete().where(LeafTable.number >= size).execute()
        CheckpointTable.delete().where(CheckpointTable.number == 3).execute()
        TenantTable.update(log_size=size).execute()


@found_as("log.rewritten")
def an_old_copy_goes_on_by_itself(world: World) -> None:
    an_old_copy_of_the_catalogue_is_brought_back(world)
    for _ in range(40):
        world.happen()


@found_as("log.not_signed")
def the_log_is_not_signed_any_more(world: World) -> None:
    world.happen()
    world.house.clock.forward(hours=4)
