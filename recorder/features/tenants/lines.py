"""Lines: the numbers that are recorded, and their announcements.

A line's mode is that of its announcements. They say the same in several languages, with a menu to choose one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from peewee import IntegrityError, fn

from recorder.auditlog.append import append, lock_tenant, sha256_of, tenant_lock
from recorder.catalogue import country_check
from recorder.catalogue.change_counter import LINES, increment
from recorder.catalogue.database import writing
from recorder.catalogue.mappers import line_row
from recorder.catalogue.prepared_query import insert, prepared
from recorder.catalogue.records import FORMATS, LineRow
from recorder.catalogue.tables.announcement import AnnouncementTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.offboarding import OffboardingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain import names, phone_numbers
from recorder.domain.line_policy import (
    BEFORE_RINGING,
    NUMBER,
    OFF,
    TIMINGS,
)
from recorder.errors import CatalogueError
from recorder.features.tenants import rules
from recorder.features.tenants.announcements import store_sound
from recorder.features.tenants.change_permission import permit_line
from recorder.ids import Entropy, uuid7
from recorder.lifecycle import line_rules, plans
from recorder.lifecycle.line_history import CREATED, active_line, end_line


def create_line(
    tenant: str,
    *,
    number: str,
    announcement: str,
    others: Sequence[str] = (),
    menu: rules.SpokenText | None = None,
    label: str = "",
    formats: Sequence[str] = (),
    mode: str | None = None,
    timing: str = BEFORE_RINGING,
    recorded: bool = True,
    known_numbers: ActiveNumbers | None = None,
    now: datetime,
    entropy: Entropy,
) -> LineRow:
    """Start recording a number, which belongs to the tenant from ``now``; unless it is to be ``recorded``
    later, once its customer has set it up (:mod:`recorder.features.tenants.setup`).

    ``announcement`` is the id of one of the tenant's announcements, ``others`` of those in further languages,
    in the order of the ``menu``. The line's mode is the one that they were made for: ``mode`` only states the
    expected one. Without ``formats``, recordings are stored in the usual one of the customer's plan.
    ``known_numbers`` are those of all customers, for many lines at once. Raises :class:`CatalogueError`:
    ``line.number``, ``line.taken`` (in use now, in any spelling), ``line.label``,
    ``line.settings``, ``line.timing``, ``line.mode``, ``line.languages``, ``line.menu``,
    ``tenant.offboarding_announced``, ``announcement.unknown``, ``announcement.sound``, ``country.mode``,
    ``country.keep_days``, ``plan.format``, ``plan.keep_days``, ``line.beyond_consent`` (a number that the
    customer had before)."""
    if not NUMBER.fullmatch(number):
        raise CatalogueError(
            "line.number", f"{number!r} is not a number", "use 2 to 15 digits, with or without a leading +"
        )
    if mode is not None:
        rules.check_mode(mode)
    if timing not in TIMINGS:
        raise CatalogueError(
            "line.settings", f"there is no timing {timing!r}", f"one of {', '.join(TIMINGS)}"
        )
    check_formats(formats)
    label = check_label(label)
    identity = str(uuid7(now, entropy))
    try:
        with tenant_lock(tenant) as locked:
            check_not_leaving(tenant)
            if known_numbers is None:
                _check_unused(tenant, number)
            else:
                known_numbers.add(tenant, identity, number)
            allowed_formats = plans.choose_formats(tenant, formats)
            columns = announcement_columns(tenant, number, [announcement, *others], menu, now, mode)
            rules.check_timing(timing, OFF, columns["mode"], others)
            if not recorded:
                columns["mode"] = OFF
            else:
                # What the customer agreed to does not end and begin again wider.
                permit_line(locked, number).check([announcement, *others], None, columns["mode"])
            row = LineTable(
                id=identity,
                tenant=tenant,
                number=number,
                digits=number.removeprefix("+"),
                label=label,
                timing=timing,
                formats=list(allowed_formats),
                since=now,
                **columns,
            )
            insert(row)
            body = {
                "line": identity,
                "number": number,
                "label": label,
                "announcement": announcement,
                "others": [*others],
                "mode": row.mode,
                "menu_text_sha256": None if menu is None else sha256_of(menu.text),
                "menu": columns["menu"],
                "timing": timing,
                "formats": row.formats,
                "keep": None,
                "deletable": False,
                "beep": "",
                "transfer_notice_sha256": None,
                "outbound": OFF,
            }
            append(tenant, CREATED, body, now, entropy)
            increment(LINES, tenant)
    except IntegrityError as error:
        raise CatalogueError(
            "line.taken",
            f"{number} is already recorded for a customer",
            "use `accord line move` to give it to another customer",
        ) from error
    return line_row(row)


def check_label(label: str) -> str:
    """The name of a number as it is stored. Raises :class:`CatalogueError` (``line.label``)."""
    return names.tidy(label, "the label", "line.label", empty=True)


def check_formats(formats: Sequence[str]) -> None:
    """Raises :class:`CatalogueError` (``line.settings``) for one that Accord does not write."""
    if others := sorted({*formats} - {*FORMATS}):
        raise CatalogueError(
            "line.settings", f"there is no format {others[0]!r}", f"{' and '.join(FORMATS)}, or one of them"
        )


def find_active(tenant: str, number: str) -> LineTable | None:
    """Inside the caller's transaction: the line, of any customer, that has a number now, in any spelling of
    the ``tenant``'s country."""
    one = phone_numbers.to_canonical(number, country_check.country_of(tenant))
    suffix = (one or number)[-4:]
    same = LineTable.until.is_null() & LineTable.digits.endswith(suffix)
    for row in LineTable.select(LineTable, TenantTable).join(TenantTable).where(same):
        if phone_numbers.to_canonical(row.number, row.tenant.country) == one:
            return row
    return None


def _check_unused(tenant: str, number: str) -> None:
    """Inside the caller's transaction: check that the number is unused. Raises :class:`CatalogueError`
    (``line.taken``)."""
    row = find_active(tenant, number)
    if row is not None:
        raise _number_taken(number, row.number, row.tenant.name)


def _number_taken(number: str, known: str, customer: str) -> CatalogueError:
    return CatalogueError(
        "line.taken",
        f"{number} is already recorded for a customer: the line {known} of {customer}",
        "use `accord line move` to give it to another customer",
    )


@dataclass
class ActiveNumbers:
    """The numbers that all customers have now, in their canonical form, read once for many new lines."""

    _state: tuple[int, str] = (-1, "")
    _lines: dict[str, tuple[str, str]] = field(default_factory=dict)

    def refresh(self) -> None:
        """Inside the caller's transaction: read them again, unless there are as many as are known, with the
        same newest one."""
        rows: Any = LineTable.select().where(LineTable.until.is_null())
        ((count, newest),) = rows.select(fn.COUNT(LineTable.id), fn.MAX(LineTable.id)).tuples()
        if (count, newest or "") != self._state:
            columns = (LineTable.number, TenantTable.country, TenantTable.name)
            lines = rows.select(*columns).join(TenantTable).tuples()
            self._lines = {_canonical(number, country): (number, name) for number, country, name in lines}
            self._state = count, newest or ""

    def add(self, tenant: str, line: str, number: str) -> None:
        """Add a new line's number. Raises :class:`CatalogueError` (``line.taken``) if somebody has it."""
        canonical = _canonical(number, country_check.country_of(tenant))
        if (known := self._lines.get(canonical)) is not None:
            raise _number_taken(number, *known)
        self._lines[canonical] = number, f"customer {tenant}"
        self._state = self._state[0] + 1, max(self._state[1], line)


def _canonical(number: str, country: str) -> str:
    return phone_numbers.to_canonical(number, country) or number


def check_not_leaving(tenant: str) -> None:
    """Inside the caller's transaction: check that the customer does not leave. Raises :class:`CatalogueError`
    (``tenant.offboarding_announced``)."""
    if _offboarding(tenant):
        raise CatalogueError(
            "tenant.offboarding_announced",
            f"customer {tenant} leaves: nothing more is recorded for it",
            "`accord offboarding show` shows the progress, `accord offboarding cancel` cancels it",
        )


@prepared(OffboardingTable)
def _offboarding(tenant: str) -> Any:
    return OffboardingTable.select(OffboardingTable.tenant_id).where(OffboardingTable.tenant_id == tenant)


def move_line(
    tenant: str,
    line_id: str,
    to: str,
    *,
    announcement: str,
    label: str = "",
    formats: Sequence[str] = (),
    mode: str | None = None,
    recorded: bool = True,
    now: datetime,
    entropy: Entropy,
) -> LineRow | None:
    """Move a number to another tenant from ``now``: the line ends, and a new one begins with the new tenant's
    ``announcement``, ``recorded`` at once or once its customer has set it up. Neither tenant's log names the
    other. Calls and recordings keep their owner. ``None`` if the tenant has no such line. Raises
    :class:`CatalogueError` as :func:`create_line`, and ``line.same``."""
    if tenant == to:
        raise CatalogueError(
            "line.same", "the number already belongs to that customer", "choose another customer"
        )
    with writing():
        for each in sorted((tenant, to)):
            lock_tenant(each)
        row = LineTable.get_or_none(active_line(tenant, line_id))
        if row is None:
            return None
        end_line(tenant, line_id, now=now, entropy=entropy)
        return create_line(
            to,
            number=row.number,
            announcement=announcement,
            label=label,
            formats=formats,
            mode=mode,
            recorded=recorded,
            now=now,
            entropy=entropy,
        )


def announcement_columns(
    tenant: str,
    number: str,
    ids: Sequence[str],
    menu: rules.SpokenText | None,
    now: datetime,
    expected: str | None = None,
) -> dict[str, Any]:
    """Inside the caller's transaction: what a line announces, as columns. Raises :class:`CatalogueError` as
    :func:`create_line`."""
    rows = [_own_announcement(tenant, each) for each in ids]
    first = rows[0]
    line_rules.check_setting(
        tenant, number, first.purposes, keep_days=first.keep_days, mode=expected or first.mode
    )
    plans.check_keep_days(tenant, first.keep_days)
    rules.check_expected_mode(first, expected)
    rules.check_languages(rows)
    rules.check_menu(rows, menu)
    return {
        "announcement": first.id,
        "others": list(ids[1:]),
        "mode": first.mode,
        "menu_text": None if menu is None else menu.text,
        "menu": None if menu is None else store_sound(menu.wav, now),
    }


def _own_announcement(tenant: str, announcement: str) -> AnnouncementTable:
    row = next(iter(_announcement(tenant, announcement)), None)
    if row is None:
        raise announcement_unknown(announcement)
    return row


def announcement_unknown(announcement: str) -> CatalogueError:
    """The error for an id that is none of the customer's announcements'."""
    return CatalogueError(
        "announcement.unknown",
        f"this customer has no announcement {announcement}",
        "`accord announcement list` shows the customer's announcements",
    )


@prepared(AnnouncementTable)
def _announcement(tenant: str, announcement: str) -> Any:
    mine = (AnnouncementTable.tenant == tenant) & (AnnouncementTable.id == announcement)
    return AnnouncementTable.select().where(mine)
