"""Changes to what a customer set, to who may enter, and to the register of who asked."""

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
from recorder.catalogue.tables.subject_request import ReviewTable, SubjectRequestTable, VerificationCodeTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.ids import uuid7
from recorder.seal import retention_limit as statements
from recorder.seal.amendment import By
from recorder.seal.retention_limit import LimitSet
from recorder.spool.atomic_files import in_memory

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
    """One more row like the one that is there."""
    with writing():
        row = model.select().dicts().first()
        model.create(**row | {"id": "made up"} | columns)


# --- how long is kept


@found_as("row.deleted", "retention_limit")
def a_limit_is_deleted_and_a_recording_kept_as_long_as_before(world: World) -> None:
    house, before = world.house, RecordingTable.get_by_id(world.keep_answer).keep_until
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
def a_limit_is_longer_in_its_row(world: World) -> None:
    change(
        RetentionLimitTable, statement=RetentionLimitTable.get().statement.replace('"days":20', '"days":900')
    )


@found_as("row.unlogged", "retention_limit")
def a_limit_is_lifted_in_its_row(world: World) -> None:
    change(RetentionLimitTable, lifted="{}", lifted_leaf=0)


@found_as("row.unlogged", "retention_limit")
def a_limit_is_made_up(world: World) -> None:
    again(RetentionLimitTable, leaf=0)


@found_as("retention.unlisted", "retention/")
def a_limit_is_put_that_nobody_listed(world: World) -> None:
    house, now = world.house, world.house.clock()
    said = LimitSet(world.tenant, str(uuid7(now, house.entropy)), None, None, 1, now, False, By("operator"))
    put_statement(world, said.id, statements.write(said, house.means.signer))


@found_as("retention.unlisted", "retention/")
def what_is_no_statement_is_put_among_the_limits(world: World) -> None:
    put_statement(world, str(uuid7(world.house.clock(), world.house.entropy)), b"hello")


@found_as("object.missing", "retention/")
def a_limits_statement_is_taken_from_the_bucket(world: World) -> None:
    house, row = world.house, RetentionLimitTable.get()
    house.means.store.delete(statements.place_of(world.tenant, row.id))


@found_as("retention.differs", "retention/")
def a_limits_statement_is_another_in_the_bucket(world: World) -> None:
    house, row = world.house, RetentionLimitTable.get()
    house.means.store.delete(statements.place_of(world.tenant, row.id))
    put_statement(world, row.id, row.statement.replace('"days":20', '"days":2').encode())


@found_as("row.deleted", "retention_limit")
def that_a_limit_is_lifted_is_taken_from_its_row(world: World) -> None:
    world.house.limit(None, purpose="training")
    signed(world)
    change(RetentionLimitTable, lifted=None, lifted_leaf=None)


@found_as("row.deleted", "retention_limit")
def a_limit_is_said_to_be_of_no_leaf(world: World) -> None:
    change(RetentionLimitTable, leaf=None)


def put_statement(world: World, limit: str, content: bytes) -> None:
    with in_memory(content) as path:
        place = statements.place_of(world.tenant, limit)
        world.house.means.store.put(place, path, statements.sha256_of(content))


@found_as("row.changed", "recording")
def until_when_it_was_agreed_is_longer_in_its_row(world: World) -> None:
    change_recording(world, consented_until={"agreement": "2099-01-01"})


@found_as("row.changed", "retention_limit")
def a_limits_row_is_made_unreadable(world: World) -> None:
    with writing():
        database.execute_sql("UPDATE retention_limit SET applied_at = 'x'")


# --- what is announced, and of whom


@found_as("row.changed", "announcement")
def how_long_is_announced_is_changed(world: World) -> None:
    change(AnnouncementTable, keep_days=900)


@found_as("row.changed", "announcement")
def what_an_announcement_says_is_changed(world: World) -> None:
    change(AnnouncementTable, text="Nothing is recorded.")


@found_as("row.changed", "announcement")
def an_announcements_language_is_changed(world: World) -> None:
    change(AnnouncementTable, language="de")


@found_as("row.changed", "line")
def a_line_hears_another_number(world: World) -> None:
    change(LineTable, digits="3225559999")


@found_as("row.changed", "line")
def a_line_is_ended_past_the_log(world: World) -> None:
    change(LineTable, until=world.house.clock())


@found_as("row.changed", "tenant")
def a_customers_days_begin_elsewhere(world: World) -> None:
    change(TenantTable, time_zone="Pacific/Auckland")


@found_as("row.changed", "tenant")
def a_customers_plan_is_changed(world: World) -> None:
    change(TenantTable, plan="all")


@found_as("row.unlogged", "purpose")
def a_purpose_is_made_up(world: World) -> None:
    with writing():
        PurposeTable.create(
            id="made up", tenant=world.tenant, code="sell", labels={}, legal_basis="none", longest_days=900,
            roles=["customer"], created_at=world.house.clock(),
        )  # fmt: skip


@found_as("row.changed", "unrecorded_call")
def which_number_was_not_recorded_is_changed(world: World) -> None:
    change(NotRecordedTable, number="+3225559999")


@found_as("row.changed", "unrecorded_call")
def when_a_call_was_not_recorded_is_changed(world: World) -> None:
    change(NotRecordedTable, started_at=world.house.clock())


# --- who may enter


@found_as("row.changed", "user_account")
def somebody_gets_another_log_in(world: World) -> None:
    change(UserTable, login="mallory@example.com")


@found_as("row.changed", "user_account")
def somebody_gets_another_password(world: World) -> None:
    change(UserTable, password_hash="$argon2id$of-another")


@found_as("row.changed", "user_account")
def somebody_is_let_out_past_the_log(world: World) -> None:
    change(UserTable, revoked_at=world.house.clock())


@found_as("row.unlogged", "session")
def a_session_is_made_up(world: World) -> None:
    again(SessionTable, token_sha256="ab" * 32)


@found_as("row.changed", "session")
def a_session_gets_another_token(world: World) -> None:
    change(SessionTable, token_sha256="ab" * 32)


@found_as("row.changed", "session")
def a_session_that_was_closed_goes_on(world: World) -> None:
    change(SessionTable, ended_at=None)


@found_as("row.unlogged", "api_token")
def a_token_is_made_up(world: World) -> None:
    again(ApiTokenTable, token_sha256="ab" * 32)


@found_as("row.changed", "api_token")
def a_token_becomes_another(world: World) -> None:
    change(ApiTokenTable, token_sha256="ab" * 32)


@found_as("row.changed", "api_token")
def a_token_that_was_revoked_counts_again(world: World) -> None:
    change(ApiTokenTable, revoked_at=None)


@found_as("row.deleted", "api_token")
def a_token_is_deleted(world: World) -> None:
    remove(ApiTokenTable)


# --- who asked, and who is told


@found_as("row.changed", "subject_request")
def that_a_number_is_a_persons_is_forged(world: World) -> None:
    change(SubjectRequestTable, verified_at=world.house.clock(), verified_how="code")


@found_as("row.changed", "subject_request")
def a_persons_request_is_of_another_number(world: World) -> None:
    change(SubjectRequestTable, number="+32470999999")


@found_as("row.changed", "subject_request")
def a_persons_request_is_of_another_number_and_salt(world: World) -> None:
    change(SubjectRequestTable, number="+32470999999", number_salt="00" * 32)


@found_as("row.changed", "subject_request")
def a_person_is_answered_in_another_language(world: World) -> None:
    change(SubjectRequestTable, language="de")


@found_as("row.changed", "subject_request")
def that_somebody_vouched_is_forged(world: World) -> None:
    change(
        SubjectRequestTable, vouched_at=world.house.clock(), vouched_by=world.user, vouched_statement="seen"
    )


@found_as("row.changed", "subject_request")
def that_a_copy_left_is_forged(world: World) -> None:
    change(SubjectRequestTable, exported_at=world.house.clock())


@found_as("row.unlogged", "verification_code")
def a_call_with_a_code_is_made_up(world: World) -> None:
    now = world.house.clock()
    with writing():
        request = SubjectRequestTable.select().get().id
        VerificationCodeTable.create(
            id="made up", request=request, tenant_id=world.tenant, number="+32470999999", language="fr",
            ordered_at=now, until=now, tries=0,
        )  # fmt: skip


@found_as("row.unlogged", "request_review")
def what_is_given_to_a_person_is_made_up(world: World) -> None:
    with writing():
        request = SubjectRequestTable.select().get().id
        identity = f"{request}/{world.kept}"
        ReviewTable.create(id=identity, request=request, recording_id=world.keep_answer, given="both")


@found_as("row.changed", "subject_request")
def a_persons_request_gets_more_time(world: World) -> None:
    change(SubjectRequestTable, due_on="2099-01-01")


@found_as("row.changed", "subject_request")
def a_persons_request_is_closed_past_the_log(world: World) -> None:
    change(SubjectRequestTable, closed_at=world.house.clock(), closed_how="answered")


@found_as("row.deleted", "subject_request")
def a_persons_request_is_deleted(world: World) -> None:
    remove(SubjectRequestTable)


@found_as("row.unlogged", "subject_request")
def a_persons_request_is_made_up(world: World) -> None:
    again(SubjectRequestTable)


@found_as("row.deleted", "checkpoint_recipient")
def somebody_who_got_the_checkpoints_is_deleted(world: World) -> None:
    remove(RecipientTable)


@found_as("row.changed", "checkpoint_recipient")
def somebody_gets_the_checkpoints_no_more_past_the_log(world: World) -> None:
    change(RecipientTable, until=world.house.clock())


@found_as("row.changed", "checkpoint_recipient")
def the_checkpoints_go_to_somebody_else(world: World) -> None:
    change(RecipientTable, address="mallory@example.com")


@found_as("row.unlogged", "checkpoint_recipient")
def somebody_gets_the_checkpoints_past_the_log(world: World) -> None:
    again(RecipientTable)
