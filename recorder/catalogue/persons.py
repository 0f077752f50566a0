"""The register of persons who ask a customer for their recordings: what, when, until when it is answered.

GDPR art. 12(3): within one month of receipt, which may be extended once by two further months, with the
reasons, said within the first month; art. 12(6): where there are doubts who somebody is, more may be asked
for.  Every question has a tenant; every step is a leaf, which names the request and never the number.
"""

from __future__ import annotations

import calendar
import hmac
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import phonenumbers

from recorder.catalogue.asking import PersonRequest
from recorder.catalogue.database import connected, writing
from recorder.catalogue.models import Tenant
from recorder.errors import PersonError
from recorder.ids import Entropy, uuid7
from recorder.ledger.append import SALT_BYTES, append, hold
from recorder.prompts.purposes import LANGUAGES

COPY: Final = "copy"
ERASURE: Final = "erasure"
BOTH: Final = "both"
WANTS: Final = (COPY, ERASURE, BOTH)

CODE: Final = "code"
PERSON: Final = "person"

CLOSED_HOW: Final = ("answered", "not_proved", "taken_back")
"""How a request ends: it was answered, nobody showed that the number is theirs, or it was taken back."""

MONTHS: Final = 1
EXTENDED_MONTHS: Final = 3
"""From receipt on: one month, and two further ones."""

LONGEST_SAID: Final = 500


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request.  ``received_on`` and ``due_on`` are days in the customer's zone; ``extended_why`` is set
    where the time was extended, ``proved_at`` once it was shown that the number is theirs, ``closed_how``
    (one of :data:`CLOSED_HOW`) with ``closed_at``.  ``exported_at`` is when a copy last left."""

    id: str
    tenant: str
    number: str
    wants: str
    language: str
    received_on: date
    due_on: date
    entered_at: datetime
    entered_kind: str
    entered_by: str | None
    extended_why: str | None
    proved_at: datetime | None
    proved_how: str | None
    proved_by: str | None
    proved_said: str | None
    closed_at: datetime | None
    closed_how: str | None
    exported_at: datetime | None

    def overdue(self, today: date) -> bool:
        """Whether it is open past its day."""
        return self.closed_at is None and today > self.due_on

    @property
    def open(self) -> bool:
        return self.closed_at is None

    @property
    def copy_asked(self) -> bool:
        return self.wants in (COPY, BOTH)

    @property
    def erasure_asked(self) -> bool:
        return self.wants in (ERASURE, BOTH)


def months_later(day: date, months: int) -> date:
    """The same day so many months later, or that month's last where it has none such (Regulation 1182/71,
    art. 3(2)(c))."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def normalised(text: str, country: str) -> str:
    """A number as people write it, in E.164.  Raises :class:`PersonError` (``person.number``)."""
    try:
        found = phonenumbers.parse(text[:40], country.upper())
    except phonenumbers.NumberParseException:
        found = None
    if found is None or not phonenumbers.is_possible_number(found):
        raise PersonError("person.number", "that is no telephone number", "write it as +32 470 12 34 56")
    return str(phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164))


def enter(
    tenant: str,
    *,
    number: str,
    wants: str,
    language: str,
    received_on: date,
    by_kind: str,
    by: str | None,
    now: datetime,
    entropy: Entropy,
) -> RequestRow:
    """Write down a request; ``number`` is in any form of the customer's country.  Raises
    :class:`PersonError`: ``person.number``, ``person.wants``, ``person.language``, ``person.day`` (it was
    received in the future, or more than a year ago)."""
    if wants not in WANTS:
        raise PersonError("person.wants", f"nobody asks for {wants!r}", f"one of {', '.join(WANTS)}")
    if language not in LANGUAGES:
        raise PersonError("person.language", f"no language {language!r}", f"one of {', '.join(LANGUAGES)}")
    with writing():
        row = _tenant(tenant)
        if not 0 <= (today(row.time_zone, now) - received_on).days <= 366:
            raise PersonError("person.day", f"it was not received on {received_on}", "a day of the last year")
        salt = entropy(SALT_BYTES).hex()
        made = PersonRequest.create(
            id=str(uuid7(now, entropy)),
            tenant_id=tenant,
            number=normalised(number, row.country),
            salt=salt,
            wants=wants,
            language=language,
            received_on=received_on.isoformat(),
            due_on=months_later(received_on, MONTHS).isoformat(),
            entered_at=now,
            entered_kind=by_kind,
            entered_by=by,
        )
        said = {"request": made.id, "wants": wants, "received_on": made.received_on, "due_on": made.due_on}
        said |= {"by": by_kind, "who": by or "", "language": language}
        append(tenant, "person.asked", said | {"number_hash": hidden(salt, made.number)}, now, entropy)
    return request_row(made)


def requests(tenant: str | None = None) -> tuple[RequestRow, ...]:
    """A customer's register (``None``: everybody's, for the operator): what is open first, by its day, then
    what is closed, the latest first."""
    with connected():
        query = PersonRequest.select()
        if tenant is not None:
            query = query.where(PersonRequest.tenant_id == tenant)
        rows = [request_row(row) for row in query.order_by(PersonRequest.due_on, PersonRequest.id)]
    closed = [row for row in rows if not row.open]
    return (*(row for row in rows if row.open), *sorted(closed, key=lambda row: row.id, reverse=True))


def request(tenant: str, request_id: str) -> RequestRow:
    """One of a customer's.  Raises :class:`PersonError` (``person.not_found``)."""
    with connected():
        return request_row(one(tenant, request_id))


def extend(
    tenant: str, request_id: str, *, why: str, who: str | None, now: datetime, entropy: Entropy
) -> None:
    """Two further months, once, with the reason, which the person is told within the first.  Raises
    :class:`PersonError`: ``person.extended``, ``person.too_late``, ``person.said``, ``person.closed``."""
    with writing():
        hold(tenant)
        row = open_one(tenant, request_id)
        if row.extended_why is not None:
            raise PersonError("person.extended", "it was extended before", "that is possible once")
        if request_row(row).overdue(today(_tenant(tenant).time_zone, now)):
            raise PersonError("person.too_late", "its month is over", "")
        due = months_later(date.fromisoformat(row.received_on), EXTENDED_MONTHS).isoformat()
        words = said(why)
        _change(row, due_on=due, extended_at=now, extended_why=words)
        body = {"request": row.id, "due_on": due, "who": who or "", "why_hash": hidden(row.salt, words)}
        append(tenant, "person.extended", body, now, entropy)


def recognise(
    tenant: str, request_id: str, *, how: str, who: str | None, now: datetime, entropy: Entropy
) -> None:
    """A colleague saw otherwise that the number is theirs, and says how.  Raises :class:`PersonError`:
    ``person.proved``, ``person.said``, ``person.closed``."""
    with writing():
        hold(tenant)
        prove(open_one(tenant, request_id), PERSON, who, said(how), now, entropy)


def prove(
    row: PersonRequest, how: str, who: str | None, what: str | None, now: datetime, entropy: Entropy
) -> None:
    """Inside the caller's transaction.  Raises :class:`PersonError` (``person.proved``)."""
    if row.proved_at is not None:
        raise PersonError("person.proved", "that was shown before", "")
    _change(row, proved_at=now, proved_how=how, proved_by=who, proved_said=what)
    body = {"request": row.id, "how": how, "who": who or ""}
    body |= {"said_hash": "" if what is None else hidden(row.salt, what)}
    append(row.tenant_id, "person.proved", body, now, entropy)


def close(
    tenant: str, request_id: str, *, how: str, who: str | None, now: datetime, entropy: Entropy
) -> None:
    """It has ended.  Raises :class:`PersonError`: ``person.how``, ``person.closed``, ``person.unproved`` (it
    cannot have been answered)."""
    if how not in CLOSED_HOW:
        raise PersonError("person.how", f"nothing ends as {how!r}", f"one of {', '.join(CLOSED_HOW)}")
    with writing():
        hold(tenant)
        row = open_one(tenant, request_id)
        if how == "answered" and row.proved_at is None:
            raise PersonError("person.unproved", "it was not shown that the number is theirs", "")
        _change(row, closed_at=now, closed_how=how)
        append(tenant, "person.closed", {"request": row.id, "how": how, "who": who or ""}, now, entropy)


def exported(tenant: str, request_id: str, who: str, now: datetime, entropy: Entropy) -> None:
    """A copy is about to leave.  Raises as :func:`proved_one`."""
    with writing():
        hold(tenant)
        _change(proved_one(tenant, request_id), exported_at=now)
        append(tenant, "person.exported", {"request": request_id, "who": who}, now, entropy)


def hidden(salt: str, text: str) -> str:
    """What the log says of a person's number, and of what a colleague wrote of them: HMAC-SHA-256 under the
    request's salt (hex).  Without the salt, which goes with the number, nobody can find out what it was."""
    return hmac.new(bytes.fromhex(salt), text.encode(), "sha256").hexdigest()


def today(time_zone: str, now: datetime) -> date:
    """The day in a customer's zone."""
    return now.astimezone(ZoneInfo(time_zone)).date()


def said(text: str) -> str:
    """A sentence that a person wrote.  Raises :class:`PersonError` (``person.said``)."""
    words = " ".join(text.split())
    if not words or len(words) > LONGEST_SAID or not words.isprintable():
        raise PersonError("person.said", f"say it in up to {LONGEST_SAID} characters", "")
    return words


def one(tenant: str, request_id: str) -> PersonRequest:
    """A customer's row.  Raises :class:`PersonError` (``person.not_found``)."""
    row = PersonRequest.get_or_none((PersonRequest.tenant_id == tenant) & (PersonRequest.id == request_id))
    if row is None:
        raise PersonError("person.not_found", "there is no such request", "")
    return row


def open_one(tenant: str, request_id: str) -> PersonRequest:
    """The same, while it is open.  Raises ``person.closed`` too."""
    row = one(tenant, request_id)
    if row.closed_at is not None:
        raise PersonError("person.closed", "that request is closed", "")
    return row


def proved_one(tenant: str, request_id: str) -> PersonRequest:
    """The same, once it was shown that the number is theirs.  Raises ``person.unproved`` too."""
    row = open_one(tenant, request_id)
    if row.proved_at is None:
        raise PersonError("person.unproved", "it was not shown that the number is theirs", "")
    return row


def _change(row: PersonRequest, **values: Any) -> None:
    PersonRequest.update(**values).where(PersonRequest.id == row.id).execute()


def _tenant(tenant: str) -> Any:
    row = Tenant.get_or_none(Tenant.id == tenant)
    if row is None:
        raise PersonError("person.not_found", "there is no such customer", "")
    return row


def request_row(row: PersonRequest) -> RequestRow:
    return RequestRow(
        row.id, row.tenant_id, row.number, row.wants, row.language, date.fromisoformat(row.received_on),
        date.fromisoformat(row.due_on), row.entered_at, row.entered_kind, row.entered_by, row.extended_why,
        row.proved_at, row.proved_how, row.proved_by, row.proved_said, row.closed_at, row.closed_how,
        row.exported_at,
    )  # fmt: skip
