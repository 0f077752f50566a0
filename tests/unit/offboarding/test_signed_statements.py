"""Only a statement signed by a key endorsed for it erases or offboards."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from recorder.auditlog import leaf_lookup
from recorder.catalogue import offboarding_progress, queries, tenant_queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.offboarding import OffboardingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import AuditLogError, CatalogueError, SealError
from recorder.features.offboarding import duty as offboarding_duty
from recorder.features.offboarding import service
from recorder.identity import users
from recorder.lifecycle import expiry
from recorder.lifecycle.amendment_store import chain_of
from recorder.lifecycle.amendment_store import put as put_amendment
from recorder.pipeline import stages
from recorder.playback.interface import Actor
from recorder.seal import offboarding as statements
from recorder.seal import signed_document
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import DeletionRequested
from recorder.seal.keyring import tenant_key_path
from tests.expected_errors import expect_error
from tests.house import Customer
from tests.unit.offboarding.forgery import SQLITE, assert_whole, audited, forge_row, leave, put


@SQLITE
def test_the_panels_key_cannot_sign_an_offboarding(house, bakery, means, office) -> None:
    mine = house.call(bakery)
    panel = house.changes
    with expect_error(SealError, "seal.endorsement_use"):
        service.announce(panel, bakery.id, house.clock() + timedelta(days=1))
    assert list(house.store.list("offboarding/")) == []
    # Past its own check, too: whoever has the key signs what they like.
    service.announce(office, bakery.id, house.clock() + timedelta(days=1))
    (statement,) = statements.statements(house.store, bakery.id, house.root_public)
    forged = statement.next_statement(statements.ERASURE, house.clock(), early="By letter")
    content = signed_document.write(statements.STATEMENT.body(forged), panel.signer)
    put(house, f"offboarding/{bakery.id}/statement-0002.json", content)
    with writing():
        OffboardingTable.update(erasing_since=house.clock()).execute()
    assert offboarding_duty.erase_due(means, house.clock()) == 0
    assert_whole(house, bakery, mine)
    assert "seal.endorsement_use" in audited(house, bakery.id)


@SQLITE
def test_a_revoked_key_offboards_nobody_until_a_new_signature(house, bakery, means, office) -> None:
    mine = house.call(bakery)
    leave(office, bakery)
    revoked = {house.services.signer.key_id: house.clock() + timedelta(hours=1)}
    later = replace(means, revoked=lambda: revoked)
    assert offboarding_duty.erase_due(later, house.clock()) == 0, (
        "dated before the revocation, as whoever has it can"
    )
    assert_whole(house, bakery, mine)
    with expect_error(CatalogueError, "offboarding.statement_missing"):
        service.order_erasure(replace(office, revoked=lambda: revoked), bakery.id, early="By letter")
    service.cancel(replace(office, revoked=lambda: revoked), bakery.id)
    assert offboarding_progress.find_offboarding(bakery.id) is None


@SQLITE
def test_refuses_another_customers_statement_and_a_gap(house, bakery, means, office) -> None:
    mine = house.call(bakery)
    rival = house.customer("Van Dyck NV", "+3225550199", language="en")
    leave(office, rival)
    for name in ("statement-0001.json", "statement-0002.json"):
        content = house.store.read(f"offboarding/{rival.id}/{name}")
        put(house, f"offboarding/{bakery.id}/{name}", content)
    forge_row(house, bakery.id)
    assert offboarding_duty.erase_due(means, house.clock()) == 1, "the one who leaves"
    assert_whole(house, bakery, mine)
    assert {"offboarding.foreign", "row.unlogged"} <= {*audited(house, bakery.id)}
    # And a cancellation stands: an erasure that was signed before it cannot be put after it.
    customer = house.customer("Garage Peeters", "+3225550188")
    leave(office, customer)
    key = f"offboarding/{customer.id}/statement-0002.json"
    erasure = house.store.read(key)
    house.store.delete(key)
    with writing():
        OffboardingTable.update(erasing_since=None).where(OffboardingTable.tenant_id == customer.id).execute()
    service.cancel(office, customer.id)
    put(house, f"offboarding/{customer.id}/statement-0003.json", erasure)
    forge_row(house, customer.id)
    assert offboarding_duty.erase_due(means, house.clock()) == 0
    assert tenant_queries.tenant_wrapped_key(customer.id) is not None
    assert "offboarding.predecessor" in audited(house, customer.id)


@SQLITE
def test_keeps_call_and_key_of_a_customer_who_stays_where_the_bucket_has_an_old_order(
    house, bakery, office, clock
) -> None:
    """Whoever may write to bucket and catalogue puts the order back in the cancellation's place."""
    house.call(bakery)
    folder, at = sealed_take(house, bakery, clock)
    leave(office, bakery)
    order = f"offboarding/{bakery.id}/statement-0002.json"
    erasure = house.store.read(order)
    house.store.delete(order)
    with writing():
        OffboardingTable.update(erasing_since=None).where(OffboardingTable.tenant_id == bakery.id).execute()
    service.cancel(office, bakery.id)
    house.store.delete(order)
    put(house, order, erasure)
    forge_row(house, bakery.id)
    wrapped = tenant_queries.tenant_wrapped_key(bakery.id)
    with writing():
        TenantTable.update(wrapped_key="").where(TenantTable.id == bakery.id).execute()
    with pytest.raises(CatalogueError), capture_logs() as logs:
        house.work(folder, at)
    assert "offboarding.unsigned" in {each["event"] for each in logs}
    assert folder.exists()
    assert tenant_key_path(bakery.id) in house.objects()
    with writing():
        TenantTable.update(wrapped_key=wrapped).where(TenantTable.id == bakery.id).execute()
    house.work(folder, at)
    assert queries.recording(bakery.id, folder.name) is not None


@SQLITE
def test_deletes_no_late_call_and_no_key_by_an_incomplete_log(house, bakery, means, office, clock) -> None:
    """It may lack the leaf by which the customer stays. The take waits in the spool, and is tried again."""
    folder, at = sealed_take(house, bakery, clock)
    key, wrapped = tenant_key_path(bakery.id), tenant_queries.tenant_wrapped_key(bakery.id)
    leave(office, bakery)
    assert offboarding_duty.erase_due(means, house.clock()) == 1
    put(house, key, wrapped.encode())  # its node was just putting it
    with writing():
        mine = (LeafTable.tenant == bakery.id) & (LeafTable.number == 1)
        (leaf,) = LeafTable.select().where(mine).dicts()
        LeafTable.delete().where(mine).execute()
    there = house.objects()
    for _again in range(2):
        with expect_error(AuditLogError, "audit_log.incomplete"):
            house.work(folder, at)
        assert (folder.exists(), house.objects()) == (True, there)
    with writing():
        LeafTable.insert(**leaf).execute()
    house.work(folder, at)
    assert not folder.exists()
    assert key not in house.objects()


def sealed_take(house, customer: Customer, clock) -> tuple[Path, datetime]:
    """A sealed take of a call from before its customer leaves, not stored yet, and the end of the call."""
    clock.forward(minutes=5)
    folder, ended = house.finished(customer, at=house.clock() - timedelta(minutes=4))
    while stages.next_stage(folder) != "store":
        stages.step(folder, ended + timedelta(seconds=1), house.services)
    return folder, ended


@SQLITE
def test_an_early_erasure_states_the_agreement(house, bakery, office, clock) -> None:
    service.announce(office, bakery.id, house.clock() + timedelta(days=10))
    (statement,) = statements.statements(house.store, bakery.id, house.root_public)
    for wrong in (
        {"early": ""},
        {"early": None},
        {"early": "so", "announced_at": house.clock() + timedelta(days=1)},
    ):
        forged = statement.next_statement(statements.ERASURE, house.clock(), **wrong)
        with expect_error(SealError, "seal.contradiction"):
            statements.put_statement(house.store, forged, house.services.signer, house.root_public)
    for changes, error_id in (
        ({"more": 1}, "seal.unknown_field"),
        ({"version": 2}, "seal.version"),
        ({"kind": "moved"}, "seal.field"),
        ({"type": "accord-receipt"}, "seal.field"),
    ):
        content = signed_document.write(statements.STATEMENT.body(statement) | changes, house.services.signer)
        with expect_error(SealError, error_id):
            statements.read(content, house.root_public)


@SQLITE
def test_resumes_when_killed_between_statement_and_row(house, bakery, means, office) -> None:
    class Killed(BaseException):
        pass

    def die(_boundary: str) -> None:
        raise Killed

    until = house.clock() + timedelta(days=10)
    failing_office = replace(office, boundary=die)
    with pytest.raises(Killed):
        service.announce(failing_office, bakery.id, until)
    assert offboarding_progress.find_offboarding(bakery.id) is None
    service.announce(office, bakery.id, until)
    with pytest.raises(Killed):
        service.order_erasure(failing_office, bakery.id, early="By letter")
    assert offboarding_duty.erase_due(means, house.clock()) == 0
    service.order_erasure(office, bakery.id, early="By letter")
    kinds = [each.kind for each in statements.statements(house.store, bakery.id, house.root_public)]
    assert kinds == ["announced", "erasure"], "each once"
    assert audited(house, bakery.id) == []
    assert offboarding_duty.erase_due(means, house.clock()) == 1
    other = house.customer("Van Dyck NV", "+3225550199", language="en")
    service.announce(office, other.id, until)
    with pytest.raises(Killed):
        service.cancel(failing_office, other.id)
    service.cancel(office, other.id)
    assert offboarding_progress.find_offboarding(other.id) is None
    assert audited(house, other.id) == []


@SQLITE
def test_the_audit_names_missing_and_unlogged_statements(house, bakery, office) -> None:
    leave(office, bakery)
    last = f"offboarding/{bakery.id}/statement-0002.json"
    content = house.store.read(last)
    house.store.delete(last)
    assert "statement.missing" in audited(house, bakery.id)
    put(house, last, content)
    assert audited(house, bakery.id) == []
    rival = house.customer("Van Dyck NV", "+3225550199", language="en")
    at = house.clock()
    first = statements.StatementBody(rival.id, 1, None, statements.ANNOUNCED, at, at, at, None, None)
    statements.put_statement(house.store, first, house.services.signer, house.root_public)
    assert audited(house, rival.id) == ["statement.unlogged"]


@SQLITE
def test_a_deletion_is_logged_before_it_is_carried_out(house, bakery, means, clock) -> None:
    """Whoever has that key and the bucket can do it: the key may sign deletions."""
    mine, paul = house.call(bakery), users.user_by_login("paul")
    clock.forward(minutes=5)
    chain = chain_of(house.store, queries.recording(bakery.id, mine).prefix, house.root_public)
    by = By("user", paul.id)
    amended = put_amendment(
        house.store,
        chain,
        DeletionRequested("Forged"),
        by,
        house.changes.signer,
        house.root_public,
        house.clock(),
    )
    assert expiry.destroy_due(means, clock.forward(minutes=5)) == 0
    assert {"row.changed", "amendment.row_differs"} <= set(audited(house, bakery.id))
    house.gate.purposes(Actor(paul.id, bakery.id, paul.role, "fr"), mine)
    (leaf,) = leaf_lookup.leaves_about(bakery.id, [mine], ["recording.amended"])
    assert (leaf.body["sha256"], leaf.body["by"]) == (amended.sha256, paul.id)
    assert expiry.destroy_due(means, clock()) == 1
    assert audited(house, bakery.id) == []


@SQLITE
def test_the_audit_names_a_recording_key_in_another_customers_folder(house, bakery, clock) -> None:
    mine, rival = house.call(bakery), house.customer("Rival", "+3225550199")
    house.call(rival)
    clock.forward(days=3)
    key = f"keys/{rival.id}/{mine}.json"
    assert audited(house, rival.id) == ["log.not_signed"]
    put(house, key, house.store.read(f"keys/{bakery.id}/{mine}.json"))
    assert audited(house, rival.id) == ["log.not_signed", "object.unknown"]
