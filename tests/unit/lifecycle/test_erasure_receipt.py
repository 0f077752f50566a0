"""The receipt of an erasure: what it states, that it is signed, and that there is none before everything is
gone."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.recording import RecordingTable
from recorder.errors import AccessError, RetentionError, SealError
from recorder.lifecycle import amendments, erasure_receipt, expiry
from recorder.lifecycle.amendment_store import chain_of
from recorder.lifecycle.erasure_deadline import erasure_complete_at
from recorder.seal.keyring import data_key_path
from tests.expected_errors import expect_error
from tests.stored_recordings import put_small
from tests.tombstones import bury_row

BACKUPS_KEPT = timedelta(days=30)


@pytest.fixture
def erased_recording(house) -> str:
    """A recording that was erased when it expired."""
    recording = put_small(house)
    house.clock.forward(days=400)
    assert expiry.destroy_due(house.services, house.clock()) == 1
    return recording


def receipt_of(house, recording: str, tenant: str = "") -> erasure_receipt.ErasureReceipt:
    means = house.services
    keys = means.root, means.signer
    return erasure_receipt.receipt(
        tenant or house.tenant, recording, means.store, *keys, BACKUPS_KEPT, house.clock()
    )


def test_states_what_was_erased_and_when_that_is_complete(house, erased_recording) -> None:
    house.clock.forward(days=1)
    receipt = erasure_receipt.read(receipt_of(house, erased_recording).content, house.services.root)
    row = queries.recording(house.tenant, erased_recording)
    assert (receipt.recording, receipt.reason, receipt.erased_at) == (
        erased_recording,
        "expired",
        row.erased_at,
    )
    assert (
        receipt.complete_from
        == erasure_complete_at(row.erased_at, BACKUPS_KEPT)
        == row.erased_at + BACKUPS_KEPT
    )
    assert {each.name for each in receipt.objects} == {each.name for each in row.objects}
    assert receipt.remains == ("amendment-0001.json", "manifest.json")
    there = {key.removeprefix(row.prefix) for key in house.objects() if erased_recording in key}
    assert there == set(receipt.remains), "what it says stays is what there is"
    assert "+32" not in receipt.content.decode(), "nobody's number"


def test_refuses_an_altered_receipt(house, erased_recording) -> None:
    content = receipt_of(house, erased_recording).content
    body = json.loads(content)
    for field, value in (("backups_kept_days", 0), ("verified", False), ("reason", "deleted")):
        changed = json.dumps(
            body | {"body": body["body"] | {field: value}}, separators=(",", ":"), sort_keys=True
        )
        with expect_error(SealError, "seal.signature"):
            erasure_receipt.read(changed.encode(), house.services.root)


def test_refuses_a_receipt_while_anything_exists(house, erased_recording) -> None:
    (house.bucket / data_key_path(house.tenant, erased_recording)).write_bytes(b"{}")
    with expect_error(RetentionError, "retention.not_gone"):
        receipt_of(house, erased_recording)


def test_refuses_a_receipt_where_only_the_row_says_that_it_was_erased(house) -> None:
    recording = put_small(house)
    row = queries.recording(house.tenant, recording)
    bury_row(row, "deleted", now=house.clock(), entropy=house.entropy)
    with pytest.raises(RetentionError) as failure:
        receipt_of(house, recording)
    assert (failure.value.error_id, "no tombstone" in str(failure.value)) == ("retention.not_erased", True)


def test_refuses_a_receipt_where_rows_were_swapped(house, erased_recording) -> None:
    row = queries.recording(house.tenant, erased_recording)
    another = put_small(house)
    bury_row(queries.recording(house.tenant, another), "deleted", now=house.clock(), entropy=house.entropy)
    with writing():
        RecordingTable.update(prefix=f"{row.prefix}x").where(RecordingTable.id == erased_recording).execute()
        RecordingTable.update(prefix=row.prefix).where(RecordingTable.id == another).execute()
    with expect_error(SealError, "seal.manifest_foreign"):
        receipt_of(house, another)


def test_row_becomes_a_tombstone_only_by_the_buckets(house, erased_recording) -> None:
    alive = put_small(house)
    at = {"now": house.clock(), "entropy": house.entropy}
    for recording in (alive, erased_recording):
        row = queries.recording(house.tenant, recording)
        chain = chain_of(house.store, row.prefix, house.root_public)
        if recording == alive:
            with pytest.raises(SealError, match="has no tombstone"):
                amendments.list_tombstone(chain, **at)
        else:
            assert not amendments.list_tombstone(chain, **at), "it is one already"


def test_refuses_live_and_foreign_recordings(house) -> None:
    recording = put_small(house)
    with expect_error(RetentionError, "retention.not_erased"):
        receipt_of(house, recording)
    with expect_error(AccessError, "access.not_found"):
        receipt_of(house, recording, "somebody-else")


def test_refuses_a_negative_backup_period(house) -> None:
    with pytest.raises(ValueError, match="negative"):
        erasure_complete_at(house.clock(), timedelta(days=-1))
    assert erasure_complete_at(house.clock(), timedelta(0)) == house.clock()


def test_refuses_a_receipt_that_contradicts_itself(house, erased_recording) -> None:
    found = receipt_of(house, erased_recording)
    body = {name: getattr(found, name) for name in erasure_receipt.KIND.form.names}
    erasure_receipt.KIND.write(erasure_receipt.ErasureReceiptBody(**body), house.services.signer)
    for change in ({"verified": False}, {"complete_from": found.erased_at - timedelta(milliseconds=1)}):
        wrong = erasure_receipt.ErasureReceiptBody(**body | change)
        with expect_error(SealError, "seal.contradiction"):
            erasure_receipt.KIND.write(wrong, house.services.signer)
