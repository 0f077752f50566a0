"""Reads leaves and names. Every query takes a tenant.

A list is read in branches: one for each kind that is wanted, or one for what a person did (:data:`ACTOR`).
Each branch is in the order of an index and stops after a page, however many leaves there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from peewee import SQL, PostgresqlDatabase

from recorder.catalogue.database import database
from recorder.catalogue.tables.grant import ListenTable
from recorder.catalogue.tables.identity import ApiTokenTable, UserTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.clock import to_iso
from recorder.domain.parties import Party
from recorder.features.access_log.rules import (
    CLOSED,
    DESTROYED,
    SUBJECTS,
    LogFilter,
    LoggedCall,
    LogPosition,
    Person,
    RawLeaf,
)

_COLUMNS: Final = "number, kind, at, recording_id, body, salt, leaf, leaf_hash"
_SOME: Final = 500
"""Values in one ``IN``."""


def find_leaves(tenant: str, criteria: LogFilter, after: LogPosition | None, limit: int) -> list[RawLeaf]:
    """At most ``limit`` leaves after a position, latest first. The caller has a connection."""
    found: dict[int, RawLeaf] = {}
    for condition, values in _branches(criteria):
        for row in _page(tenant, condition, values, criteria, after, limit):
            found[row.number] = row
    return sorted(found.values(), key=lambda row: (row.at, row.number), reverse=True)[:limit]


def _branches(criteria: LogFilter) -> Iterator[tuple[str, list[Any]]]:
    kinds = None if criteria.kinds is None else sorted(criteria.kinds)
    if criteria.recording is not None:
        yield _and("recording_id = ?", [criteria.recording], kinds, criteria.person)
        if _is_erased(criteria.recording) and (kinds is None or DESTROYED in kinds):
            # Its body names the recording, and stays; its row does not, since nothing erases it.
            pattern = f'%"recording":"{criteria.recording}"%'
            yield _and("kind = ? AND body LIKE ?", [DESTROYED, pattern], None, criteria.person)
    elif criteria.person is not None:
        yield _and(f"{actor_sql()} = ?", [criteria.person], kinds, None)
        about = "kind >= ? AND kind < ? AND body LIKE ?"
        yield _and(
            about, [SUBJECTS, f"{SUBJECTS[:-1]}/", f'%"user":"{_plain(criteria.person)}"%'], kinds, None
        )
    elif kinds is None:
        yield "1 = 1", []
    else:
        for kind in kinds:
            yield "kind = ?", [kind]


def _and(condition: str, values: list[Any], kinds: Sequence[str] | None, person: str | None) -> Any:
    if kinds is not None:
        condition += f" AND kind IN ({', '.join('?' * len(kinds))})" if kinds else " AND 1 = 0"
        values = [*values, *kinds]
    if person is not None:
        condition += " AND body LIKE ?"
        values = [*values, f'%"{_plain(person)}"%']
    return condition, values


def _plain(identity: str) -> str:
    """An id, without what ``LIKE`` would take for a pattern."""
    return "".join(each for each in identity if each.isalnum() or each == "-")


def _is_erased(recording: str) -> bool:
    mine = (RecordingTable.id == recording) & RecordingTable.erased_at.is_null(False)
    return bool(RecordingTable.select().where(mine).exists())


def _page(
    tenant: str,
    condition: str,
    values: Sequence[Any],
    criteria: LogFilter,
    after: LogPosition | None,
    limit: int,
) -> list[RawLeaf]:
    # Of one recording there are few leaves: its own index, and not one of the tenant's.
    mine = "tenant_id = ?" if criteria.recording is None else "tenant_id || '' = ?"
    condition, values = f"{mine} AND {condition}", [tenant, *values]
    if criteria.since is not None:
        condition, values = f"{condition} AND at >= ?", [*values, to_iso(criteria.since)]
    if criteria.until is not None:
        condition, values = f"{condition} AND at < ?", [*values, to_iso(criteria.until)]
    if after is not None:
        condition += " AND at <= ? AND (at < ? OR number < ?)"
        values = [*values, after.at, after.at, after.number]
    return _rows(f"{condition} ORDER BY at DESC, number DESC LIMIT ?", [*values, limit])


def leaf_row(tenant: str, number: int) -> RawLeaf | None:
    """One leaf's row."""
    return next(iter(_rows("tenant_id = ? AND number = ?", [tenant, number])), None)


def numbered(tenant: str, numbers: Collection[int]) -> list[RawLeaf]:
    """The rows of some leaves."""
    ids = sorted(numbers)
    found = []
    for begin in range(0, len(ids), _SOME):
        some = ids[begin : begin + _SOME]
        found += _rows(f"tenant_id = ? AND number IN ({', '.join('?' * len(some))})", [tenant, *some])
    return found


def closings(tenant: str, listens: Collection[str]) -> list[RawLeaf]:
    """Leaves that close some listens, and perhaps others: each is found by the time in the listen's row, so
    the caller compares what it says."""
    mine = (ListenTable.tenant == tenant) & ListenTable.id.in_([*listens])
    query = ListenTable.select(ListenTable.closed_at).where(mine & ListenTable.closed_at.is_null(False))
    times = sorted({to_iso(row.closed_at) for row in query if row.closed_at is not None})
    found = []
    for begin in range(0, len(times), _SOME):
        some = times[begin : begin + _SOME]
        found += _rows(
            f"tenant_id = ? AND kind = ? AND at IN ({', '.join('?' * len(some))})", [tenant, CLOSED, *some]
        )
    return found


def openings(tenant: str, listens: Collection[str]) -> list[RawLeaf]:
    """Leaves that opened some listens, by the numbers in their rows: the caller compares what they say."""
    mine = (ListenTable.tenant == tenant) & ListenTable.id.in_([*listens])
    query = ListenTable.select(ListenTable.leaf).where(mine & ListenTable.leaf.is_null(False))
    return numbered(tenant, {row.leaf for row in query if row.leaf is not None})


def people(tenant: str, ids: Collection[str]) -> dict[str, Person]:
    """Those of a tenant's users and API tokens that have these ids."""
    return _people(tenant, UserTable.id.in_([*ids]), ApiTokenTable.id.in_([*ids]))


def everybody(tenant: str) -> dict[str, Person]:
    """A tenant's users and API tokens, by id."""
    return _people(tenant, SQL("1 = 1"), SQL("1 = 1"))


def _people(tenant: str, users: Any, tokens: Any) -> dict[str, Person]:
    found = {}
    for row in UserTable.select(UserTable.id, UserTable.name, UserTable.role).where(
        (UserTable.tenant == tenant) & users
    ):
        found[row.id] = Person(row.id, "user", row.name, row.role)
    for token in ApiTokenTable.select(ApiTokenTable.id, ApiTokenTable.name).where(
        (ApiTokenTable.tenant_id == tenant) & tokens
    ):
        found[token.id] = Person(token.id, "token", token.name)
    return found


def calls(tenant: str, ids: Collection[str]) -> dict[str, LoggedCall]:
    """Those of a tenant's recordings and unrecorded calls that have these ids."""
    found = {}
    for model in (RecordingTable, NotRecordedTable):
        for row in model.select().where((model.tenant == tenant) & model.id.in_([*ids])):
            party = None if row.external_kind is None else Party(row.external_kind, row.external_value or "")
            recorded = model is RecordingTable
            found[row.id] = LoggedCall(
                row.id, row.started_at, row.number, row.direction, party, recorded=recorded
            )
    return found


ACTOR: Final = (
    """(CASE WHEN {at}(body, '"actor":"') > 0 THEN substr(body, {at}(body, '"actor":"') + 9, 36) """
    """WHEN {at}(body, '"by":"') > 0 THEN substr(body, {at}(body, '"by":"') + 6, 36) """
    """WHEN {at}(body, '"user":"') > 0 THEN substr(body, {at}(body, '"user":"') + 8, 36) END)"""
)
"""Who did what a leaf says (:data:`recorder.features.access_log.rules.DOERS`), as the index
``log_leaf_actor`` has it: from the body, so that it is erased with the body. Within a value, JSON has a
backslash before a quotation mark, so nobody can choose a name that is taken for a field."""


def actor_sql() -> str:
    """:data:`ACTOR` in the database's own words."""
    return ACTOR.format(at="strpos" if _postgresql() else "instr")


def _postgresql() -> bool:
    return isinstance(database.obj, PostgresqlDatabase)


def _rows(condition: str, values: Sequence[Any]) -> list[RawLeaf]:
    """Leaves by an SQL condition with ``?`` for each value. Without peewee, which would parse the times: a
    row that somebody changed must not keep the page from being shown."""
    sql = f"SELECT {_COLUMNS} FROM log_leaf WHERE {condition}"  # noqa: S608, text of ours
    if _postgresql():
        sql = sql.replace("?", "%s")
    rows = database.execute_sql(sql, tuple(values)).fetchall()
    return [
        RawLeaf(number, kind, at, recording, body, None if salt is None else bytes(salt), leaf, hashed)
        for number, kind, at, recording, body, salt, leaf, hashed in rows
    ]
