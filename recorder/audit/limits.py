"""Audits a customer's retention limits: log, rows and bucket must have the same signed statements, each by a
key endorsed for that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from recorder.audit.findings import AuditFinding
from recorder.catalogue.tables.retention_limit import RetentionLimitTable
from recorder.errors import SealError
from recorder.lifecycle import limits
from recorder.lifecycle.limits import PendingLimit
from recorder.seal import retention_limit as statements
from recorder.seal.document_source import read_document
from recorder.seal.revocation import Trust
from recorder.store.contract import NotFound, Store

ON_ITS_WAY: Final = timedelta(minutes=15)
"""Normal time from signing to listing."""

_UNREADABLE = (ValueError, TypeError, AttributeError)


@dataclass(slots=True)
class LimitAudit:
    """Collects the limits in leaves, in order, and compares them with the rows."""

    tenant: str
    _stated: dict[int, tuple[str, str]] = field(default_factory=dict)

    def collect(self, number: int, body: Mapping[str, Any]) -> None:
        """Collect one leaf, by its number and body."""
        self._stated[number] = body["limit"], body["sha256"]

    def end(self) -> Iterator[AuditFinding]:
        """Compare the rows, after the last leaf."""
        left = dict(self._stated)
        mine = RetentionLimitTable.select(RetentionLimitTable.id).where(
            RetentionLimitTable.tenant == self.tenant
        )
        for identity in [row.id for row in mine.order_by(RetentionLimitTable.id)]:
            try:
                row = RetentionLimitTable.get_by_id(identity)
                pairs = [(row.leaf, row.statement, "that it is set")]
                if row.lifted is not None or row.lifted_leaf is not None:
                    pairs.append((row.lifted_leaf, row.lifted or "", "that it is lifted"))
                found = [(leaf, statements.sha256_of(text.encode()), what) for leaf, text, what in pairs]
            except _UNREADABLE:
                yield self._found("row.changed", identity, "it contains a value that Accord never writes")
                continue
            for leaf, sha256, what in found:
                stated = None if leaf is None else left.pop(leaf, None)
                if stated is None and leaf is not None:
                    yield self._found("row.unlogged", identity, f"no leaf records {what}")
                elif stated is not None and stated != (identity, sha256):
                    yield self._found("row.changed", identity, f"the log has another statement {what}")
        for number in left:
            what = "the log has this limit, but there is no such row"
            yield self._found("row.deleted", f"{left[number][0]} (leaf {number})", what)

    def _found(self, code: str, which: str, message: str) -> AuditFinding:
        return AuditFinding(code, f"{self.tenant}: {RetentionLimitTable._meta.table_name} {which}", message)


def compare_statements(tenant: str, store: Store, trust: Trust, now: datetime) -> Iterator[AuditFinding]:
    """Compare a customer's rows with the statements in the bucket, and check their signatures. Raises
    :class:`recorder.errors.StoreError`."""
    there = set(store.list(f"{statements.FOLDER}{tenant}/"))
    for each, leaf, listed_at in list(limits.stored_statements(tenant)):
        row = f"{tenant}: {RetentionLimitTable._meta.table_name} {each.id}"
        place = _place(each)
        try:
            statement = limits.check_statement(each, trust, now if leaf is None else listed_at).statement
        except SealError as error:
            yield AuditFinding(error.error_id, row, error.message)
        else:
            if leaf is None and statement.signed_at < now - ON_ITS_WAY:
                yield AuditFinding("row.unlogged", row, "it was signed, but no leaf puts it into force")
        if place in there:
            there.discard(place)
            if _read(store, place) != each.content:
                yield AuditFinding(
                    "retention.differs", place, "the catalogue has another statement for this limit"
                )
        elif leaf is not None:
            yield AuditFinding(
                "object.missing", place, "the catalogue has this statement, but the bucket does not"
            )
    for place in sorted(there):
        yield AuditFinding("retention.unlisted", place, "the catalogue has no such retention limit")


def _place(which: PendingLimit) -> str:
    try:
        return statements.place_of(which.tenant, which.id, lifted=which.lifted)
    except SealError:  # a tampered id
        return ""


def _read(store: Store, place: str) -> bytes | None:
    try:
        return read_document(store, place, statements.MAX_BYTES)
    except (NotFound, SealError):
        return None
