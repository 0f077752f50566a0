"""Sentences of the call list's filter: what each choice is called, and the chips of those that are set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flask_babel import format_number, ngettext
from flask_babel import gettext as _

from recorder.catalogue.records import LineRow
from recorder.features.call_list.queries import CallCount
from web.call_list.filters import CallFilter
from web.text import formats
from web.text.sentences import labels, sentence

CHOICES: Final[Mapping[str, str]] = {
    "when": "filter_when",
    "direction": "direction",
    "length": "filter_length",
    "consent": "filter_consent",
    "agreement": "filter_agreement",
    "show": "filter_show",
}
"""The table with the choices of each select field."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is set, and the query arguments of the list without it."""

    text: str
    without: Mapping[str, str]


def chips(call_filter: CallFilter, lines: Mapping[str, LineRow]) -> list[Chip]:
    """The filters that are set, in the order of the form; the text of the search field is not one of them."""
    address = call_filter.address()
    found = []
    if "when" in address:
        found.append(Chip(sentence("filter_when", address["when"]), call_filter.without("when")))
    if call_filter.first or call_filter.last:
        found.append(Chip(_days(call_filter), call_filter.without("from", "to")))
    if "line" in address:
        line = lines.get(address["line"])
        found.append(Chip(line_name(line) if line else str(_("Unknown line")), call_filter.without("line")))
    for name in ("direction", "length", "consent", "agreement"):
        if name in address:
            found.append(Chip(_describe_choice(name, address[name]), call_filter.without(name)))
    if "held" in address:
        found.append(Chip(str(_("Kept for an open question")), call_filter.without("held")))
    if "handed" in address:
        found.append(Chip(str(_("Handed to me")), call_filter.without("handed")))
    if "noted" in address:
        found.append(Chip(str(_("Has a note")), call_filter.without("noted")))
    if "label" in address:
        found.append(Chip(str(_("Label: %(text)s", text=address["label"])), call_filter.without("label")))
    if "reason" in address:
        text = sentence("not_recorded", address["reason"])
        found.append(Chip(text, call_filter.without("reason", "show")))
    elif "show" in address:
        found.append(Chip(sentence("filter_show", address["show"]), call_filter.without("show")))
    return found


def options(
    lines: Iterable[LineRow], reasons: Sequence[str], in_use: Sequence[str]
) -> dict[str, list[tuple[str, str]]]:
    """The choices of each select field, the first of which asks for nothing. ``in_use`` are the customer's
    labels."""
    found = {
        name: [("", sentence("filter_any", name)), *labels(table).items()] for name, table in CHOICES.items()
    }
    found["when"].append(("range", str(_("Own dates"))))
    names = sorted((line_name(line), line.id) for line in lines)
    found["line"] = [("", str(_("All lines"))), *((identity, name) for name, identity in names)]
    found["label"] = [("", str(_("Any"))), *((each, each) for each in in_use)]
    why = sorted((sentence("not_recorded", each), each) for each in reasons)
    found["reason"] = [("", str(_("Any reason"))), *((each, text) for text, each in why)]
    return found


def line_name(line: LineRow) -> str:
    """A line by its label and number."""
    number = formats.number(line.number)
    return f"{line.label} · {number}" if line.label else number


def count(found: CallCount) -> str:
    """How many calls fit."""
    if found.exact or found.number == 0:
        return str(ngettext("%(num)d call", "%(num)d calls", found.number))
    return str(_("%(number)s+ calls", number=format_number(found.number)))


def _describe_choice(name: str, code: str) -> str:
    text = sentence(CHOICES[name], code)
    if name == "consent":
        return str(_("Consent: %(what)s", what=text))
    return str(_("Agreement: %(what)s", what=text)) if name == "agreement" else text


def _days(call_filter: CallFilter) -> str:
    first, last = call_filter.first, call_filter.last
    if first and last:
        return f"{formats.short_date(first)} – {formats.short_date(last)}"
    if first:
        return str(_("Since %(date)s", date=formats.short_date(first)))
    return str(_("Until %(date)s", date=formats.short_date(last))) if last else ""
