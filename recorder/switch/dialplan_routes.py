"""Finds routes through the loaded dialplan on which a call is bridged before it is passed to Accord.

The value that a condition tests may be known here (the dialled number, the variables of Accord's extensions)
or not (the time of day, a user's ``toll_allow``). A condition on an unknown value may be met, so routes that
apply only to some callers, or only at night, are found, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final
from xml.etree.ElementTree import Element

from recorder.switch.dialplan_lint_outbound import RUNS_ACCORD
from recorder.switch.dialplan_model import Action, LoadedDialplan, expand

OUTSIDE_DIGITS: Final = 7
"""Minimum number of digits of an external number, if nothing else says where it leads."""

CONNECTS: Final = frozenset(
    {"bridge", "callcenter", "conference", "fifo", "httapi", "ivr", "javascript", "lua", "park", "socket",
     "valet_park"}
)  # fmt: skip
"""Applications that bridge a call, or hand it to a program that may."""

_CONTINUES: Final = frozenset({"transfer", "execute_extension"})
_DEEPEST: Final = 10
_UNKNOWN: Final = re.compile(r"\$\{")
_FUNCTION: Final = re.compile(r"\$\{(?:group|group_call|sofia_contact|user_data)\(")
_GLOBALS: Final = re.compile(r"^(?:\{[^}]*\}|<[^>]*>|\[[^\]]*\])+")
_INSIDE: Final = ("user/", "group/", "error/", "loopback/", "pickup/", "skinny/", "verto")
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
    yield from _routes(loaded, context, number, KNOWN)


def outbound(loaded: LoadedDialplan, context: str, number: str, line: str) -> Iterator[Route]:
    """Return the routes that take calls from a line to an external number without Accord; none if the number
    is an emergency number, or on the never-record list."""
    known = {**KNOWN, "accord_line": line}
    if _is_never_recorded(loaded, context, number, known):
        return
    for route in _routes(loaded, context, number, known):
        if bridges_outside(route.action, number):
            yield route


def outside_numbers(loaded: LoadedDialplan, context: str) -> tuple[list[str], list[str]]:
    """Return sample numbers, one of each length, that each extension of a context bridges with an external
    leg or routes on, and the names of the extensions for which no sample number was found."""
    numbers: dict[str, None] = {}
    without_sample: list[str] = []
    for extension in loaded.context(context):
        actions = [
            Action(each.get("application", ""), each.get("data", "")) for each in extension.iter("action")
        ]
        connects = any(bridges_outside(action, "0" * OUTSIDE_DIGITS) for action in actions)
        if connects or any(action.application in _CONTINUES for action in actions):
            found = _sample_numbers(extension)
            numbers |= dict.fromkeys(found)
            if connects and not found:
                without_sample.append(extension.get("name", ""))
    return list(numbers), without_sample


def bridges_outside(action: Action, number: str) -> bool:
    """Whether an action bridges a call with an external leg. If its dial string does not say (``${dial}``),
    the length of the dialled number decides."""
    return action.application == "bridge" and any(
        _leg_is_external(leg, number) for leg in re.split(r",|\||:_:", _GLOBALS.sub("", action.data))
    )


def _leg_is_external(leg: str, number: str) -> bool:
    leg = _GLOBALS.sub("", leg.strip())
    if not leg or leg.startswith(_INSIDE) or _FUNCTION.match(leg):
        return False
    if leg.startswith("sofia/gateway/"):
        return True
    if leg.startswith("sofia/"):
        return "%" not in leg and "@" in leg
    return _UNKNOWN.match(leg) is None or len(re.sub(r"\D", "", number)) >= OUTSIDE_DIGITS


def _routes(
    loaded: LoadedDialplan, context: str, number: str, variables: Mapping[str, str], depth: int = 0
) -> Iterator[Route]:
    known: dict[str, str | None] = {**variables, "destination_number": number, "context": context}
    for extension in loaded.context(context):
        matches, actions = _evaluate(extension, known)
        if any(_passes_to_accord(action) for action in actions):
            if matches:
                return
            continue
        name = extension.get("name", "")
        for action in actions:
            if action.application in CONNECTS:
                yield Route(context, name, number, action)
            elif action.application in _CONTINUES and depth < _DEEPEST:
                for route in _target(loaded, context, action, variables, depth):
                    yield replace(route, context=context, extension=name, number=number)
        if matches and extension.get("continue") != "true":
            return


def _target(
    loaded: LoadedDialplan, context: str, action: Action, variables: Mapping[str, str], depth: int
) -> Iterator[Route]:
    number, *where = action.data.split()[:3] or [""]
    dialplan, context = (*where, *("XML", context)[len(where) :])
    if dialplan == "XML" and not _UNKNOWN.search(f"{number}{context}"):
        yield from _routes(loaded, context, number, variables, depth + 1)


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
