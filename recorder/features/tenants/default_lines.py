"""The announcements that every customer has from the beginning, and lines with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.records import AnnouncementRow, LineRow, TenantRow
from recorder.domain.call_plan import ALONE
from recorder.features.tenants import lines, transfer_options
from recorder.features.tenants.composition import Recipe
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.rules import SpokenText, check_mode
from recorder.features.tenants.transfer_options import NoticeChoice
from recorder.ids import Entropy
from recorder.lifecycle import line_rules, plans
from recorder.lifecycle.plans import CustomerPlan
from recorder.prompts.country_file import pack_for
from recorder.prompts.sound_sources import Sources

PURPOSES, KEEP_DAYS = ("agreement",), 30
"""What an announcement says where nothing else is asked for: every country allows it."""

FEWER_DAYS = (14, 7, 1)
"""Where the customer's plan has less retention: days that every installation can say, since their sound is
shipped."""


def give_shipped(owner: TenantRow, now: datetime, entropy: Entropy, sources: Sources) -> None:
    """Give a customer announcements in all its languages, for the least strict mode that its country
    allows."""
    mode = pack_for(owner.country).laxest_mode(PURPOSES)
    for language in owner.languages:
        compose_shipped(owner, language, mode, now, entropy, sources)


def shipped_for(
    owner: TenantRow,
    number: str,
    language: str,
    mode: str | None,
    now: datetime,
    entropy: Entropy,
    sources: Sources,
) -> AnnouncementRow:
    """The customer's shipped announcement for a number in a mode, composed where there is none yet; without a
    mode, for the least strict one that the number's rules allow.  Raises :class:`CatalogueError`
    (``country.mode``), :class:`ConfigError` (``prompt.*``, ``speech.*``)."""
    with connected():
        mode = mode or line_rules.rules_of(owner.id, number).laxest_mode(PURPOSES)
        line_rules.check_setting(owner.id, number, PURPOSES, keep_days=KEEP_DAYS, mode=mode)
    plan = plans.plan_of(owner.id)
    for row in queries.announcements(owner.id):  # of each name the latest version first
        shipped = row.name in (f"shipped-{language}", f"shipped-{language}-{mode}")
        if shipped and row.mode == mode and plan.allows_days(row.keep_days):
            return row
    return compose_shipped(owner, language, mode, now, entropy, sources)


def shipped_days(plan: CustomerPlan) -> int:
    """How long recordings are kept where nothing is stated, as far as a plan allows it."""
    return next(days for days in (KEEP_DAYS, *FEWER_DAYS) if plan.allows_days(days))


def compose_shipped(
    owner: TenantRow, language: str, mode: str, now: datetime, entropy: Entropy, sources: Sources
) -> AnnouncementRow:
    """Compose the next version of a shipped announcement.  Raises as
    :func:`recorder.features.tenants.composition.compose`."""
    laxest = mode == pack_for(owner.country).laxest_mode(PURPOSES)
    name = f"shipped-{language}" if laxest else f"shipped-{language}-{mode}"
    keep_days = shipped_days(plans.plan_of(owner.id))
    recipe = Recipe(name, language, check_mode(mode), PURPOSES, keep_days)
    return recipe.draft(sources).save(owner.id, now, entropy)


def default_language(owner: TenantRow) -> str:
    """A customer's default language for its lines: its own, if lines may speak that."""
    return owner.language if owner.language in owner.languages else owner.languages[0]


def add_line(
    owner: TenantRow,
    number: str,
    *,
    announcement: str | None = None,
    others: Sequence[str] = (),
    menu: SpokenText | None = None,
    language: str | None = None,
    label: str = "",
    formats: Sequence[str] = (),
    mode: str | None = None,
    recorded: bool = True,
    known_numbers: lines.ActiveNumbers | None = None,
    sources: Sources,
    now: datetime,
    entropy: Entropy,
) -> str:
    """Create a line and return its id; without an ``announcement`` it gets the shipped one in ``language``.
    ``others`` and ``menu`` are for further languages, ``known_numbers`` for many lines at once.
    Where its country asks for that, colleagues who join a call are told.  Raises as
    :func:`recorder.features.tenants.lines.create_line`, and :class:`ConfigError` (``prompt.*``,
    ``speech.*``)."""
    if announcement is None:
        code = language or default_language(owner)
        announcement = shipped_for(owner, number, code, mode, now, entropy, sources).id
    line = lines.create_line(
        owner.id,
        number=number,
        announcement=announcement,
        others=others,
        menu=menu,
        label=label,
        formats=formats,
        mode=mode,
        recorded=recorded,
        known_numbers=known_numbers,
        now=now,
        entropy=entropy,
    ).id
    _tell_participants(owner, line, number, sources, now, entropy)
    return line


def move_line(
    line: LineRow,
    to: TenantRow,
    *,
    announcement: str | None = None,
    language: str | None = None,
    label: str = "",
    formats: Sequence[str] = (),
    mode: str | None = None,
    recorded: bool = False,
    sources: Sources,
    now: datetime,
    entropy: Entropy,
) -> str | None:
    """Move a number to another customer and return the id of its new line, which is as :func:`add_line` makes
    one, and unless it is ``recorded`` waits for its customer to set it up. ``None`` if it has ended
    meanwhile.  Raises as :func:`recorder.features.tenants.lines.move_line`, and :class:`ConfigError`
    (``prompt.*``, ``speech.*``)."""
    if announcement is None:
        code = language or default_language(to)
        announcement = shipped_for(to, line.number, code, mode, now, entropy, sources).id
    new = lines.move_line(
        line.tenant, line.id, to.id,
        announcement=announcement, label=label, formats=formats, mode=mode, recorded=recorded,
        now=now, entropy=entropy,
    )  # fmt: skip
    if new is None:
        return None
    _tell_participants(to, new.id, line.number, sources, now, entropy)
    return new.id


def _tell_participants(
    owner: TenantRow, line: str, number: str, sources: Sources, now: datetime, entropy: Entropy
) -> None:
    """Tell colleagues who join a call, where the rules of the number ask for that."""
    if transfer_options.is_required(owner.id, number):
        change = LineChange(notice=NoticeChoice(ALONE))
        change_line(owner.id, line, change, sources=sources, now=now, entropy=entropy)
