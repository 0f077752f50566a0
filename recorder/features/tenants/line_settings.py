"""Lines with the settings that a provider states for them; a customer's lines with equal settings share their
announcements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from recorder.auditlog.append import tenant_lock
from recorder.catalogue import country_check
from recorder.catalogue.records import LineRow, TenantRow
from recorder.features.tenants import default_lines, lines
from recorder.features.tenants.announcements import check_promise
from recorder.features.tenants.composition import Draft, Recipe, announcement_id
from recorder.features.tenants.drafts import LineSettings
from recorder.features.tenants.line_change import LineChange
from recorder.features.tenants.line_proposals import OutcomeCode, change_or_propose
from recorder.features.tenants.rules import SpokenText, check_mode, check_spoken_languages
from recorder.ids import Entropy
from recorder.lifecycle import plans
from recorder.lifecycle.plans import CustomerPlan
from recorder.prompts import composer
from recorder.prompts.country_rules import Pack
from recorder.prompts.sound_sources import Sources


def complete_settings(
    pack: Pack,
    plan: CustomerPlan,
    *,
    languages: Sequence[str],
    mode: str | None = None,
    purposes: Sequence[str] | None = None,
    keep_days: int | None = None,
    sources: Sources,
) -> LineSettings:
    """The settings of a line that follows the rules of a ``pack``, with a ``plan``; what is not stated is as
    in the shipped announcement. They are checked as :func:`add_line` checks them, and composed, so that
    nothing is missing later. Raises :class:`CatalogueError` (``line.settings``, ``line.languages``,
    ``announcement.purposes``, ``announcement.keep_days``, ``plan.keep_days``, ``country.mode``,
    ``country.keep_days``), :class:`ConfigError` (``prompt.*``, ``speech.*``)."""
    purposes = default_lines.PURPOSES if purposes is None else tuple(purposes)
    settings = LineSettings(
        tuple(languages),
        pack.laxest_mode(purposes) if mode is None else mode,
        purposes,
        default_lines.shipped_days(plan) if keep_days is None else keep_days,
    )
    known = check_mode(settings.mode)
    check_spoken_languages(settings.languages)
    check_promise(settings.purposes, settings.keep_days)
    plans.require_days(plan, settings.keep_days)
    country_check.check_pack(pack, purposes, keep_days=settings.keep_days, mode=known)
    _compose(settings, sources)
    return settings


def add_line(
    owner: TenantRow,
    number: str,
    settings: LineSettings,
    *,
    label: str = "",
    recorded: bool,
    known_numbers: lines.ActiveNumbers | None = None,
    sources: Sources,
    now: datetime,
    entropy: Entropy,
) -> str:
    """Create a line and return its id. Raises as :func:`recorder.features.tenants.lines.create_line`, and
    :class:`ConfigError` (``prompt.*``, ``speech.*``)."""
    drafts, menu = _compose(settings, sources)
    with tenant_lock(owner.id):
        first, *others = [announcement_id(owner.id, each, now, entropy) for each in drafts]
        return default_lines.add_line(
            owner,
            number,
            announcement=first,
            others=others,
            menu=menu,
            label=label,
            recorded=recorded,
            known_numbers=known_numbers,
            sources=sources,
            now=now,
            entropy=entropy,
        )


def change_settings(
    line: LineRow,
    settings: LineSettings,
    *,
    dry_run: bool = False,
    sources: Sources,
    now: datetime,
    entropy: Entropy,
) -> OutcomeCode:
    """Let a line announce other settings from the next call on, or propose them to the customer's admins.
    Raises as :func:`recorder.features.tenants.line_change.change_line`."""
    drafts, menu = _compose(settings, sources)
    change = LineChange(announcements=drafts, menu=menu)
    outcome = change_or_propose(line, change, dry_run=dry_run, sources=sources, now=now, entropy=entropy)
    if outcome.error is not None:
        raise outcome.error
    return outcome.code


def _compose(settings: LineSettings, sources: Sources) -> tuple[list[Draft], SpokenText | None]:
    """What a line with these settings says: an announcement for each language, and the menu."""
    mode = check_mode(settings.mode)
    drafts = [
        Recipe(
            f"announcement-{language}-{mode}", language, mode, settings.purposes, settings.keep_days
        ).draft(sources)
        for language in settings.languages
    ]
    several = len(settings.languages) > 1
    return drafts, composer.language_menu(settings.languages, sources=sources) if several else None
