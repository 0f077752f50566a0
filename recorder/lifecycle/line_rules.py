"""The rules that a line follows: those of its customer's country and, where its number is another country's,
the stricter of the two, until one of the provider's people decides that the customer's alone apply.

The customer's log says what was decided, not a row. A setting is checked when it is made. A country pack that
changes later stops no line by itself; :func:`find_misfits` lists the affected lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from recorder.auditlog import leaf_lookup
from recorder.catalogue.country_check import check_pack, country_of
from recorder.catalogue.database import connected, forget, read_once
from recorder.catalogue.mappers import line_row, tenant_row
from recorder.catalogue.records import LineRow, TenantRow
from recorder.catalogue.row_reader import read_rows
from recorder.catalogue.tables.announcement import AnnouncementTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain import phone_numbers
from recorder.domain.line_policy import OFF
from recorder.errors import CatalogueError
from recorder.fault_log import FaultLog
from recorder.prompts.country_file import pack_for, shipped_packs
from recorder.prompts.country_rules import Objection, Pack, stricter_rules
from recorder.verified_state import VerifiedState

CHANGED: Final = "tenant.country_changed"

DECIDED: Final = "tenant.country_decided"

STRICTER: Final = "stricter"
ALONE: Final = "alone"
"""What numbers from other countries follow: the stricter rules of both, or the customer's country's alone."""

_DECISION: Final = "country_decision"
"""A fact about a tenant that a batch reads once."""


@dataclass(frozen=True, slots=True)
class CountryDecision(VerifiedState):
    """What the provider decided last about a customer's ``country``, if nobody changed the country since:
    whether its rules ``alone`` apply to all numbers, those of other countries, too. ``person`` is the id of
    the one of the provider's people who decided it in the panel; empty for the command line."""

    tenant: str
    country: str
    alone: bool
    at: datetime
    person: str


def find_decision(tenant: str) -> CountryDecision | None:
    """The provider's decision about a customer's country, according to the log; ``None`` if there is none for
    the present one."""
    leaves = leaf_lookup.find_permissions(tenant, CHANGED, DECIDED)
    if not leaves or leaves[-1].kind != DECIDED:
        return None
    body = leaves[-1].body
    return CountryDecision(
        tenant, str(body["country"]), body["alone"] is True, leaves[-1].at, str(body.get("person", ""))
    )


def known_decision(tenant: str) -> CountryDecision | None:
    """The same, which a batch reads once."""
    return read_once(_DECISION, tenant, lambda: find_decision(tenant))


def is_alone(tenant: str) -> bool:
    """Whether the rules of a customer's country apply to all of its numbers, by the provider's decision."""
    with connected():
        return _is_alone(find_decision(tenant), country_of(tenant))


def forget_decision(tenant: str) -> None:
    """Read the decision again: it was changed."""
    forget(_DECISION, tenant)


def rules_of(tenant: str, number: str) -> Pack:
    """The rules of a number of a customer, inside the caller's connection. Raises :class:`CatalogueError`
    (``tenant.unknown``)."""
    return decided_rules(country_of(tenant), number, known_decision(tenant))


def decided_rules(country: str, number: str, decision: CountryDecision | None) -> Pack:
    """The rules of a number of a customer in a country, by the provider's decision about it."""
    return _pack(country, number, alone=_is_alone(decision, country))


def foreign_country(country: str, number: str) -> str | None:
    """The other country that a number is from; ``None`` if it is from this one, or from none."""
    there = phone_numbers.number_country(number, country)
    return None if there == country.casefold() else there


def undecided_rules(country: str, there: str | None) -> Pack:
    """The rules of a customer in a country for a number of another one (``None``: of none), until the
    provider decides."""
    own = pack_for(country)
    return own if there in (None, country) else stricter_rules(own, pack_for(there))


def check_setting(
    tenant: str, number: str, purposes: Sequence[str], *, keep_days: int, mode: str | None = None
) -> None:
    """Check that the rules of a number allow a setting, inside the caller's connection. Raises as
    :func:`recorder.catalogue.country_check.check_setting`."""
    check_pack(rules_of(tenant, number), purposes, keep_days=keep_days, mode=mode)


def _is_alone(decision: CountryDecision | None, country: str) -> bool:
    return decision is not None and decision.alone and decision.country == country


def _pack(country: str, number: str, *, alone: bool, packs: Mapping[str, Pack] | None = None) -> Pack:
    own = pack_for(country, packs)
    there = None if alone else foreign_country(country, number)
    return own if there is None else stricter_rules(own, pack_for(there, packs))


@dataclass(frozen=True, slots=True)
class Misfit:
    """A line that violates its customer's country pack. ``laxest`` is the laxest mode allowed."""

    tenant: TenantRow
    line: LineRow
    pack: Pack
    laxest: str
    objections: tuple[Objection, ...]


def check_lines(tenant: str, country: str, *, alone: bool) -> None:
    """Check that a customer's lines comply with a country, whose rules apply ``alone`` or with those of other
    numbers' countries, inside the caller's connection. Raises :class:`CatalogueError`
    (``country.lines``)."""
    mine = _lines().where(LineTable.tenant == tenant)
    wrong = [line_row(row) for row in mine if _objections(_pack(country, row.number, alone=alone), row)]
    if wrong:
        name = pack_for(country).name
        raise CatalogueError(
            "country.lines",
            f"{len(wrong)} lines do not fit {name}: {', '.join(line.number for line in wrong[:10])}",
            "make them stricter first (`accord line set`, --mode or --announcement), or end them; "
            f"`accord country show {pack_for(country).code}` says what fits",
        )


def find_misfits(packs: Mapping[str, Pack] | None = None) -> tuple[Misfit, ...]:
    """The recorded lines of all customers that violate their country pack, but for those that cannot be read,
    which are logged. ``packs`` defaults to the shipped packs; other packs show the effect of a planned
    change."""
    known_packs = shipped_packs() if packs is None else packs
    are_alone = cache(lambda tenant, country: _is_alone(find_decision(tenant), country))

    def misfit(row: LineTable) -> Misfit | None:
        country, alone = row.tenant.country, are_alone(row.tenant_id, row.tenant.country)
        pack = _pack(country, row.number, alone=alone, packs=known_packs)
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
