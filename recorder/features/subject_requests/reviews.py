"""The calls that a customer has with a person's number, and what was decided and done about each recording.

A call is found if the verified number is its external party's, within this customer alone.  The log's leaves
decide: a row that contradicts them gives and erases nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, lock_tenant
from recorder.catalogue import subject_request_queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.mappers import not_recorded_row, recording_row
from recorder.catalogue.records import NotRecordedRow, RecordingRow
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.subject_request import ReviewTable
from recorder.clock import from_iso, to_iso
from recorder.domain.parties import E164
from recorder.errors import PersonError, SealError
from recorder.features.subject_requests import register
from recorder.ids import Entropy
from recorder.seal.disclosure import Disclosure, check, write
from recorder.seal.revocation import Trust
from recorder.seal.signing import Signer

ALL: Final = "both"
OWN: Final = "own"
WITHHELD: Final = "withheld"
GIVEN: Final = (ALL, OWN, WITHHELD)
"""Both channels, the person's own alone, or none of its sound."""


REVIEWED: Final = "subject_request.recording_reviewed"
LOOKED_AT: Final = "subject_request.recording_heard"
ERASED: Final = "subject_request.recording_erased"
KEPT: Final = "subject_request.recording_kept"
EXPORTED: Final = "recording.exported"

LISTENED, COPIED, HANDED_OVER = "listened", "copy", "handover"
HEARD: Final[Mapping[str, tuple[str, str]]] = {
    "listen.opened": (LISTENED, "user"),
    EXPORTED: (COPIED, "actor"),
    "recording.handed_over": (HANDED_OVER, "user"),
}
"""Leaves that say that sound left: for what, and the body's name for to whom."""


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """What was decided of a recording, and done; everything is ``None`` at first.  ``withheld_reason`` is why
    its sound is not given or, of one that was not announced, why it is. ``kept_reason`` is the id of the
    reason why it was not erased (``retention.held``, ``retention.by_law``, …), ``kept_until`` when a hold is
    looked at again, or a legal duty ends."""

    recording: str
    given: str | None = None
    withheld_reason: str | None = None
    decided_at: datetime | None = None
    exported_at: datetime | None = None
    erased_at: datetime | None = None
    kept_reason: str | None = None
    kept_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class HeardRow:
    """That the sound of a recording went to somebody: when, how (:data:`LISTENED`, :data:`COPIED` for the
    person, :data:`HANDED_OVER`), for which purpose where they listened, in which role, and their name."""

    at: datetime
    how: str
    purpose: str
    role: str
    name: str


def anything(tenant: str, number: str) -> bool:
    """Whether a customer has any call with a number."""
    with connected():
        return bool(
            RecordingTable.select().where(_theirs(RecordingTable, tenant, number)).exists()
            or NotRecordedTable.select().where(_theirs(NotRecordedTable, tenant, number)).exists()
        )


def found(tenant: str, number: str) -> tuple[RecordingRow, ...]:
    """A customer's recordings with a number at the other end, the oldest first; what was destroyed names
    nobody any more, and is not among them."""
    with connected():
        mine = _theirs(RecordingTable, tenant, number) & RecordingTable.erased_at.is_null()
        query = RecordingTable.select().where(mine).order_by(RecordingTable.started_at, RecordingTable.id)
        return tuple(recording_row(row) for row in query)


def not_recorded(tenant: str, number: str) -> tuple[NotRecordedRow, ...]:
    """And its calls with it of which there is no recording."""
    with connected():
        query = NotRecordedTable.select().where(_theirs(NotRecordedTable, tenant, number))
        return tuple(not_recorded_row(row) for row in query.order_by(NotRecordedTable.started_at))


def all_told(request: subject_request_queries.RequestRow) -> bool:
    """Whether a copy left that told of each call that was not recorded."""
    with connected():
        query = NotRecordedTable.select().where(_theirs(NotRecordedTable, request.tenant, request.number))
        if request.exported_at is not None:
            query = query.where(NotRecordedTable.listed_at > request.exported_at)
        return not query.exists()


def of(tenant: str, request_id: str) -> dict[str, ReviewRow]:
    """What was decided and done for a customer's request, by recording.  Raises :class:`PersonError`
    (``subject_request.not_found``, ``subject_request.not_logged``)."""
    with connected():
        request = register.one(tenant, request_id)
        rows = list(ReviewTable.select().where(ReviewTable.request == request.id))
        _check_logged(tenant, rows)
        return {row.recording_id: _row(row) for row in rows}


def decide(
    tenant: str,
    request_id: str,
    recording: str,
    *,
    given: str,
    why: str,
    who: str,
    now: datetime,
    entropy: Entropy,
    signer: Signer | None = None,
) -> None:
    """What of a recording is given to the person: the other channel and what is said of others are others'
    data (GDPR art. 15(4)).  ``why`` is needed where it is withheld, and where one is given that was not
    announced.  ``signer`` signs what is given: the gate gives nothing that nobody signed.  Raises
    :class:`PersonError`: ``subject_request.given``, ``subject_request.statement``,
    ``subject_request.unverified``, ``subject_request.closed``, ``subject_request.not_theirs``,
    ``subject_request.not_logged``; :class:`recorder.errors.SealError` for a key that is not endorsed for
    it."""
    if given not in GIVEN:
        raise PersonError(
            "subject_request.given", f"nothing is given as {given!r}", f"one of {', '.join(GIVEN)}"
        )
    with writing():
        lock_tenant(tenant)
        row = _about(tenant, request_id, recording, who, now, entropy)
        plain = given != WITHHELD and recording_row(RecordingTable.get_by_id(recording)).usable
        reason = None if plain else register.said(why)
        signed = None
        if signer is not None and given != WITHHELD:
            signed = write(Disclosure(tenant, request_id, recording, given, who), signer, now)
        ReviewTable.update(
            given=given, withheld_reason=reason, decided_at=now, decided_by=who, disclosure=signed
        ).where(ReviewTable.id == row.id).execute()
        body = {
            "request": request_id,
            "recording": recording,
            "given": given,
            "reason": reason or "",
            "actor": who,
        }
        append(tenant, REVIEWED, body, now, entropy, recording=recording)


def check_disclosure(row: ReviewTable, tenant: str, trust: Trust) -> None:
    """Refuse a row that says of a sound that it is given, and was not signed so.  Raises
    :class:`recorder.errors.SealError` as :func:`recorder.seal.disclosure.check` does."""
    if row.given in (None, WITHHELD):
        if row.disclosure is not None:
            what = f"nothing of recording {row.recording_id} is given, and something was signed all the same"
            raise SealError("disclosure.differs", what)
        return
    check(
        row.disclosure,
        Disclosure(tenant, row.request_id, row.recording_id, str(row.given), str(row.decided_by)),
        trust,
    )


def check_given(tenant: str, request_id: str, recording: str, trust: Trust) -> None:
    """The same of a customer's request and recording.  Raises :class:`PersonError`
    (``subject_request.not_reviewed``) too."""
    with connected():
        row = ReviewTable.get_or_none(ReviewTable.id == f"{request_id}/{recording}")
    if row is None:
        raise PersonError("subject_request.not_reviewed", "that was not decided", "")
    check_disclosure(row, tenant, trust)


def note_export(
    tenant: str, request_id: str, recording: str, *, channels: str, name: str, who: str,
    now: datetime, entropy: Entropy,
) -> None:  # fmt: skip
    """The sound of a recording is about to leave for a person: its leaf is there before the first byte.
    Raises as :func:`decide` does."""
    with writing():
        lock_tenant(tenant)
        row = _about(tenant, request_id, recording, who, now, entropy)
        if row.given != channels:
            raise PersonError("subject_request.not_reviewed", "that was not decided", "")
        ReviewTable.update(exported_at=now).where(ReviewTable.id == row.id).execute()
        body = {
            "request": request_id,
            "recording": recording,
            "channels": channels,
            "name": name,
            "actor": who,
        }
        append(tenant, EXPORTED, body, now, entropy, recording=recording)


def note_erasing(
    tenant: str,
    request_id: str,
    recording: str,
    *,
    why_not: str | None,
    until: datetime | None,
    who: str,
    now: datetime,
    entropy: Entropy,
) -> None:
    """A recording was erased for a person (``why_not`` ``None``), or it could not be.  Raises as
    :func:`decide` does."""
    with writing():
        lock_tenant(tenant)
        row = _about(tenant, request_id, recording, who, now, entropy)
        ReviewTable.update(
            erased_at=now if why_not is None else None, kept_reason=why_not, kept_until=until
        ).where(ReviewTable.id == row.id).execute()
        kind = ERASED if why_not is None else KEPT
        body = {"request": request_id, "recording": recording, "reason": why_not or "", "actor": who}
        if why_not is not None:
            body["until"] = "" if until is None else to_iso(until)
        append(tenant, kind, body, now, entropy, recording=recording)


def look_at(tenant: str, request_id: str, recording: str, who: str, now: datetime, entropy: Entropy) -> None:
    """It is the person's, and something is about to be done with it: what comes of that can be noted when its
    row names nobody any more.  Raises as :func:`decide` does."""
    with writing():
        lock_tenant(tenant)
        _about(tenant, request_id, recording, who, now, entropy)


def heard(tenant: str, recording: str) -> tuple[HeardRow, ...]:
    """To whom the sound of a customer's recording went, the first first: what the log says, not what a row
    does."""
    with connected():
        leaves = leaf_lookup.about(tenant, [recording], HEARD)
        ids = {str(leaf.body.get(HEARD[leaf.kind][1])) for leaf in leaves}
        people = {
            row.id: row
            for row in UserTable.select().where((UserTable.tenant == tenant) & UserTable.id.in_(ids))
        }
    found = []
    for leaf in leaves:
        how, name = HEARD[leaf.kind]
        who = people.get(str(leaf.body.get(name)))
        said = ("", "") if who is None else (who.role, who.name)
        found.append(HeardRow(leaf.at, how, str(leaf.body.get("purpose", "")), *said))
    return tuple(found)


def _about(
    tenant: str, request_id: str, recording: str, who: str, now: datetime, entropy: Entropy
) -> ReviewTable:
    """The row of a recording of the person's, made where there is none, together with its first leaf."""
    request = register.proved_one(tenant, request_id)
    identity = f"{request.id}/{recording}"
    row = ReviewTable.get_or_none(ReviewTable.id == identity)
    if row is not None:
        _check_logged(tenant, [row])
        return row
    theirs = _theirs(RecordingTable, tenant, request.number) & (RecordingTable.id == recording)
    if not RecordingTable.select().where(theirs).exists():
        raise PersonError(
            "subject_request.not_theirs", "that recording is not of a call with this number", ""
        )
    body = {"request": request.id, "recording": recording, "actor": who}
    append(tenant, LOOKED_AT, body, now, entropy, recording=recording)
    return ReviewTable.create(id=identity, request=request.id, recording_id=recording)


def _check_logged(tenant: str, rows: Collection[ReviewTable]) -> None:
    """Raises :class:`PersonError` (``subject_request.not_logged``) where the log does not say of a recording
    what a request's row does.  Of one that was destroyed nothing is left in the log, and nothing follows from
    it."""
    mine = {row.recording_id: row for row in rows}
    gone = (
        (RecordingTable.tenant == tenant)
        & RecordingTable.id.in_([*mine])
        & RecordingTable.erased_at.is_null(False)
    )
    for each in RecordingTable.select(RecordingTable.id).where(gone):
        del mine[each.id]
    said: dict[str, dict[str, Any]] = {}
    for leaf in leaf_lookup.about(tenant, mine, _COLUMNS):
        row = mine[str(leaf.body["recording"])]
        if leaf.body.get("request") == row.request_id:
            known = said.setdefault(row.recording_id, dict.fromkeys(_LOGGED))
            known |= _COLUMNS[leaf.kind](leaf)
    for recording, row in mine.items():
        if said.get(recording) != {name: getattr(row, name) for name in _LOGGED}:
            raise register.not_logged(f"recording {recording} in request {row.request_id}")


_LOGGED: Final = (
    "given", "withheld_reason", "decided_at", "decided_by", "exported_at", "erased_at", "kept_reason",
    "kept_until",
)  # fmt: skip

_NOT_ERASED: Final = dict.fromkeys(("erased_at", "kept_reason", "kept_until"))


def _reviewed(leaf: leaf_lookup.LoggedLeaf) -> dict[str, Any]:
    said = leaf.body
    return {
        "given": said.get("given"),
        "withheld_reason": said.get("reason") or None,
        "decided_at": leaf.at,
        "decided_by": said.get("actor"),
    }


def _kept(leaf: leaf_lookup.LoggedLeaf) -> dict[str, Any]:
    until = leaf.body.get("until")
    return _NOT_ERASED | {
        "kept_reason": leaf.body.get("reason"),
        "kept_until": from_iso(until) if until else None,
    }


_COLUMNS: Final[Mapping[str, Callable[[leaf_lookup.LoggedLeaf], dict[str, Any]]]] = {
    LOOKED_AT: lambda _leaf: {},
    REVIEWED: _reviewed,
    EXPORTED: lambda leaf: {"exported_at": leaf.at},
    ERASED: lambda leaf: _NOT_ERASED | {"erased_at": leaf.at},
    KEPT: _kept,
}


def _theirs(model: type[RecordingTable] | type[NotRecordedTable], tenant: str, number: str) -> object:
    return (model.tenant == tenant) & (model.external_kind == E164) & (model.external_value == number)


def _row(row: ReviewTable) -> ReviewRow:
    return ReviewRow(
        row.recording_id, row.given, row.withheld_reason, row.decided_at, row.exported_at, row.erased_at,
        row.kept_reason, row.kept_until,
    )  # fmt: skip
