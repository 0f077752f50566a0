"""Sentences for what the rooms below say in codes.  Plain and neutral; no code ever reaches a page.

What is not possible is said in ``errors.py``, how numbers and times are written in ``formats.py``; pages
have all of it as ``words``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from flask import Flask
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from recorder.prompts.purposes import standard
from web.language import current_language
from web.text import (
    call_page,
    eavesdrop,
    errors,
    first_day,
    formats,
    number_proof,
    plans,
    subject_requests,
    unreadable,
)
from web.text import numbers as numbers_text
from web.text import outbound as outbound_text
from web.text import retention as retention_text
from web.text.commands import command_result

DIRECTIONS: Mapping[str, object] = {"inbound": _l("Incoming"), "outbound": _l("Outgoing")}

NOT_RECORDED: Mapping[str, object] = {
    "no_line": _l("Recording was not switched on for this number."),
    "no_snapshot": _l("The recorder had just started and did not know its numbers yet."),
    "never_record": _l("This number is never recorded (emergency numbers, for instance)."),
    "prompt_damaged": _l("The sound of the announcement was damaged, so it was not played."),
    "never_connected": _l("Nobody answered."),
    "forwarded_externally": _l("The call was forwarded to an external number, where nobody was informed."),
    "hung_up_in_announcement": _l("The caller hung up during the announcement."),
    "hung_up_in_question": _l("The caller hung up before a question was answered."),
    "declined": _l("The caller chose not to be recorded."),
    "no_answer": _l("The caller was asked whether the call may be recorded, and did not answer."),
    "unclear": _l(
        "The caller was asked whether the call may be recorded, and pressed keys that mean "
        "neither yes nor no."
    ),
    "not_kept": _l(
        "It was agreed in the call not to keep the recording. It was destroyed when the call ended."
    ),
    "deleted": _l("A colleague stopped the recording during the call and had it destroyed."),
    "announcement_failed": _l("The announcement did not play to its end."),
    "recording_failed": _l("The telephone system could not write the recording."),
    "daemon_away": _l("The recorder was not running; the call continued without it."),
    "daemon_late": _l("The recorder answered too late; the call continued without it."),
    "dialplan_did_not_ask": _l(
        "The telephone system did not pass the call to the recorder; it was neither announced nor recorded."
    ),
    "full_disk": _l("The disk for new recordings was full."),
    "channel_gone": _l("The call had ended before it could be recorded."),
}
"""By :data:`recorder.spool.layout.REASONS`."""

GAPS: Mapping[str, object] = {
    "before_announcement_end": _l(
        "What the caller said is not kept: they had not yet heard the whole announcement."
    ),
    "ringing": _l("Nobody had answered yet: what the caller said while it rang or they waited is not kept."),
    "hold": _l("The call was on hold."),
    "waiting": _l("The caller was waiting and not connected to anybody. None of that is kept."),
    "paused": _l("A colleague had paused the recording. Nothing was recorded."),
    "write_error": _l("The telephone system could not write this part."),
    "fax": _l("The call continued as a fax, which has no audio."),
    "repair": _l("The end of the recording is missing: writing it was interrupted."),
    "unobserved": _l(
        "The recorder was unavailable. The audio is complete, but the events of the call were not logged."
    ),
    "participant_notice": _l(
        "A colleague who joined was told that the call is recorded. What they said meanwhile was "
        "not heard and is not in the recording."
    ),
    "no_participant_consent": _l(
        "A colleague who joined had not agreed to be recorded, or may have joined while the "
        "recorder was unavailable. What your side said meanwhile is not kept."
    ),
    "transferred_externally": _l(
        "The call was transferred to an external number. The recording ends there, and what was "
        "said after that is not kept."
    ),
    "prompt": _l("Both heard a message; meanwhile they did not hear each other. Nothing is missing."),
}
"""By :data:`recorder.audio.encoded_take.GAP_REASONS`."""


KEEP_RESULTS: Mapping[str, object] = {
    "yes": _l("Agreed in the call to keep it."),
    "no": _l("Agreed in the call not to keep it longer than announced."),
    "none": _l("Asked in the call whether to keep it; no answer."),
}
"""By ``keep_answer`` of a recording's row."""

KEEP_ANSWERS: Mapping[tuple[str, str, str], object] = {
    ("yes", "external", "key"): _l("Yes: the caller pressed the key at %(time)s."),
    ("no", "external", "key"): _l("No: the caller pressed the key at %(time)s."),
    ("yes", "internal", "aloud"): _l("Yes, said aloud: the colleague confirmed it with a key at %(time)s."),
    ("no", "internal", "aloud"): _l("No, said aloud: the colleague confirmed it with a key at %(time)s."),
    ("yes", "internal", "own_words"): _l(
        "Yes, in their own words: the colleague confirmed it with a key at %(time)s."
    ),
    ("no", "internal", "own_words"): _l(
        "No, in their own words: the colleague confirmed it with a key at %(time)s."
    ),
}
"""By answer, whose it is, and how it was given (:mod:`recorder.audio.keep_answers`)."""


def line(direction: str, text: str) -> str:
    """Which number of the customer's a call concerns."""
    if direction == outbound_text.OUTBOUND:
        return str(_("was called from %(number)s", number=formats.number(text)))
    return str(_("called %(number)s", number=formats.number(text)))


def not_recorded(reason: str, direction: str = "") -> str:
    """Why a call was not recorded."""
    theirs = outbound_text.NOT_RECORDED.get(reason) if direction == outbound_text.OUTBOUND else None
    known = theirs or NOT_RECORDED.get(reason)
    return str(known or _("The recording could not be used and was set aside."))


def gap(reason: str, direction: str = "") -> str:
    """Why a stretch of a recording is silent or missing."""
    theirs = outbound_text.GAPS.get(reason) if direction == outbound_text.OUTBOUND else None
    return str(theirs or GAPS.get(reason) or _("This part is missing."))


def duration_mismatch(missing_ms: int) -> str:
    """That a recording is shorter than its call (negative: longer), and it is not known why."""
    by = formats.duration(abs(missing_ms))
    if missing_ms > 0:
        return str(
            _("%(length)s of the call are missing from this recording; it is not known where.", length=by)
        )
    return str(_("This recording is %(length)s longer than the call. The reason is unknown.", length=by))


OMISSIONS: Mapping[str, object] = {
    "access.not_announced": _l("It is not certain that everybody was informed and agreed."),
    "access.imported": _l("Imported, and nobody has stated what it may be used for."),
    "access.expired": _l("Its announced retention is over."),
    "access.erased": _l("It was deleted, and is being destroyed."),
    "access.purpose_restricted": _l("It may no longer be used for what was announced."),
}
"""Why a recording is not handed over."""


def omission(why: str) -> str:
    """Why a recording is not handed over."""
    return str(
        OMISSIONS.get(why) or _("It has changed since it was sealed after the call. This was reported.")
    )


def recording_count(many: int) -> str:
    """How many."""
    return str(ngettext("%(num)d recording", "%(num)d recordings", many))


def keep_result(answer: str) -> str:
    """What was agreed in a call about keeping its recording."""
    return str(KEEP_RESULTS[answer])


def keep_question(how: str) -> str:
    """That it was asked whether the recording may be kept."""
    if how == "own_words":
        return str(_("Asked in the colleague’s own words: may we keep this?"))
    return str(_("Asked: may we keep this?"))


def keep_answer(
    answer: str | None, by: str | None, how: str | None, at: datetime | None, direction: str = ""
) -> str:
    """What came of that question."""
    known = KEEP_ANSWERS.get((answer or "", by or "", how or ""))
    if by == "external" and direction == outbound_text.OUTBOUND:
        known = outbound_text.ANSWERED.get(answer or "")
    if known is not None and at is not None:
        return str(known) % {"time": formats.time(at)}
    if answer in ("yes", "no") and at is not None:
        sentence = _("Yes, at %(time)s.") if answer == "yes" else _("No, at %(time)s.")
        return str(sentence) % {"time": formats.time(at)}
    if answer == "none":
        return str(_("No answer. Silence does not count as a yes."))
    if answer == "broken":
        return str(_("The question was interrupted, so it has no effect."))
    return str(_("No answer was noted."))


def unheard_answer(at: datetime) -> str:
    """A colleague confirmed a yes, and the external party had not been heard."""
    return str(
        _(
            "A colleague pressed 1 for yes at %(time)s, but the other side was not heard to say so. "
            "That does not count as a yes.",
            time=formats.time(at),
        )
    )


PARTICIPANT_ANSWERS: Mapping[tuple[str, str], object] = {
    ("transfer_question_finished", ""): _l(
        "A colleague who joined was also asked for consent to the recording."
    ),
    ("transfer_question_answered", "yes"): _l("They agreed by pressing a key."),
    ("transfer_question_answered", "none"): _l("They did not refuse."),
    ("transfer_question_refused", "no"): _l("They refused by pressing a key. The recording ends there."),
    ("transfer_question_refused", "none"): _l("They did not answer. The recording ends there."),
    ("transfer_question_refused", "unclear"): _l(
        "They pressed keys that mean neither yes nor no. The recording ends there."
    ),
    ("transfer_question_refused", "left"): _l(
        "They left before they had answered. The recording ends there."
    ),
    ("transfer_question_refused", "unasked"): _l("They could not be asked. The recording ends there."),
    ("transfer_question_refused", "unobserved"): _l(
        "The recorder was unavailable while they were asked, so no answer counted as a yes. The "
        "recording ends there."
    ),
}
"""By the marker's kind and its answer."""


def participant_answer(kind: str, answer: str) -> str:
    """What was asked of a colleague who joined later, and what came of it."""
    return str(PARTICIPANT_ANSWERS.get((kind, answer)) or _("A colleague who joined was asked."))


def consent(mode: str, key: str | None, at: datetime | None, direction: str = "") -> str:
    """How it was agreed to record a call of which that was asked."""
    if direction == outbound_text.OUTBOUND:
        return outbound_text.consent(mode, key, None if at is None else formats.time(at))
    if mode == "opt-in" and key and at is not None:
        return str(
            _(
                "The caller was asked before anything was recorded, and agreed with key %(key)s at %(time)s.",
                key=key,
                time=formats.time(at),
            )
        )
    if mode == "opt-in":
        return str(_("The caller was asked before anything was recorded, and agreed."))
    return str(_("The caller was told how to refuse the recording with a key, and did not refuse."))


ANNOUNCEMENT_TIMES: Mapping[tuple[str, str], object] = {
    ("notice", "before_ringing"): _l("The announcement is played before the phone rings."),
    ("notice", "at_pickup"): _l("The announcement is played to both as soon as somebody answers."),
    ("opt-out", "before_ringing"): _l(
        "The announcement is played before the phone rings. Callers who then press 2 are not recorded."
    ),
    ("opt-in", "before_ringing"): _l(
        "The question is played before the phone rings. Only callers who press 1 are recorded."
    ),
}
"""By a line's mode and timing."""


def announcement_time(mode: str, timing: str) -> str:
    """When a number says that it records, and how somebody refuses."""
    return str(ANNOUNCEMENT_TIMES[mode, timing])


def keep_instructions(own_words: bool, at_start: bool) -> str:
    """How a colleague asks in a call whether its recording may be kept."""
    if at_start:
        return str(_("The question is played automatically at the start. Dial *5 to ask again."))
    if own_words:
        return str(
            _(
                "Dial *5, ask in your own words whether the recording may be kept, and press 1 for yes or 2 "
                "for no. Both then hear what was agreed."
            )
        )
    return str(
        _(
            "Dial *5: both hear the question. The caller answers with 1 for yes or 2 for no, or aloud; then "
            "press 1 or 2 for what was said."
        )
    )


def beep(who: str) -> str:
    """Who hears a tone at an interval."""
    sentences = {
        "external": _("A short tone every 15 seconds reminds callers of it."),
        "internal": _("A short tone every 15 seconds reminds you of it."),
    }
    return str(sentences.get(who, _("A short tone every 15 seconds reminds both of it.")))


def outbound(how: str) -> str:
    """What happens to calls that are made from a number; empty where they are not recorded."""
    return str(outbound_text.NUMBERS.get(how, ""))


def lane(channel: str, direction: str = "") -> str:
    """Whose sound a gap concerns."""
    if direction == outbound_text.OUTBOUND:
        return outbound_text.lane(channel)
    return str({"left": _("The caller"), "right": _("You and announcements")}.get(channel, _("Both")))


def purpose(code: str) -> str:
    """A purpose's label."""
    known = standard().get(code)
    return known.label(current_language()) if known else code


def purpose_explanation(code: str) -> str:
    known = standard().get(code)
    return known.explanation(current_language()) if known else ""


def init_app(app: Flask) -> None:
    app.jinja_env.globals["words"] = {
        function.__name__: function
        for function in (
            errors.error,
            line,
            outbound,
            not_recorded,
            gap,
            duration_mismatch,
            keep_result,
            omission,
            recording_count,
            formats.size,
            keep_question,
            keep_answer,
            unheard_answer,
            consent,
            participant_answer,
            announcement_time,
            keep_instructions,
            beep,
            formats.days,
            lane,
            purpose,
            purpose_explanation,
            formats.party,
            formats.count,
            formats.percent,
            formats.number,
            formats.titled,
            formats.duration,
            formats.milliseconds,
            formats.clock,
            formats.day,
            formats.date,
            formats.time,
            formats.moment,
            formats.time_tag,
            command_result,
            retention_text.basis,
            retention_text.end_reason,
            retention_text.erasure_reason,
            retention_text.purpose_list,
            retention_text.unaffected_agreements,
            retention_text.limit_confirmation,
            retention_text.more_recordings,
            retention_text.exempt_holds,
            retention_text.kept_for_differences,
            retention_text.shortened_count,
            retention_text.held_count,
            retention_text.erased_count,
            retention_text.date_of,
            retention_text.month,
            subject_requests.calls_erased,
            subject_requests.wants,
            subject_requests.disclosure,
            subject_requests.closure,
            subject_requests.long_date,
            subject_requests.call_result,
            subject_requests.verification,
            subject_requests.state,
            subject_requests.erasure_result,
            subject_requests.role,
            subject_requests.listening,
            subject_requests.amendment,
            eavesdrop.eavesdropping,
            first_day.step_name,
            first_day.step_explanation,
            first_day.step_action,
            first_day.step_state,
            call_page.joined,
            call_page.history_entry,
            call_page.no_agreement,
            numbers_text.mode,
            numbers_text.mode_explanation,
            numbers_text.wording,
            numbers_text.prompt_part,
            numbers_text.language_name,
            numbers_text.country,
            numbers_text.longest_days,
            numbers_text.file_too_large,
            numbers_text.numbered,
            number_proof.number_call,
            plans.format_list,
            plans.not_in_plan,
            plans.plan_days,
            plans.plan_features,
            plans.plan_limit,
            plans.plan_name,
            unreadable.left_out,
        )
    }
