"""What an internal party can do during a call, by line: ask whether the recording may be kept, or have it
deleted; and the tone that reminds of the recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from recorder.auditlog.append import sha256_of
from recorder.catalogue.records import KeepOptions
from recorder.catalogue.tables.line import LineDeleteOptionTable, LineKeepOptionTable
from recorder.features.tenants.announcements import store_sound
from recorder.features.tenants.rules import SpokenText
from recorder.ids import Entropy, uuid7
from recorder.prompts import composer
from recorder.prompts.sound_sources import Sources

KEEPS: Final = "line_keep_sha256"
DELETES: Final = "line_delete_sha256"


Sentences = Mapping[str, SpokenText | None]
"""By their name in the table; ``None`` where nothing is said."""


def keep_sentences(
    languages: Sequence[str], keep: KeepOptions | None, sources: Sources
) -> dict[str, Sentences]:
    """The sentences of a keep question by language, with their sound; none where it is not asked. Raises
    :class:`ConfigError` (``prompt.*``, ``speech.*``)."""
    return {} if keep is None else {each: _keep_sentences(each, keep, sources) for each in languages}


def _keep_sentences(language: str, keep: KeepOptions, sources: Sources) -> Sentences:
    destroyed, wording = keep.destroy, keep.wording
    ask = None if keep.own_words else composer.keep_question(language, wording=wording, sources=sources)
    return {
        "question": ask,
        "cue": composer.ask_now(language, sources=sources),
        "yes": composer.agreed(language, keep_days=keep.keep_days, wording=wording, sources=sources),
        "no": composer.declined(language, destroyed=destroyed, wording=wording, sources=sources),
        "none": composer.unanswered(language, destroyed=destroyed, wording=wording, sources=sources),
    }


def deletion_sentences(languages: Sequence[str], sources: Sources) -> dict[str, Sentences]:
    """The sentences of the deletion question by language, with their sound. Raises :class:`ConfigError`
    (``prompt.*``, ``speech.*``)."""
    return {
        each: {
            "question": composer.delete_question(each, sources=sources),
            "deleted": composer.deleted(each, sources=sources),
        }
        for each in languages
    }


PromptTable = type[LineKeepOptionTable] | type[LineDeleteOptionTable]


def write_sentences(
    table: PromptTable, line: str, by_language: Mapping[str, Sentences], now: datetime, entropy: Entropy
) -> None:
    """Inside the caller's transaction: let these sentences replace the line's."""
    table.delete().where(table.line == line).execute()
    for language, sentences in by_language.items():
        columns: dict[str, str | None] = {}
        for name, sentence in sentences.items():
            columns[f"{name}_text"] = None if sentence is None else sentence.text
            columns[name] = None if sentence is None else store_sound(sentence.wav, now)
        table.create(id=str(uuid7(now, entropy)), line=line, language=language, **columns)


def prompts_sha256(model: PromptTable, line: str) -> str | None:
    """One hash over the texts and sounds of a line's prompts in every language, for the log; ``None`` if it
    has none. Works inside the caller's transaction."""
    names = sorted(each.column_name for each in model._meta.sorted_fields if each.name not in ("id", "line"))
    fields = {each.column_name: each.name for each in model._meta.sorted_fields}
    rows = model.select().where(model.line == line).order_by(model.language, model.id)
    prompts = [{name: row.__data__[fields[name]] for name in names} for row in rows]
    return sha256_of(prompts) if prompts else None
