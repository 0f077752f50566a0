"""Audits the copies of disputes' statements in the bucket: none is missing, and none is there that the
catalogue lacks.

A signed statement that the catalogue lacks is no foreign object: the catalogue lost it, and the copy may be
the last one. Which of the two it is shows only under the recording's key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from recorder.audit.findings import AuditFinding, checked
from recorder.auditlog.object_kinds import NOT_ACCORDS
from recorder.catalogue.database import connected
from recorder.catalogue.tables.dispute import DisputeStatementTable, DisputeTable
from recorder.errors import DisputeError, SealError
from recorder.features.disputes.copies import read_copies
from recorder.features.disputes.queries import find_dispute, signed_statements
from recorder.seal.dispute_copy import FOLDER, CopyPlace, parse_place
from recorder.seal.dispute_statement import read
from recorder.seal.keyring import Keyring
from recorder.seal.revocation import Trust
from recorder.store.contract import NotFound, Store


@dataclass(slots=True)
class CopyAudit:
    """One tenant's copies. Without a ``keyring`` none is opened; with it those are that the catalogue lacks,
    and all of them if the audit is ``deep``."""

    tenant: str
    store: Store
    keyring: Keyring | None
    trust: Trust
    deep: bool = False
    disputes: frozenset[str] = frozenset()
    """Disputes of which the bucket has a copy, after :meth:`read`."""
    _there: frozenset[str] = frozenset()
    _placed: set[str] = field(default_factory=set)
    """Copies where their dispute puts them."""

    def read(self) -> None:
        """List the bucket. Raises :class:`recorder.errors.StoreError`."""
        self._there = frozenset(self.store.list(f"{FOLDER}{self.tenant}/"))
        places = [parse_place(key) for key in self._there]
        self.disputes = frozenset(each.dispute for each in places if each is not None)

    def compare(self) -> Iterator[AuditFinding]:
        """Compare the copies with the catalogue's statements, after :meth:`read`. Raises
        :class:`recorder.errors.StoreError`."""
        for dispute, beside in self._disputes():
            where = f"{self.tenant}: copies of dispute {dispute}"
            yield from checked(where, self._compare, dispute, beside)
        for key in sorted(self._there - self._placed):
            yield from checked(key, self._stray, key)

    def _disputes(self) -> list[tuple[str, str | None]]:
        """The disputes that the catalogue has statements of, each with the recording beside which its copies
        are."""
        with connected():
            mine = DisputeStatementTable.tenant_id == self.tenant
            rows = DisputeStatementTable.select(DisputeStatementTable.dispute_id).where(mine).distinct()
            ids = sorted(row.dispute_id for row in rows)
            copied = DisputeTable.select(DisputeTable.id, DisputeTable.copied_beside)
            beside = {
                row.id: row.copied_beside for row in copied.where(DisputeTable.tenant_id == self.tenant)
            }
        return [(each, beside.get(each)) for each in ids]

    def _compare(self, dispute: str, beside: str | None) -> Iterator[AuditFinding]:
        signed = signed_statements(self.tenant, dispute)
        for recording in self._recordings(dispute, beside):
            places = self._places(dispute, recording, len(signed))
            self._placed |= {each.key for each in places}
            if recording != beside:
                continue  # the worker is about to put them
            missing = [each for each in places if each.key not in self._there and not self._exists(each)]
            for each in missing:
                what = "a statement was copied there, but it is missing"
                yield AuditFinding("object.missing", each.key, what)
            if self.deep and self.keyring is not None and places and not missing:
                yield from _compare_content(places, signed, self.store, self.keyring)

    def _recordings(self, dispute: str, beside: str | None) -> Sequence[str]:
        """The recordings beside which a dispute's copies may be: until the worker has noted one, any."""
        if beside is not None:
            return (beside,)
        try:
            return find_dispute(self.tenant, dispute, self.trust).recording_ids
        except (SealError, DisputeError):  # reported separately
            return ()

    def _places(self, dispute: str, recording: str, count: int) -> list[CopyPlace]:
        return [CopyPlace(self.tenant, recording, dispute, number + 1) for number in range(count)]

    def _exists(self, place: CopyPlace) -> bool:
        """Whether a copy was put meanwhile."""
        try:
            self.store.size(place.key)
        except NotFound:
            return False
        return True

    def _stray(self, key: str) -> Iterator[AuditFinding]:
        """A copy where no dispute of the catalogue puts one."""
        place = parse_place(key)
        if place is None:
            yield AuditFinding("object.unknown", key, NOT_ACCORDS)
            return
        if not self._exists(place):
            return  # erased meanwhile
        if self.keyring is None:
            what = "the catalogue lacks this copy of a statement, and there is no key here to open it"
            yield AuditFinding("dispute.unlisted", key, what)
            return
        try:
            (text,) = read_copies([place], self.store, self.keyring)
            statement = read(text, self.trust)
        except (SealError, NotFound) as error:
            what = f"{NOT_ACCORDS}: it is no copy of a signed statement ({error.error_id})"
            yield AuditFinding("object.unknown", key, what)
            return
        if (statement.tenant, statement.dispute, statement.number) != (
            place.tenant, place.dispute, place.number,
        ):  # fmt: skip
            what = f"{NOT_ACCORDS}: the statement in it belongs to another place"
            yield AuditFinding("object.unknown", key, what)
        elif text not in signed_statements(self.tenant, place.dispute):
            what = f"the catalogue lost statement {place.number} of dispute {place.dispute}, and it is signed"
            yield AuditFinding("dispute.lost", key, what)
        elif self.deep:
            what = "the catalogue has this statement, and its copies elsewhere"
            yield AuditFinding("object.unknown", key, what)


def _compare_content(
    places: Sequence[CopyPlace], signed: Sequence[str], store: Store, keyring: Keyring
) -> Iterator[AuditFinding]:
    try:
        copies = read_copies(places, store, keyring)
    except (SealError, NotFound) as error:
        yield AuditFinding(error.error_id, places[0].key, error.message)
        return
    for place, copy, statement in zip(places, copies, signed, strict=True):
        if copy != statement:
            yield AuditFinding("object.plain", place.key, "it differs from the statement in the catalogue")
