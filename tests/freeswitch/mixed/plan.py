"""A plan of simultaneous calls: who calls, on which kind of line, and the acts in it. It is generated from a
seed, so that a run can be repeated."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from tests.freeswitch.mixed.signals import PARTIES, WORDS

Opening = Literal[
    "notice", "at_pickup", "opt_in_yes", "opt_in_no", "opt_in_silent", "opt_out", "opt_out_refused",
    "out_before", "out_once", "gives_up", "hangs_up_early", "no_line",
]  # fmt: skip
"""How it begins: announced before it rings, at pick-up, asked; or made by a colleague; or it comes to
nothing, or is to a number that nobody has switched recording on for."""

Action = Literal[
    "talk", "pause", "mark", "keep_yes", "keep_no", "keep_none", "delete", "colleague_holds", "outside_holds",
    "uuid_transfer", "refer", "replaces", "att_xfer", "park", "intercept", "to_external",
]  # fmt: skip

Notified = Literal["", "alone", "both"]
Kind = TypeVar("Kind")

RECORDED_OPENINGS: frozenset[str] = frozenset(
    {"notice", "at_pickup", "opt_in_yes", "opt_out", "out_before", "out_once"}
)
REFUSED = {
    "opt_in_no": "declined", "opt_in_silent": "no_answer", "opt_out_refused": "declined",
    "gives_up": "never_connected", "hangs_up_early": "hung_up_in_announcement", "no_line": "no_line",
}  # fmt: skip
TOGETHER: frozenset[str] = frozenset({"at_pickup", "out_once"})
"""Announced to both, once they are connected."""
OUTBOUND: frozenset[str] = frozenset({"out_before", "out_once"})
MOVES: frozenset[str] = frozenset({"uuid_transfer", "refer", "replaces", "att_xfer", "park", "intercept"})
CONSULTS: frozenset[str] = frozenset({"replaces", "att_xfer"})
HELD_FIRST: frozenset[str] = frozenset({"refer", "replaces"})
"""The colleague's telephone puts the external party on hold before it transfers."""
KEEPS: frozenset[str] = frozenset({"keep_yes", "keep_no", "keep_none"})


@dataclass(frozen=True, slots=True)
class Party:
    """A party with a phone: ``who`` identifies their signals, ``number`` is their number, and the phone rings
    ``rings`` seconds before they answer. ``codec`` is the RTP payload type (0 PCMU, 8 PCMA)."""

    who: int
    number: str
    rings: float = 0.6
    codec: int = 0


@dataclass(frozen=True, slots=True)
class Act:
    """An act: all its parties say ``word`` meanwhile, for at least ``seconds``. ``to`` is the joining party,
    by its index in the call's list."""

    action: Action
    word: int
    seconds: float
    to: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One external leg, which starts ``begins`` seconds after the first. ``colleagues`` begins with the
    line's own phone; ``other`` is another external number."""

    number: int
    opening: Opening
    begins: float
    outside: Party
    colleagues: tuple[Party, ...]
    acts: tuple[Act, ...]
    notified: Notified = ""
    other: Party | None = None

    @property
    def line(self) -> str:
        """The number of the line."""
        return self.colleagues[0].number

    @property
    def actions(self) -> tuple[str, ...]:
        return tuple(act.action for act in self.acts)

    @property
    def parties(self) -> tuple[Party, ...]:
        """All parties of the call."""
        return (self.outside, *self.colleagues, *([self.other] if self.other else []))


UNANNOUNCED, RINGING, EDGE = 1, 2, 0
"""Words: before the announcement; while it rings; and between two acts, when it is open what
is recorded."""
FIRST = 3

MOST_ACTS = WORDS - FIRST

OPENINGS: tuple[tuple[Opening, int], ...] = (
    ("notice", 34), ("at_pickup", 12), ("opt_in_yes", 8), ("opt_in_no", 3), ("opt_in_silent", 2),
    ("opt_out", 6), ("opt_out_refused", 4), ("out_before", 10), ("out_once", 8), ("no_line", 2),
)  # fmt: skip
"""How often, beside one another."""
BRIEF: tuple[Opening, ...] = ("gives_up", "hangs_up_early")
"""These come to nothing and end at once: they come beside the others, one in :data:`BRIEF_EVERY`."""
BRIEF_EVERY = 40

WITHIN: tuple[tuple[Action, int], ...] = (
    ("pause", 5), ("mark", 2), ("keep_yes", 3), ("keep_no", 2), ("keep_none", 1), ("colleague_holds", 3),
    ("outside_holds", 3), ("uuid_transfer", 4), ("refer", 4), ("replaces", 3), ("att_xfer", 3), ("park", 3),
    ("intercept", 3),
)  # fmt: skip
LAST: tuple[tuple[Action | None, int], ...] = ((None, 12), ("delete", 2), ("to_external", 3))

PER_CALL = 3.2


def plan(seed: int, count: int, *, every: float, live: float) -> tuple[Call, ...]:
    """Return ``count`` calls that last until all are live, one every ``every`` seconds, and then ``live``
    seconds more; and some calls that fail."""
    chance = random.Random(seed)
    openings = _spread(chance, OPENINGS, count)
    for number in range(max(1, count // BRIEF_EVERY)):
        openings.insert(chance.randrange(len(openings)), BRIEF[number % len(BRIEF)])
    count = len(openings)
    budget = min(int(count * PER_CALL), PARTIES)
    whole = (count - 1) * every + live
    calls, who = [], 0
    for number, kind in enumerate(openings):
        spare = budget - who - 2 * (count - number)
        call = _call(chance, number, kind, who, max(0, min(spare, 4)))
        who += len(call.parties)
        begins = number * every
        calls.append(replace(call, begins=begins, acts=_stretched(chance, call, whole - begins)))
    return tuple(calls)


def _spread(chance: random.Random, shares: Sequence[tuple[Kind, int]], count: int) -> list[Kind]:
    """Choose each kind at least once if possible, otherwise by its share."""
    kinds = [kind for kind, _ in shares]
    weights = [share for _, share in shares]
    kinds_of_calls = [*kinds, *chance.choices(kinds, weights, k=max(0, count - len(kinds)))][:count]
    chance.shuffle(kinds_of_calls)
    return kinds_of_calls


def _call(chance: random.Random, number: int, kind: Opening, who: int, more: int) -> Call:
    """Return a call. ``more``: maximum number of parties beside the first two."""
    codec = 8 if chance.random() < 0.1 and kind not in OUTBOUND else 0
    outside = Party(who, f"3247{number:03}{who:04}", 0.6, codec)
    first = Party(who + 1, f"32255{number:03}{who + 1:04}", round(chance.uniform(0.9, 1.8), 2))
    colleagues, acts, other = [first], [Act("talk", FIRST, 2.0)], None
    actions = _deeds(chance, kind)
    for action in actions:
        if (action in MOVES or action == "to_external") and len(colleagues) - 1 >= more:
            continue
        to = 0
        if action in MOVES:
            to = len(colleagues)
            colleagues.append(Party(who + 1 + to, f"32256{number:03}{who + 1 + to:04}"))
        if action == "to_external":
            at = who + 1 + len(colleagues)
            other = Party(at, f"32499{number:03}{at:04}")
        acts += [Act(action, FIRST + len(acts), 1.5, to), Act("talk", FIRST + len(acts) + 1, 1.5)]
    notified: Notified = chance.choice(["", "alone", "both"]) if kind != "no_line" else ""
    return Call(number, kind, 0.0, outside, tuple(colleagues), tuple(acts), notified, other)


def _deeds(chance: random.Random, kind: Opening) -> list[Action]:
    """Return the acts between the talks. Codes are useless in an unrecorded call."""
    if kind in BRIEF:
        return []
    if kind not in RECORDED_OPENINGS:
        return ["uuid_transfer"] if chance.random() < 0.4 and kind != "no_line" else []
    found: list[Action] = []
    kinds, weights = zip(*WITHIN, strict=True)
    while len(found) < chance.choice([1, 2, 2, 3, 4]):
        action: Action = chance.choices(kinds, weights)[0]
        if action in KEEPS and KEEPS & set(found):
            continue
        found.append(action)
    if chance.random() < 0.1:
        found = [chance.choice(["uuid_transfer", "refer"]) for _ in range(3)]
    last = chance.choices([each for each, _ in LAST], [share for _, share in LAST])[0]
    found = found[: (MOST_ACTS - 3) // 2]
    return [*found, last] if last else found


def _stretched(chance: random.Random, call: Call, until: float) -> tuple[Act, ...]:
    """Lengthen the talks so that the call lasts until then."""
    left = until - lasts(call)
    talks = [at for at, act in enumerate(call.acts) if act.action == "talk"]
    if left <= 0:
        return call.acts
    shares = [chance.random() + 0.1 for _ in talks]
    more = dict(zip(talks, (left * share / sum(shares) for share in shares), strict=True))
    return tuple(
        replace(act, seconds=round(act.seconds + more.get(at, 0.0), 1)) for at, act in enumerate(call.acts)
    )


TAKES = {
    "talk": 0.6, "pause": 2.0, "mark": 1.0, "keep_yes": 5.0, "keep_no": 5.0, "keep_none": 24.0, "delete": 5.0,
    "replaces": 6.5, "att_xfer": 4.0, "park": 3.5, "intercept": 3.0, "uuid_transfer": 3.0, "refer": 5.5,
}  # fmt: skip
"""About how many seconds a action takes beside what is said in it."""


def lasts(call: Call) -> float:
    """Return the approximate length of a call in seconds."""
    opening_seconds = {"opt_in_silent": 16.0, "opt_in_yes": 5.0, "opt_out": 8.0}.get(call.opening, 4.0)
    return opening_seconds + sum(TAKES.get(act.action, 2.0) + act.seconds for act in call.acts)
