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

from recorder.auditlog.append import Body, LockedTenant, append, append_all, lock_tenant, sha256_of
from recorder.auditlog.leaf_erasure import drop_bodies
from recorder.catalogue.bulk_insert import insert_rows
from recorder.catalogue.database import connected, writing
from recorder.catalogue.mappers import recording_columns, recording_row
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.features.recovery.rebuild_queue import note_outcomes
from recorder.identity import tenants
from recorder.ids import Entropy
from recorder.lifecycle import amendments, hold_review
from recorder.lifecycle.erased_recording import erased_recording
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

    ``chain`` has the amendments, if there are any. ``code`` and ``message`` state a problem, even if there is
    a row."""

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
            tenants_read = sorted({reading.row.tenant for reading in batch if reading.row is not None})
            locks = {tenant: self._restore_tenant(tenant) for tenant in tenants_read}
            rows = [reading.row for reading in batch if reading.row is not None]
            condition = RecordingTable.id.in_([row.id for row in rows])
            condition |= RecordingTable.prefix.in_([row.prefix for row in rows])
            old_rows = {row.id: row for row in map(recording_row, RecordingTable.select().where(condition))}
            places = {row.prefix: row.id for row in old_rows.values()}
            was_filled = RecordingTable.select().exists()
            by_recording: dict[str, PlaceReading] = {}
            for reading in batch:
                if reading.row is not None and _is_fresh(reading, old_rows, places):
                    by_recording.setdefault(reading.row.id, reading)
            fresh = [*by_recording.values()]
            self._insert(fresh, locks)
            new_places = {reading.place for reading in fresh}
            outcomes = [
                (reading, MADE, None, None)
                if reading.place in new_places
                else (reading, *self._settle(reading, old_rows, places))
                for reading in batch
            ]
            changed = [(reading, outcome) for reading, outcome, _, _ in outcomes if outcome in CHANGES]
            if any(not (was_filled and self._on_its_way(*each)) for each in changed):
                hold_review.require_confirmation("rebuild", self.now, self.entropy)
            note_outcomes(
                (reading.place, outcome, code or reading.code, message or reading.message)
                for reading, outcome, code, message in outcomes
            )

    def _on_its_way(self, reading: PlaceReading, outcome: str) -> bool:
        """Whether a recording was just stored by a worker that has not yet listed it: in a catalogue with
        other recordings, that is no sign of a loss."""
        row = reading.row
        return outcome == MADE and row is not None and row.stored_at > self.now - LISTED_WITHIN

    def _restore_tenant(self, tenant: str) -> LockedTenant:
        """Create an unknown tenant, named by its id and under the strictest country, which the bucket does
        not state; restore a missing key. The tenant is locked."""
        if TenantTable.select().where(TenantTable.id == tenant).exists():
            locked = lock_tenant(tenant)
            if tenant in self.keys and tenant not in self.erased:
                condition = (TenantTable.id == tenant) & (TenantTable.wrapped_key == "")
                if TenantTable.update(wrapped_key=self.keys[tenant]).where(condition).execute():
                    body: Body = {"key_was": "", "key_sha256": sha256_of(self.keys[tenant])}
                    append(tenant, "tenant.key_changed", body, self.now, self.entropy)
            return locked
        tenants.create_tenant(
            tenant,
            name=tenant,
            wrapped_key=self.keys.get(tenant, ""),
            country=STRICT,
            now=self.now,
            entropy=self.entropy,
        )
        return lock_tenant(tenant)

    def _insert(self, fresh: Sequence[PlaceReading], locks: Mapping[str, LockedTenant]) -> None:
        if not fresh:
            return
        rows = [reading.row for reading in fresh if reading.row is not None]
        insert_rows(RecordingTable, [recording_columns(row) for row in rows])
        bodies: dict[str, list[tuple[Body, str | None]]] = defaultdict(list)
        for reading, row in zip(fresh, rows, strict=True):
            erased, leaves = row.erased_at is not None, list[int]()
            if reading.chain is not None:
                if erased:
                    leaves = drop_bodies(erased_recording(locks[row.tenant], reading.chain))
                amendments.insert_amendments(reading.chain)
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
        self, reading: PlaceReading, old_rows: Mapping[str, RecordingRow], places: Mapping[str, str]
    ) -> tuple[str, str | None, str | None]:
        """Outcome, code and message of a place without a row, or whose recording has one."""
        row = reading.row
        if row is None:
            return SKIPPED, None, None
        if row.id not in old_rows and row.prefix not in places:
            return DIFFERS, "recording.conflict", "the bucket has two manifests for this recording"
        if row.id not in old_rows:
            return SKIPPED, "row.place", f"the catalogue has recording {places[row.prefix]} at this place"
        old = old_rows[row.id]
        if (old.tenant, old.manifest_sha256) != (row.tenant, row.manifest_sha256):
            return DIFFERS, "recording.conflict", "the catalogue has another manifest for this recording"
        if old.erased_at is not None and row.erased_at is None:
            return DIFFERS, "row.erased", "erased by the catalogue, but without a tombstone in the bucket"
        if old.erased_at is not None:
            return (
                (COMPLETED if reading.chain and amendments.insert_amendments(reading.chain) else UNCHANGED),
                None,
                None,
            )
        if row.erased_at is not None and reading.chain is not None:
            amendments.list_tombstone(reading.chain, now=self.now, entropy=self.entropy)
            return ERASED, None, None
        return self._fill(old, row, reading.chain)

    def _fill(
        self, old: RecordingRow, row: RecordingRow, chain: Chain | None
    ) -> tuple[str, str | None, str | None]:
        absent, other = compare(old, row)
        count = 0 if chain is None else amendments.insert_amendments(chain)
        if count:  # the row lacks the consequences of these amendments, too
            absent |= {
                name: other.pop(name)
                for name in ("purposes", "consented_until", "agreement", "keep_until")
                if name in other
            }
        changes = absent | (other if self.correct else {})
        if changes:
            RecordingTable.update(**changes).where(RecordingTable.id == row.id).execute()
            body = {"recording": row.id, "changed": sorted(changes)}
            append(row.tenant, "recording.rebuilt", body, self.now, self.entropy, recording=row.id)
        if other and not self.correct:
            return DIFFERS, "seal.row_differs", f"the row contradicts the seal: {', '.join(sorted(other))}"
        if other:
            return CORRECTED, None, None
        return (COMPLETED if changes or count else UNCHANGED), None, None


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
        allowed = replace(
            allowed,
            external_party=old.external_party,
            internal_party=old.internal_party,
            colleagues=old.colleagues,
        )
    before, after = recording_columns(old), recording_columns(allowed)
    differences = {name: value for name, value in after.items() if value != before[name]}
    absent = {name for name in differences if before[name] is None}
    return (
        {name: value for name, value in differences.items() if name in absent},
        {name: value for name, value in differences.items() if name not in absent},
    )


def _is_fresh(reading: PlaceReading, old_rows: Mapping[str, RecordingRow], places: Mapping[str, str]) -> bool:
    return reading.row is not None and reading.row.id not in old_rows and reading.row.prefix not in places


def tenant_keys() -> dict[str, str]:
    """Tenants' wrapped keys in the catalogue, JSON text."""
    with connected():
        rows = TenantTable.select(TenantTable.id, TenantTable.wrapped_key).where(
            TenantTable.wrapped_key != ""
        )
        return {row.id: row.wrapped_key for row in rows}


def prefixes_after(last: str, limit: int) -> dict[str, str]:
    """The prefixes of recordings that are not erased, by id, after one."""
    columns = RecordingTable.select(RecordingTable.id, RecordingTable.prefix)
    query = columns.where((RecordingTable.id > last) & RecordingTable.erased_at.is_null())
    with connected():
        return {row.id: row.prefix for row in query.order_by(RecordingTable.id).limit(limit)}


def destroyed_among(recordings: Sequence[str]) -> set[str]:
    """Those of some recordings that are tombstones in the catalogue."""
    with connected():
        erased = RecordingTable.id.in_(recordings) & RecordingTable.erased_at.is_null(False)
        return {row.id for row in RecordingTable.select(RecordingTable.id).where(erased)}
