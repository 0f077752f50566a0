"""What an entry of the access log says beside its sentence: labelled values, and what a setting was before.

The fields, their labels and types are in ``recorder/auditlog/kinds.toml``; :data:`WRITERS` says how the value
of each type is written. A field ``x_was`` is the value of ``x`` before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from flask_babel import format_decimal
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.auditlog.kinds import FIELDS, HIDDEN, KINDS
from recorder.clock import from_iso
from recorder.domain.line_policy import OFF
from recorder.domain.live_command import DONE
from recorder.domain.roles import EXTERNAL_PARTY, NEUTRAL
from recorder.features.access_log.rules import LogEntry
from web.language import NAMES, in_language
from web.text import commands, errors, formats, labels, numbers, plans, retention, subject_requests, team

WAS: Final = "_was"

LONGEST: Final = 300
"""Characters of a value that is shown as it was written."""


@dataclass(frozen=True, slots=True)
class LogNames:
    """What a customer's lines and announcements are called, by id, where a leaf has only the id."""

    lines: Mapping[str, str] = field(default_factory=dict)
    announcements: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogDetail:
    """One labelled value; ``before``: what a setting was, or ``None``."""

    label: str
    value: str
    before: str | None = None


@dataclass(frozen=True, slots=True)
class _Context:
    body: Mapping[str, Any]
    names: LogNames


Writer = Callable[[Any, _Context], str]

YES_NO: Final = (_l("No"), _l("Yes"))

ROLES: Final[Mapping[str, object]] = {
    **team.ROLES,
    EXTERNAL_PARTY: _l("Invited person"),
    NEUTRAL: _l("A person you both trust"),
}
MODES: Final[Mapping[str, object]] = {**numbers.MODES, OFF: _l("Off")}
TIMINGS: Final[Mapping[str, object]] = {
    "before_ringing": _l("Before it rings"),
    "at_pickup": _l("When somebody answers"),
}
OUTBOUND: Final[Mapping[str, object]] = {
    "off": _l("Not recorded"),
    "before_connected": _l("Announced before the two are connected"),
    "once_connected": _l("Announced once the two are connected"),
}
BEEPS: Final[Mapping[str, object]] = {
    "": _l("None"),
    "external": _l("Callers hear it"),
    "internal": _l("Colleagues hear it"),
    "both": _l("Both hear it"),
}
WAYS: Final[Mapping[str, object]] = {
    "": _l("Off"),
    "alone": _l("The colleague alone hears it"),
    "both": _l("Both hear it"),
}
ACTIONS: Final[Mapping[str, object]] = {
    "pause": _l("Pause the recording"),
    "resume": _l("Resume the recording"),
    "mark": _l("Mark this moment"),
    "delete": _l("Stop and delete the recording"),
}
CHANNELS: Final[Mapping[str, object]] = {
    "both": _l("Both voices"),
    "own": _l("Their own voice alone"),
}
VERIFICATIONS: Final[Mapping[str, object]] = {
    "code": _l("By a call with a code"),
    "people": _l("Two people vouched for them"),
}


FACTOR_CHANGES: Final[Mapping[str, object]] = {
    "app_added": _l("Authenticator app added"),
    "app_removed": _l("Authenticator app removed"),
    "passkey_added": _l("Passkey added"),
    "passkey_renamed": _l("Passkey renamed"),
    "passkey_removed": _l("Passkey removed"),
    "codes_made": _l("New recovery codes"),
    "code_used": _l("Recovery code used"),
    "reset": _l("Reset"),
}
RESET_OUTCOMES: Final[Mapping[str, object]] = {
    "confirmed": _l("Confirmed"),
    "withdrawn": _l("Withdrawn"),
    "replaced": _l("Replaced by a newer one"),
    "outdated": _l("No longer valid"),
}
LINKS: Final[Mapping[str, object]] = {
    "password": _l("To set a new password"),
    "address": _l("To confirm a new address"),
}
DISPUTE_STEPS: Final[Mapping[str, object]] = {
    "opened": _l("Opened"),
    "rescheduled": _l("Another date"),
    "guest_invited": _l("Invitation"),
    "guest_answered": _l("Answer"),
    "guest_vouched": _l("A colleague vouched"),
    "guest_verified": _l("Person recognised"),
    "guest_ended": _l("Somebody no longer takes part"),
    "closed": _l("Closed"),
    "guest_agreed": _l("Answer about a helper"),
    "guest_entered": _l("Support came in"),
    "passage_marked": _l("Passage marked"),
    "passage_worded": _l("Passage put differently"),
    "passage_confirmed": _l("Passage confirmed"),
    "passage_left_open": _l("Passage left open"),
    "outcome_written": _l("Way forward written"),
    "outcome_confirmed": _l("Way forward confirmed"),
    "outcome_retracted": _l("Confirmation withdrawn"),
    "outcome_recorded": _l("Way forward sealed"),
}
NOTES: Final[Mapping[str, object]] = {"note": _l("Note"), "label": _l("Label")}


def _one_of(known: Mapping[str, object]) -> Writer:
    return lambda value, _context: str(known.get("" if value is None else value, _text(value, _context)))


def _text(value: Any, _context: _Context) -> str:
    return "" if value is None else str(value)[:LONGEST]


def _moment(value: Any, _context: _Context) -> str:
    return formats.moment(from_iso(value)) if value else ""


def _keep_question(value: Any, _context: _Context) -> str:
    if value is None:
        return str(_("Off"))
    return str(_("A yes keeps the recording for %(days)s", days=formats.days(int(value["keep_days"]))))


def _line(value: Any, context: _Context) -> str:
    return context.names.lines.get(value, "") if value else str(_("All numbers"))


def _announcement(value: Any, context: _Context) -> str:
    return context.names.announcements.get(value, "") if value else ""


def _announcements(value: Any, context: _Context) -> str:
    return ", ".join(filter(None, (_announcement(each, context) for each in value))) or str(_("None"))


def _not_recorded(value: Any, context: _Context) -> str:
    return labels.not_recorded(value, str(context.body.get("direction", ""))) if value else ""


def _erasure_reason(value: Any, _context: _Context) -> str:
    return retention.erasure_reason(value) if value else ""


def _error(value: Any, _context: _Context) -> str:
    return errors.error(value) if value else ""


def _outcome(value: Any, _context: _Context) -> str:
    known = commands.FAILURES.get(value) or subject_requests.CALL_RESULTS.get(value)
    return str(_("Done")) if value == DONE else str(known or commands.FAILURES["unknown"])


def _amendment(value: Any, context: _Context) -> str:
    if "replaces" in context.body:
        return str(_("The difference was handed over to somebody else."))
    return subject_requests.amendment(value)


def _lines(value: Any, context: _Context) -> str:
    return ", ".join(filter(None, (context.names.lines.get(each) for each in value)))


def _purpose(value: Any, _context: _Context) -> str:
    return labels.purpose(value) if value else ""


def _caller(value: Any, context: _Context) -> str:
    return formats.number(value) if context.body.get("external_kind") == "e164" else _text(value, context)


WRITERS: Final[Mapping[str, Writer]] = {
    "text": _text,
    "count": lambda value, _context: str(format_decimal(int(value))),
    "yes_no": lambda value, _context: str(YES_NO[bool(value)]),
    "moment": _moment,
    "day": lambda value, _context: formats.date(date.fromisoformat(value)),
    "days": lambda value, _context: formats.days(int(value)),
    "duration": lambda value, _context: formats.duration(int(value)),
    "offset": lambda value, _context: formats.clock(int(value)),
    "size": lambda value, _context: formats.size(int(value)),
    "language": lambda value, _context: NAMES.get(str(value), str(value)),
    "languages": lambda value, _context: ", ".join(NAMES.get(each, each) for each in value),
    "country": lambda value, _context: numbers.country(value),
    "phone_number": lambda value, _context: formats.number(value),
    "caller": _caller,
    "line": _line,
    "lines": _lines,
    "announcement": _announcement,
    "announcements": _announcements,
    "purpose": _purpose,
    "purposes": lambda value, _context: retention.purpose_list(value),
    "formats": lambda value, _context: plans.format_list(value),
    "keep_question": _keep_question,
    "not_recorded": _not_recorded,
    "erasure_reason": _erasure_reason,
    "error": _error,
    "amendment": _amendment,
    "outcome": _outcome,
    "closure": lambda value, _context: subject_requests.closure(value),
    "verification": lambda value, _context: str(VERIFICATIONS[value]),
    "reset_outcome": lambda value, _context: str(RESET_OUTCOMES[value]),
    "note_kind": lambda value, _context: str(NOTES[value]),
    "dispute_step": lambda value, _context: str(DISPUTE_STEPS[value]),
    "factor_change": _one_of(FACTOR_CHANGES),
    "link": _one_of(LINKS),
    "direction": _one_of(labels.DIRECTIONS),
    "role": _one_of(ROLES),
    "mode": _one_of(MODES),
    "timing": _one_of(TIMINGS),
    "outbound": _one_of(OUTBOUND),
    "beep": _one_of(BEEPS),
    "transfer_notice": _one_of(WAYS),
    "action": _one_of(ACTIONS),
    "wants": _one_of(subject_requests.WANTS),
    "disclosure": _one_of(subject_requests.DISCLOSURES),
    "channels": _one_of(CHANNELS),
}
"""By type of a field, how its value is written (empty: it is not listed)."""


OF_THE_CALL: Final = frozenset({"external_value", "started_at", "ended_at"})
"""Fields that need not be listed where the call itself is named."""


def details(entry: LogEntry, names: LogNames, call_named: bool = False) -> list[LogDetail]:
    """What an entry says beside its sentence.  ``call_named``: the call that it is about is shown as well."""
    found = []
    if entry.heard_ms is not None:
        found.append(LogDetail(str(_("Heard")), formats.duration(entry.heard_ms)))
    context = _Context(entry.body, names)
    types = KINDS[entry.kind].types if entry.kind in KINDS else {}
    for name, each in FIELDS.items():
        type_ = types.get(name, each.type)
        if name not in entry.body or type_ == HIDDEN or (call_named and name in OF_THE_CALL):
            continue
        write = WRITERS[type_]
        value, before = _in_words(write, entry.body[name], context), None
        if name + WAS in entry.body:
            before = _in_words(write, entry.body[name + WAS], context)
            if before == value:
                continue
        if value or before:
            found.append(LogDetail(in_language(each.label), value, before))
    return found


def _in_words(write: Writer, value: Any, context: _Context) -> str:
    """A value in words. One that this version does not know is shown as it is."""
    try:
        return write(value, context)
    except (ValueError, TypeError, KeyError, AttributeError):
        return _text(value, context)
