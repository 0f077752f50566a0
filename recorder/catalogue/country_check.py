"""Checks customers' settings against their countries' rules (:mod:`recorder.prompts.country_rules`). A line's
are in :mod:`recorder.lifecycle.line_rules`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from recorder.catalogue.database import read_once
from recorder.catalogue.prepared_query import prepared
from recorder.catalogue.tables.tenant import TenantTable
from recorder.catalogue.tenant_queries import unknown_tenant
from recorder.errors import CatalogueError
from recorder.prompts.country_file import pack_for, shipped_packs
from recorder.prompts.country_rules import Pack

COUNTRY: Final = "country"
"""A fact about a tenant that a batch reads once."""


def country_code(country: str) -> str:
    """The normalized code of a country pack. Raises :class:`CatalogueError` (``tenant.country``) if there is
    no such pack, so that a typing error never becomes a customer's country."""
    code = country.strip().casefold()
    if code not in shipped_packs():
        raise CatalogueError(
            "tenant.country",
            f"there is no country pack {country!r}",
            f"use one of {', '.join(shipped_packs())} (strict if none of the others fits)",
        )
    return code


def pack_of(tenant: str) -> Pack:
    """A customer's country pack, inside the caller's connection; the strict one if its country has none.
    Raises :class:`CatalogueError` (``tenant.unknown``)."""
    return pack_for(country_of(tenant))


def country_of(tenant: str) -> str:
    """A customer's country, inside the caller's connection. Raises :class:`CatalogueError`
    (``tenant.unknown``)."""
    return read_once(COUNTRY, tenant, lambda: _read_country(tenant))


def _read_country(tenant: str) -> str:
    row = next(iter(_country(tenant)), None)
    if row is None:
        raise unknown_tenant(tenant)
    return row.country


@prepared(TenantTable)
def _country(tenant: str) -> Any:
    return TenantTable.select(TenantTable.country).where(TenantTable.id == tenant)


def check_setting(tenant: str, purposes: Sequence[str], *, keep_days: int, mode: str | None = None) -> None:
    """Check that a customer's country allows a setting, inside the caller's connection. ``mode`` is ``None``
    if no line is concerned. Raises :class:`CatalogueError` (``country.mode``, ``country.keep_days``,
    ``tenant.unknown``); the first two name the rule and its source."""
    check_pack(pack_of(tenant), purposes, keep_days=keep_days, mode=mode)


def check_pack(pack: Pack, purposes: Sequence[str], *, keep_days: int, mode: str | None) -> None:
    """Check that a country allows a setting. Raises :class:`CatalogueError` (``country.mode``,
    ``country.keep_days``), as :func:`check_setting`."""
    for objection in pack.objections(purposes, keep_days=keep_days, mode=mode):
        error_id = "country.mode" if objection.kind == "mode" else "country.keep_days"
        raise CatalogueError(error_id, objection.message, objection.hint)
