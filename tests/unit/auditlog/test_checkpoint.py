"""Signing the log, and showing to somebody else what is in it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.audit.continuation import begin
from recorder.auditlog import checkpoint, inclusion_proof, signed_note
from recorder.auditlog.merkle import check_consistency, consistency
from recorder.auditlog.tree_cache import CachedTree
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.audit_log import CheckpointTable, LeafTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import LedgerError, SealError, StoreError
from recorder.seal import signing
from recorder.seal.revocation import read, revoke
from recorder.seal.signing import Signer, endorse

from .conftest import World


class Away:
    """A store that goes away at the n-th put."""

    def __init__(self, store, at: int, *, after: bool = False) -> None:
        self.store, self.at, self.after, self.puts = store, at, after, 0

    def __getattr__(self, name: str):
        return getattr(self.store, name)

    def put(self, *args, **more) -> None:
        self.puts += 1
        if self.puts == self.at and not self.after:
            raise StoreError("store.unreachable", "away")
        self.store.put(*args, **more)
        if self.puts == self.at:
            raise StoreError("store.unreachable", "away")


def test_a_checkpoint_is_what_c2sp_says(world: World) -> None:
    """Read with nothing of the product's: the text, the key's id, the signature."""
    content = world.note(1).read_text()
    text, signature = content.split("\n\n")
    lines = text.split("\n")
    root_id = signing.key_id(world.house.means.root)
    assert lines[0] == f"accord/{root_id}/{world.tenant}/1"
    assert " " not in lines[0]
    assert "+" not in lines[0]
    assert lines[1] == str(world.checkpoint(1).size)
    assert base64.b64decode(lines[2]).hex() == world.checkpoint(1).root
    dash, name, encoded = signature.rstrip("\n").split(" ")
    assert (dash, name) == ("\u2014", lines[0])
    (document,) = (world.house.bucket / checkpoint.ENDORSEMENTS).iterdir()
    public = base64.urlsafe_b64decode(json.loads(document.read_bytes())["body"]["public_key"] + "=")
    raw = base64.b64decode(encoded)
    assert raw[:4] == hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]
    Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], (text + "\n").encode())
    assert signed_note.key_hash(name, Ed25519PublicKey.from_public_bytes(public)) == raw[:4]
    assert "Martin" not in content


def test_the_example_of_the_standard_has_the_key_id_that_ours_has() -> None:
    """The verifier key of Go's checksum database, and the id in its signed notes."""
    name = "sum.golang.org"
    key = base64.b64decode("Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")
    public = Ed25519PublicKey.from_public_bytes(key[1:])
    assert signed_note.key_hash(name, public).hex() == "033de0ae"


def test_each_goes_on_from_the_one_before(world: World) -> None:
    heads = [signed_note.read(world.note(number).read_bytes()).head for number in (1, 2, 3)]
    assert [head.number for head in heads] == [1, 2, 3]
    assert heads[0].before is None
    for old, new in pairwise(heads):
        assert new.before == hashlib.sha256(world.note(old.number).read_bytes()).hexdigest()
        stored = CachedTree(world.tenant, new.size)
        path = consistency(old.size, new.size, stored)
        assert check_consistency(old.size, new.size, path, old.root, new.root)


def test_it_is_signed_within_the_hour_where_it_grew_and_within_the_day_where_not(world: World) -> None:
    clock, means = world.house.clock, world.signing()

    def minutes_until_signed() -> int:
        for minutes in range(1, 2000):
            if checkpoint.keep(means, clock.forward(minutes=1)):
                return minutes
        raise AssertionError

    assert 60 * 20 < minutes_until_signed() <= 60 * 24
    world.happen()
    assert 30 < minutes_until_signed() <= 60
    assert world.audit() == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2])
def test_a_crash_while_it_is_put_is_made_good(world: World, at: int, after: bool) -> None:
    world.happen()
    now = world.house.clock.forward(hours=1)
    away = Away(world.house.means.store, at, after=after)
    with pytest.raises(StoreError):
        checkpoint.keep(world.signing(store=away), now)
    assert world.checkpoint(4).stored_at is None
    assert checkpoint.keep(world.signing(owner="two"), world.house.clock.forward(minutes=10)) == 1
    assert world.checkpoint(4).stored_at is not None
    with connected():
        assert CheckpointTable.select().count() == 4
    assert world.audit() == []


def test_of_two_workers_one_signs(world: World) -> None:
    world.happen()
    now = world.house.clock.forward(hours=1)
    assert lease.take(f"checkpoint:{world.tenant}", "somebody else", now)
    assert checkpoint.keep(world.signing(), now) == 0
    lease.give_back(f"checkpoint:{world.tenant}", "somebody else")
    assert checkpoint.sign(world.tenant, world.signing(), now) is not None
    # Without the claims, as when a clock is wrong: the number is taken.
    head = signed_note.read(world.checkpoint(4).note.encode()).head
    assert not checkpoint.add(head, "another")
    assert checkpoint.keep(world.signing(), now) == 1


def test_what_does_not_go_on_is_not_signed(world: World) -> None:
    with writing():
        LeafTable.update(leaf_hash="00" * 32).where(LeafTable.number == 2).execute()
    world.house.clock.forward(days=1)
    with pytest.raises(LedgerError) as raised:
        world.sign()
    assert raised.value.error_id == "audit_log.rewritten"
    assert not world.note(4).exists()


def test_an_old_catalogue_is_not_signed_and_begins_again_in_the_open(world: World) -> None:
    size = world.checkpoint(2).size
    with writing():
        LeafTable.delete().where(LeafTable.number >= size).execute()
        CheckpointTable.delete().where(CheckpointTable.number == 3).execute()
        TenantTable.update(log_size=size).execute()
    world.happen()
    with pytest.raises(LedgerError) as raised:
        world.sign()
    assert raised.value.error_id == "audit_log.behind"
    assert "log.behind" in {each.code for each in world.audit(recordings=False)}
    now = world.house.clock.forward(minutes=1)
    assert begin(world.tenant, "the disk broke, this is the backup of Tuesday", world.signing(), now) == 4
    (leaf,) = [each for each in [world.leaf("log.restarted")] if each.body]
    assert json.loads(leaf.body)["reason"].startswith("the disk broke")
    head = signed_note.read(world.note(4).read_bytes()).head
    assert (head.epoch, head.number) == (2, 4)
    codes = {
        (each.code, each.state) for each in world.audit(recordings=False) if not each.code.startswith("row.")
    }
    assert codes == {("log.begun_again", "warning"), ("body.missing", "wrong")}
    world.happen()
    assert world.sign() == 1
    with pytest.raises(LedgerError) as raised:
        begin(world.tenant, "for nothing", world.signing(), world.house.clock.forward(minutes=1))
    assert raised.value.error_id == "audit_log.continuous"


def test_a_key_that_is_not_endorsed_for_it_signs_nothing(world: World) -> None:
    root = signing.load_private(world.house.folder / "keys" / signing.ROOT_KEY)
    key, now = Ed25519PrivateKey.generate(), world.house.clock()
    old = endorse(root, key.public_key(), ("manifest", "amendment"), now, now + timedelta(days=9))
    with pytest.raises(SealError) as raised:
        checkpoint.keep(world.signing(signer=Signer(key, old)), world.house.clock.forward(days=1))
    assert raised.value.error_id == "seal.endorsement_use"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.replace("number 1\n", "number 01\n"),
        lambda text: text.replace("at 20", "at  20"),
        lambda text: text.replace("accord/", "other/"),
        lambda text: text.replace("\u2014 ", "- "),
        lambda text: text + "\n",
        lambda text: text.replace("key ", "key\x07"),
        lambda text: text.replace("=\n", "\n", 1),
        lambda text: text * 300,
        lambda text: "",
    ],
)
def test_what_is_no_checkpoint_is_refused(world: World, change: Callable[[str], str]) -> None:
    with pytest.raises(LedgerError) as raised:
        signed_note.read(change(world.note(1).read_text()).encode())
    assert raised.value.error_id == "checkpoint.form"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_lies_in_the_bucket_is_read_or_refused(data: st.DataObject) -> None:
    head = signed_note.Head(
        "ab" * 16, "t", 1, 5, bytes(32), 2, datetime(2026, 3, 2, tzinfo=UTC), "cd" * 16, None
    )
    good = f"{head.text()}\n\u2014 {head.origin} {base64.b64encode(bytes(68)).decode()}\n".encode()
    assert signed_note.read(good).head == head
    begin = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(begin, min(len(good), begin + 30)))
    content = good[:begin] + data.draw(st.binary(max_size=20)) + good[end:]
    try:
        read = signed_note.read(content)
    except LedgerError as error:
        assert error.error_id == "checkpoint.form"  # noqa: PT017
    else:
        assert read.head.text() == content.decode().rpartition("\n\n")[0] + "\n"


# --- showing it to others


def test_a_leaf_is_shown_with_nothing_but_a_file_and_the_roots_key(world: World) -> None:
    store, root = world.house.means.store, world.house.means.root
    with connected():
        leaves = list(LeafTable.select().order_by(LeafTable.number))
    for leaf in leaves:
        shown = inclusion_proof.check(inclusion_proof.show(leaf.id, store), root)
        assert shown.leaf["number"] == leaf.number
        assert shown.body == (None if leaf.body is None else json.loads(leaf.body))
    assert {row[0] for row in inclusion_proof.leaves_of(world.kept)} >= {world.leaf("listen.opened").id}
    late = inclusion_proof.show(leaves[0].id, store, 3)
    assert inclusion_proof.check(late, root, world.note(3).read_bytes()).head.number == 3
    with pytest.raises(LedgerError) as raised:
        inclusion_proof.check(late, root, world.note(2).read_bytes())
    assert raised.value.error_id == "checkpoint.other"


def test_what_is_not_signed_yet_is_not_shown(world: World) -> None:
    world.happen()
    leaf = world.leaf("tenant.changed", -1)
    with pytest.raises(LedgerError) as raised:
        inclusion_proof.show(leaf.id, world.house.means.store)
    assert raised.value.error_id == "audit_log.unsigned"
    with pytest.raises(LedgerError) as raised:
        inclusion_proof.show("nobody's", world.house.means.store)
    assert raised.value.error_id == "leaf.unknown"


@pytest.mark.parametrize(
    ("field", "change", "code"),
    [
        ("leaf", lambda text: text.replace("user.created", "user.revoked"), "leaf.not_in_it"),
        ("leaf", lambda text: text.replace('"number":', '"number":1'), "leaf.not_in_it"),
        ("body", lambda text: text.replace("customer_admin", "nobody"), "leaf.changed"),
        ("body", lambda text: None, "leaf.changed"),
        ("salt", lambda text: text[:-4] + "AAAA", "leaf.changed"),
        ("path", lambda path: path[:-1], "leaf.not_in_it"),
        ("path", lambda path: ["00" * 32, *path[1:]], "leaf.not_in_it"),
        ("checkpoint", lambda text: text.replace("number 1", "number 2"), "checkpoint.signature"),
        ("checkpoint", lambda text: "x", "checkpoint.form"),
    ],
)
def test_a_file_that_was_changed_shows_nothing(world: World, field: str, change, code: str) -> None:
    said = json.loads(inclusion_proof.show(world.leaf("user.created").id, world.house.means.store))
    said[field] = change(said[field])
    content = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    with pytest.raises(LedgerError) as raised:
        inclusion_proof.check(content, world.house.means.root)
    assert raised.value.error_id == code


def test_a_file_is_checked_by_its_own_root_alone(world: World) -> None:
    content = inclusion_proof.show(world.leaf("user.created").id, world.house.means.store)
    with pytest.raises(SealError):
        inclusion_proof.check(content, Ed25519PrivateKey.generate().public_key())


def test_a_revocation_is_the_roots_word() -> None:
    root = Ed25519PrivateKey.generate()
    since = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
    content = revoke(root, "ab" * 16, since)
    assert read(content, root.public_key()) == ("ab" * 16, since)
    with pytest.raises(SealError):
        read(content, Ed25519PrivateKey.generate().public_key())
    with pytest.raises(SealError):
        read(content.replace(b"abab", b"cdcd"), root.public_key())
