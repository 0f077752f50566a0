"""Verification by telephone: six digits that only the person who answers the number hears.

The panel orders a call; the worker of a node that can call out takes it, makes the code and stores a hash.
The code itself is in no table and no log. Nobody can use this to call strangers: a number is called only for
a request of a customer that has calls with it, a few times a day in total, and a code is valid for minutes
and a few attempts.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, lock_tenant
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.subject_request import VerificationCodeTable
from recorder.clock import to_iso
from recorder.domain.live_command import NO_ANSWER, UNKNOWN
from recorder.errors import SubjectRequestError
from recorder.features.subject_requests import queries, reviews, rules, service
from recorder.ids import Entropy, uuid7

DIGITS: Final = 6

TAKEN_WITHIN: Final = timedelta(seconds=10)
"""How long an order waits for a node before it expires."""

VALID: Final = timedelta(minutes=15)

SILENT: Final = timedelta(minutes=2)
"""How long after its deadline the outcome of a taken call becomes unknown."""

TRIES: Final = 5
"""Attempts at one code."""

NOT_LOGGED: Final = "not_logged"
"""Outcome: no call was made, because the log has no such order."""

ORDERED: Final = "subject_request.call_ordered"
CODE_CREATED: Final = "subject_request.code_created"
CALLED: Final = "subject_request.called"
CODE_TRIED: Final = "subject_request.code_tried"

A_DAY: Final = timedelta(days=1)
CALLS_A_NUMBER: Final = 3
"""In a day, for all customers."""
CALLS_A_CUSTOMER: Final = 30
"""In a day, for all requests of one customer."""


log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A verification call. ``outcome`` is ``None`` while it is open; ``done``: the call was answered."""

    id: str
    tenant: str
    request: str
    number: str
    language: str
    until: datetime
    outcome: str | None
    valid_until: datetime | None
    tries: int


def order_call(tenant: str, request_id: str, *, who: str, now: datetime, entropy: Entropy) -> CodeRow:
    """Order a call with a code to a request's number; an earlier code becomes invalid. Raises
    :class:`SubjectRequestError`: ``subject_request.closed``, ``subject_request.verified``,
    ``subject_request.nothing`` (this customer has no call with that number),
    ``subject_request.call_pending``, ``subject_request.calls_exhausted``."""
    with writing():
        lock_tenant(tenant)
        request = queries.find_open_row(tenant, request_id)
        if request.verified_at is not None:
            raise SubjectRequestError("subject_request.verified", "that was shown before", "")
        if not reviews.has_calls(tenant, request.number):
            raise SubjectRequestError(
                "subject_request.nothing", "this customer has no call with that number", ""
            )
        since = now - A_DAY
        same = (VerificationCodeTable.number == request.number) & (VerificationCodeTable.ordered_at > since)
        condition = (VerificationCodeTable.tenant_id == tenant) & (VerificationCodeTable.ordered_at > since)
        last = latest_call(tenant, request_id)
        if last is not None and last.outcome is None and now <= last.until + SILENT:
            raise SubjectRequestError("subject_request.call_pending", "the number is being called", "")
        if (
            VerificationCodeTable.select().where(same).count() >= CALLS_A_NUMBER
            or VerificationCodeTable.select().where(condition).count() >= CALLS_A_CUSTOMER
        ):
            raise SubjectRequestError(
                "subject_request.calls_exhausted",
                "the number was called too often today",
                "try again tomorrow",
            )
        call, until = str(uuid7(now, entropy)), now + TAKEN_WITHIN
        body = {"request": request.id, "call": call, "actor": who, "language": request.language}
        body |= {"until": to_iso(until), "number_sha256": queries.number_commitment(request)}
        leaf = append(tenant, ORDERED, body, now, entropy)
        row = VerificationCodeTable.create(
            id=call, request=request.id, tenant_id=tenant, number=request.number, language=request.language,
            ordered_at=now, until=until, tries=0, leaves=[leaf.number],
        )  # fmt: skip
    return _row(row)


def latest_call(tenant: str, request_id: str) -> CodeRow | None:
    """The latest call of a customer's request."""
    with connected():
        query = VerificationCodeTable.select().where(
            (VerificationCodeTable.tenant_id == tenant) & (VerificationCodeTable.request == request_id)
        )
        row = query.order_by(VerificationCodeTable.ordered_at.desc(), VerificationCodeTable.id.desc()).first()
    return None if row is None else _row(row)


def refresh_call(tenant: str, request_id: str, now: datetime, entropy: Entropy) -> CodeRow | None:
    """The same, after expiring what no node has taken or answered in time."""
    row = latest_call(tenant, request_id)
    if row is None or row.outcome is not None or now <= row.until:
        return row
    with writing():
        lock_tenant(tenant)
        condition = (VerificationCodeTable.id == row.id) & VerificationCodeTable.outcome.is_null()
        _settle(row, condition & VerificationCodeTable.taken_at.is_null(), NO_ANSWER, now, entropy)
        if now > row.until + SILENT:
            _settle(row, condition, UNKNOWN, now, entropy)
    return latest_call(tenant, request_id)


def take(node: str, now: datetime, entropy: Entropy) -> tuple[CodeRow, str] | None:
    """Take the next call for this node, with a new code; ``None`` if there is none. A call that is not in the
    log, or not to its request's number, is refused."""
    with connected():
        is_pending = (
            VerificationCodeTable.taken_at.is_null()
            & VerificationCodeTable.outcome.is_null()
            & (VerificationCodeTable.until > now)
        )
        row = VerificationCodeTable.select().where(is_pending).order_by(VerificationCodeTable.id).first()
    if row is None:
        return None
    code = f"{int.from_bytes(entropy(8), 'big') % 10**DIGITS:0{DIGITS}}"
    code_hash, until = hash_code(row.id, code, entropy), now + VALID
    with writing():
        lock_tenant(row.tenant_id)
        condition = (VerificationCodeTable.id == row.id) & is_pending
        if not _was_ordered(row):
            if VerificationCodeTable.update(outcome=NOT_LOGGED).where(condition).execute():
                log.error("verification_call.not_logged", call=row.id, tenant=row.tenant_id)
            return None
        claim = VerificationCodeTable.update(
            node=node, taken_at=now, code_hash=code_hash, valid_until=until
        ).where(condition)
        if not claim.execute():
            return None
        body = {"request": row.request_id, "call": row.id, "node": node, **_leaf_data(code_hash, until)}
        leaf = append(row.tenant_id, CODE_CREATED, body, now, entropy)
        leaves = [*row.leaves, leaf.number]
        VerificationCodeTable.update(leaves=leaves).where(VerificationCodeTable.id == row.id).execute()
    return _row(row), code


def _was_ordered(row: VerificationCodeTable) -> bool:
    """Whether the log has this order, and its number is the request's."""
    try:
        request = queries.find_open_row(row.tenant_id, row.request_id)
    except SubjectRequestError:
        return False
    return _says(row, 0, ORDERED) is not None and row.number == request.number


def _says(row: VerificationCodeTable, place: int, kind: str) -> leaf_lookup.LoggedLeaf | None:
    """The leaf at that place among a call's leaves, if it has this kind and is about this call."""
    number = row.leaves[place] if row.leaves and len(row.leaves) > place else None
    leaf = leaf_lookup.find_leaf(row.tenant_id, number)
    if leaf is None or leaf.kind != kind:
        return None
    return leaf if (leaf.body["request"], leaf.body["call"]) == (row.request_id, row.id) else None


def _leaf_data(code_hash: str, until: datetime) -> dict[str, str]:
    """What the log contains of a code: the digest of its hash, and when it expires."""
    return {"code_sha256": rules.digest(code_hash), "valid_until": to_iso(until)}


def answer(node: str, row: CodeRow, outcome: str, now: datetime, entropy: Entropy) -> None:
    """Record the outcome of a call, once."""
    with writing():
        lock_tenant(row.tenant)
        condition = (
            (VerificationCodeTable.id == row.id)
            & (VerificationCodeTable.node == node)
            & VerificationCodeTable.outcome.is_null()
        )
        _settle(row, condition, outcome, now, entropy)


def try_code(tenant: str, request_id: str, code: str, *, who: str, now: datetime, entropy: Entropy) -> bool:
    """Whether this is the code of the latest call; if so, the number is verified. Each attempt is counted
    first. Raises :class:`SubjectRequestError`: ``subject_request.verified``, ``subject_request.closed``,
    ``subject_request.no_code`` (none is valid), ``subject_request.tries_exhausted``."""
    with writing():
        lock_tenant(tenant)
        request = queries.find_open_row(tenant, request_id)
        if request.verified_at is not None:
            raise SubjectRequestError("subject_request.verified", "that was shown before", "")
        last = (
            VerificationCodeTable.select()
            .where(
                (VerificationCodeTable.tenant_id == tenant) & (VerificationCodeTable.request == request_id)
            )
            .order_by(VerificationCodeTable.ordered_at.desc(), VerificationCodeTable.id.desc())
            .first()
        )
        if last is None or last.code_hash is None or last.valid_until is None or now >= last.valid_until:
            raise SubjectRequestError("subject_request.no_code", "no code is valid", "order a call")
        creation = _says(last, 1, CODE_CREATED)
        if (
            creation is None
            or dict(creation.body) | _leaf_data(last.code_hash, last.valid_until) != creation.body
        ):
            raise queries.not_logged_error(f"call {last.id}")
        tries = [
            each
            for each in leaf_lookup.leaves_after(tenant, creation.number, CODE_TRIED)
            if each.body["call"] == last.id
        ]
        if len(tries) >= TRIES:  # by the log, whatever the row says
            raise SubjectRequestError(
                "subject_request.tries_exhausted", "the code was tried too often", "order another call"
            )
        counted = VerificationCodeTable.update(tries=VerificationCodeTable.tries + 1).where(
            (VerificationCodeTable.id == last.id) & (VerificationCodeTable.tries < TRIES)
        )
        if not counted.execute():
            raise SubjectRequestError(
                "subject_request.tries_exhausted", "the code was tried too often", "order another call"
            )
        right = _is(last.id, "".join(code.split()), last.code_hash)
        body = {
            "request": request.id,
            "call": last.id,
            "correct": right,
            "actor": who,
            "tries": last.tries + 1,
        }
        append(tenant, CODE_TRIED, body, now, entropy)
        if right:
            service.record_verification(request, rules.CODE, who, None, now, entropy)
            VerificationCodeTable.update(code_hash=None).where(
                VerificationCodeTable.request == request_id
            ).execute()
    return bool(right)


def hash_code(call: str, code: str, entropy: Entropy) -> str:
    """The stored hash of a code: salted, and slow enough that a copy of the table is useless while the code
    is valid (``scrypt``, some 50 ms)."""
    salt = entropy(16)
    return f"{salt.hex()}:{_scrypt(call, code, salt)}"


def _is(call: str, code: str, code_hash: str) -> bool:
    salt, _, digest = code_hash.partition(":")
    if not (code.isascii() and code.isdecimal() and len(code) == DIGITS):
        return False
    return hmac.compare_digest(_scrypt(call, code, bytes.fromhex(salt)), digest)


def _scrypt(call: str, code: str, salt: bytes) -> str:
    return hashlib.scrypt(f"{call}:{code}".encode(), salt=salt, n=2**14, r=8, p=1).hex()


def _settle(row: CodeRow, condition: object, outcome: str, now: datetime, entropy: Entropy) -> None:
    if VerificationCodeTable.update(outcome=outcome).where(condition).execute():
        body = {"request": row.request, "call": row.id, "outcome": outcome}
        append(row.tenant, CALLED, body, now, entropy)


def _row(row: VerificationCodeTable) -> CodeRow:
    return CodeRow(
        row.id, row.tenant_id, row.request_id, row.number, row.language, row.until, row.outcome,
        row.valid_until, row.tries,
    )  # fmt: skip
