"""Verification calls, from the order to the code that is typed in, whatever they are for.

The panel orders a call; the worker of a node that can call out takes it, makes the code and stores a hash.
The code itself is in no table and no log; a call to a room has none. What is called, and which code counts,
is what the customer's log says: a row alone decides nothing. A code is valid for minutes and a few attempts,
and once. Which numbers are called, and how often, is in :mod:`recorder.verification_calls.policy`; what it
means that somebody entered the code, in the features that order calls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import Body, Leaf, append, owning_recording, tenant_lock
from recorder.catalogue.database import connected
from recorder.catalogue.row_values import read_value
from recorder.catalogue.tables.verification_call import VerificationCallTable as Calls
from recorder.clock import to_iso
from recorder.domain.live_command import NO_ANSWER, UNKNOWN
from recorder.errors import VerificationCallError
from recorder.ids import Entropy, uuid7
from recorder.verification_calls.code import commit_text, hash_code, is_code, new_code
from recorder.verification_calls.policy import CallPolicy

NUMBER: Final = "number"
SUBJECT_REQUEST: Final = "subject_request"
DISPUTE: Final = "dispute"
OWN_CALL: Final = "own_call"
ROOM: Final = "room"
"""A call without a code: whoever answers enters the one of their invitation."""

OPENINGS: Final = {
    NUMBER: "number-proof",
    SUBJECT_REQUEST: "somebody-asked",
    DISPUTE: "somebody-listens",
    OWN_CALL: "own-call",
}
"""What calls with a code are for, which is the first word of their leaves' kinds; and what is said before the
code (``[spoken-together]`` in ``prompts/sentences.toml``)."""

USES: Final = (*OPENINGS, ROOM)

ORDERED: Final = "call_ordered"
CREATED: Final = "code_created"
TAKEN: Final = "call_taken"
CALLED: Final = "called"
TRIED: Final = "code_tried"
"""The second word."""

ABOUT: Final = ("request", "dispute", "guest", "recording")
"""The fields of leaves that name what a call is about: the columns of the same name, with ``_id``."""

SALT_BYTES: Final = 32

TAKEN_WITHIN: Final = timedelta(seconds=10)
"""How long an order waits for a node before it expires."""

VALID: Final = timedelta(minutes=15)

SILENT: Final = timedelta(minutes=2)
"""How long after its deadline the outcome of a taken call becomes unknown."""

TRIES: Final = 5
"""Attempts at one code."""

NOT_LOGGED: Final = "not_logged"
"""Outcome: no call was made, because the log has no such order."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class VerificationCall:
    """A call with a code, or to a room. ``outcome`` is ``None`` while it is open; ``done``: it was answered.
    The log has a commitment to the number under ``number_salt``."""

    id: str
    tenant: str
    use: str
    number: str
    number_salt: str
    language: str
    until: datetime
    taken_at: datetime | None
    outcome: str | None
    valid_until: datetime | None
    tries: int

    def at(self, now: datetime) -> VerificationCall:
        """The same, with the outcome that an open call has by a time: no node took it, or its outcome is
        unknown."""
        if self.outcome is not None or now <= self.until:
            return self
        if self.taken_at is not None and now <= self.until + SILENT:
            return self
        return replace(self, outcome=NO_ANSWER if self.taken_at is None else UNKNOWN)


def order(
    policy: CallPolicy, use: str, tenant: str, number: str, *, language: str, who: str, now: datetime,
    entropy: Entropy, salt: str | None = None, **about: str,
) -> VerificationCall:  # fmt: skip
    """Inside the caller's transaction, which has locked the customer: order a call with a code ``about``
    something (:data:`ABOUT`); an earlier code becomes invalid. ``salt`` is that of the number's commitment;
    ``None``: a new one. Raises :class:`VerificationCallError`: ``call.pending``, and as
    :meth:`CallPolicy.check`."""
    last = latest(use, tenant, **about)
    if last is not None and last.at(now).outcome is None:
        raise VerificationCallError(
            "call.pending", f"{last.number} is being called", "wait for the call to end"
        )
    salt = salt or entropy(SALT_BYTES).hex()
    policy.check(tenant, number, now)
    call, until = str(uuid7(now, entropy)), now + TAKEN_WITHIN
    body = {**about, "call": call, "actor": who, "language": language}
    body |= {"until": to_iso(until), "number_sha256": commit_text(number, salt)}
    leaf = _log(tenant, f"{use}.{ORDERED}", body, now, entropy)
    row = Calls.create(
        id=call, tenant_id=tenant, use=use, number=number, number_salt=salt, language=language,
        ordered_at=now, until=until, tries=0, leaves=[leaf.number],
        **{f"{name}_id": value for name, value in about.items()},
    )  # fmt: skip
    return read_value(VerificationCall, row)


def find(use: str, tenant: str, call: str) -> VerificationCall | None:
    """A customer's call."""
    return _first((Calls.id == call) & (Calls.use == use) & (Calls.tenant_id == tenant))


def latest(use: str, tenant: str, *, number: str | None = None, **about: str) -> VerificationCall | None:
    """A customer's latest call for a use: about something, to a number, or any."""
    condition = (Calls.use == use) & (Calls.tenant_id == tenant)
    if number is not None:
        condition &= Calls.number == number
    for name, value in about.items():
        condition &= getattr(Calls, f"{name}_id") == value
    return _first(condition)


def refresh(call: VerificationCall | None, now: datetime, entropy: Entropy) -> VerificationCall | None:
    """A call, after recording that no node took it in time, or that its outcome is unknown."""
    if call is None or call.outcome is not None or now <= call.until:
        return call
    with tenant_lock(call.tenant):
        _settle(call.id, Calls.taken_at.is_null(), NO_ANSWER, now, entropy)
        if now > call.until + SILENT:
            _settle(call.id, Calls.taken_at.is_null(False), UNKNOWN, now, entropy)
    return find(call.use, call.tenant, call.id)


def take(
    node: str, now: datetime, entropy: Entropy, uses: Collection[str] = USES
) -> tuple[VerificationCall, str] | None:
    """Take the next call of some uses for this node, with a new code, which is empty for a room; ``None`` if
    there is none. A call that is not in the log, or to another number, is refused."""
    pending = Calls.taken_at.is_null() & Calls.outcome.is_null() & (Calls.until > now)
    pending &= Calls.use.in_(tuple(uses))
    with connected():
        row = Calls.select().where(pending).order_by(Calls.id).first()
    if row is None:
        return None
    code, columns = "", dict[str, Any]()
    if row.use != ROOM:
        code = new_code(entropy)
        columns = {"code_hash": hash_code(row.id, code, entropy), "valid_until": now + VALID}
    with tenant_lock(row.tenant_id):
        condition = (Calls.id == row.id) & pending
        if not _was_ordered(row):
            if Calls.update(outcome=NOT_LOGGED).where(condition).execute():
                log.error("verification_call.not_logged", call=row.id, tenant=row.tenant_id)
            return None
        claim = Calls.update(node=node, taken_at=now, **columns)
        if not claim.where(condition).execute():
            return None
        kind, digests = (CREATED, _created(**columns)) if columns else (TAKEN, {})
        leaf = _append(row, kind, now, entropy, node=node, **digests)
        Calls.update(leaves=[*row.leaves, leaf]).where(Calls.id == row.id).execute()
    return read_value(VerificationCall, row), code


def answer(node: str, call: VerificationCall, outcome: str, now: datetime, entropy: Entropy) -> None:
    """Record the outcome of a call that this node took, once."""
    with tenant_lock(call.tenant):
        _settle(call.id, Calls.node == node, outcome, now, entropy)


def try_code(call: VerificationCall | None, code: str, *, who: str, now: datetime, entropy: Entropy) -> bool:
    """Inside the caller's transaction, which has locked the customer: whether this is the code of a call,
    which has none from then on. Each attempt is counted first. Raises :class:`VerificationCallError`:
    ``call.no_code`` (none is valid), ``call.tries_exhausted``, ``call.not_logged``."""
    row = None if call is None else Calls.get_or_none(Calls.id == call.id)
    if row is None or row.code_hash is None or row.valid_until is None or now >= row.valid_until:
        raise VerificationCallError("call.no_code", "no code is valid", "order a call")
    creation, digests = _leaf(row, 1, CREATED), _created(row.code_hash, row.valid_until)
    if creation is None or {**creation.body, **digests} != creation.body or not _was_ordered(row):
        hint = "run `accord audit run`, and compare with a backup of the catalogue"
        raise VerificationCallError("call.not_logged", f"the row of call {row.id} contradicts the log", hint)
    leaves = leaf_lookup.leaves_after(row.tenant_id, creation.number, f"{row.use}.{TRIED}")
    tries = [each.body["correct"] for each in leaves if each.body["call"] == row.id]
    attempt = Calls.update(tries=Calls.tries + 1).where((Calls.id == row.id) & (Calls.tries < TRIES))
    if len(tries) >= TRIES or any(tries) or not attempt.execute():  # by the log, whatever the row says
        raise VerificationCallError(
            "call.tries_exhausted", "the code was tried too often", "order another call"
        )
    right = is_code(row.id, code, row.code_hash)
    _append(row, TRIED, now, entropy, correct=right, actor=who, tries=row.tries + 1)
    if right:
        Calls.update(code_hash=None).where(Calls.id == row.id).execute()
    return right


def wrong_code() -> VerificationCallError:
    """The error that a code is not that of a call."""
    return VerificationCallError("call.wrong_code", "wrong code", "enter the code from the call")


def _first(condition: Any) -> VerificationCall | None:
    with connected():
        row = Calls.select().where(condition).order_by(Calls.ordered_at.desc(), Calls.id.desc()).first()
    return None if row is None else read_value(VerificationCall, row)


def _was_ordered(row: Any) -> bool:
    """Whether the log has this order, to this number and until this time."""
    leaf = _leaf(row, 0, ORDERED)
    stated = {"number_sha256": commit_text(row.number, row.number_salt), "until": to_iso(row.until)}
    return leaf is not None and {**leaf.body, **stated} == leaf.body


def _leaf(row: Any, place: int, kind: str) -> leaf_lookup.LoggedLeaf | None:
    """The leaf at that place among a call's leaves, if it has this kind and is about this call."""
    number = row.leaves[place] if row.leaves and len(row.leaves) > place else None
    leaf = leaf_lookup.find_leaf(row.tenant_id, number)
    if leaf is None or leaf.kind != f"{row.use}.{kind}" or leaf.body["call"] != row.id:
        return None
    return leaf if {name: leaf.body[name] for name in ABOUT if name in leaf.body} == _about(row) else None


def _settle(call: str, condition: Any, outcome: str, now: datetime, entropy: Entropy) -> None:
    """Record the outcome of a call that has none yet."""
    open_ = (Calls.id == call) & Calls.outcome.is_null()
    if Calls.update(outcome=outcome).where(open_ & condition).execute():
        _append(Calls.get_by_id(call), CALLED, now, entropy, outcome=outcome)


def _append(row: Any, kind: str, now: datetime, entropy: Entropy, **fields: object) -> int:
    """Append a leaf about a call; returns its number."""
    body = {**_about(row), "call": row.id, **fields}
    return _log(row.tenant_id, f"{row.use}.{kind}", body, now, entropy).number


def _log(tenant: str, kind: str, body: Body, now: datetime, entropy: Entropy) -> Leaf:
    return append(tenant, kind, body, now, entropy, recording=owning_recording(kind, body))


def _about(row: Any) -> dict[str, str]:
    columns = {name: getattr(row, f"{name}_id") for name in ABOUT}
    return {name: value for name, value in columns.items() if value is not None}


def _created(code_hash: str, valid_until: datetime) -> dict[str, str]:
    """What the log contains of a code: the digest of its hash, and when it expires."""
    return {"code_sha256": hashlib.sha256(code_hash.encode()).hexdigest(), "valid_until": to_iso(valid_until)}
