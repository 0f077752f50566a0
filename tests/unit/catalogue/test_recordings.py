from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.records import Cursor
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.errors import CatalogueError
from recorder.lifecycle import recordings
from tests.expected_errors import expect_error
from tests.tombstones import bury_row, drop_key

pytestmark = pytest.mark.postgresql


def test_recording_row_is_read_back(stored, tenants) -> None:
    row = stored()
    assert queries.recording(tenants[0], row.id) == row


def test_recording_of_another_tenant_is_not_found(stored, unrecorded, tenants) -> None:
    mine, other = tenants
    row = stored(mine)
    unrecorded(mine)
    assert queries.recording(other, row.id) is None
    assert queries.recordings(other).rows == ()
    assert queries.not_recorded(other).rows == ()


def test_each_recording_is_on_exactly_one_page(stored, tenants, clock) -> None:
    ids = [stored(started_at=clock() + timedelta(seconds=n // 3)).id for n in range(10)]
    stored(tenants[1])
    ids_on_pages: list[str] = []
    after = None
    while True:
        page = queries.recordings(tenants[0], after=after, limit=3)
        ids_on_pages += [row.id for row in page.rows]
        if page.more is None:
            break
        after = Cursor.decode(page.more.encode())
    assert len(ids_on_pages) == 10
    assert set(ids_on_pages) == set(ids)
    times = [queries.recording(tenants[0], identity).started_at for identity in ids_on_pages]
    assert times == sorted(times, reverse=True)


def test_full_last_page_has_no_cursor(stored, tenants) -> None:
    for _ in range(3):
        stored()
    assert queries.recordings(tenants[0], limit=3).more is None


def test_list_is_filtered(stored, tenants, clock) -> None:
    early = stored(line="one")
    late = stored(line="two", started_at=clock() + timedelta(hours=2))
    only = {"line": "one"}, {"until": clock() + timedelta(hours=1)}
    for narrowed in only:
        assert [row.id for row in queries.recordings(tenants[0], **narrowed).rows] == [early.id]
    since = queries.recordings(tenants[0], since=clock() + timedelta(hours=1))
    assert [row.id for row in since.rows] == [late.id]
    assert len(queries.recordings(tenants[0], party="470123").rows) == 2
    assert queries.recordings(tenants[0], party="%").rows == ()


@pytest.mark.parametrize("text", ["", "x", "2026-11-25T09:00:00.000Z", "2026-11-25T09:00:00_id"])
def test_invalid_cursor_is_refused(text) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Cursor.decode(text)


def test_listing_twice_has_no_effect(stored, tenants, clock, entropy) -> None:
    row = stored()
    assert not recordings.add_recording(row, now=clock(), entropy=entropy)
    assert len(queries.recordings(tenants[0]).rows) == 1
    assert _leaves(row.id) == ["recording.stored"]


def test_recording_drops_no_other_customers_unrecorded_call(stored, unrecorded, tenants) -> None:
    """A take that was set aside is listed without a recording until it is recovered, perhaps for nobody."""
    mine, ownerless, foreign = unrecorded(), unrecorded(tenant=None, line=None), unrecorded(tenant=tenants[1])
    for each in (mine, ownerless, foreign):
        stored(id=each.id)
    with connected():
        assert [row.id for row in NotRecordedTable.select()] == [foreign.id]


def test_other_manifest_with_the_same_id_is_a_conflict(stored, tenants, clock, entropy) -> None:
    row = stored()
    for other in (replace(row, manifest_sha256="cd" * 32), replace(row, tenant=tenants[1])):
        with expect_error(CatalogueError, "recording.conflict"):
            recordings.add_recording(other, now=clock(), entropy=entropy)


def test_recording_of_unknown_tenant_is_refused(stored, clock, entropy) -> None:
    row = replace(stored(), id="x", tenant="nobody", prefix="x")
    with expect_error(CatalogueError, "tenant.unknown"):
        recordings.add_recording(row, now=clock(), entropy=entropy)


def test_unrecorded_call_is_listed_once(unrecorded, tenants, clock, entropy) -> None:
    row = unrecorded()
    assert not recordings.add_not_recorded(row, now=clock(), entropy=entropy)
    assert queries.not_recorded(tenants[0]).rows == (row,)
    assert _leaves(row.id) == ["call.not_recorded"]


def test_call_to_an_unknown_number_belongs_to_no_tenant(unrecorded, tenants) -> None:
    row = unrecorded(tenant=None, line=None, reason="no_line")
    assert all(queries.not_recorded(tenant).rows == () for tenant in tenants)
    assert _leaves(row.id) == []


def test_expired_recording_is_due(stored, clock) -> None:
    row = stored()
    assert recordings.due(clock()) == ()
    assert recordings.due(row.keep_until - timedelta(milliseconds=1)) == ()
    assert recordings.due(row.keep_until) == ((row.tenant, row.id),)


def test_tombstone_has_no_parties_key_or_salt(stored, tenants, clock, entropy) -> None:
    row = stored()
    clock.forward(days=30)
    drop_key(row)
    assert queries.recording(tenants[0], row.id).wrapped_key is None
    assert bury_row(row, "expired", now=clock(), entropy=entropy)
    assert not bury_row(row, "expired", now=clock(), entropy=entropy)
    left = queries.recording(tenants[0], row.id)
    assert (left.external_party, left.internal_party, left.wrapped_key) == (None, None, None)
    assert (left.erased_at, left.erasure_reason) == (clock(), "expired")
    assert queries.recordings(tenants[0]).rows == ()
    assert recordings.due(clock()) == ()
    with connected():
        leaf = LeafTable.get(LeafTable.recording_id == row.id)
    assert (leaf.body, leaf.salt) == (None, None)
    assert leaf.leaf_hash


def _leaves(recording: str) -> list[str]:
    with connected():
        query = LeafTable.select().where(LeafTable.recording_id == recording)
        return [leaf.kind for leaf in query.order_by(LeafTable.number)]
