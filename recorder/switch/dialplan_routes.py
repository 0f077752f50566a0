"""Finds routes through the loaded dialplan on which a call is bridged before it is passed to Accord.

The value that a condition tests may be known here (the dialled number, the variables of Accord's extensions)
or not (the time of day, a user's ``toll_allow``). A condition on an unknown value may be met, so routes that
apply only to some callers, or only at night, are found, too.

A route is followed through transfers and through ``bridge`` to ``loopback/<number>/<context>``, where a
second channel begins with its own variables: those that were exported to it, or stand in the dial string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final
from xml.etree.ElementTree import Element

from recorder.switch.dialplan_lint_outbound import RUNS_ACCORD
from recorder.switch.dialplan_model import Action, LoadedDialplan, expand

EXTERNAL_DIGITS: Final = 7
"""Minimum number of digits of an external number, if nothing else says where it leads."""

CONNECTS: Final = frozenset(
    {"bridge", "callcenter", "conference", "fifo", "httapi", "ivr", "javascript", "lua", "park", "socket",
     "valet_park"}
)  # fmt: skip
"""Applications that bridge a call, or hand it to a program that may."""

_CONTINUES: Final = frozenset({"transfer", "execute_extension"})
_DEEPEST: Final = 10
"""How many transfers and loopback legs are followed, one after the other."""
_LOOPBACK: Final = "loopback/"
_UNKNOWN: Final = re.compile(r"\$\{")
_FUNCTION: Final = re.compile(r"\$\{(?:group|group_call|sofia_contact|user_data)\(")
_DIAL_VARIABLES: Final = re.compile(r"^\s*(?:\{((?:\$\{[^}]*\}|[^}])*)\}|<([^>]*)>|\[([^\]]*)\])")
_BETWEEN_LEGS: Final = re.compile(r"(?:,|\||:_:)(?![^\[]*\])")
_INSIDE: Final = ("user/", "group/", "error/", _LOOPBACK, "pickup/", "skinny/", "verto")
_LONGEST: Final = 15
_FILLS: Final = ("2125550123456789", "4425550123456789", "999999999999999", "000000000000000")
_CLASSES: Final = re.compile(r"\[[^\]]*\]|\{[^}]*\}|\\.|\(\?[:!=<]")

KNOWN: Final[Mapping[str, str]] = {
    "accord_state": "",
    "accord_line": "",
    "accord_callee": "",
    "accord_caller": "",
    "group_confirm_key": "",
    "caller_id_number": "2025550147",
}
"""The variables that Accord's extensions test, with their values when a call arrives."""


@dataclass(frozen=True, slots=True)
class Route:
    """``extension`` of ``context`` bridges calls to ``number``, in the end by ``action``."""

    context: str
    extension: str
    number: str
    action: Action


def inbound(loaded: LoadedDialplan, context: str, number: str) -> Iterator[Route]:
    """Return the routes that bridge calls to a line's number in a context without Accord."""
    yield from _routes(loaded, _Place(context, number, KNOWN, {}))


def outbound(loaded: LoadedDialplan, context: str, number: str, line: str) -> Iterator[Route]:
    """Return the routes that take calls from a line to an external number without Accord; none if the number
    is an emergency number, or on the never-record list."""
    known = {**KNOWN, "accord_line": line}
    if _is_never_recorded(loaded, context, number, known):
        return
    for route in _routes(loaded, _Place(context, number, known, {})):
        if bridges_externally(route.action, number):
            yield route


def external_numbers(loaded: LoadedDialplan, context: str) -> tuple[list[str], list[str]]:
    """Return sample numbers, one of each length, that each extension of a context bridges with an external
    leg or routes on, and the names of the extensions for which no sample number was found."""
    numbers: dict[str, None] = {}
    without_sample: list[str] = []
    for extension in loaded.context(context):
        actions = [
            Action(each.get("application", ""), each.get("data", "")) for each in extension.iter("action")
        ]
        connects = any(bridges_externally(action, "0" * EXTERNAL_DIGITS) for action in actions)
        if connects or any(_continues(action) for action in actions):
            found = _sample_numbers(extension)
            numbers |= dict.fromkeys(found)
            if connects and not found:
                without_sample.append(extension.get("name", ""))
    return list(numbers), without_sample


def bridges_externally(action: Action, number: str) -> bool:
    """Whether an action bridges a call with an external leg. If its dial string does not say (``${dial}``),
    the length of the dialled number decides."""
    return action.application == "bridge" and any(
        _leg_is_external(leg, number) for leg, _ in _legs(action.data)
    )


def _leg_is_external(leg: str, number: str) -> bool:
    if not leg or leg.startswith(_INSIDE) or _FUNCTION.match(leg):
        return False
    if leg.startswith("sofia/gateway/"):
        return True
    if leg.startswith("sofia/"):
        return "%" not in leg and "@" in leg
    return _UNKNOWN.match(leg) is None or len(re.sub(r"\D", "", number)) >= EXTERNAL_DIGITS


def _legs(dial: str) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Return each leg of a dial string with the variables that it is given there."""
    shared, legs = _dial_variables(dial)
    for text in _BETWEEN_LEGS.split(legs):
        own, leg = _dial_variables(text)
        yield leg.strip(), shared | own


def _dial_variables(text: str) -> tuple[dict[str, str | None], str]:
    """Return the variables at the front of a dial string (``{a=b}``, ``<a=b>``, ``[a=b]``), and its rest."""
    found: dict[str, str | None] = {}
    while match := _DIAL_VARIABLES.match(text):
        for each in (match[1] or match[2] or match[3] or "").split(","):
            found |= _assignment(each)
        text = text[match.end() :]
    return found, text


def _assignment(text: str) -> dict[str, str | None]:
    """Return the variable that ``name=value`` sets; ``None`` for a value that is not known here."""
    name, _, value = text.partition("=")
    return {name.strip().removeprefix("nolocal:"): None if _UNKNOWN.search(value) else value}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a call enters a context. ``exported`` are the variables that legs of a bridge get."""

    context: str
    number: str
    variables: Mapping[str, str | None]
    exported: Mapping[str, str | None]


def _routes(loaded: LoadedDialplan, place: _Place, before: tuple[_Place, ...] = ()) -> Iterator[Route]:
    """Return the routes from a place. ``before`` are the places that the call has come through: nothing is
    followed in a circle."""
    if place in before or len(before) > _DEEPEST:
        return
    entered = {"destination_number": place.number, "context": place.context}
    known: dict[str, str | None] = {**place.variables, **entered}
    exported = {**place.exported}
    for extension in loaded.context(place.context):
        matches, actions = _evaluate(extension, known)
        if any(_passes_to_accord(action) for action in actions):
            if matches:
                return
            continue
        name = extension.get("name", "")
        for action in actions:
            if action.application == "export":
                exported |= _assignment(action.data)
            if action.application in CONNECTS and not _only_loops_back(action):
                yield Route(place.context, name, place.number, action)
            for then in _next_places(place, action, {**exported}):
                for route in _routes(loaded, then, (*before, place)):
                    yield replace(route, context=place.context, extension=name, number=place.number)
        if matches and extension.get("continue") != "true":
            return


def _next_places(place: _Place, action: Action, exported: Mapping[str, str | None]) -> Iterator[_Place]:
    """Return where an action lets the dialplan be read again: for the call (a transfer), or for the loopback
    legs of a bridge, which have those of the call's variables that were exported."""
    if action.application in _CONTINUES:
        number, *where = action.data.split()[:3] or [""]
        dialplan, context = (*where, *("XML", place.context)[len(where) :])
        if dialplan == "XML" and not _UNKNOWN.search(f"{number}{context}"):
            yield _Place(context, number, place.variables, exported)
    elif action.application == "bridge":
        for leg, own in _legs(action.data):
            if (target := _loopback_target(leg)) is not None:
                yield _Place(*target, {**KNOWN, **exported, **own}, {})


def _loopback_target(leg: str) -> tuple[str, str] | None:
    """Return context and number of a loopback leg; ``None`` for another leg, one that runs an application,
    and one whose target is not known."""
    if not leg.startswith(_LOOPBACK) or _UNKNOWN.search(leg):
        return None
    number, context, dialplan = (*leg.removeprefix(_LOOPBACK).split("/", 2), "", "")[:3]
    if number.lower().startswith("app=") or dialplan.upper() not in ("", "XML"):
        return None
    return context or "default", number


def _continues(action: Action) -> bool:
    """Whether the dialplan is read again for the call, or for a leg of it."""
    return action.application in _CONTINUES or (
        action.application == "bridge" and any(leg.startswith(_LOOPBACK) for leg, _ in _legs(action.data))
    )


def _only_loops_back(action: Action) -> bool:
    """Whether each leg of a bridge is a loopback leg that can be followed."""
    return action.application == "bridge" and all(
        _loopback_target(leg) is not None for leg, _ in _legs(action.data)
    )


def _passes_to_accord(action: Action) -> bool:
    """Whether Accord handles a call from here on, or is to leave it alone."""
    sets_state = action.application == "set" and action.data.startswith("accord_state=")
    return sets_state or action.data == RUNS_ACCORD


def _is_never_recorded(
    loaded: LoadedDialplan, context: str, number: str, variables: Mapping[str, str]
) -> bool:
    known: dict[str, str | None] = {**variables, "destination_number": number}
    return any(
        matches and any(each.sets("accord_state", "never_record") for each in actions)
        for extension in loaded.context(context)
        for matches, actions in [_evaluate(extension, known)]
    )


def _evaluate(extension: Element, known: dict[str, str | None]) -> tuple[bool | None, list[Action]]:
    """Return whether an extension is met (``None``: perhaps), and the actions that it then runs. Variables
    that it sets inline are added to ``known``."""
    run: list[Action] = []
    matches: bool | None = False
    sure = True
    for condition in extension.iterfind("condition"):
        matches, groups = _test(condition, known)
        sure = sure and matches is not None
        nested = [each for inner in condition.iterfind("condition") for each in inner.iter()]
        sure = sure and not nested
        for each in (*condition, *nested):
            if each.tag not in ("action", "anti-action") or (
                matches is not None and each.tag == ("anti-action" if matches else "action")
            ):
                continue
            data = expand(each.get("data") or each.text or "", known, groups)
            action = Action(each.get("application", ""), data)
            if each.get("inline") == "true" and action.application == "set":
                name, _, value = data.partition("=")
                known[name] = value if sure and not _UNKNOWN.search(value) else None
            run.append(action)
        how = condition.get("break", "on-false")
        if how == "always" or (how == "on-false" and matches is False) or (how == "on-true" and matches):
            break
    if matches is False and not run:
        return False, []
    return (matches if sure else None), run


def _test(condition: Element, known: Mapping[str, str | None]) -> tuple[bool | None, re.Match[str] | None]:
    kind = condition.get("regex")
    if kind is not None:
        results_with_groups = [_test(each, known) for each in condition.iterfind("regex")]
        found = next((groups for matches, groups in results_with_groups if matches), None)
        results = [matches for matches, _ in results_with_groups]
        if kind == "xor":
            return (None if None in results else results.count(True) == 1), found
        decides = kind != "all"  # a met test decides "any", an unmet one "all"
        return (decides if decides in results else None if None in results else not decides), found
    expression = condition.find("expression")
    pattern = condition.get("expression") if expression is None else expression.text
    field = condition.get("field")
    if field is None or pattern is None:
        # A time of day is unknown; a condition without a test is met.
        return (None if set(condition.keys()) - {"break", "field", "expression"} else True), None
    value = expand(field, known) if "$" in field else known.get(field)
    pattern = expand(pattern, known)
    if value is None or _UNKNOWN.search(value) or _UNKNOWN.search(pattern):
        return None, None
    try:
        match = re.search(pattern, value)
    except re.error:
        return None, None
    return match is not None, match


def _sample_numbers(extension: Element) -> list[str]:
    """Return sample numbers that an extension matches, one of each length: the literal digits of its
    expressions, padded."""
    fields = [
        each
        for each in extension.iter()
        if each.get("field") in ("destination_number", "${destination_number}") and each.get("expression")
    ]
    begins = {""}
    for each in fields:
        runs = re.findall(r"\d+", _CLASSES.sub(" ", each.get("expression", "")))
        begins |= {*runs, *(first + second for n, first in enumerate(runs) for second in runs[n + 1 :])}
    candidates = (
        sign + (begin + fill)[: max(length, len(begin))]
        for length in range(2, _LONGEST + 1)
        for sign in ("", "+")
        for begin in sorted(begins)
        for fill in _FILLS
    )
    found: dict[int, str] = {}
    for number in candidates:
        if len(number) not in found and _evaluate(extension, {"destination_number": number})[0] is not False:
            found[len(number)] = number
    return [found[length] for length in sorted(found)]
