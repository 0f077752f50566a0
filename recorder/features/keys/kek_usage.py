"""Finds which key-encryption keys wrap an installation's keys, as far as catalogue and bucket are reachable:
a new or restored key-encryption key must open all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from recorder.catalogue import tenant_queries
from recorder.errors import AccordError, ConfigError, SealError
from recorder.seal.document_source import read_document
from recorder.seal.keyring import WrappedKey, next_tenant_key_path, tenant_key_path
from recorder.store.contract import NotFound, Store

UNREADABLE = "unreadable"
"""Stands for the id if a wrapped key is invalid or another customer's."""


@dataclass(frozen=True, slots=True)
class KekUsage:
    """``by`` counts customers' wrapped keys by the id of the key that opens them; ``unseen`` says what could
    not be read, and why."""

    by: Counter[str]
    unseen: tuple[str, ...]


def count_usage(open_catalogue: Callable[[], None], open_store: Callable[[], Store]) -> KekUsage:
    """Read every customer's key, in catalogue and bucket, as far as each can be opened."""
    by: Counter[str] = Counter()
    unseen = []
    looks: tuple[tuple[str, Callable[[], Iterator[str]]], ...] = (
        ("the catalogue", lambda: _in_catalogue(open_catalogue)),
        ("the bucket", lambda: _in_bucket(open_store)),
    )
    for what, found in looks:
        try:
            by.update(found())
        except AccordError as error:
            unseen.append(f"{what}: {error.message}")
    return KekUsage(by, tuple(unseen))


def refuse_new_keys(open_catalogue: Callable[[], None], open_store: Callable[[], Store]) -> tuple[str, ...]:
    """Raises :class:`ConfigError` (``keys.in_use``) if customers have keys that new ones would not open;
    returns what could not be read."""
    found = count_usage(open_catalogue, open_store)
    if found.by:
        keks = ", ".join(sorted(found.by))
        raise ConfigError(
            "keys.in_use",
            f"{found.by.total()} customers' keys are wrapped by {keks}: new keys would not open them, and "
            "their recordings would be lost",
            "restore the old keys from their copies or from paper: `accord key restore`. To give these "
            "recordings up: `accord key init --force`",
        )
    return found.unseen


def _in_catalogue(open_catalogue: Callable[[], None]) -> Iterator[str]:
    open_catalogue()
    for row in tenant_queries.all_tenants():
        try:
            key = tenant_queries.tenant_key(row.id)
        except SealError:
            yield UNREADABLE
        else:
            if key is not None:  # destroyed, if the customer has left
                yield key.wrapped_by


def _in_bucket(open_store: Callable[[], Store]) -> Iterator[str]:
    store, after = open_store(), ""
    while (first := next(iter(store.list("keys/", after)), None)) is not None:
        tenant = first.split("/")[1]
        after = f"keys/{tenant}/~"  # past every key of this tenant
        yield from _of_tenant(store, tenant)


def _of_tenant(store: Store, tenant: str) -> Iterator[str]:
    found = 0
    for place in (tenant_key_path(tenant), next_tenant_key_path(tenant)):
        try:
            yield WrappedKey.from_bytes(read_document(store, place, WrappedKey.MAX_BYTES)).wrapped_by
        except NotFound:
            continue
        except SealError:
            yield UNREADABLE
        found += 1
    if not found:
        yield UNREADABLE  # only recordings' keys
