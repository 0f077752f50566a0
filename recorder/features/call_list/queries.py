"""The search itself: bounded work, whatever is asked of however many calls.

The index (:mod:`recorder.catalogue.tables.listed_call`) gives several *sources* of calls: the list by time,
the calls of one line or of the parties whose value contains a text, those that people wrote about, those with
a rare property, those on legal hold. The smallest source that covers the query is read whole if it has at
most :data:`WINDOW` calls. Otherwise the query follows a source by time, window by window, until the page is
full; after :data:`WINDOWS` it stops and says how far it came, so that the reader can go on from there.
"""

# ruff: noqa: S608 -- every value is bound; what is put into the text are this file's words, and ids
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from peewee import SqliteDatabase

from recorder.catalogue.database import connected, database
from recorder.catalogue.records import Cursor
from recorder.catalogue.tables.contact import ContactTable
from recorder.catalogue.tables.extension import ExtensionTable
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.line import LineTable
from recorder.domain.names import fold_name
from recorder.features.call_list.annotations import annotated_calls
from recorder.features.call_list.rules import CallQuery, is_number
from recorder.lifecycle import amendments

QUICK = 4000
"""Calls of the first window: common numbers and properties fill a page from the latest calls."""

WINDOW = 6000
"""Calls of each further window, and of a source that is read whole."""

WINDOWS = 3

CANDIDATES = 1500
"""Parties that are looked up by their calls. Where more contain a text, calls are read by time."""

LISTED = 10_000
"""Parties that are listed for comparison with the calls read. A text that more contain is compared with each
call's parties: so common a text fills a page soon."""

SHARE = 64
"""Calls of each party or line in a window, at least: one of them then fills a page."""

COUNTED = 1000
"""Calls that are counted exactly."""

SUFFIX = 16
"""Length of the values in ``party_suffix``."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_LAST = "\U0010ffff"
_BEYOND_ASCII = "\x80"
_NEVER = 2**62

Key = tuple[int, str, int]
"""A call: its start in milliseconds, its id, and whether it is recorded."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of a ``WHERE``, with its values; ``?`` stands for each."""

    sql: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Calls that an index gives, in one or more ``arms``: the index, its condition and, for the calls of some
    parties or lines, their column and ids. ``ordered``: an arm gives each id's calls by time. ``rows`` are
    those of another table that name the calls, if they do; all calls of the source fit the condition
    ``covers``."""

    arms: tuple[tuple[str, Condition, str, tuple[int, ...]], ...]
    ordered: bool = True
    rows: Condition | None = None
    covers: Condition | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is answered: all its ``conditions``, and the ``source`` to read, which is read ``whole`` if
    it is small. ``sample`` has some of the calls, for counting alone."""

    query: CallQuery
    conditions: tuple[Condition, ...]
    source: Source
    whole: bool
    sample: Source | None = None

    def conditions_for(self, source: Source) -> tuple[Condition, ...]:
        """The conditions that remain for the calls of a source."""
        return tuple(each for each in self.conditions if each is not source.covers)


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Calls of a page in the order of the list, whether there are more in the direction of reading, and, if
    the search stopped before the page was full, the time down (or up) to which it looked."""

    keys: tuple[Key, ...]
    more: bool
    stopped_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallCount:
    """How many calls fit: exactly, or at least so many."""

    number: int
    exact: bool


@contextmanager
def following_indexes() -> Iterator[None]:
    """A connection whose queries follow an index. PostgreSQL misjudges how many calls some parties have, and
    would then read a million calls for a few; even more so when it plans for values that it does not know."""
    with connected():
        if isinstance(database.obj, SqliteDatabase):
            yield
            return
        with database.atomic():
            database.execute_sql(
                "SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_custom_plan"
            )
            yield


def plan(query: CallQuery) -> Plan | None:
    """Choose how to answer a query; ``None`` if no call can fit it."""
    with connected():
        # As an expression: PostgreSQL would follow the index by time, however rare the calls are there.
        conditions = [Condition("coalesce(c.tenant_id, '') = ?", (query.tenant,))]
        conditions += _property_conditions(query)
        sources: list[Source] = []
        lines = _lines(query)
        if lines is not None:
            conditions.append(_among("c.line", lines))
            sources.append(_by_ids("line", lines))
        sample = None
        if query.external_party is not None:
            known = "SELECT id FROM listed_party WHERE tenant_id = ? AND value = ?"
            same = [int(identity) for (identity,) in _rows(known, (query.tenant, query.external_party))]
            if not same:
                return None
            conditions.append(_among("c.external", same))
            sources.append(_by_ids("external", same))
        if query.text is not None:
            text = query.text if query.text.isascii() else fold_name(query.text)
            others = {*_accented_parties(query.tenant, text), *_named_parties(query.tenant, query.name)}
            parties, all_of_them = _parties(query.tenant, text)
            parties = tuple(sorted({*parties, *others}))
            line_ids = _named_lines(query.tenant, query.text, query.name)
            annotated = annotated_calls(query.tenant, query.words) if query.words else ()
            if all_of_them and not parties and not line_ids and not annotated:
                return None
            columns = (("external", parties), ("internal", parties), ("party", parties), ("line", line_ids))
            either = [_of(column, ids) for column, ids in columns if ids]
            if not all_of_them:
                either = [_contains(query.tenant, text, sorted(others), line_ids)]
            arms = [arm for column, ids in columns if ids for arm in _by_ids(column, ids).arms]
            if annotated:
                either.append(_calls(annotated))
                # So few that the database orders them by time.
                arms.append((_PRIMARY, _calls(annotated), "", ()))
            fits = _any(either)
            source = Source(tuple(arms), covers=fits)
            conditions.append(fits)
            if all_of_them:
                sources.append(source)
            else:
                sample = source
        if lines is not None and not lines:
            return None
        sources += _property_sources(query)
        sources.append(_everything(query))
        source = next(each for each in sources if each.ordered)
        if len(sources) == 1:
            return Plan(query, tuple(conditions), source, False, sample)
        sized = [(_size(each, query), each) for each in sources]
        size, smallest = min(sized, key=lambda each: each[0])
        if size <= WINDOW:
            return Plan(query, tuple(conditions), smallest, True, sample)
        # All are large: the first that is ordered follows the query best.
        return Plan(query, tuple(conditions), source, False, sample)


def page(plan: Plan, *, after: Cursor | None = None, before: Cursor | None = None, limit: int) -> KeyPage:
    """At most ``limit`` calls after a position, or before one: the next ones in the direction of reading,
    latest first either way."""
    way = _Way(plan, after or before, newer=after is None and before is not None)
    with connected():
        found: list[Key] = []
        edge: int | None = None
        start = way.start
        for number in range(WINDOWS):
            rows = None if plan.whole else (QUICK if number == 0 else WINDOW)
            edge = None if rows is None else way.edge(start, rows)
            found += way.keys(start, edge, limit + 1 - len(found))
            if len(found) > limit or edge is None:
                break
            start = edge + (1 if way.newer else -1)
    stopped = edge if edge is not None and len(found) <= limit else None
    page = found[:limit]
    if way.newer:
        page.reverse()
    return KeyPage(
        tuple(page), len(found) > limit or stopped is not None, None if stopped is None else time_of(stopped)
    )


def count(plan: Plan) -> CallCount:
    """How many calls fit: exact up to :data:`COUNTED`."""
    with connected():
        number = _counted(plan, plan.source)
        whole = number <= COUNTED and (plan.whole or _size(plan.source, plan.query) <= WINDOW)
        if not whole and number <= COUNTED and plan.sample is not None:
            number = max(number, _counted(plan, plan.sample))
    return CallCount(min(number, COUNTED), whole)


def count_from(plan: Plan, oldest: Cursor, limit: int) -> int:
    """How many calls fit that started at a position or later, at most ``limit``."""
    way = _Way(plan, None, newer=True)
    with connected():
        keys = way.keys(_ms(oldest.started_at), None, limit + 1)
    at = (_ms(oldest.started_at), oldest.id)
    return min(limit, sum((ms, identity) >= at for ms, identity, _ in keys))


class _Way:
    """Reading a plan's calls in one direction, from a position on."""

    def __init__(self, plan: Plan, position: Cursor | None, *, newer: bool) -> None:
        self.plan, self.position, self.newer = plan, position, newer
        self.order = "ASC" if newer else "DESC"
        self.onwards = ">" if newer else "<"
        low, high = _bounds(plan.query)
        self.end = high if newer else low
        self.start = (low if newer else high) if position is None else _ms(position.started_at)

    def edge(self, start: int, rows: int) -> int | None:
        """The start of the call that closes a window of about ``rows`` calls; ``None`` if the source ends
        before."""
        edges = []
        arms = self.plan.source.arms
        for index, where, column, ids in arms:
            share = max(SHARE, rows // len(ids)) if ids else rows
            each = Condition(f"{_alias(column)}.{column} = i.id") if ids else where
            start_ms = f"{_alias(column)}.started_ms"
            nth = (
                f"SELECT {start_ms} FROM {_table(index)} WHERE {each.sql}"
                f" AND {start_ms} {self.onwards}= ?"
                f" ORDER BY {start_ms} {self.order} LIMIT 1 OFFSET {share}"
            )
            values = (*each.values, start)
            if ids:
                listed = "listed_line" if column == "line" else "listed_party"
                among = _among("i.id", ids)
                nth = f"SELECT ({nth}) FROM {listed} AS i WHERE {among.sql}"
            edges += [row[0] for row in _rows(nth, values) if row[0] is not None]
        found = (min if self.newer else max)(edges, default=None)
        beyond = found is not None and (found > self.end if self.newer else found < self.end)
        return None if beyond else found

    def keys(self, start: int, edge: int | None, limit: int) -> list[Key]:
        """The next calls between a start and the window's edge, both inclusive."""
        end = self.end if edge is None else edge
        low, high = (start, end) if self.newer else (end, start)
        bounds = []
        if self.position is not None:
            at = _ms(self.position.started_at)
            bounds.append(Condition(f"(c.started_ms <> ? OR c.id {self.onwards} ?)", (at, self.position.id)))
        order = f"ORDER BY {{}}started_ms {self.order}, {{}}id {self.order} LIMIT {limit}"
        arms: list[str] = []
        values: list[Any] = []
        for index, where, column, _ in self.plan.source.arms:
            window = Condition(f"{_alias(column)}.started_ms BETWEEN ? AND ?", (low, high))
            condition = _all((where, window, *bounds, *self.plan.conditions_for(self.plan.source)))
            arms.append(
                f"SELECT c.started_ms, c.id, c.recorded FROM {_table(index)} WHERE {condition.sql}"
                f" {order.format(f'{_alias(column)}.', 'c.')}"
            )
            values += condition.values
        text = (
            arms[0]
            if len(arms) == 1
            else (" UNION ".join(f"SELECT * FROM ({arm}) AS a" for arm in arms) + f" {order.format('', '')}")
        )
        return [(int(ms), str(identity), int(recorded)) for ms, identity, recorded in _rows(text, values)]


def _counted(plan: Plan, source: Source) -> int:
    """How many calls of a source fit, of its first :data:`WINDOW`, at most :data:`COUNTED` + 1."""
    low, high = _bounds(plan.query)
    within = Condition("c.started_ms >= ? AND c.started_ms <= ?", (low, high))
    condition = _all((within, *plan.conditions_for(source)))
    arms: list[str] = []
    values: list[Any] = []
    for index, where, column, _ in source.arms:
        ranged = _all((where, *_range(index, column, low, high)))
        arms.append(
            f"SELECT * FROM (SELECT c.id FROM"
            f" (SELECT c.* FROM {_table(index)} WHERE {ranged.sql} LIMIT {WINDOW}) AS c"
            f" WHERE {condition.sql} LIMIT {COUNTED + 1}) AS a"
        )
        values += [*ranged.values, *condition.values]
    text = f"SELECT count(*) FROM ({' UNION '.join(arms)}) AS n"
    return min(int(_rows(text, values)[0][0]), COUNTED + 1)


def _size(source: Source, query: CallQuery) -> int:
    """How many calls a source has within the query's time, at most :data:`WINDOW` + 1."""
    if source.rows is not None:
        text = f"SELECT count(*) FROM (SELECT 1 FROM {source.rows.sql} LIMIT {WINDOW + 1}) AS n"
        return int(_rows(text, source.rows.values)[0][0])
    low, high = _bounds(query)
    total = 0
    for index, where, column, _ in source.arms:
        ranged = _all((where, *_range(index, column, low, high)))
        text = (
            f"SELECT count(*) FROM (SELECT 1 FROM {_table(index)} WHERE {ranged.sql} LIMIT {WINDOW + 1}) AS n"
        )
        total += int(_rows(text, ranged.values)[0][0])
    return min(total, WINDOW + 1)


def _range(index: str, column: str, low: int, high: int) -> tuple[Condition, ...]:
    """The query's time, for indexes by time."""
    return (
        ()
        if index in (_DURATION, _PRIMARY)
        else (Condition(f"{_alias(column)}.started_ms BETWEEN ? AND ?", (low, high)),)
    )


_MAIN = "listed_call_tenant_id_started_ms"
_DURATION = "listed_call_tenant_id_duration_ms"
_PRIMARY = "sqlite_autoindex_listed_call_1"
_COLLEAGUE = "listed_colleague_party_started_ms"


def _everything(query: CallQuery) -> Source:
    return Source(((_MAIN, Condition("c.tenant_id = ?", (query.tenant,)), "", ()),))


def _by_ids(column: str, ids: Iterable[int]) -> Source:
    """The calls of some parties or lines."""
    known = tuple(sorted(ids))
    index = _COLLEAGUE if column == "party" else f"listed_call_{column}_started_ms"
    return Source(((index, _among(f"{_alias(column)}.{column}", known), column, known),))


def _alias(column: str) -> str:
    """The table that has a column: one of several parties on our side is in a row of its own."""
    return "k" if column == "party" else "c"


def _of(column: str, ids: Sequence[int]) -> Condition:
    """Whether a call is one of some parties or lines."""
    if column != "party":
        return _among(f"c.{column}", ids)
    among = _among("k.party", ids)
    # A scalar subquery, which is evaluated call by call.
    return Condition(
        f"(SELECT 1 FROM listed_colleague AS k WHERE k.call_id = c.id AND {among.sql} LIMIT 1) = 1"
    )


def _property_conditions(query: CallQuery) -> list[Condition]:
    found = []
    if query.direction is not None:
        found.append(_direction(query.direction))
    if query.consent == "notice":
        found.append(Condition("c.recorded = 1 AND c.consent IS NULL"))
    elif query.consent is not None:
        found.append(Condition("c.consent = ?", (query.consent,)))
    if query.agreement == "not-asked":
        found.append(Condition("c.recorded = 1 AND c.agreement IS NULL"))
    elif query.agreement is not None:
        found.append(Condition("c.agreement = ?", (query.agreement,)))
    if query.recorded is not None:
        found.append(Condition(f"c.recorded = {int(query.recorded)}"))
    if query.reason is not None:
        found.append(Condition("c.reason = ?", (query.reason,)))
    if query.shortest_ms is not None or query.longest_ms is not None:
        found.append(_length(query))
    return [*found, *_mark_conditions(query)]


def _property_sources(query: CallQuery) -> list[Source]:
    """The sources that properties give: those that most calls do not have."""
    mine = Condition("c.tenant_id = ?", (query.tenant,))
    found = []

    def add(index: str, *conditions: Condition, ordered: bool = True) -> None:
        found.append(Source(((index, _all((mine, *conditions)), "", ()),), ordered))

    if query.reason is not None:
        add("listed_call_reason", Condition("c.reason = ?", (query.reason,)))
    elif query.recorded is False:
        add("listed_call_recorded", Condition("c.recorded = 0"))
    if query.agreement not in (None, "not-asked"):
        add("listed_call_agreement", Condition("c.agreement = ?", (query.agreement,)))
    if query.consent not in (None, "notice"):
        add("listed_call_consent", Condition("c.consent = ?", (query.consent,)))
    if query.direction == "outbound":
        add("listed_call_direction", _direction("outbound"))
    if query.shortest_ms is not None or query.longest_ms is not None:
        add(_DURATION, _length(query), ordered=False)
    return [*found, *_mark_sources(query)]


def _direction(direction: str) -> Condition:
    # As text: the partial index is only used for this very value.
    return Condition("c.direction = 'outbound'" if direction == "outbound" else "c.direction <> 'outbound'")


def _length(query: CallQuery) -> Condition:
    longest = _NEVER if query.longest_ms is None else query.longest_ms
    return Condition(
        "c.duration_ms >= ? AND c.duration_ms < ?", (query.shortest_ms or 0, min(longest, 2**31 - 1))
    )


def _marks(query: CallQuery, tenant: str) -> list[Condition]:
    """What people did with calls: the rows of legal holds, notes and labels, each in a table of its own.
    ``tenant`` is how the rows' tenant is notes."""
    found = []
    holds = f"amendment AS m WHERE {tenant} = ? AND m.kind = 'hold_set' AND m.ended_by IS NULL"
    if query.held:
        found.append(Condition(holds, (query.tenant,)))
    if query.handed_to is not None:
        by_others = "m.data LIKE ? AND coalesce(m.by_id, '') <> ?"
        values = (query.tenant, amendments.owner_pattern(query.handed_to), query.handed_to)
        found.append(Condition(f"{holds} AND {by_others}", values))
    notes = f"call_note AS m WHERE {tenant} = ? AND m.deleted_at IS NULL AND m.kind"
    if query.noted:
        found.append(Condition(f"{notes} = 'note'", (query.tenant,)))
    if query.label is not None:
        found.append(Condition(f"{notes} = 'label' AND m.text = ?", (query.tenant, query.label)))
    return found


def _mark_conditions(query: CallQuery) -> list[Condition]:
    """Whether a call has each mark: scalar subqueries, which are evaluated call by call."""
    # The tenant as an expression, so that the index by recording is used.
    marks = _marks(query, "coalesce(m.tenant_id, '')")
    return [
        Condition(f"(SELECT 1 FROM {each.sql} AND m.recording_id = c.id LIMIT 1) = 1", each.values)
        for each in marks
    ]


def _mark_sources(query: CallQuery) -> list[Source]:
    """The calls that have each mark."""
    sqlite = isinstance(database.obj, SqliteDatabase)
    found = []
    for rows in _marks(query, "m.tenant_id"):
        ids = f"SELECT m.recording_id FROM {rows.sql}"
        # As an array, which PostgreSQL looks up in the index: it would compare a long list with all calls.
        among = f"c.id IN ({ids})" if sqlite else f"c.id = ANY(ARRAY({ids}))"
        found.append(Source(((_PRIMARY, Condition(among, rows.values), "", ()),), ordered=False, rows=rows))
    return found


def _lines(query: CallQuery) -> tuple[int, ...] | None:
    """The listed lines that a query is limited to; the one place where a visitor's lines narrow it."""
    if query.line is None and query.scope is None:
        return None
    lines = query.scope if query.line is None else frozenset({query.line})
    if query.scope is not None and lines is not None:
        lines &= query.scope
    rows = _rows("SELECT id, line_id FROM listed_line WHERE tenant_id = ?", (query.tenant,))
    return tuple(int(identity) for identity, line in rows if line and line in (lines or ()))


def _named_lines(tenant: str, text: str, name: str | None) -> tuple[int, ...]:
    """The listed lines whose number contains a text, or whose label contains a name, or the name of a
    colleague whose lines they are."""
    rows = _rows("SELECT id, line_id, number FROM listed_line WHERE tenant_id = ?", (tenant,))
    lines: set[str] = set()
    if name is not None:
        labels = LineTable.select(LineTable.id, LineTable.label).where(LineTable.tenant == tenant)
        lines = {row.id for row in labels if name in fold_name(row.label)}
        people = UserTable.select(UserTable.name, UserTable.lines).where(
            (UserTable.tenant == tenant) & UserTable.revoked_at.is_null() & UserTable.lines.is_null(False)
        )
        lines.update(line for row in people if name in fold_name(row.name) for line in row.lines or ())
    return tuple(int(identity) for identity, line, number in rows if text in number.lower() or line in lines)


def _parties(tenant: str, text: str) -> tuple[tuple[int, ...], bool]:
    """Parties whose value contains a text, and whether these are all."""
    begin = text[:SUFFIX]
    rows = _rows(
        "SELECT party FROM party_suffix WHERE tenant_id = ? AND suffix >= ? AND suffix < ?"
        f" LIMIT {CANDIDATES + 1}",
        (tenant, begin, begin + _LAST),
    )
    found = tuple(sorted({int(party) for (party,) in rows}))
    if len(text) > SUFFIX and found:
        among = _among("p.id", found)
        rows = _rows(
            f"SELECT p.id FROM listed_party AS p WHERE {among.sql} AND lower(p.value) LIKE ? ESCAPE '\\'",
            (_like(text),),
        )
        return tuple(int(party) for (party,) in rows), True
    return found, len(rows) <= CANDIDATES


def _accented_parties(tenant: str, text: str) -> tuple[int, ...]:
    """Parties whose value has letters beyond ASCII and contains a text as names do, without case and accents:
    the index knows small letters of ASCII alone where the database does."""
    if is_number(text):
        return ()
    rows = _rows(
        "SELECT id, value FROM listed_party WHERE id IN (SELECT DISTINCT party FROM party_suffix"
        f" WHERE tenant_id = ? AND suffix >= ? LIMIT {LISTED})",
        (tenant, _BEYOND_ASCII),
    )
    return tuple(int(party) for party, value in rows if text in fold_name(value))


def _named_parties(tenant: str, name: str | None) -> tuple[int, ...]:
    """Parties whose number has a name of the customer's, or is the extension of a colleague whose name,
    contains a text."""
    if name is None:
        return ()
    mine = (ContactTable.tenant == tenant) & ContactTable.number.is_null(False)
    contacts: Any = ContactTable.select(ContactTable.number, ContactTable.name).where(mine).tuples()
    ours = (ExtensionTable.tenant == tenant) & ExtensionTable.number.is_null(False)
    colleagues: Any = ExtensionTable.select(ExtensionTable.number, UserTable.name).join(UserTable).where(ours)
    rows = (*colleagues.tuples(), *contacts)
    numbers = [number for number, text in rows if name in fold_name(text)][:CANDIDATES]
    if not numbers:
        return ()
    among = ", ".join("?" * len(numbers))
    known = f"SELECT id FROM listed_party WHERE tenant_id = ? AND value IN ({among})"
    return tuple(int(party) for (party,) in _rows(known, (tenant, *numbers)))


def _contains(tenant: str, text: str, others: Sequence[int], lines: Sequence[int]) -> Condition:
    """Calls with one of many parties, or of some ``others`` or lines."""
    begin = text[:SUFFIX]
    range_ = (tenant, begin, begin + _LAST)
    ends = "party_suffix WHERE tenant_id = ? AND suffix >= ? AND suffix < ?"
    known = f"SELECT count(*) FROM (SELECT 1 FROM {ends} LIMIT {LISTED + 1}) AS n"
    columns = (("line", lines), ("external", others), ("internal", others), ("party", others))
    either = [_of(column, ids).sql for column, ids in columns if ids]
    among_colleagues = "(SELECT 1 FROM listed_colleague AS k WHERE k.call_id = c.id AND {} LIMIT 1) = 1"
    if len(text) <= SUFFIX and _rows(known, range_)[0][0] <= LISTED:
        either += [f"c.{side} IN (SELECT party FROM {ends})" for side in ("external", "internal")]
        either.append(among_colleagues.format(f"k.party IN (SELECT party FROM {ends})"))
        return Condition(f"({' OR '.join(either)})", range_ * 3)
    # Scalar subqueries, which are evaluated call by call: PostgreSQL would join the whole dictionary.
    value = "p.value" if is_number(text) else "lower(p.value)"
    for side in ("external", "internal"):
        found = f"SELECT {value} FROM listed_party AS p WHERE p.id = c.{side}"
        either.append(f"({found}) LIKE ? ESCAPE '\\'")
    found = f"SELECT {value} FROM listed_party AS p WHERE p.id = k.party"
    either.append(among_colleagues.format(f"({found}) LIKE ? ESCAPE '\\'"))
    return Condition(f"({' OR '.join(either)})", (_like(text),) * 3)


def _like(text: str) -> str:
    for special in "\\%_":
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"


def _among(column: str, ids: Sequence[int]) -> Condition:
    return Condition(f"{column} IN ({', '.join(map(str, ids))})" if ids else "1 = 0")


def _calls(ids: Sequence[str]) -> Condition:
    return Condition(f"c.id IN ({', '.join('?' * len(ids))})", tuple(ids))


def _any(conditions: Sequence[Condition]) -> Condition:
    return Condition(
        f"({' OR '.join(each.sql for each in conditions)})",
        tuple(v for each in conditions for v in each.values),
    )


def _all(conditions: Sequence[Condition]) -> Condition:
    return Condition(
        " AND ".join(each.sql for each in conditions), tuple(v for each in conditions for v in each.values)
    )


def _bounds(query: CallQuery) -> tuple[int, int]:
    """The query's time in milliseconds, both inclusive."""
    low = 0 if query.since is None else _ms(query.since)
    return low, _NEVER if query.until is None else _ms(query.until) - 1


def _ms(at: datetime) -> int:
    return (at - EPOCH) // _MS


def time_of(ms: int) -> datetime:
    return EPOCH + ms * _MS


def _table(index: str) -> str:
    """The index, as SQLite has it: without statistics it would often choose another one."""
    sqlite = isinstance(database.obj, SqliteDatabase)
    forced = f" INDEXED BY {index}" if sqlite and index else ""
    if index != _COLLEAGUE:
        return f"listed_call AS c{forced}"
    # CROSS, so that SQLite keeps the order.
    join = "CROSS JOIN" if sqlite else "JOIN"
    return f"listed_colleague AS k{forced} {join} listed_call AS c ON c.id = k.call_id"


def _rows(text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    if not isinstance(database.obj, SqliteDatabase):
        text = text.replace("?", "%s")
    return list(database.execute_sql(text, tuple(values)).fetchall())


def reasons(tenant: str) -> tuple[str, ...]:
    """Why calls of a tenant were not recorded: each reason once, from the index of reasons alone."""
    found: list[str] = []
    with connected():
        while rows := _rows(
            "SELECT min(reason) FROM listed_call WHERE tenant_id = ? AND reason IS NOT NULL AND reason > ?",
            (tenant, found[-1] if found else ""),
        ):
            if rows[0][0] is None:
                break
            found.append(str(rows[0][0]))
    return tuple(found)
