"""What an internal party can do during a call, by line: ask whether the recording may be kept, or have it
deleted; and the tone that reminds of the recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Final

from recorder.auditlog.append import append, lock_tenant, sha256_of
from recorder.catalogue import country_check, queries
from recorder.catalogue.change_counter import LINES, increment
from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import KeepOptions, LineRow
from recorder.catalogue.tables.line import LineDeleteOptionTable, LineKeepOptionTable, LineTable
from recorder.domain.line_policy import BEEPS
from recorder.errors import CatalogueError
from recorder.features.tenants.announcements import check_purposes, store_sound
from recorder.features.tenants.rules import SpokenText
from recorder.ids import Entropy, uuid7
from recorder.lifecycle.line_history import active_line
from recorder.prompts import composer
from recorder.prompts.sound_sources import Sources

KEEPS: Final = "line_keep_sha256"
DELETES: Final = "line_delete_sha256"


def set_line_keep(
    tenant: str,
    line_id: str,
    keep: KeepOptions | None,
    *,
    sources: Sources = composer.SHIPPED,
    now: datetime,
    entropy: Entropy,
) -> bool:
    """Set how a line asks the keep question from the next call on, in all its languages; ``None``: not at
    all. False if the tenant has no such line.

    Raises :class:`CatalogueError` (``announcement.purposes``, ``announcement.keep_days``,
    ``plan.keep_days``, ``country.keep_days``), :class:`ConfigError` (``prompt.*``, ``speech.*``)."""
    if keep is not None:
        check_purposes(tenant, [keep.purpose], keep.keep_days)
    while True:
        line = queries.line(tenant, line_id)
        if line is None or line.until is not None:
            return False
        sentences = (
            {} if keep is None else {each: _sentences(each, keep, sources) for each in _languages(line)}
        )
        with writing():
            lock_tenant(tenant)
            if queries.line(tenant, line_id) != line:
                continue  # its languages were changed meanwhile
            if keep is not None:
                country_check.check_setting(tenant, [keep.purpose], keep_days=keep.keep_days)
            _write(line, keep, sentences, now, entropy)
            return True


def _languages(line: LineRow) -> tuple[str, ...]:
    rows = {row.id: row.language for row in queries.announcements(line.tenant)}
    return tuple(rows[each] for each in line.announcements)


def _sentences(language: str, keep: KeepOptions, sources: Sources) -> dict[str, SpokenText | None]:
    destroyed, wording = keep.destroy, keep.wording
    ask = None if keep.own_words else composer.keep_question(language, wording=wording, sources=sources)
    return {
        "question": ask,
        "cue": composer.ask_now(language, sources=sources),
        "yes": composer.agreed(language, keep_days=keep.keep_days, wording=wording, sources=sources),
        "no": composer.declined(language, destroyed=destroyed, wording=wording, sources=sources),
        "none": composer.unanswered(language, destroyed=destroyed, wording=wording, sources=sources),
    }


def _write(
    line: LineRow,
    keep: KeepOptions | None,
    sentences_by_language: Mapping[str, Mapping[str, SpokenText | None]],
    now: datetime,
    entropy: Entropy,
) -> None:
    with connected():
        LineKeepOptionTable.delete().where(LineKeepOptionTable.line == line.id).execute()
        for language, sentences in sentences_by_language.items():
            columns = {}
            for name, sentence in sentences.items():
                columns[f"{name}_text"] = None if sentence is None else sentence.text
                columns[name] = None if sentence is None else store_sound(sentence.wav, now)
            LineKeepOptionTable.create(
                id=str(uuid7(now, entropy)), line=line.id, language=language, **columns
            )
        changed = None if keep is None else asdict(keep)
        LineTable.update(keep=changed).where(active_line(line.tenant, line.id)).execute()
        was = None if line.keep is None else asdict(line.keep)
        body = {
            "line": line.id,
            "keep": changed,
            "keep_was": was,
            KEEPS: prompts_sha256(LineKeepOptionTable, line.id),
        }
        append(line.tenant, "line.keep_question_changed", body, now, entropy)
        increment(LINES, line.tenant)


def set_line_deletable(
    tenant: str,
    line_id: str,
    deletable: bool,
    *,
    sources: Sources = composer.SHIPPED,
    now: datetime,
    entropy: Entropy,
) -> bool:
    """Set whether colleagues may have a recording deleted during the call, from the next one on, in all the
    line's languages. False if the tenant has no such line. Raises :class:`ConfigError` (``prompt.*``,
    ``speech.*``)."""
    while True:
        line = queries.line(tenant, line_id)
        if line is None or line.until is not None:
            return False
        sentences = (
            {each: _deletion_sentences(each, sources) for each in _languages(line)} if deletable else {}
        )
        with writing():
            lock_tenant(tenant)
            if queries.line(tenant, line_id) != line:
                continue  # its languages were changed meanwhile
            LineDeleteOptionTable.delete().where(LineDeleteOptionTable.line == line.id).execute()
            for language, (question, deleted) in sentences.items():
                LineDeleteOptionTable.create(
                    id=str(uuid7(now, entropy)),
                    line=line.id,
                    language=language,
                    question_text=question.text,
                    question=store_sound(question.wav, now),
                    deleted_text=deleted.text,
                    deleted=store_sound(deleted.wav, now),
                )
            LineTable.update(deletable=int(deletable)).where(active_line(tenant, line.id)).execute()
            body: dict[str, object] = {
                "line": line.id,
                "deletable": deletable,
                "deletable_was": line.deletable,
            }
            body[DELETES] = prompts_sha256(LineDeleteOptionTable, line.id)
            append(tenant, "line.deletable_changed", body, now, entropy)
            increment(LINES, tenant)
            return True


def extend_to_languages(
    tenant: str, line: LineRow, *, sources: Sources = composer.SHIPPED, now: datetime, entropy: Entropy
) -> None:
    """Make what colleagues can do on a line speak the languages that it has now. Raises
    :class:`ConfigError` (``prompt.*``, ``speech.*``)."""
    if line.keep is not None:
        set_line_keep(tenant, line.id, line.keep, sources=sources, now=now, entropy=entropy)
    if line.deletable:
        set_line_deletable(tenant, line.id, True, sources=sources, now=now, entropy=entropy)


def prompts_sha256(model: type[LineKeepOptionTable | LineDeleteOptionTable], line: str) -> str | None:
    """One hash over the texts and sounds of a line's prompts in every language, for the log; ``None`` if it
    has none. Works inside the caller's transaction."""
    names = sorted(each.column_name for each in model._meta.sorted_fields if each.name not in ("id", "line"))
    fields = {each.column_name: each.name for each in model._meta.sorted_fields}
    rows = model.select().where(model.line == line).order_by(model.language, model.id)
    prompts = [{name: row.__data__[fields[name]] for name in names} for row in rows]
    return sha256_of(prompts) if prompts else None


def _deletion_sentences(language: str, sources: Sources) -> tuple[SpokenText, SpokenText]:
    return composer.delete_question(language, sources=sources), composer.deleted(language, sources=sources)


def set_line_beep(tenant: str, line_id: str, beep: str, *, now: datetime, entropy: Entropy) -> bool:
    """Set who hears a periodic tone while a line's calls are recorded, from the next call on: one of
    ``line_policy.BEEPS``, or nobody (empty). False if the tenant has no such line. Raises
    :class:`CatalogueError` (``line.settings``)."""
    if beep not in ("", *BEEPS):
        raise CatalogueError(
            "line.settings", f"{beep!r} is not a party", f"one of {', '.join(BEEPS)}, or nobody"
        )
    with writing():
        lock_tenant(tenant)
        row = LineTable.get_or_none(active_line(tenant, line_id))
        if row is None:
            return False
        LineTable.update(beep=beep).where(LineTable.id == line_id).execute()
        body = {"line": line_id, "beep": beep, "beep_was": row.beep}
        append(tenant, "line.beep_changed", body, now, entropy)
        increment(LINES, tenant)
    return True
