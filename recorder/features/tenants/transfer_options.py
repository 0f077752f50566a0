"""How a line tells a transfer target that the call is recorded.

It is one short sentence, the first of the line's announcement; the purposes and the retention are in the
panel and under the line's info number. If the line asks external parties for consent, the target hears the
question of that mode instead. The sound is made in every language of the catalogue of sentences and for both
modes that ask, so that a line can change either later; in ``notice`` it only informs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.records import ASKING_MODES, TransferOptions
from recorder.domain.sentences import SpokenSentence
from recorder.features.tenants.announcements import store_sound
from recorder.lifecycle import line_rules
from recorder.prompts import composer
from recorder.prompts.purposes import LANGUAGES
from recorder.prompts.sound_sources import Sources

COLLEAGUES, IN_THE_CALL = "colleagues", "in the call"
"""A country pack's words for who is to be told, and where."""


@dataclass(frozen=True, slots=True)
class NoticeChoice:
    """How transfer targets are told (one of ``recorder.domain.call_plan.WAYS``), and whether they are also
    asked for consent, as the line's mode does. In a language without sentences, nobody can be told."""

    how: str
    ask: bool = False


Rendered = dict[str, composer.Rendered]


@dataclass(frozen=True, slots=True)
class TransferSentences:
    """By language: the notice, the question in each mode that asks, and the sentence after a refusal."""

    notices: Rendered
    questions: Mapping[str, Rendered]
    refused: Rendered


def make_sentences(ask: bool, sources: Sources) -> TransferSentences:
    """The sentences with their sound. Raises :class:`ConfigError` (``prompt.*``, ``speech.*``)."""
    notices = {each: composer.transfer_notice(each, sources=sources) for each in LANGUAGES}
    if not ask:
        return TransferSentences(notices, {}, {})
    questions: dict[str, Rendered] = {
        mode: {each: composer.transfer_question(each, mode=mode, sources=sources) for each in LANGUAGES}
        for mode in ASKING_MODES
    }
    refused = {each: composer.not_recorded(each, sources=sources) for each in LANGUAGES}
    return TransferSentences(notices, questions, refused)


def store_sentences(how: str, sentences: TransferSentences, now: datetime) -> TransferOptions:
    """Inside the caller's transaction: store the sound, and return what the line's row has of it."""
    questions = {mode: _store(each, now) for mode, each in sentences.questions.items()}
    return TransferOptions(how, _store(sentences.notices, now), questions, _store(sentences.refused, now))


def _store(rendered: Rendered, now: datetime) -> dict[str, SpokenSentence]:
    return {
        language: SpokenSentence(each.text, store_sound(each.wav, now)) for language, each in rendered.items()
    }


def is_required(tenant: str, number: str) -> bool:
    """Whether the rules of a customer's number require that colleagues are told during the call. Raises
    :class:`CatalogueError` (``tenant.unknown``)."""
    with connected():
        duties = line_rules.rules_of(tenant, number).tell
    return any(each.what == COLLEAGUES and IN_THE_CALL in each.where for each in duties)


def silent_languages(tenant: str, line_id: str) -> tuple[str, ...]:
    """The languages of a line in which no transfer target can be told."""
    line = queries.line(tenant, line_id)
    if line is None or line.transfer_notice is None:
        return ()
    speaks = {row.id: row.language for row in queries.announcements(tenant)}
    languages = (speaks[each] for each in line.announcements)
    return tuple(each for each in languages if line.transfer_notice.say(line.mode, each)[0] is None)
