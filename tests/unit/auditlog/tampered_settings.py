"""Tampering with customers' settings, credentials, and subject requests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from recorder.catalogue.database import database, writing
from recorder.catalogue.tables.announcement import AnnouncementTable, PurposeTable
from recorder.catalogue.tables.audit_log import RecipientTable
from recorder.catalogue.tables.identity import ApiTokenTable, SessionTable, UserTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.retention_limit import RetentionLimitTable
from recorder.catalogue.tables.subject_request import ReviewTable, SubjectRequestTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.ids import uuid7
from recorder.seal import retention_limit as statements
from recorder.seal.amendment import By
from recorder.seal.retention_limit import LimitSet
from recorder.spool.atomic_files import memory_file

from .conftest import World
from .tampered_later import signed
from .tampering import change_recording, found_as


def change(model: Any, **columns: Any) -> None:
    with writing():
        assert model.update(**columns).execute()


def remove(model: Any) -> None:
    with writing():
        assert model.delete().execute()


def again(model: Any, **columns: Any) -> None:
    """Insert a copy of an existing row."""
    with writing():
        row = model.select().dicts().first()
        model.create(**row | {"id": "made up"} | columns)


# --- how long is kept


@found_as("row.deleted", "retention_limit")
def deleted_limit_with_restored_retention(world: World) -> None:
    house, before = world.house, RecordingTable.get_by_id(world.live_recording).keep_until
    house.limit(20)
    earlier = before - timedelta(days=10)
    change_recording(world, keep_until=earlier)
    signed(world)
    with writing():
        last = (
            RetentionLimitTable.select(RetentionLimitTable.id)
            .order_by(RetentionLimitTable.id.desc())
            .limit(1)
        )
        RetentionLimitTable.delete().where(RetentionLimitTable.id.in_(last)).execute()
    change_recording(world, keep_until=before)


@found_as("row.changed", "retention_limit")
def extended_limit_in_row(world: World) -> None:
    change(
        RetentionLimitTable, statement=RetentionLimitTable.get().statement.replace('"days":20', '"days":900')
    )


@found_as("row.unlogged", "retention_limit")
def lifted_limit_in_row(world: World) -> None:
    change(RetentionLimitTable, lifted="{}", lifted_leaf=0)


@found_as("row.unlogged", "retention_limit")
def forged_limit(world: World) -> None:
    again(RetentionLimitTable, leaf=0)


@found_as("retention.unlisted", "retention/")
def unlisted_limit_in_bucket(world: World) -> None:
    house, now = world.house, world.house.clock()
    limit = LimitSet(world.tenant, str(uuid7(now, house.entropy)), None, None, 1, now, False, By("operator"))
    put_statement(world, limit.id, statements.write(limit, house.services.signer))


@found_as("retention.unlisted", "retention/")
def malformed_limit_in_bucket(world: World) -> None:
    put_statement(world, str(uuid7(world.house.clock(), world.house.entropy)), b"hello")


@found_as("object.missing", "retention/")
def deleted_limit_in_bucket(world: World) -> None:
    house, row = world.house, RetentionLimitTable.get()
    house.services.store.delete(statements.place_of(world.tenant, row.id))


@found_as("retention.differs", "retention/")
def changed_limit_in_bucket(world: World) -> None:
    house, row = world.house, RetentionLimitTable.get()
    house.services.store.delete(statements.place_of(world.tenant, row.id))
    put_statement(world, row.id, row.statement.replace('"days":20', '"days":2').encode())


@found_as("row.deleted", "retention_limit")
def restored_limit_in_row(world: World) -> None:
    world.house.limit(None, purpose="training")
    signed(world)
    change(RetentionLimitTable, lifted=None, lifted_leaf=None)


@found_as("row.deleted", "retention_limit")
def limit_row_without_leaf(world: World) -> None:
    change(RetentionLimitTable, leaf=None)


def put_statement(world: World, limit: str, content: bytes) -> None:
    with memory_file(content) as path:
        place = statements.place_of(world.tenant, limit)
        world.house.services.store.put(place, path, statements.sha256_of(content))


@found_as("row.changed", "recording")
def extended_agreement_in_row(world: World) -> None:
    change_recording(world, consented_until={"agreement": "2099-01-01"})


@found_as("row.changed", "retention_limit")
def unreadable_limit_row(world: World) -> None:
    with writing():
        database.execute_sql("UPDATE retention_limit SET applied_at = 'x'")


# --- what is announced, and of whom


@found_as("row.changed", "announcement")
def changed_retention_of_announcement(world: World) -> None:
    change(AnnouncementTable, keep_days=900)


@found_as("row.changed", "announcement")
def changed_text_of_announcement(world: World) -> None:
    change(AnnouncementTable, text="Nothing is recorded.")


@found_as("row.changed", "announcement")
def changed_language_of_announcement(world: World) -> None:
    change(AnnouncementTable, language="de")


@found_as("row.changed", "line")
def changed_number_of_line(world: World) -> None:
    change(LineTable, digits="3225559999")


@found_as("row.changed", "line")
def ended_line_row(world: World) -> None:
    change(LineTable, until=world.house.clock())


@found_as("row.changed", "tenant")
def changed_time_zone_of_tenant(world: World) -> None:
    change(TenantTable, time_zone="Pacific/Auckland")


@found_as("row.changed", "tenant")
def changed_plan_of_tenant(world: World) -> None:
    change(TenantTable, plan="all")


@found_as("row.unlogged", "purpose")
def forged_purpose(world: World) -> None:
    with writing():
        PurposeTable.create(
            id="made up", tenant=world.tenant, code="sell", labels={}, legal_basis="none", longest_days=900,
            roles=["customer"], created_at=world.house.clock(),
        )  # fmt: skip


@found_as("row.changed", "unrecorded_call")
def changed_number_of_unrecorded_call(world: World) -> None:
    change(NotRecordedTable, number="+3225559999")


@found_as("row.changed", "unrecorded_call")
def changed_time_of_unrecorded_call(world: World) -> None:
    change(NotRecordedTable, started_at=world.house.clock())


# --- who may enter


@found_as("row.changed", "user_account")
def changed_login_of_user(world: World) -> None:
    change(UserTable, login="mallory@example.com")


@found_as("row.changed", "user_account")
def changed_password_of_user(world: World) -> None:
    change(UserTable, password_hash="$argon2id$of-another")


@found_as("row.changed", "user_account")
def revoked_user_row(world: World) -> None:
    change(UserTable, revoked_at=world.house.clock())


@found_as("row.unlogged", "session")
def forged_session(world: World) -> None:
    again(SessionTable, token_sha256="ab" * 32)


@found_as("row.changed", "session")
def changed_token_of_session(world: World) -> None:
    change(SessionTable, token_sha256="ab" * 32)


@found_as("row.changed", "session")
def reopened_session(world: World) -> None:
    change(SessionTable, ended_at=None)


@found_as("row.unlogged", "api_token")
def forged_api_token(world: World) -> None:
    again(ApiTokenTable, token_sha256="ab" * 32)


@found_as("row.changed", "api_token")
def changed_api_token(world: World) -> None:
    change(ApiTokenTable, token_sha256="ab" * 32)


@found_as("row.changed", "api_token")
def restored_api_token(world: World) -> None:
    change(ApiTokenTable, revoked_at=None)


@found_as("row.deleted", "api_token")
def deleted_api_token(world: World) -> None:
    remove(ApiTokenTable)


# --- who asked, and who is told


@found_as("row.changed", "subject_request")
def forged_verification_of_request(world: World) -> None:
    change(SubjectRequestTable, verified_at=world.house.clock(), verified_how="code")


@found_as("row.changed", "subject_request")
def changed_number_of_request(world: World) -> None:
    change(SubjectRequestTable, number="+32470999999")


@found_as("row.changed", "subject_request")
def changed_number_and_salt_of_request(world: World) -> None:
    change(SubjectRequestTable, number="+32470999999", number_salt="00" * 32)


@found_as("row.changed", "subject_request")
def changed_language_of_request(world: World) -> None:
    change(SubjectRequestTable, language="de")


@found_as("row.changed", "subject_request")
def forged_vouching_of_request(world: World) -> None:
    change(
        SubjectRequestTable, vouched_at=world.house.clock(), vouched_by=world.user, vouched_statement="seen"
    )


@found_as("row.changed", "subject_request")
def forged_export_of_request(world: World) -> None:
    change(SubjectRequestTable, exported_at=world.house.clock())


@found_as("row.unlogged", "verification_call")
def forged_verification_call(world: World) -> None:
    now = world.house.clock()
    with writing():
        request = SubjectRequestTable.select().get().id
        VerificationCallTable.create(
            id="made up", use="subject_request", request_id=request, tenant_id=world.tenant,
            number="+32470999999", number_salt="", language="fr", ordered_at=now, until=now, tries=0,
        )  # fmt: skip


@found_as("row.unlogged", "request_review")
def forged_review(world: World) -> None:
    with writing():
        request = SubjectRequestTable.select().get().id
        identity = f"{request}/{world.live_recording}"
        ReviewTable.create(id=identity, request=request, recording_id=world.live_recording, given="both")


@found_as("row.changed", "subject_request")
def extended_request_row(world: World) -> None:
    change(SubjectRequestTable, due_on="2099-01-01")


@found_as("row.changed", "subject_request")
def closed_request_row(world: World) -> None:
    change(SubjectRequestTable, closed_at=world.house.clock(), closed_how="answered")


@found_as("row.deleted", "subject_request")
def deleted_request(world: World) -> None:
    remove(SubjectRequestTable)


@found_as("row.unlogged", "subject_request")
def forged_request(world: World) -> None:
    again(SubjectRequestTable)


@found_as("row.deleted", "checkpoint_recipient")
def deleted_recipient(world: World) -> None:
    remove(RecipientTable)


@found_as("row.changed", "checkpoint_recipient")
def removed_recipient_row(world: World) -> None:
    change(RecipientTable, until=world.house.clock())


@found_as("row.changed", "checkpoint_recipient")
def changed_address_of_recipient(world: World) -> None:
    change(RecipientTable, address="mallory@example.com")


@found_as("row.unlogged", "checkpoint_recipient")
def forged_recipient(world: World) -> None:
    again(RecipientTable)
