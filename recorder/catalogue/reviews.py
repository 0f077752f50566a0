"""Which calls a customer has with a person's number, and what was decided and done of each recording.

Found is what the number that was shown to be theirs is the outside party of, and of this customer alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recorder.catalogue import persons
from recorder.catalogue.asking import PersonRecording
from recorder.catalogue.database import connected, writing
from recorder.catalogue.models import Grant, Listen, NotRecorded, Recording, User
from recorder.catalogue.reading import not_recorded_row, recording_row
from recorder.catalogue.rows import NotRecordedRow, RecordingRow
from recorder.clock import to_iso
from recorder.errors import PersonError
from recorder.ids import Entropy, uuid7
from recorder.ledger.append import append, hold, says
from recorder.switch.caller import E164

ALL: Final = "both"
OWN: Final = "own"
WITHHELD: Final = "withheld"
GIVEN: Final = (ALL, OWN, WITHHELD)
"""Both channels, the person's own alone, or none of its sound."""


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """What was decided of a recording, and done; everything is ``None`` at first.  ``kept_why`` is the id of
    the reason why it was not erased (``keeping.held``, ``keeping.by_law``, …), ``kept_until`` when a hold is
    looked at again, or a legal duty ends."""

    recording: str
    given: str | None = None
    withheld_why: str | None = None
    decided_at: datetime | None = None
    exported_at: datetime | None = None
    erased_at: datetime | None = None
    kept_why: str | None = None
    kept_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class HeardRow:
    """That somebody listened: when, for which purpose, in which role, and their name."""

    at: datetime
    purpose: str
    role: str
    name: str


def anything(tenant: str, number: str) -> bool:
    """Whether a customer has any call with a number."""
    with connected():
        return bool(
            Recording.select().where(_theirs(Recording, tenant, number)).exists()
            or NotRecorded.select().where(_theirs(NotRecorded, tenant, number)).exists()
        )


def found(tenant: str, number: str) -> tuple[RecordingRow, ...]:
    """A customer's recordings with a number at the other end, the oldest first; what was destroyed names
    nobody any more, and is not among them."""
    with connected():
        mine = _theirs(Recording, tenant, number) & Recording.destroyed_at.is_null()
        query = Recording.select().where(mine).order_by(Recording.started_at, Recording.id)
        return tuple(recording_row(row) for row in query)


def not_recorded(tenant: str, number: str) -> tuple[NotRecordedRow, ...]:
    """And its calls with it of which there is no recording."""
    with connected():
        query = NotRecorded.select().where(_theirs(NotRecorded, tenant, number))
        return tuple(not_recorded_row(row) for row in query.order_by(NotRecorded.started_at))


def all_told(request: persons.RequestRow) -> bool:
    """Whether a copy left that told of each call that was not recorded."""
    with connected():
        query = NotRecorded.select().where(_theirs(NotRecorded, request.tenant, request.number))
        if request.exported_at is not None:
            query = query.where(NotRecorded.noted_at > request.exported_at)
        return not query.exists()


def of(tenant: str, request_id: str) -> dict[str, ReviewRow]:
    """What was decided and done for a customer's request, by recording."""
    with connected():
        request = persons.one(tenant, request_id)
        rows = PersonRecording.select().where(PersonRecording.request == request.id)
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
) -> None:
    """What of a recording is given to the person: the other channel and what is said of others are others'
    data (GDPR art. 15(4)).  ``why`` is needed where it is withheld.  Raises :class:`PersonError`:
    ``person.given``, ``person.said``, ``person.unproved``, ``person.closed``, ``person.not_theirs``."""
    if given not in GIVEN:
        raise PersonError("person.given", f"nothing is given as {given!r}", f"one of {', '.join(GIVEN)}")
    reason = persons.said(why) if given == WITHHELD else None
    with writing():
        hold(tenant)
        row = _about(tenant, request_id, recording, now, entropy)
        PersonRecording.update(given=given, withheld_why=reason, decided_at=now, decided_by=who).where(
            PersonRecording.id == row.id
        ).execute()
        body = {"request": request_id, "recording": recording, "given": given, "who": who}
        body |= {"review": row.id, "reason": reason or ""}
        append(tenant, "person.reviewed", body, now, entropy, recording=recording)


def note_export(
    tenant: str, request_id: str, recording: str, *, channels: str, name: str, who: str,
    now: datetime, entropy: Entropy,
) -> None:  # fmt: skip
    """The sound of a recording is about to leave for a person: its leaf is there before the first byte.  What
    a row says was decided, and no leaf, was not.  Raises as :func:`decide` does, and
    ``person.not_reviewed``."""
    with writing():
        hold(tenant)
        row = _about(tenant, request_id, recording, now, entropy)
        decided = {"review": row.id, "given": channels}
        if row.given != channels or not says(tenant, "person.reviewed", decided, recording=recording):
            raise PersonError("person.not_reviewed", "that was not decided", "")
        PersonRecording.update(exported_at=now).where(PersonRecording.id == row.id).execute()
        body = {"request": request_id, "recording": recording, "channels": channels, "name": name, "who": who}
        body["review"] = row.id
        append(tenant, "recording.exported", body, now, entropy, recording=recording)


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
        hold(tenant)
        row = _about(tenant, request_id, recording, now, entropy)
        PersonRecording.update(
            erased_at=now if why_not is None else None, kept_why=why_not, kept_until=until
        ).where(PersonRecording.id == row.id).execute()
        kind = "person.erased" if why_not is None else "person.kept"
        body = {"request": request_id, "recording": recording, "why": why_not or "", "who": who}
        body |= {"review": row.id, "kept_until": "" if until is None else to_iso(until)}
        append(tenant, kind, body, now, entropy, recording=recording)


def look_at(tenant: str, request_id: str, recording: str, now: datetime, entropy: Entropy) -> None:
    """It is the person's, and something is about to be done with it: what comes of that can be noted when its
    row names nobody any more.  Raises as :func:`decide` does."""
    with writing():
        hold(tenant)
        _about(tenant, request_id, recording, now, entropy)


def heard(tenant: str, recording: str) -> tuple[HeardRow, ...]:
    """Who listened to a customer's recording, the first first."""
    with connected():
        query = (
            Listen.select(Listen.opened_at, Grant.purpose, User.role, User.name)
            .join(Grant, on=Listen.grant)
            .join(User, on=Grant.user)
            .where((Listen.tenant == tenant) & (Grant.recording == recording))
            .order_by(Listen.opened_at)
        )
        return tuple(
            HeardRow(row.opened_at, row.grant.purpose, row.grant.user.role, row.grant.user.name)
            for row in query
        )


def _about(tenant: str, request_id: str, recording: str, now: datetime, entropy: Entropy) -> PersonRecording:
    """The row of a recording of the person's, made where there is none."""
    request = persons.proved_one(tenant, request_id)
    mine = (PersonRecording.request == request.id) & (PersonRecording.recording_id == recording)
    row = PersonRecording.get_or_none(mine)
    if row is not None:
        return row
    theirs = _theirs(Recording, tenant, request.number) & (Recording.id == recording)
    if not Recording.select().where(theirs).exists():
        raise PersonError("person.not_theirs", "that recording is not of a call with this number", "")
    return PersonRecording.create(id=str(uuid7(now, entropy)), request=request.id, recording_id=recording)


def _theirs(model: type[Recording] | type[NotRecorded], tenant: str, number: str) -> object:
    return (model.tenant == tenant) & (model.outside_kind == E164) & (model.outside_value == number)


def _row(row: PersonRecording) -> ReviewRow:
    return ReviewRow(
        row.recording_id, row.given, row.withheld_why, row.decided_at, row.exported_at, row.erased_at,
        row.kept_why, row.kept_until,
    )  # fmt: skip
