"""A customer adds a number of its own: the number is called, and the code that it is told makes the line.

Which numbers are called, and how often, is in :mod:`recorder.verification_calls.policy`. Nobody learns which
numbers other customers have: such a number is called like any other one, and who shows that they answer it is
referred to the provider. A line is made in the transaction in which the code is compared with the log.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from recorder.auditlog.append import append, tenant_lock
from recorder.catalogue.records import TenantRow
from recorder.clock import Now, utc_now
from recorder.domain import phone_numbers
from recorder.errors import CatalogueError
from recorder.features.tenants import lines
from recorder.features.tenants.default_lines import add_line
from recorder.ids import Entropy
from recorder.prompts.composer import SHIPPED
from recorder.prompts.sound_sources import Sources
from recorder.verification_calls import register
from recorder.verification_calls.code import commit_text
from recorder.verification_calls.policy import CallPolicy
from recorder.verification_calls.register import NUMBER, VerificationCall

PROVED: Final = "number.proved"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NumberProofs:
    """Calls numbers for customers, by a ``policy``; makes lines of those whose code was heard.
    ``never_record`` are numbers that the operator excludes."""

    policy: CallPolicy = field(default_factory=CallPolicy)
    sources: Sources = SHIPPED
    now: Now = utc_now
    entropy: Entropy = os.urandom
    never_record: Sequence[str] = ()

    def order_call(self, owner: TenantRow, entry: str, *, who: str) -> VerificationCall:
        """Order a call with a code to a number, as somebody wrote it; an earlier code for it becomes invalid.
        Raises :class:`CatalogueError`: as :func:`phone_numbers.read_line_number` (``line.number`` also for an
        incomplete number), ``number.added`` (this customer has it), ``tenant.offboarding_announced``;
        :class:`recorder.errors.VerificationCallError` as :func:`register.order`."""
        number, now = _complete_number(entry, owner.country, self.never_record), self.now()
        with tenant_lock(owner.id):
            lines.check_not_leaving(owner.id)
            _check_not_added(owner.id, number)
            return register.order(
                self.policy, NUMBER, owner.id, number, language=owner.language, who=who, now=now,
                entropy=self.entropy,
            )  # fmt: skip

    def find_call(self, tenant: str, call_id: str) -> VerificationCall | None:
        """A customer's call, as far as it is now; ``None`` if there is none."""
        call = register.find(NUMBER, tenant, call_id)
        return None if call is None else call.at(self.now())

    def prove(self, owner: TenantRow, call_id: str, code: str, *, who: str) -> str | None:
        """Add the number of a call whose code this is, not recorded yet; returns the line's id, or ``None``
        for a wrong code. Each attempt is counted first. Raises :class:`CatalogueError`: ``number.added``,
        ``number.with_provider`` (the provider adds it: somebody else has it),
        ``tenant.offboarding_announced``; :class:`recorder.errors.VerificationCallError` as
        :func:`register.try_code`."""
        now = self.now()
        with tenant_lock(owner.id):
            lines.check_not_leaving(owner.id)
            call = register.find(NUMBER, owner.id, call_id)
            if call is not None:
                _check_not_added(owner.id, call.number)
                last = register.latest(NUMBER, owner.id, number=call.number)
                call = call if last is not None and last.id == call.id else None
            if not register.try_code(call, code, who=who, now=now, entropy=self.entropy) or call is None:
                return None
            other = lines.find_active(owner.id, call.number)
            if other is None:
                return self._add(owner, call, who, now)
        log.warning(
            "number.claimed", tenant=owner.id, call=call.id, other_tenant=other.tenant_id, line=other.id,
            hint="find out whose number it is; `accord line move` gives it to another customer",
        )  # fmt: skip
        raise CatalogueError(
            "number.with_provider", "another customer has this number", "see number.claimed in the log"
        )

    def _add(self, owner: TenantRow, call: VerificationCall, who: str, now: datetime) -> str:
        line = add_line(
            owner, call.number, recorded=False, sources=self.sources, now=now, entropy=self.entropy
        )
        body = {"call": call.id, "line": line, "actor": who}
        body["number_sha256"] = commit_text(call.number, call.number_salt)
        append(owner.id, PROVED, body, now, self.entropy)
        return line


def _complete_number(entry: str, country: str, never_record: Sequence[str]) -> str:
    number = phone_numbers.read_line_number(entry, country, never_record)
    if not number.is_international:
        raise CatalogueError("line.number", f"{entry!r} is no complete number", "write it with its area code")
    return number.value


def _check_not_added(tenant: str, number: str) -> None:
    row = lines.find_active(tenant, number)
    if row is not None and row.tenant_id == tenant:
        raise CatalogueError(
            "number.added", f"this customer has {number} already", "set it up on the page of numbers"
        )
