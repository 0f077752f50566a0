"""After a restore or a rebuild nothing expires until a person has confirmed the legal holds (P8): a hold
that the bucket lost would be a recording destroyed that somebody still needs.

That it waits is a leaf of every customer's log, not a row: whoever takes it away changes a log that was
signed.  So is the confirmation, whose body is a signed statement that names the leaf it answers: nobody
confirms by writing rows.
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
from recorder.clock import from_iso, to_iso
from recorder.errors import SealError
from recorder.ids import Entropy
from recorder.lifecycle import amendments
from recorder.seal import signed_document, signing
from recorder.seal.revocation import Trust, is_doubtful
from recorder.strict_json import STRICT, Form, Natural, Sha256, Time

UNCONFIRMED: Final = "holds.unconfirmed"
CONFIRMED: Final = "holds.confirmed"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The statement that a customer's ``holds`` (their number) were reviewed; ``leaf`` is the hash of the
    leaf that it answers."""

    __pydantic_config__ = STRICT

    tenant: str
    leaf: Sha256
    holds: Natural
    at: Time


CONFIRMATION: Final = signed_document.Kind(
    "accord-holds-confirmed", "confirmation", signing.RETENTION, Form[Confirmation](Confirmation)
)

_EITHER: Final = SQL("kind IN ('holds.unconfirmed', 'holds.confirmed')")
"""Word for word the condition of an index (migration 0018), without which it would read every leaf."""

log = structlog.get_logger()


def holds_unconfirmed() -> datetime | None:
    """Since when nothing expires because somebody has yet to confirm the holds; ``None`` where that is done
    or there was no rebuild.  For people: what is destroyed is decided by :func:`check_confirmed`."""
    with connected():
        waiting = _waiting()
        if not waiting:
            return None
        tenant, number = min(waiting.items())
        mine = (LeafTable.tenant == tenant) & (LeafTable.number == number)
        row = LeafTable.get(mine)
        return row.at if isinstance(row.at, datetime) else from_iso(str(row.at))


def wait_for_holds(because: str, now: datetime, entropy: Entropy) -> None:
    """Nothing expires from now on until the holds are confirmed.  Inside the caller's transaction."""
    waiting = _waiting()
    for tenant in [row.id for row in TenantTable.select(TenantTable.id).order_by(TenantTable.id)]:
        if tenant not in waiting:
            append(tenant, UNCONFIRMED, {"reason": because}, now, entropy)


def begin(because: str, now: datetime, entropy: Entropy) -> None:
    """The same in a transaction of its own."""
    with writing():
        wait_for_holds(because, now, entropy)


def confirm_holds(signer: signing.Signer, trust: Trust, now: datetime, entropy: Entropy) -> bool:
    """Let recordings expire again; false where nobody waited for that.  In every customer's log.  Raises
    :class:`SealError` for a key that may not sign this."""
    signer.check(signing.RETENTION, now)
    held = amendments.holds()
    with writing():
        waiting = {each: leaf for each in _asked() if (leaf := _unanswered(each, trust)) is not None}
        for tenant, leaf in waiting.items():
            lock_tenant(tenant)
            mine = sum(each.tenant == tenant for each in held)
            said = Confirmation(tenant, leaf.leaf_hash, mine, now)
            statement = CONFIRMATION.write(said, signer).decode()
            append(tenant, CONFIRMED, {"holds": mine, "statement": statement}, now, entropy)
    return bool(waiting)


def check_confirmed(tenant: str, trust: Trust) -> None:
    """Raises :class:`SealError` (``retention.holds_unconfirmed``) where a customer's recordings wait until
    the holds are confirmed: no leaf after the last one that says so has a signed confirmation."""
    with connected():
        waits = _unanswered(tenant, trust) is not None
    if waits:
        raise SealError(
            "retention.holds_unconfirmed",
            "after a restore or rebuild the holds are not confirmed: nothing is destroyed",
            "look at the holds, then `accord rebuild --confirm-holds`",
        )


def _asked() -> list[str]:
    """Customers whose holds were ever to be confirmed."""
    rows = LeafTable.select(LeafTable.tenant).where(_EITHER).distinct()
    return sorted(row.tenant_id for row in rows)


def _unanswered(tenant: str, trust: Trust) -> LeafTable | None:
    """The last leaf that says that a customer's holds are to be confirmed, unless a signed one answers it."""
    query = LeafTable.select().where((LeafTable.tenant == tenant) & _EITHER)
    rows = list(query.order_by(LeafTable.number))
    last = max((at for at, row in enumerate(rows) if row.kind == UNCONFIRMED), default=None)
    if last is None or any(_confirms(row, rows[last].leaf_hash, tenant, trust) for row in rows[last + 1 :]):
        return None
    return rows[last]


def _waiting() -> dict[str, int]:
    """Customers whose holds are to be confirmed, each with the number of the leaf that says so."""
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
    """Whether a leaf has a signed confirmation that answers another leaf."""
    if row.kind != CONFIRMED:
        return False
    try:
        content = json.loads(row.body or "")["statement"].encode()
        signed = CONFIRMATION.read(content, trust.root)
    except (SealError, ValueError, KeyError, TypeError, AttributeError):
        return False
    said = signed.value
    mine = (said.tenant, said.leaf) == (tenant, leaf_hash)
    return mine and not is_doubtful(signed.key_id, said.at, row.at, trust.revoked())


@dataclass(frozen=True, slots=True)
class HoldReminders:
    """Log once a day which holds are due for review."""

    logged: dict[str, date] = field(default_factory=dict)

    def remind(self, now: datetime) -> None:
        """Log each hold whose review is due and that was not logged on this day."""
        due = {}
        for each in amendments.holds():
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
                    hint="lift it, or set another one: `accord hold list`",
                )
        self.logged.clear()
        self.logged.update(due)
