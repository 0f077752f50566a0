"""The catalogue's copy of amendments: a list for people, and the holds that keep a recording from expiry.

The amendments in the bucket decide; these rows are made from them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recorder.auditlog.append import AMENDED, append, lock_tenant
from recorder.catalogue.database import connected, writing
from recorder.catalogue.mappers import consents_data
from recorder.catalogue.prepared_query import prepared
from recorder.catalogue.recording_projection import consents_in
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables.amendment import AmendmentTable, PendingAmendmentTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.grant import GrantTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.clock import from_iso
from recorder.errors import SealError
from recorder.ids import Entropy
from recorder.lifecycle import recordings
from recorder.lifecycle.limits import limits_of
from recorder.seal import amendment_kinds, revocation
from recorder.seal.amendment_chain import Chain
from recorder.seal.amendment_kinds import ConsentAdded, Erased, HoldLifted
from recorder.seal.revocation import Revoked, Trust
from recorder.seal.usage_terms import terms


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
    roles: tuple[str, ...]
    since: datetime


def begin(tenant: str, recording: str, now: datetime) -> None:
    """Somebody is about to put an amendment: until :func:`amended` says that it is listed, or :func:`end`
    that there is none, the worker looks at the recording again."""
    with writing():
        PendingAmendmentTable.insert(
            recording_id=recording, tenant=tenant, since=now
        ).on_conflict_ignore().execute()


def end(recording: str) -> None:
    """Nobody is amending a recording any more."""
    with writing():
        PendingAmendmentTable.delete().where(PendingAmendmentTable.recording_id == recording).execute()


def begun(before: datetime) -> tuple[tuple[str, str], ...]:
    """Recordings that somebody began to amend before a time and did not end: tenant and id."""
    with connected():
        rows = (
            PendingAmendmentTable.select()
            .where(PendingAmendmentTable.since < before)
            .order_by(PendingAmendmentTable.since)
        )
        return tuple((row.tenant_id, row.recording_id) for row in rows)


def known(tenant: str, recording: str) -> tuple[str, ...]:
    """The SHA-256 of each amendment of a recording that is listed, in order."""
    with connected():
        return tuple(row.sha256 for row in _listed(tenant, recording))


@prepared(AmendmentTable)
def _listed(tenant: str, recording: str) -> Any:
    mine = (AmendmentTable.tenant == tenant) & (AmendmentTable.recording == recording)
    return AmendmentTable.select(AmendmentTable.sha256).where(mine).order_by(AmendmentTable.number)


def seen(tenant: str, recording: str) -> dict[str, datetime | None]:
    """What the catalogue knows of a recording's amendments: the SHA-256 of each that is listed or that the
    log speaks of, and when the log says that it was listed (``None``: it does not).  A restored log says it
    of what no row lists yet."""
    found: dict[str, datetime | None] = dict.fromkeys(known(tenant, recording))
    with connected():
        mine = (LeafTable.tenant == tenant) & (LeafTable.recording_id == recording)
        leaves = LeafTable.select(LeafTable.at, LeafTable.body)
        for leaf in leaves.where(mine & (LeafTable.kind == AMENDED) & LeafTable.body.is_null(False)):
            found[json.loads(leaf.body or "{}")["sha256"]] = leaf.at
    return found


def check_signers(chain: Chain, revoked: Revoked, *, amendments: bool = False) -> None:
    """Raises :class:`recorder.errors.SealError` (``seal.key_revoked``) where a recording has a document that
    a revoked key signed since, or that nothing here shows to have been there before; with ``amendments``
    only these count."""
    manifest = chain.manifest
    revocation.check(chain, revoked, lambda: seen(manifest.tenant, manifest.recording), amendments=amendments)


def amended(chain: Chain, trust: Trust, *, now: datetime, entropy: Entropy) -> int:
    """List the amendments of a recording that are not listed yet, each with its leaf, and what follows from
    them for its row; who listens under a purpose that they may have ended, does no longer.  How many."""
    manifest = chain.manifest
    mine = (RecordingTable.tenant == manifest.tenant) & (RecordingTable.id == manifest.recording)
    with writing():
        lock_tenant(manifest.tenant)
        there = len(known(manifest.tenant, manifest.recording))
        added = note(chain)
        fresh = [each for each in chain.amendments[there:] if not isinstance(each.data, Erased)]
        if fresh:
            told = terms(manifest, chain.amendments, limits_of(manifest.tenant, trust))
            codes, consented_until = [each.code for each in told.purposes], consents_data(consents_in(told))
            RecordingTable.update(
                purposes=codes, consented_until=consented_until, keep_until=told.until
            ).where(mine).execute()
        if any(not isinstance(each.data, ConsentAdded | HoldLifted) for each in fresh):
            living = (GrantTable.recording == manifest.recording) & GrantTable.ended_at.is_null()
            GrantTable.update(ended_at=now).where(living).execute()
        for each in fresh:
            said = {"recording": each.recording, "number": each.number, "sha256": each.sha256}
            more = {"kind": each.kind, "by": each.by.id or each.by.kind}
            append(each.tenant, AMENDED, said | more, now, entropy, recording=each.recording)
        end(manifest.recording)
    return added


def check_holds(chain: Chain) -> None:
    """That no hold was taken away of which the log speaks: the chain alone does not show that its last
    amendments are gone.  Raises :class:`SealError` (``recording.held``)."""
    manifest = chain.manifest
    sealed = {each.sha256 for each in chain.amendments}
    with connected():
        mine = (LeafTable.tenant == manifest.tenant) & (LeafTable.recording_id == manifest.recording)
        mine &= (LeafTable.kind == AMENDED) & LeafTable.body.is_null(False)
        said = [_said(row.body) for row in LeafTable.select(LeafTable.body).where(mine)]
    gone = [each for each in said if each.get("sha256") not in sealed]
    kinds = [each.get("kind") for each in gone]
    if kinds.count(amendment_kinds.HOLD_SET) > kinds.count(amendment_kinds.HOLD_LIFTED):
        numbers = ", ".join(str(each.get("number")) for each in gone)
        raise SealError(
            "recording.held",
            f"by the log recording {manifest.recording} is held; amendment {numbers} is not in the bucket",
            "it was taken away: `accord audit`, and look in the bucket for an older version of it",
        )


def _said(body: str | None) -> dict[str, Any]:
    """A leaf's body; nothing, where it was made something else: that is the audit's to name."""
    try:
        found = json.loads(body or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def settle(row: RecordingRow, chain: Chain, trust: Trust) -> bool:
    """Set until when a row says that its recording is kept to what was sealed and set since; whether it said
    otherwise."""
    told = terms(chain.manifest, chain.amendments, limits_of(row.tenant, trust))
    mine = (RecordingTable.tenant == row.tenant) & (RecordingTable.id == row.id)
    other = mine & (RecordingTable.keep_until != told.until) & RecordingTable.erased_at.is_null()
    with writing():
        return bool(RecordingTable.update(keep_until=told.until).where(other).execute())


def note(chain: Chain) -> int:
    """Write down a recording's amendments, inside the caller's transaction; how many were not there."""
    if not chain.amendments:
        return 0
    mine = AmendmentTable.recording == chain.manifest.recording
    there = {row.number for row in AmendmentTable.select(AmendmentTable.number).where(mine)}
    fresh = [columns for columns in columns_of(chain) if columns["number"] not in there]
    for columns in fresh:
        AmendmentTable.create(**columns)
    for each in chain.amendments:
        if each.number not in there and isinstance(each.data, HoldLifted):
            held = mine & (AmendmentTable.number == each.data.hold)
            AmendmentTable.update(ended_by=each.number).where(held).execute()
    return len(fresh)


def columns_of(chain: Chain) -> list[dict[str, Any]]:
    """What the rows of a recording's amendments say, in order."""
    lifted = {each.data.hold: each.number for each in chain.amendments if isinstance(each.data, HoldLifted)}
    return [
        {
            "id": f"{each.recording}/{each.number}",
            "tenant": each.tenant,
            "recording": each.recording,
            "number": each.number,
            "kind": each.kind,
            "at": each.at,
            "by_kind": each.by.kind,
            "by_id": each.by.id,
            "data": amendment_kinds.data_body(each.data),
            "sha256": each.sha256,
            "ended_by": lifted.get(each.number),
        }
        for each in chain.amendments
    ]


def destroyed(row: RecordingRow, chain: Chain, *, now: datetime, entropy: Entropy) -> bool:
    """Make a recording's row the tombstone that its amendments say it is; false where it is one already.
    ``now`` is the time of the log's leaf."""
    tombstone = chain.erased
    if tombstone is None or not isinstance(tombstone.data, Erased):
        raise ValueError(f"recording {row.id} was not erased")
    with writing():
        made = recordings.make_tombstone(
            row, tombstone.data.reason, at=tombstone.at, now=now, entropy=entropy
        )
        note(chain)
    return made


def holds(tenant: str | None = None, recording: str | None = None) -> tuple[HoldRow, ...]:
    """Holds that are set, of one tenant or for the operator of all, of one recording or any, oldest first."""
    query = AmendmentTable.select().where(
        (AmendmentTable.kind == amendment_kinds.HOLD_SET) & AmendmentTable.ended_by.is_null()
    )
    if recording is not None:
        query = query.where(AmendmentTable.recording == recording)
    if tenant is not None:
        query = query.where(AmendmentTable.tenant == tenant)
    with connected():
        return tuple(_hold(row) for row in query.order_by(AmendmentTable.at, AmendmentTable.id))


def _hold(row: AmendmentTable) -> HoldRow:
    said = row.data
    return HoldRow(
        tenant=row.tenant_id,
        recording=row.recording_id,
        number=row.number,
        purposes=tuple(said["purposes"]),
        owner=said["owner"],
        reason=said["reason"],
        review_at=from_iso(said["review_at"]),
        roles=tuple(said.get("roles", ())),
        since=row.at,
    )
