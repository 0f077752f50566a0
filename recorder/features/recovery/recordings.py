"""Restores recordings from the bucket, a batch a transaction: a rebuild that is killed resumes after the last
whole batch.

The bucket decides.  A missing row is made, an incomplete one is completed, and a row whose recording was
erased becomes a tombstone.  A row that contradicts the seal is reported, and corrected only on request.
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
"""From sealing to listing where nothing is wrong; it takes seconds."""

CHANGES = (MADE, COMPLETED, CORRECTED, ERASED)
"""Outcomes that changed the catalogue."""


@dataclass(frozen=True, slots=True)
class SeenPlace:
    """What the bucket says of one place: the row that it gives, or why it gives none.

    ``code`` and ``message`` say what is wrong there, also where a row is made of it."""

    place: str
    row: RecordingRow | None = None
    chain: Chain | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Recovering:
    """How a batch is taken in: ``keys`` are tenants' wrapped keys from the bucket, ``correct`` lets rows be
    changed that say something else than was sealed; of customers who are ``erased``, as was signed, no key
    comes back."""

    keys: Mapping[str, str]
    now: datetime
    entropy: Entropy
    correct: bool = False
    erased: Collection[str] = ()

    def take_in(self, batch: Sequence[SeenPlace]) -> None:
        """One transaction: rows, amendments, leaves, and what became of each place."""
        with writing():
            for tenant in sorted({seen.row.tenant for seen in batch if seen.row is not None}):
                self._know(tenant)
            rows = [seen.row for seen in batch if seen.row is not None]
            mine = RecordingTable.id.in_([row.id for row in rows])
            mine |= RecordingTable.prefix.in_([row.prefix for row in rows])
            there = {row.id: row for row in map(recording_row, RecordingTable.select().where(mine))}
            places = {row.prefix: row.id for row in there.values()}
            lived = RecordingTable.select().exists()
            fresh = [seen for seen in batch if _is_fresh(seen, there, places)]
            self._make(fresh)
            made = {seen.place for seen in fresh}
            outcomes = [
                (seen, MADE, None, None) if seen.place in made else (seen, *self._settle(seen, there, places))
                for seen in batch
            ]
            changed = [(seen, outcome) for seen, outcome, _, _ in outcomes if outcome in CHANGES]
            if any(not (lived and self._on_its_way(*each)) for each in changed):
                hold_review.wait_for_holds("rebuild", self.now, self.entropy)
            note_outcomes(
                (seen.place, outcome, code or seen.code, message or seen.message)
                for seen, outcome, code, message in outcomes
            )

    def _on_its_way(self, seen: SeenPlace, outcome: str) -> bool:
        """A recording that a worker has just stored and not yet listed: no sign that the catalogue
        was lost, where it has others."""
        row = seen.row
        return outcome == MADE and row is not None and row.stored_at > self.now - LISTED_WITHIN

    def _know(self, tenant: str) -> None:
        """A tenant that the catalogue does not know is made with its id for a name; which country it is
        in, the bucket does not say.  One of whom only tombstones were found before has no key yet."""
        if TenantTable.select().where(TenantTable.id == tenant).exists():
            lock_tenant(tenant)
            if tenant in self.keys and tenant not in self.erased:
                mine = (TenantTable.id == tenant) & (TenantTable.wrapped_key == "")
                if TenantTable.update(wrapped_key=self.keys[tenant]).where(mine).execute():
                    said: Body = {"key_was": "", "key_sha256": sha256_of(self.keys[tenant])}
                    append(tenant, "tenant.key_changed", said, self.now, self.entropy)
            return
        tenants.create_tenant(
            tenant,
            name=tenant,
            wrapped_key=self.keys.get(tenant, ""),
            country=STRICT,
            now=self.now,
            entropy=self.entropy,
        )

    def _make(self, fresh: Sequence[SeenPlace]) -> None:
        if not fresh:
            return
        rows = [seen.row for seen in fresh if seen.row is not None]
        RecordingTable.insert_many([recording_columns(row) for row in rows]).execute()
        said: dict[str, list[tuple[Body, str | None]]] = defaultdict(list)
        for seen, row in zip(fresh, rows, strict=True):
            gone = row.erased_at is not None
            leaves = drop_bodies(row.tenant, row.id) if gone else []
            if seen.chain is not None:
                amendments.note(seen.chain)
            body: dict[str, object] = {
                "recording": row.id,
                "manifest_sha256": row.manifest_sha256,
                "erased": gone,
            }
            if gone:
                body["leaves"] = leaves
            said[row.tenant].append((body, None if gone else row.id))
        for tenant in sorted(said):
            append_all(tenant, "recording.rebuilt", said[tenant], self.now, self.entropy)

    def _settle(
        self, seen: SeenPlace, there: Mapping[str, RecordingRow], places: Mapping[str, str]
    ) -> tuple[str, str | None, str | None]:
        """Outcome, code and message of a place that gives no row, or whose recording has one."""
        row = seen.row
        if row is None:
            return SKIPPED, None, None
        if row.id not in there:
            return SKIPPED, "row.place", f"the catalogue has recording {places[row.prefix]} at this place"
        old = there[row.id]
        if (old.tenant, old.manifest_sha256) != (row.tenant, row.manifest_sha256):
            return DIFFERS, "recording.conflict", "another manifest is catalogued for this recording"
        if old.erased_at is not None and row.erased_at is None:
            return DIFFERS, "row.erased", "the catalogue says destroyed, and the bucket has no tombstone"
        if old.erased_at is not None:
            return (COMPLETED if seen.chain and amendments.note(seen.chain) else UNCHANGED), None, None
        if row.erased_at is not None and seen.chain is not None:
            amendments.destroyed(old, seen.chain, now=self.now, entropy=self.entropy)
            return ERASED, None, None
        return self._fill(old, row, seen.chain)

    def _fill(
        self, old: RecordingRow, row: RecordingRow, chain: Chain | None
    ) -> tuple[str, str | None, str | None]:
        lacking, other = compare(old, row)
        noted = 0 if chain is None else amendments.note(chain)
        if noted:  # what follows from them was not known either
            lacking |= {
                name: other.pop(name)
                for name in ("purposes", "consented_until", "keep_until")
                if name in other
            }
        changes = lacking | (other if self.correct else {})
        if changes:
            RecordingTable.update(**changes).where(RecordingTable.id == row.id).execute()
            said = {"recording": row.id, "changed": sorted(changes)}
            append(row.tenant, "recording.rebuilt", said, self.now, self.entropy, recording=row.id)
        if other and not self.correct:
            return DIFFERS, "seal.row_differs", f"the row says otherwise: {', '.join(sorted(other))}"
        if other:
            return CORRECTED, None, None
        return (COMPLETED if changes or noted else UNCHANGED), None, None


def compare(old: RecordingRow, row: RecordingRow) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns that a row lacks, and those where it says something else than was sealed, with what was.

    A row may narrow what was sealed: fewer purposes, some of them restricted.  Its key may have been wrapped
    anew.  When it was stored is as the worker saw it."""
    may = replace(row, restricted=old.restricted, stored_at=old.stored_at)
    if set(old.purposes) <= set(row.purposes):
        may = replace(may, purposes=old.purposes)
    if not row.announced:
        may = replace(may, announcement=old.announcement, announcement_version=old.announcement_version)
    if row.wrapped_key is None or old.wrapped_key is not None:
        may = replace(may, wrapped_key=old.wrapped_key)
    if row.wrapped_key is None:
        may = replace(may, external_party=old.external_party, internal_party=old.internal_party)
    had, has = recording_columns(old), recording_columns(may)
    differing = {name: value for name, value in has.items() if value != had[name]}
    lacking = {name for name in differing if had[name] is None}
    return (
        {name: value for name, value in differing.items() if name in lacking},
        {name: value for name, value in differing.items() if name not in lacking},
    )


def _is_fresh(seen: SeenPlace, there: Mapping[str, RecordingRow], places: Mapping[str, str]) -> bool:
    return seen.row is not None and seen.row.id not in there and seen.row.prefix not in places


def tenant_keys() -> dict[str, str]:
    """Tenants' wrapped keys as the catalogue has them, JSON text."""
    with connected():
        rows = TenantTable.select(TenantTable.id, TenantTable.wrapped_key).where(
            TenantTable.wrapped_key != ""
        )
        return {row.id: row.wrapped_key for row in rows}


def rows_after(last: str, limit: int) -> tuple[RecordingRow, ...]:
    """Recordings that are not destroyed, by id, after one."""
    with connected():
        query = RecordingTable.select().where((RecordingTable.id > last) & RecordingTable.erased_at.is_null())
        return tuple(recording_row(row) for row in query.order_by(RecordingTable.id).limit(limit))


def destroyed_among(recordings: Sequence[str]) -> set[str]:
    """Which of some recordings the catalogue has as tombstones."""
    with connected():
        gone = RecordingTable.id.in_(recordings) & RecordingTable.erased_at.is_null(False)
        return {row.id for row in RecordingTable.select(RecordingTable.id).where(gone)}
