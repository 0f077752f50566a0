"""Verification by telephone: six digits that only the person who answers the number hears.

The panel orders a call; the worker of a node that can make outbound calls takes it, makes the code and stores
a hash.  The code itself is in no table and no log.  Nobody can use this to ring strangers: a number is called
only for a request of a customer that has calls with it, a few times a day in total, and a code is valid for
minutes and a few attempts.
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
from recorder.errors import PersonError
from recorder.features.subject_requests import register, reviews
from recorder.ids import Entropy, uuid7

DIGITS: Final = 6

TAKEN_WITHIN: Final = timedelta(seconds=10)
"""After which a call that no node has taken is not made any more."""

VALID: Final = timedelta(minutes=15)

SILENT: Final = timedelta(minutes=2)
"""After its deadline, what became of a call that was taken and not answered is not known."""

TRIES: Final = 5
"""Of one code."""

NOT_LOGGED: Final = "not_logged"
"""Nobody was called: the log does not say that it was ordered."""

ORDERED: Final = "subject_request.call_ordered"
MADE: Final = "subject_request.code_created"
CALLED: Final = "subject_request.called"
TRIED: Final = "subject_request.code_tried"

A_DAY: Final = timedelta(days=1)
CALLS_A_NUMBER: Final = 3
"""In a day, whoever asks."""
CALLS_A_CUSTOMER: Final = 30
"""In a day, of one customer's requests."""


log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A call with a code.  ``outcome`` is ``None`` while that is open; ``done``: somebody answered."""

    id: str
    tenant: str
    request: str
    number: str
    language: str
    until: datetime
    outcome: str | None
    valid_until: datetime | None
    tries: int


def order(tenant: str, request_id: str, *, who: str, now: datetime, entropy: Entropy) -> CodeRow:
    """Have the number of a request called with a code; the code of before is void.  Raises
    :class:`PersonError`: ``subject_request.closed``, ``subject_request.verified``,
    ``subject_request.nothing`` (this customer has no call with that number), ``subject_request.call_pending``
    (it is being called), ``subject_request.calls_exhausted``."""
    with writing():
        lock_tenant(tenant)
        request = register.open_one(tenant, request_id)
        if request.verified_at is not None:
            raise PersonError("subject_request.verified", "that was shown before", "")
        if not reviews.anything(tenant, request.number):
            raise PersonError("subject_request.nothing", "there is no call with that number here", "")
        since = now - A_DAY
        same = (VerificationCodeTable.number == request.number) & (VerificationCodeTable.ordered_at > since)
        mine = (VerificationCodeTable.tenant_id == tenant) & (VerificationCodeTable.ordered_at > since)
        last = latest(tenant, request_id)
        if last is not None and last.outcome is None and now <= last.until + SILENT:
            raise PersonError("subject_request.call_pending", "that number is being called", "")
        if (
            VerificationCodeTable.select().where(same).count() >= CALLS_A_NUMBER
            or VerificationCodeTable.select().where(mine).count() >= CALLS_A_CUSTOMER
        ):
            raise PersonError(
                "subject_request.calls_exhausted", "it was called too often today", "try again tomorrow"
            )
        call, until = str(uuid7(now, entropy)), now + TAKEN_WITHIN
        body = {"request": request.id, "call": call, "actor": who, "language": request.language}
        body |= {"until": to_iso(until), "number_sha256": register.committed(request)}
        leaf = append(tenant, ORDERED, body, now, entropy)
        row = VerificationCodeTable.create(
            id=call, request=request.id, tenant_id=tenant, number=request.number, language=request.language,
            ordered_at=now, until=until, tries=0, leaves=[leaf.number],
        )  # fmt: skip
    return _row(row)


def latest(tenant: str, request_id: str) -> CodeRow | None:
    """The last call of a customer's request."""
    with connected():
        query = VerificationCodeTable.select().where(
            (VerificationCodeTable.tenant_id == tenant) & (VerificationCodeTable.request == request_id)
        )
        row = query.order_by(VerificationCodeTable.ordered_at.desc(), VerificationCodeTable.id.desc()).first()
    return None if row is None else _row(row)


def seen(tenant: str, request_id: str, now: datetime, entropy: Entropy) -> CodeRow | None:
    """The same, with what is by now sure: what nobody has taken in time is not done."""
    row = latest(tenant, request_id)
    if row is None or row.outcome is not None or now <= row.until:
        return row
    with writing():
        lock_tenant(tenant)
        mine = (VerificationCodeTable.id == row.id) & VerificationCodeTable.outcome.is_null()
        _settle(row, mine & VerificationCodeTable.taken_at.is_null(), NO_ANSWER, now, entropy)
        if now > row.until + SILENT:
            _settle(row, mine, UNKNOWN, now, entropy)
    return latest(tenant, request_id)


def take(node: str, now: datetime, entropy: Entropy) -> tuple[CodeRow, str] | None:
    """Take the next call for this node, with a new code; ``None`` where there is none.  One that the log does
    not know of, or to another number than the request's, is not made."""
    with connected():
        waiting = (
            VerificationCodeTable.taken_at.is_null()
            & VerificationCodeTable.outcome.is_null()
            & (VerificationCodeTable.until > now)
        )
        row = VerificationCodeTable.select().where(waiting).order_by(VerificationCodeTable.id).first()
    if row is None:
        return None
    code = f"{int.from_bytes(entropy(8), 'big') % 10**DIGITS:0{DIGITS}}"
    kept, until = hashed(row.id, code, entropy), now + VALID
    with writing():
        lock_tenant(row.tenant_id)
        mine = (VerificationCodeTable.id == row.id) & waiting
        if not _was_ordered(row):
            if VerificationCodeTable.update(outcome=NOT_LOGGED).where(mine).execute():
                log.error("verification_call.not_logged", call=row.id, tenant=row.tenant_id)
            return None
        taken = VerificationCodeTable.update(
            node=node, taken_at=now, code_hash=kept, valid_until=until
        ).where(mine)
        if not taken.execute():
            return None
        body = {"request": row.request_id, "call": row.id, "node": node, **_made(kept, until)}
        leaf = append(row.tenant_id, MADE, body, now, entropy)
        leaves = [*row.leaves, leaf.number]
        VerificationCodeTable.update(leaves=leaves).where(VerificationCodeTable.id == row.id).execute()
    return _row(row), code


def _was_ordered(row: VerificationCodeTable) -> bool:
    """Whether the log says that this call was ordered, and it is to the number of its request."""
    try:
        request = register.open_one(row.tenant_id, row.request_id)
    except PersonError:
        return False
    return _says(row, 0, ORDERED) is not None and row.number == request.number


def _says(row: VerificationCodeTable, place: int, kind: str) -> leaf_lookup.LoggedLeaf | None:
    """The leaf that a call's row names, of this kind and of this call."""
    number = row.leaves[place] if row.leaves and len(row.leaves) > place else None
    leaf = leaf_lookup.leaf(row.tenant_id, number)
    if leaf is None or leaf.kind != kind:
        return None
    return leaf if (leaf.body["request"], leaf.body["call"]) == (row.request_id, row.id) else None


def _made(kept: str, until: datetime) -> dict[str, str]:
    """What the log has of a code: of which hash of it, and until when that is valid."""
    return {"code_sha256": register.digest(kept), "valid_until": to_iso(until)}


def answer(node: str, row: CodeRow, outcome: str, now: datetime, entropy: Entropy) -> None:
    """Say what came of the call, once."""
    with writing():
        lock_tenant(row.tenant)
        mine = (
            (VerificationCodeTable.id == row.id)
            & (VerificationCodeTable.node == node)
            & VerificationCodeTable.outcome.is_null()
        )
        _settle(row, mine, outcome, now, entropy)


def try_code(tenant: str, request_id: str, code: str, *, who: str, now: datetime, entropy: Entropy) -> bool:
    """Whether it is the code of the last call; then the number is shown to be theirs.  Each try is counted
    before it is looked at.  Raises :class:`PersonError`: ``subject_request.verified``,
    ``subject_request.closed``, ``subject_request.no_code`` (there is none that is valid),
    ``subject_request.tries_exhausted``."""
    with writing():
        lock_tenant(tenant)
        request = register.open_one(tenant, request_id)
        if request.verified_at is not None:
            raise PersonError("subject_request.verified", "that was shown before", "")
        last = (
            VerificationCodeTable.select()
            .where(
                (VerificationCodeTable.tenant_id == tenant) & (VerificationCodeTable.request == request_id)
            )
            .order_by(VerificationCodeTable.ordered_at.desc(), VerificationCodeTable.id.desc())
            .first()
        )
        if last is None or last.code_hash is None or last.valid_until is None or now >= last.valid_until:
            raise PersonError(
                "subject_request.no_code", "there is no code that is valid", "have the number called"
            )
        made = _says(last, 1, MADE)
        if made is None or dict(made.body) | _made(last.code_hash, last.valid_until) != made.body:
            raise register.not_logged(f"call {last.id}")
        tries = [
            each for each in leaf_lookup.after(tenant, made.number, TRIED) if each.body["call"] == last.id
        ]
        if len(tries) >= TRIES:  # whatever a row counts
            raise PersonError(
                "subject_request.tries_exhausted", "that code was tried too often", "have it called again"
            )
        counted = VerificationCodeTable.update(tries=VerificationCodeTable.tries + 1).where(
            (VerificationCodeTable.id == last.id) & (VerificationCodeTable.tries < TRIES)
        )
        if not counted.execute():
            raise PersonError(
                "subject_request.tries_exhausted", "that code was tried too often", "have it called again"
            )
        right = _is(last.id, "".join(code.split()), last.code_hash)
        body = {
            "request": request.id,
            "call": last.id,
            "correct": right,
            "actor": who,
            "tries": last.tries + 1,
        }
        append(tenant, TRIED, body, now, entropy)
        if right:
            register.prove(request, register.CODE, who, None, now, entropy)
            VerificationCodeTable.update(code_hash=None).where(
                VerificationCodeTable.request == request_id
            ).execute()
    return bool(right)


def hashed(call: str, code: str, entropy: Entropy) -> str:
    """What is kept of a code: salted, and slow enough that a copy of the table is of no use while the code is
    valid (``scrypt``, some 50 ms)."""
    salt = entropy(16)
    return f"{salt.hex()}:{_scrypt(call, code, salt)}"


def _is(call: str, code: str, kept: str) -> bool:
    salt, _, digest = kept.partition(":")
    if not (code.isascii() and code.isdecimal() and len(code) == DIGITS):
        return False
    return hmac.compare_digest(_scrypt(call, code, bytes.fromhex(salt)), digest)


def _scrypt(call: str, code: str, salt: bytes) -> str:
    return hashlib.scrypt(f"{call}:{code}".encode(), salt=salt, n=2**14, r=8, p=1).hex()


def _settle(row: CodeRow, mine: object, outcome: str, now: datetime, entropy: Entropy) -> None:
    if VerificationCodeTable.update(outcome=outcome).where(mine).execute():
        body = {"request": row.request, "call": row.id, "outcome": outcome}
        append(row.tenant, CALLED, body, now, entropy)


def _row(row: VerificationCodeTable) -> CodeRow:
    return CodeRow(
        row.id, row.tenant_id, row.request_id, row.number, row.language, row.until, row.outcome,
        row.valid_until, row.tries,
    )  # fmt: skip
