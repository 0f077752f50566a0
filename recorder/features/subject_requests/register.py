"""The register of subject requests: what a person asks a customer for, when, and when the answer is due.

GDPR art. 12(3): within one month of receipt; this may be extended once by two further months, with the
reasons, within the first month.  Art. 12(6): where there are doubts about the person's identity, more may be
asked for. Every question names a tenant; every step is a leaf, which names the request and never the number.

The person proves that the number is theirs by a code that is read to them by telephone
(``features/subject_requests/verification_code.py``), or two people of the customer vouch for them and say how
they recognised them.  Before that nothing is given or erased, nor ever because of a row that contradicts its
leaves (:func:`check_logged`).
"""

from __future__ import annotations

import calendar
import hashlib
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final

import phonenumbers

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import Leaf, append, lock_tenant
from recorder.catalogue.database import connected, writing
from recorder.catalogue.subject_request_queries import WANTS, RequestRow, request_row
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.subject_request import SubjectRequestTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain import phone_numbers, time_zones
from recorder.domain.roles import ADMIN, CUSTOMER
from recorder.errors import PersonError
from recorder.ids import Entropy, uuid7
from recorder.prompts.purposes import LANGUAGES

CODE: Final = "code"
PEOPLE: Final = "people"

VOUCHERS: Final = (ADMIN, CUSTOMER)
"""Who may vouch for a person, by role: an auditor looks at what others do."""

CLOSED_HOW: Final = ("answered", "not_proved", "taken_back")
"""How a request ends: it was answered, nobody showed that the number is theirs, or it was taken back."""

ASKED: Final = "subject_request.received"
EXTENDED: Final = "subject_request.extended"
VOUCHED: Final = "subject_request.vouched"
PROVED: Final = "subject_request.verified"
CLOSED: Final = "subject_request.closed"
EXPORTED: Final = "subject_request.exported"

MONTHS: Final = 1
EXTENDED_MONTHS: Final = 3
"""From receipt on: one month, and two further ones."""

LONGEST_SAID: Final = 500
SALT_BYTES: Final = 32


def months_later(day: date, months: int) -> date:
    """The same day so many months later, or that month's last where it has none such (Regulation 1182/71,
    art. 3(2)(c))."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def normalised(text: str, country: str) -> str:
    """A number as people write it, in E.164.  Raises :class:`PersonError` (``subject_request.number``)."""
    try:
        found = phonenumbers.parse(phone_numbers.plain(text), country.upper())
    except phonenumbers.NumberParseException:
        found = None
    if found is None or not phonenumbers.is_possible_number(found):
        raise PersonError(
            "subject_request.number", "that is no telephone number", "write it as +32 470 12 34 56"
        )
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
    :class:`PersonError`: ``subject_request.number``, ``subject_request.wants``, ``subject_request.language``,
    ``subject_request.day`` (it was received in the future, or more than a year ago)."""
    if wants not in WANTS:
        raise PersonError("subject_request.wants", f"nobody asks for {wants!r}", f"one of {', '.join(WANTS)}")
    if language not in LANGUAGES:
        raise PersonError(
            "subject_request.language", f"no language {language!r}", f"one of {', '.join(LANGUAGES)}"
        )
    with writing():
        row = _tenant(tenant)
        if not 0 <= (today(row.time_zone, now) - received_on).days <= 366:
            raise PersonError(
                "subject_request.day", f"it was not received on {received_on}", "a day of the last year"
            )
        made = SubjectRequestTable.create(
            id=str(uuid7(now, entropy)),
            tenant_id=tenant,
            number=normalised(number, row.country),
            wants=wants,
            language=language,
            received_on=received_on.isoformat(),
            due_on=months_later(received_on, MONTHS).isoformat(),
            entered_at=now,
            entered_kind=by_kind,
            entered_by=by,
            number_salt=entropy(SALT_BYTES).hex(),
        )
        said = {"request": made.id, "wants": wants, "received_on": made.received_on, "due_on": made.due_on}
        said |= {"language": language, "number_sha256": committed(made), "by": by_kind, "actor": by or ""}
        _change(made, append(tenant, ASKED, said, now, entropy))
    return request_row(made)


def request(tenant: str, request_id: str) -> RequestRow:
    """One of a customer's.  Raises :class:`PersonError`: ``subject_request.not_found``,
    ``subject_request.not_logged``."""
    with connected():
        return request_row(one(tenant, request_id))


def proved(tenant: str, request_id: str, *, wants: tuple[str, ...] = WANTS) -> RequestRow:
    """The same, while it is open and once it was shown that the number is theirs; with ``wants``, only where
    it asks for that.  Raises ``subject_request.closed``, ``subject_request.unverified``,
    ``subject_request.not_asked`` too."""
    with connected():
        row = request_row(proved_one(tenant, request_id))
    if row.wants not in wants:
        raise PersonError("subject_request.not_asked", f"they ask for {row.wants}", "")
    return row


def extend(
    tenant: str, request_id: str, *, why: str, who: str | None, now: datetime, entropy: Entropy
) -> None:
    """Two further months, once, with the reason, which the person is told within the first.  Raises
    :class:`PersonError`: ``subject_request.extended``, ``subject_request.too_late``,
    ``subject_request.statement``, ``subject_request.closed``."""
    with writing():
        lock_tenant(tenant)
        row = open_one(tenant, request_id)
        if row.extension_reason is not None:
            raise PersonError("subject_request.extended", "it was extended before", "that is possible once")
        if request_row(row).overdue(today(_tenant(tenant).time_zone, now)):
            raise PersonError("subject_request.too_late", "its month is over", "")
        due = months_later(date.fromisoformat(row.received_on), EXTENDED_MONTHS).isoformat()
        words = said(why)
        body = {"request": row.id, "due_on": due, "actor": who or "", "reason_sha256": digest(words)}
        leaf = append(tenant, EXTENDED, body, now, entropy)
        _change(row, leaf, due_on=due, extended_at=now, extension_reason=words)


def vouch(tenant: str, request_id: str, *, how: str, who: str, now: datetime, entropy: Entropy) -> None:
    """Somebody of the customer's says how they recognised the person.  One alone shows nothing; once another
    has said so too, it is shown that the number is theirs.  Raises :class:`PersonError`:
    ``subject_request.verified``, ``subject_request.statement``, ``subject_request.closed``,
    ``subject_request.may_not_vouch``, ``subject_request.vouched`` (they did before)."""
    with writing():
        lock_tenant(tenant)
        row = open_one(tenant, request_id)
        if row.verified_at is not None:
            raise PersonError("subject_request.verified", "that was shown before", "")
        them = (UserTable.id == who) & (UserTable.tenant == tenant) & UserTable.revoked_at.is_null()
        if not UserTable.select().where(them & UserTable.role.in_(VOUCHERS)).exists():
            raise PersonError(
                "subject_request.may_not_vouch", "an admin or a colleague vouches for somebody", ""
            )
        if row.vouched_by == who:
            raise PersonError("subject_request.vouched", "they vouched before", "somebody else has to")
        words, first = said(how), row.vouched_at is None
        body = {"request": row.id, "vouch": 1 if first else 2, "actor": who, "how_sha256": digest(words)}
        leaf = append(tenant, VOUCHED, body, now, entropy)
        if first:
            _change(row, leaf, vouched_at=now, vouched_by=who, vouched_statement=words)
            return
        _change(row, leaf)
        prove(row, PEOPLE, who, words, now, entropy)


def prove(
    row: SubjectRequestTable, how: str, who: str, what: str | None, now: datetime, entropy: Entropy
) -> None:
    """Inside the caller's transaction.  Raises :class:`PersonError` (``subject_request.verified``)."""
    if row.verified_at is not None:
        raise PersonError("subject_request.verified", "that was shown before", "")
    body = {"request": row.id, "how": how, "actor": who}
    leaf = append(row.tenant_id, PROVED, body, now, entropy)
    _change(row, leaf, verified_at=now, verified_how=how, verified_by=who, verified_statement=what)


def close(
    tenant: str, request_id: str, *, how: str, who: str | None, now: datetime, entropy: Entropy
) -> None:
    """It has ended.  Raises :class:`PersonError`: ``subject_request.how``, ``subject_request.closed``,
    ``subject_request.unverified`` (it cannot have been answered)."""
    if how not in CLOSED_HOW:
        raise PersonError(
            "subject_request.how", f"nothing ends as {how!r}", f"one of {', '.join(CLOSED_HOW)}"
        )
    with writing():
        lock_tenant(tenant)
        row = open_one(tenant, request_id)
        if how == "answered" and row.verified_at is None:
            raise PersonError("subject_request.unverified", "it was not shown that the number is theirs", "")
        leaf = append(tenant, CLOSED, {"request": row.id, "how": how, "actor": who or ""}, now, entropy)
        _change(row, leaf, closed_at=now, closed_how=how)


def exported(tenant: str, request_id: str, who: str, now: datetime, entropy: Entropy) -> None:
    """A copy is about to leave.  Raises as :func:`proved_one`."""
    with writing():
        lock_tenant(tenant)
        row = proved_one(tenant, request_id)
        leaf = append(tenant, EXPORTED, {"request": request_id, "actor": who}, now, entropy)
        _change(row, leaf, exported_at=now)


def today(time_zone: str, now: datetime) -> date:
    """The day in a customer's zone."""
    return now.astimezone(time_zones.usable(time_zone)).date()


def said(text: str) -> str:
    """A sentence that a person wrote.  Raises :class:`PersonError` (``subject_request.statement``)."""
    words = " ".join(text.split())
    if not words or len(words) > LONGEST_SAID or not words.isprintable():
        raise PersonError("subject_request.statement", f"say it in up to {LONGEST_SAID} characters", "")
    return words


def one(tenant: str, request_id: str) -> SubjectRequestTable:
    """A customer's row, which says what the log does.  Raises :class:`PersonError`:
    ``subject_request.not_found``, ``subject_request.not_logged``."""
    row = SubjectRequestTable.get_or_none(
        (SubjectRequestTable.tenant_id == tenant) & (SubjectRequestTable.id == request_id)
    )
    if row is None:
        raise PersonError("subject_request.not_found", "there is no such request", "")
    check_logged(row)
    return row


def open_one(tenant: str, request_id: str) -> SubjectRequestTable:
    """The same, while it is open.  Raises ``subject_request.closed`` too."""
    row = one(tenant, request_id)
    if row.closed_at is not None:
        raise PersonError("subject_request.closed", "that request is closed", "")
    return row


def proved_one(tenant: str, request_id: str) -> SubjectRequestTable:
    """The same, once it was shown that the number is theirs.  Raises ``subject_request.unverified`` too."""
    row = open_one(tenant, request_id)
    if row.verified_at is None:
        raise PersonError("subject_request.unverified", "it was not shown that the number is theirs", "")
    return row


def committed(row: SubjectRequestTable) -> str:
    """What the log has in place of the number."""
    return digest(f"{row.number_salt}\n{row.number}")


def digest(text: str) -> str:
    """What the log has in place of a sentence: its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()


def check_logged(row: SubjectRequestTable) -> None:
    """Inside anybody's transaction.  Raises :class:`PersonError` (``subject_request.not_logged``) where the
    customer's log does not say of a request what its row does: then nothing is given or erased because of
    it."""
    if _logged(row) != {name: getattr(row, name) for name in _LOGGED} | {"number_sha256": committed(row)}:
        raise not_logged(f"request {row.id}")


def not_logged(what: str) -> PersonError:
    """What to raise where a row decides something that the log does not say."""
    hint = "`accord audit` names it; compare with a backup of the catalogue"
    return PersonError(
        "subject_request.not_logged", f"the log does not say what the row of {what} says", hint
    )


_LOGGED: Final = (
    "wants", "language", "received_on", "due_on", "entered_kind", "extended_at", "vouched_at", "vouched_by",
    "verified_at", "verified_how", "verified_by", "closed_at", "closed_how", "exported_at",
)  # fmt: skip


def _logged(row: SubjectRequestTable) -> dict[str, Any]:
    """What the leaves that a row names say of it; nothing where one of them is not there, or another's."""
    found: dict[str, Any] = dict.fromkeys(_LOGGED)
    for number in row.leaves or ():
        leaf = leaf_lookup.leaf(row.tenant_id, number)
        if leaf is None or leaf.body.get("request") != row.id or leaf.kind not in _COLUMNS:
            return {}
        found |= _COLUMNS[leaf.kind](leaf)
    return found


def _asked(leaf: leaf_lookup.LoggedLeaf) -> dict[str, Any]:
    names = ("wants", "language", "received_on", "due_on", "number_sha256")
    return {name: leaf.body.get(name) for name in names} | {"entered_kind": leaf.body.get("by")}


def _vouched(leaf: leaf_lookup.LoggedLeaf) -> dict[str, Any]:
    first = leaf.body.get("vouch") == 1
    return {"vouched_at": leaf.at, "vouched_by": leaf.body.get("actor")} if first else {}


def _proved(leaf: leaf_lookup.LoggedLeaf) -> dict[str, Any]:
    return {
        "verified_at": leaf.at,
        "verified_how": leaf.body.get("how"),
        "verified_by": leaf.body.get("actor"),
    }


_COLUMNS: Final[Mapping[str, Callable[[leaf_lookup.LoggedLeaf], dict[str, Any]]]] = {
    ASKED: _asked,
    EXTENDED: lambda leaf: {"due_on": leaf.body.get("due_on"), "extended_at": leaf.at},
    VOUCHED: _vouched,
    PROVED: _proved,
    CLOSED: lambda leaf: {"closed_at": leaf.at, "closed_how": leaf.body.get("how")},
    EXPORTED: lambda leaf: {"exported_at": leaf.at},
}


def _change(row: SubjectRequestTable, leaf: Leaf, **values: Any) -> None:
    """Change a row, together with the leaf that says so."""
    row.leaves = [*(row.leaves or ()), leaf.number]
    SubjectRequestTable.update(leaves=row.leaves, **values).where(SubjectRequestTable.id == row.id).execute()


def _tenant(tenant: str) -> Any:
    row = TenantTable.get_or_none(TenantTable.id == tenant)
    if row is None:
        raise PersonError("subject_request.not_found", "there is no such customer", "")
    return row
