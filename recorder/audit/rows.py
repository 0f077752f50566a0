"""Audits rows: each must agree with its leaves, and every row must have a leaf."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from recorder.audit import leaf_schema
from recorder.audit.findings import AuditFinding, checked, not_checked
from recorder.audit.limits import LimitAudit
from recorder.catalogue.database import Table, database
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.grant import GrantTable, ListenTable
from recorder.catalogue.tables.identity import SessionTable, UserTable
from recorder.catalogue.tables.live_call import LiveCommandTable
from recorder.catalogue.tables.note import NoteTable
from recorder.catalogue.tables.own_call import OwnCallTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.subject_request import ReviewTable
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.clock import from_iso
from recorder.identity.users import LOGIN_SHA256, PROFILE_SHA256
from recorder.lifecycle.limits import LIFTED, SET
from recorder.seal.amendment_kinds import ERASED

PAGE = 500

RESTARTED: Final = "log.restarted"
RESTORED: Final = "catalogue.restored"

SESSIONS_KEPT: Final = timedelta(days=29)
"""Sessions are deleted 30 days after their end, not earlier."""

REVIEWED: Final = (
    "given", "withheld_reason", "decided_at", "decided_by", "exported_at", "erased_at", "kept_reason",
    "kept_until",
)  # fmt: skip

ABOUT: Final[Mapping[type[Table], str]] = {
    GrantTable: "recording_id", ReviewTable: "recording_id", LiveCommandTable: "call_id",
    NoteTable: "recording_id", OwnCallTable: "id", VerificationCallTable: "recording_id",
}  # fmt: skip
"""Tables about a recording or call, which may have been erased, and the column that names it."""

COLLECTED: Final = frozenset(
    {*leaf_schema.STATEMENTS, *leaf_schema.OFFBOARDED, RESTARTED, SET, LIFTED, RESTORED}
)
"""Kinds of leaves to collect."""


@dataclass(slots=True)
class RowAudit:
    """Collects the statements of a tenant's leaves, and compares rows with them, a few hundred at a time."""

    tenant: str
    now: datetime
    findings: list[AuditFinding] = field(default_factory=list)
    first_heads: dict[int, int] = field(default_factory=dict)
    """Epochs that the log declares, each with its first checkpoint's number."""
    keys: set[str] = field(default_factory=set)
    """Ids of all keys that the customer has had, if there were several."""
    keys_destroyed: bool = False
    _batches: dict[type[Table], dict[str, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    _last: dict[type[Table], dict[str, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    _unreadable: set[str] = field(default_factory=set)
    _known: dict[type[Table], set[str]] = field(default_factory=lambda: defaultdict(set))
    _ended: dict[type[Table], set[str]] = field(default_factory=lambda: defaultdict(set))
    _not_copied: set[str] = field(default_factory=set)
    _opened: dict[str, str] = field(default_factory=dict)
    """Sessions, each with the time when it was opened."""
    _limits: LimitAudit = field(init=False)
    _left: bool = False

    def __post_init__(self) -> None:
        self._limits = LimitAudit(self.tenant)

    def collect(self, number: int, kind: str, body: leaf_schema.Body, at: str) -> None:
        """Collect one leaf's body."""
        if kind == RESTARTED:
            self.first_heads[int(body["epoch"])] = int(body["checkpoint"])
        elif kind in (SET, LIFTED):
            self._limits.collect(number, body)
        elif kind in leaf_schema.OFFBOARDED:
            self._left = True
        elif kind == RESTORED:  # a restore ends all sessions, and has no verification calls
            self._ended[SessionTable] |= self._known[SessionTable]
            self._not_copied |= self._known[VerificationCallTable]
        elif kind in ("tenant.key_changed", "tenant.key_destroyed"):
            self.keys |= {str(body[name]) for name in ("key", "key_was") if body.get(name)}
            self.keys_destroyed = kind == "tenant.key_destroyed"
        statement = leaf_schema.STATEMENTS.get(kind)
        identity = None if statement is None else statement.which(body)
        if statement is None or identity is None:
            return
        model, identity = statement.model, identity or self.tenant
        if statement.makes:
            self._known[model].add(identity)
        values = statement.values(body, at)
        if model in leaf_schema.END_COLUMNS and leaf_schema.END_COLUMNS[model][0] in values:
            self._ended[model].add(identity)
        if model is SessionTable and statement.makes:
            self._opened[identity] = at
        if model not in leaf_schema.LARGE:
            self._last[model].setdefault(identity, {}).update(values)
            return
        rows = self._batches[model]
        before = rows.get(identity, {})
        if any(before.get(name, value) != value for name, value in values.items()):
            self._compare(model, {identity: rows.pop(identity)})  # the row must match each statement
        rows.setdefault(identity, {}).update(values)
        if len(rows) >= PAGE:
            self._compare(model, rows)
            rows.clear()

    def end(self, erased: Collection[str], amended: Mapping[str, int]) -> Iterator[AuditFinding]:
        """Compare the remaining rows, after the last leaf. The leaves of ``erased`` recordings have no
        bodies, so rows about them are not compared; only the number of their amendments is known
        (``amended``)."""
        for review in self._last[ReviewTable].values():
            if review.get("recording_id") not in erased:  # without a leaf there is no decision
                review |= {name: None for name in REVIEWED if name not in review}
        for buffer in (self._batches, self._last):
            for model, rows in buffer.items():
                for some in _pages(rows):
                    self._compare(model, some)
        yield from self.findings
        yield from self._limits.end()
        for recording, count in amended.items():
            mine = (AmendmentTable.recording == recording) & (AmendmentTable.kind != ERASED)
            if (there := AmendmentTable.select().where(mine).count()) < count:
                what = f"the log has {count} amendments, but there are {there} rows"
                yield self._finding("row.deleted", AmendmentTable, f"of {recording}", what)
        for model in leaf_schema.FULLY_LOGGED:
            where = f"{self.tenant}: {model._meta.table_name}"
            yield from checked(where, self._unlogged, model, erased)

    def _compare(self, model: type[Table], rows: Mapping[str, Mapping[str, Any]]) -> None:
        if self._left and model.offboarding != "kept":
            return
        there = self._rows(model, list(rows))
        for identity, values in rows.items():
            if identity in self._unreadable:
                continue
            try:
                self.findings += self._compare_row(model, identity, there.get(identity), values)
            except Exception as error:  # a tampered value can lead to any
                where = f"{self.tenant}: {model._meta.table_name} {identity}"
                self.findings.append(not_checked(where, error))

    def _compare_row(
        self, model: type[Table], identity: str, row: Table | None, values: Mapping[str, Any]
    ) -> Iterator[AuditFinding]:
        if row is None:
            if not self._may_be_missing(model, identity):
                what = "the log has it, but there is no such row"
                yield self._finding("row.deleted", model, identity, what)
            return
        others = [name for name, value in values.items() if not leaf_schema.agrees(row, name, value)]
        others += [] if leaf_schema.is_owned(row, self.tenant) else ["tenant_id"]
        if self._left and model is UserTable:  # offboarding erased their names
            others = [name for name in others if name not in (LOGIN_SHA256, PROFILE_SHA256)]
        if others:
            what = f"it differs from the log: {', '.join(sorted(others))}"
            yield self._finding("row.changed", model, identity, what)

    def _rows(self, model: Any, ids: list[str]) -> dict[str, Any]:
        """Rows by id; an unreadable one is reported and omitted."""
        try:
            return {row.id: row for row in model.select().where(model.id.in_(ids))}
        except (ValueError, TypeError):
            if len(ids) > 1:
                return {key: row for each in ids for key, row in self._rows(model, [each]).items()}
            self._unreadable.add(ids[0])
            self._blame("row.changed", model, ids[0], "it contains a value that Accord never writes")
            return {}

    def _may_be_missing(self, model: type[Table], identity: str) -> bool:
        if model is SessionTable:  # the worker deletes sessions a month after their end
            opened = self._opened.get(identity)
            return opened is None or from_iso(opened) < self.now - SESSIONS_KEPT
        if model is VerificationCallTable:  # no backup has them
            return identity in self._not_copied
        if model is LiveCommandTable:
            return True  # the worker deletes old commands
        if model is NotRecordedTable:  # a take released from quarantine is a recording now
            recorded = (RecordingTable.id == identity) & (RecordingTable.tenant == self.tenant)
            return bool(RecordingTable.select().where(recorded).exists())
        return False

    def _unlogged(self, model: Any, erased: Collection[str]) -> Iterator[AuditFinding]:
        last, known = "", self._known[model]
        ends = [getattr(model, name) for name in leaf_schema.END_COLUMNS.get(model, ())]
        if self._left and model.offboarding != "kept":
            return
        while True:
            mine = leaf_schema.rows_of(model, self.tenant) & (model.id > last)
            rows = database.execute(
                model.select(model.id, *ends).where(mine).order_by(model.id).limit(PAGE)
            ).fetchall()
            ids = [identity for identity, *_ in rows]
            for identity, *row in rows:
                if identity not in known:
                    code, what = "row.unlogged", "no leaf mentions this row"
                    if _blank(model, identity):
                        continue
                elif any(each is not None for each in row) and identity not in self._ended[model]:
                    code, what = (
                        "row.changed",
                        f"the log does not record its end: {', '.join(leaf_schema.END_COLUMNS[model])}",
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
    """Whether a row is about an erased recording."""
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
    """Whether a row is the review of a recording without any decision or action yet."""
    if model is not ReviewTable:
        return False
    row = ReviewTable.get_by_id(identity)
    names = [each.name for each in ReviewTable._meta.sorted_fields]
    return all(row.__data__[name] is None for name in names if name not in ("id", "request", "recording_id"))


def _pages(rows: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    items = list(rows.items())
    for begin in range(0, len(items), PAGE):
        yield dict(items[begin : begin + PAGE])
