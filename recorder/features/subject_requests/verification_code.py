"""Verification by telephone: six digits that only the person who answers the number hears.

Nobody can use this to call strangers: a number is called only for a request of a customer that has calls with
it. What a call is, and when a code counts, is in :mod:`recorder.verification_calls.register`.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final

from recorder.auditlog.append import tenant_lock
from recorder.catalogue.tables.subject_request import SubjectRequestTable, VerificationCodeTable
from recorder.errors import SubjectRequestError
from recorder.features.subject_requests import queries, reviews, rules, service
from recorder.ids import Entropy
from recorder.verification_calls.policy import CallPolicy
from recorder.verification_calls.register import CallRegister, VerificationCall, call_row, is_open


class RequestCalls(CallRegister):
    """Calls to the numbers of subject requests."""

    TABLE = VerificationCodeTable
    ORDERED: ClassVar[str] = "subject_request.call_ordered"
    CREATED: ClassVar[str] = "subject_request.code_created"
    CALLED: ClassVar[str] = "subject_request.called"
    TRIED: ClassVar[str] = "subject_request.code_tried"
    OPENING: ClassVar[str] = "somebody-asked"

    def subject(self, row: VerificationCodeTable) -> dict[str, str]:
        return {"request": row.request_id}

    def number_salt(self, row: VerificationCodeTable) -> str | None:
        try:
            request = queries.find_open_row(row.tenant_id, row.request_id)
        except SubjectRequestError:
            return None
        return request.number_salt

    def no_code(self) -> SubjectRequestError:
        return SubjectRequestError("subject_request.no_code", "no code is valid", "order a call")

    def tries_exhausted(self) -> SubjectRequestError:
        return SubjectRequestError(
            "subject_request.tries_exhausted", "the code was tried too often", "order another call"
        )

    def not_logged(self, call: str) -> SubjectRequestError:
        return queries.not_logged_error(f"call {call}")


CALLS: Final = RequestCalls()


def order_call(
    tenant: str,
    request_id: str,
    *,
    who: str,
    now: datetime,
    entropy: Entropy,
    policy: CallPolicy = CallPolicy(),  # noqa: B008 - frozen
) -> VerificationCall:
    """Order a call with a code to a request's number; an earlier code becomes invalid. Raises
    :class:`SubjectRequestError`: ``subject_request.closed``, ``subject_request.verified``,
    ``subject_request.nothing`` (this customer has no call with that number),
    ``subject_request.call_pending``; :class:`recorder.errors.VerificationCallError` as
    :meth:`CallPolicy.check`."""
    with tenant_lock(tenant):
        request = _unverified_row(tenant, request_id)
        if not reviews.has_calls(tenant, request.number):
            raise SubjectRequestError(
                "subject_request.nothing",
                "this customer has no call with that number",
                "check the number; without a recording, the answer is that there is none",
            )
        if is_open(latest_call(tenant, request_id), now):
            raise SubjectRequestError(
                "subject_request.call_pending", "the number is being called", "wait for the call to end"
            )
        return CALLS.order(
            policy, tenant, request.number, salt=str(request.number_salt), language=request.language, who=who,
            now=now, entropy=entropy, request=request.id,
        )  # fmt: skip


def latest_call(tenant: str, request_id: str) -> VerificationCall | None:
    """The latest call of a customer's request."""
    row = _latest_row(tenant, request_id)
    return None if row is None else call_row(row)


def refresh_call(tenant: str, request_id: str, now: datetime, entropy: Entropy) -> VerificationCall | None:
    """The same, after expiring what no node has taken or answered in time."""
    call = latest_call(tenant, request_id)
    if call is None or call.outcome is not None or now <= call.until:
        return call
    CALLS.expire(call, now, entropy)
    return latest_call(tenant, request_id)


def try_code(tenant: str, request_id: str, code: str, *, who: str, now: datetime, entropy: Entropy) -> bool:
    """Whether this is the code of the latest call; if so, the number is verified. Each attempt is counted
    first. Raises :class:`SubjectRequestError`: ``subject_request.verified``, ``subject_request.closed``,
    ``subject_request.no_code`` (none is valid), ``subject_request.tries_exhausted``,
    ``subject_request.not_logged``."""
    with tenant_lock(tenant):
        request = _unverified_row(tenant, request_id)
        row = _latest_row(tenant, request_id)
        right = CALLS.try_code(row, code, who=who, now=now, entropy=entropy)
        if right:
            service.record_verification(request, rules.CODE, who, None, now, entropy)
            VerificationCodeTable.update(code_hash=None).where(
                VerificationCodeTable.request == request_id
            ).execute()
    return right


def _unverified_row(tenant: str, request_id: str) -> SubjectRequestTable:
    request = queries.find_open_row(tenant, request_id)
    queries.check_unverified(request)
    return request


def _latest_row(tenant: str, request_id: str) -> VerificationCodeTable | None:
    return CALLS.latest(
        (VerificationCodeTable.tenant_id == tenant) & (VerificationCodeTable.request == request_id)
    )
