"""An audit compares every column of every table, or a documented reason says why not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from peewee import ForeignKeyField, IntegrityError

from recorder.audit import shared_rows
from recorder.audit.findings import AuditFinding
from recorder.audit.service import Audit
from recorder.catalogue import queries, schema, subject_request_queries
from recorder.catalogue.database import connected, database, open_catalogue, writing
from recorder.catalogue.tables.grant import GrantTable
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.live_call import LiveCommandTable
from recorder.catalogue.tables.registry import TABLES
from recorder.catalogue.tables.subject_request import ReviewTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.errors import SealError, SubjectRequestError, VerificationCallError
from recorder.features.live import queries as live_queries
from recorder.features.live import rules
from recorder.features.subject_requests import reviews, verification_code
from recorder.features.tenants import line_policies
from recorder.identity import api_tokens, users
from recorder.lifecycle import amendments, hold_review, limits, recordings, search_index
from recorder.playback import grants
from recorder.playback.interface import Actor
from recorder.processes.gate import PanelGate
from recorder.verification_calls import register
from recorder.verification_calls.code import hash_code
from tests.clock import Clock
from tests.entropy import RepeatableEntropy
from tests.expected_errors import expect_error
from tests.house import Bakery
from tests.postgres import binaries
from tests.unit.auditlog.column_coverage import BY_STATEMENTS, COMPARED, EXCEPTED

from .conftest import FIRST_DAY, World, make_world
from .filled import NODE, fill

BY_NAME = {model._meta.table_name: model for model in TABLES}
COLUMNS = {
    table: [field.column_name for field in model._meta.sorted_fields] for table, model in BY_NAME.items()
}

SQLITE, POSTGRESQL = "sqlite", "postgresql"


# --- the list is whole


def test_each_column_is_compared_or_excepted() -> None:
    for table, columns in COLUMNS.items():
        if table in BY_STATEMENTS:
            assert table not in COMPARED
            assert table not in EXCEPTED
            continue
        compared, excepted = {*COMPARED.get(table, {})}, {*EXCEPTED.get(table, {})}
        assert not compared & excepted, f"{table}: {sorted(compared & excepted)} are both"
        assert {*columns} - compared - excepted == set(), f"{table}: neither compared nor excepted"
        assert (compared | excepted) - {*columns} == set(), f"{table}: there is no such column"
    assert {*COMPARED, *EXCEPTED, *BY_STATEMENTS} == {*COLUMNS}


def test_each_exception_has_a_reason() -> None:
    for model in TABLES:
        assert all(len(reason.split()) > 2 for _, reason in model.not_compared), model


# --- the list is true


@dataclass(frozen=True)
class Attack:
    """A change of one row, in SQL, and the statement that undoes it."""

    what: str
    name: str
    do: tuple[str, tuple[Any, ...]]
    undo: tuple[str, tuple[Any, ...]]


def filled(root: Path, url: str) -> World:
    return fill(make_world(Bakery(root, Clock(FIRST_DAY), RepeatableEntropy(), url)))


@pytest.fixture(scope="module")
def narrow() -> Iterator[None]:
    """Cache hashes of every four leaves, so that a small log has some."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("merkle.WIDTH", "auditlog.tree_cache.WIDTH"):
            patch.setattr(f"recorder.{name}", 4)
        for name in ("merkle.HEIGHT", "auditlog.tree_cache.HEIGHT", "audit.leaves.HEIGHT"):
            patch.setattr(f"recorder.{name}", 2)
        yield


@pytest.fixture(scope="module")
def sqlite_world(tmp_path_factory: pytest.TempPathFactory, narrow: None) -> Iterator[World]:
    root = tmp_path_factory.mktemp("filled")
    url = f"sqlite:///{root / 'catalogue.db'}"
    schema.migrate(url)
    opened = open_catalogue(url)
    with connected():
        yield filled(root, url)
    opened.close()


@contextmanager
def attacked(attack: Attack) -> Iterator[None]:
    _run(attack.do)
    try:
        yield
    finally:
        _run(attack.undo)
        if attack.name.startswith("listed_call"):  # triggers dropped the numbers that it referred to
            search_index.rebuild()


def _run(statement: tuple[str, tuple[Any, ...]]) -> None:
    """Run a statement without the database's constraints."""
    sql, values = statement
    with connected():
        if isinstance(database.obj, models_sqlite()):
            database.execute_sql("PRAGMA foreign_keys = OFF")
            database.execute_sql(sql, values)
            database.execute_sql("PRAGMA foreign_keys = ON")
            return
        with database.atomic():
            database.execute_sql("SET LOCAL session_replication_role = replica")
            database.execute_sql(sql.replace("?", "%s"), values)


@cache
def models_sqlite() -> type:
    from peewee import SqliteDatabase

    return SqliteDatabase


def rows_of(table: str, world: World) -> list[dict[str, Any]]:
    """Raw rows: those of the world's customer first, and of these, those with most values first."""
    names = COLUMNS[table]
    listed = ", ".join(f'"{name}"' for name in names)
    with connected():
        found = database.execute_sql(f'SELECT {listed} FROM "{table}"').fetchall()
    rows = [dict(zip(names, row, strict=True)) for row in found]

    def order(row: dict[str, Any]) -> tuple[bool, int, str]:
        says = sum(value is not None for value in row.values())
        return _is_others(row, table, world), -says, str(row[names[0]])

    return sorted(rows, key=order)


def _is_others(row: dict[str, Any], table: str, world: World) -> bool:
    if table == "tenant":
        return bool(row["id"] != world.tenant)
    if table == "recording":
        return bool(row["id"] != world.live_recording)
    erased = row.get("recording_id") == world.erased  # of what was erased nothing is left to compare with
    return erased or row.get("tenant_id", world.tenant) != world.tenant or _theirs(row, world)


def _theirs(row: dict[str, Any], world: World) -> bool:
    with connected():
        if "line_id" in row and row["line_id"] and "tenant_id" not in row:
            return bool(LineTable.get_by_id(row["line_id"]).tenant_id != world.tenant)
        if "user_id" in row and "tenant_id" not in row:
            return bool(UserTable.get_by_id(row["user_id"]).tenant_id != world.tenant)
    return False


def key_of(table: str) -> str:
    return str(BY_NAME[table]._meta.primary_key.column_name)


def others_of(value: Any, table: str, column: str, world: World) -> list[Any]:
    """Values that an attacker could put in place of one."""
    field = {each.column_name: each for each in BY_NAME[table]._meta.sorted_fields}[column]
    found: list[Any] = []
    if isinstance(field, ForeignKeyField):
        rows = rows_of(field.rel_model._meta.table_name, world)
        ids = [row[key_of(field.rel_model._meta.table_name)] for row in rows]
        found += [next((each for each in ids if each != value), "made-up"), "made-up"]
    elif column == key_of(table) and isinstance(value, str):
        found.append(f"{value}x")
    elif column == "tenant_id":
        found += [next(row["id"] for row in rows_of("tenant", world) if row["id"] != value), "made-up"]
    else:
        found.append(_other(value, field))
    if value is not None and field.null:
        found.append(None)
    return found


def _other(value: Any, field: Any) -> Any:
    kind = type(field).__name__
    if isinstance(value, bytes | memoryview):
        return bytes([bytes(value)[0] ^ 1]) + bytes(value)[1:]
    if value is None:
        return {"IntegerField": 1, "BigIntegerField": 1, "DataField": '{"x": 1}', "BlobField": b"x"}.get(
            kind, "2026-03-09T09:00:00.000Z" if "Moment" in kind else "x"
        )
    if isinstance(value, int):
        return 1 - value if field.column_name in ("announced", "deletable") else value + 1000
    if "Moment" in kind:
        return value[:5] + ("07" if value[5:7] != "07" else "08") + value[7:]
    if kind == "DataField":
        bodies = json.loads(value)
        return json.dumps([*bodies, "x"] if isinstance(bodies, list) else bodies | {"x": 1})
    return value[:-1] + ("1" if value[-1:] != "1" else "2") if value else "x"


def changes_of(table: str, column: str, world: World) -> list[Attack]:
    """Changes of one column: in a row with a value in it, and in one without."""
    rows, key = rows_of(table, world), key_of(table)
    mine = [row for row in rows if not _is_others(row, table, world)] or rows
    examples = [next((row for row in mine if row[column] is not None), None)]
    examples.append(next((row for row in mine if row[column] is None), None))
    found = []
    for row in filter(None, examples):
        for other in others_of(row[column], table, column, world):
            new_key = other if column == key else row[key]
            sql = f'UPDATE "{table}" SET "{column}" = ? WHERE "{key}" = ?'
            name = f"{table}.{column} {str(row[column])[:20]} becomes {str(other)[:20]}"
            found.append(Attack(column, name, (sql, (other, row[key])), (sql, (row[column], new_key))))
    return found


def delete_of(table: str, world: World) -> Attack:
    row, key = rows_of(table, world)[0], key_of(table)
    return Attack(
        "deleted",
        f"{table} deleted",
        (f'DELETE FROM "{table}" WHERE "{key}" = ?', (row[key],)),
        insert(table, row),
    )


def insert(table: str, row: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    names = ", ".join(f'"{name}"' for name in row)
    return f'INSERT INTO "{table}" ({names}) VALUES ({", ".join("?" * len(row))})', tuple(row.values())


PARTS = {
    "amendment": ("number",), "announcement": ("version",), "log_checkpoint": ("number",),
    "log_subtree": ("number",), "log_leaf": ("number",), "line": ("digits",),
    "line_keep": ("language",),
    "line_delete": ("language",), "listen": ("play",), "request_review": ("recording_id",),
    "recording": ("prefix",), "user_account": ("login",), "session": ("token_sha256",),
    "api_token": ("token_sha256",), "listed_line": ("number",), "listed_party": ("value",),
    "saved_filter": ("name",), "usage_day": ("part",), "invitation": ("token_sha256",),
    "notification": ("key",), "user_extension": ("number",),
}  # fmt: skip
"""Columns in which a forged row must differ from the one that it is copied from."""


def made_up(table: str, world: World) -> Attack:
    """A forged row, copied from an existing one if there is one."""
    key = key_of(table)
    rows = rows_of(table, world)
    model = BY_NAME[table]
    row = dict(rows[0]) if rows else {
        field.column_name: _other(None, field) if field.column_name != "tenant_id" else world.tenant
        for field in model._meta.sorted_fields
    }  # fmt: skip
    made_up_key: object = 10**6 if isinstance(row[key], int) else "made-up"
    row[key] = made_up_key
    for name in PARTS.get(table, ()):
        field = next(each for each in model._meta.sorted_fields if each.column_name == name)
        row[name] = _other(row[name], field)
    undo = (f'DELETE FROM "{table}" WHERE "{key}" = ?', (made_up_key,))
    return Attack("made up", f"{table} made up", insert(table, row), undo)


CODES = {
    "log_leaf": ("leaf.", "body.", "log."),
    "log_subtree": ("subtree.",),
    "log_checkpoint": ("checkpoint.", "log.", "stamp."),
    "recording": ("row.", "manifest.", "key.", "object.", "seal.", "amendment.row_differs"),
    "amendment": ("amendment.", "row."),
    "line_keep": ("row.changed",),
    "line_delete": ("row.changed",),
    "tenant": ("row.", "log.", "key."),
}
"""Tables whose findings do not name the table, with the codes of their findings."""


IN_THE_BUCKET = ("recording", "amendment", "tenant")
"""Tables whose rows an audit compares with the bucket."""


def audit(world: World, table: str) -> list[AuditFinding]:
    """Findings about the world's customer, and about rows without a customer."""
    means = world.house.services
    auditor = Audit(means.store, means.root, world.house.clock(), means.keyring)
    auditor = replace(auditor, recordings=table in IN_THE_BUCKET)
    with connected():
        known = {row.id for row in TenantTable.select(TenantTable.id)}
        found = [each for tenant in known if table == "tenant" or tenant == world.tenant
                 for each in auditor.tenant(tenant)]  # fmt: skip
        sounds = shared_rows.check_sounds() if table == "sound" else ()
        return [*found, *auditor.lost_logs(known), *shared_rows.check_ownerless(known), *sounds]


def names(table: str, found: list[AuditFinding]) -> bool:
    codes_ = CODES.get(table, ("nothing",))
    return any(each.code.startswith(codes_) or f" {table} " in f" {each.where} " for each in found)


def compared() -> list[str]:
    return [table for table in COLUMNS if table in COMPARED]


@pytest.mark.long
@pytest.mark.parametrize("table", compared())
def test_each_change_in_sql_is_found(sqlite_world: World, table: str) -> None:
    """Each compared column, a deletion, and a forged row."""
    attack_and_audit(sqlite_world, table)


def attack_and_audit(world: World, table: str) -> None:
    assert audit(world, table) == []
    unnamed, attacks = [], set()
    for attack in attacks_on(world, table):
        try:
            with attacked(attack):
                found = audit(world, table)
        except IntegrityError:  # there is such a row: it is tried with another value, too
            continue
        attacks.add(attack.what)
        if not names(table, found):
            unnamed.append((attack.name, [(each.code, each.where, each.message) for each in found]))
    assert unnamed == []
    assert {attack.what for attack in attacks_on(world, table)} == attacks
    assert audit(world, table) == []


def attacks_on(world: World, table: str) -> list[Attack]:
    if not rows_of(table, world):
        return [made_up(table, world)]
    found = [each for column in COMPARED[table] for each in changes_of(table, column, world)]
    if table not in ("global_state", "session", "live_command", "log_subtree"):
        found.append(delete_of(table, world))
    return [*found, made_up(table, world)] if table != "sound" else found


# --- the reasons are true


def decided(world: World) -> dict[str, Any]:
    """Decisions that depend on the catalogue, as far as they can be queried cheaply."""
    now, means = world.house.clock(), world.house.services
    gate = PanelGate(
        means.store, means.keyring, means.root, now=world.house.clock, entropy=world.house.entropy
    )
    later = now + timedelta(hours=1)
    with connected():
        granted = [(row.user_id, row.id) for row in GrantTable.select().order_by(GrantTable.id)]
        return {
            "due": recordings.due(now + timedelta(days=400)),
            "holds": (hold_review.holds_unconfirmed(), [each.number for each in amendments.holds()]),
            "recordings": [
                queries.recording(world.tenant, each) for each in (world.live_recording, world.erased)
            ],
            "purposes": gate.purposes(
                Actor(world.user, world.tenant, "customer_admin", "fr"), world.live_recording
            ),
            "grants": [grants.find_valid_grant(world.tenant, *each, later) for each in granted],
            "closed session": users.session_by_token("cd" * 32, now),
            "tokens": [api_tokens.token_by_hash(each * 32) for each in ("ef", "34", "ab")],
            "lines": line_policies.policies(),
            "limits": limits.limits_of(world.tenant, world.house.trust),
            "codes": [
                verification_code.latest_call(world.tenant, row.id)
                for row in subject_request_queries.requests(world.tenant)
            ],
        }


def excepted() -> list[str]:
    # Forged rows of party_suffix, whose key has three columns: tests/unit/search/test_index.py.
    return [table for table in COLUMNS if table in EXCEPTED and table != "party_suffix"]


@pytest.mark.long
@pytest.mark.parametrize("table", excepted())
def test_columns_that_are_not_compared_decide_nothing(sqlite_world: World, table: str) -> None:
    before = decided(sqlite_world)
    columns = [column for column in EXCEPTED[table] if column not in COMPARED.get(table, {})]
    attacks = [each for column in columns for each in changes_of(table, column, sqlite_world)]
    if table not in COMPARED and rows_of(table, sqlite_world):  # no call here has several colleagues
        attacks += [delete_of(table, sqlite_world), made_up(table, sqlite_world)]
    for attack in attacks:
        with attacked(attack):
            assert decided(sqlite_world) == before, attack.name


@pytest.mark.parametrize(
    ("table", "listed"),
    [("live_call", live_queries.live_calls), ("ended_call", live_queries.ended_calls)],
)
def test_forged_live_call_is_corrected(sqlite_world: World, table: str, listed: Any) -> None:
    """The next report of the node's worker restores the rows."""
    world, later = sqlite_world, sqlite_world.house.clock() + timedelta(minutes=5)
    with connected():
        (row,) = listed(world.tenant, world.house.clock() - timedelta(hours=1))
        other = next(each for each in rows_of("tenant", world) if each["id"] != world.tenant)["id"]
    attacks = [each for column in EXCEPTED[table] for each in changes_of(table, column, world)]
    for attack in [*attacks, made_up(table, world), delete_of(table, world)]:
        with connected(), database.atomic() as everything:
            database.execute_sql(*attack.do)
            live_queries.put(NODE, [row], later)
            assert listed(world.tenant, later) == (row,), attack.name
            assert listed(other, later) == (), attack.name
            everything.rollback()


@pytest.mark.parametrize("column", ["id", "call_id", "what", "by_kind", "by_id", "tenant_id", "command"])
def test_unsigned_live_command_is_refused(sqlite_world: World, column: str) -> None:
    world = sqlite_world
    with writing() as _, database.atomic() as everything:
        open_ = next(each for each in live_queries.open_commands(NODE))
        rules.check_command(open_, world.house.services.root, {})
        row = LiveCommandTable.select().where(LiveCommandTable.id == open_.id).dicts().get()
        LiveCommandTable.create(**(row | {"id": "forged"} | ({} if column == "id" else {column: "made-up"})))
        forged = next(each for each in live_queries.open_commands(NODE) if each.id == "forged")
        with pytest.raises(SealError):
            rules.check_command(forged, world.house.services.root, {})
        everything.rollback()


def test_extended_grant_row_is_ignored(sqlite_world: World) -> None:
    world, now = sqlite_world, sqlite_world.house.clock()
    with connected(), database.atomic() as everything:
        GrantTable.update(until=now + timedelta(days=1), ended_at=None).execute()
        for row in GrantTable.select():
            assert grants.find_valid_grant(world.tenant, row.user_id, row.id, now) is None
        everything.rollback()


def test_forged_verification_call_is_not_made(sqlite_world: World) -> None:
    """Nor one whose time is over, nor is a code accepted that only a row has."""
    world = sqlite_world
    with connected(), database.atomic() as everything:
        open_ = VerificationCallTable.taken_at.is_null()
        until = VerificationCallTable.get(open_).until
        when = {"now": until - timedelta(seconds=1), "entropy": world.house.entropy}
        for forged in ({"number": "+32499000000"}, {"until": until + timedelta(hours=1)}):
            VerificationCallTable.update(forged).where(open_).execute()
            assert register.take(NODE, **when) is None
            VerificationCallTable.update(number="+32470123456", until=until, outcome=None).where(
                open_
            ).execute()
        claim = register.take(NODE, **when)
        assert claim is not None
        made_up_code = hash_code(claim[0].id, "123456", world.house.entropy)
        VerificationCallTable.update(code_hash=made_up_code).where(
            VerificationCallTable.id == claim[0].id
        ).execute()
        request = VerificationCallTable.get_by_id(claim[0].id).request_id
        with expect_error(VerificationCallError, "call.not_logged"):
            verification_code.try_code(world.tenant, request, "123456", who=world.user, **when)
        everything.rollback()


def test_forged_review_row_discloses_nothing(sqlite_world: World) -> None:
    world = sqlite_world
    when = {"now": world.house.clock(), "entropy": world.house.entropy}
    with connected(), database.atomic() as everything:
        row = ReviewTable.select().where(ReviewTable.given == "own").get()
        ReviewTable.update(given="both").where(ReviewTable.id == row.id).execute()
        with expect_error(SubjectRequestError, "subject_request.not_logged"):
            reviews.note_export(
                world.tenant,
                row.request_id,
                world.live_recording,
                channels="both",
                name="x",
                who=world.user,
                **when,
            )
        everything.rollback()


@pytest.fixture(scope="module")
def postgresql_world(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, narrow: None
) -> Iterator[World]:
    before = database.obj
    root = tmp_path_factory.mktemp("filled")
    with request.getfixturevalue("postgres").database() as url:
        opened = open_catalogue(url)
        with connected():
            yield filled(root, url)
        opened.close_all()
    database.initialize(before)


@pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server is installed (postgresql)")
@pytest.mark.long
@pytest.mark.parametrize("table", ["tenant", "line_keep", "access_grant", "verification_call"])
def test_each_change_in_sql_is_found_on_postgresql(postgresql_world: World, table: str) -> None:
    attack_and_audit(postgresql_world, table)
