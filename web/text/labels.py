"""Sentences about calls, and ``words``: all that pages can say.

What is said of a code is in ``sentences.toml``, what is not possible in ``errors.toml``, and how numbers and
times are written in ``formats.py``.
"""

from __future__ import annotations

from datetime import datetime

from flask import Flask

from recorder.audio.keep_answers import NO, YES
from recorder.domain.line_policy import OUTBOUND
from recorder.domain.live_command import DONE
from recorder.fault_log import FaultLog
from recorder.features.live.queries import CommandRow
from recorder.playback.call_history import LISTENED, WAS_REFUSED, HistoryEntry
from recorder.prompts.purposes import standard
from web.language import reader_locale
from web.text import errors, formats, plans, sentences, subject_requests
from web.text import numbers as numbers_text
from web.text import retention as retention_text
from web.text.sentences import sentence, variant


def line(direction: str, text: str) -> str:
    """Which number of the customer's a call concerns."""
    return sentence("line", direction, number=formats.number(text))


def duration_mismatch(missing_ms: int) -> str:
    """That a recording is shorter than its call (negative: longer), and it is not known why."""
    code = "missing" if missing_ms > 0 else "longer"
    return sentence("duration_mismatch", code, length=formats.duration(abs(missing_ms)))


def keep_answer(
    answer: str | None, by: str | None, how: str | None, at: datetime | None, direction: str = ""
) -> str:
    """What came of the question whether a recording may be kept."""
    if at is None or answer not in (YES, NO):
        return sentence("no_keep_answer", answer)
    is_callee = by == "external" and direction == OUTBOUND
    way = f"{by} {OUTBOUND if is_callee else how}"
    return variant("keep_answer", answer, way, time=formats.time(at))


def consent(mode: str, key: str | None, at: datetime | None, direction: str = "") -> str:
    """How it was agreed to record a call of which that was asked."""
    if mode == "opt-in" and key and at is not None:
        return variant("consent", "opt-in key", direction, key=key, time=formats.time(at))
    return variant("consent", mode, direction)


def keep_instructions(own_words: bool, at_start: bool) -> str:
    """How a colleague asks in a call whether its recording may be kept."""
    how = "own_words" if own_words else "question"
    return sentence("keep_instructions", "at_start" if at_start else how)


def history_entry(entry: HistoryEntry) -> str:
    """What somebody did with a recording."""
    if entry.how == WAS_REFUSED:
        return sentence("history", entry.how, why=errors.error(entry.reason))
    if entry.how != LISTENED:
        return sentence("history", entry.how)
    if entry.heard_ms is not None:
        return sentence("history", "listened", length=formats.duration(entry.heard_ms))
    return sentence("history", "open" if entry.open else "opened")


def command_result(row: CommandRow) -> str:
    """What came of what was asked of a live call."""
    if row.outcome is None:
        return sentence("command", "sent")
    return (
        sentence("command", row.action) if row.outcome == DONE else sentence("command_failure", row.outcome)
    )


def left_out(faults: FaultLog) -> list[str]:
    """A sentence for each kind of thing that a page leaves out, since its data cannot be read."""
    return [text for event, text in sentences.labels("unreadable").items() if faults.lasts(event)]


def purpose(code: str) -> str:
    """A purpose's label."""
    known = standard().get(code)
    return known.label(reader_locale().language) if known else code


def purpose_explanation(code: str) -> str:
    known = standard().get(code)
    return known.explanation(reader_locale().language) if known else ""


def init_app(app: Flask) -> None:
    app.jinja_env.globals["words"] = {
        function.__name__: function
        for function in (
            sentences.sentence,
            sentences.variant,
            sentences.labels,
            sentences.plural,
            errors.error,
            line,
            duration_mismatch,
            keep_answer,
            consent,
            keep_instructions,
            history_entry,
            command_result,
            left_out,
            purpose,
            purpose_explanation,
            formats.size,
            formats.days,
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
            formats.age,
            formats.time_tag,
            retention_text.purpose_list,
            retention_text.limit_confirmation,
            retention_text.shortened_count,
            retention_text.month,
            subject_requests.state,
            subject_requests.listening,
            numbers_text.language_name,
            numbers_text.country,
            numbers_text.country_choice,
            numbers_text.longest_days,
            numbers_text.numbered,
            numbers_text.retention_period,
            plans.format_list,
            plans.not_in_plan,
            plans.plan_days,
            plans.plan_features,
            plans.plan_limit,
            plans.plan_name,
        )
    }
