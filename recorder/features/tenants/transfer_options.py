"""How a line tells a transfer target that the call is recorded.

It is one short sentence, the first of the line's announcement; the purposes and the retention are in the
panel and under the line's info number. If the line asks external parties for consent, the target hears the
question of that mode instead. The sound is made in every language of the catalogue of sentences and for both
modes that ask, so that a line can change either later; in ``notice`` it only informs.
"""

from __future__ import annotations

from datetime import datetime

from recorder.auditlog.append import append, lock_tenant, sha256_of
from recorder.catalogue import country_check, queries
from recorder.catalogue.change_counter import LINES, increment
from recorder.catalogue.database import connected, writing
from recorder.catalogue.mappers import transfer_options_data
from recorder.catalogue.records import ASKING_MODES, TransferOptions
from recorder.catalogue.tables.line import LineTable
from recorder.domain.call_plan import WAYS, Mode
from recorder.domain.sentences import SpokenSentence
from recorder.errors import CatalogueError
from recorder.features.tenants.announcements import store_sound
from recorder.ids import Entropy
from recorder.lifecycle.line_history import active_line
from recorder.prompts import composer
from recorder.prompts.purposes import LANGUAGES
from recorder.prompts.sound_sources import Sources

COLLEAGUES, IN_THE_CALL = "colleagues", "in the call"
"""A country pack's words for who is to be told, and where."""


def set_transfer_notice(
    tenant: str,
    line_id: str,
    how: str | None,
    *,
    ask: bool = False,
    sources: Sources = composer.SHIPPED,
    now: datetime,
    entropy: Entropy,
) -> bool:
    """Set how transfer targets are told from the next call on (one of ``recorder.domain.call_plan.WAYS``;
    ``None``: not at all), and whether they are also asked for consent, as the line's mode does. In a language
    without sentences, nobody can be told. False if the tenant has no such line. Raises
    :class:`CatalogueError` (``line.settings``), :class:`ConfigError` (``prompt.*``, ``speech.*``)."""
    if how is not None and how not in WAYS:
        raise CatalogueError(
            "line.settings",
            f"{how!r} is not a way to tell transfer targets",
            f"one of {', '.join(WAYS)}, or not at all",
        )
    sentences = None if how is None else _sentences(ask, sources)
    with writing():
        lock_tenant(tenant)
        row = LineTable.get_or_none(active_line(tenant, line_id))
        if row is None:
            return False
        if ask and row.mode not in ASKING_MODES:
            raise CatalogueError(
                "line.settings",
                f"a line with mode {row.mode!r} asks nobody",
                "choose opt-out or opt-in first: `accord line set --mode`",
            )
        changed = None
        if how is not None and sentences is not None:
            notice, questions, refused = sentences
            stored: dict[str, dict[str, SpokenSentence]] = {
                mode: _store_sentences(each, now) for mode, each in questions.items()
            }
            changed = transfer_options_data(
                TransferOptions(how, _store_sentences(notice, now), stored, _store_sentences(refused, now))
            )
        if row.transfer_notice != changed:
            LineTable.update(transfer_notice=changed).where(LineTable.id == line_id).execute()
            was = None if row.transfer_notice is None else row.transfer_notice["how"]
            body: dict[str, object] = {"line": line_id, "how": how, "how_was": was}
            asked_before = row.transfer_notice is not None and "questions" in row.transfer_notice
            if ask or asked_before:
                body |= {"asks": ask, "asks_was": asked_before}
            body["transfer_notice_sha256"] = None if changed is None else sha256_of(changed)
            append(tenant, "line.transfer_notice_changed", body, now, entropy)
            increment(LINES, tenant)
    return True


_Rendered = dict[str, composer.Rendered]


def _sentences(ask: bool, sources: Sources) -> tuple[_Rendered, dict[Mode, _Rendered], _Rendered]:
    """The notice, the question in each mode that asks, and the sentence after a refusal, by language."""
    notice = {each: composer.transfer_notice(each, sources=sources) for each in LANGUAGES}
    if not ask:
        return notice, {}, {}
    questions = {
        mode: {each: composer.transfer_question(each, mode=mode, sources=sources) for each in LANGUAGES}
        for mode in ASKING_MODES
    }
    return notice, questions, {each: composer.not_recorded(each, sources=sources) for each in LANGUAGES}


def _store_sentences(rendered: _Rendered, now: datetime) -> dict[str, SpokenSentence]:
    return {
        language: SpokenSentence(each.text, store_sound(each.wav, now)) for language, each in rendered.items()
    }


def is_required(tenant: str) -> bool:
    """Whether a customer's country requires that colleagues are told during the call. Raises
    :class:`CatalogueError` (``tenant.unknown``)."""
    with connected():
        duties = country_check.pack_of(tenant).tell
    return any(each.what == COLLEAGUES and IN_THE_CALL in each.where for each in duties)


def silent_languages(tenant: str, line_id: str) -> tuple[str, ...]:
    """The languages of a line in which no transfer target can be told."""
    line = queries.line(tenant, line_id)
    if line is None or line.transfer_notice is None:
        return ()
    speaks = {row.id: row.language for row in queries.announcements(tenant)}
    languages = (speaks[each] for each in line.announcements)
    return tuple(each for each in languages if line.transfer_notice.say(line.mode, each)[0] is None)
