"""Verification by telephone: six digits that only the person who answers the number hears.

Nobody can use this to call strangers: a number is called only for a request of a customer that has calls with
it. What a call is, and when a code counts, is in :mod:`recorder.verification_calls.register`.
"""

from __future__ import annotations

from datetime import datetime

from recorder.auditlog.append import tenant_lock
from recorder.catalogue.tables.subject_request import SubjectRequestTable
from recorder.errors import SubjectRequestError
from recorder.features.subject_requests import queries, reviews, rules, service
from recorder.ids import Entropy
from recorder.verification_calls import register
from recorder.verification_calls.policy import CallPolicy
from recorder.verification_calls.register import SUBJECT_REQUEST, VerificationCall


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
    ``subject_request.nothing`` (this customer has no call with that number);
    :class:`recorder.errors.VerificationCallError` as :func:`register.order`."""
    with tenant_lock(tenant):
        request = _unverified_row(tenant, request_id)
        if not reviews.has_calls(tenant, request.number):
            raise SubjectRequestError(
                "subject_request.nothing",
                "this customer has no call with that number",
                "check the number; without a recording, the answer is that there is none",
            )
        return register.order(
            policy, SUBJECT_REQUEST, tenant, request.number, salt=request.number_salt,
            language=request.language, who=who, now=now, entropy=entropy, request=request.id,
        )  # fmt: skip


def latest_call(tenant: str, request_id: str) -> VerificationCall | None:
    """The latest call of a customer's request."""
    return register.latest(SUBJECT_REQUEST, tenant, request=request_id)


def try_code(tenant: str, request_id: str, code: str, *, who: str, now: datetime, entropy: Entropy) -> bool:
    """Whether this is the code of the latest call; if so, the number is verified. Each attempt is counted
    first. Raises :class:`SubjectRequestError`: ``subject_request.verified``, ``subject_request.closed``; and
    as :func:`register.try_code`."""
    with tenant_lock(tenant):
        request = _unverified_row(tenant, request_id)
        call = latest_call(tenant, request_id)
        right = register.try_code(call, code, who=who, now=now, entropy=entropy)
        if right:
            service.record_verification(request, rules.CODE, who, None, now, entropy)
    return right


def _unverified_row(tenant: str, request_id: str) -> SubjectRequestTable:
    request = queries.find_open_row(tenant, request_id)
    queries.check_unverified(request)
    return request
