"""The model of mixed calls: a correct history has no finding, and each rule finds its violation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from tests.freeswitch.mixed.expectations import expected
from tests.freeswitch.mixed.history import SENTENCES, History, Listed, Telephone
from tests.freeswitch.mixed.model import findings, sentences
from tests.freeswitch.mixed.plan import Act, Call, Party, plan
from tests.freeswitch.mixed.signals import PARTIES, PAUSED_BIN, STEPS, Run, Word

OUT, FIRST, SECOND, ELSEWHERE = 0, 1, 2, 3
SECONDS = 2.0


@dataclass
class Story:
    """One call, written by hand: a conversation, a pause, a notified transfer target, the end.

    The recording starts two seconds before the first word."""

    words_said: dict[int, list[Run]] = field(default_factory=lambda: {each: [] for each in range(4)})
    words_heard: dict[int, list[Run]] = field(default_factory=lambda: {each: [] for each in range(4)})
    tones: dict[int, dict[int, int]] = field(default_factory=lambda: {each: {} for each in range(4)})
    left: list[Run] = field(default_factory=list)
    right: list[Run] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    rows: list[Listed] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    number: str = "3247"

    def says(self, who: int, word: int, at: float, *to: int, channel_sound: list[Run] | None = None) -> None:
        run = Run(Word(who, word), at, at + SECONDS, int(SECONDS * 50))
        self.words_said[who].append(run)
        for each in to:
            self.words_heard[each].append(run)
        if channel_sound is not None:
            channel_sound.append(replace(run, begin=at + 2.0, end=at + 2.0 + SECONDS))

    def speaks(self, name: str, at: float, *to: int) -> None:
        for step in range(STEPS):
            word = Word(PARTIES + SENTENCES.index(name), step)
            for each in to:
                self.words_heard[each].append(Run(word, at + step * 0.08, at + step * 0.08 + 0.08, 4))

    def both(self, one: int, other: int, word: int, at: float, *, is_kept: bool) -> None:
        self.says(one, word, at, other, channel_sound=self.left if is_kept else None)
        self.says(other, word, at, one, channel_sound=self.right if is_kept else None)

    def history(self) -> History:
        row = Listed(self.number, None, tuple(self.left), tuple(self.right), tuple(self.gaps))
        rows = self.rows or [row, Listed("3225")]
        rows = [replace(each, reason="no_line") if each.number == "3225" else each for each in rows]
        telephones = {
            who: Telephone(tuple(self.words_said[who]), tuple(self.words_heard[who]), self.tones[who])
            for who in self.words_said
        }
        return History(telephones, tuple(rows), self.failed)


CALL = Call(
    0, "notice", 0.0, Party(OUT, "3247"), (Party(FIRST, "3225"), Party(SECOND, "3226")),
    (Act("talk", 3, 2), Act("pause", 4, 2), Act("talk", 5, 2), Act("replaces", 6, 2, 1),
     Act("talk", 7, 2)), "alone",
)  # fmt: skip


def story() -> Story:
    it = Story()
    it.says(OUT, 1, 0.0)  # before the announcement
    it.speaks("announcement", 0.5, OUT)
    it.says(OUT, 2, 2.0)  # while it rings
    it.both(OUT, FIRST, 3, 5.0, is_kept=True)
    it.tones[FIRST] = {PAUSED_BIN: 10}
    it.both(OUT, FIRST, 4, 8.0, is_kept=False)
    it.gaps.append("paused")
    it.both(OUT, FIRST, 5, 11.0, is_kept=True)
    it.says(FIRST, 6, 14.0, SECOND)
    it.says(SECOND, 6, 14.0, FIRST)
    it.says(OUT, 6, 14.0)  # on hold
    it.gaps.append("hold")
    it.speaks("transfer_notice", 17.0, SECOND)
    it.both(OUT, SECOND, 7, 20.0, is_kept=True)
    return it


def violations(it: Story, call: Call = CALL) -> list[str]:
    return findings([call], it.history())


def test_correct_call_has_no_finding() -> None:
    assert violations(story()) == []


def _change_row(it: Story, **changed: object) -> None:
    row = it.history().listed[0]
    it.rows = [replace(row, **changed), Listed("3225")]  # type: ignore[arg-type]


def _drop_part(it: Story) -> None:
    it.left = [replace(run, frames=run.frames // 2) if run.word.word == 3 else run for run in it.left]


def _swapped(it: Story) -> None:
    it.left, it.right = it.right, it.left


def _late(it: Story) -> None:
    late = [run for run in it.left if run.word.word == 7]
    it.left = [run for run in it.left if run not in late]
    it.left += [replace(run, begin=run.begin + 1.9, end=run.end + 1.9) for run in late]


def _out_of_order(it: Story) -> None:
    third = next(run for run in it.right if run.word.word == 5)
    it.right = [replace(run, begin=40.0) if run is third else run for run in it.right]


def _without(sentence: str, who: int) -> Callable[[Story], None]:
    number = SENTENCES.index(sentence)

    def change(it: Story) -> None:
        it.words_heard[who] = [run for run in it.words_heard[who] if run.word.sentence != number]

    return change


def _half(it: Story) -> None:
    announcement = [run for run in it.words_heard[OUT] if run.word.sentence == 0]
    for run in announcement[STEPS // 2 :]:
        it.words_heard[OUT].remove(run)


FAULTS: dict[str, tuple[Callable[[Story], object], str]] = {
    "speech before the announcement is kept": (
        lambda it: it.says(OUT, 1, 1.0, channel_sound=it.left),
        "party 0 saying 1",
    ),
    "ringing is kept": (lambda it: it.says(OUT, 2, 1.0, channel_sound=it.left), "party 0 saying 2"),
    "what was said in a pause is kept": (
        lambda it: it.says(OUT, 4, 8.0, channel_sound=it.left),
        "left: party 0 saying 4",
    ),
    "so is what was heard in it": (
        lambda it: it.says(FIRST, 4, 8.0, channel_sound=it.right),
        "right: party 1 saying 4",
    ),
    "a consultation is kept": (
        lambda it: it.says(SECOND, 6, 14.0, channel_sound=it.right),
        "right: party 2 saying 6",
    ),
    "what was said on hold is kept": (
        lambda it: it.says(OUT, 6, 14.0, channel_sound=it.left),
        "left: party 0 saying 6",
    ),
    "who has left is kept": (
        lambda it: it.says(FIRST, 7, 20.0, channel_sound=it.right),
        "right: party 1 saying 7",
    ),
    "another call is in it": (
        lambda it: it.says(ELSEWHERE, 3, 5.0, channel_sound=it.right),
        "right: party 3 saying 3",
    ),
    "another call is heard": (lambda it: it.says(ELSEWHERE, 3, 5.0, OUT), "party 0 heard: party 3 saying 3"),
    "the external party hears the consultation": (lambda it: it.says(FIRST, 6, 14.0, OUT), "party 0 heard"),
    "a part is missing": (_drop_part, "kept 50 frames of 100"),
    "a part is there twice": (lambda it: it.left.append(replace(it.left[0], begin=5.5)), "kept 200 frames"),
    "the channels are swapped": (_swapped, "in the recording, left: party 1"),
    "a part was moved": (_late, "from where it was said"),
    "the parts are in another order": (_out_of_order, "not in the order"),
    "one channel is late": (
        lambda it: setattr(it, "right", [replace(r, begin=r.begin + 1, end=r.end + 1) for r in it.right]),
        "is kept -1.00 s from party 1",
    ),
    "the announcement was not heard": (_without("announcement", OUT), "heard “announcement” 0 times"),
    "it was heard twice": (lambda it: it.speaks("announcement", 30.0, OUT), "heard “announcement” 2 times"),
    "it was heard in part": (_half, "heard “announcement”"),
    "a colleague hears it": (
        lambda it: it.speaks("announcement", 3.0, FIRST),
        "party 1 heard “announcement” 1 times",
    ),
    "who joined was not notified": (_without("transfer_notice", SECOND), "heard “transfer_notice” 0 times"),
    "who joined was notified twice": (
        lambda it: it.speaks("transfer_notice", 30.0, SECOND),
        "heard “transfer_notice” 2 times",
    ),
    "the external party was notified as well": (
        lambda it: it.speaks("transfer_notice", 17.0, OUT),
        "party 0 heard “transfer_notice”",
    ),
    "who was there is notified": (
        lambda it: it.speaks("transfer_notice", 17.0, FIRST),
        "party 1 heard “transfer_notice”",
    ),
    "the external party hears a pause's tone": (
        lambda it: it.tones[OUT].update({PAUSED_BIN: 9}),
        "heard the tones",
    ),
    "the colleague hears none": (lambda it: it.tones[FIRST].clear(), "heard no tone"),
    "they do not hear each other": (lambda it: it.words_heard[OUT].clear(), "party 0 heard 0 frames of 100"),
    "a pause has no gap": (lambda it: it.gaps.clear(), "gaps {}"),
    "there is another gap": (lambda it: it.gaps.append("hold"), "gaps"),
    "there are two recordings": (lambda it: it.rows.extend([it.history().listed[0]] * 2), "listed 2 times"),
    "there is none": (lambda it: it.rows.append(Listed("3225")), "listed 0 times"),
    "it was not recorded": (lambda it: _change_row(it, reason="daemon_late"), "daemon_late, not recorded"),
    "it is said to be agreed": (lambda it: _change_row(it, keep_answer="yes"), "kept: yes, not None"),
    "a number is listed that nobody called": (
        lambda it: it.rows.extend([*it.history().listed, Listed("99", "no_line")]),
        "99 is listed",
    ),
    "the consultation is a recording": (
        lambda it: it.rows.extend([it.history().listed[0], Listed("3226")]),
        "3225's own calls",
    ),
    "its telephones could not play it": (lambda it: it.failed.update({0: "talk 3: over"}), "talk 3: over"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found(name: str) -> None:
    it = story()
    change, finding = FAULTS[name]
    change(it)
    found = violations(it)
    assert any(finding in one for one in found), found


def test_deleted_or_refused_call_leaves_nothing() -> None:
    for call in (
        replace(CALL, acts=(Act("talk", 3, 2), Act("delete", 4, 1), Act("talk", 5, 2))),
        replace(CALL, opening="opt_in_no", acts=(Act("talk", 3, 2),)),
    ):
        want = expected(call)
        assert want.reason in ("deleted", "declined")
        assert [*want.left, *want.right, *want.may_left, *want.may_right] == []


def test_incomplete_sentence_is_not_recognised() -> None:
    steps = [Run(Word(PARTIES, step), step * 0.08, step * 0.08 + 0.08, 4) for step in range(STEPS)]
    assert sentences(steps)["announcement"] == 1
    assert sentences(steps[1:])["announcement"] == 1
    assert sentences([*steps, *steps])["announcement"] == 2
    assert sentences([*steps, *steps[:6]])["announcement"] > 2


def test_plan_is_reproducible_and_names_each_party_once() -> None:
    calls = plan(3, 200, every=0.3, live=30)
    assert calls == plan(3, 200, every=0.3, live=30)
    assert calls != plan(4, 200, every=0.3, live=30)
    whose = [party.who for call in calls for party in call.parties]
    assert len(whose) == len(set(whose))
    assert max(whose) < PARTIES
    numbers = [party.number for call in calls for party in call.parties]
    assert len(numbers) == len(set(numbers))
    for call in calls:
        words = [act.word for act in call.acts]
        assert len(words) == len(set(words))
        expected(call)
