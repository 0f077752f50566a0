"""Changes of a line, from its next call on: all of its settings at once.

Sound is made first. The change is then written under the customer's lock, if the line is still the one that
it was made for. What the settings will be is checked as a whole, so that no order of single steps matters;
one leaf says what changed, each setting with its value before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from recorder.auditlog.append import LockedTenant, append, sha256_of, tenant_lock
from recorder.catalogue import queries
from recorder.catalogue.change_counter import LINES, increment
from recorder.catalogue.database import connected
from recorder.catalogue.mappers import transfer_options_data
from recorder.catalogue.records import ASKING_MODES, AnnouncementRow, KeepOptions, LineRow
from recorder.catalogue.tables.line import LineDeleteOptionTable, LineKeepOptionTable, LineTable
from recorder.domain.call_plan import WAYS
from recorder.domain.line_policy import BEEPS, OFF, OUTBOUND_TIMINGS, TIMINGS
from recorder.errors import CatalogueError
from recorder.features.tenants import keep_options, lines, rules, transfer_options
from recorder.features.tenants.announcements import check_purposes, read_sound
from recorder.features.tenants.change_permission import (
    OPERATOR,
    PROMISED,
    ChangePermission,
    permit_change,
)
from recorder.features.tenants.composition import Draft, announcement_id, in_languages
from recorder.features.tenants.keep_options import DELETES, KEEPS, Sentences, prompts_sha256
from recorder.features.tenants.transfer_options import NoticeChoice, TransferSentences
from recorder.ids import Entropy
from recorder.lifecycle import line_rules, plans
from recorder.lifecycle.line_history import CHANGED, active_line
from recorder.lifecycle.line_proposals import UNCHANGED, Unchanged
from recorder.prompts import composer
from recorder.prompts.sound_sources import Sources

Announcement = AnnouncementRow | Draft


@dataclass(frozen=True, slots=True)
class LineChange:
    """What a line is to be; ``None``, empty or :data:`UNCHANGED` where a setting stays.

    ``announcements`` (ids, rows or drafts), the first language first, replace all others, and their mode
    becomes the line's; several need a ``menu``, which is composed unless it is given. For a ``mode``,
    ``languages``, ``purposes`` or ``keep_days``, announcements are composed where the customer has none like
    the line's. ``recorded`` switches recording on or off. ``keep`` is the keep question, ``deletable``
    whether colleagues may have a recording deleted in the call, ``beep`` who hears a tone (empty: nobody),
    ``notice`` what transfer targets hear; ``label`` is the number's name for people, empty for none."""

    announcements: Sequence[str | Announcement] = ()
    menu: rules.SpokenText | None = None
    mode: str | None = None
    languages: Sequence[str] | None = None
    purposes: Sequence[str] = ()
    keep_days: int | None = None
    recorded: bool | None = None
    timing: str | None = None
    outbound: str | None = None
    formats: Sequence[str] = ()
    beep: str | None = None
    keep: KeepOptions | Unchanged | None = UNCHANGED
    deletable: bool | None = None
    notice: NoticeChoice | Unchanged | None = UNCHANGED
    label: str | None = None

    def is_heard(self) -> bool:
        """Whether callers hear all of it, in the announcement or in the keep question."""
        others = replace(
            self,
            announcements=(),
            menu=None,
            mode=None,
            languages=None,
            purposes=(),
            keep_days=None,
            keep=UNCHANGED,
        )
        return others == LineChange()

    def check(self) -> None:
        """Check what needs no line. Raises :class:`CatalogueError` (``line.settings``,
        ``line.languages``, ``line.label``)."""
        if self.mode is not None:
            rules.check_mode(self.mode)
        if self.languages is not None:
            rules.check_spoken_languages(self.languages)
        if self.timing is not None and self.timing not in TIMINGS:
            raise _unknown(f"there is no timing {self.timing!r}", TIMINGS)
        if self.outbound is not None and self.outbound not in OUTBOUND_TIMINGS:
            raise _unknown(f"outbound calls cannot be {self.outbound!r}", OUTBOUND_TIMINGS)
        if self.beep and self.beep not in BEEPS:
            raise _unknown(f"{self.beep!r} is not a party", (*BEEPS, "nobody"))
        if isinstance(self.notice, NoticeChoice) and self.notice.how not in WAYS:
            raise _unknown(f"{self.notice.how!r} is not a way to tell transfer targets", WAYS)
        lines.check_formats(self.formats)
        if self.label is not None:
            lines.check_label(self.label)


def _unknown(what: str, known: Sequence[str]) -> CatalogueError:
    return CatalogueError("line.settings", what, f"one of {', '.join(known)}")


def change_line(
    tenant: str,
    line_id: str,
    change: LineChange,
    *,
    who: str = OPERATOR,
    sources: Sources = composer.SHIPPED,
    now: datetime,
    entropy: Entropy,
) -> bool:
    """Change a line from the next call on: all of it or, where something is refused, nothing. ``who`` is the
    id of a user, or the operator. False if the tenant has no such line.

    Raises :class:`CatalogueError` (``line.settings``, ``line.timing``, ``line.languages``, ``line.menu``,
    ``line.label``, ``announcement.unknown``, ``announcement.own``, ``announcement.sound``,
    ``announcement.purposes``, ``announcement.keep_days``, ``country.mode``, ``country.keep_days``,
    ``plan.keep_days``, ``plan.format``, ``line.beyond_consent``), :class:`ConfigError` (``prompt.*``,
    ``speech.*``), :class:`recorder.errors.AuditLogError` (``audit_log.incomplete``)."""
    while True:
        line = queries.line(tenant, line_id)
        if line is None or line.until is not None:
            return False
        sound = make_sound(line, change, sources)
        with tenant_lock(tenant) as locked:
            if queries.line(tenant, line_id) == line:
                write_change(locked, line, change, sound, who, now, entropy)
                return True
            # It was changed meanwhile.


@dataclass(frozen=True, slots=True)
class LineSound:
    """What was made for a line, before anything is written: ``None`` where nothing changes, and by language,
    empty where it is switched off. ``mode`` is that of the line's announcements, old or new."""

    mode: str
    announcements: Sequence[Announcement] | None
    menu: rules.SpokenText | None
    keep: Mapping[str, Sentences] | None
    deletion: Mapping[str, Sentences] | None
    notice: TransferSentences | None


def make_sound(line: LineRow, change: LineChange, sources: Sources) -> LineSound:
    """What a change of a line needs, before the customer is locked. Raises as :func:`change_line`."""
    change.check()
    if isinstance(change.keep, KeepOptions):
        check_purposes(line.tenant, [change.keep.purpose], change.keep.keep_days)
    rows = {row.id: row for row in queries.announcements(line.tenant)}
    current = [rows[each] for each in line.announcements]
    languages = [row.language for row in current]
    announcements = _announcements(line, change, current, rows, sources)
    after = languages if announcements is None else [each.language for each in announcements]
    menu = change.menu
    if menu is None and len(after) > 1 and announcements is not None:
        menu = (
            rules.OwnSound(line.menu.text, read_sound(line.menu.sha256))
            if line.menu is not None and after == languages and change.languages is None
            else composer.language_menu(after, sources=sources)
        )
    keep = line.keep if change.keep is UNCHANGED else change.keep
    deletable = line.deletable if change.deletable is None else change.deletable
    others = after != languages
    return LineSound(
        (current if announcements is None else announcements)[0].mode,
        announcements,
        menu,
        keep_options.keep_sentences(after, keep, sources) if others or change.keep is not UNCHANGED else None,
        keep_options.deletion_sentences(after if deletable else (), sources)
        if others or change.deletable is not None
        else None,
        transfer_options.make_sentences(change.notice.ask, sources)
        if isinstance(change.notice, NoticeChoice)
        else None,
    )


def _announcements(
    line: LineRow,
    change: LineChange,
    current: Sequence[AnnouncementRow],
    rows: Mapping[str, AnnouncementRow],
    sources: Sources,
) -> Sequence[Announcement] | None:
    """What the line will announce, in each language; ``None`` where that stays as it is."""
    if change.announcements:
        return [_known(each, rows) if isinstance(each, str) else each for each in change.announcements]
    if change.mode is None and change.languages is None and not change.purposes and change.keep_days is None:
        # A line that is switched on announces what it has.
        return current if change.recorded else None
    first = current[0]
    mode = rules.check_mode(change.mode or first.mode)
    purposes = change.purposes or first.purposes
    keep_days = first.keep_days if change.keep_days is None else change.keep_days
    check_purposes(line.tenant, purposes, keep_days)
    with connected():
        line_rules.check_setting(line.tenant, line.number, purposes, keep_days=keep_days, mode=mode)
    return in_languages(
        change.languages or [row.language for row in current],
        current,
        rows,
        mode=mode,
        purposes=purposes,
        keep_days=keep_days,
        sources=sources,
    )


def _known(announcement: str, rows: Mapping[str, AnnouncementRow]) -> AnnouncementRow:
    if announcement not in rows:
        raise lines.announcement_unknown(announcement)
    return rows[announcement]


def write_change(
    locked: LockedTenant,
    line: LineRow,
    change: LineChange,
    sound: LineSound,
    who: str,
    now: datetime,
    entropy: Entropy,
) -> None:
    """Inside the caller's transaction, of a customer who is locked, as long as the line is the one that the
    sound was made for. Raises as :func:`change_line`, ``line.beyond_consent`` if nothing else is wrong."""
    before = _settings(LineTable.get(active_line(line.tenant, line.id)))
    columns = _columns(line, change, sound, now, entropy)
    timing, outbound = columns.get("timing", line.timing), columns.get("outbound", line.outbound)
    rules.check_timing(timing, outbound, sound.mode, columns.get("others", line.others))
    if columns.keys() & PROMISED:
        _write_promise(permit_change(locked, line.id, who), line, columns)
    elif columns:
        LineTable.update(columns).where(active_line(line.tenant, line.id)).execute()
    if sound.keep is not None:
        keep_options.write_sentences(LineKeepOptionTable, line.id, sound.keep, now, entropy)
    if sound.deletion is not None:
        keep_options.write_sentences(LineDeleteOptionTable, line.id, sound.deletion, now, entropy)
    row = LineTable.get(active_line(line.tenant, line.id))
    after = _settings(row)
    names = [name for name in after if after[name] != before[name]]
    if not names:
        return
    body: dict[str, Any] = {"line": line.id, "actor": who}
    for name in names:
        body |= {name: after[name], f"{name}_was": before[name]}
    append(line.tenant, CHANGED, body, now, entropy)
    increment(LINES, line.tenant)


def _write_promise(permission: ChangePermission, line: LineRow, columns: Mapping[str, Any]) -> None:
    """Inside the caller's transaction: write columns of which some change what callers are promised. Raises
    :class:`CatalogueError` (``line.beyond_consent``)."""
    where = active_line(line.tenant, line.id)
    LineTable.update(columns).where(where).execute()
    row = LineTable.get(where)
    permission.check((row.announcement_id, *row.others), row.keep, row.mode)


def _columns(
    line: LineRow, change: LineChange, sound: LineSound, now: datetime, entropy: Entropy
) -> dict[str, Any]:
    """The columns that change. Raises :class:`CatalogueError`."""
    tenant = line.tenant
    columns: dict[str, Any] = {}
    if change.recorded:
        lines.check_not_leaving(tenant)
    if sound.announcements is not None:
        ids = [announcement_id(tenant, each, now, entropy) for each in sound.announcements]
        columns |= lines.announcement_columns(tenant, line.number, ids, sound.menu, now)
        if not (line.recorded if change.recorded is None else change.recorded):
            columns["mode"] = OFF
    elif change.recorded is False:
        columns["mode"] = OFF
    columns |= {
        name: value for name in ("timing", "outbound", "beep") if (value := getattr(change, name)) is not None
    }
    if change.label is not None:
        columns["label"] = lines.check_label(change.label)
    if change.formats:
        columns["formats"] = list(plans.choose_formats(tenant, change.formats))
    if change.keep is not UNCHANGED:
        if change.keep is not None:
            line_rules.check_setting(
                tenant, line.number, [change.keep.purpose], keep_days=change.keep.keep_days
            )
        columns["keep"] = None if change.keep is None else asdict(change.keep)
    if change.deletable is not None:
        columns["deletable"] = int(change.deletable)
    if change.notice is None:
        columns["transfer_notice"] = None
    elif sound.notice is not None and change.notice is not UNCHANGED:
        if change.notice.ask and sound.mode not in ASKING_MODES:
            raise CatalogueError(
                "line.settings",
                f"a line with mode {sound.mode!r} asks nobody",
                "choose opt-out or opt-in, too: `accord line set --mode`",
            )
        stored = transfer_options.store_sentences(change.notice.how, sound.notice, now)
        columns["transfer_notice"] = transfer_options_data(stored)
    return columns


def _settings(row: LineTable) -> dict[str, Any]:
    """A line's settings as a leaf states them: what is said by its hash alone."""
    notice = row.transfer_notice
    return {
        "label": row.label,
        "announcement": row.announcement_id,
        "others": row.others,
        "menu": row.menu_id,
        "menu_text_sha256": None if row.menu_text is None else sha256_of(row.menu_text),
        "mode": row.mode,
        "timing": row.timing,
        "outbound": row.outbound,
        "formats": row.formats,
        "beep": row.beep,
        "keep": row.keep,
        KEEPS: prompts_sha256(LineKeepOptionTable, row.id),
        "deletable": bool(row.deletable),
        DELETES: prompts_sha256(LineDeleteOptionTable, row.id),
        "transfer_notice": None if notice is None else notice["how"],
        "transfer_question": notice is not None and "questions" in notice,
        "transfer_notice_sha256": None if notice is None else sha256_of(notice),
    }
