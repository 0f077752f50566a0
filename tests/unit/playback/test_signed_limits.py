"""Rows about retention have no effect alone: an early erasure rests on a signed statement."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.audit.service import Audit
from recorder.auditlog.append import append
from recorder.catalogue import queries
from recorder.catalogue.database import database, writing
from recorder.catalogue.tables.amendment import PendingAmendmentTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.retention_limit import RetentionLimitTable
from recorder.errors import AccessError, SealError
from recorder.ids import uuid7
from recorder.lifecycle import amendment_recovery, expiry, limit_application, limits, retention_limits
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.retention_limits import NewLimit, set_limit
from recorder.seal import retention_limit as statements
from recorder.seal import signed_document, signing
from recorder.seal.amendment import By
from recorder.seal.retention_limit import LimitSet
from recorder.seal.revocation import Trust
from recorder.seal.signing import Signer
from recorder.services import Services
from recorder.spool import layout
from recorder.spool.atomic_files import memory_file
from tests.expected_errors import expect_error
from tests.stored_recordings import put_small

OPERATOR = By("operator")


@pytest.fixture
def recording(house) -> str:
    return put_small(house)


def means(house, revoked=dict) -> Services:
    services = house.services
    return replace(services, revoked=revoked)


def run_duties(house, revoked=dict) -> int:
    """The worker's duties about limits and recordings; returns how many it erased."""
    services, now = house.services, house.clock()
    retention_limits.finish_pending(services.store, Trust(services.root, revoked), now, house.entropy)
    limit_application.apply_limits(services.store, services.root, now, revoked)
    return expiry.destroy_due(means(house, revoked), now)


def audit(house, revoked=()) -> set[str]:
    services = house.services
    found = Audit(services.store, services.root, house.clock(), revoked=dict(revoked)).tenant(house.tenant)
    return {each.code for each in found}


def hears(gate, who, recording: str) -> dict[str, str | None]:
    return {each.code: each.reason for each in gate.purposes(who, recording)}


def key_for(house, root: Ed25519PrivateKey, *uses: str) -> Signer:
    key = Ed25519PrivateKey.from_private_bytes(house.entropy(32))
    start = house.clock() - timedelta(days=1)
    endorsement = signing.endorse(root, key.public_key(), uses, start, start + timedelta(days=700))
    return Signer(key, endorsement)


def root_of(house) -> Ed25519PrivateKey:
    return signing.load_private(house.folder / "keys" / signing.ROOT_KEY)


def a_limit(house, tenant: str | None = None) -> LimitSet:
    """At most one day, for any purpose."""
    identity = str(uuid7(house.clock(), house.entropy))
    return LimitSet(tenant or house.tenant, identity, None, None, 1, house.clock(), True, OPERATOR)


def plant(house, limit: LimitSet, content: bytes) -> None:
    """Write what an attacker with write access to catalogue and bucket can: the row, an intact leaf, and the
    object."""
    sha256 = hashlib.sha256(content).hexdigest()
    with memory_file(content) as path:
        house.services.store.put(statements.place_of(house.tenant, limit.id), path, sha256)
    with writing():
        body = {"limit": limit.id, "sha256": sha256, "by": "operator"}
        leaf = append(house.tenant, limits.SET, body, house.clock(), house.entropy)
        RetentionLimitTable.create(
            id=limit.id, tenant=house.tenant, statement=content.decode(), leaf=leaf.number
        )


def not_signed(house, limit: LimitSet) -> bytes:
    return statements.write(limit, house.services.signer).replace(b'"days":30', b'"days":1')


def by_another_root(house, limit: LimitSet) -> bytes:
    return statements.write(limit, key_for(house, Ed25519PrivateKey.generate(), signing.RETENTION))


def by_a_key_for_amendments_alone(house, limit: LimitSet) -> bytes:
    body = statements.SET.body(limit)
    return signed_document.write(body, key_for(house, root_of(house), signing.AMENDMENT))


def with_an_unknown_field(house, limit: LimitSet) -> bytes:
    body = statements.SET.body(limit) | {"also": "everything"}
    return signed_document.write(body, key_for(house, root_of(house), *signing.PANEL_USES))


def of_another_customer(house, limit: LimitSet) -> bytes:
    return statements.write(replace(limit, tenant="another"), house.services.signer)


def of_another_limit(house, limit: LimitSet) -> bytes:
    return statements.write(replace(limit, id=a_limit(house).id), house.services.signer)


@pytest.mark.parametrize(
    "forge",
    [
        not_signed,
        by_another_root,
        by_a_key_for_amendments_alone,
        with_an_unknown_field,
        of_another_customer,
        of_another_limit,
    ],
    ids=lambda forge: forge.__name__,
)
def test_an_unsigned_or_foreign_limit_ends_nothing(house, gate, ada, recording, forge) -> None:
    signed = a_limit(house)
    if forge is not_signed:
        plant(house, signed, not_signed(house, replace(signed, days=30)))
    else:
        plant(house, signed, forge(house, signed))
    house.clock.forward(days=2)
    assert run_duties(house) == 0
    assert hears(gate, ada, recording) == {"agreement": None}
    assert audit(house) & {"seal.signature", "seal.endorsement_root", "seal.endorsement_use",
                           "seal.unknown_field", "retention.foreign"}  # fmt: skip


def test_a_limit_ends_what_was_announced_and_not_what_was_agreed(house, gate, ada) -> None:
    plain = put_small(house)
    folder = house.take(formats=("wav",), question="yes", talk_ms=4000)
    house.work(folder)
    agreed = folder.name
    house.limit(5)
    run_duties(house)
    row = queries.recording(house.tenant, agreed)
    assert row.keep_answer == "yes"
    assert row.consented_until == (("agreement", row.keep_until.date()),), (
        "counted without a look into the seal"
    )
    assert row.keep_until > house.clock() + timedelta(days=360)
    house.clock.forward(days=6)
    assert run_duties(house) == 1
    assert queries.recording(house.tenant, plain).erasure_reason == "shortened"
    assert hears(gate, ada, agreed) == {"agreement": None}
    assert audit(house) <= {"log.not_signed"}
    house.limit(5, covers_consents=True)
    house.clock.forward(minutes=1)
    assert hears(gate, ada, agreed) == {"agreement": "access.expired"}
    assert run_duties(house) == 1
    assert queries.recording(house.tenant, agreed).erasure_reason == "shortened"
    assert audit(house) <= {"log.not_signed"}


def test_a_lifting_deleted_from_its_row_erases_nothing(house) -> None:
    house.limit(5)
    house.clock.forward(minutes=1)
    house.limit(None)
    house.clock.forward(minutes=1)
    recording = put_small(house)
    with writing():
        RetentionLimitTable.update(lifted=None, lifted_leaf=None, applied_at=None).execute()
    house.clock.forward(days=6)
    assert run_duties(house) == 0
    assert queries.recording(house.tenant, recording).keep_until <= house.clock(), "by its row it is due"
    assert {"row.deleted", "retention.unlisted"} <= audit(house)


@pytest.mark.parametrize("change", ["row", "leaf", "lifting", "lifting's leaf"])
def test_refuses_playback_when_rows_lack_a_logged_statement(house, gate, ada, recording, change) -> None:
    """Without a limit's row a recording would be played for longer than was signed; without a lifting, for
    less."""
    house.limit(5)
    run_duties(house)
    if change.startswith("lifting"):
        house.clock.forward(minutes=1)
        house.limit(None)
    house.clock.forward(days=6)
    with writing():
        if change == "row":
            RetentionLimitTable.delete().execute()
        elif change == "leaf":
            RetentionLimitTable.update(leaf=None).execute()
        elif change == "lifting's leaf":
            RetentionLimitTable.update(lifted_leaf=None).execute()
        else:
            RetentionLimitTable.update(lifted=None, lifted_leaf=None).execute()
        RecordingTable.update(keep_until=house.clock() + timedelta(days=20)).execute()
    with expect_error(SealError, "retention.differs"):
        gate.purposes(ada, recording)
    assert audit(house) & {"row.deleted", "retention.unlisted", "row.unlogged"}


@pytest.mark.parametrize("change", ["leaf", "object"])
def test_a_limit_without_its_leaf_or_object_erases_nothing(house, recording, change) -> None:
    house.limit(5)
    (row,) = limits.in_force(house.tenant, house.trust)
    if change == "object":
        house.services.store.delete(statements.place_of(house.tenant, row.id))
    else:
        with writing():
            RetentionLimitTable.update(leaf=0).execute()
    house.clock.forward(days=6)
    assert run_duties(house) == 0
    assert queries.recording(house.tenant, recording).erased_at is None
    assert audit(house) & {"object.missing", "row.unlogged"}


def test_a_planted_statement_ends_nothing_and_the_audit_names_it(house, gate, ada, recording) -> None:
    signed = a_limit(house)
    content = statements.write(signed, key_for(house, root_of(house), *signing.PANEL_USES))
    with memory_file(content) as path:
        place = statements.place_of(house.tenant, signed.id)
        house.services.store.put(place, path, statements.sha256_of(content))
    house.clock.forward(days=2)
    assert run_duties(house) == 0
    assert hears(gate, ada, recording) == {"agreement": None}
    assert "retention.unlisted" in audit(house)


def test_the_audit_names_a_deleted_limit(house, recording) -> None:
    house.limit(5)
    with writing():
        RetentionLimitTable.delete().execute()
    assert {"row.deleted", "retention.unlisted"} <= audit(house)


def test_ignores_a_limit_by_a_key_revoked_before(house, recording) -> None:
    key = house.services.signer.key_id
    since = house.clock() - timedelta(hours=1)
    house.limit(5)
    house.clock.forward(days=6)
    assert run_duties(house, lambda: {key: since}) == 0
    assert "seal.key_revoked" in audit(house, {key: since}.items())
    later = house.clock() - timedelta(days=1)
    trust = Trust(house.services.root, lambda: {key: later})
    assert len(limits.in_force(house.tenant, trust)) == 1, "it was listed before the key was revoked"


class ProcessDeath(Exception):
    """Ends a process like a kill."""


def test_the_worker_finishes_a_limit_of_a_dead_process(house, recording) -> None:
    def die(point: str) -> None:
        raise ProcessDeath(point)

    services = house.services
    changes = Changes(
        services.store, services.root, services.signer, house.clock, house.entropy, boundary=die
    )
    with pytest.raises(ProcessDeath):
        set_limit(changes, house.tenant, NewLimit(None, None, 5), OPERATOR)
    assert limits.in_force(house.tenant, house.trust) == ()
    assert not list(services.store.list(statements.FOLDER))
    run_duties(house)
    assert len(limits.in_force(house.tenant, house.trust)) == 1
    assert queries.recording(house.tenant, recording).keep_until < house.clock() + timedelta(days=6)
    with pytest.raises(ProcessDeath):
        set_limit(changes, house.tenant, NewLimit(None, None, 9), OPERATOR)
    house.limit(20)
    assert [each.limit.keep_days for each in limits.in_force(house.tenant, house.trust)] == [20]
    assert audit(house) <= {"log.not_signed"}


def test_refuses_a_key_that_may_not_sign_limits(house) -> None:
    services = house.services
    signer = key_for(house, root_of(house), signing.AMENDMENT)
    changes = Changes(services.store, services.root, signer, house.clock, house.entropy)
    with expect_error(SealError, "seal.endorsement_use"):
        set_limit(changes, house.tenant, NewLimit(None, None, 5), OPERATOR)
    assert limits.pending() == ()


BY_SQL: dict[str, tuple[str, ...]] = {
    "kept too short": ("UPDATE recording SET keep_until = '2026-01-01T00:00:00.000Z'",),
    "kept for ever": ("UPDATE recording SET keep_until = '2099-01-01T00:00:00.000Z'",),
    "more purposes": ('UPDATE recording SET purposes = \'["agreement", "training"]\'',),
    "no purposes": ("UPDATE recording SET purposes = '[]'",),
    "restricted": ("UPDATE recording SET restricted = '[\"agreement\"]'",),
    "agreed to": ("UPDATE recording SET keep_answer = 'yes'",),
    "agreed until": ('UPDATE recording SET consented_until = \'{"agreement": "2099-01-01"}\'',),
    "gone": ("UPDATE recording SET erased_at = '2026-01-01T00:00:00.000Z', erasure_reason = 'expired'",),
    "another country": ("UPDATE tenant SET country = 'nl'",),
}


@pytest.mark.parametrize("what", BY_SQL)
def test_an_altered_row_erases_and_widens_nothing(house, gate, ada, recording, what) -> None:
    """It may withhold; and the audit names it."""
    before = house.objects()
    with writing():
        for statement in BY_SQL[what]:
            database.execute_sql(statement)
    house.clock.forward(days=2)
    assert run_duties(house) == 0
    assert house.objects() == before
    with suppress(AccessError, SealError):  # withheld
        assert set(hears(gate, ada, recording)) <= {"agreement"}
    with pytest.raises((AccessError, SealError)):
        gate.grant(ada, recording, "training")
    if what not in ("no purposes", "restricted"):  # a row may narrow
        assert audit(house) & {"row.changed", "row.erased"}
    house.clock.forward(days=40)
    with pytest.raises((AccessError, SealError)):  # over, whatever a row says
        gate.grant(ada, recording, "agreement")


def test_an_altered_row_erases_no_take_in_quarantine(house) -> None:
    folder = house.spool / layout.QUARANTINE / str(uuid7(house.clock(), house.entropy))
    folder.mkdir(parents=True)
    (folder / layout.QUARANTINE_REASON).write_text('{"until": "2099-01-01T00:00:00.000Z"}')
    house.work(house.unrecorded())
    past = house.clock() - timedelta(days=1)
    with writing():
        NotRecordedTable.update(id=folder.name, quarantined_until=past).execute()
    assert expiry.empty_quarantine(house.services, house.clock()) == 0
    assert folder.is_dir()


def test_a_pending_row_has_no_effect(house, gate, ada, recording) -> None:
    with writing():
        PendingAmendmentTable.create(recording_id=recording, tenant=house.tenant, since=house.clock())
    house.clock.forward(minutes=5)
    services, row = house.services, queries.recording(house.tenant, recording)
    amendment_recovery.list_pending(services.store, services.root, house.clock(), house.entropy)
    assert queries.recording(house.tenant, recording) == row
    assert hears(gate, ada, recording) == {"agreement": None}


def test_an_erasure_checks_only_the_limits_that_it_rests_on(house, recording) -> None:
    """A limit that ends nothing of this recording delays nothing: the recording had expired by itself."""
    house.limit(25)
    (row,) = limits.in_force(house.tenant, house.trust)
    house.services.store.delete(statements.place_of(house.tenant, row.id))
    house.clock.forward(days=40)
    assert run_duties(house) == 1
    with writing():
        assert RecordingTable.get_by_id(recording).erasure_reason in ("expired", "shortened")
