"""The call with a code: six digits that only whoever answers the number hears.

The panel orders a call, the worker of a node that has a way out takes it, makes the code and keeps a hash of
it; the code itself is in no table and no log.  Nobody may use this to ring up strangers: a number is called
only for a request of a customer that has calls with it, a few times a day whoever asks, and a code is valid
for minutes and a few tries.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from recorder.catalogue import persons, reviews
from recorder.catalogue.asking import PersonCode, PersonRequest
from recorder.catalogue.database import connected, writing
from recorder.clock import to_iso
from recorder.control import NO_ANSWER, UNKNOWN
from recorder.errors import PersonError
from recorder.ids import Entropy, uuid7
from recorder.ledger.append import append, hold, says

DIGITS: Final = 6

TAKEN_WITHIN: Final = timedelta(seconds=10)
"""After which a call that no node has taken is not made any more."""

VALID: Final = timedelta(minutes=15)

SILENT: Final = timedelta(minutes=2)
"""After its deadline, what became of a call that was taken and not answered is not known."""

RECENT: Final = 5000
"""Leaves of a customer's log among which those of a call that is made now are looked for."""

TRIES: Final = 5
"""Of one code."""

A_DAY: Final = timedelta(days=1)
CALLS_A_NUMBER: Final = 3
"""In a day, whoever asks."""
CALLS_A_CUSTOMER: Final = 30
"""In a day, of one customer's requests."""


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
    :class:`PersonError`: ``person.closed``, ``person.proved``, ``person.nothing`` (this customer has no call
    with that number), ``person.calling`` (it is being called), ``person.called_often``."""
    with writing():
        hold(tenant)
        request = persons.open_one(tenant, request_id)
        if request.proved_at is not None:
            raise PersonError("person.proved", "that was shown before", "")
        if not reviews.anything(tenant, request.number):
            raise PersonError("person.nothing", "there is no call with that number here", "")
        since = now - A_DAY
        same = (PersonCode.number == request.number) & (PersonCode.asked_at > since)
        mine = (PersonCode.tenant_id == tenant) & (PersonCode.asked_at > since)
        last = latest(tenant, request_id)
        if last is not None and last.outcome is None and now <= last.until + SILENT:
            raise PersonError("person.calling", "that number is being called", "")
        if (
            PersonCode.select().where(same).count() >= CALLS_A_NUMBER
            or PersonCode.select().where(mine).count() >= CALLS_A_CUSTOMER
        ):
            raise PersonError("person.called_often", "it was called too often today", "try again tomorrow")
        row = PersonCode.create(
            id=str(uuid7(now, entropy)), request=request.id, tenant_id=tenant, number=request.number,
            language=request.language, asked_at=now, until=now + TAKEN_WITHIN, tries=0,
        )  # fmt: skip
        body = {"request": request.id, "call": row.id, "who": who, "language": row.language}
        body |= {"until": to_iso(row.until), "number_hash": persons.hidden(request.salt, row.number)}
        append(tenant, "person.call_ordered", body, now, entropy)
    return _row(row)


def latest(tenant: str, request_id: str) -> CodeRow | None:
    """The last call of a customer's request."""
    with connected():
        query = PersonCode.select().where(
            (PersonCode.tenant_id == tenant) & (PersonCode.request == request_id)
        )
        row = query.order_by(PersonCode.asked_at.desc(), PersonCode.id.desc()).first()
    return None if row is None else _row(row)


def seen(tenant: str, request_id: str, now: datetime, entropy: Entropy) -> CodeRow | None:
    """The same, with what is by now sure: what nobody has taken in time is not done."""
    row = latest(tenant, request_id)
    if row is None or row.outcome is not None or now <= row.until:
        return row
    with writing():
        hold(tenant)
        mine = (PersonCode.id == row.id) & PersonCode.outcome.is_null()
        _settle(row, mine & PersonCode.taken_at.is_null(), NO_ANSWER, now, entropy)
        if now > row.until + SILENT:
            _settle(row, mine, UNKNOWN, now, entropy)
    return latest(tenant, request_id)


def take(node: str, now: datetime, entropy: Entropy) -> tuple[CodeRow, str] | None:
    """Take the next call for this node, with a new code; ``None`` where there is none.  A row that the
    customer's log does not bear out, with its number, rings nobody up."""
    with connected():
        waiting = PersonCode.taken_at.is_null() & PersonCode.outcome.is_null() & (PersonCode.until > now)
        rows = PersonCode.select().where(waiting).order_by(PersonCode.id)
        row = next((each for each in rows if _is_ordered(each)), None)
    if row is None:
        return None
    code = f"{int.from_bytes(entropy(8), 'big') % 10**DIGITS:0{DIGITS}}"
    with writing():
        valid_until, code_hash = now + VALID, hashed(row.id, code, entropy)
        taken = PersonCode.update(
            node=node, taken_at=now, code_hash=code_hash, valid_until=valid_until
        ).where((PersonCode.id == row.id) & waiting)
        if not taken.execute():
            return None
        body = {"request": row.request_id, "call": row.id, "node": node, "code_hash": code_hash}
        body |= {"valid_until": to_iso(valid_until)}
        append(row.tenant_id, "person.code_made", body, now, entropy)
    return _row(row), code


def _is_ordered(row: PersonCode) -> bool:
    salt = PersonRequest.select(PersonRequest.salt).where(PersonRequest.id == row.request_id).scalar()
    body = {"request": row.request_id, "call": row.id}
    body["number_hash"] = persons.hidden(salt or "", row.number)
    return says(row.tenant_id, "person.call_ordered", body, among=RECENT)


def answer(node: str, row: CodeRow, outcome: str, now: datetime, entropy: Entropy) -> None:
    """Say what came of the call, once."""
    with writing():
        hold(row.tenant)
        mine = (PersonCode.id == row.id) & (PersonCode.node == node) & PersonCode.outcome.is_null()
        _settle(row, mine, outcome, now, entropy)


def try_code(tenant: str, request_id: str, code: str, *, who: str, now: datetime, entropy: Entropy) -> bool:
    """Whether it is the code of the last call; then the number is shown to be theirs.  Each try is counted
    before it is looked at.  Raises :class:`PersonError`: ``person.proved``, ``person.closed``,
    ``person.no_code`` (there is none that is valid), ``person.tried_often``."""
    with writing():
        hold(tenant)
        request = persons.open_one(tenant, request_id)
        if request.proved_at is not None:
            raise PersonError("person.proved", "that was shown before", "")
        last = (
            PersonCode.select()
            .where((PersonCode.tenant_id == tenant) & (PersonCode.request == request_id))
            .order_by(PersonCode.asked_at.desc(), PersonCode.id.desc())
            .first()
        )
        if last is None or last.code_hash is None or last.valid_until is None or now >= last.valid_until:
            raise PersonError("person.no_code", "there is no code that is valid", "have the number called")
        counted = PersonCode.update(tries=PersonCode.tries + 1).where(
            (PersonCode.id == last.id) & (PersonCode.tries < TRIES)
        )
        if not counted.execute():
            raise PersonError("person.tried_often", "that code was tried too often", "have it called again")
        made = {"call": last.id, "code_hash": last.code_hash}
        right = _is(last.id, "".join(code.split()), last.code_hash)
        right = right and says(tenant, "person.code_made", made, among=RECENT)
        body = {"request": request.id, "right": right, "who": who, "call": last.id, "tries": last.tries + 1}
        append(tenant, "person.code_tried", body, now, entropy)
        if right:
            persons.prove(request, persons.CODE, who, None, now, entropy)
            PersonCode.update(code_hash=None).where(PersonCode.request == request_id).execute()
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
    if PersonCode.update(outcome=outcome).where(mine).execute():
        body = {"request": row.request, "call": row.id, "outcome": outcome}
        append(row.tenant, "person.called", body, now, entropy)


def _row(row: PersonCode) -> CodeRow:
    return CodeRow(
        row.id, row.tenant_id, row.request_id, row.number, row.language, row.until, row.outcome,
        row.valid_until, row.tries,
    )  # fmt: skip
