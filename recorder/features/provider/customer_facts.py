"""What support is asked for on the telephone about one customer: numbers, people, the time of the last call,
and what does not work.

It names no party of a call, and reads no recording and no note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from recorder.catalogue import queries as catalogue
from recorder.catalogue.database import connected
from recorder.catalogue.records import LineRow, TenantRow, UserRow
from recorder.domain.roles import ADMIN
from recorder.errors import SealError
from recorder.fault_log import FaultLog
from recorder.features.provider import queries
from recorder.features.provider.service import LEAVING, LEFT, Customer, describe_customer
from recorder.identity import factor_set, users
from recorder.lifecycle.suspension import Suspension, Suspensions, find_suspensions
from recorder.seal.revocation import Trust

ProblemCode = Literal[
    "suspended", "no_admin", "invitation_open", "invitation_expired", "no_number", "number_suspended", "off",
    "not_recorded", "no_call",
]  # fmt: skip

SUSPENDED: Final[ProblemCode] = "suspended"
NUMBER_SUSPENDED: Final[ProblemCode] = "number_suspended"
NO_ADMIN: Final[ProblemCode] = "no_admin"
INVITATION_OPEN: Final[ProblemCode] = "invitation_open"
INVITATION_EXPIRED: Final[ProblemCode] = "invitation_expired"
NO_NUMBER: Final[ProblemCode] = "no_number"
OFF: Final[ProblemCode] = "off"
NOT_RECORDED: Final[ProblemCode] = "not_recorded"
NO_CALL: Final[ProblemCode] = "no_call"

QUIET_AFTER: Final = timedelta(days=14)
"""How long a number that is recorded may have no call before support is told so."""


@dataclass(frozen=True, slots=True)
class NumberFacts:
    """A customer's line, when its last call began, and whether the provider has suspended it, or else the
    customer."""

    line: LineRow
    last_call_at: datetime | None
    suspension: Suspension | None


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """Somebody who has access. ``logged_in_at`` is ``None`` if no session of the last weeks is known,
    ``second_factor`` if what was signed about it cannot be verified."""

    name: str
    address: str
    role: str
    logged_in_at: datetime | None
    second_factor: bool | None


@dataclass(frozen=True, slots=True)
class InvitedPersonFacts:
    """Somebody who has not accepted yet; ``until`` may be over."""

    name: str
    address: str
    role: str
    until: datetime


@dataclass(frozen=True, slots=True)
class CustomerProblem:
    """Something that does not work, or that nobody has done yet; ``at`` is since when, or until when an
    invitation is open. ``cause`` is the notification's, ``reason`` the suspension's."""

    code: ProblemCode
    number: str = ""
    at: datetime | None = None
    cause: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """A customer as it is now."""

    customer: Customer
    numbers: tuple[NumberFacts, ...]
    people: tuple[PersonFacts, ...]
    invited: tuple[InvitedPersonFacts, ...]
    last_call_at: datetime | None
    suspension: Suspension | None
    problems: tuple[CustomerProblem, ...]


def read_facts(row: TenantRow, trust: Trust, now: datetime) -> CustomerFacts:
    """What is known about a customer. Lines whose rows cannot be read are left out."""
    with connected():
        customer, last = describe_customer(row), queries.last_calls(row.id)
        lines = catalogue.lines(row.id, faults=FaultLog())
        suspensions = find_suspensions(row.id)
        numbers = tuple(
            NumberFacts(line, last.get(line.id), suspensions.lines.get(line.id) or suspensions.tenant)
            for line in lines
        )
        invited = tuple(
            InvitedPersonFacts(each.name, each.address, each.role, each.until)
            for each in queries.open_invitations(row.id)
        )
        people = _people(row.id, trust)
        problems = (
            ()
            if customer.state in (LEAVING, LEFT)
            else (
                *_suspensions(suspensions, numbers),
                *_access_problems(people, invited, now),
                *_number_problems(row.id, numbers, now),
            )
        )
    return CustomerFacts(
        customer, numbers, people, invited, max(last.values(), default=None), suspensions.tenant, problems
    )


def _suspensions(found: Suspensions, numbers: Sequence[NumberFacts]) -> Iterator[CustomerProblem]:
    if found.tenant is not None:
        yield CustomerProblem(SUSPENDED, at=found.tenant.since, reason=found.tenant.reason)
    for each in numbers:
        if (one := each.suspension) is not None and one.line is not None:
            yield CustomerProblem(NUMBER_SUSPENDED, each.line.number, one.since, reason=one.reason)


def _people(tenant: str, trust: Trust) -> tuple[PersonFacts, ...]:
    rows = sorted(
        (each for each in users.users(tenant) if each.revoked_at is None),
        key=lambda each: (each.role != ADMIN, each.name.casefold()),
    )
    log_ins = queries.last_log_ins([each.id for each in rows])
    return tuple(
        PersonFacts(each.name, each.login, each.role, log_ins.get(each.id), _has_second_factor(each, trust))
        for each in rows
    )


def _has_second_factor(user: UserRow, trust: Trust) -> bool | None:
    try:
        return factor_set.current(user, trust).required
    except SealError:
        return None


def _access_problems(
    people: Sequence[PersonFacts], invited: Sequence[InvitedPersonFacts], now: datetime
) -> Iterator[CustomerProblem]:
    if not any(each.role == ADMIN for each in people):
        yield CustomerProblem(NO_ADMIN)
    for one in invited:
        yield CustomerProblem(INVITATION_OPEN if one.until > now else INVITATION_EXPIRED, at=one.until)


def _number_problems(tenant: str, numbers: Sequence[NumberFacts], now: datetime) -> Iterator[CustomerProblem]:
    if not numbers:
        yield CustomerProblem(NO_NUMBER)
    active_numbers = [each for each in numbers if each.suspension is None]
    recorded = {each.line.id: each.line.number for each in active_numbers if each.line.recorded}
    for fault in queries.open_faults(tenant):
        if (number := recorded.get(str(fault.line_id))) is not None:
            yield CustomerProblem(NOT_RECORDED, number, fault.since, fault.cause)
    for each in active_numbers:
        last = each.last_call_at or each.line.since
        if not each.line.recorded:
            yield CustomerProblem(OFF, each.line.number)
        elif now - last > QUIET_AFTER:
            yield CustomerProblem(NO_CALL, each.line.number, each.last_call_at)
