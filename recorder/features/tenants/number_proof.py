"""A customer adds a number of its own: the number is called, and the code that it is told makes the line.

Nobody is called at others' cost: only ordinary numbers of some countries, each three times a day in total,
ten times a day for a customer, and so many times for all. A line is made in the transaction in which the code
is compared with the log.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from recorder.auditlog.append import append, lock_tenant
from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import TenantRow
from recorder.catalogue.tables.number_proof import NumberProofTable
from recorder.clock import Now, utc_now
from recorder.domain import phone_numbers
from recorder.errors import CatalogueError
from recorder.features.tenants import lines
from recorder.features.tenants.default_lines import add_line
from recorder.ids import Entropy
from recorder.prompts.composer import SHIPPED
from recorder.prompts.sound_sources import Sources
from recorder.verification_calls.code import commit_number
from recorder.verification_calls.register import (
    A_DAY,
    CallRegister,
    VerificationCall,
    call_row,
    is_exhausted,
    is_open,
)

CALLS_A_CUSTOMER: Final = 10
"""In a day."""

SALT_BYTES: Final = 32

PROVED: Final = "number.proved"


class NumberCalls(CallRegister):
    """Calls to numbers that customers want to add."""

    TABLE = NumberProofTable
    ORDERED: ClassVar[str] = "number.call_ordered"
    CREATED: ClassVar[str] = "number.code_created"
    CALLED: ClassVar[str] = "number.called"
    TRIED: ClassVar[str] = "number.code_tried"
    OPENING: ClassVar[str] = "number-proof"

    def subject(self, row: NumberProofTable) -> dict[str, str]:
        return {}

    def number_salt(self, row: NumberProofTable) -> str | None:
        return None if row.line_id else str(row.number_salt)

    def no_code(self) -> CatalogueError:
        return CatalogueError("number.no_code", "no code is valid", "order a call")

    def tries_exhausted(self) -> CatalogueError:
        return CatalogueError("number.tries_exhausted", "the code was tried too often", "order another call")

    def not_logged(self, call: str) -> CatalogueError:
        hint = "run `accord audit run`, and compare with a backup of the catalogue"
        return CatalogueError("number.not_logged", f"the row of call {call} contradicts the log", hint)


CALLS: Final = NumberCalls()


@dataclass(frozen=True, slots=True)
class NumberProofs:
    """Calls numbers for customers, in some ``countries`` (``be``), and at most ``calls_a_day`` times in 24
    hours; makes lines of those whose code was heard."""

    countries: Collection[str]
    calls_a_day: int
    sources: Sources = SHIPPED
    now: Now = utc_now
    entropy: Entropy = os.urandom

    def order_call(self, owner: TenantRow, entry: str, *, who: str) -> VerificationCall:
        """Order a call with a code to a number, as somebody wrote it; an earlier code for it becomes invalid.
        Raises :class:`CatalogueError`: ``number.form`` (no complete number), ``number.kind`` (no ordinary
        one), ``number.country``, ``number.added`` (this customer has it), ``number.taken`` (another one has
        it), ``number.call_pending``, ``number.number_exhausted``, ``number.customer_exhausted``,
        ``number.day_exhausted``, ``tenant.offboarding_announced``."""
        number, now = self._callable(owner, entry), self.now()
        with writing():
            lock_tenant(owner.id)
            lines.check_not_leaving(owner.id)
            _check_unused(owner.id, number)
            last = CALLS.latest(NumberProofTable.tenant_id == owner.id)
            if last is not None and last.line_id is None and is_open(call_row(last), now):
                raise CatalogueError(
                    "number.call_pending", f"{last.number} is being called", "wait for a moment"
                )
            self._check_limits(owner.id, number, now)
            salt = self.entropy(SALT_BYTES).hex()
            return CALLS.order(
                owner.id, number, salt=salt, language=owner.language, who=who, now=now,
                entropy=self.entropy, number_salt=salt,
            )  # fmt: skip

    def find_call(self, tenant: str, call_id: str) -> VerificationCall | None:
        """A customer's call, as far as it is now; ``None`` if there is none."""
        row = _find_row(tenant, call_id)
        return None if row is None else call_row(row).at(self.now())

    def prove(self, owner: TenantRow, call_id: str, code: str, *, who: str) -> str | None:
        """Add the number of a call whose code this is, not recorded yet; returns the line's id, or ``None``
        for a wrong code. Each attempt is counted first. Raises :class:`CatalogueError`: ``number.no_code``
        (none is valid), ``number.tries_exhausted``, ``number.not_logged``, ``number.added``,
        ``number.taken``, ``tenant.offboarding_announced``."""
        now = self.now()
        with writing():
            lock_tenant(owner.id)
            lines.check_not_leaving(owner.id)
            row = _find_row(owner.id, call_id)
            if row is not None:
                _check_unused(owner.id, row.number)
                to_it = (NumberProofTable.tenant_id == owner.id) & (NumberProofTable.number == row.number)
                latest = CALLS.latest(to_it)
                row = row if latest is not None and latest.id == row.id else None
            if not CALLS.try_code(row, code, who=who, now=now, entropy=self.entropy) or row is None:
                return None
            line = add_line(
                owner, row.number, recorded=False, sources=self.sources, now=now, entropy=self.entropy
            )
            body = {"call": row.id, "line": line, "actor": who}
            body["number_sha256"] = commit_number(row.number, row.number_salt)
            append(owner.id, PROVED, body, now, self.entropy)
            change = {"line_id": line, "code_hash": None}
            NumberProofTable.update(change).where(NumberProofTable.id == row.id).execute()
        return line

    def _callable(self, owner: TenantRow, entry: str) -> str:
        number = phone_numbers.to_canonical(entry, owner.country)
        if number is None or not number.startswith("+"):
            raise CatalogueError(
                "number.form", f"{entry!r} is no complete number", "write it with its area code"
            )
        country = phone_numbers.ordinary_country(number)
        if country is None:
            raise CatalogueError(
                "number.kind", f"{number} is not called at an ordinary rate", "`accord line add`"
            )
        if country not in self.countries:
            hint = "add it to [numbers] countries, or use `accord line add`"
            raise CatalogueError("number.country", f"numbers of {country} are not called", hint)
        return number

    def _check_limits(self, tenant: str, number: str, now: datetime) -> None:
        since = now - A_DAY
        if is_exhausted(number, now):
            raise CatalogueError(
                "number.number_exhausted", f"{number} was called too often today", "try tomorrow"
            )
        if CALLS.count_since(since, tenant) >= CALLS_A_CUSTOMER:
            raise CatalogueError(
                "number.customer_exhausted", "this customer ordered too many calls", "try tomorrow"
            )
        if CALLS.count_since(since) >= self.calls_a_day:
            hint = "try tomorrow, or raise [numbers] calls_a_day"
            raise CatalogueError("number.day_exhausted", "too many numbers were called today", hint)


def _check_unused(tenant: str, number: str) -> None:
    row = lines.find_active(tenant, number)
    if row is None:
        return
    if row.tenant_id == tenant:
        raise CatalogueError(
            "number.added", f"this customer has {number} already", "set it up on the page of numbers"
        )
    raise CatalogueError("number.taken", f"another customer has {number}", "`accord line move`")


def _find_row(tenant: str, call_id: str) -> NumberProofTable | None:
    mine = (NumberProofTable.tenant_id == tenant) & (NumberProofTable.id == call_id)
    with connected():
        return NumberProofTable.get_or_none(mine)
