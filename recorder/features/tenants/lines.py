"""Lines: the numbers that are recorded, and their announcements.

A line's mode is that of its announcements.  They say the same in several languages, with a menu to choose
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from peewee import IntegrityError

from recorder.auditlog.append import append, lock_tenant, sha256_of
from recorder.catalogue import country_check
from recorder.catalogue.change_counter import LINES, count_up
from recorder.catalogue.database import writing
from recorder.catalogue.mappers import line_row
from recorder.catalogue.records import FORMATS, MOST_LANGUAGES, LineRow
from recorder.catalogue.tables.announcement import AnnouncementTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.offboarding import OffboardingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain import names, phone_numbers
from recorder.domain.call_plan import NOTICE
from recorder.domain.line_policy import (
    AT_PICKUP,
    BEFORE_RINGING,
    NUMBER,
    OFF,
    ONCE_CONNECTED,
    OUTBOUND,
    TIMINGS,
)
from recorder.errors import CatalogueError
from recorder.features.tenants.announcements import Spoken, check_mode, check_spoken, keep_sound
from recorder.ids import Entropy, uuid7
from recorder.lifecycle.line_history import CREATED, active, end_line


def create_line(
    tenant: str,
    *,
    number: str,
    announcement: str,
    others: Sequence[str] = (),
    menu: Spoken | None = None,
    label: str = "",
    formats: Sequence[str] = ("opus",),
    mode: str | None = None,
    timing: str = BEFORE_RINGING,
    now: datetime,
    entropy: Entropy,
) -> LineRow:
    """Switch recording on for a number, which is a tenant's own from ``now``.

    ``announcement`` is the id of one of the tenant's announcements, ``others`` of those in further languages,
    in the order of the ``menu``.  The line's mode is the one that they were made for: ``mode`` only says
    which is expected.  Raises :class:`CatalogueError`: ``line.number``, ``line.taken`` (somebody has it
    now, in whatever spelling), ``line.label``, ``line.settings``, ``line.timing``, ``line.mode``,
    ``line.languages``, ``line.menu``, ``tenant.offboarding_announced``, ``announcement.unknown``,
    ``announcement.sound``, ``country.mode``, ``country.keep_days``.
    """
    if not NUMBER.fullmatch(number):
        raise CatalogueError(
            "line.number", f"{number!r} is no number", "digits, 2 to 15 of them, with or without a leading +"
        )
    if mode is not None:
        check_mode(mode)
    if timing not in TIMINGS or not formats or not set(formats) <= set(FORMATS):
        raise CatalogueError(
            "line.settings",
            f"timing {timing!r}, formats {', '.join(formats) or 'none'}",
            f"timing is {' or '.join(TIMINGS)}, formats {' and '.join(FORMATS)} or one of them",
        )
    label = names.tidy(label, "the label", "line.label", empty=True)
    identity = str(uuid7(now, entropy))
    try:
        with writing():
            lock_tenant(tenant)
            check_stays(tenant)
            _check_other_spellings(tenant, number)
            said, columns = _saying(tenant, [announcement, *others], menu, now, mode)
            _check_timing(timing, OFF, columns["mode"], others)
            row = LineTable.create(
                id=identity,
                tenant=tenant,
                number=number,
                digits=number.removeprefix("+"),
                label=label,
                timing=timing,
                formats=list(dict.fromkeys(formats)),
                since=now,
                **columns,
            )
            how = {"number": number, "label": label, "timing": timing, "formats": row.formats}
            rest = {
                "keep": None,
                "deletable": False,
                "beep": "",
                "transfer_notice_sha256": None,
                "outbound": OFF,
            }
            append(tenant, CREATED, {"line": identity, **said, **how, **rest}, now, entropy)
            count_up(LINES)
    except IntegrityError as error:
        raise CatalogueError(
            "line.taken",
            f"{number} is recorded for a customer already",
            "`accord line move` gives it to another one: a number that changes hands starts anew",
        ) from error
    return line_row(row)


def set_line_announcement(
    tenant: str,
    line_id: str,
    announcement: str,
    *,
    others: Sequence[str] = (),
    menu: Spoken | None = None,
    now: datetime,
    entropy: Entropy,
) -> bool:
    """What a line says from the next call on: all of it, as for :func:`create_line`.  Its mode is the one
    that this was made for.  False where the tenant has no such line.  Raises :class:`CatalogueError`:
    ``line.timing``, ``line.languages``, ``line.menu``, ``announcement.unknown``, ``announcement.sound``,
    ``country.mode``, ``country.keep_days``."""
    with writing():
        lock_tenant(tenant)
        said, columns = _saying(tenant, [announcement, *others], menu, now)
        row = LineTable.get_or_none(active(tenant, line_id))
        if row is None:
            return False
        _check_timing(row.timing, row.outbound, columns["mode"], others)
        LineTable.update(**columns).where(LineTable.id == line_id).execute()
        was = {"announcement_was": row.announcement_id, "others_was": row.others}
        append(tenant, "line.announcement_changed", {"line": line_id, **said, **was}, now, entropy)
        if row.mode != columns["mode"]:
            changed = {"line": line_id, "mode": columns["mode"], "mode_was": row.mode}
            append(tenant, "line.mode_changed", changed, now, entropy)
        count_up(LINES)
    return True


def set_line_timing(tenant: str, line_id: str, timing: str, *, now: datetime, entropy: Entropy) -> bool:
    """When a line announces from the next call on (one of ``policy.TIMINGS``).  False where the tenant has
    no such line.  Raises :class:`CatalogueError` (``line.settings``, ``line.timing``)."""
    if timing not in TIMINGS:
        raise CatalogueError(
            "line.settings", f"there is no timing {timing!r}", f"one of {', '.join(TIMINGS)}"
        )
    with writing():
        lock_tenant(tenant)
        row = LineTable.get_or_none(active(tenant, line_id))
        if row is None:
            return False
        _check_timing(timing, OFF, row.mode, row.others)
        if row.timing != timing:
            LineTable.update(timing=timing).where(LineTable.id == line_id).execute()
            said = {"line": line_id, "timing": timing, "timing_was": row.timing}
            append(tenant, "line.timing_changed", said, now, entropy)
            count_up(LINES)
    return True


def set_line_outbound(tenant: str, line_id: str, outbound: str, *, now: datetime, entropy: Entropy) -> bool:
    """Whether a line announces its outbound calls from the next one on, and when (one of
    ``policy.OUTBOUND``).  False where the tenant has no such line.  Raises :class:`CatalogueError`
    (``line.settings``, ``line.timing``)."""
    if outbound not in OUTBOUND:
        raise CatalogueError(
            "line.settings", f"outbound calls cannot be {outbound!r}", f"one of {', '.join(OUTBOUND)}"
        )
    with writing():
        lock_tenant(tenant)
        row = LineTable.get_or_none(active(tenant, line_id))
        if row is None:
            return False
        _check_timing(BEFORE_RINGING, outbound, row.mode, row.others)
        if row.outbound != outbound:
            LineTable.update(outbound=outbound).where(LineTable.id == line_id).execute()
            said = {"line": line_id, "outbound": outbound, "outbound_was": row.outbound}
            append(tenant, "line.outbound_changed", said, now, entropy)
            count_up(LINES)
    return True


def _check_timing(timing: str, outbound: str, mode: str, others: Sequence[str]) -> None:
    if mode == NOTICE and not others:
        return
    asks = f"asks ({mode})" if mode != NOTICE else "lets choose a language"
    if outbound == ONCE_CONNECTED:
        raise CatalogueError(
            "line.timing",
            f"a line that {asks} does so before they are connected: afterwards both would have to wait",
            "`accord line outbound … before-connected`; once connected only notice, in one language",
        )
    if timing == AT_PICKUP:
        raise CatalogueError(
            "line.timing",
            f"a line that {asks} announces before it rings: whoever has answered would have to wait",
            "`accord line timing … before-ringing`; at pick-up only notice, in one language",
        )


def _check_other_spellings(tenant: str, number: str) -> None:
    """Inside the caller's transaction: that nobody has the number, however it is written.  Raises
    :class:`CatalogueError` (``line.taken``)."""
    country = TenantTable.select(TenantTable.country).where(TenantTable.id == tenant).scalar()
    one = phone_numbers.canonical(number, country)
    ending = (one or number)[-4:]
    same = LineTable.until.is_null() & LineTable.digits.endswith(ending)
    for row in LineTable.select(LineTable, TenantTable).join(TenantTable).where(same):
        if phone_numbers.canonical(row.number, row.tenant.country) == one:
            raise CatalogueError(
                "line.taken",
                f"{number} is recorded for a customer already: the line {row.number} of {row.tenant.name}",
                "`accord line move` gives it to another customer: a number that changes hands starts anew",
            )


def check_stays(tenant: str) -> None:
    """Inside the caller's transaction: that a customer does not leave.  Raises :class:`CatalogueError`
    (``tenant.offboarding_announced``)."""
    if OffboardingTable.select().where(OffboardingTable.tenant_id == tenant).exists():
        raise CatalogueError(
            "tenant.offboarding_announced",
            f"customer {tenant} leaves: nothing more is recorded for it",
            "`accord tenant leave show` says how far that is, `accord tenant leave stop` calls it off",
        )


def move_line(
    tenant: str,
    line_id: str,
    to: str,
    *,
    announcement: str,
    label: str = "",
    formats: Sequence[str] = ("opus",),
    mode: str | None = None,
    now: datetime,
    entropy: Entropy,
) -> LineRow | None:
    """A number is another tenant's from ``now``: the line ends, and another one begins that says what the
    new one's ``announcement`` does.  Neither one's log names the other.  Calls and recordings stay whose
    they were.  ``None`` where the tenant has no such line.  Raises :class:`CatalogueError` as
    :func:`create_line` does, and ``line.same``."""
    if tenant == to:
        raise CatalogueError("line.same", "the number is that customer's already", "name another one")
    with writing():
        for each in sorted((tenant, to)):
            lock_tenant(each)
        row = LineTable.get_or_none(active(tenant, line_id))
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


def _saying(
    tenant: str, ids: Sequence[str], menu: Spoken | None, now: datetime, expected: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inside the caller's transaction: what the log says of a line's announcements, and its columns."""
    rows = [_own_announcement(tenant, each) for each in ids]
    first = rows[0]
    country_check.check(tenant, first.purposes, keep_days=first.keep_days, mode=expected or first.mode)
    _check_mode(first, expected)
    _check_languages(rows)
    _check_menu(rows, menu)
    columns: dict[str, Any] = {"announcement": first.id, "others": list(ids[1:]), "mode": first.mode}
    said: dict[str, Any] = {"announcement": first.id, "mode": first.mode, "others": list(ids[1:])}
    if menu is None:
        nothing = {"menu_text_sha256": None, "menu": None}
        return said | nothing, columns | {"menu_text": None, "menu": None}
    sound = keep_sound(menu.wav, now)
    said |= {"menu_text_sha256": sha256_of(menu.text), "menu": sound}
    return said, columns | {"menu_text": menu.text, "menu": sound}


def _own_announcement(tenant: str, announcement: str) -> AnnouncementTable:
    row = AnnouncementTable.get_or_none(
        (AnnouncementTable.tenant == tenant) & (AnnouncementTable.id == announcement)
    )
    if row is None:
        raise CatalogueError(
            "announcement.unknown", f"this customer has no announcement {announcement}", "make it first"
        )
    return row


def _check_mode(first: AnnouncementTable, expected: str | None) -> None:
    if expected is not None and first.mode != expected:
        raise CatalogueError(
            "line.mode",
            f"the announcement {first.name} (version {first.version}) was made for {first.mode}, "
            f"not for {expected}: people would not hear what they are asked",
            f"make one with `accord announcement compose --mode {expected}`, or leave the mode away",
        )


def _check_languages(rows: Sequence[AnnouncementTable]) -> None:
    languages = [row.language for row in rows]
    if len(set(languages)) != len(languages) or len(languages) > MOST_LANGUAGES:
        raise CatalogueError(
            "line.languages",
            f"a line cannot speak {', '.join(languages)}",
            f"each language once, at most {MOST_LANGUAGES}: one key each",
        )
    first = rows[0]
    for row in rows[1:]:
        same = (row.mode, sorted(row.purposes), row.keep_days)
        if same != (first.mode, sorted(first.purposes), first.keep_days):
            raise CatalogueError(
                "line.languages",
                f"{_promise(first)}, and {_promise(row)}: who chooses another language would be told "
                "something else",
                "all announcements of a line have one mode, the same purposes and one keeping time",
            )


def _promise(row: AnnouncementTable) -> str:
    said = f"{row.mode}, {', '.join(row.purposes)}, {row.keep_days} days"
    return f"{row.name} (version {row.version}, {row.language}) says {said}"


def _check_menu(rows: Sequence[AnnouncementTable], menu: Spoken | None) -> None:
    if (menu is None) != (len(rows) == 1):
        raise CatalogueError(
            "line.menu",
            "a line in several languages needs a menu"
            if menu is None
            else "a line in one language has no menu",
            "`accord line languages` makes it, or takes it away",
        )
    if menu is not None:
        check_spoken(menu, "menu")
