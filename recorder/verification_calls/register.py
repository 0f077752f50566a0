"""The verification calls of a use case, from the order to the code that is typed in.

The panel orders a call; the worker of a node that can call out takes it, makes the code and stores a hash.
The code itself is in no table and no log. What is called, and which code counts, is what the customer's log
says: a row alone decides nothing. A code is valid for minutes and a few attempts. Which numbers are called,
and how often, is in :mod:`recorder.verification_calls.policy`.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

import structlog

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, tenant_lock
from recorder.catalogue.database import connected
from recorder.catalogue.row_values import read_value
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.clock import to_iso
from recorder.domain.live_command import NO_ANSWER, UNKNOWN
from recorder.errors import AccordError
from recorder.ids import Entropy, uuid7
from recorder.verification_calls.code import commit_number, hash_code, is_code, new_code
from recorder.verification_calls.policy import CallPolicy

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
    """A call with a code. ``outcome`` is ``None`` while it is open; ``done``: it was answered."""

    id: str
    tenant: str
    number: str
    language: str
    until: datetime
    outcome: str | None
    valid_until: datetime | None
    tries: int

    def at(self, now: datetime) -> VerificationCall:
        """The same, with the outcome that an open call has by a time: no node took it, or its outcome is
        unknown."""
        if self.outcome is not None or now <= self.until:
            return self
        if self.valid_until is not None and now <= self.until + SILENT:
            return self
        return replace(self, outcome=NO_ANSWER if self.valid_until is None else UNKNOWN)


class CallRegister(ABC):
    """The calls of one use case, in its ``TABLE``, with its kinds of leaves."""

    TABLE: ClassVar[type[VerificationCallTable]]
    ORDERED: ClassVar[str]
    CREATED: ClassVar[str]
    CALLED: ClassVar[str]
    TRIED: ClassVar[str]
    OPENING: ClassVar[str]
    """What is said before the code (``[spoken-together]`` in ``prompts/sentences.toml``)."""

    @abstractmethod
    def subject(self, row: Any) -> Mapping[str, str]:
        """The fields of each leaf that name what a call is for."""

    @abstractmethod
    def number_salt(self, row: Any) -> str | None:
        """The salt of the number's commitment in the log; ``None`` for a call that may no longer be made."""

    @abstractmethod
    def no_code(self) -> AccordError:
        """The error that no code is valid."""

    @abstractmethod
    def tries_exhausted(self) -> AccordError:
        """The error that a code was tried too often."""

    @abstractmethod
    def not_logged(self, call: str) -> AccordError:
        """The error that the row of a call contradicts the log."""

    def order(
        self, policy: CallPolicy, tenant: str, number: str, *, salt: str, language: str, who: str,
        now: datetime, entropy: Entropy, **columns: str,
    ) -> VerificationCall:  # fmt: skip
        """Inside the caller's transaction, which has locked the customer: order a call. Raises
        :class:`recorder.errors.VerificationCallError` as :meth:`CallPolicy.check`."""
        policy.check(tenant, number, now)
        call, until = str(uuid7(now, entropy)), now + TAKEN_WITHIN
        row = self.TABLE(
            id=call, tenant_id=tenant, number=number, language=language, ordered_at=now, until=until, tries=0,
            **columns,
        )  # fmt: skip
        body = {**self.subject(row), "call": call, "actor": who, "language": language}
        body |= {"until": to_iso(until), "number_sha256": commit_number(number, salt)}
        row.leaves = [append(tenant, self.ORDERED, body, now, entropy).number]
        row.save(force_insert=True)
        return call_row(row)

    def latest(self, condition: Any) -> Any | None:
        """The row of the latest call that meets a condition."""
        with connected():
            query = self.TABLE.select().where(condition)
            return query.order_by(self.TABLE.ordered_at.desc(), self.TABLE.id.desc()).first()

    def expire(self, call: VerificationCall, now: datetime, entropy: Entropy) -> None:
        """Record that no node took a call in time, or that its outcome is unknown."""
        with tenant_lock(call.tenant):
            condition = (self.TABLE.id == call.id) & self.TABLE.outcome.is_null()
            self._settle(call.id, condition & self.TABLE.taken_at.is_null(), NO_ANSWER, now, entropy)
            if now > call.until + SILENT:
                self._settle(call.id, condition, UNKNOWN, now, entropy)

    def take(self, node: str, now: datetime, entropy: Entropy) -> tuple[VerificationCall, str] | None:
        """Take the next call for this node, with a new code; ``None`` if there is none. A call that is not in
        the log, or to another number, is refused."""
        table = self.TABLE
        pending = table.taken_at.is_null() & table.outcome.is_null() & (table.until > now)
        with connected():
            row = table.select().where(pending).order_by(table.id).first()
        if row is None:
            return None
        code = new_code(entropy)
        code_hash, until = hash_code(row.id, code, entropy), now + VALID
        with tenant_lock(row.tenant_id):
            condition = (table.id == row.id) & pending
            if not self._was_ordered(row):
                if table.update(outcome=NOT_LOGGED).where(condition).execute():
                    log.error("verification_call.not_logged", call=row.id, tenant=row.tenant_id)
                return None
            claim = table.update(node=node, taken_at=now, code_hash=code_hash, valid_until=until)
            if not claim.where(condition).execute():
                return None
            body = {**self.subject(row), "call": row.id, "node": node, **_created(code_hash, until)}
            leaf = append(row.tenant_id, self.CREATED, body, now, entropy)
            table.update(leaves=[*row.leaves, leaf.number]).where(table.id == row.id).execute()
        return call_row(row), code

    def answer(
        self, node: str, call: VerificationCall, outcome: str, now: datetime, entropy: Entropy
    ) -> None:
        """Record the outcome of a call, once."""
        with tenant_lock(call.tenant):
            mine = (self.TABLE.id == call.id) & (self.TABLE.node == node)
            self._settle(call.id, mine & self.TABLE.outcome.is_null(), outcome, now, entropy)

    def try_code(self, row: Any | None, code: str, *, who: str, now: datetime, entropy: Entropy) -> bool:
        """Inside the caller's transaction: whether this is the code of a call. Each attempt is counted first.
        Raises :meth:`no_code`, :meth:`tries_exhausted`, :meth:`not_logged`."""
        if row is None or row.code_hash is None or row.valid_until is None or now >= row.valid_until:
            raise self.no_code()
        creation, digests = self._leaf(row, 1, self.CREATED), _created(row.code_hash, row.valid_until)
        if creation is None or {**creation.body, **digests} != creation.body or not self._was_ordered(row):
            raise self.not_logged(row.id)
        tries = [
            each
            for each in leaf_lookup.leaves_after(row.tenant_id, creation.number, self.TRIED)
            if each.body["call"] == row.id
        ]
        attempt = self.TABLE.update(tries=self.TABLE.tries + 1).where(
            (self.TABLE.id == row.id) & (self.TABLE.tries < TRIES)
        )
        if len(tries) >= TRIES or not attempt.execute():  # by the log, whatever the row says
            raise self.tries_exhausted()
        right = is_code(row.id, code, row.code_hash)
        body = {**self.subject(row), "call": row.id, "correct": right, "actor": who, "tries": row.tries + 1}
        append(row.tenant_id, self.TRIED, body, now, entropy)
        return right

    def _was_ordered(self, row: Any) -> bool:
        """Whether the log has this order, to this number."""
        leaf, salt = self._leaf(row, 0, self.ORDERED), self.number_salt(row)
        return (
            leaf is not None
            and salt is not None
            and leaf.body["number_sha256"] == commit_number(row.number, salt)
        )

    def _leaf(self, row: Any, place: int, kind: str) -> leaf_lookup.LoggedLeaf | None:
        """The leaf at that place among a call's leaves, if it has this kind and is about this call."""
        number = row.leaves[place] if row.leaves and len(row.leaves) > place else None
        leaf = leaf_lookup.find_leaf(row.tenant_id, number)
        if leaf is None or leaf.kind != kind:
            return None
        about = {**self.subject(row), "call": row.id}
        return leaf if all(leaf.body[name] == value for name, value in about.items()) else None

    def _settle(self, call: str, condition: Any, outcome: str, now: datetime, entropy: Entropy) -> None:
        if self.TABLE.update(outcome=outcome).where(condition).execute():
            row = self.TABLE.get_by_id(call)
            body = {**self.subject(row), "call": call, "outcome": outcome}
            append(row.tenant_id, self.CALLED, body, now, entropy)


def is_open(call: VerificationCall | None, now: datetime) -> bool:
    """Whether a number is being called right now."""
    return call is not None and call.at(now).outcome is None


def call_row(row: Any) -> VerificationCall:
    """A table's row as a value."""
    return read_value(VerificationCall, row)


def _created(code_hash: str, until: datetime) -> dict[str, str]:
    """What the log contains of a code: the digest of its hash, and when it expires."""
    return {"code_sha256": hashlib.sha256(code_hash.encode()).hexdigest(), "valid_until": to_iso(until)}
