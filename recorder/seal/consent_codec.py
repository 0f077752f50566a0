"""What was agreed, as JSON in a manifest's body: written, and read strictly (docs/formats.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from recorder.audio.encoded_take import LocatedAnnouncement
from recorder.audio.keep_answers import BROKEN, BY, COLLEAGUE, HOW, NO, OWN_WORDS, QUESTION, YES
from recorder.clock import to_iso
from recorder.domain.call_plan import MODES, NOTICE
from recorder.seal.canonical_json import Fields
from recorder.seal.consent_record import GIVEN, Agreed, Agreement, Consent, HeardVoice, PlayedSentence


def consent_body(consent: Consent) -> dict[str, Any]:
    asked = consent.question
    return {
        "mode": consent.mode,
        "answer": consent.answer,
        "key": consent.key,
        "at": None if consent.at is None else to_iso(consent.at),
        "question": None if asked is None else {"text": asked.text, "sound_sha256": asked.sound_sha256},
    }


def agreement_body(one: Agreement) -> dict[str, Any]:
    return {
        "asked_at": to_iso(one.asked_at),
        "offset_ms": one.offset_ms,
        "how": one.how,
        "question": _said_body(one.question),
        "answer": one.answer,
        "by": one.by,
        "answered_how": one.answered_how,
        "answered_at": None if one.answered_at is None else to_iso(one.answered_at),
        "answered_offset_ms": one.answered_offset_ms,
        "voice": None if one.voice is None else {"from_ms": one.voice.from_ms, "to_ms": one.voice.to_ms},
        "unheard_at": None if one.unheard_at is None else to_iso(one.unheard_at),
        "told": one.told,
        "said": _said_body(one.said),
    }


def agreed_body(agreed: Agreed | None) -> dict[str, Any] | None:
    if agreed is None:
        return None
    return {"purpose": agreed.code, "keep_days": agreed.keep_days, "until": to_iso(agreed.until)}


def read_consent(fields: Fields) -> Consent:
    asked = fields.take("question")
    read = Consent(
        mode=fields.one_of("mode", MODES),
        answer=fields.optional_text("answer"),
        key=fields.optional_text("key"),
        at=fields.optional_time("at"),
        question=None if asked is None else _words(Fields(asked, "manifest.body.consent.question")),
    )
    fields.end()
    return read


def read_agreement(fields: Fields) -> Agreement:
    read = Agreement(
        asked_at=fields.time("asked_at"),
        offset_ms=fields.whole("offset_ms"),
        how=fields.one_of("how", (QUESTION, OWN_WORDS)),
        question=_read_said(fields, "question"),
        answer=fields.optional_one_of("answer", (*GIVEN, BROKEN)),
        by=fields.optional_one_of("by", BY),
        answered_how=fields.optional_one_of("answered_how", HOW),
        answered_at=fields.optional_time("answered_at"),
        answered_offset_ms=fields.optional_whole("answered_offset_ms"),
        voice=_read_voice(fields),
        unheard_at=fields.optional_time("unheard_at"),
        told=fields.truth("told"),
        said=_read_said(fields, "said"),
    )
    fields.end()
    return read


def read_agreed(fields: Fields) -> Agreed:
    read = Agreed(fields.text("purpose"), fields.whole("keep_days", 1), fields.time("until"))
    fields.end()
    return read


def nonsense_in_consent(consent: Consent, announced: bool) -> str | None:
    """What contradicts itself in how it was agreed to record, if anything does."""
    said = (consent.answer, consent.key, consent.at)
    if consent.mode == NOTICE and (consent.question is not None or any(each is not None for each in said)):
        return "nothing is asked where there is only a notice"
    if (consent.answer is None) != (consent.at is None) or (consent.key is not None and consent.at is None):
        return "the answer whether to record has no time, or the time no answer"
    if announced and not consent.allows:
        return "nobody agreed that it is recorded"
    return None


def nonsense_in(agreements: Iterable[Agreement], duration_ms: int) -> str | None:
    """What contradicts itself in the questions whether to keep it, if anything does."""
    reached = 0
    for one in agreements:
        answered = one.answered_offset_ms
        if not reached <= one.offset_ms <= (duration_ms if answered is None else answered) <= duration_ms:
            return "a question or its answer lies outside the audio, or before what came before it"
        reached = one.offset_ms if answered is None else answered
        if any(
            each is not None and not _inside(each.found, duration_ms) for each in (one.question, one.said)
        ):
            return "what was played lies outside the audio"
        if (one.how == QUESTION) != (one.question is not None):
            return "a question was played that there is not, or not played"
        if (why := _answer_nonsense(one) or _voice_nonsense(one, duration_ms)) is not None:
            return why
    return None


def _answer_nonsense(one: Agreement) -> str | None:
    given = one.answer in GIVEN
    if any((each is not None) != given for each in (one.answered_at, one.answered_offset_ms, one.said)):
        return "an answer has no time or place, or there is none that has"
    if any((each is not None) != (one.answer in (YES, NO)) for each in (one.by, one.answered_how)):
        return "a yes or no is nobody's, or nobody's answer somebody's"
    if one.told and not given:
        return "it was told what was answered, and nothing was"
    return None


def _voice_nonsense(one: Agreement, duration_ms: int) -> str | None:
    if one.unheard_at is not None and one.answer == YES:
        return "somebody answered who was not heard"
    if one.voice is None:
        return None
    if one.answer != YES or one.by != COLLEAGUE:
        return "somebody was heard where no colleague confirmed it"
    found = None if one.question is None else one.question.found
    since = one.offset_ms if found is None else found.end_ms
    if not since <= one.voice.from_ms < one.voice.to_ms <= duration_ms:
        return "who answered was heard outside the audio, or before the question's end"
    return None


def _inside(found: LocatedAnnouncement | None, duration_ms: int) -> bool:
    return found is None or 0 <= found.offset_ms < found.end_ms <= duration_ms


def _said_body(said: PlayedSentence | None) -> dict[str, Any] | None:
    if said is None:
        return None
    found = said.found
    return {
        "text": said.text,
        "sound_sha256": said.sound_sha256,
        "found": None
        if found is None
        else {"offset_ms": found.offset_ms, "end_ms": found.end_ms, "score": found.score},
    }


def _read_said(fields: Fields, name: str) -> PlayedSentence | None:
    value = fields.take(name)
    if value is None:
        return None
    inner = Fields(value, f"manifest.body.agreements.{name}")
    where = inner.take("found")
    found = None if where is None else _found(Fields(where, f"manifest.body.agreements.{name}.found"))
    return _words(inner, found)


def _read_voice(fields: Fields) -> HeardVoice | None:
    value = fields.take("voice")
    if value is None:
        return None
    inner = Fields(value, "manifest.body.agreements.voice")
    read = HeardVoice(inner.whole("from_ms"), inner.whole("to_ms"))
    inner.end()
    return read


def _words(fields: Fields, found: LocatedAnnouncement | None = None) -> PlayedSentence:
    read = PlayedSentence(fields.text("text"), fields.sha256("sound_sha256"), found)
    fields.end()
    return read


def _found(fields: Fields) -> LocatedAnnouncement:
    read = LocatedAnnouncement(fields.whole("offset_ms"), fields.whole("end_ms"), fields.number("score"))
    fields.end()
    return read
