"""How long a customer keeps recordings at most: shorter than was announced, never longer.

A change is a new row and a leaf of the customer's log.  What is shorter holds for what is recorded already;
what is longer again, for what is recorded from then on.  Rows decide on their own about nothing: one that its
leaf does not bear out is left aside, so that a row that was changed destroys nothing early.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recorder.catalogue import countries
from recorder.catalogue.models import KeepingLimit, LedgerEntry, Line, Purpose, Recording, connected, writing
from recorder.catalogue.reading import recording_row
from recorder.catalogue.rows import RecordingRow
from recorder.clock import from_iso, to_iso
from recorder.errors import CatalogueError
from recorder.ids import Entropy, uuid7
from recorder.ledger.append import append, commitment, hold, leaf_hash
from recorder.prompts.purposes import standard
from recorder.seal.terms import Limit

SET = "keeping.limited"


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A limit that is in force, and when every recording of before was looked at with it."""

    id: str
    limit: Limit
    settled_at: datetime | None


def set_limit(
    tenant: str,
    *,
    purpose: str | None,
    line: str | None,
    keep_days: int | None,
    now: datetime,
    entropy: Entropy,
    by: str = "operator",
) -> None:
    """Keep recordings at most so many days from now on: for a purpose, of a line (``None``: any); as long
    as announced again with ``keep_days`` ``None``, for what is recorded from now on.  ``by`` is the id of the
    user whose wish it is, for the log.

    Raises :class:`CatalogueError`: ``keeping.purpose``, ``line.unknown``, ``keeping.days``,
    ``country.keep_days``, ``tenant.unknown``."""
    now = from_iso(to_iso(now))
    with writing():
        hold(tenant)
        _check(tenant, purpose, line, keep_days)
        same = (KeepingLimit.tenant == tenant) & KeepingLimit.until.is_null()
        same &= _is(KeepingLimit.purpose, purpose) & _is(KeepingLimit.line_id, line)
        for row in KeepingLimit.select().where(same):
            ended = _body(row.purpose, row.line_id, row.keep_days, row.since, now)
            leaf = append(tenant, SET, ended | {"by": by}, now, entropy)
            KeepingLimit.update(until=now, leaf=leaf.number).where(KeepingLimit.id == row.id).execute()
        if keep_days is not None:
            said = _body(purpose, line, keep_days, now, None)
            leaf = append(tenant, SET, said | {"by": by}, now, entropy)
            KeepingLimit.create(
                id=str(uuid7(now, entropy)),
                tenant=tenant,
                purpose=purpose,
                line_id=line,
                keep_days=keep_days,
                since=now,
                leaf=leaf.number,
            )


def limits_of(tenant: str) -> tuple[Limit, ...]:
    """A customer's limits, lifted ones too, as far as the log bears them out; inside anybody's
    transaction."""
    with connected():
        rows = KeepingLimit.select().where(KeepingLimit.tenant == tenant).order_by(KeepingLimit.id)
        return tuple(_limit(row) for row in rows if _is_logged(row))


def limits() -> dict[str, tuple[Limit, ...]]:
    """Those of all customers that have any."""
    with connected():
        return {
            row.tenant_id: limits_of(row.tenant_id)
            for row in KeepingLimit.select(KeepingLimit.tenant).distinct()
        }


def in_force(tenant: str) -> tuple[LimitRow, ...]:
    """A customer's limits that are not lifted."""
    with connected():
        mine = (KeepingLimit.tenant == tenant) & KeepingLimit.until.is_null()
        rows = KeepingLimit.select().where(mine).order_by(KeepingLimit.id)
        return tuple(LimitRow(row.id, _limit(row), row.settled_at) for row in rows)


def unsettled(limit: int = 200) -> tuple[str, tuple[RecordingRow, ...]] | None:
    """A limit that not every recording was looked at with yet, by its id, and some of those, in order;
    ``None`` where there is none."""
    with connected():
        row = KeepingLimit.select().where(KeepingLimit.settled_at.is_null()).order_by(KeepingLimit.id).first()
        if row is None:
            return None
        mine = (Recording.tenant == row.tenant_id) & Recording.destroyed_at.is_null()
        mine &= Recording.id > (row.settled_after or "")
        found = Recording.select().where(mine).order_by(Recording.id).limit(limit)
        return row.id, tuple(recording_row(each) for each in found)


def settled(limit_id: str, after: str | None, now: datetime) -> None:
    """Every recording up to ``after`` was looked at with a limit; ``None``: all were."""
    change = {"settled_at": now} if after is None else {"settled_after": after}
    with writing():
        KeepingLimit.update(**change).where(KeepingLimit.id == limit_id).execute()


def _check(tenant: str, purpose: str | None, line: str | None, keep_days: int | None) -> None:
    own = Purpose.select().where((Purpose.tenant == tenant) & (Purpose.code == purpose)).exists()
    if purpose is not None and purpose not in standard() and not own:
        raise CatalogueError(
            "keeping.purpose", f"there is no purpose {purpose!r}", f"one of {', '.join(standard())}"
        )
    if line is not None and not Line.select().where((Line.tenant == tenant) & (Line.id == line)).exists():
        raise CatalogueError("line.unknown", f"there is no line {line}", "see `accord line list`")
    if keep_days is None:
        return
    if keep_days < 1:
        raise CatalogueError("keeping.days", "a recording is kept a day or more", "1 or more")
    if purpose is not None:
        countries.check(tenant, [purpose], keep_days=keep_days)


def _is(field: Any, value: str | None) -> Any:
    return field.is_null() if value is None else field == value


def _limit(row: KeepingLimit) -> Limit:
    return Limit(row.keep_days, row.purpose, row.line_id, row.since, row.until)


def _body(
    purpose: str | None, line: str | None, keep_days: int, since: datetime, until: datetime | None
) -> dict[str, object]:
    said = {"purpose": purpose or "", "line": line or "", "keep_days": keep_days, "since": to_iso(since)}
    return said | {"until": "" if until is None else to_iso(until)}


def said_of(row: KeepingLimit) -> dict[str, object]:
    """What the leaf that a limit's row names says of it, but for whose wish it was (``by``)."""
    return _body(row.purpose, row.line_id, row.keep_days, row.since, row.until)


def _is_logged(row: KeepingLimit) -> bool:
    """Whether the customer's log says the same: the leaf is whole, and its body says what this row does."""
    mine = (LedgerEntry.tenant == row.tenant_id) & (LedgerEntry.number == row.leaf)
    entry = LedgerEntry.get_or_none(mine)
    if entry is None or entry.body is None or entry.salt is None or entry.kind != SET:
        return False
    said, leaf = json.loads(entry.body), json.loads(entry.leaf)
    said.pop("by", None)
    return (
        said == said_of(row)
        and leaf_hash(entry.leaf.encode()) == entry.leaf_hash
        and (leaf["tenant"], leaf["number"], leaf["kind"]) == (row.tenant_id, row.leaf, SET)
        and leaf["commitment"] == commitment(bytes(entry.salt), entry.body.encode())
    )
