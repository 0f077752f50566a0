"""A rebuild restores amendments from the bucket alone, and nothing that was erased."""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.retention_limit import RetentionLimitTable
from recorder.lifecycle import amendments
from recorder.lifecycle.amendment_service import Changes
from recorder.seal.amendment import By
from tests.amendments import amend

from .conftest import catalogued, rows

OPERATOR = By("operator")


def changes(house) -> Changes:
    services = house.services
    return Changes(services.store, services.root, services.signer, house.clock, house.entropy)


@pytest.mark.postgresql
def test_rebuilt_rows_reflect_amendments(house, recovery, recorded) -> None:
    longer, narrowed, deleted, on_hold = recorded(), recorded(), recorded(), recorded()
    service = changes(house)
    options = {"purpose": "training", "keep_days": 90, "reason": "on paper"}
    amend(service.agree, house.tenant, longer, OPERATOR, **options)
    amend(service.narrow, house.tenant, narrowed, OPERATOR, purposes=["agreement"], reason="…")
    amend(service.delete, house.tenant, deleted, OPERATOR, reason="…")
    review = house.clock() + timedelta(days=9)
    more = {"owner": "ada", "purposes": ["agreement"], "reason": "…", "review_at": review}
    amend(service.hold, house.tenant, on_hold, OPERATOR, **more)
    before, leaves = catalogued(), rows(LeafTable)
    assert recovery.rebuild().outcomes == {"unchanged": 4}
    assert (catalogued(), rows(LeafTable)) == (before, leaves)
    with recovery.empty_catalogue():
        assert recovery.rebuild().outcomes == {"made": 4}
        assert recovery.troubles == []
        assert catalogued() == before
        assert queries.recording(house.tenant, longer).purposes == ("agreement", "training")
        house.confirm_holds()
        house.clock.forward(seconds=1)
        assert recovery.destroy_due() == 2
        assert queries.recording(house.tenant, deleted).erasure_reason == "deleted"
        house.clock.forward(days=40)
        assert recovery.destroy_due() == 0, "one is held, one was agreed to for longer"


def test_completes_unlisted_amendments(house, recovery, recorded) -> None:
    recording = recorded()
    (old,) = rows(RecordingTable)
    amend(changes(house).delete, house.tenant, recording, OPERATOR, reason="…")
    with writing():  # a copy of before
        AmendmentTable.delete().execute()
        before = {name: value for name, value in old.items() if name != "id"}
        RecordingTable.update(before).where(RecordingTable.id == recording).execute()
    assert recovery.rebuild().outcomes == {"completed": 1}
    assert recovery.troubles == []
    assert queries.recording(house.tenant, recording).keep_until <= house.clock()
    assert len(amendments.listed_hashes(house.tenant, recording)) == 1


def test_a_limit_is_no_difference_but_an_altered_row_is(house, recovery, recorded) -> None:
    house.limit(7, purpose="agreement")
    recording = recorded()
    row = queries.recording(house.tenant, recording)
    assert recovery.rebuild().outcomes == {"unchanged": 1}
    with writing():
        RetentionLimitTable.update(
            statement=RetentionLimitTable.get().statement.replace('"days":7', '"days":1')
        ).execute()
    assert recovery.rebuild().outcomes == {"differs": 1}
    assert [code for code, _ in recovery.troubles] == ["seal.row_differs"]
    assert queries.recording(house.tenant, recording) == row
