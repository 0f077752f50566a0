"""The catalogue's copy of amendments: for lists, and for the holds that keep a recording from expiring.

The amendments in the bucket decide; these rows are derived from them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from peewee import fn

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import AMENDED, append, lock_tenant
from recorder.auditlog.complete_log import CompleteLog
from recorder.catalogue.database import connected, writing
from recorder.catalogue.mappers import consents_data
from recorder.catalogue.prepared_query import prepared
from recorder.catalogue.recording_projection import consents_in
from recorder.catalogue.row_reader import read_rows
from recorder.catalogue.tables.amendment import AmendmentTable, PendingAmendmentTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.grant import GrantTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.clock import from_iso
from recorder.errors import SealError
from recorder.fault_log import FaultLog
from recorder.ids import Entropy
from recorder.lifecycle import recordings
from recorder.lifecycle.current_terms import CurrentTerms, current_terms
from recorder.lifecycle.erased_recording import erased_recording
from recorder.seal import amendment_kinds, revocation
from recorder.seal.amendment_chain import Chain
from recorder.seal.amendment_kinds import (
    ConsentAdded,
    DeferralEnded,
    Erased,
    ErasureDeferred,
    HoldLifted,
    HoldSet,
    ended_hold,
)
from recorder.seal.keep_agreement import keep_agreement
from recorder.seal.revocation import Revoked, Trust

ENDS_NO_USE: Final = (ConsentAdded, HoldLifted, ErasureDeferred, DeferralEnded)
"""Amendments after which whoever listens may go on."""

_DELETED: Final = "it was deleted: run `accord audit run`, and look in the bucket for an older version of it"


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold that is set: by whom, why, and when it is due for review."""

    tenant: str
    recording: str
    number: int
    purposes: tuple[str, ...]
    owner: str
    reason: str
    review_at: datetime
    roles: tuple[str, ...]
    since: datetime


def begin_amendment(tenant: str, recording: str, now: datetime) -> None:
    """Mark a recording as being amended: until :func:`list_amendments` or :func:`end_amendment`, the worker
    checks it again."""
    with writing():
        PendingAmendmentTable.insert(
            recording_id=recording, tenant=tenant, since=now
        ).on_conflict_ignore().execute()


def end_amendment(recording: str) -> None:
    """Remove the mark."""
    with writing():
        PendingAmendmentTable.delete().where(PendingAmendmentTable.recording_id == recording).execute()


def pending_amendments(before: datetime) -> tuple[tuple[str, str], ...]:
    """Recordings (tenant and id) that were marked before a time and still are."""
    with connected():
        rows = (
            PendingAmendmentTable.select(PendingAmendmentTable.tenant, PendingAmendmentTable.recording_id)
            .where(PendingAmendmentTable.since < before)
            .order_by(PendingAmendmentTable.since)
        )
        return tuple((row.tenant_id, row.recording_id) for row in rows)


def listed_hashes(tenant: str, recording: str) -> tuple[str, ...]:
    """The SHA-256 of each listed amendment of a recording, in order."""
    with connected():
        return tuple(row.sha256 for row in _listed(tenant, recording))


@prepared(AmendmentTable)
def _listed(tenant: str, recording: str) -> Any:
    condition = (AmendmentTable.tenant == tenant) & (AmendmentTable.recording == recording)
    return AmendmentTable.select(AmendmentTable.sha256).where(condition).order_by(AmendmentTable.number)


def known_hashes(tenant: str, recording: str) -> dict[str, datetime | None]:
    """The SHA-256 of each amendment of a recording that a row lists or a leaf names, and when its leaf was
    appended (``None`` without a leaf). A restored log names amendments that no row lists yet."""
    found: dict[str, datetime | None] = dict.fromkeys(listed_hashes(tenant, recording))
    with connected():
        condition = (LeafTable.tenant == tenant) & (LeafTable.recording_id == recording)
        leaves = LeafTable.select(LeafTable.at, LeafTable.body)
        for leaf in leaves.where(condition & (LeafTable.kind == AMENDED) & LeafTable.body.is_null(False)):
            found[json.loads(leaf.body or "{}")["sha256"]] = leaf.at
    return found


def check_signers(chain: Chain, revoked: Revoked, *, amendments: bool = False) -> None:
    """Raises :class:`recorder.errors.SealError` (``seal.key_revoked``) if a revoked key signed a document of
    a recording after its revocation, or if nothing in the catalogue shows that the document existed before;
    with ``amendments`` only amendments count."""
    manifest = chain.manifest
    revocation.check(
        chain, revoked, lambda: known_hashes(manifest.tenant, manifest.recording), amendments=amendments
    )


def list_amendments(chain: Chain, trust: Trust, *, now: datetime, entropy: Entropy) -> int:
    """List a recording's unlisted amendments, each with its leaf, and update its row; grants for purposes
    that an amendment may have ended are ended. Returns how many were added."""
    manifest = chain.manifest
    condition = (RecordingTable.tenant == manifest.tenant) & (RecordingTable.id == manifest.recording)
    with writing():
        current = current_terms(lock_tenant(manifest.tenant), chain, trust)
        listed = len(listed_hashes(manifest.tenant, manifest.recording))
        added = insert_amendments(chain)
        fresh = [each for each in chain.amendments[listed:] if not isinstance(each.data, Erased)]
        if fresh:
            usage = current.terms
            codes, consented_until = [each.code for each in usage.purposes], consents_data(consents_in(usage))
            RecordingTable.update(
                purposes=codes,
                consented_until=consented_until,
                agreement=keep_agreement(manifest, chain.amendments, usage),
                keep_until=usage.until,
            ).where(condition).execute()
        if any(not isinstance(each.data, ENDS_NO_USE) for each in fresh):
            is_open = (GrantTable.recording == manifest.recording) & GrantTable.ended_at.is_null()
            GrantTable.update(ended_at=now).where(is_open).execute()
        for each in fresh:
            body = {"recording": each.recording, "number": each.number, "sha256": each.sha256}
            more: dict[str, object] = {"kind": each.kind, "by": each.by.id or each.by.kind}
            if isinstance(each.data, HoldSet) and each.data.replaces is not None:
                more["replaces"] = each.data.replaces
            append(each.tenant, AMENDED, body | more, now, entropy, recording=each.recording)
        end_amendment(manifest.recording)
    return added


def check_complete(log: CompleteLog, chain: Chain) -> None:
    """Check that a chain of the locked customer's has every amendment that the complete log names
    (:func:`check_logged`)."""
    log.locked.check()
    check_logged(chain)


def check_logged(chain: Chain) -> None:
    """Check that a chain has every amendment that the log names: the chain alone does not show that its last
    ones are missing. Nothing can follow a tombstone. Raises :class:`SealError` (``recording.held``,
    ``recording.deferred``, ``amendment.missing``; ``leaf.damaged`` if the log does not say what it named)."""
    manifest = chain.manifest
    if chain.erased is not None:
        return
    sealed = {each.sha256 for each in chain.amendments}
    leaves = leaf_lookup.whole_leaves_about(manifest.tenant, manifest.recording, AMENDED)
    missing = [each.body for each in leaves if each.body.get("sha256") not in sealed]
    kinds = [each.get("kind") for each in missing if "replaces" not in each]
    numbers, hint = ", ".join(str(each.get("number")) for each in missing), _DELETED
    if amendment_kinds.ERASURE_DEFERRED in kinds:
        raise SealError(
            "recording.deferred",
            f"by the log recording {manifest.recording} is kept for now, but amendment {numbers} is missing",
            hint,
        )
    if kinds.count(amendment_kinds.HOLD_SET) > kinds.count(amendment_kinds.HOLD_LIFTED):
        raise SealError(
            "recording.held",
            f"by the log recording {manifest.recording} is on legal hold, but amendment {numbers} is missing",
            hint,
        )
    if missing:
        what = f"by the log recording {manifest.recording} has amendment {numbers}, which is missing"
        raise SealError("amendment.missing", what, hint)


def update_expiry(current: CurrentTerms) -> bool:
    """Inside the caller's transaction, set a row's expiry to what was sealed, amended and limited; returns
    whether it differed."""
    current.locked.check()
    manifest, until = current.chain.manifest, current.terms.until
    condition = (RecordingTable.tenant == manifest.tenant) & (RecordingTable.id == manifest.recording)
    other = condition & (RecordingTable.keep_until != until) & RecordingTable.erased_at.is_null()
    return bool(RecordingTable.update(keep_until=until).where(other).execute())


def insert_amendments(chain: Chain) -> int:
    """Insert the missing rows of a recording's amendments, inside the caller's transaction; returns how
    many."""
    if not chain.amendments:
        return 0
    condition = AmendmentTable.recording == chain.manifest.recording
    numbers = {row.number for row in AmendmentTable.select(AmendmentTable.number).where(condition)}
    fresh = [columns for columns in amendment_columns(chain) if columns["number"] not in numbers]
    for columns in fresh:
        AmendmentTable.create(**columns)
    for each in chain.amendments:
        ended = ended_hold(each.data)
        if each.number not in numbers and ended is not None:
            own_hold = condition & (AmendmentTable.number == ended)
            AmendmentTable.update(ended_by=each.number).where(own_hold).execute()
    return len(fresh)


def amendment_columns(chain: Chain) -> list[dict[str, Any]]:
    """The columns of the rows of a recording's amendments, in order."""
    ended = {ended_hold(each.data): each.number for each in chain.amendments}
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
            "ended_by": ended.get(each.number),
        }
        for each in chain.amendments
    ]


def list_tombstone(chain: Chain, *, now: datetime, entropy: Entropy) -> bool:
    """Turn the row of an erased recording into a tombstone; false if it is one. ``now`` is the time of the
    leaf. Raises :class:`SealError` (``recording.not_erased``)."""
    with writing():
        erased = erased_recording(lock_tenant(chain.manifest.tenant), chain)
        is_new = recordings.make_tombstone(erased, now=now, entropy=entropy)
        insert_amendments(chain)
    return is_new


def holds(tenant: str | None = None, recording: str | None = None) -> tuple[HoldRow, ...]:
    """Holds that are set, of one tenant or of all, of one recording or of all, oldest first."""
    query = AmendmentTable.select().where(_IS_HOLD)
    if recording is not None:
        query = query.where(AmendmentTable.recording == recording)
    if tenant is not None:
        query = query.where(AmendmentTable.tenant == tenant)
    with connected():
        return tuple(_hold(row) for row in query.order_by(AmendmentTable.at, AmendmentTable.id))


def owner_pattern(user: str) -> str:
    """What the ``data`` of a hold that a user handles is like, in SQL."""
    return f'%"owner": "{user}"%'


def find_handover(tenant: str, user: str) -> tuple[int, datetime] | None:
    """How many of a tenant's recordings others have asked a user to handle, and when the last one was;
    ``None`` if there is none that they still handle."""
    by_others = AmendmentTable.by_id.is_null() | (AmendmentTable.by_id != user)
    columns = fn.COUNT(fn.DISTINCT(AmendmentTable.recording)), fn.MAX(AmendmentTable.at)
    query: Any = AmendmentTable.select(*columns).where(_IS_HOLD & (AmendmentTable.tenant == tenant))
    with connected():
        is_theirs = AmendmentTable.data.cast("text") ** owner_pattern(user)
        number, at = next(iter(query.where(is_theirs & by_others).tuples()))
    return None if at is None else (int(number), at)


def readable_holds(faults: FaultLog, tenant: str | None = None) -> tuple[HoldRow, ...]:
    """All holds that are set, of one tenant or of all, but those whose row cannot be read: each is reported
    to ``faults``."""
    mine = _IS_HOLD if tenant is None else _IS_HOLD & (AmendmentTable.tenant == tenant)
    return tuple(read_rows(AmendmentTable.select().where(mine), _hold, faults, "hold.unreadable"))


_IS_HOLD: Final = (AmendmentTable.kind == amendment_kinds.HOLD_SET) & AmendmentTable.ended_by.is_null()


def _hold(row: AmendmentTable) -> HoldRow:
    data = row.data
    return HoldRow(
        tenant=row.tenant_id,
        recording=row.recording_id,
        number=row.number,
        purposes=tuple(data["purposes"]),
        owner=data["owner"],
        reason=data["reason"],
        review_at=from_iso(data["review_at"]),
        roles=tuple(data.get("roles", ())),
        since=row.at,
    )
