"""What an entry of the access log says beside its sentence: labelled values, and what a setting was before.

**A new field of a leaf needs one line here**: in :data:`FIELDS`, with its label and how its value is written,
or in :data:`UNLISTED` if it says nothing to people (an id, a hash). A field ``x_was`` is the value of ``x``
before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from flask_babel import format_decimal
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.clock import from_iso
from recorder.domain.line_policy import OFF
from recorder.domain.live_command import DONE
from recorder.domain.roles import EXTERNAL_PARTY, NEUTRAL
from recorder.features.access_log.rules import LogEntry
from web.language import NAMES
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
    kind: str
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
    return str(value)[:LONGEST]


def _number(value: Any, _context: _Context) -> str:
    return str(format_decimal(int(value)))


def _yes_no(value: Any, _context: _Context) -> str:
    return str(YES_NO[bool(value)])


def _moment(value: Any, context: _Context) -> str:
    return formats.moment(from_iso(value)) if value and context.kind != "usage.counted" else ""


def _day(value: Any, _context: _Context) -> str:
    return formats.date(date.fromisoformat(value))


def _days(value: Any, _context: _Context) -> str:
    return formats.days(int(value))


def _language(value: Any, _context: _Context) -> str:
    return NAMES.get(str(value), str(value))


def _languages(value: Any, _context: _Context) -> str:
    return ", ".join(NAMES.get(each, each) for each in value)


def _keep_question(value: Any, _context: _Context) -> str:
    if value is None:
        return str(_("Off"))
    return str(_("A yes keeps the recording for %(days)s", days=formats.days(int(value["keep_days"]))))


def _line(value: Any, context: _Context) -> str:
    if context.kind in ("line.created", "call.not_recorded"):
        return ""  # its number is listed
    return context.names.lines.get(value, "") if value else str(_("All numbers"))


def _announcement(value: Any, context: _Context) -> str:
    if context.kind == "announcement.created":
        return ""  # its name is listed
    return context.names.announcements.get(value, "") if value else ""


def _announcements(value: Any, context: _Context) -> str:
    return ", ".join(filter(None, (_announcement(each, context) for each in value))) or str(_("None"))


def _reason(value: Any, context: _Context) -> str:
    """Why: a code in most kinds of leaves, and somebody's own words in others."""
    if not value:
        return ""
    if context.kind in ("call.not_recorded", "quarantine.erased"):
        return labels.not_recorded(value, str(context.body.get("direction", "")))
    if context.kind == "recording.erased":
        return retention.erasure_reason(value)
    if context.kind in ("access.refused", "subject_request.recording_kept"):
        return errors.error(value)
    if context.kind == "holds.unconfirmed":
        return ""
    return _text(value, context)


def _how(value: Any, context: _Context) -> str:
    if context.kind == "subject_request.closed":
        return subject_requests.closure(value)
    return str(VERIFICATIONS[value])


def _outcome(value: Any, context: _Context) -> str:
    if context.kind == "user.factor_reset_ended":
        return str(RESET_OUTCOMES[value])
    known = commands.FAILURES.get(value) or subject_requests.CALL_RESULTS.get(value)
    return str(_("Done")) if value == DONE else str(known or commands.FAILURES["unknown"])


def _kind(value: Any, context: _Context) -> str:
    if context.kind == "note.added":
        return str(NOTES[value])
    if context.kind == "recording.amended" and "replaces" in context.body:
        return str(_("The difference was handed over to somebody else."))
    if context.kind == "dispute.stated":
        return str(DISPUTE_STEPS[value])
    return subject_requests.amendment(value) if context.kind == "recording.amended" else ""


def _lines(value: Any, context: _Context) -> str:
    return ", ".join(filter(None, (context.names.lines.get(each) for each in value)))


def _phone_number(value: Any, context: _Context) -> str:
    """A number of a line; in some kinds of leaves the field counts something else."""
    return formats.number(value) if isinstance(value, str) else ""


def _purpose(value: Any, _context: _Context) -> str:
    return labels.purpose(value) if value else ""


def _name(value: Any, context: _Context) -> str:
    """Of a customer, an announcement or a program; of a sound it says nothing."""
    return (
        ""
        if context.kind in ("listen.opened", "recording.exported", "recording.downloaded")
        else _text(value, context)
    )


def _caller(value: Any, context: _Context) -> str:
    return formats.number(value) if context.body.get("external_kind") == "e164" else _text(value, context)


FIELDS: Final[Mapping[str, tuple[object, Writer]]] = {
    "purpose": (_l("Purpose"), _purpose),
    "purposes": (_l("Purposes"), lambda value, _context: retention.purpose_list(value)),
    "kind": (_l("Kind"), _kind),
    "change": (_l("Kind of change"), _one_of(FACTOR_CHANGES)),
    "second_factor": (_l("Two-step log-in for everybody"), _yes_no),
    "link": (_l("Link"), _one_of(LINKS)),
    "reason": (_l("Reason"), _reason),
    "number": (_l("Number"), _phone_number),
    "lines": (_l("Numbers"), _lines),
    "all_lines": (_l("All numbers"), _yes_no),
    "recorded": (_l("Recorded"), _yes_no),
    "downloads": (_l("May download recordings"), _yes_no),
    "formats": (_l("Formats"), lambda value, _context: plans.format_list(value)),
    "announcements": (_l("Announcements"), _announcements),
    "day": (_l("Day"), _day),
    "duration_ms": (_l("Duration"), lambda value, _context: formats.duration(int(value))),
    "at_ms": (_l("At"), lambda value, _context: formats.clock(int(value))),
    "external_value": (_l("Other party"), _caller),
    "direction": (_l("Direction"), _one_of(labels.DIRECTIONS)),
    "started_at": (_l("Began"), _moment),
    "ended_at": (_l("Ended"), _moment),
    "quarantined_until": (_l("Set aside until"), _moment),
    "line": (_l("Number"), _line),
    "label": (_l("Label"), _text),
    "name": (_l("Name"), _name),
    "version": (_l("Version"), _number),
    "language": (_l("Language"), _language),
    "languages": (_l("Languages"), _languages),
    "country": (_l("Country"), lambda value, _context: numbers.country(value)),
    "time_zone": (_l("Time zone"), _text),
    "plan": (_l("Plan"), _text),
    "role": (_l("Role"), _one_of(ROLES)),
    "announcement": (_l("Announcement"), _announcement),
    "others": (_l("Other languages"), _announcements),
    "mode": (_l("How callers are told"), _one_of(MODES)),
    "timing": (_l("When"), _one_of(TIMINGS)),
    "outbound": (_l("Outgoing calls"), _one_of(OUTBOUND)),
    "keep": (_l("Keep question"), _keep_question),
    "deletable": (_l("Can be deleted during the call"), _yes_no),
    "beep": (_l("Reminder tone"), _one_of(BEEPS)),
    "transfer_notice": (_l("Notice for colleagues who join"), _one_of(WAYS)),
    "transfer_question": (_l("Asks for consent"), _yes_no),
    "how": (_l("How"), _how),
    "keep_days": (_l("Kept for"), _days),
    "days": (_l("Kept for at most"), _days),
    "covers_consents": (_l("Also for recordings that were agreed to be kept"), _yes_no),
    "address": (_l("Address"), _text),
    "action": (_l("Action"), _one_of(ACTIONS)),
    "outcome": (_l("Outcome"), _outcome),
    "wants": (_l("Asks for"), _one_of(subject_requests.WANTS)),
    "given": (_l("Given"), _one_of(subject_requests.DISCLOSURES)),
    "channels": (_l("Given"), _one_of(CHANNELS)),
    "received_on": (_l("Received on"), _day),
    "due_on": (_l("Due on"), _day),
    "until": (_l("Until"), _moment),
    "valid_until": (_l("Valid until"), _moment),
    "correct": (_l("Correct"), _yes_no),
    "tries": (_l("Attempts"), _number),
    "calls": (_l("Calls"), _number),
    "recordings": (_l("Recordings"), _number),
    "bytes": (_l("Size"), lambda value, _context: formats.size(int(value))),
    "sent_bytes": (_l("Sent"), lambda value, _context: formats.size(int(value))),
    "holds": (_l("Kept for a difference"), _number),
    "handed_over": (_l("Handed over before"), _yes_no),
    "early": (_l("Earlier than announced"), _text),
    "backup": (_l("Backup of"), _moment),
}  # fmt: skip
"""By field of a body: its label, and how its value is written (empty: it is not listed), in this order."""

UNLISTED: Final = frozenset({
    "actor", "announced", "by", "by_was", "call", "changed", "checkpoint", "code_sha256", "command",
    "composed_sha256", "customer", "declined", "declined_text_sha256", "dispute", "dispute_ids", "disputes",
    "epoch", "erased", "external_kind", "factor", "found", "from", "grant", "guest", "handover", "how_sha256",
    "import_sha256", "invitation", "kek",
    "key", "key_sha256", "key_was", "keys", "leaves", "limit", "line_delete_sha256", "line_keep_sha256",
    "lines_sha256", "listen", "listen_report", "login_sha256", "manifest_sha256", "menu",
    "menu_text_sha256", "node", "note", "number_sha256", "object", "omitted", "part", "preselected",
    "profile_sha256", "question", "question_text_sha256", "reason_sha256", "receipt_sha256",
    "recipient", "recording", "recording_ids", "renewals", "replaces", "request", "root_before", "session",
    "sha256", "size_before", "sound", "statement", "statement_sha256", "tenant", "text_sha256", "through",
    "to", "token", "token_sha256", "transfer_notice_sha256", "usage", "user", "vouch",
})  # fmt: skip
"""Fields that are ids, hashes, or of no use to a reader. Who checks an entry sees the whole body."""


OF_THE_CALL: Final = frozenset({"external_value", "started_at", "ended_at"})
"""Fields that need not be listed where the call itself is named."""


def details(entry: LogEntry, names: LogNames, call_named: bool = False) -> list[LogDetail]:
    """What an entry says beside its sentence.  ``call_named``: the call that it is about is shown as well."""
    found = []
    if entry.heard_ms is not None:
        found.append(LogDetail(str(_("Heard")), formats.duration(entry.heard_ms)))
    context = _Context(entry.kind, entry.body, names)
    for name, (label, write) in FIELDS.items():
        if name not in entry.body or (call_named and name in OF_THE_CALL):
            continue
        value, before = _in_words(write, entry.body[name], context), None
        if name + WAS in entry.body:
            before = _in_words(write, entry.body[name + WAS], context)
            if before == value:
                continue
        if value or before:
            found.append(LogDetail(str(label), value, before))
    return found


def _in_words(write: Writer, value: Any, context: _Context) -> str:
    """A value in words. One that this version does not know is shown as it is."""
    try:
        return write(value, context)
    except (ValueError, TypeError, KeyError, AttributeError):
        return _text(value, context)
