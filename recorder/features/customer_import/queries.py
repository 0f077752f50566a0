"""What the catalogue has of all customers: their settings, numbers and people, read at once.

It is compared with a table, to tell what is new. Rows decide nothing: each operation checks again, by the
log, what it depends on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from recorder.catalogue.database import connected
from recorder.catalogue.mappers import tenant_row
from recorder.catalogue.records import TenantRow
from recorder.catalogue.tables.announcement import AnnouncementTable
from recorder.catalogue.tables.extension import ExtensionTable
from recorder.catalogue.tables.identity import InvitationTable, UserTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.offboarding import OffboardingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain import names, phone_numbers
from recorder.domain.line_policy import OFF
from recorder.domain.roles import GUESTS, PROVIDER
from recorder.prompts.sentences import SHORT


@dataclass(frozen=True, slots=True)
class KnownNumber:
    """A line in use. ``mode`` is that of its announcements, also while it is not ``recorded``. ``custom``: it
    has words or a sound of the customer's own, which no table states."""

    id: str
    tenant: str
    number: str
    label: str
    languages: tuple[str, ...]
    mode: str
    purposes: tuple[str, ...]
    keep_days: int
    recorded: bool
    custom: bool


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """Somebody who has access (``user`` is the id), or is invited (empty). ``lines`` as in ``UserRow``;
    ``extensions`` are theirs, or will be once they accept."""

    tenant: str
    user: str
    address: str
    name: str
    role: str
    lines: tuple[str, ...] | None
    extensions: tuple[str, ...]


@dataclass
class KnownCustomers:
    """``customers`` by :func:`recorder.domain.names.fold` of their names, several where a rebuild made them
    so; ``numbers`` by their canonical form, and by tenant; ``people`` by tenant; ``log_ins`` has the tenant
    of everybody with access; ``offboarding`` are the customers who leave or have left."""

    customers: dict[str, list[TenantRow]] = field(default_factory=dict)
    numbers: dict[str, KnownNumber] = field(default_factory=dict)
    numbers_of: dict[str, dict[str, KnownNumber]] = field(default_factory=dict)
    people: dict[str, list[KnownPerson]] = field(default_factory=dict)
    log_ins: dict[str, str] = field(default_factory=dict)
    offboarding: frozenset[str] = frozenset()


def read_known_customers() -> KnownCustomers:
    """All customers as they are now."""
    known = KnownCustomers()
    with connected():
        countries = {}
        for row in TenantTable.select().where(TenantTable.id != PROVIDER):
            known.customers.setdefault(names.fold(row.name), []).append(tenant_row(row))
            countries[row.id] = row.country
        known.offboarding = frozenset(
            row.tenant_id for row in OffboardingTable.select(OffboardingTable.tenant_id)
        )
        _read_numbers(known, countries)
        _read_people(known)
    return known


def _read_numbers(known: KnownCustomers, countries: Mapping[str, str]) -> None:
    columns = (
        AnnouncementTable.id, AnnouncementTable.language, AnnouncementTable.mode, AnnouncementTable.purposes,
        AnnouncementTable.keep_days, AnnouncementTable.composed,
    )  # fmt: skip
    announcements = {row.id: row for row in AnnouncementTable.select(*columns)}
    for line in LineTable.select().where(LineTable.until.is_null()):
        spoken_rows = [announcements[each] for each in (line.announcement_id, *line.others)]
        first = spoken_rows[0]
        composed = [row.composed for row in spoken_rows]
        number = phone_numbers.to_canonical(line.number, countries[line.tenant_id]) or line.number
        known.numbers[number] = known_number = KnownNumber(
            line.id, line.tenant_id, line.number, line.label, tuple(row.language for row in spoken_rows),
            first.mode, tuple(first.purposes), first.keep_days, line.mode != OFF,
            any(each is None or _is_custom(each) for each in composed),
        )  # fmt: skip
        known.numbers_of.setdefault(line.tenant_id, {})[number] = known_number


def _is_custom(composed: Mapping[str, Any]) -> bool:
    return bool(composed["own"] or composed["greeting"]) or composed.get("wording", SHORT) != SHORT


def _read_people(known: KnownCustomers) -> None:
    extensions: dict[str, list[str]] = {}
    for each in ExtensionTable.select().where(ExtensionTable.number.is_null(False)):
        extensions.setdefault(each.user_id, []).append(str(each.number))
    have_access = UserTable.revoked_at.is_null() & UserTable.role.not_in(GUESTS)
    for row in UserTable.select().where(have_access):
        _add(known, row.tenant_id, row.id, row.login, row, extensions.get(row.id, ()))
        known.log_ins[row.login] = row.tenant_id
    for invited in InvitationTable.select().where(InvitationTable.ended_at.is_null()):
        _add(known, invited.tenant_id, "", invited.address, invited, invited.extensions or ())


def _add(
    known: KnownCustomers,
    tenant: str,
    user: str,
    address: str,
    row: UserTable | InvitationTable,
    extensions: Iterable[str],
) -> None:
    lines = None if row.lines is None else tuple(row.lines)
    person = KnownPerson(tenant, user, address, row.name, row.role, lines, tuple(extensions))
    known.people.setdefault(tenant, []).append(person)
