"""Composes announcements from the catalogue of sentences, and assigns them to lines.

Sound is made before anything is written, and never during a call. The composition is stored with the
announcement, so that it can be composed again for another mode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from recorder.catalogue import country_check, queries
from recorder.catalogue.database import connected
from recorder.catalogue.records import ASKING_MODES, AnnouncementRow, Composition
from recorder.domain.call_plan import OPT_IN, Mode
from recorder.domain.sentences import SpokenSentence
from recorder.errors import CatalogueError
from recorder.features.tenants.announcements import (
    CompositionData,
    check_purposes,
    create_announcement,
    read_sound,
    sentence_of,
)
from recorder.features.tenants.rules import OwnSound, SpokenText, check_mode
from recorder.ids import Entropy
from recorder.prompts import composer
from recorder.prompts.purposes import standard
from recorder.prompts.sentences import SHORT, Wording
from recorder.prompts.sound_sources import Sources

NOTHING: Mapping[str, str] = composer.NO_SENTENCES


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an announcement is composed from, and the ``name`` that it is saved under."""

    name: str
    language: str
    mode: Mode
    purposes: tuple[str, ...]
    keep_days: int
    own: Mapping[str, str] = field(default_factory=dict)
    greeting: composer.Greeting | None = None
    wording: Wording = SHORT

    def draft(self, sources: Sources) -> Draft:
        """The announcement with its sound. Raises :class:`ConfigError` (``prompt.*``, ``speech.*``)."""
        announcement = composer.announcement(
            self.language,
            mode=self.mode,
            purposes=self.purposes,
            keep_days=self.keep_days,
            own=self.own,
            greeting=self.greeting,
            wording=self.wording,
            sources=sources,
        )
        if self.mode not in ASKING_MODES:
            return Draft(self, announcement)
        return Draft(
            self, announcement, self._question(sources), composer.not_recorded(self.language, sources=sources)
        )

    def _question(self, sources: Sources) -> SpokenText:
        if self.mode != OPT_IN:
            return composer.wrong_key(self.language, wording=self.wording, sources=sources)
        return composer.opt_in_question(
            self.language,
            purposes=self.purposes,
            keep_days=self.keep_days,
            own=self.own,
            greeting=self.greeting,
            wording=self.wording,
            sources=sources,
        )

    @property
    def composition(self) -> CompositionData:
        """The composition as it is stored."""
        first = self.greeting
        own = {code: self.own[code] for code in self.purposes if code in self.own}
        if first is None:
            return CompositionData(Composition(own, wording=self.wording))
        greeting = sentence_of(OwnSound(first.text, first.wav))
        return CompositionData(Composition(own, greeting, first.says_all, self.wording), first.wav)


@dataclass(frozen=True, slots=True)
class Draft:
    """An announcement that can be saved."""

    recipe: Recipe
    announcement: SpokenText
    question: SpokenText | None = None
    declined: SpokenText | None = None

    @property
    def mode(self) -> str:
        return self.recipe.mode

    @property
    def language(self) -> str:
        return self.recipe.language

    def save(self, tenant: str, now: datetime, entropy: Entropy) -> AnnouncementRow:
        recipe = self.recipe
        return create_announcement(
            tenant,
            name=recipe.name,
            language=recipe.language,
            text=self.announcement.text,
            purposes=recipe.purposes,
            keep_days=recipe.keep_days,
            wav=self.announcement.wav,
            mode=recipe.mode,
            question=self.question,
            declined=self.declined,
            composed=recipe.composition,
            now=now,
            entropy=entropy,
        )

    def is_saved_as(self, row: AnnouncementRow) -> bool:
        """Whether a row has the same texts, sounds and composition."""
        recipe = self.recipe
        saved = (SpokenSentence(row.text, row.sound), row.question, row.declined, row.composition)
        drafted = (
            sentence_of(self.announcement),
            sentence_of(self.question),
            sentence_of(self.declined),
            recipe.composition.composition,
        )
        return (row.language, row.mode, _promise(row)) == (
            recipe.language,
            recipe.mode,
            _promise(recipe),
        ) and saved == drafted


def compose(
    tenant: str,
    *,
    name: str,
    language: str,
    mode: str,
    purposes: Sequence[str],
    keep_days: int,
    own: Mapping[str, str] = NOTHING,
    greeting: composer.Greeting | None = None,
    wording: Wording = SHORT,
    sources: Sources = composer.SHIPPED,
    now: datetime,
    entropy: Entropy,
) -> AnnouncementRow:
    """Compose the next version of an announcement of that name for a mode, with its question and declined
    sentence if the mode asks.

    ``own`` gives the sentence for each purpose of the customer's own. Raises :class:`ConfigError`
    (``prompt.*``, ``speech.*``) for what cannot be spoken; otherwise as
    :func:`~recorder.features.tenants.announcements.create_announcement`."""
    check_purposes(tenant, purposes, keep_days)
    with connected():
        country_check.check_setting(tenant, purposes, keep_days=keep_days)
    recipe = Recipe(name, language, check_mode(mode), tuple(purposes), keep_days, own, greeting, wording)
    return recipe.draft(sources).save(tenant, now, entropy)


def in_languages(
    languages: Sequence[str],
    current: Sequence[AnnouncementRow],
    rows: Mapping[str, AnnouncementRow],
    *,
    mode: Mode,
    purposes: Sequence[str],
    keep_days: int,
    sources: Sources,
) -> list[AnnouncementRow | Draft]:
    """A line's announcements in a mode and in these languages, for these purposes and days. One of its
    ``current`` ones, or of the customer's ``rows``, is used if it is in that language with the same base
    name, mode, purposes and retention; otherwise it is composed. Raises :class:`CatalogueError`
    (``line.languages``, ``announcement.own``: a customer's own sound), :class:`ConfigError` (``prompt.*``,
    ``speech.*``)."""
    target = Recipe("", "", mode, tuple(purposes), keep_days)
    return [_in_language(language, current, rows, target, sources) for language in languages]


def announcement_id(tenant: str, choice: AnnouncementRow | Draft, now: datetime, entropy: Entropy) -> str:
    """Inside the caller's transaction: the id of an announcement, saved unless the customer has the same."""
    if isinstance(choice, AnnouncementRow):
        return choice.id
    same = next((row for row in queries.announcements(tenant) if choice.is_saved_as(row)), None)
    return (same or choice.save(tenant, now, entropy)).id


def _recomposed(row: AnnouncementRow, target: Recipe, sources: Sources) -> Draft:
    """An announcement composed for another mode, or to promise something else. Raises
    :class:`CatalogueError` (``announcement.own``)."""
    composition, mode = row.composition, target.mode
    if composition is None or composition.says_all:
        what = "is your own sound" if composition is None else "has a greeting that says everything itself"
        raise CatalogueError(
            "announcement.own",
            f"{row.name} (version {row.version}, {row.language}) {what}, made for {row.mode}: "
            f"Accord cannot compose it for {mode}, these purposes and days",
            f"add your own for that mode, `accord announcement add --mode {mode}`, or compose one, "
            f"`accord announcement compose --mode {mode}`; then name it, `accord line set --announcement`",
        )
    first = composition.greeting
    recipe = replace(
        target,
        name=_name(row, row.language, mode),
        language=row.language,
        own=composition.own,
        greeting=None if first is None else composer.Greeting(first.text, read_sound(first.sha256)),
        wording=composition.wording,
    )
    return recipe.draft(sources)


def _in_language(
    language: str,
    current: Sequence[AnnouncementRow],
    rows: Mapping[str, AnnouncementRow],
    target: Recipe,
    sources: Sources,
) -> AnnouncementRow | Draft:
    """A line's announcement in a language: its own, another one of the customer's, or a draft."""
    first, mode = current[0], target.mode
    if same := next((row for row in current if row.language == language), None):
        is_target = (same.mode, _promise(same)) == (mode, _promise(target))
        return same if is_target else _recomposed(same, target, sources)
    for row in rows.values():  # the latest version of each name first
        alike = (mode, _promise(target), _base(first))
        if row.language == language and (row.mode, _promise(row), _base(row)) == alike:
            return row
    name = _name(first, language, mode)
    if own := [code for code in target.purposes if code not in standard()]:
        raise CatalogueError(
            "line.languages",
            f"the purpose {own[0]} has no sentence in {language}",
            f"`accord announcement compose {name} --language {language} --mode {mode} "
            f"--keep-days {target.keep_days} --purpose … --own {own[0]}=SENTENCE`, then again",
        )
    wording = first.composition.wording if first.composition else SHORT
    return replace(target, name=name, language=language, wording=wording).draft(sources)


def _promise(source: AnnouncementRow | Recipe) -> tuple[list[str], int]:
    """What callers are promised: purposes and retention."""
    return sorted(source.purposes), source.keep_days


def _base(row: AnnouncementRow) -> str:
    """The common part of the names of announcements that say the same in several languages and modes."""
    return row.name.removesuffix(f"-{row.mode}").removesuffix(f"-{row.language}")


def _name(row: AnnouncementRow, language: str, mode: str) -> str:
    return f"{_base(row)}-{language}-{mode}"
