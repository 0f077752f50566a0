"""A rebuild reads statements and receipts from the bucket, and erases nothing because of one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.offboarding import OffboardingTable
from recorder.errors import CatalogueError, SealError
from recorder.features.offboarding import duty as offboarding_duty
from recorder.features.offboarding import queries as offboarding_queries
from recorder.features.offboarding import service
from recorder.features.recovery.rebuild import Rebuild, RebuildReport
from recorder.features.tenants import lines
from recorder.seal import signed_document
from recorder.seal.offboarding import place_of
from tests.amendments import amend
from tests.expected_errors import expect_error
from tests.stored_recordings import receipt_body
from tests.unit.offboarding.forgery import OPERATOR, SQLITE, assert_whole, audited, leave, put


def rebuild(house, **changes: Any) -> RebuildReport:
    """The report of a rebuild; its problems stay in the catalogue until it is finished."""
    from recorder.features.recovery import rebuild_queue

    report = Rebuild(
        house.store, house.keyring, house.root_public, house.clock, house.entropy, **changes
    ).run()
    troubles[:] = [(each.code, each.place) for each in rebuild_queue.problems()]
    rebuild_queue.finish()
    return report


troubles: list[tuple[str, str]] = []


@SQLITE
def test_a_rebuild_erases_nothing_because_of_a_receipt(house, bakery, means, office) -> None:
    """By the panel's key, with an unknown field, or by the worker's own key: a rebuild only proposes."""
    on_hold = house.call(bakery)
    options = {"owner": bakery.people["paul"].id, "purposes": ["agreement"], "reason": "order 12"}
    amend(
        house.changes.hold,
        bakery.id,
        on_hold,
        OPERATOR,
        review_at=house.clock() + timedelta(days=9),
        **options,
    )
    place = place_of(bakery.id)
    panel, worker = house.changes.signer, house.services.signer
    for signer, changes, code in (
        (panel, {}, "seal.endorsement_use"),
        (worker, {"unknown": 1}, "seal.unknown_field"),
        (worker, {"version": 2}, "seal.version"),
        (worker, {"recordings_erased": {"deleted": "all"}}, "seal.field"),
        (worker, {"tenant": "another"}, "offboarding.foreign"),
    ):
        body = receipt_body(bakery.id, house.clock()) | changes
        put(house, place, signed_document.write(body, signer))
        report = rebuild(house)
        assert troubles == [(code, place)], changes
        assert (report.changed, report.leavers, report.withheld) == (0, (), {})
        assert code in audited(house, bakery.id)
        house.store.delete(place)
    put(house, place, signed_document.write(receipt_body(bakery.id, house.clock()), worker))
    report = rebuild(house)
    assert ([each.tenant for each in report.leavers], report.withheld) == ([bakery.id], {bakery.id: 1})
    assert report.changed == 1, "its line ended, and it says so"
    assert offboarding_duty.erase_due(means, house.clock()) == 0
    assert_whole(house, bakery, on_hold)
    with expect_error(CatalogueError, "offboarding.held"):
        service.complete_erasure(office, bakery.id)
    assert "statement.unlogged" not in audited(house, bakery.id), "the leaf names the receipt"
    house.changes.lift(house.changes.look(bakery.id, on_hold), OPERATOR, hold=1, reason="settled")
    with pytest.raises(SealError):
        service.complete_erasure(house.changes, bakery.id)
    assert_whole(house, bakery, on_hold)
    service.complete_erasure(office, bakery.id)
    assert offboarding_duty.erase_due(means, house.clock()) == 1
    assert queries.recording(bakery.id, on_hold).erasure_reason == "deleted"


@SQLITE
def test_names_each_invalid_object_and_reads_the_others(house, bakery, means, office) -> None:
    leave(office, bakery)
    assert offboarding_duty.erase_due(means, house.clock()) == 1
    rival = house.customer("Van Dyck NV", "+3225550199", language="en")
    other = house.store.read(place_of(bakery.id))
    put(house, place_of(rival.id), other)
    put(house, f"offboarding/{bakery.id}/readme.txt", b"?")
    put(house, "offboarding/0/receipt.json", b"\xff")
    put(house, "offboarding/1/statement-0001.json", b"{}")
    with writing():
        OffboardingTable.delete().execute()
    report = rebuild(house)
    assert sorted(troubles) == [
        ("object.unplaced", f"offboarding/{bakery.id}/readme.txt"),
        ("offboarding.foreign", place_of(rival.id)),
        ("seal.field", "offboarding/1/"),
        ("seal.not_json", "offboarding/0/receipt.json"),
    ]
    assert [each.tenant for each in report.leavers] == [bakery.id]
    assert "object.unplaced" in audited(house, bakery.id)


@SQLITE
def test_a_rebuild_tells_an_older_catalogue_of_announcement_and_cancellation(house, bakery, office) -> None:
    service.announce(office, bakery.id, house.clock() + timedelta(days=10))
    with writing():
        OffboardingTable.delete().execute()
    report = rebuild(house)
    assert (report.withheld, report.leavers) == ({bakery.id: 0}, ())
    assert offboarding_queries.require_departure(bakery.id).until == house.clock() + timedelta(days=10)
    service.cancel(office, bakery.id)
    assert rebuild(house).withheld == {}


@SQLITE
@pytest.mark.parametrize("kind", ["announced", "handed_over"])
def test_a_deleted_cancellation_still_applies(house, bakery, office, handed, clock, kind) -> None:
    """Write access to the bucket ends no line by an announcement that was cancelled."""
    house.call(bakery)
    service.announce(office, bakery.id, house.clock() + timedelta(days=10))
    clock.forward(minutes=1)
    if kind == "handed_over":
        handed(bakery.id)
        clock.forward(minutes=1)
    service.cancel(office, bakery.id)
    options = {"announcement": bakery.announcement.id, "now": house.clock(), "entropy": house.entropy}
    lines.create_line(bakery.id, number=bakery.line.number, **options)
    *_, last = house.store.list(f"offboarding/{bakery.id}/statement-")
    house.store.delete(last)
    report = rebuild(house)
    assert (report.withheld, report.leavers) == ({}, ())
    assert troubles == [("offboarding.missing", f"offboarding/{bakery.id}/")]
    assert [line.number for line in queries.lines(bakery.id)] == [bakery.line.number]
    assert "statement.missing" in audited(house, bakery.id)
