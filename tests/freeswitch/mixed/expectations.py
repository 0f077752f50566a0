"""The expected result of one call of a plan: a fold over its acts, independent of the actual result."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import product

from tests.freeswitch.mixed import plan
from tests.freeswitch.mixed.signals import DONE_BIN, PAUSED_BIN, Word


@dataclass(slots=True)
class PartyHearing:
    """What a phone must hear and may hear: words of others, and how often each complete sentence (a sentence
    that is not listed: never)."""

    must: list[Word] = field(default_factory=list)
    may: set[Word] = field(default_factory=set)
    sentences: Counter[str] = field(default_factory=Counter)
    unsure: set[str] = field(default_factory=set)
    tones: set[int] = field(default_factory=set)
    may_tones: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Expectation:
    """``left`` and ``right`` are what a recording must hold, in order; ``together`` words that are in both
    channels at the same time; ``may_left`` and ``may_right`` what else may be in it.  Everything that is in
    none of these is never in it.  ``consulted``: calls that colleagues made among themselves, by who."""

    reason: str | None
    left: list[Word] = field(default_factory=list)
    right: list[Word] = field(default_factory=list)
    together: list[tuple[Word, Word]] = field(default_factory=list)
    may_left: set[Word] = field(default_factory=set)
    may_right: set[Word] = field(default_factory=set)
    gaps: Counter[str] = field(default_factory=Counter)
    keep_answer: str | None = None
    ears: dict[int, PartyHearing] = field(default_factory=dict)
    consulted: Counter[str] = field(default_factory=Counter)


def expected(call: plan.Call) -> Expectation:
    """Return the expected result of a call."""
    return _Fold(call).whole()


class _Fold:
    def __init__(self, call: plan.Call) -> None:
        self.call = call
        self.recorded = call.opening in plan.RECORDED_OPENINGS
        self.found = Expectation(plan.REFUSED.get(call.opening))
        self.found.ears = {party.who: PartyHearing() for party in call.parties}
        self.there = call.colleagues[0]

    def whole(self) -> Expectation:
        self._open_call()
        if self.call.opening not in ("gives_up", "hangs_up_early"):
            for act in self.call.acts:
                self._act(act)
        if "delete" in self.call.actions:
            self.found = Expectation("deleted", ears=self.found.ears, consulted=self.found.consulted)
        if self.found.reason is not None:
            self.found.may_left, self.found.may_right = set(), set()
        return self.found

    def _open_call(self) -> None:
        outside, first = (self.found.ears[each.who] for each in (self.call.outside, self.there))
        sentences = outside.sentences
        opening_kind = self.call.opening
        if opening_kind in ("opt_in_yes", "opt_in_no", "opt_in_silent"):
            sentences["question"] += 1
        if opening_kind in ("opt_in_no", "opt_in_silent", "opt_out_refused"):
            sentences["declined"] += 1
        if opening_kind in plan.RECORDED_OPENINGS or opening_kind in ("opt_out_refused", "gives_up"):
            sentences["announcement"] += 1
        if opening_kind == "hangs_up_early":
            outside.unsure.add("announcement")
        if opening_kind in plan.TOGETHER:
            first.sentences["announcement"] += 1
        for one, other in ((self.call.outside, self.there), (self.there, self.call.outside)):
            # Before it is known to be over, whoever is connected already may be heard.
            self.found.ears[one.who].may |= {Word(other.who, word) for word in (0, 1, 2)}
        self._edge()

    def _edge(self) -> None:
        """Between two acts every current party may be heard and recorded."""
        for one, other in ((self.call.outside, self.there), (self.there, self.call.outside)):
            self.found.ears[one.who].may.add(Word(other.who, plan.EDGE))
        if self.recorded:
            self.found.may_left.add(Word(self.call.outside.who, plan.EDGE))
            self.found.may_right.add(Word(self.there.who, plan.EDGE))

    def _act(self, act: plan.Act) -> None:
        if act.action in plan.MOVES:
            self._move(act)
        elif act.action in plan.KEEPS:
            self._keep(act.action.removeprefix("keep_"))
        else:
            getattr(self, f"_{act.action}")(act)
        self._edge()

    def _words(self, act: plan.Act) -> tuple[Word, Word]:
        return Word(self.call.outside.who, act.word), Word(self.there.who, act.word)

    def _talk(self, act: plan.Act) -> None:
        outside, inside = self._words(act)
        self._hear(self.call.outside, self.there, act)
        if self.recorded:
            self.found.left.append(outside)
            self.found.right.append(inside)
            self.found.together.append((outside, inside))

    def _hear(self, one: plan.Party, other: plan.Party, act: plan.Act) -> None:
        self.found.ears[one.who].must.append(Word(other.who, act.word))
        self.found.ears[other.who].must.append(Word(one.who, act.word))

    _mark_tones = frozenset({DONE_BIN})

    def _mark(self, act: plan.Act) -> None:
        self._talk(act)
        self.found.ears[self.there.who].may_tones |= self._mark_tones

    def _pause(self, act: plan.Act) -> None:
        self._hear(self.call.outside, self.there, act)
        self.found.ears[self.there.who].tones |= {PAUSED_BIN}
        self.found.ears[self.there.who].may_tones |= {DONE_BIN}
        self.found.gaps["paused"] += 1

    def _keep(self, answer: str) -> None:
        verdict = {"yes": "keep_yes", "no": "keep_no", "none": "keep_none"}[answer]
        for party in (self.call.outside, self.there):
            self.found.ears[party.who].sentences += Counter(["keep_question", verdict])
        self.found.keep_answer = answer

    def _delete(self, _act: plan.Act) -> None:
        self.found.ears[self.there.who].sentences += Counter(["delete_question", "deleted"])
        self.found.ears[self.call.outside.who].sentences["deleted"] += 1
        self.recorded = False

    def _colleague_holds(self, act: plan.Act) -> None:
        outside, _ = self._words(act)
        # Whoever waits talks to nobody: it is not kept.
        self.found.ears[self.there.who].may.add(outside)
        self.found.gaps["hold"] += 1

    def _outside_holds(self, act: plan.Act) -> None:
        _, inside = self._words(act)
        self.found.ears[self.call.outside.who].may.add(inside)
        self.found.gaps["hold"] += 1

    def _move(self, act: plan.Act) -> None:
        before, self.there = self.there, self.call.colleagues[act.to]
        outside = Word(self.call.outside.who, act.word)
        for one, other in product((before, self.there), repeat=2):
            if one is not other:
                self.found.ears[one.who].may.add(Word(other.who, plan.EDGE))
        if act.action in plan.CONSULTS:
            self._hear(before, self.there, act)
        for party in (before, self.there):
            self.found.ears[party.who].may.add(outside)
        if act.action == "replaces":
            self.found.consulted[before.number] += 1
        if not self.recorded:
            return
        if act.action in plan.HELD_FIRST:
            self.found.gaps["hold"] += 1
        elif act.action == "att_xfer":
            self.found.gaps["hold"] += 1
            self.found.may_left.add(outside)  # until the colleagues are connected
        else:
            self.found.may_left.add(outside)
        if self.call.notified:
            self.found.ears[self.there.who].sentences["transfer_notice"] += 1
        if self.call.notified == "both":
            self.found.ears[self.call.outside.who].sentences["transfer_notice"] += 1

    def _to_external(self, act: plan.Act) -> None:
        assert self.call.other is not None
        self.found.ears[self.there.who].may.add(Word(self.call.outside.who, act.word))
        self.there, before = self.call.other, self.recorded
        self.found.ears[self.there.who].may.add(Word(self.call.outside.who, act.word))
        if before:
            self.found.may_left.add(Word(self.call.outside.who, act.word))
        self.recorded = False
