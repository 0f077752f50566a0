"""Creates customers, and the provider's own tenant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from peewee import IntegrityError

from recorder.auditlog.append import append, sha256_of
from recorder.catalogue import country_check
from recorder.catalogue.database import writing
from recorder.catalogue.mappers import tenant_row
from recorder.catalogue.records import TenantRow
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain import names, time_zones
from recorder.domain.roles import PROVIDER
from recorder.errors import CatalogueError
from recorder.ids import Entropy


def check_name(name: str, own: str = "") -> None:
    """Inside the caller's transaction: check that no other customer has a name that looks the same. Raises
    :class:`CatalogueError` (``tenant.name``)."""
    for row in TenantTable.select(TenantTable.id, TenantTable.name).where(TenantTable.id != PROVIDER):
        if row.id != own and names.fold(row.name) == names.fold(name):
            raise CatalogueError(
                "tenant.name",
                f"customer {row.id} is already called {row.name!r}",
                "give each customer a distinct name: add the place, for instance",
            )


def create_tenant(
    tenant_id: str,
    *,
    name: str,
    wrapped_key: str,
    language: str = "fr",
    languages: Sequence[str] = ("fr", "en"),
    time_zone: str = "Europe/Brussels",
    country: str = "be",
    plan: str = "starter",
    now: datetime,
    entropy: Entropy,
) -> TenantRow:
    """Create a customer. The caller makes the id (:func:`recorder.ids.uuid7`), because the tenant's key is
    wrapped for it: ``wrapped_key`` is JSON text from ``seal/keyring.py``. Raises :class:`CatalogueError`
    (``tenant.exists``, ``tenant.country``, ``tenant.name``, ``tenant.time_zone``)."""
    country, name = (
        country_check.country_code(country),
        names.tidy(name, "the customer's name", "tenant.name"),
    )
    time_zones.require_zone(time_zone)
    try:
        with writing():
            if tenant_id != PROVIDER:  # it may be a customer of its own, too
                check_name(name)
            row = TenantTable.create(
                id=tenant_id,
                name=name,
                language=language,
                languages=list(languages),
                time_zone=time_zone,
                plan=plan,
                country=country,
                wrapped_key=wrapped_key,
                created_at=now,
            )
            body = {"tenant": tenant_id, "name": name, "country": country, "language": language}
            body |= {"languages": row.languages, "time_zone": time_zone, "plan": plan}
            body |= {"key_sha256": sha256_of(wrapped_key)}
            append(tenant_id, "tenant.created", body, now, entropy)
    except IntegrityError as error:
        raise CatalogueError("tenant.exists", f"tenant {tenant_id} already exists", "") from error
    return tenant_row(row)
