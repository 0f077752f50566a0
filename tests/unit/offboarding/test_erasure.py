"""All data of a departed customer is erased, holds are decided first, and a receipt states it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.audit import continuation
from recorder.audit.service import Audit
from recorder.auditlog import mail_witness
from recorder.catalogue import offboarding_progress, queries, tenant_queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.offboarding import OffboardingTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.registry import TABLES
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain.parties import Party
from recorder.errors import AuditLogError, CatalogueError, RetentionError, SealError, StoreError
from recorder.features.offboarding import duty as offboarding_duty
from recorder.features.offboarding import queries as offboarding_queries
from recorder.features.offboarding import service
from recorder.features.recovery import rebuild_queue
from recorder.features.recovery.rebuild import Rebuild
from recorder.features.subject_requests import reviews, verification_code
from recorder.features.subject_requests import service as request_register
from recorder.identity import api_tokens
from recorder.identity import users as people
from recorder.lifecycle.key_rotation import KeyRotation, rotation_status
from recorder.pipeline import stages
from recorder.seal import canonical_json
from recorder.seal.amendment import By
from recorder.seal.data_key import tenant_key_of
from recorder.seal.keyring import WrappedKey, tenant_key_path
from recorder.seal.verification import verify
from tests.amendments import amend
from tests.expected_errors import expect_error
from tests.house import Customer
from tests.identity_proof import vouch

OPERATOR = By("operator")


@pytest.fixture
def bakery(house) -> Customer:
    purposes = ("agreement", "legal-duty")
    customer = house.customer("Boulangerie Martin", "+3225550100", purposes=purposes)
    house.person(customer, "paul", "Paul Martin", role="customer_admin")
    return customer


def office(house):
    """The operator's amendment service, with the worker's key."""
    return replace(house.changes, signer=house.services.signer)


def announce(house, customer: Customer) -> None:
    service.announce(office(house), customer.id, house.clock() + timedelta(days=10))


def decide(house, customer: Customer, early: str | None = None) -> None:
    service.order_erasure(office(house), customer.id, early=early)


def findings(house, tenant: str) -> list[str]:
    audit = Audit(house.store, house.root_public, house.clock(), house.keyring)
    return [f"{each.code} {each.message}" for each in audit.tenant(tenant)]


def everything() -> str:
    """The whole content of the catalogue."""
    with connected():
        return "\n".join(repr(row) for model in TABLES for row in model.select().dicts())


def request_erasure(house, customer: Customer, recording: str) -> str:
    """A subject request about a recording, with every text filled in."""
    when = {"now": house.clock(), "entropy": house.entropy}
    request = request_register.enter(
        customer.id, number="0470 12 34 56", wants="both", language="fr", received_on=house.clock().date(),
        by_kind="user", by=customer.people["paul"].id, **when,
    ).id  # fmt: skip
    verification_code.order_call(customer.id, request, who="u", **when)
    request_register.extend(customer.id, request, why="there is a heap of them", who="u", **when)
    vouch(customer.id, request, **when)
    why = "a colleague speaks of her health"
    reviews.decide(customer.id, request, recording, decision="withheld", why=why, who="u", **when)
    return request


def put_back(house, key: str, content: bytes) -> None:
    path = house.folder / "copy"
    path.write_bytes(content)
    house.store.replace(key, path, hashlib.sha256(content).hexdigest())


def left_over(house, tenant: str) -> list[str]:
    """Names of a customer's objects in the bucket, apart from those that stay for good."""
    stays = (
        "manifest.json",
        "receipt.json",
        "statement-0001.json",
        "statement-0002.json",
        "statement-0003.json",
    )
    keys = [key for key in house.store.list("") if tenant in key and not key.startswith("checkpoints/")]
    return [key for key in keys if not key.endswith(stays) and "amendment-" not in key]


def test_erases_everything_and_states_it_in_the_receipt(house, bakery, handed, means, clock) -> None:
    rival = house.customer("Van Dyck NV", "+3225550199", language="en")
    others = house.call(rival, external_party=Party("e164", "+32470999999"))
    mine = [house.call(bakery), house.call(bakery, announced=False)]
    house.not_recorded(bakery, "never_connected")
    house.not_recorded(rival, "never_connected", external_party=Party("e164", "+32470999999"))
    when = {"now": house.clock(), "entropy": house.entropy}
    mail_witness.add(bakery.id, "paul@example.com", **when)
    api_tokens.create(bakery.id, name="till", token_sha256="cd" * 32, signer=house.services.signer, **when)
    request = request_erasure(house, bakery, mine[0])
    assert request_register.find_request(bakery.id, request).number in everything()
    announce(house, bakery)
    handed(bakery.id)
    with pytest.raises(CatalogueError, match="until 2026-12-05"):
        decide(house, bakery)
    clock.forward(days=10)
    service.check_ready(bakery.id)
    decide(house, bakery)
    with pytest.raises(CatalogueError, match="being erased"):
        service.cancel(office(house), bakery.id)
    with pytest.raises(CatalogueError, match="being erased"):
        decide(house, bakery)
    assert offboarding_duty.erase_due(means, house.clock()) == 1
    assert left_over(house, bakery.id) == []
    assert all(queries.recording(bakery.id, each).erasure_reason == "deleted" for each in mine)
    assert queries.recording(rival.id, others).erased_at is None
    with connected():
        assert [row.tenant_id for row in NotRecordedTable.select()] == [rival.id]
        users = list(UserTable.select())
        assert [(user.name, user.password_hash) for user in users] == [("", "")] * 3
        assert all(user.revoked_at for user in users)
        for entry in LeafTable.select().where(LeafTable.tenant == bakery.id):
            assert entry.body is None or entry.recording_id is None or entry.recording_id in mine
    left = everything()
    for personal in (
        "32470123456",
        "Paul Martin",
        "card at the counter",
        "the voice",
        "speaks of her health",
        "a heap",
    ):
        assert personal not in left
    assert people.user_by_login("paul") is None
    assert api_tokens.tokens(bakery.id) == ()
    assert mail_witness.recipients(bakery.id) == []
    row = offboarding_queries.require_departure(bakery.id)
    receipt = offboarding_duty.read(row.receipt.encode(), house.root_public)
    body = json.loads(row.receipt)["body"]
    assert (receipt.tenant, receipt.at, row.offboarded_at) == (bakery.id, house.clock(), house.clock())
    assert body["recordings_erased"] == {"deleted": 2}
    assert (body["handed_over"]["recordings"], body["handed_over"]["omitted"]) == (1, 1)
    assert (body["calls_erased"], body["people_erased"]) == (1, 3)
    assert body["complete_from"] == body["keys"]["copies_end"] == "2027-01-04T09:00:00.000Z"
    assert body["log"]["checkpoint"] >= 1
    assert house.store.read(offboarding_duty.place_of(bakery.id)) == row.receipt.encode()
    assert findings(house, bakery.id) == []
    assert offboarding_duty.erase_due(means, house.clock()) == 0, "once"


def test_a_copied_recording_key_opens_nothing_afterwards(house, bakery, means, clock) -> None:
    """Not even for the holder of the key-encryption key: the customer's keys, former ones included, are
    gone."""
    mine, old = house.call(bakery), tenant_queries.tenant_wrapped_key(bakery.id)
    row = queries.recording(bakery.id, mine)
    copies = {key: house.store.read(key) for key in house.store.list("") if mine in key}
    data_key = WrappedKey.from_bytes(row.wrapped_key.encode())
    assert house.keyring.open_data_key(WrappedKey.from_bytes(old.encode()), data_key)
    rotation = KeyRotation(house.store, house.keyring, house.clock, house.entropy, "rotate")
    rotation.begin(bakery.id)
    assert rotation.all() == (1, 0)
    rotation.begin(bakery.id)  # and a change that was not finished
    announce(house, bakery)
    decide(house, bakery, early="By letter")
    rival = house.customer("Van Dyck NV", "+3225550199", language="en")
    assert lease.take("keys", "rotate", house.clock())
    assert offboarding_duty.erase_due(means, house.clock()) == 0, "while keys are being changed"
    assert tenant_queries.tenant_wrapped_key(bakery.id) is not None
    lease.release("keys", "rotate")
    assert offboarding_duty.erase_due(means, house.clock()) == 1
    assert tenant_queries.tenant_wrapped_key(bakery.id) is None
    assert list(house.store.list(f"keys/{bakery.id}/")) == []
    for key, content in copies.items():  # all of it is put back
        put_back(house, key, content)
    assert tenant_key_of(house.store, bakery.id, data_key.wrapped_by) is None
    report = verify(house.store, row.prefix, house.root_public, house.keyring)
    assert {"key.not_erased", "object.not_erased"} <= {each.code for each in report.findings}
    handover = offboarding_duty.read(
        offboarding_queries.require_departure(bakery.id).receipt.encode(), house.root_public
    ).body.keys.destroyed
    assert len(handover) == 3
    assert WrappedKey.from_bytes(old.encode()).key_id in handover
    # The others' keys can be changed as before, and this one gets no new one.
    assert tenant_queries.tenant_wrapped_key(rival.id) is not None
    rotation.begin(rival.id)
    assert rotation.all() == (0, 0)
    assert rotation_status(house.store).unfinished == ()
    with pytest.raises(SealError, match="has no key"):
        rotation.begin(bakery.id)
    assert list(house.store.list(f"keys/{bakery.id}/tenant")) == []


def test_refuses_an_altered_receipt(house, bakery, means, clock) -> None:
    announce(house, bakery)
    decide(house, bakery, early="By letter")
    assert offboarding_duty.erase_due(means, house.clock()) == 1
    content = offboarding_queries.require_departure(bakery.id).receipt
    body = canonical_json.load(content.encode(), "receipt")
    body["body"]["calls_erased"] += 1
    with expect_error(SealError, "seal.signature"):
        offboarding_duty.read(canonical_json.dump(body), house.root_public)


def test_refuses_while_recordings_are_on_hold_and_names_them(house, bakery, handed, means, clock) -> None:
    on_hold, other = house.call(bakery), house.call(bakery)
    announce(house, bakery)
    clock.forward(days=1)
    owner = bakery.people["paul"].id
    options = {"owner": owner, "purposes": ["agreement"], "reason": "order 12 is contested"}
    review = house.clock() + timedelta(days=90)
    amend(house.changes.hold, bakery.id, on_hold, OPERATOR, review_at=review, **options)
    with expect_error(CatalogueError, "offboarding.held") as failure:
        service.check_ready(bakery.id)
    assert on_hold in failure.value.message
    assert "order 12 is contested" in failure.value.message
    assert "accord hold lift" in failure.value.hint
    decide(house, bakery, early="By letter")  # somebody held it after the command had looked
    assert offboarding_duty.erase_due(means, house.clock()) == 0
    assert offboarding_queries.count_recordings(bakery.id) == 2, "nothing begins before it is decided"
    house.changes.lift(house.changes.look(bakery.id, on_hold), OPERATOR, hold=1, reason="settled")
    with expect_error(RetentionError, "retention.being_erased"):
        amend(house.changes.hold, bakery.id, other, OPERATOR, review_at=review, **options)
    assert offboarding_duty.erase_due(means, house.clock()) == 1
    assert offboarding_queries.count_recordings(bakery.id) == 0
    row = offboarding_queries.require_departure(bakery.id)
    assert offboarding_duty.read(row.receipt.encode(), house.root_public).body.handed_over is None


def test_refuses_an_erasure_without_a_handover(house, bakery) -> None:
    announce(house, bakery)
    with pytest.raises(CatalogueError, match="nothing was handed over"):
        service.check_handed_over(service.current_statement(office(house), bakery.id))
    service.check_ready(bakery.id)


class Locked:
    """A store that keeps one object until a time."""

    def __init__(self, store, locked_recording: str) -> None:
        self._store, self.locked_key = store, locked_recording

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    def delete(self, key: str) -> None:
        if self.locked_key and self.locked_key in key and key.endswith("audio.opus"):
            raise StoreError("store.locked", f"{key} is locked until 2027", "wait for that day")
        self._store.delete(key)


@pytest.mark.long
def test_reports_locked_objects_and_erases_the_rest(house, bakery, means, clock) -> None:
    live, other = house.call(bakery), house.call(bakery)
    announce(house, bakery)
    decide(house, bakery, early="By letter")
    store = Locked(house.store, live)
    locked = replace(means, lock_eraser=store)
    assert offboarding_duty.erase_due(locked, house.clock()) == 0
    assert queries.recording(bakery.id, other).erased_at is not None
    row = queries.recording(bakery.id, live)
    assert (row.erased_at, row.wrapped_key) == (None, None), "its key is gone all the same"
    assert offboarding_queries.require_departure(bakery.id).receipt is None
    store.locked_key = ""
    clock.forward(minutes=10)
    assert offboarding_duty.erase_due(locked, house.clock()) == 1


@pytest.mark.long
def test_stops_after_its_time_and_resumes(house, bakery, means, clock) -> None:
    for _ in range(3):
        house.call(bakery)
    announce(house, bakery)
    decide(house, bakery, early="By letter")
    clock_steps = iter(range(0, 1000, 40))
    elapsed = lambda: float(next(clock_steps))  # noqa: E731
    assert offboarding_duty.erase_due(means, house.clock(), seconds=60.0, elapsed=elapsed) == 0
    assert offboarding_queries.count_recordings(bakery.id) == 2
    assert offboarding_duty.erase_due(means, house.clock()) == 1


@pytest.mark.long
def test_keeps_no_call_that_arrives_late(house, bakery, means, clock) -> None:
    """It was in the spool of an unreachable node, not sealed yet, or sealed and not uploaded."""
    clock.forward(minutes=5)
    before = house.clock() - timedelta(minutes=4)
    sealed, sealed_at = house.finished(bakery, at=before)
    while stages.next_stage(sealed) != "store":
        stages.step(sealed, sealed_at + timedelta(seconds=1), house.services)
    key, wrapped = tenant_key_path(bakery.id), tenant_queries.tenant_wrapped_key(bakery.id)
    announce(house, bakery)
    decide(house, bakery, early="By letter")
    assert offboarding_duty.erase_due(means, house.clock()) == 1
    late, ended = house.finished(bakery, at=before, external_party=Party("e164", "+32470999999"))
    house.work(late, ended)
    assert not late.exists()
    assert not [key for key in house.store.list("") if late.name in key]
    house.not_recorded(bakery, "never_connected", at=before)
    with connected():
        assert not NotRecordedTable.select().exists()
    put_back(house, key, wrapped.encode())  # its node was just putting it
    house.work(sealed, sealed_at)
    assert not sealed.exists()
    assert not [each for each in house.store.list("") if sealed.name in each or each == key]


def test_neither_an_old_catalogue_nor_a_rebuild_restores_anything(house, bakery, means, clock) -> None:
    mine = house.call(bakery)
    tables = (RecordingTable, LineTable, UserTable, NotRecordedTable, TenantTable)
    with connected():
        before = {model: list(model.select().dicts()) for model in tables}
    (mirrored,) = [key for key in house.store.list("") if key.endswith("tenant.json")]
    mirror = house.store.read(mirrored)
    announce(house, bakery)
    decide(house, bakery, early="By letter")
    assert offboarding_duty.erase_due(means, house.clock()) == 1
    receipt = offboarding_queries.require_departure(bakery.id).receipt
    with connected():  # an old copy of the catalogue, from before it left
        AmendmentTable.delete().execute()
        OffboardingTable.delete().execute()
        LineTable.update(until=None).execute()
        for row in before[RecordingTable]:
            RecordingTable.update(**row).where(RecordingTable.id == row["id"]).execute()
        for row in before[UserTable]:
            UserTable.update(**row).where(UserTable.id == row["id"]).execute()
        for row in before[TenantTable]:
            TenantTable.update(wrapped_key=row["wrapped_key"]).where(TenantTable.id == row["id"]).execute()
    put_back(house, mirrored, mirror)
    assert tenant_queries.tenant_wrapped_key(bakery.id) is not None
    assert queries.lines(bakery.id), "its number would be recorded again"
    report = Rebuild(house.store, house.keyring, house.root_public, house.clock, house.entropy).run()
    assert report.withheld == {bakery.id: 1}
    assert queries.lines(bakery.id) == ()
    assert queries.recording(bakery.id, mine).erasure_reason == "deleted"
    # Nothing else is destroyed by a rebuild: it proposes, and says so.
    assert people.user_by_login("paul") is not None
    assert tenant_queries.tenant_wrapped_key(bakery.id) is not None
    assert tenant_key_path(bakery.id) in house.store.list("keys/")
    assert [each.tenant for each in report.leavers] == [bakery.id]
    assert offboarding_queries.summarise(bakery.id) == "0 recordings, 0 calls without one, 1 log-ins, a key"
    with expect_error(CatalogueError, "offboarding.holds_unconfirmed"):
        service.complete_erasure(office(house), bakery.id)
    assert offboarding_duty.erase_due(means, house.clock()) == 0
    rebuild_queue.finish()
    house.confirm_holds()
    service.complete_erasure(office(house), bakery.id)
    assert offboarding_duty.erase_due(means, house.clock()) == 1
    assert offboarding_queries.require_departure(bakery.id).receipt == receipt
    assert people.user_by_login("paul") is None
    assert tenant_queries.tenant_wrapped_key(bakery.id) is None
    assert list(house.store.list("keys/")) == [], "neither in the bucket"
    assert (
        Rebuild(house.store, house.keyring, house.root_public, house.clock, house.entropy).run().leavers == ()
    )
    with connected():  # and all of it is lost
        for model in (AmendmentTable, RecordingTable, LineTable, LeafTable, OffboardingTable):
            model.delete().execute()
        TenantTable.update(log_size=0).execute()
    rebuild_queue.finish()
    house.confirm_holds()
    report = Rebuild(house.store, house.keyring, house.root_public, house.clock, house.entropy).run()
    assert queries.recording(bakery.id, mine).erasure_reason == "deleted"
    assert [each.tenant for each in report.leavers] == [bakery.id]
    house.confirm_holds()
    with expect_error(AuditLogError, "audit_log.incomplete"):
        service.complete_erasure(office(house), bakery.id)
    continuation.restart_log(bakery.id, "the disk broke", means, house.clock.forward(minutes=1))
    service.complete_erasure(office(house), bakery.id)
    assert offboarding_progress.is_being_erased(bakery.id)
