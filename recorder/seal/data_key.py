"""Unwrapping a recording's data key, whichever of its tenant's keys wraps it.

A tenant has one key.  After a rotation (``accord key rotate``) the bucket has all its former keys by their
ids: a recording that was sealed before and stored after it stays wrapped by a former key until rewrapped.
"""

from __future__ import annotations

from recorder.errors import StoreError
from recorder.seal.document_source import DocumentSource, read_document
from recorder.seal.keyring import (
    Keyring,
    Secret,
    WrappedKey,
    every_tenant_key_path,
    wrapped_key_at,
)


def open_data_key(
    source: DocumentSource, keyring: Keyring, tenant_key: WrappedKey, wrapped: WrappedKey
) -> Secret:
    """Unwrap the data key of a recording; ``tenant_key`` is its tenant's present key. Reads a former one from
    ``source`` only where it is needed. Raises :class:`SealError` as :meth:`Keyring.open_data_key`,
    :class:`StoreError`."""
    if wrapped.tenant == tenant_key.tenant and wrapped.wrapped_by != tenant_key.key_id:
        tenant_key = tenant_key_of(source, wrapped.tenant, wrapped.wrapped_by) or tenant_key
    return keyring.open_data_key(tenant_key, wrapped)


def tenant_key_of(source: DocumentSource, tenant: str, key_id: str) -> WrappedKey | None:
    """Read one of a tenant's keys by its id; ``None`` where the bucket has no such key.  Raises
    :class:`SealError` for a damaged key or another tenant's, :class:`StoreError`."""
    try:
        return read_wrapped(source, every_tenant_key_path(tenant, key_id))
    except StoreError as error:
        if error.error_id != "store.not_found":
            raise
        return None


def read_wrapped(source: DocumentSource, place: str) -> WrappedKey:
    """Read the wrapped key at a place in the bucket, and check that its owner matches the place.  Raises
    :class:`SealError` (``seal.key_damaged``, ``seal.key_foreign``), :class:`StoreError`."""
    return wrapped_key_at(place, read_document(source, place, WrappedKey.MAX_BYTES))
