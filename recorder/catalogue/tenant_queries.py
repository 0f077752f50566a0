"""Queries about customers and their wrapped keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from recorder.catalogue.database import connected, read_once
from recorder.catalogue.mappers import tenant_row
from recorder.catalogue.prepared_query import prepared
from recorder.catalogue.records import TenantRow
from recorder.catalogue.row_reader import read_rows
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain.roles import PROVIDER
from recorder.errors import CatalogueError
from recorder.fault_log import FaultLog

if TYPE_CHECKING:
    from recorder.seal.keyring import WrappedKey

UNREADABLE: Final = "customer.unreadable"


def all_tenants() -> tuple[TenantRow, ...]:
    """Everybody who has a key and a log: the customers, and the provider."""
    with connected():
        return tuple(
            tenant_row(row) for row in TenantTable.select().order_by(TenantTable.name, TenantTable.id)
        )


def customers() -> tuple[TenantRow, ...]:
    """Every customer, by name."""
    return tuple(row for row in all_tenants() if row.id != PROVIDER)


def readable_customers(faults: FaultLog) -> list[TenantRow]:
    """Every customer, by id, but those whose row cannot be read: each is reported to ``faults``."""
    query = TenantTable.select().where(TenantTable.id != PROVIDER).order_by(TenantTable.id)
    return read_rows(query, tenant_row, faults, UNREADABLE)


def log_sizes(faults: FaultLog | None = None) -> dict[str, int]:
    """How many leaves each customer's log has, by the customer's id; a row that cannot be read is reported to
    ``faults``."""
    query = TenantTable.select(TenantTable.id, TenantTable.log_size).where(TenantTable.id != PROVIDER)
    query = query.order_by(TenantTable.id)
    return dict(
        read_rows(query, lambda row: (row.id, row.log_size), faults or FaultLog(), UNREADABLE, whole=False)
    )


def recording_owner(recording: str) -> str | None:
    """The id of the customer whose recording it is, or was; ``None`` for an unknown recording. For the
    operator alone: it takes no customer, because it finds them."""
    with connected():
        row = RecordingTable.select(RecordingTable.tenant).where(RecordingTable.id == recording).first()
    return None if row is None else str(row.tenant_id)


def tenant_wrapped_key(tenant: str) -> str | None:
    """The tenant's wrapped key as JSON text; ``None`` for an unknown tenant, or if offboarding destroyed
    it."""
    with connected():
        row = next(iter(_wrapped_key(tenant)), None)
    return (row.wrapped_key or None) if row is not None else None


@prepared(TenantTable)
def _wrapped_key(tenant: str) -> Any:
    return TenantTable.select(TenantTable.wrapped_key).where(TenantTable.id == tenant)


def tenant_key(tenant: str) -> WrappedKey | None:
    """The tenant's wrapped key; ``None`` as in :func:`tenant_wrapped_key`. Raises
    :class:`recorder.errors.SealError` (``seal.key_damaged``, ``seal.key_foreign``) if the row contains
    anything else."""
    text = tenant_wrapped_key(tenant)
    return None if text is None else _open(tenant, text)


def any_tenant_key() -> WrappedKey | None:
    """The wrapped key of some tenant that has one, which shows whether a key-encryption key is the
    installation's; ``None`` where there is none yet. Raises as :func:`tenant_key`."""
    return read_once("wrapped key", "", _read_any_key)


def _read_any_key() -> WrappedKey | None:
    with connected():
        row = next(iter(_any_wrapped_key()), None)
    return None if row is None else _open(row.id, row.wrapped_key)


def _open(tenant: str, text: str) -> WrappedKey:
    from recorder.seal.keyring import wrapped_key  # a command that lists customers has no use for it

    return wrapped_key(text.encode(), f"the key in the row of tenant {tenant}", tenant)


@prepared(TenantTable)
def _any_wrapped_key() -> Any:
    columns = TenantTable.select(TenantTable.id, TenantTable.wrapped_key)
    has_key = TenantTable.wrapped_key != ""
    return columns.where(has_key).order_by(TenantTable.id).limit(1)


def newest_tenant_key() -> WrappedKey | None:
    """The wrapped key of whoever came last and has one; ``None`` where nobody has. Raises as
    :func:`tenant_key`."""
    with connected():
        query = TenantTable.select(TenantTable.id).where(TenantTable.wrapped_key != "")
        row = query.order_by(TenantTable.id.desc()).first()
    return None if row is None else tenant_key(row.id)


def unknown_tenant(tenant: str) -> CatalogueError:
    """The error for a tenant's id that does not exist."""
    return CatalogueError("tenant.unknown", f"there is no tenant {tenant}", "run `accord tenant list`")
