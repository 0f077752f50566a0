"""Changes a customer's name, language and country.

Changes that concern nodes increment the counter that the worker's snapshot follows. Every change is a leaf of
the tenant's log, in the same transaction.
"""

from __future__ import annotations

from datetime import datetime

from recorder.auditlog.append import append, tenant_lock
from recorder.catalogue import country_check
from recorder.catalogue.database import forget
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain import names
from recorder.identity.tenants import check_name
from recorder.ids import Entropy


def set_tenant_country(tenant: str, country: str, *, now: datetime, entropy: Entropy) -> None:
    """Set the country whose pack applies to a customer. Raises :class:`CatalogueError`: ``tenant.country``
    (no such pack), ``tenant.unknown``, ``country.lines`` (lines that do not comply must be changed first)."""
    country = country_check.country_code(country)
    with tenant_lock(tenant):
        country_check.check_lines(tenant, country)
        was = TenantTable.select(TenantTable.country).where(TenantTable.id == tenant).scalar()
        TenantTable.update(country=country).where(TenantTable.id == tenant).execute()
        body = {"tenant": tenant, "country": country, "country_was": was}
        append(tenant, "tenant.country_changed", body, now, entropy)
        forget(country_check.COUNTRY, tenant)


def set_tenant(tenant: str, *, name: str, language: str, now: datetime, entropy: Entropy) -> None:
    """Set a customer's name and language: a customer found by a rebuild is named by its id. Raises
    :class:`CatalogueError` (``tenant.unknown``, ``tenant.name``)."""
    name = names.tidy(name, "the customer's name", "tenant.name")
    with tenant_lock(tenant):
        check_name(name, tenant)
        row = TenantTable.get_by_id(tenant)
        body = {"tenant": tenant, "name": name, "language": language}
        was = {"name_was": row.name, "language_was": row.language}
        append(tenant, "tenant.changed", body | was, now, entropy)
        TenantTable.update(name=name, language=language).where(TenantTable.id == tenant).execute()
