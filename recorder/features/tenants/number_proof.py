"""A customer adds a number of its own: the number is called, and the code that it is told makes the line.

Which numbers are called, and how often, is in :mod:`recorder.verification_calls.policy`. Nobody learns which
numbers other customers have: such a number is called like any other one, and who shows that they answer it is
referred to the provider. A line is made in the transaction in which the code is compared with the log.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Final

import structlog

from recorder.auditlog.append import append, tenant_lock
from recorder.catalogue.database import connected
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
from recorder.verification_calls.policy import CallPolicy
from recorder.verification_calls.register import CallRegister, VerificationCall, call_row, is_open

SALT_BYTES: Final = 32

PROVED: Final = "number.proved"

log = structlog.get_logger()


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
    """Calls numbers for customers, by a ``policy``; makes lines of those whose code was heard."""

    policy: CallPolicy = field(default_factory=CallPolicy)
    sources: Sources = SHIPPED
    now: Now = utc_now
    entropy: Entropy = os.urandom

    def order_call(self, owner: TenantRow, entry: str, *, who: str) -> VerificationCall:
        """Order a call with a code to a number, as somebody wrote it; an earlier code for it becomes invalid.
        Raises :class:`CatalogueError`: ``number.form`` (no complete number), ``number.added`` (this customer
        has it), ``number.call_pending``, ``tenant.offboarding_announced``; :class:`VerificationCallError` as
        :meth:`CallPolicy.check`."""
        number, now = _complete_number(owner, entry), self.now()
        with tenant_lock(owner.id):
            lines.check_not_leaving(owner.id)
            _check_not_added(owner.id, number)
            last = CALLS.latest(NumberProofTable.tenant_id == owner.id)
            if last is not None and last.line_id is None and is_open(call_row(last), now):
                raise CatalogueError(
                    "number.call_pending", f"{last.number} is being called", "wait for a moment"
                )
            salt = self.entropy(SALT_BYTES).hex()
            return CALLS.order(
                self.policy, owner.id, number, salt=salt, language=owner.language, who=who, now=now,
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
        ``number.with_provider`` (the provider adds it: somebody else has it),
        ``tenant.offboarding_announced``."""
        now = self.now()
        with tenant_lock(owner.id):
            lines.check_not_leaving(owner.id)
            row = _find_row(owner.id, call_id)
            if row is not None:
                _check_not_added(owner.id, row.number)
                to_it = (NumberProofTable.tenant_id == owner.id) & (NumberProofTable.number == row.number)
                latest = CALLS.latest(to_it)
                row = row if latest is not None and latest.id == row.id else None
            if not CALLS.try_code(row, code, who=who, now=now, entropy=self.entropy) or row is None:
                return None
            NumberProofTable.update(code_hash=None).where(NumberProofTable.id == row.id).execute()
            other = lines.find_active(owner.id, row.number)
            if other is None:
                return self._add(owner, row, who, now)
        log.warning(
            "number.claimed", tenant=owner.id, call=row.id, other_tenant=other.tenant_id, line=other.id,
            hint="find out whose number it is; `accord line move` gives it to another customer",
        )  # fmt: skip
        raise CatalogueError(
            "number.with_provider", "another customer has this number", "see number.claimed in the log"
        )

    def _add(self, owner: TenantRow, row: NumberProofTable, who: str, now: datetime) -> str:
        line = add_line(
            owner, row.number, recorded=False, sources=self.sources, now=now, entropy=self.entropy
        )
        body = {"call": row.id, "line": line, "actor": who}
        body["number_sha256"] = commit_number(row.number, row.number_salt)
        append(owner.id, PROVED, body, now, self.entropy)
        NumberProofTable.update(line_id=line).where(NumberProofTable.id == row.id).execute()
        return line


def _complete_number(owner: TenantRow, entry: str) -> str:
    number = phone_numbers.to_canonical(entry, owner.country)
    if number is None or not number.startswith("+"):
        raise CatalogueError("number.form", f"{entry!r} is no complete number", "write it with its area code")
    return number


def _check_not_added(tenant: str, number: str) -> None:
    row = lines.find_active(tenant, number)
    if row is not None and row.tenant_id == tenant:
        raise CatalogueError(
            "number.added", f"this customer has {number} already", "set it up on the page of numbers"
        )


def _find_row(tenant: str, call_id: str) -> NumberProofTable | None:
    mine = (NumberProofTable.tenant_id == tenant) & (NumberProofTable.id == call_id)
    with connected():
        return NumberProofTable.get_or_none(mine)
