"""Audits rows: each agrees with its leaves, and every row has a leaf."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from recorder.audit.findings import AuditFinding
from recorder.audit.leaf_schema import (
    CHANGING,
    COMPLETE,
    ENDS,
    LEAVING,
    OF_PEOPLE,
    SAID,
    Body,
    agrees,
    is_owned,
    rows_of,
)
from recorder.audit.limits import Limited
from recorder.catalogue.database import Table, database
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.grant import GrantTable, ListenTable
from recorder.catalogue.tables.identity import SessionTable, UserTable
from recorder.catalogue.tables.live_call import LiveCommandTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.subject_request import ReviewTable, VerificationCodeTable
from recorder.clock import from_iso
from recorder.identity.users import LOGIN_SHA256, PROFILE_SHA256
from recorder.lifecycle.limits import LIFTED, SET
from recorder.seal.amendment_kinds import ERASED

PAGE = 500

BEGUN: Final = "log.restarted"
RESTORED: Final = "catalogue.restored"

SESSIONS_KEPT: Final = timedelta(days=29)
"""A session is forgotten 30 days after its end, and not before."""

REVIEWED: Final = (
    "given", "withheld_reason", "decided_at", "decided_by", "exported_at", "erased_at", "kept_reason",
    "kept_until",
)  # fmt: skip

ABOUT: Final[Mapping[type[Table], str]] = {
    GrantTable: "recording_id", ReviewTable: "recording_id", LiveCommandTable: "call_id",
}  # fmt: skip
"""Tables about a recording or call that may have been erased: the column that names it."""

HEARD: Final = frozenset({*SAID, *LEAVING, BEGUN, SET, LIFTED, RESTORED})
"""Kinds of leaves to collect."""


@dataclass(slots=True)
class RowAudit:
    """Collects every body of a tenant's leaves, and compares rows with them, a few hundred at a time."""

    tenant: str
    now: datetime
    findings: list[AuditFinding] = field(default_factory=list)
    begun: dict[int, int] = field(default_factory=dict)
    """Epochs that the log declares, each with its first checkpoint's number."""
    keys: set[str] = field(default_factory=set)
    """Ids of the customer's keys, if there have been several."""
    keys_destroyed: bool = False
    _waiting: dict[type[Table], dict[str, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    _last: dict[type[Table], dict[str, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    _unreadable: set[str] = field(default_factory=set)
    _known: dict[type[Table], set[str]] = field(default_factory=lambda: defaultdict(set))
    _ended: dict[type[Table], set[str]] = field(default_factory=lambda: defaultdict(set))
    _not_copied: set[str] = field(default_factory=set)
    _opened: dict[str, str] = field(default_factory=dict)
    """Sessions, and when each was opened."""
    _limited: Limited = field(init=False)
    _left: bool = False

    def __post_init__(self) -> None:
        self._limited = Limited(self.tenant)

    def hear(self, number: int, kind: str, body: Body, at: str) -> None:
        """One leaf's body."""
        if kind == BEGUN:
            self.begun[int(body["epoch"])] = int(body["checkpoint"])
        elif kind in (SET, LIFTED):
            self._limited.hear(number, body)
        elif kind in LEAVING:
            self._left = True
        elif kind == RESTORED:  # a copy has its sessions ended, and no codes
            self._ended[SessionTable] |= self._known[SessionTable]
            self._not_copied |= self._known[VerificationCodeTable]
        elif kind in ("tenant.key_changed", "tenant.key_destroyed"):
            self.keys |= {str(body[name]) for name in ("key", "key_was") if body.get(name)}
            self.keys_destroyed = kind == "tenant.key_destroyed"
        says = SAID.get(kind)
        identity = None if says is None else says.which(body)
        if says is None or identity is None:
            return
        model, identity = says.model, identity or self.tenant
        if says.makes:
            self._known[model].add(identity)
        said = says.said(body, at)
        if model in ENDS and ENDS[model][0] in said:
            self._ended[model].add(identity)
        if model is SessionTable and says.makes:
            self._opened[identity] = at
        if model in CHANGING:
            self._last[model].setdefault(identity, {}).update(said)
            return
        rows = self._waiting[model]
        before = rows.get(identity, {})
        if any(before.get(name, value) != value for name, value in said.items()):
            self._compare(model, {identity: rows.pop(identity)})  # each of them must match the row
        rows.setdefault(identity, {}).update(said)
        if len(rows) >= PAGE:
            self._compare(model, rows)
            rows.clear()

    def end(self, erased: Collection[str], amended: Mapping[str, int]) -> Iterator[AuditFinding]:
        """After the last leaf. For ``erased`` recordings the leaves' bodies are gone, so rows about them are
        not compared; how many times they were ``amended`` before is still known."""
        for review in self._last[ReviewTable].values():
            if review["recording_id"] not in erased:  # without a deciding leaf there is no decision
                review |= {name: None for name in REVIEWED if name not in review}
        for waiting in (self._waiting, self._last):
            for model, rows in waiting.items():
                for some in _pages(rows):
                    self._compare(model, some)
        yield from self.findings
        yield from self._limited.end()
        for recording, count in amended.items():
            mine = (AmendmentTable.recording == recording) & (AmendmentTable.kind != ERASED)
            if (there := AmendmentTable.select().where(mine).count()) < count:
                what = f"the log speaks of {count} amendments, and {there} are there"
                yield self._finding("row.deleted", AmendmentTable, f"of {recording}", what)
        for model in COMPLETE:
            yield from self._unlogged(model, erased)

    def _compare(self, model: type[Table], rows: Mapping[str, Mapping[str, Any]]) -> None:
        if self._left and model in OF_PEOPLE:
            return
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
                continue
            others = [name for name, value in said.items() if not agrees(row, name, value)]
            others += [] if is_owned(row, self.tenant) else ["tenant_id"]
            if self._left and model is UserTable:  # their names were erased
                others = [name for name in others if name not in (LOGIN_SHA256, PROFILE_SHA256)]
            if others:
                what = f"the log says otherwise: {', '.join(sorted(others))}"
                self._blame("row.changed", model, identity, what)

    def _rows(self, model: Any, ids: list[str]) -> dict[str, Any]:
        """Rows by id; one that cannot be read is reported and left out."""
        try:
            return {row.id: row for row in model.select().where(model.id.in_(ids))}
        except (ValueError, TypeError):
            if len(ids) > 1:
                return {key: row for each in ids for key, row in self._rows(model, [each]).items()}
            self._unreadable.add(ids[0])
            self._blame("row.changed", model, ids[0], "it contains a value that Accord never writes")
            return {}

    def _may_be_missing(self, model: type[Table], identity: str) -> bool:
        if model is SessionTable:  # the worker deletes them a month after their end
            opened = self._opened.get(identity)
            return opened is None or from_iso(opened) < self.now - SESSIONS_KEPT
        if model is VerificationCodeTable:
            return identity in self._not_copied
        if model is LiveCommandTable:
            return True  # the worker deletes old commands, too
        if model is NotRecordedTable:  # a take that a person brought back is a recording now
            return bool(RecordingTable.select().where(RecordingTable.id == identity).exists())
        return False

    def _unlogged(self, model: Any, erased: Collection[str]) -> Iterator[AuditFinding]:
        last, known = "", self._known[model]
        ends = [getattr(model, name) for name in ENDS.get(model, ())]
        if self._left and model in OF_PEOPLE:
            return
        while True:
            mine = rows_of(model, self.tenant) & (model.id > last)
            rows = database.execute(
                model.select(model.id, *ends).where(mine).order_by(model.id).limit(PAGE)
            ).fetchall()
            ids = [identity for identity, *_ in rows]
            for identity, *ended in rows:
                if identity not in known:
                    code, what = "row.unlogged", "a row that no leaf speaks of"
                    if _blank(model, identity):
                        continue
                elif any(each is not None for each in ended) and identity not in self._ended[model]:
                    code, what = (
                        "row.changed",
                        f"the log does not say that it ended: {', '.join(ENDS[model])}",
                    )
                else:
                    continue
                if not (_of_erased(model, identity, erased) or (self._left and identity in known)):
                    yield self._finding(code, model, identity, what)
            if not ids:
                return
            last = ids[-1]

    def _blame(self, code: str, model: type[Table], identity: str, message: str) -> None:
        self.findings.append(self._finding(code, model, identity, message))

    def _finding(self, code: str, model: Any, identity: str, message: str) -> AuditFinding:
        return AuditFinding(code, f"{self.tenant}: {model._meta.table_name} {identity}", message)


def _of_erased(model: Any, identity: str, erased: Collection[str]) -> bool:
    """Whether a row is about a recording that was erased."""
    if not erased:
        return False
    if model is RecordingTable:
        return identity in erased
    if model is ListenTable:
        granted = ListenTable.select(ListenTable.grant).where(ListenTable.id == identity)
        about = GrantTable.select(GrantTable.recording).where(GrantTable.id.in_(granted))
    elif model in ABOUT:
        about = model.select(getattr(model, ABOUT[model])).where(model.id == identity)
    else:
        return False
    return about.scalar() in erased


def _blank(model: Any, identity: str) -> bool:
    """Whether nothing was decided or done yet about a recording of a subject request."""
    if model is not ReviewTable:
        return False
    row = ReviewTable.get_by_id(identity)
    names = [each.name for each in ReviewTable._meta.sorted_fields]
    return all(row.__data__[name] is None for name in names if name not in ("id", "request", "recording_id"))


def _pages(rows: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    items = list(rows.items())
    for begin in range(0, len(items), PAGE):
        yield dict(items[begin : begin + PAGE])
