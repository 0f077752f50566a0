"""Evaluates the dialplan as the switch has loaded it, without placing a call.

``xml_locate dialplan`` returns the XML that the switch routes with, its variables expanded. Evaluating it as
``mod_dialplan_xml`` does shows the actions that the switch *would* run for a call in a given state. Files on
disk do not show that: a file may be edited and not reloaded, or the dialplan may come from another source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from recorder.errors import SwitchError
from recorder.switch.commands import CALLEE

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_GROUP = re.compile(r"(?<!\$)\$(\d)")


@dataclass(frozen=True, slots=True)
class Action:
    """One application with its argument, in which known variables are expanded."""

    application: str
    data: str

    def sets(self, name: str, value: str) -> bool:
        return self.application == "set" and self.data == f"{name}={value}"


@dataclass(frozen=True, slots=True)
class Entry:
    """An extension that hands calls to a socket. ``before`` and ``after`` are the actions around it; ``on``:
    whether the dialplan continues after the extension."""

    context: str
    extension: str
    before: tuple[Action, ...]
    socket: str
    after: tuple[Action, ...]
    on: bool

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """The host and port of each address, in the order in which they are tried."""
        found = []
        for one in self.socket.split(" ")[0].split("|"):
            host, _, port = one.rpartition(":")
            found.append((host or one, int(port) if port.isdecimal() else 8084))
        return tuple(found)


class LoadedDialplan:
    """The contexts of a running dialplan. Raises :class:`SwitchError` ``switch.answer``."""

    def __init__(self, answer: str) -> None:
        try:
            root = ElementTree.fromstring(answer)  # noqa: S314  # from the switch; expat limits entities
        except ElementTree.ParseError as error:
            raise SwitchError(
                "switch.answer",
                f"the switch's dialplan is not valid XML: {error}",
                "run `reloadxml` in fs_cli: it must succeed",
            ) from error
        self._contexts = {each.get("name", ""): each for each in root.iter("context")}

    def context(self, name: str) -> Iterator[ElementTree.Element]:
        """Return the extensions of a context, in order."""
        found = self._contexts.get(name)
        if found is not None:
            yield from found.iter("extension")

    def has(self, context: str, extension: str) -> bool:
        """Whether there is an extension of that name."""
        found = self._contexts.get(context)
        return found is not None and any(each.get("name") == extension for each in found.iter("extension"))

    def extensions(self) -> Iterator[tuple[str, str, tuple[Action, ...], bool]]:
        """Return every extension of every context: both names, its actions, and whether the dialplan
        continues after it."""
        for name, context in self._contexts.items():
            for extension in context.iter("extension"):
                actions = tuple(
                    Action(each.get("application", ""), each.get("data", ""))
                    for each in extension.iter("action")
                )
                yield name, extension.get("name", ""), actions, extension.get("continue") == "true"

    def entries(self, within: str = "") -> Iterator[Entry]:
        """Return every extension that hands a call to a socket as Accord's do, in any context but the
        callees', or only in the context ``within``."""
        for context, name, actions, on in self.extensions():
            if context != within if within else context == CALLEE:
                continue
            at = next((n for n, each in enumerate(actions) if each.application == "socket"), None)
            if at is None or not any("accord_" in each.data for each in actions):
                continue
            yield Entry(context, name, actions[:at], actions[at].data, actions[at + 1 :], on)

    def walk(self, context: str, destination: str, variables: Mapping[str, str]) -> tuple[Action, ...]:
        """Return the actions for a call to ``destination`` with these variables. All others are empty in
        conditions and stay unexpanded in arguments. A variable that is set ``inline`` counts at once."""
        run: list[Action] = []
        known = {"destination_number": destination, **variables}
        for extension in self._contexts.get(context, ElementTree.Element("none")).iter("extension"):
            matched = _extension(extension, known, run)
            if matched and extension.get("continue") != "true":
                break
        return tuple(run)


def _extension(extension: ElementTree.Element, known: dict[str, str], run: list[Action]) -> bool:
    matched = False
    for condition in extension.iterfind("condition"):
        found = _match(condition, known)
        matched = found is not None
        for each in condition.iterfind("action" if matched else "anti-action"):
            data = expand(each.get("data", ""), known, found)
            if each.get("inline") == "true" and each.get("application") == "set":
                name, _, value = data.partition("=")
                known[name] = value
            run.append(Action(each.get("application", ""), data))
        how = condition.get("break", "on-false")
        if how == "always" or (how == "on-false" and not matched) or (how == "on-true" and matched):
            break
    return matched


def _match(condition: ElementTree.Element, known: Mapping[str, str]) -> re.Match[str] | None:
    if (kind := condition.get("regex")) in ("any", "all"):
        results = [_match(each, known) for each in condition.iterfind("regex")]
        matches = [each for each in results if each is not None]
        return None if not matches or (kind == "all" and len(matches) < len(results)) else matches[0]
    field, pattern = condition.get("field"), condition.get("expression")
    if field is None or pattern is None:
        return re.match("", "")  # a condition without a test is met
    value = _VARIABLE.sub(lambda name: known.get(name[1], ""), field) if "$" in field else known.get(field)
    try:
        return re.search(pattern, value or "")
    except re.error:
        return None


def expand(text: str, known: Mapping[str, str | None], found: re.Match[str] | None = None) -> str:
    """Expand each known ``${name}``, and ``$1`` by the groups that a condition matched (empty: no such
    group)."""

    def value(name: re.Match[str]) -> str:
        found = known.get(name[1])
        return name[0] if found is None else found

    text = _VARIABLE.sub(value, text)
    if found is None or not found.re.groups:
        return text
    groups = (found[0], *found.groups(""))
    return _GROUP.sub(lambda digit: groups[int(digit[1])] if int(digit[1]) < len(groups) else "", text)
