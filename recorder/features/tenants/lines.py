"""Lines: the numbers that are recorded, and their announcements.

A line's mode is that of its announcements. They say the same in several languages, with a menu to choose one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from peewee import IntegrityError, fn

from recorder.auditlog.append import append, lock_tenant, sha256_of
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
    OUTBOUND_TIMINGS,
    TIMINGS,
)
from recorder.errors import CatalogueError
from recorder.features.tenants.announcements import store_sound
from recorder.features.tenants.rules import (
    SpokenText,
    check_expected_mode,
    check_languages,
    check_menu,
    check_mode,
    check_timing,
)
from recorder.ids import Entropy, uuid7
from recorder.lifecycle import plans
from recorder.lifecycle.line_history import CREATED, active_line, end_line


def create_line(
    tenant: str,
    *,
    number: str,
    announcement: str,
    others: Sequence[str] = (),
    menu: SpokenText | None = None,
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
    ``country.keep_days``, ``plan.format``, ``plan.keep_days``."""
    if not NUMBER.fullmatch(number):
        raise CatalogueError(
            "line.number", f"{number!r} is not a number", "use 2 to 15 digits, with or without a leading +"
        )
    if mode is not None:
        check_mode(mode)
    if timing not in TIMINGS:
        raise CatalogueError(
            "line.settings", f"there is no timing {timing!r}", f"one of {', '.join(TIMINGS)}"
        )
    _check_formats(formats)
    label = names.tidy(label, "the label", "line.label", empty=True)
    identity = str(uuid7(now, entropy))
    try:
        with writing():
            lock_tenant(tenant)
            check_not_leaving(tenant)
            if known_numbers is None:
                _check_unused(tenant, number)
            else:
                known_numbers.add(tenant, identity, number)
            allowed_formats = plans.choose_formats(tenant, formats)
            body, columns = _announcement_columns(tenant, [announcement, *others], menu, now, mode)
            check_timing(timing, OFF, columns["mode"], others)
            if not recorded:
                body["mode"] = columns["mode"] = OFF
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
            how = {"number": number, "label": label, "timing": timing, "formats": row.formats}
            rest = {
                "keep": None,
                "deletable": False,
                "beep": "",
                "transfer_notice_sha256": None,
                "outbound": OFF,
            }
            append(tenant, CREATED, {"line": identity, **body, **how, **rest}, now, entropy)
            increment(LINES, tenant)
    except IntegrityError as error:
        raise CatalogueError(
            "line.taken",
            f"{number} is already recorded for a customer",
            "use `accord line move` to give it to another customer",
        ) from error
    return line_row(row)


def set_line_announcement(
    tenant: str,
    line_id: str,
    announcement: str,
    *,
    others: Sequence[str] = (),
    menu: SpokenText | None = None,
    switch_on: bool = False,
    now: datetime,
    entropy: Entropy,
) -> bool:
    """Set what a line says from the next call on, all of it, as for :func:`create_line`; its mode follows. A
    line that is not recorded stays so, unless this is to ``switch_on`` recording. False if the tenant has no
    such line. Raises :class:`CatalogueError`: ``line.timing``, ``line.languages``, ``line.menu``,
    ``announcement.unknown``, ``announcement.sound``, ``country.mode``, ``country.keep_days``,
    ``plan.keep_days``."""
    with writing():
        lock_tenant(tenant)
        body, columns = _announcement_columns(tenant, [announcement, *others], menu, now)
        row = LineTable.get_or_none(active_line(tenant, line_id))
        if row is None:
            return False
        check_timing(row.timing, row.outbound, columns["mode"], others)
        if row.mode == OFF and not switch_on:
            body["mode"] = columns["mode"] = OFF
        LineTable.update(**columns).where(LineTable.id == line_id).execute()
        was = {"announcement_was": row.announcement_id, "others_was": row.others}
        append(tenant, "line.announcement_changed", {"line": line_id, **body, **was}, now, entropy)
        if row.mode != columns["mode"]:
            changed = {"line": line_id, "mode": columns["mode"], "mode_was": row.mode}
            append(tenant, "line.mode_changed", changed, now, entropy)
        increment(LINES, tenant)
    return True


def switch_line_off(tenant: str, line_id: str, *, now: datetime, entropy: Entropy) -> bool:
    """Stop recording a number that stays its customer's. False if the tenant has no such line that is
    recorded."""
    with writing():
        lock_tenant(tenant)
        row = LineTable.get_or_none(active_line(tenant, line_id) & (LineTable.mode != OFF))
        if row is None:
            return False
        LineTable.update(mode=OFF).where(LineTable.id == line_id).execute()
        body = {"line": line_id, "mode": OFF, "mode_was": row.mode}
        append(tenant, "line.mode_changed", body, now, entropy)
        increment(LINES, tenant)
    return True


def set_line_timing(tenant: str, line_id: str, timing: str, *, now: datetime, entropy: Entropy) -> bool:
    """Set when a line announces from the next call on (one of ``line_policy.TIMINGS``). False if the tenant
    has no such line. Raises :class:`CatalogueError` (``line.settings``, ``line.timing``)."""
    if timing not in TIMINGS:
        raise CatalogueError(
            "line.settings", f"there is no timing {timing!r}", f"one of {', '.join(TIMINGS)}"
        )
    with writing():
        lock_tenant(tenant)
        row = LineTable.get_or_none(active_line(tenant, line_id))
        if row is None:
            return False
        check_timing(timing, OFF, _announced_mode(row), row.others)
        if row.timing != timing:
            LineTable.update(timing=timing).where(LineTable.id == line_id).execute()
            body = {"line": line_id, "timing": timing, "timing_was": row.timing}
            append(tenant, "line.timing_changed", body, now, entropy)
            increment(LINES, tenant)
    return True


def set_line_outbound(tenant: str, line_id: str, outbound: str, *, now: datetime, entropy: Entropy) -> bool:
    """Set whether and when a line announces its outbound calls from the next one on (one of
    ``line_policy.OUTBOUND_TIMINGS``). False if the tenant has no such line. Raises :class:`CatalogueError`
    (``line.settings``, ``line.timing``)."""
    if outbound not in OUTBOUND_TIMINGS:
        raise CatalogueError(
            "line.settings", f"outbound calls cannot be {outbound!r}", f"one of {', '.join(OUTBOUND_TIMINGS)}"
        )
    with writing():
        lock_tenant(tenant)
        row = LineTable.get_or_none(active_line(tenant, line_id))
        if row is None:
            return False
        check_timing(BEFORE_RINGING, outbound, _announced_mode(row), row.others)
        if row.outbound != outbound:
            LineTable.update(outbound=outbound).where(LineTable.id == line_id).execute()
            body = {"line": line_id, "outbound": outbound, "outbound_was": row.outbound}
            append(tenant, "line.outbound_changed", body, now, entropy)
            increment(LINES, tenant)
    return True


def set_line_formats(
    tenant: str, line_id: str, formats: Sequence[str], who: str, *, now: datetime, entropy: Entropy
) -> bool:
    """Set the formats in which a line's recordings are stored from the next call on; ``who`` is the id of the
    user, or ``operator``. False if the tenant has no such line. Raises :class:`CatalogueError`
    (``line.settings``, ``plan.format``)."""
    _check_formats(formats)
    with writing():
        lock_tenant(tenant)
        row = LineTable.get_or_none(active_line(tenant, line_id))
        if row is None:
            return False
        allowed_formats = list(plans.choose_formats(tenant, formats))
        if row.formats != allowed_formats:
            LineTable.update(formats=allowed_formats).where(LineTable.id == line_id).execute()
            body = {"line": line_id, "formats": allowed_formats, "formats_was": row.formats, "actor": who}
            append(tenant, "line.formats_changed", body, now, entropy)
            increment(LINES, tenant)
    return True


def _check_formats(formats: Sequence[str]) -> None:
    if others := sorted({*formats} - {*FORMATS}):
        raise CatalogueError(
            "line.settings", f"there is no format {others[0]!r}", f"{' and '.join(FORMATS)}, or one of them"
        )


def _announced_mode(row: LineTable) -> str:
    """The mode of a line once it is recorded."""
    return str(row.announcement.mode)


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
    now: datetime,
    entropy: Entropy,
) -> LineRow | None:
    """Move a number to another tenant from ``now``: the line ends, and a new one begins with the new tenant's
    ``announcement``. Neither tenant's log names the other. Calls and recordings keep their owner. ``None`` if
    the tenant has no such line. Raises :class:`CatalogueError` as :func:`create_line`, and ``line.same``."""
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
            now=now,
            entropy=entropy,
        )


def _announcement_columns(
    tenant: str, ids: Sequence[str], menu: SpokenText | None, now: datetime, expected: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inside the caller's transaction: a line's announcements as the fields of a leaf, and as columns."""
    rows = [_own_announcement(tenant, each) for each in ids]
    first = rows[0]
    country_check.check_setting(
        tenant, first.purposes, keep_days=first.keep_days, mode=expected or first.mode
    )
    plans.check_keep_days(tenant, first.keep_days)
    check_expected_mode(first, expected)
    check_languages(rows)
    check_menu(rows, menu)
    columns: dict[str, Any] = {"announcement": first.id, "others": list(ids[1:]), "mode": first.mode}
    body: dict[str, Any] = {"announcement": first.id, "mode": first.mode, "others": list(ids[1:])}
    if menu is None:
        nothing = {"menu_text_sha256": None, "menu": None}
        return body | nothing, columns | {"menu_text": None, "menu": None}
    sound = store_sound(menu.wav, now)
    body |= {"menu_text_sha256": sha256_of(menu.text), "menu": sound}
    return body, columns | {"menu_text": menu.text, "menu": sound}


def _own_announcement(tenant: str, announcement: str) -> AnnouncementTable:
    row = next(iter(_announcement(tenant, announcement)), None)
    if row is None:
        raise CatalogueError(
            "announcement.unknown", f"this customer has no announcement {announcement}", "make it first"
        )
    return row


@prepared(AnnouncementTable)
def _announcement(tenant: str, announcement: str) -> Any:
    mine = (AnnouncementTable.tenant == tenant) & (AnnouncementTable.id == announcement)
    return AnnouncementTable.select().where(mine)
