"""Changes to rows, and to objects in the bucket."""

from __future__ import annotations

from datetime import timedelta

from recorder.catalogue.database import database, writing
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.grant import GrantTable, ListenTable
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.tenant import TenantTable

from .conftest import World
from .tampering import change_recording, found_as, object_of

# --- rows


@found_as("row.deleted")
def a_recordings_row_is_deleted(world: World) -> None:
    with writing():
        for model in (ListenTable, GrantTable, AmendmentTable):
            model.delete().execute()
        RecordingTable.delete().where(RecordingTable.id == world.kept).execute()


@found_as("row.changed")
def a_recordings_manifest_is_changed_in_its_row(world: World) -> None:
    change_recording(world, manifest_sha256="00" * 32)


@found_as("row.changed")
def a_recordings_row_is_made_unreadable(world: World) -> None:
    with writing():
        database.execute_sql("UPDATE recording SET purposes = 'x', started_at = 'y'")


@found_as("row.changed", "announcement")
def an_announcements_row_is_made_unreadable(world: World) -> None:
    with writing():
        database.execute_sql("UPDATE announcement SET purposes = 'x'")


@found_as("row.changed")
def who_called_is_changed_in_a_recordings_row(world: World) -> None:
    change_recording(world, external_value="+32499000000")


@found_as("row.changed")
def a_recording_is_kept_longer_than_was_sealed(world: World) -> None:
    change_recording(world, keep_until=world.house.clock() + timedelta(days=900))


@found_as("row.erased")
def a_recording_is_said_to_be_destroyed(world: World) -> None:
    change_recording(world, erased_at=world.house.clock(), erasure_reason="expired", wrapped_key=None)


@found_as("row.changed")
def why_a_recording_was_destroyed_is_changed(world: World) -> None:
    with writing():
        RecordingTable.update(erasure_reason="not_announced").where(
            RecordingTable.id == world.erased
        ).execute()


@found_as("row.changed", "access_grant")
def a_grants_purpose_is_changed(world: World) -> None:
    with writing():
        GrantTable.update(purpose="quality").where(GrantTable.recording == world.kept).execute()


@found_as("row.changed", "listen")
def how_much_was_heard_is_changed(world: World) -> None:
    with writing():
        ListenTable.update(sent_bytes=1).execute()


@found_as("row.deleted", "listen")
def a_listen_is_deleted(world: World) -> None:
    with writing():
        ListenTable.delete().execute()


@found_as("row.unlogged", "listen")
def a_listen_is_made_up(world: World) -> None:
    with writing():
        row = ListenTable.select().dicts().first()
        ListenTable.create(**row | {"id": "made up", "play": "other"})


@found_as("row.deleted", "unrecorded_call")
def a_call_that_was_not_recorded_is_hidden(world: World) -> None:
    with writing():
        NotRecordedTable.delete().execute()


@found_as("row.changed", "user_account")
def somebody_gets_another_role(world: World) -> None:
    with writing():
        UserTable.update(role="customer").execute()


@found_as("row.unlogged", "user_account")
def somebody_is_let_in_past_the_log(world: World) -> None:
    with writing():
        row = UserTable.select().dicts().first()
        UserTable.create(**row | {"id": "made up", "login": "mallory"})


@found_as("row.changed", "line")
def a_lines_timing_is_changed_past_the_log(world: World) -> None:
    with writing():
        LineTable.update(timing="before_ringing").execute()


@found_as("row.changed", "tenant")
def a_customers_country_is_changed_past_the_log(world: World) -> None:
    with writing():
        TenantTable.update(country="be").execute()


@found_as("amendment.row_differs")
def a_tombstones_row_is_deleted(world: World) -> None:
    with writing():
        AmendmentTable.delete().execute()


# --- objects


@found_as("object.block")
def a_recordings_sound_is_changed(world: World) -> None:
    path = object_of(world, "audio.opus")
    path.write_bytes(path.read_bytes()[:-1] + b"x")


@found_as("object.missing")
def a_recordings_sound_is_deleted(world: World) -> None:
    object_of(world, "audio.opus").unlink()


@found_as("seal.signature")
def a_manifest_is_changed(world: World) -> None:
    path = object_of(world, "manifest.json")
    path.write_bytes(path.read_bytes().replace(b'"duration_ms":60000', b'"duration_ms":60001'))


@found_as("manifest.missing")
def a_manifest_is_deleted(world: World) -> None:
    object_of(world, "manifest.json").unlink()


@found_as("row.erased")
def a_tombstone_is_deleted_from_the_bucket(world: World) -> None:
    next(world.house.bucket.glob(f"*/*/*/*/{world.erased}/amendment-0001.json")).unlink()
