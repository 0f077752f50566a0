"""Signing the log, and showing to somebody else what is in it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from peewee import IntegrityError

from recorder import metrics
from recorder.audit.continuation import restart_log
from recorder.auditlog import checkpoint, inclusion_proof, signed_note
from recorder.auditlog.tree_cache import CachedTree
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.audit_log import CheckpointTable, LeafTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import AuditLogError, SealError, StoreError
from recorder.identity import tenants
from recorder.merkle import check_consistency, consistency
from recorder.seal import canonical_json, signing
from recorder.seal.revocation import read, revoke
from recorder.seal.signing import Signer, endorse
from tests.expected_errors import expect_error

from .conftest import World
from .tampering import signer_of

OTHER = "01930000-0000-7000-8000-0000000000bb"


class FailingStore:
    """A store that fails at the n-th put, before or ``after`` it."""

    def __init__(self, store, at: int, *, after: bool = False) -> None:
        self.store, self.at, self.after, self.puts = store, at, after, 0

    def __getattr__(self, name: str):
        return getattr(self.store, name)

    def put(self, *args, **more) -> None:
        self.puts += 1
        if self.puts == self.at and not self.after:
            raise StoreError("store.unreachable", "away", "try again")
        self.store.put(*args, **more)
        if self.puts == self.at:
            raise StoreError("store.unreachable", "away", "try again")


def test_checkpoint_has_c2sp_form(world: World) -> None:
    """Read with nothing of the product's: the text, the key's id, the signature."""
    content = world.note(1).read_text()
    text, signature = content.split("\n\n")
    lines = text.split("\n")
    root_id = signing.key_id(world.house.services.root)
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


def test_key_hash_matches_published_example() -> None:
    """The verifier key of Go's checksum database, and the id in its signed notes."""
    name = "sum.golang.org"
    key = base64.b64decode("Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")
    public = Ed25519PublicKey.from_public_bytes(key[1:])
    assert signed_note.key_hash(name, public).hex() == "033de0ae"


def test_each_checkpoint_continues_its_predecessor(world: World) -> None:
    heads = [signed_note.read(world.note(number).read_bytes()).head for number in (1, 2, 3)]
    assert [head.number for head in heads] == [1, 2, 3]
    assert heads[0].before is None
    for old, new in pairwise(heads):
        assert new.before == hashlib.sha256(world.note(old.number).read_bytes()).hexdigest()
        stored = CachedTree(world.tenant, new.size)
        path = consistency(old.size, new.size, stored)
        assert check_consistency(old.size, new.size, path, old.root, new.root)


def test_log_is_signed_hourly_if_it_grew_and_daily_if_not(world: World) -> None:
    clock, means = world.house.clock, world.signing()

    def minutes_until_signed() -> int:
        for minutes in range(1, 2000):
            if checkpoint.sign_due(means, clock.forward(minutes=1)):
                return minutes
        raise AssertionError

    assert 60 * 20 < minutes_until_signed() <= 60 * 24
    world.happen()
    assert 30 < minutes_until_signed() <= 60
    assert world.audit() == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2])
def test_interrupted_put_is_repeated(world: World, at: int, after: bool) -> None:
    world.happen()
    now = world.house.clock.forward(hours=1)
    away = FailingStore(world.house.services.store, at, after=after)
    with pytest.raises(StoreError):
        checkpoint.sign_due(world.signing(store=away), now)
    assert world.checkpoint(4).stored_at is None
    assert checkpoint.sign_due(world.signing(owner="two"), world.house.clock.forward(minutes=10)) == 1
    assert world.checkpoint(4).stored_at is not None
    with connected():
        assert CheckpointTable.select().count() == 4
    assert world.audit() == []


def test_one_of_two_workers_signs(world: World) -> None:
    world.happen()
    now = world.house.clock.forward(hours=1)
    assert lease.take(f"checkpoint:{world.tenant}", "somebody else", now)
    assert checkpoint.sign_due(world.signing(), now) == 0
    lease.release(f"checkpoint:{world.tenant}", "somebody else")
    assert checkpoint.sign(world.tenant, world.signing(), now) is not None
    # Without a lease, as with a wrong clock: the number is taken.
    head = signed_note.read(world.checkpoint(4).note.encode()).head
    with pytest.raises(IntegrityError):
        checkpoint.insert(head, "another")
    assert checkpoint.sign_due(world.signing(), now) == 1


def test_worker_that_signs_too_late_gives_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker signs between the check of the log and the insertion."""
    world.happen()
    now = world.house.clock.forward(hours=1)
    sign = signed_note.sign

    def sign_after_another(head: signed_note.Head, signer: Signer) -> str:
        monkeypatch.setattr(signed_note, "sign", sign)
        assert checkpoint.sign(world.tenant, world.signing(), now) == head
        return sign(head, signer)

    monkeypatch.setattr(signed_note, "sign", sign_after_another)
    assert checkpoint.sign(world.tenant, world.signing(), now) is None


def test_log_that_cannot_be_signed_delays_no_other(world: World) -> None:
    when = {"now": world.house.clock(), "entropy": world.house.entropy}
    tenants.create_tenant(OTHER, name="Van Dyck", wrapped_key="{}", **when)
    world.change(2, leaf_hash="00" * 32)
    with expect_error(AuditLogError, "audit_log.rewritten"):
        checkpoint.sign_due(world.signing(), world.house.clock.forward(days=1))
    with connected():
        (row,) = CheckpointTable.select().where(CheckpointTable.tenant_id == OTHER)
        leases = lease.LeaseTable.select().where(lease.LeaseTable.name.startswith("checkpoint:"))
        assert not leases.exists(), "they were released"
    assert (row.number, row.size, row.stored_at is not None) == (1, 1, True)
    assert signed_note.read(row.note.encode()).head.before is None


def test_one_worker_searches_for_logs_that_are_due(world: World) -> None:
    world.happen()
    now = world.house.clock.forward(hours=1)
    assert lease.take(checkpoint.SEARCH, "another", now, checkpoint.SEARCH_INTERVAL)
    assert checkpoint.sign_due(world.signing(), now) == 0
    assert checkpoint.sign_due(world.signing(), now + checkpoint.SEARCH_INTERVAL) == 1


def test_signing_stops_after_some_time_and_goes_on_the_next_time(world: World) -> None:
    house, clock = world.house, world.house.clock
    for name in ("Van Dyck", "Martin"):
        identity = OTHER if name == "Martin" else OTHER.replace("0", "1", 1)
        tenants.create_tenant(identity, name=name, wrapped_key="{}", now=clock(), entropy=house.entropy)
    world.happen()
    now, seconds = clock.forward(hours=1), iter([0.0, 44.0, 45.0])
    assert checkpoint.sign_due(world.signing(), now, elapsed=lambda: next(seconds)) == 1
    assert checkpoint.sign_due(world.signing(), now) == 2
    assert world.audit() == []


def test_log_that_another_worker_has_just_signed_is_not_signed_again(world: World, monkeypatch) -> None:
    world.happen()
    now = world.house.clock.forward(hours=1)
    means, take = world.signing(), lease.take

    def take_late(name: str, owner: str, *values: Any) -> bool:
        if name == f"checkpoint:{world.tenant}":
            checkpoint.sign(world.tenant, world.signing(owner="faster"), now)
        return take(name, owner, *values)

    monkeypatch.setattr(checkpoint.lease, "take", take_late)
    assert checkpoint.sign_due(means, now) == 1, "what the faster one has signed is put"
    with connected():
        assert CheckpointTable.select().count() == 4


def test_log_without_leaves_is_not_signed(world: World) -> None:
    when = {"now": world.house.clock(), "entropy": world.house.entropy}
    tenants.create_tenant(OTHER, name="Van Dyck", wrapped_key="{}", **when)
    with writing():
        TenantTable.update(log_size=0).where(TenantTable.id == OTHER).execute()
    assert checkpoint.sign_due(world.signing(), world.house.clock.forward(minutes=1)) == 0
    assert checkpoint.newest(OTHER) is None


def test_log_is_not_signed_at_or_before_its_last_checkpoint(world: World) -> None:
    at = world.checkpoint(3).at
    for earlier in (at, at - timedelta(seconds=1)):
        with expect_error(AuditLogError, "audit_log.clock"):
            checkpoint.sign(world.tenant, world.signing(), earlier)
        with expect_error(AuditLogError, "audit_log.clock"):
            restart_log(world.tenant, "a trial", world.signing(), earlier)
    assert checkpoint.sign(world.tenant, world.signing(), at + timedelta(milliseconds=1)) is not None


def test_unsigned_logs_are_found(world: World) -> None:
    signed_at = world.checkpoint(3).at
    later = signed_at + timedelta(days=9)
    assert checkpoint.find_unsigned(later) == []
    world.happen()
    assert checkpoint.find_unsigned(signed_at) == []
    assert checkpoint.find_unsigned(signed_at + timedelta(milliseconds=1)) == [world.tenant]
    now = world.house.clock.forward(hours=1)
    tenants.create_tenant(OTHER, name="Van Dyck", wrapped_key="{}", now=now, entropy=world.house.entropy)
    assert checkpoint.find_unsigned(now) == [world.tenant]
    assert checkpoint.find_unsigned(later) == sorted([world.tenant, OTHER])
    assert world.sign() == 2
    assert checkpoint.find_unsigned(later) == []


def test_keys_of_checkpoints_are_listed_after_a_number(world: World) -> None:
    store, places = world.house.services.store, [world.checkpoint(number).place for number in (1, 2, 3)]
    assert list(checkpoint.list_keys(store, world.tenant)) == places
    assert list(checkpoint.list_keys(store, world.tenant, 1)) == places[1:]
    assert list(checkpoint.list_keys(store, world.tenant, 3)) == []


def test_rewritten_log_is_not_signed(world: World) -> None:
    with writing():
        LeafTable.update(leaf_hash="00" * 32).where(LeafTable.number == 2).execute()
    world.house.clock.forward(days=1)
    with expect_error(AuditLogError, "audit_log.rewritten"):
        world.sign()
    assert not world.note(4).exists()


def test_restored_catalogue_is_signed_only_after_a_logged_restart(world: World) -> None:
    size = world.checkpoint(2).size
    with writing():
        LeafTable.delete().where(LeafTable.number >= size).execute()
        CheckpointTable.delete().where(CheckpointTable.number == 3).execute()
        TenantTable.update(log_size=size).execute()
    world.happen()
    with expect_error(AuditLogError, "audit_log.behind"):
        world.sign()
    assert "log.behind" in {each.code for each in world.audit(recordings=False)}
    now = world.house.clock.forward(minutes=1)
    assert (
        restart_log(world.tenant, "the disk broke, this is the backup of Tuesday", world.signing(), now) == 4
    )
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
    with expect_error(AuditLogError, "audit_log.continuous"):
        restart_log(world.tenant, "for nothing", world.signing(), world.house.clock.forward(minutes=1))


def test_key_without_endorsement_for_checkpoints_signs_nothing(world: World) -> None:
    root = signing.load_private(world.house.folder / "keys" / signing.ROOT_KEY)
    key, now = Ed25519PrivateKey.generate(), world.house.clock()
    old = endorse(root, key.public_key(), ("manifest", "amendment"), now, now + timedelta(days=9))
    with expect_error(SealError, "seal.endorsement_use"):
        checkpoint.sign_due(world.signing(signer=Signer(key, old)), world.house.clock.forward(days=1))


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
def test_malformed_checkpoint_is_refused(world: World, change: Callable[[str], str]) -> None:
    with expect_error(AuditLogError, "checkpoint.form"):
        signed_note.read(change(world.note(1).read_text()).encode())


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_bytes_are_read_or_refused(data: st.DataObject) -> None:
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
    except AuditLogError as error:
        assert error.error_id == "checkpoint.form"  # noqa: PT017
    else:
        assert read.head.text() == content.decode().rpartition("\n\n")[0] + "\n"


# --- showing it to others


def build_proof(world: World) -> bytes:
    services = world.house.services
    return inclusion_proof.build_proof(world.leaf("user.created").id, services.store, services.root)


def test_inclusion_proof_needs_only_file_and_root_key(world: World) -> None:
    store, root = world.house.services.store, world.house.services.root
    with connected():
        leaves = list(LeafTable.select().order_by(LeafTable.number))
    for leaf in leaves:
        proof = inclusion_proof.verify_proof(inclusion_proof.build_proof(leaf.id, store, root), root)
        assert proof.leaf["number"] == leaf.number
        assert proof.body == (None if leaf.body is None else json.loads(leaf.body))
    assert {row[0] for row in inclusion_proof.find_leaves(world.live_recording)} >= {
        world.leaf("listen.opened").id
    }
    late = inclusion_proof.build_proof(leaves[0].id, store, root, 3)
    assert inclusion_proof.verify_proof(late, root, world.note(3).read_bytes()).head.number == 3
    with expect_error(AuditLogError, "checkpoint.other"):
        inclusion_proof.verify_proof(late, root, world.note(2).read_bytes())


def test_unsigned_leaf_has_no_inclusion_proof(world: World) -> None:
    world.happen()
    leaf = world.leaf("tenant.changed", -1)
    store, root = world.house.services.store, world.house.services.root
    with expect_error(AuditLogError, "audit_log.unsigned"):
        inclusion_proof.build_proof(leaf.id, store, root)
    with expect_error(AuditLogError, "leaf.unknown"):
        inclusion_proof.build_proof("nobody's", store, root)


def test_inclusion_proof_names_a_checkpoint_that_has_the_leaf(world: World) -> None:
    store, root = world.house.services.store, world.house.services.root
    with connected():
        number = world.checkpoint(1).size
        leaf = LeafTable.get((LeafTable.tenant == world.tenant) & (LeafTable.number == number))
    first = inclusion_proof.verify_proof(inclusion_proof.build_proof(leaf.id, store, root), root)
    assert first.head.number == 2, "the leaf is the first one after checkpoint 1"
    with expect_error(AuditLogError, "audit_log.unsigned"):
        inclusion_proof.build_proof(leaf.id, store, root, 1)
    with writing():
        CheckpointTable.update(stored_at=None).where(CheckpointTable.number == 2).execute()
    later = inclusion_proof.verify_proof(inclusion_proof.build_proof(leaf.id, store, root), root)
    assert later.head.number == 3, "a checkpoint counts once it is in the bucket"


def test_rewritten_log_has_no_inclusion_proof(world: World) -> None:
    world.change(2, leaf_hash="00" * 32)
    with expect_error(AuditLogError, "audit_log.rewritten"):
        build_proof(world)


def test_proofs_require_the_endorsement_of_the_signing_key(world: World) -> None:
    for path in (world.house.bucket / checkpoint.ENDORSEMENTS).iterdir():
        path.unlink()
    with expect_error(AuditLogError, "checkpoint.key_unknown"):
        build_proof(world)


def damage_in_signature(content: bytes) -> bytes:
    document = json.loads(content)
    signature = document["signature"]
    document["signature"] = ("B" if signature[0] == "A" else "A") + signature[1:]
    return canonical_json.dump(document)


@pytest.mark.parametrize("damage", [lambda content: content[:-2], damage_in_signature, lambda _: b"{}"])
def test_damaged_endorsement_stops_neither_signature_nor_proof(
    world: World, damage: Callable[[bytes], bytes]
) -> None:
    """All customers' checkpoints share it: it is put again beside the damaged object, which is reported."""
    (path,) = (world.house.bucket / checkpoint.ENDORSEMENTS).iterdir()
    whole, damaged = path.read_bytes(), damage(path.read_bytes())
    path.write_bytes(damaged)
    world.happen()
    means, now = world.signing(), world.house.clock.forward(hours=1)
    assert checkpoint.sign_due(means, now) == 1
    assert path.read_bytes() == damaged, "whoever looks into it finds it as it was"
    assert [each.read_bytes() for each in path.parent.iterdir() if each != path] == [whole]
    (fault,) = means.faults.list_faults(metrics.OBJECT_FAULTS)
    assert (fault.event, path.name in fault.subject) == ("endorsement.damaged", True)
    assert inclusion_proof.verify_proof(build_proof(world), means.root).head.number == 1
    path.write_bytes(whole)
    world.happen()
    assert checkpoint.sign_due(means, now + timedelta(hours=1)) == 1
    assert not means.faults.list_faults(metrics.OBJECT_FAULTS)


def test_log_is_signed_while_every_copy_of_the_endorsement_is_damaged(world: World) -> None:
    (path,) = (world.house.bucket / checkpoint.ENDORSEMENTS).iterdir()
    digest, key = hashlib.sha256(path.read_bytes()).hexdigest(), path.name.partition("-")[0]
    for digits in checkpoint.ENDORSEMENT_DIGITS:
        path.with_name(f"{key}-{digest[:digits]}.json").write_bytes(b"{}")
    world.happen()
    means = world.signing()
    assert checkpoint.sign_due(means, world.house.clock.forward(hours=1)) == 1
    assert len(means.faults.list_faults(metrics.OBJECT_FAULTS)) == len(checkpoint.ENDORSEMENT_DIGITS)
    with expect_error(AuditLogError, "checkpoint.key_unknown"):
        build_proof(world)


def test_endorsement_of_another_key_verifies_no_checkpoint(world: World) -> None:
    text, other = world.note(1).read_text(), signer_of(world)
    with expect_error(SealError, "seal.endorsement_key"):
        inclusion_proof.verify_checkpoint(text, other.endorsement, world.house.services.root)


def test_leaves_are_found_by_recording_and_by_id(world: World) -> None:
    leaf = world.leaf("listen.opened")
    (found,) = inclusion_proof.find_leaves(leaf.id)
    assert found == (leaf.id, world.tenant, leaf.number, "listen.opened", leaf.at)
    about = [each[2] for each in inclusion_proof.find_leaves(world.live_recording)]
    assert about == sorted(about)
    assert list(inclusion_proof.find_leaves("nothing")) == []


def test_last_checkpoint_of_a_smaller_log(world: World) -> None:
    store, root = world.house.services.store, world.house.services.root
    sizes = [world.checkpoint(number).size for number in (1, 2, 3)]
    assert inclusion_proof.last_checkpoint(world.tenant, sizes[0] - 1, store, root) is None
    for size, number in ((sizes[0], 1), (sizes[1] - 1, 1), (sizes[1], 2), (sizes[2] + 9, 3)):
        found = inclusion_proof.last_checkpoint(world.tenant, size, store, root)
        assert found is not None
        note, endorsement = found
        assert note == world.checkpoint(number).note
        assert json.loads(endorsement)["body"]["key_id"] == world.house.services.signer.key_id
    with writing():
        CheckpointTable.update(stored_at=None).where(CheckpointTable.number == 3).execute()
    found = inclusion_proof.last_checkpoint(world.tenant, sizes[2], store, root)
    assert found is not None
    assert found[0] == world.checkpoint(2).note


@pytest.mark.parametrize(
    ("field", "change", "code"),
    [
        ("leaf", lambda text: text.replace("user.created", "user.revoked"), "leaf.not_in_it"),
        ("leaf", lambda text: text.replace('"number":', '"number":1'), "leaf.not_in_it"),
        ("leaf", lambda text: text.replace('"number":', '"number":"').replace(',"tenant"', '","tenant"'),
         "leaf.changed"),
        ("leaf", lambda text: text.replace('"tenant":"', '"tenant":"x'), "leaf.changed"),
        ("salt", lambda text: None, "leaf.changed"),
        ("body", lambda text: text.replace("customer_admin", "nobody"), "leaf.changed"),
        ("body", lambda text: None, "leaf.changed"),
        ("salt", lambda text: text[:-4] + "AAAA", "leaf.changed"),
        ("path", lambda path: path[:-1], "leaf.not_in_it"),
        ("path", lambda path: ["00" * 32, *path[1:]], "leaf.not_in_it"),
        ("checkpoint", lambda text: text.replace("number 1", "number 2"), "checkpoint.signature"),
        ("checkpoint", lambda text: "x", "checkpoint.form"),
    ],
)  # fmt: skip
def test_changed_inclusion_proof_is_refused(world: World, field: str, change, code: str) -> None:
    bodies = json.loads(build_proof(world))
    bodies[field] = change(bodies[field])
    content = json.dumps(bodies, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    with expect_error(AuditLogError, code):
        inclusion_proof.verify_proof(content, world.house.services.root)


def test_inclusion_proof_of_another_root_is_refused(world: World) -> None:
    content = build_proof(world)
    with pytest.raises(SealError):
        inclusion_proof.verify_proof(content, Ed25519PrivateKey.generate().public_key())


def test_revocation_is_signed_by_the_root() -> None:
    root = Ed25519PrivateKey.generate()
    since = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
    content = revoke(root, "ab" * 16, since)
    assert read(content, root.public_key()) == ("ab" * 16, since)
    with pytest.raises(SealError):
        read(content, Ed25519PrivateKey.generate().public_key())
    with pytest.raises(SealError):
        read(content.replace(b"abab", b"cdcd"), root.public_key())
