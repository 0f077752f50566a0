"""Changes a customer's name, language, time zone and country.

Changes that concern nodes increment the counter that the worker's snapshot follows. Every change is a leaf of
the tenant's log, in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import LockedTenant, append, tenant_lock
from recorder.auditlog.complete_log import SignedLength, complete_log, signed_length
from recorder.catalogue import country_check
from recorder.catalogue.database import forget
from recorder.catalogue.erased_call_queries import LISTED
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain import names, time_zones
from recorder.errors import CatalogueError
from recorder.features.tenants.change_permission import OPERATOR
from recorder.identity.tenants import check_name
from recorder.ids import Entropy
from recorder.lifecycle import line_rules
from recorder.store.contract import Store
from recorder.verified_state import VerifiedState


@dataclass(frozen=True, slots=True)
class FreeChoice(VerifiedState):
    """A locked customer who may still choose its country itself: no recording was ever stored for it, by its
    whole log."""

    locked: LockedTenant


def choose_country(
    tenant: str,
    country: str,
    *,
    who: str,
    store: Store,
    root: Ed25519PublicKey,
    now: datetime,
    entropy: Entropy,
) -> None:
    """Change the country at the wish of one of the customer's users (``who``), as long as nothing was ever
    recorded. Raises as :func:`set_tenant_country`, and :class:`CatalogueError` (``country.with_provider``),
    :class:`recorder.errors.AuditLogError` (``audit_log.incomplete``), :class:`recorder.errors.StoreError`."""
    country = country_check.country_code(country)
    signed = signed_length(tenant, store, root)
    with tenant_lock(tenant) as locked:
        _write_choice(_free_choice(locked, signed), country, who, now, entropy)


def _free_choice(locked: LockedTenant, signed: SignedLength) -> FreeChoice:
    """Check that a customer may choose its country itself. Raises :class:`CatalogueError`
    (``country.with_provider``), :class:`recorder.errors.AuditLogError` (``audit_log.incomplete``)."""
    complete_log(locked, signed)
    if has_recorded(locked.tenant):
        raise CatalogueError(
            "country.with_provider",
            f"customer {locked.tenant} has recordings: its provider changes the country",
            "`accord tenant set --country`",
        )
    return FreeChoice(locked)


def has_recorded(tenant: str) -> bool:
    """Whether the log says that a recording was ever stored for a customer."""
    return leaf_lookup.has_leaf(tenant, LISTED)


def _write_choice(choice: FreeChoice, country: str, who: str, now: datetime, entropy: Entropy) -> None:
    choice.locked.check()
    _write_country(choice.locked.tenant, country, who, now, entropy)


def set_tenant_country(
    tenant: str, country: str, *, alone: bool = False, person: str = "", now: datetime, entropy: Entropy
) -> None:
    """Set the country whose pack applies to a customer, for the provider, who decides that its rules apply
    ``alone`` or with those of other numbers' countries; ``person`` is the id of the one of its people who
    does so in the panel. Raises :class:`CatalogueError`: ``tenant.country`` (no such pack),
    ``tenant.unknown``, ``country.lines`` (lines that do not comply must be changed first)."""
    country = country_check.country_code(country)
    with tenant_lock(tenant):
        _write_country(tenant, country, OPERATOR, now, entropy, alone=alone)
        if alone:
            _write_decision(tenant, country, alone, person, now, entropy)


def decide_country(tenant: str, *, alone: bool, person: str = "", now: datetime, entropy: Entropy) -> bool:
    """Note the provider's decision whether the rules of a customer's country apply ``alone`` to its numbers
    from other countries, too, or the stricter of both. False if it was so already. Raises
    :class:`CatalogueError`: ``tenant.unknown``, ``country.lines``."""
    with tenant_lock(tenant):
        country = country_check.country_of(tenant)
        if line_rules.is_alone(tenant) == alone:
            return False
        line_rules.check_lines(tenant, country, alone=alone)
        _write_decision(tenant, country, alone, person, now, entropy)
    return True


def _write_country(
    tenant: str, country: str, who: str, now: datetime, entropy: Entropy, *, alone: bool = False
) -> None:
    line_rules.check_lines(tenant, country, alone=alone)
    was = TenantTable.select(TenantTable.country).where(TenantTable.id == tenant).scalar()
    TenantTable.update(country=country).where(TenantTable.id == tenant).execute()
    body = {"tenant": tenant, "country": country, "country_was": was, "actor": who}
    append(tenant, line_rules.CHANGED, body, now, entropy)
    forget(country_check.COUNTRY, tenant)
    line_rules.forget_decision(tenant)


def _write_decision(
    tenant: str, country: str, alone: bool, person: str, now: datetime, entropy: Entropy
) -> None:
    body = {"tenant": tenant, "country": country, "alone": alone, "actor": OPERATOR}
    append(tenant, line_rules.DECIDED, body | ({"person": person} if person else {}), now, entropy)
    line_rules.forget_decision(tenant)


def set_tenant(
    tenant: str,
    *,
    name: str,
    language: str,
    time_zone: str | None = None,
    who: str | None = None,
    now: datetime,
    entropy: Entropy,
) -> None:
    """Set a customer's name and language, and perhaps its time zone: a customer found by a rebuild is named
    by its id. ``who`` is the id of the user who does so, ``None`` for the operator. Raises
    :class:`CatalogueError` (``tenant.unknown``, ``tenant.name``, ``tenant.time_zone``)."""
    columns = {"name": names.tidy(name, "the customer's name", "tenant.name"), "language": language}
    if time_zone is not None:
        columns["time_zone"] = time_zones.require_zone(time_zone).key
    with tenant_lock(tenant):
        check_name(columns["name"], tenant)
        row = TenantTable.get_by_id(tenant)
        was = {f"{column}_was": getattr(row, column) for column in columns}
        actor = {} if who is None else {"actor": who}
        append(tenant, "tenant.changed", {"tenant": tenant, **columns, **was, **actor}, now, entropy)
        TenantTable.update(columns).where(TenantTable.id == tenant).execute()
