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

from recorder.auditlog.kinds import FIELDS, HIDDEN, KINDS
from recorder.clock import from_iso
from recorder.domain.live_command import DONE
from recorder.features.access_log.rules import LogEntry
from web.language import NAMES, in_language
from web.text import errors, formats, labels, numbers, plans, retention
from web.text.sentences import SENTENCES, sentence, variant

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


def _one_of(table: str) -> Writer:
    return lambda value, _context: sentence(table, value or "none")


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
    return variant("not_recorded", value, str(context.body.get("direction", ""))) if value else ""


def _error(value: Any, _context: _Context) -> str:
    return errors.error(value) if value else ""


def _outcome(value: Any, _context: _Context) -> str:
    if value == DONE:
        return str(_("Done"))
    is_from_code_call = value in SENTENCES["code_call"] and value not in SENTENCES["command_failure"]
    return sentence("code_call" if is_from_code_call else "command_failure", value)


def _amendment(value: Any, context: _Context) -> str:
    if "replaces" in context.body:
        return str(_("The question was handed over to somebody else."))
    return sentence("amendment", value)


def _lines(value: Any, context: _Context) -> str:
    return ", ".join(filter(None, (context.names.lines.get(each) for each in value)))


def _purpose(value: Any, _context: _Context) -> str:
    return labels.purpose(value) if value else ""


def _caller(value: Any, context: _Context) -> str:
    return formats.number(value) if context.body.get("external_kind") == "e164" else _text(value, context)


TABLES: Final = (
    "action", "beep", "channels", "closure", "direction", "disclosure", "dispute_step", "erasure_reason",
    "factor_change", "link", "mode", "note_kind", "outbound", "reset_outcome", "role", "timing",
    "transfer_notice", "verification", "wants",
)  # fmt: skip
"""Types of fields whose values are the codes of a table."""

WRITERS: Final[Mapping[str, Writer]] = {
    "text": _text,
    "count": lambda value, _context: str(format_decimal(int(value))),
    "yes_no": lambda value, _context: sentence("yes_no", "yes" if value else "no"),
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
    "error": _error,
    "amendment": _amendment,
    "outcome": _outcome,
    **{table: _one_of(table) for table in TABLES},
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
