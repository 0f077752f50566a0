"""A customer sets up the keep question of a number: what both will hear is composed and heard first, and then
switched on.

As with an announcement (:mod:`recorder.features.tenants.setup`), what is switched on is what was heard: the
preview has a digest of every text and sound, and switching on names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from recorder.auditlog.append import sha256_of, tenant_lock
from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.records import KeepOptions, LineRow
from recorder.catalogue.tables.line import LineKeepOptionTable
from recorder.domain.sentences import SpokenSentence
from recorder.features.tenants import keep_options, setup
from recorder.features.tenants.announcements import check_purposes, read_sound
from recorder.features.tenants.change_permission import OPERATOR
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.setup import Part, PreviewedPrompt
from recorder.ids import Entropy
from recorder.lifecycle import line_rules
from recorder.prompts import composer
from recorder.prompts.sound_sources import Sources

_PARTS: Final[tuple[Part, ...]] = ("question", "cue", "yes", "no", "none")
"""In the order in which they are heard; the ``cue`` in place of the ``question``."""


@dataclass(frozen=True, slots=True)
class KeepPreview:
    """What both parties of a call will hear of a keep question, language by language. If the colleague asks
    in their own words, there is no question, and the cue is heard by the colleague alone."""

    keep: KeepOptions
    prompts: tuple[PreviewedPrompt, ...]

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) of all that is promised and said."""
        sentences = [[each.part, each.language, each.text, each.sha256] for each in self.prompts]
        return sha256_of({"keep": asdict(self.keep), "said": sentences})


def preview_keep(
    tenant: str, line: LineRow, keep: KeepOptions, *, sources: Sources = composer.SHIPPED
) -> KeepPreview:
    """What a line says with a keep question, or would say. Raises :class:`CatalogueError`
    (``announcement.purposes``, ``announcement.keep_days``, ``announcement.sound_missing``,
    ``plan.keep_days``, ``country.keep_days``), :class:`ConfigError` (``prompt.*``, ``speech.*``)."""
    languages = [row.language for row in setup.announcement_rows(tenant, line)]
    if keep == line.keep:
        return KeepPreview(keep, tuple(_saved_prompts(line.id, languages)))
    return compose_keep(line, keep, languages, sources=sources)


def compose_keep(
    line: LineRow, keep: KeepOptions, languages: Sequence[str], *, sources: Sources = composer.SHIPPED
) -> KeepPreview:
    """What a line would say with a keep question in these languages. Raises as :func:`preview_keep`."""
    check_purposes(line.tenant, [keep.purpose], keep.keep_days)
    with connected():
        line_rules.check_setting(line.tenant, line.number, [keep.purpose], keep_days=keep.keep_days)
    composed = keep_options.keep_sentences(languages, keep, sources)
    prompts = [
        setup.previewed_prompt(part, language, sentence.text, sentence.wav)
        for language in languages
        for part in _PARTS
        if (sentence := composed[language][part]) is not None and _is_heard(part, keep)
    ]
    return KeepPreview(keep, tuple(prompts))


def _saved_prompts(line: str, languages: Sequence[str]) -> list[PreviewedPrompt]:
    with connected():
        rows = {
            row.language: row for row in LineKeepOptionTable.select().where(LineKeepOptionTable.line == line)
        }
    prompts = []
    for language in languages:
        for part, sentence in _saved_sentences(rows[language]):
            prompts.append(setup.previewed_prompt(part, language, sentence.text, read_sound(sentence.sha256)))
    return prompts


def _saved_sentences(row: LineKeepOptionTable) -> list[tuple[Part, SpokenSentence]]:
    first: tuple[Part, SpokenSentence] = (
        ("cue", SpokenSentence(row.cue_text, row.cue_id))
        if row.question_text is None or row.question_id is None
        else ("question", SpokenSentence(row.question_text, row.question_id))
    )
    return [
        first,
        ("yes", SpokenSentence(row.yes_text, row.yes_id)),
        ("no", SpokenSentence(row.no_text, row.no_id)),
        ("none", SpokenSentence(row.none_text, row.none_id)),
    ]


def _is_heard(part: Part, keep: KeepOptions) -> bool:
    """The cue is made for each line, and played only where the colleague asks."""
    return part != "cue" or keep.own_words


def switch_on_keep(
    tenant: str,
    line_id: str,
    keep: KeepOptions,
    digest: str,
    *,
    who: str = OPERATOR,
    sources: Sources = composer.SHIPPED,
    now: datetime,
    entropy: Entropy,
) -> bool:
    """Let colleagues ask the keep question from the next call on, as in the preview with this ``digest``.
    False if the tenant has no such line. Raises :class:`CatalogueError` (``line.changed``: it would say
    something else than was heard; and as :func:`preview_keep`)."""
    line = queries.line(tenant, line_id)
    if line is None or line.until is not None:
        return False
    if preview_keep(tenant, line, keep, sources=sources).digest != digest:
        raise setup.changed_meanwhile(line)
    if line.keep == keep:
        return True
    with tenant_lock(tenant):
        if queries.line(tenant, line_id) != line:
            raise setup.changed_meanwhile(line)
        change = LineChange(keep=keep)
        return change_line(tenant, line_id, change, who=who, sources=sources, now=now, entropy=entropy)


def switch_off_keep(
    tenant: str, line_id: str, *, who: str = OPERATOR, now: datetime, entropy: Entropy
) -> bool:
    """Let nobody ask the keep question any more, from the next call on. What was agreed in earlier calls
    stays agreed. False if the tenant has no such line."""
    return change_line(tenant, line_id, LineChange(keep=None), who=who, now=now, entropy=entropy)
