"""Verifies everything at one recording's prefix in the bucket, and relies only on what is sealed."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.catalogue import queries
from recorder.catalogue.recording_projection import recording_of
from recorder.catalogue.records import RecordingRow
from recorder.errors import SealError
from recorder.features.recovery.rebuild_queue import QueuedPlace
from recorder.features.recovery.recording_rows import PlaceReading
from recorder.lifecycle import amendments as amendment_rows
from recorder.seal import hints
from recorder.seal.amendment import Amendment, number_in
from recorder.seal.amendment_chain import Chain, Problem, amendments_in, read_chain
from recorder.seal.amendment_kinds import Erased
from recorder.seal.data_key import read_wrapped, tenant_key_of
from recorder.seal.document_source import read_document
from recorder.seal.keyring import (
    RESTORE,
    Keyring,
    WrappedKey,
    data_key_path,
    tenant_key_path,
    wrapped_key,
    wrapped_key_at,
)
from recorder.seal.manifest import MAX_BYTES, Manifest, Parties, decrypt_parties
from recorder.seal.revocation import Known, Revoked, find_revoked_documents
from recorder.seal.sealing import NAME as MANIFEST
from recorder.seal.sealing import open_manifest
from recorder.seal.usage_terms import RetentionLimit
from recorder.store.contract import NotFound, Store

PLACE = re.compile(r"([0-9a-z][0-9a-z-]*)/[0-9]{4}/[0-9]{2}/[0-9]{2}/([0-9a-z][0-9a-z-]*)/")
"""A recording's prefix: tenant, date, id."""


class TenantKeys:
    """Tenants' wrapped keys: the catalogue's, or the bucket's if the catalogue has none or another. Safe to
    share among threads."""

    def __init__(self, store: Store, catalogued: Mapping[str, str], keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring
        self._catalogued = dict(catalogued)
        self._parsed: dict[str, WrappedKey] = {}
        self._stored: dict[str, WrappedKey] = {}
        self._destroyed: set[str] = set()
        self._lock = threading.Lock()

    def of(self, tenant: str, key_id: str) -> WrappedKey:
        """A tenant's key with that id. Raises :class:`SealError` (``key.missing``, ``seal.key_foreign``, or
        why it is invalid), :class:`recorder.errors.StoreError`."""
        if (catalogued := self._in_catalogue(tenant)) is not None and catalogued.key_id == key_id:
            return catalogued
        key = self._in_bucket(tenant)
        if key.key_id == key_id:
            return key
        before = tenant_key_of(self._store, tenant, key_id)
        if before is None:
            raise SealError(
                "seal.key_foreign",
                f"no stored key of tenant {tenant} is key {key_id}, which wraps the recording's",
                RESTORE,
            )
        return before

    def load(self, tenant: str, *, destroyed: bool) -> None:
        """Load a tenant's key, so that the tenant can be created. A departed customer may have none, if
        everything of theirs is ``destroyed``. Raises as :meth:`of`."""
        if tenant in self._catalogued or (destroyed and tenant in self._destroyed):
            return
        try:
            self._in_bucket(tenant)
        except SealError as error:
            if not destroyed or error.error_id != "key.missing":
                raise
            self._destroyed.add(tenant)

    def stored(self, tenants: Collection[str]) -> dict[str, str]:
        """The keys of some tenants that were read from the bucket, JSON text."""
        with self._lock:
            found = {tenant: key for tenant in tenants if (key := self._stored.get(tenant)) is not None}
        return {tenant: key.to_bytes().decode() for tenant, key in found.items()}

    def _in_catalogue(self, tenant: str) -> WrappedKey | None:
        text = self._catalogued.get(tenant)
        if text is not None and tenant not in self._parsed:
            self._parsed[tenant] = wrapped_key(
                text.encode(), f"the key in the row of tenant {tenant}", tenant
            )
        return self._parsed.get(tenant)

    def _in_bucket(self, tenant: str) -> WrappedKey:
        with self._lock:
            if tenant not in self._stored:
                place = tenant_key_path(tenant)
                try:
                    found = read_wrapped(self._store, place)
                except NotFound:
                    raise SealError("key.missing", f"{place} is missing", RESTORE) from None
                self._keyring.open_tenant_key(found)  # only a valid key may be restored
                self._stored[tenant] = found
            return self._stored[tenant]


@dataclass(eq=False, repr=False)
class PrefixReader:
    """Reads places in the bucket. Safe to share among threads; keeps nothing."""

    store: Store
    keyring: Keyring
    root: Ed25519PublicKey
    keys: TenantKeys
    limits: Mapping[str, tuple[RetentionLimit, ...]]
    revoked: Revoked
    believe_dates: bool

    def read(self, found: QueuedPlace) -> PlaceReading:
        """Read one place. Raises :class:`recorder.errors.StoreError`, and :class:`SealError`
        (``seal.kek_missing``) for the wrong key-encryption key: to continue would lose every party."""
        wrong: list[tuple[str, str]] = []
        try:
            row, chain = self._row(found, wrong.append)
        except SealError as error:
            if error.error_id == "seal.kek_missing":
                raise
            return PlaceReading(found.place, code=error.error_id, message=error.message)
        code = wrong[0][0] if wrong else None
        # A chain without amendments says nothing that the row does not.
        amended = chain if chain.amendments else None
        return PlaceReading(found.place, row, amended, code, "; ".join(text for _, text in wrong) or None)

    def stored_keys(self, tenants: Collection[str]) -> dict[str, str]:
        """The wrapped keys of some tenants that were read from the bucket, JSON text."""
        return self.keys.stored(tenants)

    def _row(
        self, found: QueuedPlace, blame: Callable[[tuple[str, str]], None]
    ) -> tuple[RecordingRow, Chain]:
        if MANIFEST not in found.names:
            raise SealError(
                "manifest.missing",
                "there is no manifest: the recording was not committed",
                "its take may still be in a node's spool, whose worker stores it",
            )
        content = self._get(found.place + MANIFEST, MAX_BYTES)
        manifest = open_manifest(content, self.root)
        if manifest.prefix != found.place:
            raise SealError("manifest.place", f"the manifest is of {manifest.prefix}", hints.OBJECT)
        chain = self._chain(found, manifest, content)
        chain = self._without_revoked(chain, found)
        for problem in chain.problems:
            blame((problem.code, f"{problem.name}: {problem.message}"))
        sealed = {each.name for each in manifest.objects}
        for name in sorted(set(found.names) - sealed - {MANIFEST}):
            if number_in(name) is None:
                blame(("object.unknown", f"{name} was not sealed"))
        self.keys.load(manifest.tenant, destroyed=chain.erased is not None)
        if chain.erased is not None and isinstance(chain.erased.data, Erased):
            for name in sorted(sealed.intersection(found.names)):
                blame(("object.not_erased", f"{name} was erased but exists"))
            row = recording_of(manifest, content, None, None, *self._later_facts(chain))
            erased = replace(row, erased_at=chain.erased.at, erasure_reason=chain.erased.data.reason)
            return erased, chain
        for name in sorted(sealed.difference(found.names)):
            blame(("object.missing", f"{name} is not there"))
        key, parties = self._open(manifest, blame)
        return recording_of(manifest, content, parties, key, *self._later_facts(chain)), chain

    def _later_facts(self, chain: Chain) -> tuple[tuple[Amendment, ...], tuple[RetentionLimit, ...]]:
        """Amendments, and the customer's retention limits."""
        return chain.amendments, self.limits.get(chain.manifest.tenant, ())

    def _chain(self, found: QueuedPlace, manifest: Manifest, content: bytes) -> Chain:
        try:
            amendments = amendments_in(self.store, found.place, found.names)
        except NotFound as error:
            raise SealError("object.missing", error.message, hints.OBJECT) from None
        return read_chain(manifest, hashlib.sha256(content).hexdigest(), amendments, self.root)

    def _without_revoked(self, chain: Chain, found: QueuedPlace) -> Chain:
        """A chain without an amendment by a revoked key, and all after it, which is reported.

        One dated before the revocation is kept if the catalogue (its restored log) knows it, if an operator
        vouches for it, or if it is a tombstone of a recording that is gone. A dropped amendment widens
        nothing and erases nothing; and as long as it is in the bucket and no row lists it, gate and worker
        refuse the recording, so that nothing it takes away is granted either."""
        manifest = chain.manifest

        def load_known() -> Known:
            return amendment_rows.known_hashes(manifest.tenant, manifest.recording)

        dated = self.believe_dates or (bool(self.revoked) and self._is_gone(chain, found))
        for document, why in find_revoked_documents(chain, self.revoked, None if dated else load_known):
            chain = chain.without(document, Problem("seal.key_revoked", document, why))
            if number_in(document) is not None:
                break
        return chain

    def _is_gone(self, chain: Chain, found: QueuedPlace) -> bool:
        """Whether a chain ends in a tombstone and nothing of the recording is left, here or in the
        catalogue."""
        manifest = chain.manifest
        sealed = {each.name for each in manifest.objects}
        if chain.erased is None or sealed.intersection(found.names):
            return False
        row = queries.recording(manifest.tenant, manifest.recording)
        if row is not None and row.wrapped_key is not None:
            return False
        try:
            self.store.size(data_key_path(manifest.tenant, manifest.recording))
        except NotFound:
            return True
        return False

    def _open(
        self, manifest: Manifest, blame: Callable[[tuple[str, str]], None]
    ) -> tuple[WrappedKey | None, Parties | None]:
        """The recording's key and parties, as far as they can be opened."""
        place = data_key_path(manifest.tenant, manifest.recording)
        try:
            key = wrapped_key_at(place, self._get(place, WrappedKey.MAX_BYTES))
            tenant_key = self.keys.of(manifest.tenant, key.wrapped_by)
            data_key = self.keyring.open_data_key(tenant_key, key)
            return key, decrypt_parties(manifest, data_key)
        except SealError as error:
            if error.error_id == "seal.kek_missing":
                raise
            blame((error.error_id, error.message))
            return None, None

    def _get(self, key: str, largest: int) -> bytes:
        try:
            return read_document(self.store, key, largest)
        except NotFound:
            code = "key.missing" if key.startswith("keys/") else "object.missing"
            raise SealError(code, f"{key} is missing", hints.OBJECT) from None
