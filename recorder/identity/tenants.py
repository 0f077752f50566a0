"""Creates customers, and the provider's own tenant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from peewee import IntegrityError, fn

from recorder.auditlog.append import append, lock_tenant, sha256_of
from recorder.catalogue import country_check
from recorder.catalogue.database import writing
from recorder.catalogue.mappers import tenant_row
from recorder.catalogue.prepared_query import insert
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
            raise _name_exists(row.id, row.name)


def _name_exists(identity: str, name: str) -> CatalogueError:
    return CatalogueError(
        "tenant.name",
        f"customer {identity} is already called {name!r}",
        "give each customer a distinct name: add the place, for instance",
    )


@dataclass
class CustomerNames:
    """The names of all customers, read once for many new ones."""

    _state: tuple[int, str] = (-1, "")
    _by_fold: dict[str, tuple[str, str]] = field(default_factory=dict)

    def refresh(self) -> None:
        """Inside the caller's transaction: read them again, unless there are as many as are known, with the
        same newest one."""
        rows: Any = TenantTable.select(TenantTable.id, TenantTable.name).where(TenantTable.id != PROVIDER)
        ((count, newest),) = rows.select(fn.COUNT(TenantTable.id), fn.MAX(TenantTable.id)).tuples()
        if (count, newest or "") != self._state:
            self._by_fold = {names.fold(name): (identity, name) for identity, name in rows.tuples()}
            self._state = count, newest or ""

    def add(self, identity: str, name: str) -> None:
        """Add a new customer's name. Raises :class:`CatalogueError` (``tenant.name``) if one has a name that
        looks the same."""
        if (same := self._by_fold.get(names.fold(name))) is not None:
            raise _name_exists(*same)
        self._by_fold[names.fold(name)] = identity, name
        self._state = self._state[0] + 1, max(self._state[1], identity)


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
    known_names: CustomerNames | None = None,
    now: datetime,
    entropy: Entropy,
) -> TenantRow:
    """Create a customer. The caller makes the id (:func:`recorder.ids.uuid7`), because the tenant's key is
    wrapped for it: ``wrapped_key`` is JSON text from ``seal/keyring.py``. ``known_names`` are those of all
    customers, for many at once. Raises :class:`CatalogueError` (``tenant.exists``, ``tenant.country``,
    ``tenant.name``, ``tenant.time_zone``)."""
    country, name = (
        country_check.country_code(country),
        names.tidy(name, "the customer's name", "tenant.name"),
    )
    time_zones.require_zone(time_zone)
    try:
        with writing():
            if tenant_id != PROVIDER:  # it may be a customer of its own, too
                if known_names is None:
                    check_name(name)
                else:
                    known_names.add(tenant_id, name)
            row = TenantTable(
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
            insert(row)
            body = {"tenant": tenant_id, "name": name, "country": country, "language": language}
            body |= {"languages": row.languages, "time_zone": time_zone, "plan": plan}
            body |= {"key_sha256": sha256_of(wrapped_key)}
            append(tenant_id, "tenant.created", body, now, entropy)
    except IntegrityError as error:
        raise CatalogueError(
            "tenant.exists", f"tenant {tenant_id} already exists", "use it as it is: `accord tenant show`"
        ) from error
    return tenant_row(row)


def rename_provider(name: str, *, now: datetime, entropy: Entropy) -> None:
    """Give the provider's tenant, if there is one, the ``name`` by which its people's mails call it."""
    with writing():
        row = TenantTable.get_or_none(TenantTable.id == PROVIDER)
        if row is None or row.name == name:
            return
        lock_tenant(PROVIDER)
        body = {"tenant": PROVIDER, "name": name, "language": row.language}
        was = {"name_was": row.name, "language_was": row.language}
        append(PROVIDER, "tenant.changed", body | was, now, entropy)
        TenantTable.update(name=name).where(TenantTable.id == PROVIDER).execute()
