"""A customer sets up a number: what it will announce is composed and heard first, and then switched on.

What is switched on is what was heard: the preview has a digest of every text and sound, and switching on
names it. A draft that somebody changed meanwhile, in the panel or in the database, is refused and heard
again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from recorder.auditlog.append import sha256_of, tenant_lock
from recorder.auditlog.leaf_lookup import LoggedLeaf, line_leaves
from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.prompt_files import find_sound
from recorder.catalogue.records import AnnouncementRow, LineRow
from recorder.domain.line_policy import OFF
from recorder.domain.sentences import SpokenSentence
from recorder.errors import CatalogueError
from recorder.features.tenants import drafts, rules
from recorder.features.tenants.announcements import check_purposes, read_sound
from recorder.features.tenants.change_permission import OPERATOR
from recorder.features.tenants.composition import Draft, Recipe
from recorder.features.tenants.drafts import LineDraft, LineSettings
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.lines import announcement_unknown
from recorder.ids import Entropy
from recorder.lifecycle import line_history, line_rules
from recorder.prompts import composer
from recorder.prompts.sentences import SHORT
from recorder.prompts.sound_sources import Sources

Part = Literal["menu", "announcement", "question", "declined", "cue", "yes", "no", "none"]
MENU: Final = "menu"


@dataclass(frozen=True, slots=True)
class PreviewedPrompt:
    """A sentence that people hear: its ``part`` in the announcement or in the keep question, language (empty:
    all), text, WAV, and length (ms)."""

    part: Part
    language: str
    text: str
    wav: bytes
    duration_ms: int

    @property
    def sha256(self) -> str:
        """The SHA-256 of the WAV (hex)."""
        return hashlib.sha256(self.wav).hexdigest()


@dataclass(frozen=True, slots=True)
class Preview:
    """What callers of a line will hear. ``announcements`` are those that it has already, or drafts."""

    settings: LineSettings
    announcements: tuple[AnnouncementRow | Draft, ...]
    prompts: tuple[PreviewedPrompt, ...]
    menu: rules.SpokenText | None

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) of all that is promised and said."""
        sentences = [[each.part, each.language, each.text, each.sha256] for each in self.prompts]
        return sha256_of({"settings": self.settings.to_data(), "said": sentences})


@dataclass(frozen=True, slots=True)
class LineVersion:
    """What a line announced from ``since`` until ``until`` (``None``: it still does). ``announcements`` are
    ids, in the order of its languages; not ``recorded``: recording was switched off. ``who`` is the id of the
    user who changed it, ``None`` for the operator."""

    since: datetime
    until: datetime | None
    announcements: tuple[str, ...]
    recorded: bool
    who: str | None


def current_settings(tenant: str, line: LineRow) -> LineSettings:
    """The settings of a line's announcements, to begin a draft with."""
    return settings_of(announcement_rows(tenant, line))


def settings_of(announcements: Sequence[AnnouncementRow | Draft]) -> LineSettings:
    """The settings that the announcements of a line have in common, saved or not."""
    first = announcements[0]
    promise = first if isinstance(first, AnnouncementRow) else first.recipe
    composed = (
        first.composition if isinstance(first, AnnouncementRow) else first.recipe.composition.composition
    )
    return LineSettings(
        tuple(row.language for row in announcements),
        first.mode,
        promise.purposes,
        promise.keep_days,
        composed.wording if composed else SHORT,
        composed.greeting.text if composed and composed.greeting else "",
    )


def current_draft(tenant: str, line: LineRow) -> LineDraft:
    """The line's draft; without one, what it announces now."""
    return drafts.find_draft(tenant, line.id) or announced_draft(tenant, line)


def announced_draft(tenant: str, line: LineRow) -> LineDraft:
    """A draft of what a line announces now, with its greeting, unless the catalogue lacks that sound."""
    composed = _row(tenant, line.announcement).composition
    greeting = None if composed is None or composed.greeting is None else find_sound(composed.greeting.sha256)
    return LineDraft(current_settings(tenant, line), greeting)


def with_greeting(draft: LineDraft, other: LineDraft) -> LineDraft:
    """A draft with the greeting of another one."""
    settings = replace(draft.settings, greeting_text=other.settings.greeting_text)
    return LineDraft(settings, other.greeting)


def preview(tenant: str, line: LineRow, *, sources: Sources = composer.SHIPPED) -> Preview:
    """What callers will hear: the line's draft, or what it has now. Raises as :func:`preview_draft`."""
    draft = drafts.find_draft(tenant, line.id)
    if draft is not None:
        return preview_draft(tenant, line, draft, sources=sources)
    return preview_announced(tenant, line)


def preview_announced(tenant: str, line: LineRow) -> Preview:
    """What callers of a line hear now. Raises :class:`CatalogueError` (``announcement.unknown``,
    ``announcement.sound_missing``)."""
    menu = None if line.menu is None else rules.OwnSound(line.menu.text, read_sound(line.menu.sha256))
    return _preview_saved(announcement_rows(tenant, line), menu)


def preview_announcements(tenant: str, ids: Sequence[str], *, sources: Sources = composer.SHIPPED) -> Preview:
    """What callers of a line would hear with some of the customer's announcements, the first language first.
    Raises :class:`CatalogueError` (``announcement.unknown``), :class:`ConfigError` (``prompt.*``,
    ``tts.*``)."""
    rows = tuple(_row(tenant, each) for each in ids)
    languages = [row.language for row in rows]
    return _preview_saved(rows, composer.language_menu(languages, sources=sources) if rows[1:] else None)


def _preview_saved(rows: tuple[AnnouncementRow, ...], menu: rules.SpokenText | None) -> Preview:
    prompts = [*_menu_prompts(menu), *(prompt for row in rows for prompt in saved_prompts(row))]
    return Preview(settings_of(rows), rows, tuple(prompts), menu)


def preview_draft(
    tenant: str, line: LineRow, draft: LineDraft, *, sources: Sources = composer.SHIPPED
) -> Preview:
    """What callers of a line would hear by a draft. Raises :class:`CatalogueError` (``line.settings``,
    ``line.languages``, ``line.timing``, ``announcement.purposes``, ``announcement.keep_days``,
    ``plan.keep_days``, ``country.mode``, ``country.keep_days``), :class:`ConfigError` (``prompt.*``,
    ``tts.*``)."""
    settings = draft.settings
    mode = rules.check_mode(settings.mode)
    rules.check_spoken_languages(settings.languages)
    check_purposes(tenant, settings.purposes, settings.keep_days)
    with connected():
        line_rules.check_setting(
            tenant, line.number, settings.purposes, keep_days=settings.keep_days, mode=mode
        )
    rules.check_timing(line.timing, line.outbound, mode, settings.languages[1:])
    greeting = None if draft.greeting is None else composer.Greeting(settings.greeting_text, draft.greeting)
    found: list[Draft] = []
    for number, language in enumerate(settings.languages):
        recipe = Recipe(
            f"{line.number.removeprefix('+')}-{language}",
            language,
            mode,
            settings.purposes,
            settings.keep_days,
            greeting=greeting if number == 0 else None,
            wording=settings.wording,
        )
        found.append(recipe.draft(sources))
    menu = (
        composer.language_menu(settings.languages, sources=sources) if len(settings.languages) > 1 else None
    )
    prompts = [*_menu_prompts(menu), *(prompt for each in found for prompt in _drafted_prompts(each))]
    return Preview(settings, tuple(found), tuple(prompts), menu)


def saved_prompts(row: AnnouncementRow) -> list[PreviewedPrompt]:
    """What a saved announcement says, in the order in which callers hear it."""
    announcement = SpokenSentence(row.text, row.sound)
    sentences: tuple[tuple[Part, SpokenSentence | None], ...] = (
        ("announcement", announcement),
        ("question", row.question),
        ("declined", row.declined),
    )
    return _in_order(
        row.mode,
        [
            previewed_prompt(part, row.language, sentence.text, read_sound(sentence.sha256))
            for part, sentence in sentences
            if sentence
        ],
    )


def _drafted_prompts(draft: Draft) -> list[PreviewedPrompt]:
    sentences: tuple[tuple[Part, rules.SpokenText | None], ...] = (
        ("announcement", draft.announcement),
        ("question", draft.question),
        ("declined", draft.declined),
    )
    language = draft.recipe.language
    found = [
        previewed_prompt(part, language, sentence.text, sentence.wav)
        for part, sentence in sentences
        if sentence
    ]
    return _in_order(draft.mode, found)


def _in_order(mode: str, prompts: list[PreviewedPrompt]) -> list[PreviewedPrompt]:
    """In opt-in the question comes first, and the announcement after the yes."""
    first = "question" if mode == "opt-in" else "announcement"
    return sorted(prompts, key=lambda each: each.part != first)


def _menu_prompts(menu: rules.SpokenText | None) -> list[PreviewedPrompt]:
    return [] if menu is None else [previewed_prompt("menu", "", menu.text, menu.wav)]


def previewed_prompt(part: Part, language: str, text: str, wav: bytes) -> PreviewedPrompt:
    """A sentence with the length of its sound."""
    return PreviewedPrompt(part, language, text, wav, rules.sound_duration_ms(wav))


def switch_on(
    tenant: str,
    line_id: str,
    digest: str,
    *,
    who: str = OPERATOR,
    sources: Sources = composer.SHIPPED,
    now: datetime,
    entropy: Entropy,
) -> bool:
    """Record a line from the next call on, as in the preview with this ``digest``. False if the tenant has no
    such line. Raises :class:`CatalogueError` (``line.changed``: it would say something else than was heard;
    ``tenant.offboarding_announced``; and as :func:`preview_draft`)."""
    line = queries.line(tenant, line_id)
    if line is None or line.until is not None:
        return False
    setup_preview = preview(tenant, line, sources=sources)
    if setup_preview.digest != digest:
        raise changed_meanwhile(line)
    if line.recorded and drafts.find_draft(tenant, line_id) is None:
        return True
    change = LineChange(announcements=setup_preview.announcements, menu=setup_preview.menu, recorded=True)
    with tenant_lock(tenant):
        if queries.line(tenant, line_id) != line:
            raise changed_meanwhile(line)
        drafts.drop_draft(line_id)
        return change_line(tenant, line_id, change, who=who, sources=sources, now=now, entropy=entropy)


def changed_meanwhile(line: LineRow) -> CatalogueError:
    """The error of a preview that no longer is what would be switched on."""
    return CatalogueError(
        "line.changed",
        f"{line.number} would say something else than was heard: its settings were changed meanwhile",
        "listen to it again, then switch it on",
    )


def switch_off(tenant: str, line_id: str, *, who: str = OPERATOR, now: datetime, entropy: Entropy) -> bool:
    """Stop recording a line, which stays its customer's: from the next call on, as soon as the nodes have
    read it. False if the tenant has no such line that is recorded."""
    line = queries.line(tenant, line_id)
    if line is None or not line.recorded:
        return False
    return change_line(tenant, line_id, LineChange(recorded=False), who=who, now=now, entropy=entropy)


def versions(tenant: str) -> dict[str, list[LineVersion]]:
    """What each of a tenant's lines announced since when, the latest first, by the line's id, according to
    the log."""
    found: dict[str, list[LineVersion]] = {}
    for leaf in line_leaves(tenant):
        before = found.setdefault(str(leaf.body.get("line")), [])
        changed = _version(leaf, before[0] if before else None)
        if changed is None:
            continue
        if before and before[0].since == changed.since:
            before[0] = changed  # nobody was told what it replaces at once
        else:
            if before:
                before[0] = replace(before[0], until=changed.since)
            before.insert(0, changed)
    return found


def _version(leaf: LoggedLeaf, before: LineVersion | None) -> LineVersion | None:
    body = leaf.body
    if leaf.kind == line_history.CREATED:
        return LineVersion(leaf.at, None, _announcement_ids(body), body["mode"] != OFF, None)
    if before is None:
        return None
    if leaf.kind == line_history.ENDED:
        return replace(before, since=leaf.at, recorded=False, who=None)
    if not body.keys() & {"announcement", "others", "mode"}:
        return None  # Other settings do not change what is announced.
    announcements = _announcement_ids(
        {"announcement": before.announcements[0], "others": before.announcements[1:], **body}
    )
    recorded = body["mode"] != OFF if "mode" in body else before.recorded
    who = None if body["actor"] == OPERATOR else str(body["actor"])
    return LineVersion(leaf.at, None, announcements, recorded, who)


def _announcement_ids(body: Mapping[str, Any]) -> tuple[str, ...]:
    return (str(body["announcement"]), *map(str, body["others"]))


def announcement_rows(tenant: str, line: LineRow) -> tuple[AnnouncementRow, ...]:
    """A line's announcements, the first language first. Raises :class:`CatalogueError`
    (``announcement.unknown``)."""
    return tuple(_row(tenant, each) for each in line.announcements)


def _row(tenant: str, announcement: str) -> AnnouncementRow:
    found = queries.announcement(tenant, announcement)
    if found is None:
        raise announcement_unknown(announcement)
    return found
