"""That a log goes on from what was signed of it: shown to others, and looked at before the next signature."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.audit.continuation import begin
from recorder.auditlog import checkpoint, consistency_proof
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import RecipientTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import LedgerError, SealError

from .conftest import World
from .tampered_mailed import forget_checkpoints


@pytest.mark.parametrize(("before", "after"), [(1, 2), (1, 3), (2, 3), (3, 1), (2, 2)])
def test_a_checkpoint_is_shown_to_go_on_from_another(world: World, before: int, after: int) -> None:
    store, root = world.house.means.store, world.house.means.root
    content = consistency_proof.show(world.tenant, before, after, store)
    for number in {before, after}:
        shown = consistency_proof.check(content, root, world.note(number).read_bytes())
        assert [shown.before.number, shown.after.number] == sorted((before, after))
    other = ({1, 2, 3} - {before, after}).pop()
    with pytest.raises(LedgerError) as raised:
        consistency_proof.check(content, root, world.note(other).read_bytes())
    assert raised.value.error_id == "checkpoint.other"
    with pytest.raises(SealError):
        consistency_proof.check(content, Ed25519PrivateKey.generate().public_key())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda said: said.update(path=said["path"][:-1]), "checkpoint.not_followed"),
        (lambda said: said.update(path=["00" * 32, *said["path"][1:]]), "checkpoint.not_followed"),
        (lambda said: said.update(before=said["after"], after=said["before"]), "checkpoint.not_followed"),
        (
            lambda said: said["before"].update(
                checkpoint=said["before"]["checkpoint"].replace("number 1", "number 9")
            ),
            "checkpoint.signature",
        ),
        (lambda said: said["after"].update(checkpoint="x"), "checkpoint.form"),
    ],
)
def test_a_file_that_was_changed_shows_no_going_on(world: World, change, code: str) -> None:
    said = json.loads(consistency_proof.show(world.tenant, 1, 3, world.house.means.store))
    change(said)
    content = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    with pytest.raises(LedgerError) as raised:
        consistency_proof.check(content, world.house.means.root)
    assert raised.value.error_id == code


def test_what_does_not_go_on_is_not_shown(world: World) -> None:
    store = world.house.means.store
    with pytest.raises(LedgerError) as raised:
        consistency_proof.show(world.tenant, 1, 4, store)
    assert raised.value.error_id == "checkpoint.unknown"
    world.change(2, leaf_hash="00" * 32)
    with pytest.raises(LedgerError) as raised:
        consistency_proof.show(world.tenant, 1, 3, store)
    assert raised.value.error_id == "audit_log.rewritten"


def test_nothing_follows_from_a_log_that_began_again(world: World) -> None:
    forget_checkpoints(world, 3)
    with writing():
        RecipientTable.update(sent_number=3).execute()
    assert begin(world.tenant, "a trial", world.signing(), world.house.clock.forward(hours=1)) == 3
    with pytest.raises(LedgerError) as raised:
        consistency_proof.show(world.tenant, 2, 3, world.house.means.store)
    assert raised.value.error_id == "audit_log.restarted"


def test_a_worker_that_saw_further_checkpoints_signs_no_earlier_one(world: World) -> None:
    means = world.signing()
    assert checkpoint.keep(means, world.house.clock.forward(days=1)) == 1
    world.note(4).unlink()
    forget_checkpoints(world, 1)
    with pytest.raises(LedgerError) as raised:
        checkpoint.keep(means, world.house.clock.forward(days=1))
    assert raised.value.error_id == "audit_log.truncated"
    assert not world.note(1).exists()


def test_what_was_mailed_is_signed_no_second_time_but_the_log_begins_again_in_the_open(world: World) -> None:
    """Also where nothing at all is left of what was signed."""
    with writing():
        RecipientTable.update(sent_number=3).execute()
    forget_checkpoints(world, 1)
    with pytest.raises(LedgerError) as raised:
        world.sign()
    assert raised.value.error_id == "audit_log.truncated"
    now = world.house.clock.forward(minutes=1)
    assert begin(world.tenant, "the bucket was emptied", world.signing(), now) == 1
    with connected():
        assert TenantTable.get_by_id(world.tenant).log_epoch == 2
    body = json.loads(world.leaf("log.restarted").body)
    assert (body["size_before"], body["root_before"]) == (0, "")
    assert {(each.code, each.state) for each in world.audit()} == {("log.begun_again", "warning")}
    world.happen()
    assert world.sign() == 1
