"""A customer's calls with a person's number, and what was decided and done about each recording.

A call is found if the verified number is its external party's, within this customer alone. The log's leaves
decide: a row that contradicts them discloses and erases nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, tenant_lock
from recorder.catalogue import subject_request_queries
from recorder.catalogue.database import connected
from recorder.catalogue.mappers import not_recorded_row, recording_row
from recorder.catalogue.records import NotRecordedRow, RecordingRow
from recorder.catalogue.row_values import read_value
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.subject_request import ReviewTable
from recorder.clock import from_iso, to_iso
from recorder.domain.parties import E164
from recorder.errors import SealError, SubjectRequestError
from recorder.features.subject_requests import queries, rules
from recorder.ids import Entropy
from recorder.seal import hints
from recorder.seal.disclosure import Disclosure, check, write
from recorder.seal.revocation import Trust
from recorder.seal.signing import Signer

ALL: Final = "both"
OWN: Final = "own"
WITHHELD: Final = "withheld"
DECISIONS: Final = (ALL, OWN, WITHHELD)
"""Both channels, only the person's own, or no audio."""


REVIEWED: Final = "subject_request.recording_reviewed"
LOOKED_AT: Final = "subject_request.recording_heard"
ERASED: Final = "subject_request.recording_erased"
KEPT: Final = "subject_request.recording_kept"
EXPORTED: Final = "recording.exported"

LISTENED, COPIED, HANDED_OVER, DOWNLOADED = "listened", "copy", "handover", "download"
RELEASE_LEAVES: Final[Mapping[str, tuple[str, str]]] = {
    "listen.opened": (LISTENED, "user"),
    EXPORTED: (COPIED, "actor"),
    "recording.downloaded": (DOWNLOADED, "user"),
    "recording.handed_over": (HANDED_OVER, "user"),
}
"""Leaves about audio that was sent: how, and the body's field with the recipient."""


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """The decision about a recording, and its outcome; everything is ``None`` at first. ``withheld_reason``
    is why its audio is withheld or, if it was not announced, why it is given. ``kept_reason`` is the error id
    of why it was not erased (``retention.held``, ``retention.by_law``, …), ``kept_until`` when a hold is
    reviewed or a legal duty ends."""

    recording: str
    given: str | None = None
    withheld_reason: str | None = None
    decided_at: datetime | None = None
    exported_at: datetime | None = None
    erased_at: datetime | None = None
    kept_reason: str | None = None
    kept_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ListenerRow:
    """That a recording's audio was sent to somebody: when, how (:data:`LISTENED`, :data:`COPIED` for the
    person, :data:`HANDED_OVER`, :data:`DOWNLOADED`), for which purpose if they chose one, and their role and
    name."""

    at: datetime
    how: str
    purpose: str
    role: str
    name: str


def has_calls(tenant: str, number: str) -> bool:
    """Whether a customer has any call with a number."""
    with connected():
        return bool(
            RecordingTable.select().where(_theirs(RecordingTable, tenant, number)).exists()
            or NotRecordedTable.select().where(_theirs(NotRecordedTable, tenant, number)).exists()
        )


def find_recordings(tenant: str, number: str) -> tuple[RecordingRow, ...]:
    """A customer's recordings with a number, oldest first. Erased ones name nobody any more, and are not
    included."""
    with connected():
        condition = _theirs(RecordingTable, tenant, number) & RecordingTable.erased_at.is_null()
        query = (
            RecordingTable.select().where(condition).order_by(RecordingTable.started_at, RecordingTable.id)
        )
        return tuple(recording_row(row) for row in query)


def find_unrecorded_calls(tenant: str, number: str) -> tuple[NotRecordedRow, ...]:
    """A customer's unrecorded calls with a number."""
    with connected():
        query = NotRecordedTable.select().where(_theirs(NotRecordedTable, tenant, number))
        return tuple(not_recorded_row(row) for row in query.order_by(NotRecordedTable.started_at))


def recordings_of(request: subject_request_queries.RequestRow) -> tuple[RecordingRow, ...]:
    """The recordings that a request is about."""
    found = find_recordings(request.tenant, request.number)
    return tuple(each for each in found if request.recording in (None, each.id))


def unrecorded_calls_of(request: subject_request_queries.RequestRow) -> tuple[NotRecordedRow, ...]:
    """The unrecorded calls that a request is about: none if it is about one recording."""
    return () if request.recording else find_unrecorded_calls(request.tenant, request.number)


def all_calls_disclosed(request: subject_request_queries.RequestRow) -> bool:
    """Whether a copy that was sent lists every unrecorded call."""
    if request.recording is not None:
        return True
    with connected():
        query = NotRecordedTable.select().where(_theirs(NotRecordedTable, request.tenant, request.number))
        if request.exported_at is not None:
            query = query.where(NotRecordedTable.listed_at > request.exported_at)
        return not query.exists()


def reviews_of(tenant: str, request_id: str) -> dict[str, ReviewRow]:
    """The reviews for a customer's request, by recording. Raises :class:`SubjectRequestError`
    (``subject_request.not_found``, ``subject_request.not_logged``)."""
    with connected():
        request = queries.find_row(tenant, request_id)
        rows = list(ReviewTable.select().where(ReviewTable.request == request.id))
        _check_logged(tenant, rows)
        return {row.recording_id: _row(row) for row in rows}


def decide(
    tenant: str,
    request_id: str,
    recording: str,
    *,
    decision: str,
    why: str,
    who: str,
    now: datetime,
    entropy: Entropy,
    signer: Signer | None = None,
) -> None:
    """Decide what of a recording is given to the person: the other channel, and what is said about others,
    are other people's data (GDPR art. 15(4)). ``why`` is needed to withhold audio, and to give audio that was
    not announced. ``signer`` signs the decision: the gate gives nothing unsigned. Raises
    :class:`SubjectRequestError`: ``subject_request.given``, ``subject_request.statement``,
    ``subject_request.unverified``, ``subject_request.closed``, ``subject_request.not_theirs``,
    ``subject_request.not_logged``; :class:`recorder.errors.SealError` for a key that is not endorsed for
    it."""
    if decision not in DECISIONS:
        raise SubjectRequestError(
            "subject_request.given",
            f"a recording cannot be given as {decision!r}",
            f"one of {', '.join(DECISIONS)}",
        )
    with tenant_lock(tenant):
        row = _about(tenant, request_id, recording, who, now, entropy)
        plain = decision != WITHHELD and recording_row(RecordingTable.get_by_id(recording)).usable
        reason = None if plain else rules.check_sentence(why)
        signed = None
        if signer is not None and decision != WITHHELD:
            signed = write(Disclosure(tenant, request_id, recording, decision, who), signer, now)
        ReviewTable.update(
            given=decision, withheld_reason=reason, decided_at=now, decided_by=who, disclosure=signed
        ).where(ReviewTable.id == row.id).execute()
        body = {
            "request": request_id,
            "recording": recording,
            "given": decision,
            "reason": reason or "",
            "actor": who,
        }
        append(tenant, REVIEWED, body, now, entropy, recording=recording)


def check_disclosure(row: ReviewTable, tenant: str, trust: Trust) -> None:
    """Refuse a row that gives audio without a matching signed decision. Raises
    :class:`recorder.errors.SealError` as :func:`recorder.seal.disclosure.check`."""
    if row.given in (None, WITHHELD):
        if row.disclosure is not None:
            what = f"recording {row.recording_id} is withheld, but has a signed disclosure"
            raise SealError("disclosure.differs", what, hints.COMPARE)
        return
    check(
        row.disclosure,
        Disclosure(tenant, row.request_id, row.recording_id, str(row.given), str(row.decided_by)),
        trust,
    )


def check_given(tenant: str, request_id: str, recording: str, trust: Trust) -> None:
    """The same for a customer's request and recording. Raises :class:`SubjectRequestError`
    (``subject_request.not_reviewed``) too."""
    with connected():
        row = ReviewTable.get_or_none(ReviewTable.id == f"{request_id}/{recording}")
    if row is None:
        raise SubjectRequestError(
            "subject_request.not_reviewed",
            "the recording has not been reviewed",
            "review the recording first",
        )
    check_disclosure(row, tenant, trust)


def note_export(
    tenant: str, request_id: str, recording: str, *, channels: str, name: str, who: str,
    now: datetime, entropy: Entropy,
) -> None:  # fmt: skip
    """Append a leaf before the first byte of a recording is sent to its person. Raises as :func:`decide`."""
    with tenant_lock(tenant):
        row = _about(tenant, request_id, recording, who, now, entropy)
        if row.given != channels:
            raise SubjectRequestError(
                "subject_request.not_reviewed",
                "the recording has not been reviewed",
                "review the recording first",
            )
        ReviewTable.update(exported_at=now).where(ReviewTable.id == row.id).execute()
        body = {
            "request": request_id,
            "recording": recording,
            "channels": channels,
            "name": name,
            "actor": who,
        }
        append(tenant, EXPORTED, body, now, entropy, recording=recording)


def note_erasure(
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
    """Record that a recording was erased for a person (``why_not`` ``None``), or why it was not. Raises as
    :func:`decide`."""
    with tenant_lock(tenant):
        row = _about(tenant, request_id, recording, who, now, entropy)
        ReviewTable.update(
            erased_at=now if why_not is None else None, kept_reason=why_not, kept_until=until
        ).where(ReviewTable.id == row.id).execute()
        kind = ERASED if why_not is None else KEPT
        body = {"request": request_id, "recording": recording, "reason": why_not or "", "actor": who}
        if why_not is not None:
            body["until"] = "" if until is None else to_iso(until)
        append(tenant, kind, body, now, entropy, recording=recording)


def note_start(
    tenant: str, request_id: str, recording: str, who: str, now: datetime, entropy: Entropy
) -> None:
    """Record that a recording is the person's, before anything is done with it: afterwards its row may name
    nobody. Raises as :func:`decide`."""
    with tenant_lock(tenant):
        _about(tenant, request_id, recording, who, now, entropy)


def listeners_of(tenant: str, recording: str) -> tuple[ListenerRow, ...]:
    """To whom a recording's audio was sent, first to last, according to the log."""
    with connected():
        leaves = leaf_lookup.leaves_about(tenant, [recording], RELEASE_LEAVES)
        ids = {str(leaf.body.get(RELEASE_LEAVES[leaf.kind][1])) for leaf in leaves}
        people = {
            row.id: row
            for row in UserTable.select().where((UserTable.tenant == tenant) & UserTable.id.in_(ids))
        }
    found = []
    for leaf in leaves:
        how, name = RELEASE_LEAVES[leaf.kind]
        who = people.get(str(leaf.body.get(name)))
        listener = ("", "") if who is None else (who.role, who.name)
        found.append(ListenerRow(leaf.at, how, str(leaf.body.get("purpose", "")), *listener))
    return tuple(found)


def _about(
    tenant: str, request_id: str, recording: str, who: str, now: datetime, entropy: Entropy
) -> ReviewTable:
    """The review of one of the person's recordings, created with its first leaf if there is none."""
    request = queries.find_verified_row(tenant, request_id)
    identity = f"{request.id}/{recording}"
    row = ReviewTable.get_or_none(ReviewTable.id == identity)
    if row is not None:
        _check_logged(tenant, [row])
        return row
    theirs = _theirs(RecordingTable, tenant, request.number) & (RecordingTable.id == recording)
    is_asked = request.recording_id in (None, recording)
    if not is_asked or not RecordingTable.select().where(theirs).exists():
        raise SubjectRequestError(
            "subject_request.not_theirs",
            "the recording is not of a call with this number",
            "review the recordings listed on the request's page",
        )
    body = {"request": request.id, "recording": recording, "actor": who}
    append(tenant, LOOKED_AT, body, now, entropy, recording=recording)
    return ReviewTable.create(id=identity, request=request.id, recording_id=recording)


def _check_logged(tenant: str, rows: Collection[ReviewTable]) -> None:
    """Raises :class:`SubjectRequestError` (``subject_request.not_logged``) if a review contradicts the log.
    Erased recordings have no leaves any more, and their reviews have no effect."""
    reviews = {row.recording_id: row for row in rows}
    erased = (
        (RecordingTable.tenant == tenant)
        & RecordingTable.id.in_([*reviews])
        & RecordingTable.erased_at.is_null(False)
    )
    for each in RecordingTable.select(RecordingTable.id).where(erased):
        del reviews[each.id]
    logged: dict[str, dict[str, Any]] = {}
    for leaf in leaf_lookup.leaves_about(tenant, reviews, _COLUMNS):
        row = reviews[str(leaf.body["recording"])]
        if leaf.body.get("request") == row.request_id:
            known = logged.setdefault(row.recording_id, dict.fromkeys(_LOGGED))
            known |= _COLUMNS[leaf.kind](leaf)
    for recording, row in reviews.items():
        if logged.get(recording) != {name: getattr(row, name) for name in _LOGGED}:
            raise queries.not_logged_error(f"recording {recording} in request {row.request_id}")


_LOGGED: Final = (
    "given", "withheld_reason", "decided_at", "decided_by", "exported_at", "erased_at", "kept_reason",
    "kept_until",
)  # fmt: skip

_NOT_ERASED: Final = dict.fromkeys(("erased_at", "kept_reason", "kept_until"))


def _reviewed(leaf: leaf_lookup.LoggedLeaf) -> dict[str, Any]:
    body = leaf.body
    return {
        "given": body.get("given"),
        "withheld_reason": body.get("reason") or None,
        "decided_at": leaf.at,
        "decided_by": body.get("actor"),
    }


def _refusal_columns(leaf: leaf_lookup.LoggedLeaf) -> dict[str, Any]:
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
    KEPT: _refusal_columns,
}


def _theirs(model: type[RecordingTable] | type[NotRecordedTable], tenant: str, number: str) -> object:
    return (model.tenant == tenant) & (model.external_kind == E164) & (model.external_value == number)


def _row(row: ReviewTable) -> ReviewRow:
    return read_value(ReviewRow, row)
