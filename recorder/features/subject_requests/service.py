"""The register of subject requests: what a person asks a customer for, when, and when the answer is due.

GDPR art. 12(3): an answer is due within one month of receipt, extendable once by two further months if the
person is told the reasons within the first.  Art. 12(6): where there are doubts about the person's identity,
more information may be requested.  Every query names a tenant.  Every step is a leaf, which names the request
and never the number.

A number is verified by a code read out by telephone (``verification_code.py``), or by two users of the
customer who vouch for the person and state how they recognised them.  Before that, nothing is disclosed or
erased; nor is it on the word of a row that contradicts its leaves (``queries.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from recorder.auditlog.append import append, tenant_lock
from recorder.catalogue.database import connected, writing
from recorder.catalogue.subject_request_queries import (
    COPIES,
    COPY,
    ERASES,
    ERASURE,
    LISTENING,
    WANTS,
    WITHDRAWAL,
    RequestRow,
    own_requests,
    request_row,
)
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.subject_request import SubjectRequestTable
from recorder.clock import to_iso
from recorder.errors import SubjectRequestError
from recorder.features.subject_requests.queries import (
    change_row,
    check_unverified,
    check_verified,
    find_open_row,
    find_row,
    find_verified_row,
    number_commitment,
    tenant_of,
)
from recorder.features.subject_requests.rules import (
    CLOSED,
    CLOSED_HOW,
    CODE,
    DECLINED,
    EXPORTED,
    EXTENDED,
    EXTENDED_MONTHS,
    MONTHS,
    PEOPLE,
    PROVED,
    RECEIVED,
    SALT_BYTES,
    TAKEN_BACK,
    VOUCHED,
    VOUCHERS,
    WAIT,
    check_sentence,
    digest,
    local_day,
    months_later,
    normalise_number,
)
from recorder.ids import Entropy, uuid7
from recorder.prompts.purposes import LANGUAGES
from recorder.seal.amendment import By
from recorder.verification_calls.verified_number import VerifiedNumber
from recorder.verified_state import VerifiedState


@dataclass(frozen=True, slots=True)
class VerifiedRequest(VerifiedState):
    """An open request whose number was verified, by a code or by two users, as row and log agree. It may be
    closed meanwhile: each step about a recording compares them again, with the customer locked."""

    row: RequestRow

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def tenant(self) -> str:
        return self.row.tenant

    @property
    def number(self) -> str:
        return self.row.number


@dataclass(frozen=True, slots=True)
class CopyRequest(VerifiedRequest):
    """A verified request for a copy of the person's recordings."""


@dataclass(frozen=True, slots=True)
class ErasureRequest(VerifiedRequest):
    """A verified request to erase the person's recordings and calls."""


@dataclass(frozen=True, slots=True)
class WithdrawalRequest(VerifiedRequest):
    """A verified request to withdraw consent to one recording, which has waited."""


@dataclass(frozen=True, slots=True)
class ListeningRequest(VerifiedRequest):
    """A verified proposal to listen to one recording together."""


OWN_WANTS: Final = (COPY, ERASURE, WITHDRAWAL, LISTENING)
"""What a person can ask for on the page of their own call."""


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
    """Register a request; ``number`` is in any format of the customer's country. Raises
    :class:`SubjectRequestError`: ``subject_request.number``, ``subject_request.wants``,
    ``subject_request.language``, ``subject_request.day`` (received in the future, or more than a year
    ago)."""
    if wants not in WANTS:
        raise SubjectRequestError(
            "subject_request.wants", f"a request cannot ask for {wants!r}", f"one of {', '.join(WANTS)}"
        )
    if language not in LANGUAGES:
        raise SubjectRequestError(
            "subject_request.language", f"no language {language!r}", f"one of {', '.join(LANGUAGES)}"
        )
    with writing():
        row = tenant_of(tenant)
        e164 = normalise_number(number, row.country)
        if not 0 <= (local_day(row.time_zone, now) - received_on).days <= 366:
            raise SubjectRequestError(
                "subject_request.day",
                f"{received_on} is not a possible day of receipt",
                "use a day within the last year",
            )
        request = _create(tenant, e164, wants, language, received_on, By(by_kind, by), now, entropy)
    return request_row(request)


def _create(
    tenant: str, number: str, wants: str, language: str, received_on: date, by: By, now: datetime,
    entropy: Entropy, recording: str | None = None,
) -> SubjectRequestTable:  # fmt: skip
    """Inside the caller's transaction: the row of a new request, with its leaf."""
    request = SubjectRequestTable.create(
        id=str(uuid7(now, entropy)),
        tenant_id=tenant,
        number=number,
        recording_id=recording,
        wants=wants,
        language=language,
        received_on=received_on.isoformat(),
        due_on=months_later(received_on, MONTHS).isoformat(),
        entered_at=now,
        entered_kind=by.kind,
        entered_by=by.id,
        number_salt=entropy(SALT_BYTES).hex(),
    )
    body = {
        "request": request.id,
        "wants": wants,
        "received_on": request.received_on,
        "due_on": request.due_on,
    }
    body |= {
        "language": language,
        "number_sha256": number_commitment(request),
        "by": by.kind,
        "actor": by.id or "",
    }
    body |= {} if recording is None else {"recording": recording}
    change_row(request, append(tenant, RECEIVED, body, now, entropy))
    return request


def enter_own(
    person: VerifiedNumber, *, wants: str, language: str, now: datetime, entropy: Entropy
) -> RequestRow:
    """Register what a person asks for about their own call, which they have opened: the number is verified,
    the request is about that recording alone, and an erasure or withdrawal waits (:data:`rules.WAIT`). Raises
    :class:`SubjectRequestError`: ``subject_request.wants``, ``subject_request.asked`` (they asked for it
    before)."""
    if wants not in OWN_WANTS:
        raise SubjectRequestError(
            "subject_request.wants", f"a request cannot ask for {wants!r}", f"one of {', '.join(OWN_WANTS)}"
        )
    with tenant_lock(person.tenant):
        if any(each.open and each.wants == wants for each in own_requests(person.tenant, person.recording)):
            raise SubjectRequestError(
                "subject_request.asked", "the person asked for it before", "wait for the answer"
            )
        day, by = local_day(tenant_of(person.tenant).time_zone, now), By("user", person.guest)
        request = _create(
            person.tenant, person.number, wants, language, day, by, now, entropy, person.recording
        )
        record_verification(request, CODE, person.guest, None, now, entropy)
        return request_row(find_row(person.tenant, request.id))


def take_back(person: VerifiedNumber, request_id: str, *, now: datetime, entropy: Entropy) -> None:
    """Close a request that a person made about their own call, before it is answered. Raises
    :class:`SubjectRequestError`: ``subject_request.not_found``, ``subject_request.closed``."""
    with connected():
        row = find_row(person.tenant, request_id)
    if row.recording_id != person.recording:
        raise SubjectRequestError("subject_request.not_found", "there is no such request", "reload the page")
    close(person.tenant, request_id, how=TAKEN_BACK, who=person.guest, now=now, entropy=entropy)


def take_back_all(person: VerifiedNumber, *, now: datetime, entropy: Entropy) -> int:
    """Take back whatever a person asks for about their own call and has no answer to. Returns how many
    requests that were."""
    found = [each for each in own_requests(person.tenant, person.recording) if each.open]
    for each in found:
        take_back(person, each.id, now=now, entropy=entropy)
    return len(found)


def find_request(tenant: str, request_id: str) -> RequestRow:
    """A customer's request. Raises :class:`SubjectRequestError`: ``subject_request.not_found``,
    ``subject_request.not_logged``."""
    with connected():
        return request_row(find_row(tenant, request_id))


def find_copy_request(tenant: str, request_id: str) -> CopyRequest:
    """The same, if it is open, its number is verified, and it asks for a copy. Raises
    ``subject_request.closed``, ``subject_request.unverified``, ``subject_request.not_asked`` too."""
    return CopyRequest(_verified_row(tenant, request_id, COPIES))


def find_erasure_request(tenant: str, request_id: str, now: datetime) -> ErasureRequest:
    """The same for a request that asks for erasure. Raises ``subject_request.waits`` too: the person can
    still take it back."""
    row = _verified_row(tenant, request_id, ERASES)
    _check_waited(row, now)
    return ErasureRequest(row)


def waits_until(row: RequestRow) -> datetime | None:
    """Until when an erasure waits; ``None`` if it does not."""
    is_final = row.wants_erasure or row.wants == WITHDRAWAL
    return None if row.recording is None or not is_final else row.entered_at + WAIT


def find_withdrawal_request(tenant: str, request_id: str, now: datetime) -> WithdrawalRequest:
    """The same for a request that withdraws consent. Raises ``subject_request.waits`` too."""
    row = _verified_row(tenant, request_id, (WITHDRAWAL,))
    _check_waited(row, now)
    return WithdrawalRequest(row)


def find_proposal(tenant: str, recording: str) -> ListeningRequest | None:
    """The open proposal of a recording's person to listen to it together, if there is one. Raises
    :class:`SubjectRequestError` (``subject_request.not_logged``)."""
    rows = (each for each in own_requests(tenant, recording) if each.open and each.wants == LISTENING)
    row = next(rows, None)
    return None if row is None else ListeningRequest(_verified_row(tenant, row.id, (LISTENING,)))


def _check_waited(row: RequestRow, now: datetime) -> None:
    if (until := waits_until(row)) is not None and now < until:
        raise SubjectRequestError(
            "subject_request.waits",
            f"the person can take it back until {to_iso(until)}",
            "act on it after that",
        )


def _verified_row(tenant: str, request_id: str, wants: tuple[str, ...]) -> RequestRow:
    with connected():
        row = request_row(find_verified_row(tenant, request_id))
    if row.wants not in wants:
        raise SubjectRequestError(
            "subject_request.not_asked",
            f"the request is for {row.wants}",
            "enter a request of the other kind: `accord subject-request add`",
        )
    return row


def extend(
    tenant: str, request_id: str, *, why: str, who: str | None, now: datetime, entropy: Entropy
) -> None:
    """Extend the deadline once by two months, with the reason, of which the person is informed within the
    first. Raises :class:`SubjectRequestError`: ``subject_request.extended``, ``subject_request.too_late``,
    ``subject_request.statement``, ``subject_request.closed``."""
    with tenant_lock(tenant):
        row = find_open_row(tenant, request_id)
        if row.extension_reason is not None:
            raise SubjectRequestError(
                "subject_request.extended",
                "the request was extended before",
                "answer the request now: it can be extended only once",
            )
        if request_row(row).overdue(local_day(tenant_of(tenant).time_zone, now)):
            raise SubjectRequestError(
                "subject_request.too_late",
                "the first month is over",
                "answer the request now: only the first month can be extended",
            )
        due = months_later(date.fromisoformat(row.received_on), EXTENDED_MONTHS).isoformat()
        words = check_sentence(why)
        body = {"request": row.id, "due_on": due, "actor": who or "", "reason_sha256": digest(words)}
        leaf = append(tenant, EXTENDED, body, now, entropy)
        change_row(row, leaf, due_on=due, extended_at=now, extension_reason=words)


def vouch(tenant: str, request_id: str, *, how: str, who: str, now: datetime, entropy: Entropy) -> None:
    """Record how a user of the customer recognised the person. Once a second user has vouched, the number is
    verified. Raises :class:`SubjectRequestError`: ``subject_request.verified``,
    ``subject_request.statement``, ``subject_request.closed``, ``subject_request.may_not_vouch``,
    ``subject_request.vouched`` (vouched before)."""
    with tenant_lock(tenant):
        row = find_open_row(tenant, request_id)
        check_unverified(row)
        them = (UserTable.id == who) & (UserTable.tenant == tenant) & UserTable.revoked_at.is_null()
        if not UserTable.select().where(them & UserTable.role.in_(VOUCHERS)).exists():
            raise SubjectRequestError(
                "subject_request.may_not_vouch",
                "only admins and colleagues may vouch",
                "ask an admin or a colleague of the customer",
            )
        if row.vouched_by == who:
            raise SubjectRequestError(
                "subject_request.vouched", "this user vouched before", "a second user must vouch"
            )
        words, first = check_sentence(how), row.vouched_at is None
        body = {"request": row.id, "vouch": 1 if first else 2, "actor": who, "how_sha256": digest(words)}
        leaf = append(tenant, VOUCHED, body, now, entropy)
        if first:
            change_row(row, leaf, vouched_at=now, vouched_by=who, vouched_statement=words)
            return
        change_row(row, leaf)
        record_verification(row, PEOPLE, who, words, now, entropy)


def record_verification(
    row: SubjectRequestTable, how: str, who: str, what: str | None, now: datetime, entropy: Entropy
) -> None:
    """Inside the caller's transaction: record that the number is verified. Raises
    :class:`SubjectRequestError` (``subject_request.verified``)."""
    check_unverified(row)
    body = {"request": row.id, "how": how, "actor": who}
    leaf = append(row.tenant_id, PROVED, body, now, entropy)
    change_row(row, leaf, verified_at=now, verified_how=how, verified_by=who, verified_statement=what)


def close(
    tenant: str, request_id: str, *, how: str, who: str | None, now: datetime, entropy: Entropy
) -> None:
    """Close a request. Raises :class:`SubjectRequestError`: ``subject_request.how``,
    ``subject_request.closed``, ``subject_request.unverified`` (it cannot have been answered)."""
    if how not in (*CLOSED_HOW, DECLINED):
        raise SubjectRequestError(
            "subject_request.how", f"a request cannot be closed as {how!r}", f"one of {', '.join(CLOSED_HOW)}"
        )
    with tenant_lock(tenant):
        row = find_open_row(tenant, request_id)
        if how == DECLINED and row.wants != LISTENING:
            raise SubjectRequestError(
                "subject_request.how", "only a proposal can be declined", f"one of {', '.join(CLOSED_HOW)}"
            )
        if how == "answered":
            check_verified(row)
        leaf = append(tenant, CLOSED, {"request": row.id, "how": how, "actor": who or ""}, now, entropy)
        change_row(row, leaf, closed_at=now, closed_how=how)


def note_export(tenant: str, request_id: str, who: str, now: datetime, entropy: Entropy) -> None:
    """Append a leaf before a copy is sent. Raises as
    :func:`recorder.features.subject_requests.queries.find_verified_row`."""
    with tenant_lock(tenant):
        row = find_verified_row(tenant, request_id)
        leaf = append(tenant, EXPORTED, {"request": request_id, "actor": who}, now, entropy)
        change_row(row, leaf, exported_at=now)
