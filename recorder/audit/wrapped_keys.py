"""Audits wrapped keys: bucket and catalogue must agree, and match seals and log. With a key-encryption key,
each key is also opened (``deep``)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from recorder.audit.findings import AuditFinding
from recorder.catalogue.database import connected
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import SealError
from recorder.seal.data_key import open_data_key
from recorder.seal.document_source import read_document
from recorder.seal.keyring import (
    RECORDING,
    RESTORE,
    TENANT,
    Keyring,
    WrappedKey,
    data_key_path,
    every_tenant_key_path,
    next_tenant_key_path,
    tenant_key_path,
)
from recorder.seal.manifest import Manifest
from recorder.store.contract import NotFound, Store


@dataclass(frozen=True, slots=True)
class WrappedKeys:
    """One customer's wrapped keys. ``had`` are the ids of all keys that it has had, by its log;
    ``destroyed``: whether the log records their destruction; ``deep`` opens them."""

    tenant: str
    store: Store
    had: Collection[str] = ()
    destroyed: bool = False
    deep: Keyring | None = None
    _ids: set[str] = field(default_factory=set)
    """Ids of the customer's existing keys, after :meth:`own`."""

    def own(self) -> Iterator[AuditFinding]:
        """Check the customer's own keys. Raises ``StoreError``."""
        yield from self._present()
        place = tenant_key_path(self.tenant)
        for key in self.store.list(f"{place.removesuffix('.json')}"):
            if self.destroyed:
                yield AuditFinding(
                    "key.not_erased", key, "the customer's keys were destroyed, but it is still there"
                )
            elif key == next_tenant_key_path(self.tenant):
                yield from self._document(key, None)
            elif key != place:
                identity = key.rpartition(f"{TENANT}-")[2].removesuffix(".json")
                if identity not in self.had or key != every_tenant_key_path(self.tenant, identity):
                    yield AuditFinding("object.unknown", key, "by its log, the customer never had this key")
                else:
                    yield from self._document(key, identity)
        for identity in sorted({*self.had} - {*self._ids}):
            if not self.destroyed:
                key = every_tenant_key_path(self.tenant, identity)
                yield AuditFinding("key.missing", key, "the customer had this key, but it is missing")

    def _present(self) -> Iterator[AuditFinding]:
        text, there = self._both()
        key = tenant_key_path(self.tenant)
        if not text:
            return
        if there is None:
            with connected():
                mine = (RecordingTable.tenant == self.tenant) & RecordingTable.erased_at.is_null()
                if RecordingTable.select().where(mine).exists():
                    yield AuditFinding("key.missing", key, "the customer's wrapped key is missing")
        elif there != text.encode():
            yield AuditFinding("key.differs", key, "bucket and catalogue differ")
        else:
            yield from self._document(key, None)

    def _both(self) -> tuple[str, bytes | None]:
        """The current key in catalogue and bucket, read twice if they differ: a rotation may be in
        progress."""
        for attempt in range(2):
            with connected():
                text = str(
                    TenantTable.select(TenantTable.wrapped_key).where(TenantTable.id == self.tenant).scalar()
                    or ""
                )
            there = self._read(tenant_key_path(self.tenant))
            if attempt or there == text.encode():
                break
        return text, there

    def _document(self, key: str, identity: str | None) -> Iterator[AuditFinding]:
        try:
            wrapped = WrappedKey.from_bytes(self._read(key) or b"")
            if wrapped.kind != TENANT:
                raise SealError("seal.key_kind", "it is a recording's key", RESTORE)
            if wrapped.tenant != self.tenant or identity not in (None, wrapped.key_id):
                raise SealError(
                    "seal.key_foreign", f"it is key {wrapped.key_id} of customer {wrapped.tenant}", RESTORE
                )
            self._ids.add(wrapped.key_id)
            if self.deep is not None:
                self.deep.open_tenant_key(wrapped)
        except SealError as error:
            yield AuditFinding(error.error_id, key, error.message)

    def of(self, manifest: Manifest) -> Iterator[AuditFinding]:
        """Check the key of a recording that was not erased. Raises ``StoreError``."""
        key = data_key_path(self.tenant, manifest.recording)
        for attempt in range(2):
            text, there = self._row(manifest.recording), self._read(key)
            if attempt or (text is not None and there == text.encode()):
                break
        if there is None:
            yield AuditFinding("key.missing", key, "the recording's wrapped key is missing")
            return
        if text is None:
            what = "its row has no key, but it was not erased: wrapped_key"
            yield AuditFinding("row.changed", f"{self.tenant}: recording {manifest.recording}", what)
        elif there != text.encode():
            yield AuditFinding("key.differs", key, "bucket and catalogue differ (wrapped_key)")
        try:
            self._check(WrappedKey.from_bytes(there), manifest)
        except SealError as error:
            yield AuditFinding(error.error_id, key, error.message)

    def _check(self, wrapped: WrappedKey, manifest: Manifest) -> None:
        if wrapped.kind != RECORDING:
            raise SealError("seal.key_kind", "it is a customer's key", RESTORE)
        if (wrapped.tenant, wrapped.recording) != (self.tenant, manifest.recording):
            raise SealError(
                "seal.key_foreign",
                f"it belongs to recording {wrapped.recording} of {wrapped.tenant}",
                RESTORE,
            )
        if wrapped.key_id != manifest.keys.data:
            raise SealError(
                "seal.key_foreign",
                f"it is key {wrapped.key_id}, but the recording was sealed with another",
                RESTORE,
            )
        if wrapped.wrapped_by not in {*self._ids, *self.had}:
            raise SealError(
                "seal.key_foreign",
                f"it is wrapped by key {wrapped.wrapped_by}, which is not the customer's",
                RESTORE,
            )
        if self.deep is not None:
            with connected():
                text = (
                    TenantTable.select(TenantTable.wrapped_key).where(TenantTable.id == self.tenant).scalar()
                )
            own = WrappedKey.from_bytes(text.encode())
            manifest.check_key(open_data_key(self.store, self.deep, own, wrapped))

    def _row(self, recording: str) -> str | None:
        with connected():
            mine = (RecordingTable.tenant == self.tenant) & (RecordingTable.id == recording)
            found = RecordingTable.select(RecordingTable.wrapped_key).where(mine).scalar()
        return None if found is None else str(found)

    def _read(self, key: str) -> bytes | None:
        try:
            return read_document(self.store, key, WrappedKey.MAX_BYTES)
        except NotFound:
            return None
