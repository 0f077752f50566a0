"""The rows of recordings and of unrecorded calls: written once, found by what identifies them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.grant import GrantTable
from recorder.catalogue.tables.notification import NotificationTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.errors import CatalogueError
from recorder.lifecycle import recordings
from tests.expected_errors import expect_error
from tests.stored_recordings import put_small
from tests.tombstones import bury_row, drop_key

pytestmark = pytest.mark.postgresql

NEW = "01930000-0000-7000-8000-0000000000e1"


@pytest.fixture
def row(house) -> RecordingRow:
    found = queries.recording(house.tenant, put_small(house))
    assert found is not None
    return found


@pytest.fixture
def add(house) -> Callable[..., bool]:
    def add(row: RecordingRow, **options) -> bool:
        return recordings.add_recording(row, now=house.clock(), entropy=house.entropy, **options)

    return add


def leaf_bodies(kind: str) -> list[str]:
    with connected():
        return [leaf.body for leaf in LeafTable.select().where(LeafTable.kind == kind)]


def another(row: RecordingRow, **changes) -> RecordingRow:
    return replace(
        row, **{"id": NEW, "prefix": f"{row.prefix}other/", "manifest_sha256": "ef" * 32} | changes
    )


def test_adds_a_recording_once(house, row, add) -> None:
    assert not add(row)
    assert add(another(row))
    assert not add(another(row))
    assert len(leaf_bodies("recording.stored")) == 2


def test_refuses_another_manifest_under_the_same_id(row, add) -> None:
    with expect_error(CatalogueError, "recording.conflict"):
        add(replace(row, manifest_sha256="ab" * 32))


def test_refuses_a_row_made_with_other_limits(house, row, add) -> None:
    house.limit(5)
    with expect_error(CatalogueError, "retention.changed"):
        add(another(row))


def test_finds_an_import_by_its_hash(house, row, add) -> None:
    assert add(another(row, import_sha256="ab" * 32))
    found = recordings.imported_recording(house.tenant, "ab" * 32)
    assert found is not None
    assert found.id == NEW
    assert recordings.imported_recording(house.tenant, "cd" * 32) is None
    assert recordings.imported_recording("another tenant", "ab" * 32) is None
    assert "ab" * 32 in leaf_bodies("recording.stored")[-1]


def test_lists_recordings_that_end_together(house, row) -> None:
    ids = sorted([row.id, put_small(house), put_small(house)])
    with writing():
        RecordingTable.update(keep_until=row.keep_until).execute()
    assert recordings.due(row.keep_until) == tuple((house.tenant, each) for each in ids)
    assert recordings.is_due(row, row.keep_until)
    bury_row(row, "expired", now=house.clock(), entropy=house.entropy)
    assert not recordings.is_due(row, row.keep_until)


def test_drops_one_recordings_key(house, row) -> None:
    other = put_small(house)
    drop_key(row)
    keys = {each: queries.recording(house.tenant, each).wrapped_key for each in (row.id, other)}
    assert keys[row.id] is None
    assert keys[other] is not None


def test_makes_a_tombstone_once_and_ends_its_grants(house, row) -> None:
    at = house.clock.forward(minutes=1)
    now = house.clock.forward(minutes=1)
    assert bury_row(row, "deleted", at=at, now=now, entropy=house.entropy)
    assert not bury_row(row, "expired", now=now, entropy=house.entropy)
    found = queries.recording(house.tenant, row.id)
    assert (found.erased_at, found.erasure_reason, found.external_party, found.internal_party) == (
        at,
        "deleted",
        None,
        None,
    )
    assert len(leaf_bodies("recording.erased")) == 1
    with connected():
        assert GrantTable.select().where(GrantTable.ended_at.is_null()).count() == 0
        assert (
            LeafTable.select()
            .where((LeafTable.kind == "recording.stored") & LeafTable.body.is_null())
            .count()
        )


def test_lists_an_unrecorded_call_once(house) -> None:
    first, second = house.unrecorded(), house.unrecorded("never_connected")
    for folder in (first, second):
        house.work(folder)
    rows = queries.not_recorded(house.tenant).rows
    assert {each.reason for each in rows} == {"hung_up_in_announcement", "never_connected"}
    assert not recordings.add_not_recorded(rows[0], now=house.clock(), entropy=house.entropy)
    assert len(leaf_bodies("call.not_recorded")) == 2


def test_appends_a_leaf_before_a_take_in_quarantine_is_erased(house) -> None:
    house.work(house.unrecorded())
    (row,) = queries.not_recorded(house.tenant).rows
    recordings.note_quarantine_erasure(row.id, house.clock(), house.entropy)
    recordings.note_quarantine_erasure("unknown", house.clock(), house.entropy)
    assert len(leaf_bodies("quarantine.erased")) == 1
    with writing():
        NotRecordedTable.update(tenant=None).execute()
    recordings.note_quarantine_erasure(row.id, house.clock(), house.entropy)
    assert len(leaf_bodies("quarantine.erased")) == 1, "a call of nobody's has no log"


def test_erasure_takes_the_notification_that_names_the_recording(house, row, add) -> None:
    add(another(row))
    with writing():
        for each in (row.id, NEW):
            NotificationTable.create(
                id=f"about {each}", tenant=house.tenant, kind="review", cause="due", key=each,
                recording_id=each, data={}, since=house.clock(), changed_at=house.clock(),
            )  # fmt: skip
    assert bury_row(row, "deleted", now=house.clock(), entropy=house.entropy)
    with connected():
        assert [each.recording_id for each in NotificationTable.select()] == [NEW]
