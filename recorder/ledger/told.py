"""An audit's look at rows: each says what the leaves say of it, and there is none that no leaf speaks of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from recorder.catalogue.database import Row
from recorder.catalogue.models import (
    Announcement,
    Grant,
    Line,
    Listen,
    NotRecorded,
    Recording,
    Session,
    Tenant,
    User,
    database,
)
from recorder.ledger.findings import Finding

PAGE = 500

Body = Mapping[str, Any]

THERE: Final = object()
"""Of a column: something is in it, whatever that is."""


@dataclass(frozen=True, slots=True)
class Says:
    """What leaves of a kind say of a row: of which table, under which of the body's names its id is, and of
    its columns.  ``columns`` gives what a body says of them."""

    model: type[Row]
    named: str
    columns: Callable[[Body], Mapping[str, Any]]


def _same(*names: str, **others: str) -> Callable[[Body], Mapping[str, Any]]:
    """Columns that are called as in the body, or otherwise; those that a body has."""
    called = {name: name for name in names} | others
    return lambda body: {column: body[name] for column, name in called.items() if name in body}


def _set(column: str) -> Callable[[Body], Mapping[str, Any]]:
    return lambda _body: {column: THERE}


_LINE: Final = _same(
    "number", "label", "timing", "formats", "mode", "others", "outbound", "beep", "deletable", "keep",
    announcement_id="announcement",
)  # fmt: skip


def _announces(body: Body) -> Mapping[str, Any]:
    """What a line says: no further languages, where the body names none."""
    return {"others": []} | dict(_LINE(body))


SAID: Final[Mapping[str, Says]] = {
    "tenant.created": Says(Tenant, "tenant", _same("name", "country")),
    "tenant.changed": Says(Tenant, "tenant", _same("name", "language")),
    "tenant.country_changed": Says(Tenant, "tenant", _same("country")),
    "user.created": Says(User, "user", _same("role")),
    "user.revoked": Says(User, "user", _set("revoked_at")),
    "session.opened": Says(Session, "session", _same(user_id="user")),
    "announcement.created": Says(
        Announcement, "announcement", _same("version", "mode", "purposes", sound_sha256="sound")
    ),
    "line.created": Says(Line, "line", _announces),
    "line.announcement_changed": Says(Line, "line", _announces),
    "line.mode_changed": Says(Line, "line", _LINE),
    "line.timing_changed": Says(Line, "line", _LINE),
    "line.outbound_changed": Says(Line, "line", _LINE),
    "line.beep_changed": Says(Line, "line", _LINE),
    "line.deletable_changed": Says(Line, "line", _LINE),
    "line.keep_changed": Says(Line, "line", _LINE),
    "line.ended": Says(Line, "line", _set("until")),
    "recording.stored": Says(Recording, "recording", _same("manifest_sha256", "announced", "brought_in")),
    "recording.rebuilt": Says(Recording, "recording", _same("manifest_sha256")),
    "recording.destroyed": Says(
        Recording, "recording", lambda body: {"destroyed_why": body["why"], "destroyed_at": THERE}
    ),
    "call.not_recorded": Says(NotRecorded, "recording", _same("reason")),
    "grant.given": Says(Grant, "grant", _same("purpose", user_id="user", recording_id="recording")),
    "listen.opened": Says(Listen, "listen", _same("name", grant_id="grant")),
    "listen.closed": Says(
        Listen, "listen", lambda body: {"closed_at": THERE} | dict(_same("sent_bytes", "player_says")(body))
    ),
}

BEGUN: Final = "log.begun"

HEARD: Final = frozenset({*SAID, BEGUN})
"""Kinds of leaves that are to be heard."""

CHANGING: Final = (Tenant, User, Line)
"""Few rows, which later leaves say something else of: the last one counts."""

COMPLETE: Final = (Announcement, Grant, Line, Listen, NotRecorded, Recording, User)
"""Tables in which no row is without a leaf."""


@dataclass(slots=True)
class Told:
    """Hears every body of a tenant's leaves, and compares rows with them, a few hundred at a time."""

    tenant: str
    findings: list[Finding] = field(default_factory=list)
    begun: dict[int, int] = field(default_factory=dict)
    """Epochs that the log says were begun, each with its first checkpoint's number."""
    _waiting: dict[type[Row], dict[str, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    _last: dict[type[Row], dict[str, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    _unreadable: set[str] = field(default_factory=set)
    _known: dict[type[Row], set[str]] = field(default_factory=lambda: defaultdict(set))

    def hear(self, _number: int, kind: str, body: Body) -> None:
        """One leaf's body."""
        if kind == BEGUN:
            self.begun[int(body["epoch"])] = int(body["checkpoint"])
        says = SAID.get(kind)
        if says is None or says.named not in body:
            return
        model, identity = says.model, str(body[says.named])
        if kind != "listen.closed":
            self._known[model].add(identity)
        rows = self._last[model] if model in CHANGING else self._waiting[model]
        rows.setdefault(identity, {}).update(says.columns(body))
        if model not in CHANGING and len(rows) >= PAGE:
            self._compare(model, rows)
            rows.clear()

    def end(self, erased: Collection[str]) -> Iterator[Finding]:
        """After the last leaf.  Of ``erased`` recordings the leaves' bodies are gone, so rows about them are
        compared with nothing."""
        for rows_of in (self._waiting, self._last):
            for model, rows in rows_of.items():
                for some in _pages(rows):
                    self._compare(model, some)
        yield from self.findings
        for model in COMPLETE:
            yield from self._unlogged(model, erased)

    def _compare(self, model: type[Row], rows: Mapping[str, Mapping[str, Any]]) -> None:
        there = self._rows(model, list(rows))
        for identity, said in rows.items():
            if identity in self._unreadable:
                continue
            row = there.get(identity)
            if row is None:
                if not self._may_be_missing(model, identity):
                    self._blame(
                        "row.deleted", model, identity, "the log speaks of it, and there is no such row"
                    )
            elif others := [name for name, value in said.items() if not _is(_value(row, name), value)]:
                self._blame(
                    "row.changed", model, identity, f"the log says otherwise: {', '.join(sorted(others))}"
                )

    def _rows(self, model: Any, ids: list[str]) -> dict[str, Any]:
        """Rows by id; one that cannot be read is blamed, and is none of them."""
        try:
            return {row.id: row for row in model.select().where(model.id.in_(ids))}
        except (ValueError, TypeError):
            if len(ids) > 1:
                return {key: row for each in ids for key, row in self._rows(model, [each]).items()}
            self._unreadable.add(ids[0])
            self._blame("row.changed", model, ids[0], "it holds something that was never written so")
            return {}

    def _may_be_missing(self, model: type[Row], identity: str) -> bool:
        if model is Session:
            return True  # the worker forgets them a month after their end
        if model is NotRecorded:  # a take that a person brought back is a recording now
            return bool(Recording.select().where(Recording.id == identity).exists())
        return False

    def _unlogged(self, model: Any, erased: Collection[str]) -> Iterator[Finding]:
        last, known = "", self._known[model]
        while True:
            mine = (model.tenant == self.tenant) & (model.id > last)
            ids = [row for (row,) in database.execute(
                model.select(model.id).where(mine).order_by(model.id).limit(PAGE)).fetchall()]  # fmt: skip
            for identity in ids:
                if identity not in known and not _of_erased(model, identity, erased):
                    yield self._finding("row.unlogged", model, identity, "a row that no leaf speaks of")
            if not ids:
                return
            last = ids[-1]

    def _blame(self, code: str, model: type[Row], identity: str, message: str) -> None:
        self.findings.append(self._finding(code, model, identity, message))

    def _finding(self, code: str, model: Any, identity: str, message: str) -> Finding:
        return Finding(code, f"{self.tenant}: {model._meta.table_name} {identity}", message)


def _of_erased(model: Any, identity: str, erased: Collection[str]) -> bool:
    """Whether a row is about a recording that was erased."""
    if not erased:
        return False
    if model is Recording:
        return identity in erased
    if model is Grant:
        return Grant.get_by_id(identity).recording_id in erased
    if model is Listen:
        return Listen.get_by_id(identity).grant.recording_id in erased
    return False


def _pages(rows: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    items = list(rows.items())
    for begin in range(0, len(items), PAGE):
        yield dict(items[begin : begin + PAGE])


def _value(row: Row, column: str) -> Any:
    field_ = {each.column_name: each.name for each in row._meta.sorted_fields}[column]
    return row.__data__[field_]


def _is(value: Any, said: Any) -> bool:
    if said is THERE:
        return value is not None
    if isinstance(said, bool):
        return bool(value) == said
    return bool(value == said)
