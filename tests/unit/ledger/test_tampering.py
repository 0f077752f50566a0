"""What somebody can do who has the catalogue, the bucket, or an old copy of one: each is found, and named."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.catalogue import composing, customers, keeping, people
from recorder.catalogue.logged import Checkpoint, Subtree
from recorder.catalogue.models import (
    Amendment,
    Grant,
    LedgerEntry,
    Line,
    Listen,
    NotRecorded,
    Recording,
    Tenant,
    User,
    connected,
    writing,
)
from recorder.catalogue.rows import Keeping
from recorder.ledger import checkpoint, note
from recorder.ledger.append import append, forget, leaf_hash
from recorder.seal import canonical, signing
from recorder.seal.signing import CHECKPOINT, Signer, endorse

from .conftest import World, make_world

Tampering = Callable[[World], None]
TAMPERINGS: dict[str, tuple[Tampering, str, str]] = {}
"""By what is done: how, and the code and the place that are named."""


def found_as(code: str, where: str = "") -> Callable[[Tampering], Tampering]:
    def keep(how: Tampering) -> Tampering:
        TAMPERINGS[how.__name__] = (how, code, where)
        return how

    return keep


# --- leaves and their bodies


@found_as("leaf.missing", "leaf 3")
def a_leaf_is_deleted(world: World) -> None:
    with writing():
        LedgerEntry.delete().where(LedgerEntry.number == 3).execute()


@found_as("leaf.missing", "leaf 0")
def the_first_leaves_are_deleted(world: World) -> None:
    with writing():
        LedgerEntry.delete().where(LedgerEntry.number < 4).execute()


@found_as("log.size")
def the_last_leaf_is_deleted(world: World) -> None:
    with writing():
        LedgerEntry.delete().where(LedgerEntry.number == _last(world)).execute()


@found_as("log.behind", "checkpoint 3")
def the_last_leaf_is_deleted_and_the_count_put_right(world: World) -> None:
    the_last_leaf_is_deleted(world)
    with writing():
        Tenant.update(ledger_size=Tenant.ledger_size - 1).execute()


@found_as("leaf.changed", "leaf 2")
def a_leafs_words_are_changed(world: World) -> None:
    leaf = _leaf(world, 2)
    world.change(2, leaf=leaf.leaf.replace(leaf.kind, "line.ended"))


@found_as("leaf.changed", "leaf 2")
def a_leaf_is_made_unreadable(world: World) -> None:
    world.change(2, leaf="{}")


@found_as("leaf.row_differs", "leaf 2")
def a_leafs_kind_is_changed_in_its_row(world: World) -> None:
    world.change(2, kind="line.ended")


@found_as("leaf.row_differs", "leaf 2")
def a_leafs_time_is_changed_in_its_row(world: World) -> None:
    world.change(2, at=_leaf(world, 2).at + timedelta(seconds=1))


@found_as("leaf.hash", "leaf 2")
def a_leafs_hash_is_changed(world: World) -> None:
    world.change(2, leaf_hash="00" * 32)


@found_as("log.rewritten", "checkpoint 1")
def a_leaf_is_written_anew_with_everything_that_belongs_to_it(world: World) -> None:
    leaf = _leaf(world, 2)
    body, salt = leaf.body.replace("notice", "opt-out"), bytes(32)
    assert body != leaf.body
    said = json.loads(leaf.leaf) | {"commitment": hmac.new(salt, body.encode(), hashlib.sha256).hexdigest()}
    text = rfc8785.dumps(said)
    world.change(2, body=body, salt=salt, leaf=text.decode(), leaf_hash=leaf_hash(text))


@found_as("log.rewritten", "checkpoint 1")
def two_leaves_change_places(world: World) -> None:
    one, two = _leaf(world, 1), _leaf(world, 2)
    with writing():
        for leaf, number in ((one, -1), (two, 1), (one, 2)):
            text = rfc8785.dumps(json.loads(leaf.leaf) | {"number": number})
            columns = {"number": number, "leaf": text.decode(), "leaf_hash": leaf_hash(text)}
            LedgerEntry.update(**columns).where(LedgerEntry.id == leaf.id).execute()


@found_as("log.rewritten", "checkpoint 3")
def what_was_added_after_the_second_checkpoint_is_another_history(world: World) -> None:
    size = world.checkpoint(2).size
    with writing():
        LedgerEntry.delete().where(LedgerEntry.number >= size).execute()
        Tenant.update(ledger_size=size).execute()
        for _ in range(world.checkpoint(3).size - size + 3):
            append(world.tenant, "x", {}, world.house.clock(), world.house.entropy)


@found_as("body.changed", "leaf 2")
def a_leafs_body_is_changed(world: World) -> None:
    world.change(2, body=_leaf(world, 2).body.replace("notice", "opt-out"))


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
        Checkpoint.delete().where(Checkpoint.number == 2).execute()


@found_as("checkpoint.missing", "checkpoint 2")
def a_checkpoint_is_deleted_from_both(world: World) -> None:
    a_checkpoint_is_deleted_from_the_bucket(world)
    a_checkpoint_is_deleted_from_the_catalogue(world)


@found_as("checkpoint.row_differs", "checkpoint 2")
def a_checkpoints_root_is_changed_in_its_row(world: World) -> None:
    with writing():
        Checkpoint.update(root="00" * 32).where(Checkpoint.number == 2).execute()


@found_as("checkpoint.differs", "checkpoint 2")
def a_checkpoint_is_changed_in_the_bucket(world: World) -> None:
    path = world.note(2)
    path.write_text(path.read_text().replace("\n1", "\n2", 1))


@found_as("checkpoint.signature", "checkpoint 2")
def a_checkpoint_is_changed_in_both(world: World) -> None:
    head = note.read(world.note(2).read_bytes()).head
    changed = replace(head, size=head.size - 1)
    text = changed.text() + world.note(2).read_text()[len(head.text()) :]
    _write(world, 2, text, changed)


@found_as("checkpoint.form", "checkpoint 2")
def a_checkpoint_becomes_something_else(world: World) -> None:
    _write(world, 2, "nothing\n")


@found_as("checkpoint.foreign", "checkpoint 2")
def a_checkpoint_is_put_in_anothers_place(world: World) -> None:
    _write(world, 2, world.note(1).read_text())


@found_as("checkpoint.foreign", "checkpoint 2")
def a_checkpoint_of_another_customers_takes_its_place(world: World) -> None:
    head = note.read(world.note(2).read_bytes()).head
    other = replace(head, tenant="01930000-0000-7000-8000-00000000000b")
    _write(world, 2, note.sign(other, world.house.means.signer))


@found_as("checkpoint.foreign", "0000000002.txt")
def something_else_is_put_among_the_checkpoints(world: World) -> None:
    world.note(2).with_suffix(".txt").write_text("x")


@found_as("checkpoint.key_unknown", "checkpoint 3")
def the_last_checkpoint_is_signed_by_a_key_that_nobody_endorsed(world: World) -> None:
    _sign_anew(world, 3, _signer(world, endorsed=False))


@found_as("seal.endorsement_root", "checkpoint 3")
def the_last_checkpoint_is_signed_by_a_key_of_another_root(world: World) -> None:
    signer = _signer(world, root=Ed25519PrivateKey.generate())
    _put_endorsement(world, signer)
    _sign_anew(world, 3, signer)


@found_as("seal.endorsement_use", "checkpoint 3")
def the_last_checkpoint_is_signed_by_a_key_for_something_else(world: World) -> None:
    signer = _signer(world, uses=("manifest",))
    _put_endorsement(world, signer)
    _sign_anew(world, 3, signer)


@found_as("seal.endorsement_time", "checkpoint 3")
def the_last_checkpoint_is_signed_by_a_key_whose_time_was_over(world: World) -> None:
    signer = _signer(world, days=1)
    _put_endorsement(world, signer)
    _sign_anew(world, 3, signer)


@found_as("endorsement.form", "checkpoints/endorsements/")
def an_endorsement_is_changed(world: World) -> None:
    (path,) = (world.house.bucket / checkpoint.ENDORSEMENTS).iterdir()
    path.write_bytes(path.read_bytes()[:-2])


@found_as("checkpoint.predecessor", "checkpoint 3")
def a_checkpoint_follows_another_one_than_is_there(world: World) -> None:
    head = note.read(world.note(3).read_bytes()).head
    changed = replace(head, before="00" * 32)
    _write(world, 3, note.sign(changed, world.house.means.signer), changed)


@found_as("checkpoint.order", "checkpoint 3")
def a_checkpoint_is_dated_back(world: World) -> None:
    head = note.read(world.note(3).read_bytes()).head
    changed = replace(head, at=note.read(world.note(1).read_bytes()).head.at)
    _write(world, 3, note.sign(changed, world.house.means.signer), changed)


@found_as("checkpoint.from_the_future", "checkpoint 3")
def a_checkpoint_is_dated_ahead(world: World) -> None:
    head = note.read(world.note(3).read_bytes()).head
    changed = replace(head, at=world.house.clock() + timedelta(hours=1))
    _write(world, 3, note.sign(changed, world.house.means.signer), changed)


@found_as("checkpoint.fork", "checkpoint 3")
def two_are_signed_of_one_number(world: World) -> None:
    head = note.read(world.note(3).read_bytes()).head
    other = note.sign(replace(head, root=bytes(32)), world.house.means.signer)
    with writing():
        Checkpoint.update(note=other, root="00" * 32).where(Checkpoint.number == 3).execute()


@found_as("checkpoint.fork", "checkpoint 2")
def one_is_signed_of_another_history_than_the_one_after_it(world: World) -> None:
    second, third = (note.read(world.note(each).read_bytes()).head for each in (2, 3))
    changed = replace(second, root=bytes(32))
    text = note.sign(changed, world.house.means.signer)
    _write(world, 2, text, changed)
    later = replace(third, before=note.fingerprint(text))
    _write(world, 3, note.sign(later, world.house.means.signer), later)


@found_as("log.behind", "checkpoint 3")
def an_old_copy_of_the_catalogue_is_brought_back(world: World) -> None:
    size = world.checkpoint(2).size
    with writing():
        LedgerEntry.delete().where(LedgerEntry.number >= size).execute()
        Checkpoint.delete().where(Checkpoint.number == 3).execute()
        Tenant.update(ledger_size=size).execute()


@found_as("log.rewritten")
def an_old_copy_goes_on_by_itself(world: World) -> None:
    an_old_copy_of_the_catalogue_is_brought_back(world)
    for _ in range(40):
        world.happen()


@found_as("log.not_signed")
def the_log_is_not_signed_any_more(world: World) -> None:
    world.happen()
    world.house.clock.forward(hours=4)


# --- rows


@found_as("row.deleted")
def a_recordings_row_is_deleted(world: World) -> None:
    with writing():
        for model in (Listen, Grant, Amendment):
            model.delete().execute()
        Recording.delete().where(Recording.id == world.kept).execute()


@found_as("row.changed")
def a_recordings_manifest_is_changed_in_its_row(world: World) -> None:
    _recording(world, manifest_sha256="00" * 32)


@found_as("row.changed")
def who_called_is_changed_in_a_recordings_row(world: World) -> None:
    _recording(world, outside_value="+32499000000")


@found_as("row.changed")
def a_recording_is_kept_longer_than_was_sealed(world: World) -> None:
    _recording(world, keep_until=world.house.clock() + timedelta(days=900))


@found_as("row.destroyed")
def a_recording_is_said_to_be_destroyed(world: World) -> None:
    _recording(world, destroyed_at=world.house.clock(), destroyed_why="expired", wrapped_key=None)


@found_as("row.changed")
def why_a_recording_was_destroyed_is_changed(world: World) -> None:
    with writing():
        Recording.update(destroyed_why="not_announced").where(Recording.id == world.erased).execute()


@found_as("row.changed", "access_grant")
def a_grants_purpose_is_changed(world: World) -> None:
    with writing():
        Grant.update(purpose="quality").where(Grant.recording == world.kept).execute()


@found_as("row.changed", "listen")
def how_much_was_heard_is_changed(world: World) -> None:
    with writing():
        Listen.update(sent_bytes=1).execute()


@found_as("row.deleted", "listen")
def a_listen_is_deleted(world: World) -> None:
    with writing():
        Listen.delete().execute()


@found_as("row.unlogged", "listen")
def a_listen_is_made_up(world: World) -> None:
    with writing():
        row = Listen.select().dicts().first()
        Listen.create(**row | {"id": "made up", "play": "other"})


@found_as("row.deleted", "not_recorded")
def a_call_that_was_not_recorded_is_hidden(world: World) -> None:
    with writing():
        NotRecorded.delete().execute()


@found_as("row.changed", "user_account")
def somebody_gets_another_role(world: World) -> None:
    with writing():
        User.update(role="customer").execute()


@found_as("row.unlogged", "user_account")
def somebody_is_let_in_past_the_log(world: World) -> None:
    with writing():
        row = User.select().dicts().first()
        User.create(**row | {"id": "made up", "login": "mallory"})


@found_as("row.changed", "line")
def a_lines_timing_is_changed_past_the_log(world: World) -> None:
    with writing():
        Line.update(timing="before_ringing").execute()


@found_as("row.changed", "tenant")
def a_customers_country_is_changed_past_the_log(world: World) -> None:
    with writing():
        Tenant.update(country="be").execute()


@found_as("amendment.row_differs")
def a_tombstones_row_is_deleted(world: World) -> None:
    with writing():
        Amendment.delete().execute()


# --- objects


@found_as("object.block")
def a_recordings_sound_is_changed(world: World) -> None:
    path = _object(world, "audio.opus")
    path.write_bytes(path.read_bytes()[:-1] + b"x")


@found_as("object.missing")
def a_recordings_sound_is_deleted(world: World) -> None:
    _object(world, "audio.opus").unlink()


@found_as("seal.signature")
def a_manifest_is_changed(world: World) -> None:
    path = _object(world, "manifest.json")
    path.write_bytes(path.read_bytes().replace(b'"duration_ms":60000', b'"duration_ms":60001'))


@found_as("manifest.missing")
def a_manifest_is_deleted(world: World) -> None:
    _object(world, "manifest.json").unlink()


@found_as("row.destroyed")
def a_tombstone_is_deleted_from_the_bucket(world: World) -> None:
    next(world.house.bucket.glob(f"*/*/*/*/{world.erased}/amendment-0001.json")).unlink()


@pytest.mark.parametrize("name", TAMPERINGS)
def test_it_is_found_and_named(world: World, name: str) -> None:
    tampering, code, where = TAMPERINGS[name]
    assert world.audit() == []
    tampering(world)
    found = world.audit()
    assert [each for each in found if each.code == code and where in each.where], [
        (each.code, each.where, each.message) for each in found
    ]
    assert all(each.hint for each in found)


def test_the_hashes_that_are_kept_are_compared(house, monkeypatch) -> None:
    monkeypatch.setattr("recorder.ledger.stored.WIDTH", 4)
    monkeypatch.setattr("recorder.ledger.stored.HEIGHT", 2)
    monkeypatch.setattr("recorder.ledger.leaves.WIDTH", 4)
    monkeypatch.setattr("recorder.ledger.leaves.HEIGHT", 2)
    world = make_world(house)
    assert world.audit() == []
    with connected():
        assert Subtree.select().where(Subtree.level == 2).count() >= 1
    with writing():
        mine = (Subtree.level == 1) & (Subtree.number == 1)
        assert Subtree.update(hash="00" * 32).where(mine).execute() == 1
    (found,) = world.audit()
    assert (found.code, found.where) == ("subtree.changed", f"{world.tenant}: leaves 4 to 7")


def test_whatever_the_product_does_is_as_the_log_says(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting there and back, in several languages: no false alarm, also where rows are compared a few
    at a time."""
    monkeypatch.setattr("recorder.ledger.told.PAGE", 2)
    house, said = world.house, {"now": world.house.clock(), "entropy": world.house.entropy}
    line, tenant = house.line.id, house.tenant
    customers.set_line_timing(tenant, line, "before_ringing", **said)
    asking = composing.compose(
        tenant, name="asking", language="fr", mode="opt-out", purposes=["agreement"], keep_days=30, **said
    )
    assert customers.set_line_announcement(tenant, line, asking.id, **said)
    for languages in (["fr", "en"], ["fr"]):
        assert customers.set_line_languages(tenant, line, languages, **said)
        assert world.audit(recordings=False) == []
    for keep in (Keeping(keep_days=30), None):
        assert customers.set_line_keep(tenant, line, keep, **said)
        assert world.audit(recordings=False) == []
    for on in (True, False):
        assert customers.set_line_deletable(tenant, line, on, **said)
        assert customers.set_line_joining(tenant, line, "alone" if on else None, **said)
        assert customers.set_line_beep(tenant, line, "both" if on else "", **said)
        assert world.audit(recordings=False) == []
    assert customers.set_line_outbound(tenant, line, "before_connected", **said)
    assert customers.set_line_mode(tenant, line, "opt-in", **said)
    second = customers.create_line(tenant, number="+3225550177", announcement=asking.id, **said)
    assert customers.end_line(tenant, second.id, **said)
    assert people.set_password(tenant, world.user, "$argon2id$other", **said)
    person = people.user(tenant, world.user)
    assert person is not None
    until = house.clock() + timedelta(hours=1)
    session = people.open_session(person, token_sha256="ab" * 32, until=until, **said)
    people.end_session(person, session.id, **said)
    people.end_session(person, session.id, **said)
    assert people.revoke_user(tenant, world.user, **said)
    keeping.note_taken_away(NotRecorded.select().first().id, **said)
    assert world.audit() == []
    kinds = {each.kind for each in LedgerEntry.select(LedgerEntry.kind)}
    assert {"session.closed", "quarantine.destroyed", "line.ended", "line.joining_changed"} <= kinds
    assert LedgerEntry.select().where(LedgerEntry.kind == "session.closed").count() == 1
    changed = json.loads(world.leaf("line.mode_changed", -1).body)
    assert (changed["mode_was"], changed["mode"]) == ("opt-out", "opt-in")


def test_an_accord_of_before_did_not_name_the_leaves_that_it_erased(world: World) -> None:
    said = (world.house.clock(), world.house.entropy)
    with writing():
        assert forget(world.tenant, world.kept)
        append(world.tenant, "recording.destroyed", {"recording": world.kept, "why": "expired"}, *said)
    assert "body.missing" not in {each.code for each in world.audit(recordings=False)}


def test_a_revoked_key_signs_nothing_from_then_on(world: World) -> None:
    head = note.read(world.note(2).read_bytes()).head
    found = world.audit(revoked={head.key: head.at})
    assert [(each.code, each.where[-1]) for each in found if each.code.startswith("checkpoint")] == [
        ("checkpoint.key_revoked", "2"),
        ("checkpoint.key_revoked", "3"),
    ]


def _last(world: World) -> int:
    with connected():
        return LedgerEntry.select().where(LedgerEntry.tenant == world.tenant).count() - 1


def _leaf(world: World, number: int) -> LedgerEntry:
    with connected():
        return LedgerEntry.get((LedgerEntry.tenant == world.tenant) & (LedgerEntry.number == number))


def _write(world: World, number: int, text: str, head: note.Head | None = None) -> None:
    """Change a checkpoint in the bucket and in the catalogue."""
    world.note(number).write_text(text)
    columns = {"note": text}
    if head is not None:
        columns |= {"root": head.root.hex(), "size": head.size, "at": head.at}
    with writing():
        Checkpoint.update(**columns).where(Checkpoint.number == number).execute()


def _sign_anew(world: World, number: int, signer: Signer) -> None:
    head = replace(note.read(world.note(number).read_bytes()).head, key=signer.key_id)
    _write(world, number, note.sign(head, signer), head)


def _signer(world: World, endorsed=True, root=None, uses=(CHECKPOINT,), days=400) -> Signer:
    key = Ed25519PrivateKey.generate()
    known = signing.load_private(world.house.root / "keys" / signing.ROOT_KEY)
    begin = world.house.clock() - timedelta(days=90)
    said = endorse(root or known, key.public_key(), uses, begin, begin + timedelta(days=days))
    return Signer(key, said)


def _put_endorsement(world: World, signer: Signer) -> None:
    path = world.house.bucket / checkpoint.ENDORSEMENTS / f"{signer.key_id}-0.json"
    path.write_bytes(canonical.dump(signer.endorsement.document()))


def _recording(world: World, **columns) -> None:
    with writing():
        assert Recording.update(**columns).where(Recording.id == world.kept).execute()


def _object(world: World, name: str):
    return next(world.house.bucket.glob(f"*/*/*/*/{world.kept}/{name}"))
