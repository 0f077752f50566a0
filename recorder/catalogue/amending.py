"""The catalogue's copy of what was sealed later: a list for people, and what keeps a recording from going.

What counts are the amendments in the bucket; these rows are made from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recorder.catalogue import keeping
from recorder.catalogue.models import Amendment, connected, writing
from recorder.catalogue.rows import RecordingRow
from recorder.clock import from_iso
from recorder.ids import Entropy
from recorder.seal import amendment as amendments
from recorder.seal.amendment import Erased, HoldLifted
from recorder.seal.chain import Chain


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold that was set and not lifted: by whom, why, and when it is looked at again."""

    tenant: str
    recording: str
    number: int
    purposes: tuple[str, ...]
    owner: str
    reason: str
    review_at: datetime
    since: datetime


def note(chain: Chain) -> int:
    """Write down a recording's amendments, inside the caller's transaction; how many were not there."""
    if not chain.amendments:
        return 0
    mine = Amendment.recording == chain.manifest.recording
    there = {row.number for row in Amendment.select(Amendment.number).where(mine)}
    added = 0
    for each in chain.amendments:
        if each.number in there:
            continue
        added += 1
        Amendment.create(
            id=f"{each.recording}/{each.number}",
            tenant=each.tenant,
            recording=each.recording,
            number=each.number,
            kind=each.kind,
            at=each.at,
            by_kind=each.by.kind,
            by_id=each.by.id,
            data=amendments.data_body(each.data),
            sha256=each.sha256,
        )
        if isinstance(each.data, HoldLifted):
            held = mine & (Amendment.number == each.data.hold)
            Amendment.update(ended_by=each.number).where(held).execute()
    return added


def destroyed(row: RecordingRow, chain: Chain, *, now: datetime, entropy: Entropy) -> bool:
    """Make a recording's row the tombstone that its amendments say it is; false where it is one already.
    ``now`` is the time of the log's leaf."""
    tombstone = chain.erased
    if tombstone is None or not isinstance(tombstone.data, Erased):
        raise ValueError(f"recording {row.id} was not erased")
    with writing():
        made = keeping.make_tombstone(row, tombstone.data.why, at=tombstone.at, now=now, entropy=entropy)
        note(chain)
    return made


def holds(tenant: str | None = None) -> tuple[HoldRow, ...]:
    """Holds that are set, of one tenant or for the operator of all, oldest first."""
    query = Amendment.select().where((Amendment.kind == amendments.HOLD_SET) & Amendment.ended_by.is_null())
    if tenant is not None:
        query = query.where(Amendment.tenant == tenant)
    with connected():
        return tuple(_hold(row) for row in query.order_by(Amendment.at, Amendment.id))


def _hold(row: Amendment) -> HoldRow:
    said = row.data
    return HoldRow(
        tenant=row.tenant_id,
        recording=row.recording_id,
        number=row.number,
        purposes=tuple(said["purposes"]),
        owner=said["owner"],
        reason=said["reason"],
        review_at=from_iso(said["review_at"]),
        since=row.at,
    )
