"""Setting up a customer: tenant, announcements, lines.  What an operator does on the command line.

Every change of what a node says or records counts up the revision that the worker's snapshot follows,
and is a leaf of the tenant's log, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from peewee import IntegrityError

from recorder.auditlog.append import append, hold, sha256_of
from recorder.catalogue import country_check
from recorder.catalogue.change_counter import LINES, count_up, revision
from recorder.catalogue.mappers import tenant_row
from recorder.catalogue.prepared_query import prepared
from recorder.catalogue.records import TenantRow
from recorder.catalogue.tables.core import Tenant, connected, writing
from recorder.domain import names, time_zones
from recorder.errors import CatalogueError
from recorder.features.tenants.announcements import create_announcement, sound_duration_ms
from recorder.features.tenants.composition import set_line_languages, set_line_mode
from recorder.features.tenants.keep_options import set_line_beep, set_line_deletable, set_line_keep
from recorder.features.tenants.lines import (
    create_line,
    end_line,
    move_line,
    set_line_announcement,
    set_line_outbound,
    set_line_timing,
)
from recorder.features.tenants.transfer_options import set_line_joining
from recorder.ids import Entropy
from recorder.seal.keyring import WrappedKey, wrapped_key

__all__ = [
    "LINES",
    "count_up",
    "create_announcement",
    "create_line",
    "create_tenant",
    "end_line",
    "move_line",
    "revision",
    "set_line_announcement",
    "set_line_beep",
    "set_line_deletable",
    "set_line_joining",
    "set_line_keep",
    "set_line_languages",
    "set_line_mode",
    "set_line_outbound",
    "set_line_timing",
    "set_tenant",
    "set_tenant_country",
    "sound_duration_ms",
    "tenant_key",
    "tenant_wrapped_key",
    "tenants",
]


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
    """A new customer.  The caller makes the id (:func:`recorder.ids.uuid7`), because the tenant's key is
    wrapped for it: ``wrapped_key`` is the JSON text that ``seal.keys`` made.  Raises
    :class:`CatalogueError` (``tenant.exists``, ``tenant.country``, ``tenant.name``, ``tenant.time_zone``)."""
    country, name = country_check.known(country), names.tidy(name, "the customer's name", "tenant.name")
    time_zones.check(time_zone)
    try:
        with writing():
            _check_name(name)
            row = Tenant.create(
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
            said = {"tenant": tenant_id, "name": name, "country": country, "language": language}
            said |= {"languages": row.languages, "time_zone": time_zone, "plan": plan}
            said |= {"key_sha256": sha256_of(wrapped_key)}
            append(tenant_id, "tenant.created", said, now, entropy)
    except IntegrityError as error:
        raise CatalogueError("tenant.exists", f"there is a tenant {tenant_id} already", "") from error
    return tenant_row(row)


def set_tenant_country(tenant: str, country: str, *, now: datetime, entropy: Entropy) -> None:
    """Say which country's pack holds for a customer.  Raises :class:`CatalogueError`: ``tenant.country``
    (no such pack), ``tenant.unknown``, ``country.lines`` (lines that do not fit it: they change first)."""
    country = country_check.known(country)
    with writing():
        hold(tenant)
        country_check.check_lines(tenant, country)
        was = Tenant.select(Tenant.country).where(Tenant.id == tenant).scalar()
        Tenant.update(country=country).where(Tenant.id == tenant).execute()
        said = {"tenant": tenant, "country": country, "country_was": was}
        append(tenant, "tenant.country_changed", said, now, entropy)


def set_tenant(tenant: str, *, name: str, language: str, now: datetime, entropy: Entropy) -> None:
    """Give a customer another name and language: one that a rebuild found has its id for a name.  Raises
    :class:`CatalogueError` (``tenant.unknown``, ``tenant.name``)."""
    name = names.tidy(name, "the customer's name", "tenant.name")
    with writing():
        hold(tenant)
        _check_name(name, tenant)
        row = Tenant.get_by_id(tenant)
        said = {"tenant": tenant, "name": name, "language": language}
        was = {"name_was": row.name, "language_was": row.language}
        append(tenant, "tenant.changed", said | was, now, entropy)
        Tenant.update(name=name, language=language).where(Tenant.id == tenant).execute()


def _check_name(name: str, own: str = "") -> None:
    """Inside the caller's transaction: that no other customer has a name that people take for the same."""
    for row in Tenant.select(Tenant.id, Tenant.name):
        if row.id != own and names.folded(row.name) == names.folded(name):
            raise CatalogueError(
                "tenant.name",
                f"there is a customer {row.name!r} already: {row.id}",
                "give each a name of its own: add the place, say",
            )


def tenants() -> tuple[TenantRow, ...]:
    """Every customer, by name: for the operator's command line and the worker."""
    with connected():
        return tuple(tenant_row(row) for row in Tenant.select().order_by(Tenant.name, Tenant.id))


def tenant_wrapped_key(tenant: str) -> str | None:
    """The tenant's key as it was wrapped, JSON text; ``None`` where there is none: it was destroyed when the
    customer left."""
    with connected():
        row = next(iter(_wrapped_key(tenant)), None)
    return (row.wrapped_key or None) if row is not None else None


@prepared(Tenant)
def _wrapped_key(tenant: str) -> Any:
    return Tenant.select(Tenant.wrapped_key).where(Tenant.id == tenant)


def tenant_key(tenant: str) -> WrappedKey | None:
    """The tenant's own key as it was wrapped; ``None`` where there is none.  Raises
    :class:`recorder.errors.SealError` (``seal.key_damaged``, ``seal.key_foreign``) where the row holds
    something else."""
    text = tenant_wrapped_key(tenant)
    return (
        None if text is None else wrapped_key(text.encode(), f"the key in the row of tenant {tenant}", tenant)
    )
