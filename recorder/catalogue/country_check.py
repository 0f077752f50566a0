"""Customers and their lines beside what their countries ask (:mod:`recorder.prompts.country_rules`).

A setting is checked when it is made; a pack that changes later stops no line by itself:
:func:`misfits` lists the lines that it touches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recorder.catalogue.database import connected
from recorder.catalogue.mappers import line_row, tenant_row
from recorder.catalogue.prepared_query import prepared
from recorder.catalogue.records import LineRow, TenantRow
from recorder.catalogue.tables.announcement import AnnouncementTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.catalogue.tenant_queries import no_tenant
from recorder.errors import CatalogueError
from recorder.prompts.country_file import pack_for, shipped_packs
from recorder.prompts.country_rules import Objection, Pack


@dataclass(frozen=True, slots=True)
class Misfit:
    """A line that does not fit its customer's country.  ``laxest`` is the laxest mode that would."""

    tenant: TenantRow
    line: LineRow
    pack: Pack
    laxest: str
    objections: tuple[Objection, ...]


def known(country: str) -> str:
    """The code of a country's pack.  Raises :class:`CatalogueError` (``tenant.country``) where there is
    none: a customer is not made with a slip of the pen for a country."""
    code = country.strip().casefold()
    if code not in shipped_packs():
        raise CatalogueError(
            "tenant.country",
            f"there is no country pack {country!r}",
            f"one of {', '.join(shipped_packs())} (strict where none of the others fits)",
        )
    return code


def pack_of(tenant: str) -> Pack:
    """The pack of a customer, inside the caller's connection; the strict one where its country has none.
    Raises :class:`CatalogueError` (``tenant.unknown``)."""
    row = next(iter(_country(tenant)), None)
    if row is None:
        raise no_tenant(tenant)
    return pack_for(row.country)


@prepared(TenantTable)
def _country(tenant: str) -> Any:
    return TenantTable.select(TenantTable.country).where(TenantTable.id == tenant)


def check(tenant: str, purposes: Sequence[str], *, keep_days: int, mode: str | None = None) -> None:
    """Inside the caller's connection: that a customer's country allows a setting.  ``mode`` is ``None``
    where no line is concerned.  Raises :class:`CatalogueError` (``country.mode``, ``country.keep_days``,
    ``tenant.unknown``) that names rule and source."""
    for objection in pack_of(tenant).objections(purposes, keep_days=keep_days, mode=mode):
        raise CatalogueError(f"country.{objection.kind}", objection.message, objection.hint)


def check_lines(tenant: str, country: str) -> None:
    """Inside the caller's connection: that a customer's lines fit another country.  Raises
    :class:`CatalogueError` (``country.lines``)."""
    pack = pack_for(country)
    wrong = [line for _, line, said in _lines(tenant) if _objections(pack, line, said)]
    if wrong:
        raise CatalogueError(
            "country.lines",
            f"{len(wrong)} lines do not fit {pack.name}: {', '.join(line.number for line in wrong[:10])}",
            "make them stricter first, `accord line mode` and `accord line announce`, or end them; "
            f"`accord country show {pack.code}` says what fits",
        )


def misfits(packs: Mapping[str, Pack] | None = None) -> tuple[Misfit, ...]:
    """The recorded lines of all customers that do not fit their countries' packs; ``packs`` are the shipped
    ones by default, or what they are to become."""
    known_packs = shipped_packs() if packs is None else packs
    found = []
    with connected():
        for owner, line, said in _lines():
            pack = pack_for(owner.country, known_packs)
            if objections := _objections(pack, line, said):
                laxest = pack.laxest_mode(said.purposes)
                found.append(Misfit(owner, line, pack, laxest, objections))
    return tuple(found)


def active_lines() -> int:
    """How many lines are recorded."""
    with connected():
        return int(LineTable.select().where(LineTable.until.is_null()).count())


def _lines(tenant: str | None = None) -> list[tuple[TenantRow, LineRow, AnnouncementTable]]:
    rows = (
        LineTable.select(LineTable, AnnouncementTable, TenantTable)
        .join(AnnouncementTable)
        .switch(LineTable)
        .join(TenantTable)
    )
    rows = rows.where(LineTable.until.is_null()).order_by(TenantTable.name, TenantTable.id, LineTable.digits)
    if tenant is not None:
        rows = rows.where(LineTable.tenant == tenant)
    return [(tenant_row(row.tenant), line_row(row), row.announcement) for row in rows]


def _objections(pack: Pack, line: LineRow, said: AnnouncementTable) -> tuple[Objection, ...]:
    return pack.objections(said.purposes, keep_days=said.keep_days, mode=line.mode)
