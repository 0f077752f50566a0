"""Restores recordings' rows from the bucket, a batch per transaction: a rebuild that is killed resumes after
the last whole batch.

The bucket decides. A missing row is created, an incomplete one is completed, and the row of an erased
recording becomes a tombstone. A row that contradicts the seal is reported, and corrected only on request.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from recorder.auditlog.append import Body, append, append_all, drop_bodies, lock_tenant, sha256_of
from recorder.catalogue.database import connected, writing
from recorder.catalogue.mappers import recording_columns, recording_row
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.features.recovery.rebuild_queue import note_outcomes
from recorder.identity import tenants
from recorder.ids import Entropy
from recorder.lifecycle import amendments, hold_review
from recorder.prompts.country_rules import STRICT
from recorder.seal.amendment_chain import Chain

MADE = "made"

COMPLETED = "completed"

CORRECTED = "corrected"

ERASED = "erased"

UNCHANGED = "unchanged"

DIFFERS = "differs"

SKIPPED = "skipped"

LISTED_WITHIN = timedelta(minutes=15)
"""The longest time from sealing to listing if nothing is wrong; it takes seconds."""

CHANGES = (MADE, COMPLETED, CORRECTED, ERASED)
"""Outcomes that change the catalogue."""


@dataclass(frozen=True, slots=True)
class PlaceReading:
    """What the bucket says about one place: the row that it gives, or why it gives none.

    ``code`` and ``message`` state a problem, even if there is a row."""

    place: str
    row: RecordingRow | None = None
    chain: Chain | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class RowRestorer:
    """``keys`` are tenants' wrapped keys from the bucket; ``correct`` allows changing rows that contradict
    the seal. The keys of customers who are ``erased``, as signed, are not restored."""

    keys: Mapping[str, str]
    now: datetime
    entropy: Entropy
    correct: bool = False
    erased: Collection[str] = ()

    def restore(self, batch: Sequence[PlaceReading]) -> None:
        """Write a batch in one transaction: rows, amendments, leaves, and the outcome of each place."""
        with writing():
            for tenant in sorted({seen.row.tenant for seen in batch if seen.row is not None}):
                self._restore_tenant(tenant)
            rows = [seen.row for seen in batch if seen.row is not None]
            condition = RecordingTable.id.in_([row.id for row in rows])
            condition |= RecordingTable.prefix.in_([row.prefix for row in rows])
            existing = {row.id: row for row in map(recording_row, RecordingTable.select().where(condition))}
            places = {row.prefix: row.id for row in existing.values()}
            was_filled = RecordingTable.select().exists()
            fresh = [seen for seen in batch if _is_fresh(seen, existing, places)]
            self._insert(fresh)
            made = {seen.place for seen in fresh}
            outcomes = [
                (seen, MADE, None, None)
                if seen.place in made
                else (seen, *self._settle(seen, existing, places))
                for seen in batch
            ]
            changed = [(seen, outcome) for seen, outcome, _, _ in outcomes if outcome in CHANGES]
            if any(not (was_filled and self._on_its_way(*each)) for each in changed):
                hold_review.require_confirmation("rebuild", self.now, self.entropy)
            note_outcomes(
                (seen.place, outcome, code or seen.code, message or seen.message)
                for seen, outcome, code, message in outcomes
            )

    def _on_its_way(self, seen: PlaceReading, outcome: str) -> bool:
        """Whether a recording was just stored by a worker that has not yet listed it: in a catalogue with
        other recordings, that is no sign of a loss."""
        row = seen.row
        return outcome == MADE and row is not None and row.stored_at > self.now - LISTED_WITHIN

    def _restore_tenant(self, tenant: str) -> None:
        """Create an unknown tenant, named by its id and under the strictest country, which the bucket does
        not state; restore a missing key."""
        if TenantTable.select().where(TenantTable.id == tenant).exists():
            lock_tenant(tenant)
            if tenant in self.keys and tenant not in self.erased:
                condition = (TenantTable.id == tenant) & (TenantTable.wrapped_key == "")
                if TenantTable.update(wrapped_key=self.keys[tenant]).where(condition).execute():
                    body: Body = {"key_was": "", "key_sha256": sha256_of(self.keys[tenant])}
                    append(tenant, "tenant.key_changed", body, self.now, self.entropy)
            return
        tenants.create_tenant(
            tenant,
            name=tenant,
            wrapped_key=self.keys.get(tenant, ""),
            country=STRICT,
            now=self.now,
            entropy=self.entropy,
        )

    def _insert(self, fresh: Sequence[PlaceReading]) -> None:
        if not fresh:
            return
        rows = [seen.row for seen in fresh if seen.row is not None]
        RecordingTable.insert_many([recording_columns(row) for row in rows]).execute()
        bodies: dict[str, list[tuple[Body, str | None]]] = defaultdict(list)
        for seen, row in zip(fresh, rows, strict=True):
            erased = row.erased_at is not None
            leaves = drop_bodies(row.tenant, row.id) if erased else []
            if seen.chain is not None:
                amendments.insert_amendments(seen.chain)
            body: dict[str, object] = {
                "recording": row.id,
                "manifest_sha256": row.manifest_sha256,
                "erased": erased,
            }
            if erased:
                body["leaves"] = leaves
            bodies[row.tenant].append((body, None if erased else row.id))
        for tenant in sorted(bodies):
            append_all(tenant, "recording.rebuilt", bodies[tenant], self.now, self.entropy)

    def _settle(
        self, seen: PlaceReading, existing: Mapping[str, RecordingRow], places: Mapping[str, str]
    ) -> tuple[str, str | None, str | None]:
        """Outcome, code and message of a place without a row, or whose recording has one."""
        row = seen.row
        if row is None:
            return SKIPPED, None, None
        if row.id not in existing:
            return SKIPPED, "row.place", f"the catalogue has recording {places[row.prefix]} at this place"
        old = existing[row.id]
        if (old.tenant, old.manifest_sha256) != (row.tenant, row.manifest_sha256):
            return DIFFERS, "recording.conflict", "the catalogue has another manifest for this recording"
        if old.erased_at is not None and row.erased_at is None:
            return DIFFERS, "row.erased", "erased by the catalogue, but without a tombstone in the bucket"
        if old.erased_at is not None:
            return (
                (COMPLETED if seen.chain and amendments.insert_amendments(seen.chain) else UNCHANGED),
                None,
                None,
            )
        if row.erased_at is not None and seen.chain is not None:
            amendments.list_tombstone(old, seen.chain, now=self.now, entropy=self.entropy)
            return ERASED, None, None
        return self._fill(old, row, seen.chain)

    def _fill(
        self, old: RecordingRow, row: RecordingRow, chain: Chain | None
    ) -> tuple[str, str | None, str | None]:
        lacking, other = compare(old, row)
        noted = 0 if chain is None else amendments.insert_amendments(chain)
        if noted:  # the row lacks the consequences of these amendments, too
            lacking |= {
                name: other.pop(name)
                for name in ("purposes", "consented_until", "keep_until")
                if name in other
            }
        changes = lacking | (other if self.correct else {})
        if changes:
            RecordingTable.update(**changes).where(RecordingTable.id == row.id).execute()
            body = {"recording": row.id, "changed": sorted(changes)}
            append(row.tenant, "recording.rebuilt", body, self.now, self.entropy, recording=row.id)
        if other and not self.correct:
            return DIFFERS, "seal.row_differs", f"the row contradicts the seal: {', '.join(sorted(other))}"
        if other:
            return CORRECTED, None, None
        return (COMPLETED if changes or noted else UNCHANGED), None, None


def compare(old: RecordingRow, row: RecordingRow) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns that a row lacks, and those that contradict the seal, each with the sealed value.

    A row may narrow what was sealed: fewer purposes, some of them restricted. Its key may have been wrapped
    again. The time of storing is the worker's."""
    allowed = replace(row, restricted=old.restricted, stored_at=old.stored_at)
    if set(old.purposes) <= set(row.purposes):
        allowed = replace(allowed, purposes=old.purposes)
    if not row.announced:
        allowed = replace(
            allowed, announcement=old.announcement, announcement_version=old.announcement_version
        )
    if row.wrapped_key is None or old.wrapped_key is not None:
        allowed = replace(allowed, wrapped_key=old.wrapped_key)
    if row.wrapped_key is None:
        allowed = replace(allowed, external_party=old.external_party, internal_party=old.internal_party)
    before, after = recording_columns(old), recording_columns(allowed)
    differing = {name: value for name, value in after.items() if value != before[name]}
    lacking = {name for name in differing if before[name] is None}
    return (
        {name: value for name, value in differing.items() if name in lacking},
        {name: value for name, value in differing.items() if name not in lacking},
    )


def _is_fresh(seen: PlaceReading, existing: Mapping[str, RecordingRow], places: Mapping[str, str]) -> bool:
    return seen.row is not None and seen.row.id not in existing and seen.row.prefix not in places


def tenant_keys() -> dict[str, str]:
    """Tenants' wrapped keys in the catalogue, JSON text."""
    with connected():
        rows = TenantTable.select(TenantTable.id, TenantTable.wrapped_key).where(
            TenantTable.wrapped_key != ""
        )
        return {row.id: row.wrapped_key for row in rows}


def rows_after(last: str, limit: int) -> tuple[RecordingRow, ...]:
    """Recordings that are not erased, by id, after one."""
    with connected():
        query = RecordingTable.select().where((RecordingTable.id > last) & RecordingTable.erased_at.is_null())
        return tuple(recording_row(row) for row in query.order_by(RecordingTable.id).limit(limit))


def destroyed_among(recordings: Sequence[str]) -> set[str]:
    """Those of some recordings that are tombstones in the catalogue."""
    with connected():
        erased = RecordingTable.id.in_(recordings) & RecordingTable.erased_at.is_null(False)
        return {row.id for row in RecordingTable.select(RecordingTable.id).where(erased)}
