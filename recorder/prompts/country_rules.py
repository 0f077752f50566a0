"""Country packs: what a country requires of a recording, as data with its sources (``packs/*.toml``, read by
``country_file``).

For each purpose a pack has the laxest mode in which a call may be recorded and the longest retention period,
and beside that what must be said, asked, and told to whom. A customer may be stricter, never laxer. These are
facts with sources, not legal advice; each source states how certain it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Literal

from recorder.domain.call_plan import MODES, Mode

STRICT = "strict"
"""The pack of a customer whose country is unknown, or has no pack."""

OTHER = "other"
"""The rule of every purpose that a pack does not name: a customer's own."""

Sure = Literal["text", "report", "general"]

SURE: Mapping[Sure, str] = MappingProxyType(
    {
        "text": "its own text, read",
        "report": "a report about it, read",
        "general": "general knowledge, not checked",
    }
)


@dataclass(frozen=True, slots=True)
class RuleSource:
    """Where a rule comes from. ``sure``: the law's own wording was read, or a page about it, or neither;
    ``checked`` is the day of that, ``None`` for general knowledge."""

    law: str
    article: str
    link: str
    sure: Sure
    checked: date | None

    @property
    def name(self) -> str:
        """Law and article."""
        return f"{self.law}, {self.article}" if self.article else self.law

    def __str__(self) -> str:
        read = f" {self.checked}" if self.checked else ""
        return f"{self.name} ({SURE[self.sure]}{read})"


@dataclass(frozen=True, slots=True)
class Rule:
    """A country's rule for one purpose, with its sources: ``mode`` is the laxest mode that is allowed,
    ``longest_keep_days`` the longest retention period that may be announced and used.

    It is a separate type beside an announcement because it is a limit, not a choice: the country's, the
    same for all customers, and checked again when a recording is used."""

    purpose: str
    mode: Mode
    longest_keep_days: int
    sources: tuple[RuleSource, ...]

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that are allowed, the laxest first."""
        return MODES[MODES.index(self.mode) :]


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to say (``what``: ``purposes``), to ask (``consent``) or to tell somebody (``colleagues``),
    in a plain sentence; ``where`` is for telling only."""

    what: str
    text: str
    where: tuple[str, ...]
    sources: tuple[RuleSource, ...]


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a setting does not comply with a pack. ``rule`` is the one that it breaks, by mode or retention
    period; ``hint`` says what is allowed, and by which law."""

    kind: Literal["mode", "keep_days"]
    rule: Rule
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Pack:
    """One country, or two (:func:`stricter_rules`), whose codes are joined by ``+``. ``rules`` has one for
    each standard purpose and :data:`OTHER`; ``notes`` are further facts, each with its sources."""

    code: str
    name: str
    rules: Mapping[str, Rule]
    say: tuple[Duty, ...]
    ask: tuple[Duty, ...]
    tell: tuple[Duty, ...]
    notes: tuple[Duty, ...]

    def rule(self, purpose: str) -> Rule:
        """The rule of a purpose; a customer's own purpose has that of :data:`OTHER`."""
        return self.rules.get(purpose) or self.rules[OTHER]

    def laxest_mode(self, purposes: Iterable[str]) -> Mode:
        """The laxest mode for a call that is announced for these purposes: the strictest among theirs."""
        return max((self.rule(each).mode for each in purposes), key=MODES.index, default=MODES[-1])

    def objections(
        self, purposes: Iterable[str], *, keep_days: int, mode: str | None = None
    ) -> tuple[Objection, ...]:
        """What this country does not allow of a setting; empty if it complies.

        ``mode`` is one of :data:`MODES`, or ``None`` if only an announcement is examined.
        """
        found: list[Objection] = []
        for purpose in purposes:
            rule = self.rule(purpose)
            if mode is not None and mode not in rule.modes:
                found.append(self._wrong_mode(rule, purpose, mode))
            if keep_days > rule.longest_keep_days:
                found.append(self._too_long(rule, purpose, keep_days))
        return tuple(found)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of its countries."""
        return tuple(self.code.split("+"))

    @property
    def _where(self) -> str:
        return "see " + " and ".join(f"`accord country show {code}`" for code in self.codes)

    def _wrong_mode(self, rule: Rule, purpose: str, mode: str) -> Objection:
        return Objection(
            "mode",
            rule,
            f"{self.name}: a call for {purpose} cannot be recorded with {mode}",
            f"{' or '.join(rule.modes)}, by {_name_sources(rule)}; {self._where}",
        )

    def _too_long(self, rule: Rule, purpose: str, keep_days: int) -> Objection:
        return Objection(
            "keep_days",
            rule,
            f"{self.name}: recordings for {purpose} cannot be kept {keep_days} days",
            f"at most {rule.longest_keep_days} days, by {_name_sources(rule)}; {self._where}",
        )


def stricter_rules(one: Pack, other: Pack) -> Pack:
    """The rules of two countries at once, for each purpose the stricter mode and the shorter retention; one
    of the packs, where it is the stricter one throughout."""
    rules = {code: _stricter_rule(one.rules[code], other.rules[code]) for code in one.rules}
    for pack in (one, other):
        if all(_limits(rules[code]) == _limits(pack.rules[code]) for code in rules):
            return replace(pack, tell=one.tell + other.tell)
    return Pack(
        f"{one.code}+{other.code}", f"{one.name} and {other.name}", MappingProxyType(rules),
        one.say + other.say, one.ask + other.ask, one.tell + other.tell, one.notes + other.notes,
    )  # fmt: skip


def _stricter_rule(one: Rule, other: Rule) -> Rule:
    mode = max(one.mode, other.mode, key=MODES.index)
    keep_days = min(one.longest_keep_days, other.longest_keep_days)
    for rule in (one, other):
        if _limits(rule) == (mode, keep_days):
            return rule
    return Rule(one.purpose, mode, keep_days, tuple(dict.fromkeys(one.sources + other.sources)))


def _limits(rule: Rule) -> tuple[Mode, int]:
    return rule.mode, rule.longest_keep_days


def _name_sources(rule: Rule) -> str:
    return "; ".join(str(source) for source in rule.sources)
