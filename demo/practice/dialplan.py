"""Reads ``freeswitch_conf/`` and walks its dialplan as mod_dialplan_xml does.

The practice switch runs the same dialplan as the real switch, because that dialplan is what keeps a call
independent of the daemon. It supports the part of FreeSWITCH's language that is used; anything else raises,
so that an extended dialplan is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from recorder.errors import SwitchError

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_PRE_PROCESS = re.compile(r'<X-PRE-PROCESS\s+cmd="([^"]*)"\s+data="([^"]*)"\s*/>')
_GLOBAL = re.compile(r"\$\$\{(\w+)\}")

Expand = Callable[[str], str]
"""Substitutes channel variables and functions: ``${name}``, ``${function(argument)}``."""


@dataclass(frozen=True, slots=True)
class DialplanStep:
    """One application of the dialplan with its argument, before substitution."""

    application: str
    argument: str


def _unknown_error(what: str) -> SwitchError:
    return SwitchError(
        "practice.dialplan",
        f"the practice switch does not know {what}",
        "teach demo/practice/dialplan.py what the real switch does with it",
    )


class PracticeDialplan:
    """The contexts of a configuration folder.

    ``environment`` is what ``env-set`` reads.  Raises :class:`SwitchError` (``practice.dialplan``).
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.globals: dict[str, str] = {}
        self._environment = environment
        try:
            self._root = ElementTree.fromstring(self._read(folder / "freeswitch.xml"))  # noqa: S314  # our own
        except (OSError, ElementTree.ParseError) as error:
            raise SwitchError(
                "practice.dialplan",
                f"the dialplan in {folder} cannot be read: {error}",
                "give the folder freeswitch_conf of a checkout",
            ) from error
        self._contexts = {
            context.get("name", ""): list(context.iter("extension"))
            for context in self._root.iterfind("./section[@name='dialplan']//context")
        }

    def locate(self, words: list[str]) -> str | None:
        """``xml_locate``: a section, or the element of a tag and an attribute's value in one, as XML."""
        sections = self._root.iterfind("section")
        section = next((each for each in sections if each.get("name") == words[0]), None)
        if section is None or len(words) == 1:
            found = section
        else:
            tag, name, value = words[1:4]
            found = next((each for each in section.iterfind(tag) if each.get(name) == value), None)
        return None if found is None else ElementTree.tostring(found, "unicode", short_empty_elements=False)

    def hunt(
        self,
        context: str,
        field: Callable[[str], str],
        expand: Expand,
        inline: Callable[[DialplanStep], None],
    ) -> list[DialplanStep]:
        """The steps for a call, by its conditions now.

        ``field`` gives ``destination_number`` and the like, ``inline`` runs an ``inline="true"`` action at
        once. An extension with ``continue="true"`` lets later ones add steps.
        """
        steps: list[DialplanStep] = []
        for extension in self._contexts.get(context, []):
            found, proceed = self._extension(extension, field, expand, inline)
            steps += found  # also those of an extension whose later condition failed, as in the real switch
            if proceed and extension.get("continue") != "true":
                break
        return steps

    def _extension(self, extension: ElementTree.Element, field: Callable[[str], str], expand: Expand,
                   inline: Callable[[DialplanStep], None]) -> tuple[list[DialplanStep], bool]:  # fmt: skip
        steps: list[DialplanStep] = []
        proceed = False
        for condition in extension.iterfind("condition"):
            match, groups = self._condition(condition, field, expand)
            for action in condition.iterfind("action" if match else "anti-action"):
                data = _groups(action.get("data", ""), groups)
                step = DialplanStep(action.get("application", ""), data)
                if action.get("inline") == "true":
                    inline(step)
                else:
                    steps.append(step)
            how = condition.get("break", "on-false")
            if how not in {"on-false", "on-true", "always", "never"}:
                raise _unknown_error(f'break="{how}"')
            proceed = match
            if how == "always" or (how == "on-false" and not match) or (how == "on-true" and match):
                break
        return steps, proceed

    def _condition(self, condition: ElementTree.Element, field: Callable[[str], str], expand: Expand
                   ) -> tuple[bool, tuple[str, ...]]:  # fmt: skip
        kind = condition.get("regex")
        if kind is None:
            return _match(condition, field, expand)
        results = [_match(regex, field, expand) for regex in condition.iterfind("regex")]
        if kind == "any":
            return next((one for one in results if one[0]), (False, ()))
        if kind == "all":
            return all(one[0] for one in results), results[-1][1] if results else ()
        raise _unknown_error(f'regex="{kind}"')

    def _read(self, path: Path) -> str:
        text = _COMMENT.sub("", path.read_text("utf-8"))
        out: list[str] = []
        for line in text.splitlines():
            directive = _PRE_PROCESS.search(line)
            if directive is None:
                out.append(_GLOBAL.sub(lambda found: self.globals.get(found[1], ""), line))
            else:
                out.append(self._directive(path, directive[1], directive[2]))
        inlined = "\n".join(out)
        return re.sub(r"</?include>", "", inlined)

    def _directive(self, path: Path, command: str, data: str) -> str:
        data = _GLOBAL.sub(lambda found: self.globals.get(found[1], ""), data)
        name, _, value = data.partition("=")
        if command == "set":
            self.globals[name] = value
        elif command == "env-set":
            if (environment_value := self._environment.get(value.removeprefix("$"))) is not None:
                self.globals[name] = environment_value
        elif command == "include":
            files = sorted(path.parent.glob(data)) if "*" in data else [path.parent / data]
            return "\n".join(self._read(file) for file in files)
        elif command not in {"exec", "stun-set"}:  # these matter only to the real switch
            raise _unknown_error(f"X-PRE-PROCESS {command}")
        return ""


def _match(element: ElementTree.Element, field: Callable[[str], str], expand: Expand
           ) -> tuple[bool, tuple[str, ...]]:  # fmt: skip
    name, pattern = element.get("field"), element.get("expression")
    if name is None or pattern is None:
        return True, ()
    value = expand(name) if name.startswith("${") else field(name)
    found = re.search(expand(pattern), value)
    return (False, ()) if found is None else (True, (found[0], *(group or "" for group in found.groups())))


def _groups(text: str, groups: tuple[str, ...]) -> str:
    def put_in(found: re.Match[str]) -> str:
        number = int(found[1])
        return groups[number] if number < len(groups) else ""

    return re.sub(r"(?<!\$)\$(\d)", put_in, text) if groups else text


def expand(text: str, variable: Callable[[str], str], function: Callable[[str, str], str]) -> str:
    """Substitute ``${name}`` and ``${function(argument)}``, inside out; the result is not expanded again
    (``switch_channel_expand_variables``)."""
    out: list[str] = []
    at = 0
    while (start := text.find("${", at)) >= 0:
        end, depth = start + 2, 1
        while end < len(text) and depth:
            depth += (text[end] == "{") - (text[end] == "}")
            end += 1
        if depth:
            break
        inner = expand(text[start + 2 : end - 1], variable, function)
        name, opened, argument = inner.partition("(")
        put = function(name, argument[:-1]) if opened and inner.endswith(")") else variable(inner)
        out += [text[at:start], put]
        at = end
    return "".join(out) + text[at:]
