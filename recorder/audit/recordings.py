"""Audits recordings: bucket and row must match the seal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.audit.findings import AuditFinding, checked
from recorder.audit.wrapped_keys import WrappedKeys
from recorder.auditlog.object_kinds import NOT_ACCORDS, is_data_key, is_recording_object
from recorder.catalogue.database import connected
from recorder.catalogue.mappers import recording_row
from recorder.catalogue.recording_projection import recording_of
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import SLACK
from recorder.errors import SealError
from recorder.features.recovery.recording_rows import compare
from recorder.lifecycle import amendments
from recorder.lifecycle.limits import limits_of
from recorder.seal import verification as seals
from recorder.seal.amendment_chain import Chain
from recorder.seal.amendment_kinds import Erased
from recorder.seal.data_key import open_data_key
from recorder.seal.document_source import read_document
from recorder.seal.keyring import TENANT, Keyring, WrappedKey, recording_of_path
from recorder.seal.manifest import MAX_BYTES, Manifest, Parties, decrypt_parties
from recorder.seal.revocation import Trust, find_revoked_documents
from recorder.seal.sealing import NAME, open_manifest
from recorder.seal.sealing import NAME as MANIFEST
from recorder.seal.usage_terms import RetentionLimit
from recorder.store.contract import NotFound, Store

PAGE = 200
STRANGE = 50
"""Maximum number of names to examine in one folder: no recording has so many objects."""

ON_ITS_WAY = timedelta(minutes=15)
"""Normal time from sealing to listing."""

STARTED = timedelta(days=1)
"""Maximum time from a call's start to its manifest in the bucket, even if the bucket was unavailable."""

_PLACE = re.compile(r"([0-9a-z][0-9a-z-]{0,62})/[0-9]{4}/[0-9]{2}/[0-9]{2}/([0-9a-z][0-9a-z-]{0,62})/")


@dataclass(frozen=True, slots=True)
class RecordingAudit:
    """One tenant's recordings. With a ``keyring``, parties are compared, too."""

    tenant: str
    store: Store
    root: Ed25519PublicKey
    now: datetime
    keyring: Keyring | None = None
    revoked: Mapping[str, datetime] = field(default_factory=dict)
    keys: WrappedKeys | None = None
    """Checks the wrapped keys; without it, they are only opened to read the parties."""

    def read(self, tell: Callable[[int], None]) -> Iterator[AuditFinding]:
        """Check every recording, reading each stored byte once, then the bucket for unlisted objects;
        ``tell`` is called with the number of recordings so far. Raises
        :class:`recorder.errors.StoreError`."""
        if self.keys is not None:
            yield from self.keys.own()
        count, last = 0, ""
        while ids := self._ids(last):
            for identity in ids:
                where = f"{self.tenant}: recording {identity}"
                yield from checked(where, self._one, identity)
                count += 1
                tell(count)
            last = ids[-1]
        yield from self._unlisted()
        yield from self._key_alone()

    def _ids(self, last: str) -> list[str]:
        mine = (RecordingTable.tenant == self.tenant) & (RecordingTable.id > last)
        with connected():
            query = (
                RecordingTable.select(RecordingTable.id).where(mine).order_by(RecordingTable.id).limit(PAGE)
            )
            return [row.id for row in query]

    def _one(self, identity: str) -> Iterator[AuditFinding]:
        try:
            row = self._now_row(identity)
        except (ValueError, TypeError, LookupError):
            yield self._found("row.changed", identity, "it contains a value that Accord never writes")
        else:
            yield from () if row is None else self._recording(row)

    def _recording(self, row: RecordingRow) -> Iterator[AuditFinding]:
        before = amendments.listed_hashes(row.tenant, row.id)
        report = seals.verify(self.store, row.prefix, self.root, None, self.now, self.revoked)
        manifest = report.manifest
        wrong = [AuditFinding(each.code, each.where, _with_blocks(each)) for each in report.findings]
        if manifest is not None and (manifest.tenant, manifest.recording) != (row.tenant, row.id):
            wrong.append(
                self._found("row.changed", row.id, f"its place belongs to recording {manifest.recording}")
            )
        elif manifest is not None and report.chain is not None:
            content = read_document(self.store, row.prefix + NAME, MAX_BYTES)
            wrong += self._compare(row, manifest, content, report.chain)
            wrong += self._amendments(row, report.chain)
            wrong += self._dated_back(row, report.chain, {each.where for each in wrong})
            if row.erased_at is not None and report.chain.erased is None:
                what = "its row is a tombstone, but the bucket has none"
                wrong.append(self._found("row.erased", row.id, what))
            if self.keys is not None and row.erased_at is None and report.chain.erased is None:
                wrong += self.keys.of(manifest)
        # It may have been erased or amended while it was read.
        if wrong and (self._now_row(row.id) != row or amendments.listed_hashes(row.tenant, row.id) != before):
            again = self._now_row(row.id)
            return (yield from () if again is None else self._recording(again))
        yield from wrong

    def _now_row(self, recording: str) -> RecordingRow | None:
        with connected():
            row = RecordingTable.get_or_none(RecordingTable.id == recording)
        return None if row is None else recording_row(row)

    def _compare(
        self, row: RecordingRow, manifest: Manifest, content: bytes, chain: Chain
    ) -> Iterator[AuditFinding]:
        key, parties = None, None
        if self.keyring is not None and row.wrapped_key is not None:
            try:
                key, parties = self._parties(row, manifest, self.keyring)
            except SealError as error:
                yield self._found(error.error_id, row.id, error.message)
        sealed = recording_of(manifest, content, parties, key, chain.amendments, self._limits())
        tombstone = chain.erased
        if tombstone is not None and isinstance(tombstone.data, Erased):
            sealed = replace(sealed, erased_at=tombstone.at, erasure_reason=tombstone.data.reason)
        elif row.erased_at is not None:  # reported separately
            sealed = replace(sealed, erased_at=row.erased_at, erasure_reason=row.erasure_reason)
        missing, others = compare(row, sealed)
        others |= _further(row, sealed)
        if names := sorted({*others, *missing}):
            yield self._found("row.changed", row.id, f"it differs from the seal: {', '.join(names)}")

    def _limits(self) -> tuple[RetentionLimit, ...]:
        try:
            return limits_of(self.tenant, Trust(self.root, lambda: self.revoked))
        except (ValueError, TypeError):  # an unreadable row, reported separately
            return ()

    def _parties(self, row: RecordingRow, manifest: Manifest, keyring: Keyring) -> tuple[WrappedKey, Parties]:
        key = WrappedKey.from_bytes((row.wrapped_key or "").encode())
        with connected():
            wrapped = (
                TenantTable.select(TenantTable.wrapped_key).where(TenantTable.id == self.tenant).scalar()
            )
        data_key = open_data_key(self.store, keyring, WrappedKey.from_bytes(wrapped.encode()), key)
        return key, decrypt_parties(manifest, data_key)

    def _amendments(self, row: RecordingRow, chain: Chain) -> Iterator[AuditFinding]:
        sealed = {each["number"]: each for each in amendments.amendment_columns(chain)}
        listed = self._listed(row.id)
        for number in sorted({*listed, *sealed}):
            there, expected = listed.get(number), sealed.get(number)
            if there is None or expected is None:
                what = f"only one of catalogue and bucket has amendment {number}"
                yield self._found("amendment.row_differs", row.id, what)
            elif others := sorted(name for name, value in expected.items() if there.get(name) != value):
                what = f"the row of amendment {number} differs from it: {', '.join(others)}"
                yield self._found("amendment.row_differs", row.id, what)

    def _dated_back(self, row: RecordingRow, chain: Chain, names: set[str]) -> Iterator[AuditFinding]:
        """Find documents that a revoked key backdated: the log shows since when they have existed."""
        for name, what in find_revoked_documents(
            chain, self.revoked, lambda: amendments.known_hashes(row.tenant, row.id)
        ):
            if row.prefix + name not in names:
                yield AuditFinding("seal.key_revoked", row.prefix + name, what)

    def _listed(self, recording: str) -> dict[int, dict[str, Any]]:
        """A recording's amendments in the catalogue, by number; an unreadable one is empty."""
        found: dict[int, dict[str, Any]] = {}
        with connected():
            mine = AmendmentTable.select(AmendmentTable.id, AmendmentTable.number).where(
                AmendmentTable.recording == recording
            )
            for row in list(mine):
                try:
                    found[row.number] = dict(
                        *AmendmentTable.select().where(AmendmentTable.id == row.id).dicts()
                    )
                except (ValueError, TypeError):
                    found[row.number] = {}
        return found

    def _unlisted(self) -> Iterator[AuditFinding]:
        """Check the customer's folder: each recording's folder in it must belong to a listed recording."""
        objects: dict[str, list[str]] = {}
        for place, keys in groupby(self.store.list(f"{self.tenant}/"), _place_of):
            objects[place] = list(islice((key.removeprefix(place) for key in keys), STRANGE))
            if len(objects) == PAGE:
                yield from self._without_row(objects)
                objects = {}
        yield from self._without_row(objects)

    def _without_row(self, found: Mapping[str, list[str]]) -> Iterator[AuditFinding]:
        places = {place: match[2] for place in found if (match := _PLACE.fullmatch(place)) is not None}
        with connected():
            rows = RecordingTable.select(RecordingTable.id, RecordingTable.prefix)
            known = {row.id: row.prefix for row in rows.where(RecordingTable.id.in_([*places.values()]))}
        for place, names in found.items():
            identity = places.get(place)
            if identity is None:
                yield AuditFinding("object.unknown", place + names[0], NOT_ACCORDS)
            elif known.get(identity) == place:
                continue  # checked with its recording
            elif identity in known:
                what = f"the folder of recording {identity} is {known[identity]}, not this one"
                yield AuditFinding("object.unknown", place + names[0], what)
            elif MANIFEST in names:
                if not self._is_new(place + MANIFEST):
                    what = "the catalogue does not list this recording"
                    yield AuditFinding("row.deleted", place + MANIFEST, what)
            elif not (all(map(is_recording_object, names)) and self._may_come(identity)):
                what = "there is no manifest beside it, so its recording was never committed"
                yield AuditFinding("object.unknown", place + names[0], what)

    def _may_come(self, recording: str) -> bool:
        """Whether a recording may still be in the pipeline, by the time in its id."""
        try:
            start = datetime.fromtimestamp((UUID(recording).int >> 80) / 1000, UTC)
        except (ValueError, OverflowError):
            return False
        return self.now - STARTED < start <= self.now + SLACK

    def _key_alone(self) -> Iterator[AuditFinding]:
        """Find recordings' wrapped keys without a recording; customers' own keys are checked elsewhere."""
        after, prefix = "", f"keys/{self.tenant}/"
        while page := list(islice(self.store.list(prefix, after), PAGE)):
            after = page[-1]
            mine = {key: recording_of_path(key) for key in page if is_data_key(key)}
            with connected():
                ours = (RecordingTable.tenant == self.tenant) & RecordingTable.id.in_([*mine.values()])
                rows = RecordingTable.select(RecordingTable.id).where(ours)
                known = {row.id for row in rows}
            for key in page:
                recording = mine.get(key)
                if recording is None:
                    if not key.startswith(f"{prefix}{TENANT}"):
                        yield AuditFinding("object.unknown", key, NOT_ACCORDS)
                elif recording not in known and not self._may_come(recording):
                    yield AuditFinding("object.unknown", key, "its recording does not exist")

    def _is_new(self, key: str) -> bool:
        try:
            manifest = open_manifest(read_document(self.store, key, MAX_BYTES), self.root, self.now)
        except (SealError, NotFound):
            return False
        return manifest.sealed_at > self.now - ON_ITS_WAY

    def _found(self, code: str, recording: str, message: str) -> AuditFinding:
        return AuditFinding(code, f"{self.tenant}: recording {recording}", message)


def _place_of(key: str) -> str:
    """The recording's folder of an object, or else its folder."""
    match = _PLACE.match(key)
    return match[0] if match else key[: key.rfind("/") + 1]


def _further(row: RecordingRow, sealed: RecordingRow) -> dict[str, Any]:
    """Values that Accord never writes, though they would not prevent playback."""
    pairs = {
        "purposes": (row.purposes, sealed.purposes),
        "restricted": (row.restricted, ()),
        "stored_at": (row.stored_at, sealed.stored_at),
    }
    if not row.announced:
        pairs["announcement_id"] = ((row.announcement, row.announcement_version), ("", 0))
    if row.erased_at is not None:
        pairs["external_value"] = (
            (row.external_party, row.internal_party, row.colleagues, row.wrapped_key),
            (None, None, None, None),
        )
    return {name: found for name, (found, expected) in pairs.items() if found != expected}


def _with_blocks(found: seals.SealFinding) -> str:
    blocks = f", blocks {', '.join(map(str, found.blocks))}" if found.blocks else ""
    return f"{found.message}{blocks}"
