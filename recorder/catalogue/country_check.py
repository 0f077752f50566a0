"""Checks customers and their lines against their countries' rules (:mod:`recorder.prompts.country_rules`).

A setting is checked when it is made. A country pack that changes later stops no line by itself;
:func:`find_misfits` lists the affected lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from recorder.catalogue.database import connected, read_once
from recorder.catalogue.mappers import line_row, tenant_row
from recorder.catalogue.prepared_query import prepared
from recorder.catalogue.records import LineRow, TenantRow
from recorder.catalogue.row_reader import read_rows
from recorder.catalogue.tables.announcement import AnnouncementTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.catalogue.tenant_queries import unknown_tenant
from recorder.domain.line_policy import OFF
from recorder.errors import CatalogueError
from recorder.fault_log import FaultLog
from recorder.prompts.country_file import pack_for, shipped_packs
from recorder.prompts.country_rules import Objection, Pack

COUNTRY: Final = "country"
"""A fact about a tenant that a batch reads once."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A line that violates its customer's country pack. ``laxest`` is the laxest mode allowed."""

    tenant: TenantRow
    line: LineRow
    pack: Pack
    laxest: str
    objections: tuple[Objection, ...]


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


def check_lines(tenant: str, country: str) -> None:
    """Check that a customer's lines comply with another country, inside the caller's connection. Raises
    :class:`CatalogueError` (``country.lines``)."""
    pack = pack_for(country)
    mine = _lines().where(LineTable.tenant == tenant)
    wrong = [line_row(row) for row in mine if _objections(pack, row)]
    if wrong:
        raise CatalogueError(
            "country.lines",
            f"{len(wrong)} lines do not fit {pack.name}: {', '.join(line.number for line in wrong[:10])}",
            "make them stricter first (`accord line set`, --mode or --announcement), or end them; "
            f"`accord country show {pack.code}` says what fits",
        )


def find_misfits(packs: Mapping[str, Pack] | None = None) -> tuple[Misfit, ...]:
    """The recorded lines of all customers that violate their country pack, but for those that cannot be read,
    which are logged. ``packs`` defaults to the shipped packs; other packs show the effect of a planned
    change."""
    known_packs = shipped_packs() if packs is None else packs

    def misfit(row: LineTable) -> Misfit | None:
        pack = pack_for(row.tenant.country, known_packs)
        objections = _objections(pack, row)
        laxest = pack.laxest_mode(row.announcement.purposes)
        return Misfit(tenant_row(row.tenant), line_row(row), pack, laxest, objections) if objections else None

    found = read_rows(_lines(), misfit, FaultLog(), "line.unreadable")
    return tuple(each for each in found if each is not None)


def count_active_lines() -> int:
    """The number of recorded lines of all customers."""
    with connected():
        return int(LineTable.select().where(_recorded()).count())


def _lines() -> Any:
    """The query of the recorded lines, each with its owner and its announcement."""
    rows = (
        LineTable.select(LineTable, AnnouncementTable, TenantTable)
        .join(AnnouncementTable)
        .switch(LineTable)
        .join(TenantTable)
    )
    return rows.where(_recorded()).order_by(TenantTable.name, TenantTable.id, LineTable.digits)


def _recorded() -> Any:
    return LineTable.until.is_null() & (LineTable.mode != OFF)


def _objections(pack: Pack, line: LineTable) -> tuple[Objection, ...]:
    announcement = line.announcement
    return pack.objections(announcement.purposes, keep_days=announcement.keep_days, mode=line.mode)
