"""Consistency of a log with its checkpoints: proofs for others, and the check before the next signature."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.audit.continuation import restart_log
from recorder.auditlog import checkpoint, consistency_proof
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import RecipientTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import AuditLogError, SealError
from tests.expected_errors import expect_error

from .conftest import World
from .tampered_mailed import forget_checkpoints


def build(world: World, before: int, after: int) -> bytes:
    services = world.house.services
    return consistency_proof.build_proof(world.tenant, before, after, services.store, services.root)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (1, 3), (2, 3), (3, 1), (2, 2)])
def test_consistency_proof_verifies(world: World, before: int, after: int) -> None:
    root = world.house.services.root
    content = build(world, before, after)
    for number in {before, after}:
        proof = consistency_proof.verify_proof(content, root, world.note(number).read_bytes())
        assert [proof.before.number, proof.after.number] == sorted((before, after))
    other = ({1, 2, 3} - {before, after}).pop()
    with expect_error(AuditLogError, "checkpoint.other"):
        consistency_proof.verify_proof(content, root, world.note(other).read_bytes())
    with pytest.raises(SealError):
        consistency_proof.verify_proof(content, Ed25519PrivateKey.generate().public_key())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda proof: proof.update(path=proof["path"][:-1]), "checkpoint.not_followed"),
        (lambda proof: proof.update(path=["00" * 32, *proof["path"][1:]]), "checkpoint.not_followed"),
        (lambda proof: proof.update(before=proof["after"], after=proof["before"]), "checkpoint.not_followed"),
        (
            lambda proof: proof["before"].update(
                checkpoint=proof["before"]["checkpoint"].replace("number 1", "number 9")
            ),
            "checkpoint.signature",
        ),
        (lambda proof: proof["after"].update(checkpoint="x"), "checkpoint.form"),
    ],
)
def test_changed_consistency_proof_is_refused(world: World, change, code: str) -> None:
    proof = json.loads(build(world, 1, 3))
    change(proof)
    content = json.dumps(proof, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    with expect_error(AuditLogError, code):
        consistency_proof.verify_proof(content, world.house.services.root)


def test_rewritten_log_has_no_consistency_proof(world: World) -> None:
    with expect_error(AuditLogError, "checkpoint.unknown"):
        build(world, 1, 4)
    world.change(2, leaf_hash="00" * 32)
    with expect_error(AuditLogError, "audit_log.rewritten"):
        build(world, 1, 3)


def test_restarted_log_has_no_consistency_proof(world: World) -> None:
    forget_checkpoints(world, 3)
    with writing():
        RecipientTable.update(sent_number=3).execute()
    assert restart_log(world.tenant, "a trial", world.signing(), world.house.clock.forward(hours=1)) == 3
    with expect_error(AuditLogError, "audit_log.restarted"):
        build(world, 2, 3)


def test_worker_does_not_sign_below_a_checkpoint_it_saw(world: World) -> None:
    means = world.signing()
    assert checkpoint.sign_due(means, world.house.clock.forward(days=1)) == 1
    world.note(4).unlink()
    forget_checkpoints(world, 1)
    with expect_error(AuditLogError, "audit_log.truncated"):
        checkpoint.sign_due(means, world.house.clock.forward(days=1))
    assert not world.note(1).exists()


def test_log_below_a_mailed_checkpoint_is_signed_only_after_a_logged_restart(world: World) -> None:
    """Also where nothing at all is left of what was signed."""
    with writing():
        RecipientTable.update(sent_number=3).execute()
    forget_checkpoints(world, 1)
    with expect_error(AuditLogError, "audit_log.truncated"):
        world.sign()
    now = world.house.clock.forward(minutes=1)
    assert restart_log(world.tenant, "the bucket was emptied", world.signing(), now) == 1
    with connected():
        assert TenantTable.get_by_id(world.tenant).log_epoch == 2
    body = json.loads(world.leaf("log.restarted").body)
    assert (body["size_before"], body["root_before"]) == (0, "")
    assert {(each.code, each.state) for each in world.audit()} == {("log.begun_again", "warning")}
    world.happen()
    assert world.sign() == 1
