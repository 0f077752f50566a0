"""Nothing of a customer's is erased while the log is not as long as it was signed."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from recorder.auditlog import checkpoint
from recorder.auditlog.append import append, lock_tenant
from recorder.auditlog.complete_log import complete_log, signed_length
from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.audit_log import CheckpointTable, LeafTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import AuditLogError
from recorder.lifecycle import expiry
from recorder.seal.amendment import By
from tests.amendments import amend
from tests.house import Bakery


def held_recording(house: Bakery) -> RecordingRow:
    """A recording that has expired and is on legal hold; the log is signed before the hold and after it."""
    folder = house.take()
    house.work(folder)
    assert checkpoint.sign_due(house.services, house.clock.forward(hours=1)) == 1
    amend(house.changes.hold, house.tenant, folder.name, By("operator"),
        owner="ada", purposes=["agreement"], reason="a dispute",
        review_at=house.clock() + timedelta(days=90),
    )  # fmt: skip
    row = queries.recording(house.tenant, folder.name)
    assert row is not None
    house.clock.at = row.keep_until
    assert checkpoint.sign_due(house.services, house.clock.forward(hours=1)) == 1
    return row


def delete_hold(house: Bakery, row: RecordingRow) -> int:
    """Delete a hold everywhere, with write access to catalogue and bucket; returns its leaf's number."""
    for each in house.bucket.joinpath(row.prefix).glob("amendment-*"):
        each.unlink()
    with writing():
        AmendmentTable.delete().where(AmendmentTable.recording == row.id).execute()
        about = (LeafTable.recording_id == row.id) & (LeafTable.kind == "recording.amended")
        number = LeafTable.get(about).number
        assert LeafTable.delete().where(about).execute() == 1
    return int(number)


def refusals(house: Bakery) -> list[tuple[str, str]]:
    """The errors of a pass that erases nothing, and what is wrong with the log."""
    with capture_logs() as logs:
        assert expiry.destroy_due(house.services, house.clock()) == 0
    failures = [line for line in logs if line["event"] == "recording.erasure_failed"]
    what = re.compile(rf"the log of customer {house.tenant} (.*): nothing of the customer's is erased")
    return [(str(line["error_id"]), what.search(line["error"])[1]) for line in failures]


def shorten(house: Bakery) -> None:
    with writing():
        TenantTable.update(log_size=TenantTable.log_size - 1).where(TenantTable.id == house.tenant).execute()


def forget_checkpoints(house: Bakery) -> None:
    with writing():
        CheckpointTable.delete().execute()


def lose_newest_note(house: Bakery) -> None:
    """The catalogue has a checkpoint more than the bucket, as before it is put there."""
    newest_note(house, house.tenant).unlink()


def newest_note(house: Bakery, tenant: str) -> Path:
    return max(house.bucket.joinpath("checkpoints", tenant).glob("*.note"))


def begin_epoch(house: Bakery) -> None:
    with writing():
        TenantTable.update(log_epoch=2).where(TenantTable.id == house.tenant).execute()


def plant_checkpoint(house: Bakery) -> None:
    """A note that nobody signed, and an old one under a later number."""
    notes = sorted(house.bucket.glob("checkpoints/*/*.note"))
    (notes[-1].parent / "9999999999.note").write_text("99999")
    (notes[-1].parent / "9999999998.note").write_bytes(notes[0].read_bytes())


CHANGES = (None, forget_checkpoints, lose_newest_note, begin_epoch, plant_checkpoint)


@pytest.mark.parametrize("also", CHANGES)
@pytest.mark.parametrize("shorter", [False, True])
def test_hold_that_was_deleted_with_its_leaf_erases_nothing(house, shorter, also) -> None:
    row = held_recording(house)
    delete_hold(house, row)
    if shorter:
        shorten(house)
    if also is not None:
        also(house)
    assert refusals(house) == [("audit_log.incomplete", "does not continue checkpoint 2")]
    recording = queries.recording(house.tenant, row.id)
    assert (recording.erased_at, recording.wrapped_key is None) == (None, False)


def test_hold_below_a_stored_hash_of_the_tree_is_missed(house) -> None:
    """The hash above its 256 leaves still fits."""
    row = held_recording(house)
    with writing():
        for _ in range(300):
            append(house.tenant, "user.logged_in", {"user": "a"}, house.clock(), house.entropy)
    assert checkpoint.sign_due(house.services, house.clock.forward(hours=1)) == 1
    delete_hold(house, row)
    assert refusals(house) == [("audit_log.incomplete", "has a gap")]


def test_leaf_that_is_put_in_its_place_is_noticed(house) -> None:
    row = held_recording(house)
    number = delete_hold(house, row)
    with writing():
        end = TenantTable.get_by_id(house.tenant).log_size
        append(house.tenant, "user.logged_in", {"user": "a"}, house.clock(), house.entropy)
        LeafTable.update(number=number).where(LeafTable.number == end).execute()
    shorten(house)
    assert refusals(house) == [("audit_log.incomplete", "does not continue checkpoint 2")]


def test_another_customers_recordings_are_erased(house) -> None:
    row = held_recording(house)
    delete_hold(house, row)
    other = house.customer("Notaire", "+3225550177")
    call = house.call(other)
    house.clock.forward(days=60)
    with capture_logs() as logs:
        assert expiry.destroy_due(house.services, house.clock()) == 1
    assert queries.recording(other.id, call).erased_at is not None
    (failure,) = [line for line in logs if line["event"] == "recording.erasure_failed"]
    assert (failure["error_id"], failure["recording"]) == ("audit_log.incomplete", row.id)


def test_log_that_no_one_signed_yet_needs_no_checkpoint(house) -> None:
    folder = house.take()
    house.work(folder)
    house.clock.at = queries.recording(house.tenant, folder.name).keep_until
    assert expiry.destroy_due(house.services, house.clock()) == 1


def test_planted_checkpoints_stop_nothing(house) -> None:
    folder = house.take()
    house.work(folder)
    house.clock.at = queries.recording(house.tenant, folder.name).keep_until
    assert checkpoint.sign_due(house.services, house.clock.forward(hours=1)) == 1
    plant_checkpoint(house)
    with writing():
        CheckpointTable.update(number=77, note="99999").execute()
    assert expiry.destroy_due(house.services, house.clock()) == 1


def test_another_customers_checkpoint_stops_nothing(house) -> None:
    """It is signed, and has the number of the next one."""
    folder = house.take()
    house.work(folder)
    house.clock.at = queries.recording(house.tenant, folder.name).keep_until
    assert checkpoint.sign_due(house.services, house.clock.forward(hours=1)) == 1
    other = house.customer("Notaire", "+3225550177")
    for _ in range(2):
        assert checkpoint.sign(other.id, house.services, house.clock.forward(hours=1)) is not None
    assert checkpoint.publish(other.id, house.services, house.clock()) == 2
    theirs, ours = (newest_note(house, tenant) for tenant in (other.id, house.tenant))
    ours.with_name(theirs.name).write_bytes(theirs.read_bytes())
    assert expiry.destroy_due(house.services, house.clock()) == 1


def test_gap_after_the_newest_checkpoint_is_noticed(house) -> None:
    assert checkpoint.sign(house.tenant, house.services, house.clock()) is not None
    with writing():
        leaf = append(house.tenant, "user.logged_in", {"user": "a"}, house.clock(), house.entropy)
        LeafTable.delete().where(
            (LeafTable.tenant == house.tenant) & (LeafTable.number == leaf.number)
        ).execute()
    length = signed_length(house.tenant, house.services.store, house.services.root)
    with writing(), pytest.raises(AuditLogError, match=f"customer {house.tenant} has a gap: "):
        complete_log(lock_tenant(house.tenant), length)


def test_log_is_complete_only_while_its_customer_is_locked(house) -> None:
    length = signed_length(house.tenant, house.services.store, house.services.root)
    with writing():
        locked = lock_tenant(house.tenant)
        assert complete_log(locked, length).locked == locked
    with pytest.raises(RuntimeError, match="has ended"):
        complete_log(locked, length)


def test_length_of_another_customers_log_proves_nothing(house) -> None:
    other = house.customer("Notaire", "+3225550177")
    length = signed_length(other.id, house.services.store, house.services.root)
    with writing(), pytest.raises(AuditLogError):
        complete_log(lock_tenant(house.tenant), length)
