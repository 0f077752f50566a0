"""Audits offboarding and erased calls: each row must agree with its leaves, and each leaf must name a
statement in the bucket, signed by a key endorsed for that. Unexpected objects there are reported."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.audit.findings import AuditFinding
from recorder.audit.leaves import BodyReader
from recorder.audit.lost_bodies import SignedErasures
from recorder.catalogue.database import database
from recorder.catalogue.tables.offboarding import HandedRecordingTable, OffboardingTable
from recorder.catalogue.tables.subject_request import ErasedCallTable
from recorder.clock import to_iso
from recorder.errors import SealError
from recorder.features.offboarding import handover_queries
from recorder.features.offboarding.queries import LEFT
from recorder.lifecycle.departure import LEAVES, STAYS
from recorder.lifecycle.erasure_order import ERASURE_STARTED
from recorder.lifecycle.statements import CALLS_FORGOTTEN
from recorder.seal import call_erasure, hints, offboarding
from recorder.seal.call_erasure import NOTES, ErasedCallsRecord
from recorder.seal.document_source import read_document
from recorder.seal.offboarding import CANCELLED, ERASURE, FOLDER, OffboardingReceipt, Statement
from recorder.seal.revocation import Revoked
from recorder.store.contract import Store

HANDED: Final = "recording.handed_over"
COLLECTED: Final = frozenset(
    {
        LEAVES,
        STAYS,
        ERASURE_STARTED,
        LEFT,
        CALLS_FORGOTTEN,
        HANDED,
        handover_queries.STARTED,
        handover_queries.COMPLETED,
    }
)
"""Kinds of leaves to collect."""

PAGE: Final = 500


@dataclass(slots=True)
class OffboardingAudit:
    """One tenant's offboarding. Call :meth:`read`, pass every leaf in order to :meth:`collector`'s function,
    then call :meth:`end` in the same snapshot."""

    tenant: str
    store: Store
    root: Ed25519PublicKey
    revoked: Revoked
    findings: list[AuditFinding] = field(default_factory=list)
    _statements: dict[str, Statement] = field(default_factory=dict)
    _newest: Statement | None = None
    _receipt: OffboardingReceipt | None = None
    _notes: dict[str, ErasedCallsRecord] = field(default_factory=dict)
    _row: dict[str, Any] = field(default_factory=dict)
    _documents: set[str] = field(default_factory=set)
    _recordings: set[str] = field(default_factory=set)
    _handover: str | None = None
    _calls: set[str] = field(default_factory=set)

    def read(self) -> None:
        """Read the bucket. Raises :class:`recorder.errors.StoreError`."""
        below = offboarding.folder_of(self.tenant)
        there = list(self.store.list(below))
        for key in there:
            if not offboarding.is_known(key):
                self._blame("object.unplaced", key, "no object of Accord's has this name")
        with self._blamed(below):
            every = offboarding.statements(self.store, self.tenant, self.root)
            self._statements = {each.sha256: each for each in every}
            self._newest = every[-1] if every else None
            if self._newest is not None:
                self._check_key(below, self._newest.key_id)
        place = offboarding.place_of(self.tenant)
        if place in there:
            with self._blamed(place):
                self._receipt = offboarding.receipt_of(self.store, self.tenant, self.root)
                self._check_key(place, self._receipt.key)
        for key in list(self.store.list(f"{NOTES}{self.tenant}/")):
            ids = call_erasure.ids_in(key)
            if ids is None:
                self._blame("object.unplaced", key, "no object of Accord's has this name")
                continue
            with self._blamed(key):
                note = call_erasure.read(read_document(self.store, key, call_erasure.MAX_BYTES), self.root)
                if note.tenant != self.tenant:
                    raise SealError(
                        "call_erasure.foreign", f"it is a note of customer {note.tenant}", hints.OBJECT
                    )
                self._check_key(key, note.key)
                self._notes[ids[1]] = note

    def covered(self, copied_disputes: Collection[str]) -> SignedErasures:
        """The erasures that the bucket's statements cover, after :meth:`read`."""
        calls = {note: record.calls for note, record in self._notes.items()}
        erased = self._newest is not None and self._newest.kind == ERASURE
        return SignedErasures(calls, erased or self._receipt is not None, copied_disputes)

    def collector(self, others: BodyReader) -> BodyReader:
        """A function that collects leaves of :data:`COLLECTED`, and passes every leaf to ``others``."""

        def collect(number: int, kind: str, body: Mapping[str, Any], at: str) -> None:
            if kind in COLLECTED:
                self._collect(number, kind, body)
            others(number, kind, body, at)

        return collect

    def _collect(self, number: int, kind: str, body: Mapping[str, Any]) -> None:
        if kind == CALLS_FORGOTTEN:
            self._collect_forgotten(number, body)
        elif kind == HANDED:
            self._recordings.add(str(body["recording"]))
        elif kind == handover_queries.STARTED:
            self._handover = str(body["handover"])
            self._row |= dict.fromkeys(("handed_at", "length", "layout", "rows")) | {
                "handover": self._handover
            }
            self._recordings = set()
        elif kind == LEFT:
            self._collect_left(number, body)
        else:
            self._collect_statement(number, kind, body)

    def _collect_forgotten(self, number: int, body: Mapping[str, Any]) -> None:
        """Calls erased by offboarding have no request and no note."""
        if "request" in body and body.get("note") not in self._notes:
            what = f"it names note {body.get('note')}, but there is no such signed note"
            self._missing(number, what)

    def _collect_left(self, number: int, body: Mapping[str, Any]) -> None:
        self._documents.add(str(body["receipt_sha256"]))
        if self._receipt is None or self._receipt.sha256 != body["receipt_sha256"]:
            self._missing(number, "it names a receipt that does not exist")
            return
        self._row |= {"offboarded_at": to_iso(self._receipt.at), "receipt": self._receipt.sha256}
        self._row |= {"layout": None, "rows": None}

    def _collect_statement(self, number: int, kind: str, body: Mapping[str, Any]) -> None:
        sha256 = str(body.get("statement"))
        statement = self._statements.get(sha256)
        self._documents.add(sha256)
        if kind == STAYS:
            self._row, self._handover = {}, None
        if (
            statement is None
            and self._receipt is not None
            and self._receipt.sha256 == sha256
            and kind == LEAVES
        ):
            at = {"announced_at": to_iso(self._receipt.announced_at), "until": to_iso(self._receipt.at)}
            self._row = {**_EMPTY, **at}  # a rebuild found only the receipt
            return
        if statement is None or (kind == STAYS) != (statement.kind == CANCELLED):
            self._missing(number, "it names a signed statement that does not exist")
            return
        times = {"announced_at": to_iso(statement.announced_at), "until": to_iso(statement.until)}
        if kind == LEAVES:
            self._row = {**_EMPTY, **times}
        elif kind == handover_queries.COMPLETED and (handed := statement.handed_over) is not None:
            self._row |= {
                "handed_at": to_iso(handed.at), "length": handed.length, "layout": handed.layout_sha256,
                "rows": handed.rows_sha256,
            }  # fmt: skip
        elif kind == ERASURE_STARTED:
            if statement.kind != ERASURE:
                self._missing(number, "the statement that it names is of another kind")
            self._row = {**_EMPTY, **self._row, **times, "erasing_since": to_iso(statement.at)}
            self._row |= {"offboarded_at": None, "receipt": self._row.get("receipt")}

    def end(self, erased: Collection[str]) -> Iterator[AuditFinding]:
        """Compare the rows, after the last leaf. The downloads of ``erased`` recordings are no longer in the
        log."""
        yield from self.findings
        newest = self._newest
        if newest is not None and newest.sha256 not in self._documents:
            where = f"{FOLDER}{self.tenant}/"
            yield AuditFinding("statement.unlogged", where, f"no leaf mentions statement {newest.number}")
        if self._receipt is not None and self._receipt.sha256 not in self._documents:
            place = offboarding.place_of(self.tenant)
            yield AuditFinding("statement.unlogged", place, "no leaf mentions this receipt")
        yield from self._compare_row()
        yield from self._compare_sent(erased)
        yield from self._compare_calls()

    def _compare_row(self) -> Iterator[AuditFinding]:
        try:
            row = OffboardingTable.get_or_none(OffboardingTable.tenant_id == self.tenant)
            found = None if row is None else self._columns(row)
        except (ValueError, TypeError, AttributeError, LookupError):
            what = "it contains a value that Accord never writes"
            yield self._finding("row.changed", OffboardingTable, self.tenant, what)
            return
        stated = self._row
        if found is None:
            if stated:
                what = "the log has it, but there is no such row"
                yield self._finding("row.deleted", OffboardingTable, self.tenant, what)
        elif not stated:
            yield self._finding("row.unlogged", OffboardingTable, self.tenant, "no leaf mentions this row")
        elif others := sorted(name for name, value in stated.items() if found.get(name) != value):
            what = f"it differs from the signed statements: {', '.join(others)}"
            yield self._finding("row.changed", OffboardingTable, self.tenant, what)

    def _columns(self, row: OffboardingTable) -> dict[str, Any]:
        """A row's columns, in the form of leaves and statements."""

        def moment(at: Any) -> str | None:
            return None if at is None else to_iso(at)

        receipt = None
        if row.receipt is not None:
            with suppress(SealError):
                receipt = offboarding.read_receipt(row.receipt.encode(), self.root).sha256
            receipt = receipt or "none"
        whole = row.handed_at is not None and row.layout is not None
        return {
            "announced_at": moment(row.announced_at),
            "until": moment(row.until),
            "handover": row.handover,
            "handed_at": moment(row.handed_at),
            "length": row.length,
            "layout": None if row.layout is None else handover_queries.layout_sha256(row.layout),
            "rows": handover_queries.rows_sha256(self.tenant) if whole else None,
            "erasing_since": moment(row.erasing_since),
            "offboarded_at": moment(row.offboarded_at),
            "receipt": receipt,
        }

    def _compare_sent(self, erased: Collection[str]) -> Iterator[AuditFinding]:
        """Compare the recordings of an archive: each download needs a leaf, and each row an archive."""
        query = HandedRecordingTable.select(
            HandedRecordingTable.id, HandedRecordingTable.recording_id, HandedRecordingTable.sent_at
        )
        mine = query.where(HandedRecordingTable.tenant_id == self.tenant).order_by(
            HandedRecordingTable.number
        )
        for identity, recording, sent_at in database.execute(mine).fetchall():
            if self._handover is None or not str(identity).startswith(f"{self._handover}/"):
                yield self._finding(
                    "row.unlogged", HandedRecordingTable, identity, "no leaf mentions this row"
                )
            elif recording not in erased and (sent_at is not None) != (recording in self._recordings):
                what = "it differs from the log: sent_at"
                yield self._finding("row.changed", HandedRecordingTable, identity, what)

    def _compare_calls(self) -> Iterator[AuditFinding]:
        noted_calls = {call: (name, note) for name, note in self._notes.items() for call in note.calls}
        last = ""
        while rows := self._calls_after(last):
            for identity, request, erased_at, note in rows:
                signed = noted_calls.pop(identity, None)
                if signed is None:
                    what = "no signed note mentions this row"
                    yield self._finding("row.unlogged", ErasedCallTable, identity, what)
                elif (signed[0], signed[1].request) != (note, request) or not erased_at:
                    what = "it differs from the signed note: note, request_id"
                    yield self._finding("row.changed", ErasedCallTable, identity, what)
            last = rows[-1][0]
        for identity, (name, _) in sorted(noted_calls.items()):
            what = (
                f"note {name} mentions it, but there is no such row: run `accord subject-request erase-again`"
            )
            yield self._finding("row.deleted", ErasedCallTable, identity, what)

    def _calls_after(self, last: str) -> list[tuple[str, str, str, str | None]]:
        mine = (ErasedCallTable.tenant_id == self.tenant) & (ErasedCallTable.id > last)
        query = ErasedCallTable.select(
            ErasedCallTable.id, ErasedCallTable.request_id, ErasedCallTable.erased_at, ErasedCallTable.note
        )
        return list(database.execute(query.where(mine).order_by(ErasedCallTable.id).limit(PAGE)).fetchall())

    def _check_key(self, place: str, key: str) -> None:
        if key in self.revoked:
            self._blame("seal.key_revoked", place, f"it was signed by key {key}, which was revoked")

    def _blamed(self, place: str) -> _Blamed:
        return _Blamed(self, place)

    def _missing(self, number: int, message: str) -> None:
        self._blame("statement.missing", f"{self.tenant}: leaf {number}", message)

    def _blame(self, code: str, where: str, message: str) -> None:
        self.findings.append(AuditFinding(code, where, message))

    def _finding(self, code: str, model: Any, identity: str, message: str) -> AuditFinding:
        return AuditFinding(code, f"{self.tenant}: {model._meta.table_name} {identity}", message)


_EMPTY: Final[Mapping[str, Any]] = dict.fromkeys(
    ("handover", "handed_at", "length", "layout", "rows", "erasing_since", "offboarded_at", "receipt")
)


@dataclass(frozen=True, slots=True)
class _Blamed:
    """A context that reports a :class:`SealError` about a document, and continues."""

    audit: OffboardingAudit
    place: str

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> bool:
        if not isinstance(error, SealError):
            return False
        self.audit._blame(error.error_id, self.place, error.message)
        return True
