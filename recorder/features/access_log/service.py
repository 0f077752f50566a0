"""The access log: what a customer's audit log says, for its admins and auditors.

It only reads, and shows a leaf by what was hashed: somebody who can write to the database can hide an entry,
which an audit reports, but cannot make one say something else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from recorder.catalogue.database import connected
from recorder.features.access_log import queries
from recorder.features.access_log.rules import (
    CLOSED,
    EVERYTHING,
    INTACT,
    OPENED,
    WORDS,
    LogEntry,
    LogFilter,
    LoggedCall,
    LogPage,
    LogPosition,
    Person,
    RawLeaf,
    doer,
    heard_ms,
    read_entry,
    subject,
)

PAGE: Final = 50
MOST_ABOUT: Final = 500
"""Entries about one recording that are read at once."""

BATCH: Final = 100
"""Entries that are read at once for an export: other requests wait meanwhile."""


def list_entries(
    tenant: str, criteria: LogFilter = EVERYTHING, *, after: LogPosition | None = None, limit: int = PAGE
) -> LogPage:
    """A page of the log, latest first."""
    with connected():
        rows = queries.find_leaves(tenant, criteria, after, limit + 1)
        page_rows = rows[:limit]
        entries = _complete(tenant, page_rows)
    more = LogPosition(page_rows[-1].at, page_rows[-1].number) if len(rows) > limit else None
    return LogPage(entries, more)


def entries_about(tenant: str, recording: str, limit: int = MOST_ABOUT) -> tuple[LogEntry, ...]:
    """What the log says about one recording or call of a tenant, latest first: who listened, for which
    purpose and how much they heard, downloads, copies and exports, refusals, amendments, and its erasure."""
    return list_entries(tenant, LogFilter(recording=recording), limit=limit).entries


def find_entry(tenant: str, number: int) -> LogEntry | None:
    """One entry of a tenant."""
    with connected():
        row = queries.leaf_row(tenant, number)
        return None if row is None else _complete(tenant, [row])[0]


def all_entries(tenant: str, criteria: LogFilter = EVERYTHING) -> Iterator[tuple[LogEntry, ...]]:
    """All entries, latest first, in batches, each read with a connection of its own."""
    after: LogPosition | None = None
    while True:
        page = list_entries(tenant, criteria, after=after, limit=BATCH)
        yield page.entries
        if (after := page.more) is None:
            return


def everybody(tenant: str) -> tuple[Person, ...]:
    """Whom the log can name: a tenant's users by name, also those without access, then its API tokens."""
    with connected():
        found = queries.everybody(tenant).values()
    return tuple(sorted(found, key=lambda each: (each.kind != "user", each.name.casefold(), each.id)))


def calls_of(tenant: str, entries: Iterable[LogEntry]) -> dict[str, LoggedCall]:
    """The calls that entries are about, by id, as they are listed now."""
    ids = {name for each in entries if (name := each.about_recording) is not None}
    with connected():
        return queries.calls(tenant, ids) if ids else {}


def _complete(tenant: str, rows: Sequence[RawLeaf]) -> tuple[LogEntry, ...]:
    """Rows as entries, with what other leaves and the list of users add."""
    entries = [read_entry(tenant, row) for row in rows]
    listens = _listens(entries, OPENED), _listens(entries, CLOSED)
    closed = _by_listen(tenant, CLOSED, queries.closings(tenant, listens[0]) if listens[0] else ())
    opened = _by_listen(tenant, OPENED, queries.openings(tenant, listens[1]) if listens[1] else ())
    entries = [_with_listen(each, closed, opened) for each in entries]
    identities = {
        identity
        for each in entries
        for identity in (doer(each.kind, each.body), subject(each.kind, each.body))
        if identity is not None and identity not in WORDS
    }
    known = queries.people(tenant, identities) if identities else {}
    return tuple(
        replace(
            each,
            who=_person(doer(each.kind, each.body), known),
            about=_person(subject(each.kind, each.body), known),
        )
        for each in entries
    )


def _listens(entries: Iterable[LogEntry], kind: str) -> Collection[str]:
    return {str(each.body.get("listen")) for each in entries if each.kind == kind and each.state == INTACT}


def _by_listen(tenant: str, kind: str, rows: Iterable[RawLeaf]) -> dict[str, LogEntry]:
    found = (read_entry(tenant, row) for row in rows)
    return {str(each.body.get("listen")): each for each in found if each.kind == kind and each.body}


def _with_listen(entry: LogEntry, closed: dict[str, LogEntry], opened: dict[str, LogEntry]) -> LogEntry:
    """A leaf that opens a listen gets what was heard from the one that closes it, which in turn gets who
    listened and what for."""
    listen = str(entry.body.get("listen"))
    if entry.kind == OPENED and (end := closed.get(listen)) is not None:
        return replace(entry, heard_ms=heard_ms(end.kind, end.body), finished=True)
    if entry.kind == CLOSED and (begin := opened.get(listen)) is not None:
        same: dict[str, Any] = {name: begin.body[name] for name in ("user", "purpose") if name in begin.body}
        return replace(entry, body={**same, **entry.body}, finished=True)
    return entry


def _person(identity: str | None, known: dict[str, Person]) -> Person | None:
    if identity is None:
        return None
    if identity == "operator":
        return Person(identity, "operator")
    if identity == "system":
        return Person(identity, "system")
    return known.get(identity, Person(identity, "unknown"))
