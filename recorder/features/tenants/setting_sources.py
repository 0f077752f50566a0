"""Where the value of each setting comes from, since when, and who set it, according to the log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from recorder.auditlog import leaf_lookup
from recorder.auditlog.leaf_lookup import LoggedLeaf, line_leaves
from recorder.catalogue.records import AnnouncementRow, LineRow
from recorder.domain.call_plan import MODES
from recorder.features.tenants.change_permission import OPERATOR
from recorder.features.tenants.setup import LineVersion
from recorder.lifecycle import line_rules
from recorder.lifecycle.limits import LimitRow
from recorder.lifecycle.line_history import CHANGED
from recorder.prompts.country_rules import Pack

Origin = Literal["country", "provider", "customer", "number"]

COUNTRY: Final[Origin] = "country"
PROVIDER: Final[Origin] = "provider"
CUSTOMER: Final[Origin] = "customer"
NUMBER: Final[Origin] = "number"

ANNOUNCEMENT_SETTINGS: Final[Mapping[str, Callable[[AnnouncementRow], object]]] = {
    "purposes": lambda row: row.purposes,
    "keep_days": lambda row: row.keep_days,
    "mode": lambda row: row.mode,
}
"""The settings that an announcement has, the same in each of a line's languages."""


@dataclass(frozen=True, slots=True)
class SettingSource:
    """Where a value comes from: the rules of a country, what the provider gave, or a choice for the whole
    customer or for one number. ``who`` is the id of the user who made it, ``None`` for the provider; ``at``
    is ``None`` where nobody made one."""

    origin: Origin
    at: datetime | None = None
    who: str | None = None


def line_sources(tenant: str, line_id: str) -> dict[str, SettingSource]:
    """The source of each setting of a tenant's line that was changed since the line was created, by its name
    in the leaf ``line.changed``."""
    found: dict[str, SettingSource] = {}
    for leaf in line_leaves(tenant):
        if leaf.kind == CHANGED and leaf.body["line"] == line_id:
            found |= _changes(leaf, NUMBER)
    return found


def announcement_sources(
    line: LineRow,
    versions: Sequence[LineVersion],
    announcements: Mapping[str, AnnouncementRow],
    pack: Pack,
) -> dict[str, SettingSource]:
    """The source of what a line announces, by the names in :data:`ANNOUNCEMENT_SETTINGS`. ``versions``
    are the line's, the latest first, ``pack`` the rules that it follows."""
    rows = [(each, announcements.get(each.announcements[0])) for each in versions]
    found = {name: _announcement_source(rows, value) for name, value in ANNOUNCEMENT_SETTINGS.items()}
    first = announcements[line.announcements[0]]
    laxest = pack.laxest_mode(first.purposes)
    if first.mode == laxest and (found["mode"].at is None or laxest == MODES[-1]):
        found["mode"] = SettingSource(COUNTRY)  # nobody chose another one, or there is none to choose
    return found


def _announcement_source(
    rows: Sequence[tuple[LineVersion, AnnouncementRow | None]], value: Callable[[AnnouncementRow], object]
) -> SettingSource:
    """The source of what an announcement says: the oldest of the latest versions that say the same."""
    source, latest = SettingSource(PROVIDER), None
    for number, (version, row) in enumerate(rows):
        content = None if row is None else value(row)
        if number and content != latest:
            break
        latest = content
        is_first = number == len(rows) - 1 and version.who is None  # what the line was added with
        source = SettingSource(PROVIDER) if is_first else SettingSource(NUMBER, version.since, version.who)
    return source


def limit_source(row: LimitRow) -> SettingSource:
    """The source of a retention limit."""
    who = row.by.id if row.by.kind == "user" else None
    return SettingSource(CUSTOMER if row.limit.line is None else NUMBER, row.limit.since, who)


def shorter_limits(
    line: LineRow, announcement: AnnouncementRow, limits: Collection[LimitRow]
) -> list[LimitRow]:
    """Those of a customer's limits that end a line's new recordings earlier than it announces."""
    return [
        each
        for each in limits
        if each.limit.line in (None, line.id)
        and (each.limit.purpose is None or each.limit.purpose in announcement.purposes)
        and each.limit.keep_days < announcement.keep_days
    ]


def company_sources(tenant: str) -> dict[str, SettingSource]:
    """The source of the name and time zone of a customer, and of its language and country where they were
    ever changed."""
    found = dict.fromkeys(("name", "time_zone"), SettingSource(CUSTOMER))
    for leaf in leaf_lookup.find_permissions(tenant, line_rules.CHANGED, "tenant.changed"):
        found |= _changes(leaf, CUSTOMER)
    return found


def _changes(leaf: LoggedLeaf, origin: Origin) -> dict[str, SettingSource]:
    """The source of each setting that a leaf says was changed."""
    actor, body = leaf.body.get("actor", OPERATOR), leaf.body
    source = SettingSource(origin, leaf.at, None if actor == OPERATOR else str(actor))
    return {name: source for name in body if f"{name}_was" in body and body[name] != body[f"{name}_was"]}
