"""Reads a country pack, strictly: anything unknown, missing or impossible is an error that names its place.

A pack that is read with a mistake in it would let a customer record what the country forbids, so nothing is
guessed and nothing ignored.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recorder.domain.call_plan import Mode
from recorder.errors import ConfigError
from recorder.prompts.country_rules import OTHER, STRICT, Duty, Pack, Rule, RuleSource, Sure
from recorder.prompts.purposes import standard

FOLDER = Path(__file__).with_name("packs")

Text = Annotated[str, Field(min_length=1, strict=True, pattern=r"\S")]
Sources = Annotated[list[Text], Field(min_length=1)]
Where = Literal["in the call", "in the panel", "by a prompt they can call"]

REQUEST_BY_MODE: dict[str, str] = {"opt-out": "objection", "opt-in": "consent"}
"""What each mode requests from the external party; a pack words it if one of its rules needs the mode."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Pack(_Table):
    code: Annotated[str, Field(strict=True, pattern=r"^[a-z][a-z-]{1,30}$")]
    name: Text


class _Source(_Table):
    law: Text
    article: Annotated[str, Field(strict=True)]
    link: Annotated[str, Field(strict=True, pattern=r"^https?://\S+$")]
    sure: Sure
    checked: Annotated[date, Field(strict=True)] | None = None


class _Rule(_Table):
    """The rule of one purpose as the file has it. It becomes a :class:`~recorder.prompts.country_rules.Rule`
    once the whole file has been read, because its sources are names that only then can be resolved."""

    mode: Mode
    longest_keep_days: Annotated[int, Field(strict=True, ge=1)]
    sources: Sources


class _Say(_Table):
    what: Literal["recorded", "purposes", "keeping-time", "right-to-object"]
    text: Text
    sources: Sources


class _Ask(_Table):
    what: Literal["objection", "consent"]
    text: Text
    sources: Sources


class _Tell(_Table):
    who: Literal["external", "colleagues"]
    where: Annotated[list[Where], Field(min_length=1)]
    text: Text
    sources: Sources


class _Note(_Table):
    text: Text
    sources: Sources


class _File(_Table):
    pack: _Pack
    source: dict[str, _Source]
    purpose: dict[str, _Rule]
    say: list[_Say]
    ask: list[_Ask] = []
    tell: list[_Tell]
    note: list[_Note] = []


@cache
def shipped_packs() -> Mapping[str, Pack]:
    """The packs that come with Accord, by code, :data:`STRICT` last. Raises :class:`ConfigError`."""
    packs = {}
    for path in sorted(FOLDER.glob("*.toml"), key=lambda path: (path.stem == STRICT, path.stem)):
        pack = load_pack(path)
        if pack.code != path.stem:
            raise _error(path, f"pack.code: {pack.code!r} is not the file's name")
        packs[pack.code] = pack
    if STRICT not in packs:
        raise ConfigError("pack.missing", f"there is no {FOLDER / STRICT}.toml", "install Accord again")
    return MappingProxyType(packs)


def pack_for(country: str, packs: Mapping[str, Pack] | None = None) -> Pack:
    """A country's pack, or the strict one if it has none; out of ``packs``, by default the shipped ones."""
    known = shipped_packs() if packs is None else packs
    return known.get(country.casefold()) or known[STRICT]


def load_pack(path: Path) -> Pack:
    """Read one pack. Raises :class:`ConfigError` (``pack.broken``) naming the file and the field."""
    try:
        file = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        return _Reader(file).pack()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise _error(path, f"{field}: {_why(first)}") from error
    except (OSError, ValueError) as error:
        raise _error(path, str(error)) from error


def _error(path: Path, why: str) -> ConfigError:
    return ConfigError(
        "pack.broken", f"{path} cannot be used: {why}", "compare it with docs/law.md, “Pack files”"
    )


def _why(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such field"
    if error["type"] == "missing":
        return "it is missing"
    return f"{error['msg']}, not {error['input']!r}"


class _Reader:
    """Reads one pack and checks its tables against each other. Raises ``ValueError`` naming the field."""

    def __init__(self, file: _File) -> None:
        self.file = file
        self.used_names: set[str] = set()
        self.known = {name: _source(name, source) for name, source in file.source.items()}

    def pack(self) -> Pack:
        file = self.file
        rules = self.rules()
        say = [self.duty(f"say.{n}", each.what, each) for n, each in enumerate(file.say)]
        ask = [self.duty(f"ask.{n}", each.what, each) for n, each in enumerate(file.ask)]
        tell = [self.duty(f"tell.{n}", each.who, each, each.where) for n, each in enumerate(file.tell)]
        notes = [self.duty(f"note.{n}", "note", each) for n, each in enumerate(file.note)]
        self.check_duties(rules)
        if unused := sorted(set(self.known) - self.used_names):
            raise ValueError(f"source.{unused[0]}: no rule refers to it")
        return Pack(
            code=file.pack.code,
            name=file.pack.name,
            rules=MappingProxyType(rules),
            say=tuple(say),
            ask=tuple(ask),
            tell=tuple(tell),
            notes=tuple(notes),
        )

    def rules(self) -> dict[str, Rule]:
        codes = [*standard(), OTHER]
        for code in self.file.purpose:
            if code not in codes:
                raise ValueError(f"purpose.{code}: there is no such purpose; known: {', '.join(codes)}")
        rules = {}
        for code in codes:
            if code not in self.file.purpose:
                raise ValueError(
                    f"purpose.{code}: it is missing, and so are its mode and longest retention period"
                )
            rules[code] = self.rule(code, self.file.purpose[code])
        return rules

    def rule(self, code: str, entry: _Rule) -> Rule:
        known = standard().get(code)
        if known is not None and entry.longest_keep_days > known.longest_keep_days:
            raise ValueError(
                f"purpose.{code}.longest_keep_days: {entry.longest_keep_days} is longer than the "
                f"{known.longest_keep_days} days that the purpose allows anywhere; a pack only shortens"
            )
        sources = self.sources(f"purpose.{code}", entry.sources)
        return Rule(code, entry.mode, entry.longest_keep_days, sources)

    def duty(self, field: str, what: str, entry: _Say | _Ask | _Tell | _Note, where: Any = ()) -> Duty:
        return Duty(what, entry.text, tuple(where), self.sources(field, entry.sources))

    def sources(self, field: str, names: list[str]) -> tuple[RuleSource, ...]:
        for name in names:
            if name not in self.known:
                raise ValueError(f"{field}.sources: there is no source {name!r}")
        self.used_names.update(names)
        return tuple(self.known[name] for name in names)

    def check_duties(self, rules: dict[str, Rule]) -> None:
        for needed in ("recorded", "purposes", "keeping-time"):
            if needed not in {each.what for each in self.file.say}:
                raise ValueError(f"say: no entry says {needed}")
        requests = {each.what for each in self.file.ask}
        for rule in rules.values():
            if (what := REQUEST_BY_MODE.get(rule.mode)) and what not in requests:
                raise ValueError(f"ask: purpose.{rule.purpose} is {rule.mode}, but no entry asks for {what}")
        places = {each.who: each.where for each in self.file.tell}
        if set(places) != {"external", "colleagues"} or len(places) != len(self.file.tell):
            raise ValueError("tell: external and colleagues, each once")
        if "in the call" not in places["external"]:
            raise ValueError("tell: the external party is informed during the call")


def _source(name: str, entry: _Source) -> RuleSource:
    if (entry.checked is None) != (entry.sure == "general"):
        raise ValueError(f"source.{name}.checked: the day it was read; none for general knowledge")
    return RuleSource(entry.law, entry.article, entry.link, entry.sure, entry.checked)
