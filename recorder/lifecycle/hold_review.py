"""After a restore or a rebuild nothing expires until a person has confirmed the legal holds (P8): if the
bucket had lost a hold, a recording that is still needed would be erased.

The suspension is a leaf in every customer's log, not a row: removing it changes a signed log. So is the
confirmation, whose body is a signed statement that names the leaf it answers: writing rows confirms nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

import structlog
from peewee import SQL, fn

from recorder.auditlog.append import append, lock_tenant
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import to_iso
from recorder.errors import SealError
from recorder.fault_log import FaultLog
from recorder.ids import Entropy
from recorder.lifecycle import amendments
from recorder.seal import signed_document, signing
from recorder.seal.revocation import Trust, is_doubtful
from recorder.strict_json import Form, Natural, Sha256, Strict, Time

UNCONFIRMED: Final = "holds.unconfirmed"
CONFIRMED: Final = "holds.confirmed"


@dataclass(frozen=True, slots=True)
class Confirmation(Strict):
    """The statement that a customer's ``holds`` (their number) were reviewed; ``leaf`` is the hash of the
    leaf that it answers."""

    tenant: str
    leaf: Sha256
    holds: Natural
    at: Time


CONFIRMATION: Final = signed_document.Kind(
    "accord-holds-confirmed", "confirmation", signing.RETENTION, Form[Confirmation](Confirmation)
)

_EITHER: Final = SQL("kind IN ('holds.unconfirmed', 'holds.confirmed')")
"""Literally the condition of an index (migration 0001), without which this would read every leaf."""

log = structlog.get_logger()


def holds_unconfirmed() -> datetime | None:
    """Since when expiry of any customer's recordings is suspended until the holds are confirmed; ``None`` if
    it is not. For display: :func:`check_confirmed` decides."""
    with connected():
        if not (unconfirmed := _suspended_customers()):
            return None
        rows = LeafTable.select(LeafTable.tenant, LeafTable.number, LeafTable.at).where(_EITHER)
        return min(row.at for row in rows if unconfirmed.get(row.tenant_id) == row.number)


def require_confirmation(because: str, now: datetime, entropy: Entropy) -> None:
    """Inside the caller's transaction: suspend expiry until the holds are confirmed."""
    unconfirmed = _suspended_customers()
    for tenant in [row.id for row in TenantTable.select(TenantTable.id).order_by(TenantTable.id)]:
        if tenant not in unconfirmed:
            append(tenant, UNCONFIRMED, {"reason": because}, now, entropy)


def suspend_expiry(because: str, now: datetime, entropy: Entropy) -> None:
    """The same in its own transaction."""
    with writing():
        require_confirmation(because, now, entropy)


def confirm_holds(signer: signing.Signer, trust: Trust, now: datetime, entropy: Entropy) -> bool:
    """Resume expiry, in every customer's log; false if it was not suspended. Raises :class:`SealError` for a
    key that may not sign this."""
    signer.check(signing.RETENTION, now)
    holds = amendments.holds()
    with writing():
        unconfirmed = {
            each: leaf for each in _affected_customers() if (leaf := _unanswered(each, trust)) is not None
        }
        for tenant, leaf in unconfirmed.items():
            lock_tenant(tenant)
            count = sum(each.tenant == tenant for each in holds)
            confirmation = Confirmation(tenant, leaf.leaf_hash, count, now)
            statement = CONFIRMATION.write(confirmation, signer).decode()
            append(tenant, CONFIRMED, {"holds": count, "statement": statement}, now, entropy)
    return bool(unconfirmed)


def check_confirmed(tenant: str, trust: Trust) -> None:
    """Raises :class:`SealError` (``retention.holds_unconfirmed``) if the last suspension in a customer's log
    has no signed confirmation."""
    with connected():
        waits = _unanswered(tenant, trust) is not None
    if waits:
        raise SealError(
            "retention.holds_unconfirmed",
            "the legal holds are not confirmed after a restore or rebuild: nothing is erased",
            "review the holds, then run `accord rebuild --confirm-holds`",
        )


def _affected_customers() -> list[str]:
    """Customers whose log has a suspension or a confirmation."""
    rows = LeafTable.select(LeafTable.tenant).where(_EITHER).distinct()
    return sorted(row.tenant_id for row in rows)


def _unanswered(tenant: str, trust: Trust) -> LeafTable | None:
    """The last suspension in a customer's log, unless a signed confirmation answers it."""
    query = LeafTable.select().where((LeafTable.tenant == tenant) & _EITHER)
    rows = list(query.order_by(LeafTable.number))
    last = max((at for at, row in enumerate(rows) if row.kind == UNCONFIRMED), default=None)
    if last is None or any(_confirms(row, rows[last].leaf_hash, tenant, trust) for row in rows[last + 1 :]):
        return None
    return rows[last]


def _suspended_customers() -> dict[str, int]:
    """Customers whose expiry is suspended, each with the number of the leaf."""
    query: Any = LeafTable.select(LeafTable.tenant, LeafTable.kind, fn.MAX(LeafTable.number))
    last: dict[tuple[str, str], int] = {
        (tenant, kind): number
        for tenant, kind, number in query.where(_EITHER).group_by(LeafTable.tenant, LeafTable.kind).tuples()
    }
    return {
        tenant: number
        for (tenant, kind), number in last.items()
        if kind == UNCONFIRMED and number > last.get((tenant, CONFIRMED), -1)
    }


def _confirms(row: LeafTable, leaf_hash: str, tenant: str, trust: Trust) -> bool:
    """Whether a leaf contains a signed confirmation that answers the leaf with this hash."""
    if row.kind != CONFIRMED:
        return False
    try:
        content = json.loads(row.body or "")["statement"].encode()
        signed = CONFIRMATION.read(content, trust.root)
    except (SealError, ValueError, KeyError, TypeError, AttributeError):
        return False
    confirmation = signed.value
    matches = (confirmation.tenant, confirmation.leaf) == (tenant, leaf_hash)
    return matches and not is_doubtful(signed.key_id, confirmation.at, row.at, trust.revoked())


@dataclass(frozen=True, slots=True)
class HoldReminders:
    """Logs once a day which holds are due for review."""

    logged: dict[str, date] = field(default_factory=dict)

    def remind(self, now: datetime, faults: FaultLog | None = None) -> None:
        """Log each hold whose review is due and that was not logged today. A row that cannot be read is
        reported to ``faults``."""
        due = {}
        for each in amendments.readable_holds(faults or FaultLog()):
            if each.review_at > now:
                continue
            name = f"{each.recording}/{each.number}"
            due[name] = now.date()
            if self.logged.get(name) != now.date():
                log.warning(
                    "hold.review_due",
                    tenant=each.tenant,
                    recording=each.recording,
                    hold=each.number,
                    since=to_iso(each.since),
                    review_at=to_iso(each.review_at),
                    hint="lift it, or set a new one: `accord hold list`",
                )
        self.logged.clear()
        self.logged.update(due)
