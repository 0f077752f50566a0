"""The model accepts a run without faults, and reports each possible violation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from recorder.pipeline.poison_takes import CRASH_INTERVAL
from tests.chaos import model
from tests.chaos.facts import (
    CallSeen,
    Catalogue,
    DecryptedSound,
    Leaf,
    ListenRow,
    Play,
    ProcessDeath,
    RecordingRow,
    UnrecordedRow,
    World,
)
from tests.chaos.plan import AT_PICKUP, NUMBERS, CallPlan

PHASES = {"placed": 0.0, "asked": 0.0, "announcing": 0.1, "ringing": 1.3, "bridged": 1.8}
FILES = ("audio.wav", "peaks", "manifest.json")


def call(caller: str, at: float, talks: float = 3.0, state: str = "announced", **plan: object) -> CallSeen:
    planned = CallPlan(int(caller[1:]), 1.0, caller, NUMBERS[0], "answers", 0.5, talks, None, False)
    phases = {name: at + after for name, after in PHASES.items()}
    ended = at + PHASES["bridged"] + talks
    return CallSeen(replace(planned, **plan), at, phases, state, "", f"c{caller}", ended)  # type: ignore[arg-type]


def leaf(number: int, kind: str, recording: str | None = None, **body: object) -> Leaf:
    return Leaf("t", number, kind, recording, dict(body), True)


def world() -> World:
    """Two recorded calls, one without a daemon, one never connected; one recording was played."""
    rows = tuple(
        RecordingRow(
            f"r{n}", "t", f"+{n}", f"t/d/r{n}/", frozenset({"audio.wav", "peaks"}), f"m{n}", True, 4500
        )
        for n in (1, 2)
    )  # fmt: skip
    unconnected = call("+4", 120.0, callee="busy")
    del unconnected.phases["bridged"]
    leaves = (
        leaf(0, "recording.stored", "r1"),
        leaf(1, "recording.stored", "r2"),
        leaf(2, "call.not_recorded", "r4"),
        leaf(3, "grant.given", "r1", grant="g"),
        leaf(4, "listen.opened", "r1", listen="l"),
        leaf(5, "listen.closed", "r1", listen="l", sent_bytes=100),
    )
    objects = {f"t/d/r{n}/{name}" for n in (1, 2) for name in FILES}
    objects |= {"keys/t/tenant.json", "keys/t/r1.json", "keys/t/r2.json"}
    return World(
        calls=[call("+1", 100.0), call("+2", 110.0), call("+3", 50.0, state="unrecorded"), unconnected],
        catalogue=Catalogue(
            recordings=rows,
            unrecorded=(UnrecordedRow("r4", "t", "+4", "never_connected", False),),
            leaves=leaves,
            sizes={"t": 6},
            grants={"g": "r1"},
            listens=(ListenRow("l", "g", "p", 100, True),),
            unsound=(),
        ),
        objects=frozenset(objects),
        sounds={row.id: DecryptedSound(1300, 0.0, 2900, 0, (), ()) for row in rows},
        watch_spans=[(90.0, 200.0)],
        stalled=[],
        deaths=[ProcessDeath("daemon", 200.0)],
        plays=[Play("g", "p", "r1", 200, 100, True)],
        left_in_spool=(),
        quarantined=(),
        bound=15.0,
    )


def rules(changed: World) -> set[str]:
    return {each.rule for each in model.check_settled(changed)}


def test_a_good_run_is_good() -> None:
    assert model.check_settled(world()) == []
    assert model.check_growth(world().catalogue, world().catalogue) == []


def catalogue(**changes: object) -> Callable[[World], World]:
    return lambda w: replace(w, catalogue=replace(w.catalogue, **changes))  # type: ignore[arg-type]


def with_sound(**changes: object) -> Callable[[World], World]:
    return lambda w: replace(w, sounds=w.sounds | {"r1": replace(w.sounds["r1"], **changes)})  # type: ignore[arg-type]


def one_call(at: int, **changes: object) -> Callable[[World], World]:
    def change(w: World) -> World:
        w.calls[at] = replace(w.calls[at], **changes)  # type: ignore[arg-type]
        return w

    return change


GOOD = world().catalogue
ROW, LEAVES = GOOD.recordings[0], GOOD.leaves


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("twice", catalogue(recordings=(*GOOD.recordings, replace(ROW, id="r9")))),
        ("twice", catalogue(unrecorded=(*GOOD.unrecorded, UnrecordedRow("r9", "t", "+1", "x", False)))),
        ("twice", catalogue(recordings=(*GOOD.recordings, ROW))),
        ("stranger", catalogue(unrecorded=(*GOOD.unrecorded, UnrecordedRow("r9", "t", "+9", "x", False)))),
        ("ledger", catalogue(leaves=LEAVES[:-1])),
        ("ledger", catalogue(leaves=(*LEAVES[:-1], replace(LEAVES[-1], number=4)))),
        ("ledger", catalogue(leaves=(*LEAVES[:-1], replace(LEAVES[-1], whole=False)))),
        ("ledger", catalogue(leaves=(replace(LEAVES[0], kind="grant.given"), *LEAVES[1:]))),
        ("ledger", catalogue(leaves=(*LEAVES, leaf(6, "recording.stored", "r1")), sizes={"t": 7})),
        ("ledger", catalogue(leaves=(*LEAVES, leaf(6, "call.not_recorded", "r8")), sizes={"t": 7})),
        ("catalogue", catalogue(unsound=("a page is lost",))),
        ("lost", catalogue(recordings=GOOD.recordings[1:])),
        ("unaccounted", catalogue(unrecorded=())),
        ("unaccounted", lambda w: replace(w, watch_spans=[(40.0, 60.0), *w.watch_spans])),
        ("unannounced", one_call(0, state="unrecorded")),
        ("unannounced", one_call(0, state="announcing")),
        ("unannounced", with_sound(loudest_before=0.01)),
        ("unannounced", with_sound(announced_ms=None)),
        ("unannounced", one_call(0, plan=replace(call("+1", 0).plan, called="112"))),
        ("announcement", catalogue(recordings=(replace(ROW, announced=False), GOOD.recordings[1]))),
        ("unexplained", with_sound(voice_ms=1500)),
        ("ringing", with_sound(voice_ms=9000)),
        ("gap", with_sound(gaps=("unobserved",))),
        ("gap", with_sound(gaps=("repair",))),
        ("gap", with_sound(gaps=("write_error",))),
        ("verify", with_sound(findings=("object.block",))),
        ("unheard", lambda w: replace(w, sounds={})),
        ("waits", lambda w: replace(w, bound=1.0)),
        ("unconnected", one_call(0, phases={"placed": 100.0, "ringing": 101.0})),
        ("cut off", one_call(0, ended=103.0)),
        ("endless", one_call(0, ended=None)),
        ("objects", lambda w: replace(w, objects=w.objects - {"t/d/r1/peaks"})),
        ("objects", lambda w: replace(w, objects=w.objects - {"keys/t/r2.json"})),
        ("orphan", lambda w: replace(w, objects=w.objects | {"t/d/r3/audio.wav"})),
        ("orphan", lambda w: replace(w, objects=w.objects | {"keys/t/r3.json"})),
        ("spool", lambda w: replace(w, left_in_spool=("r1",))),
        ("quarantine", lambda w: replace(w, quarantined=("r4",))),
        ("process", lambda w: replace(w, strangers=("2 of web run",))),
        ("handles", lambda w: replace(w, handles=("web holds 900 files",))),
        ("listens", lambda w: replace(w, plays=[replace(w.plays[0], play="q")])),
        ("listens", lambda w: replace(w, plays=[replace(w.plays[0], grant="h", recording="")])),
        ("listens", lambda w: replace(w, plays=[replace(w.plays[0], right=False)])),
        ("listens", lambda w: replace(w, plays=[*w.plays, replace(w.plays[0], received=1)])),
        ("listens", catalogue(listens=(replace(GOOD.listens[0], closed=False),))),
        ("listens", catalogue(listens=(replace(GOOD.listens[0], sent_bytes=101),))),
        ("web", lambda w: replace(w, plays=[replace(w.plays[0], status=500)])),
        ("grants", catalogue(grants={"g": "r1", "h": "r2"})),
    ],
)
def test_each_fault_is_a_violation(rule: str, change: Callable[[World], World]) -> None:
    assert rule in rules(change(world()))


def test_written_facts_stay() -> None:
    changed = replace(ROW, duration_ms=1)
    later = replace(GOOD, recordings=(changed, GOOD.recordings[1]))
    assert [each.rule for each in model.check_growth(GOOD, later)] == ["changed"]
    assert [each.rule for each in model.check_growth(GOOD, replace(GOOD, leaves=LEAVES[1:]))] == ["changed"]


def test_announced_call_may_be_lost_only_with_its_daemon() -> None:
    def may_be_lost(at: float) -> bool:
        w = replace(world(), deaths=[ProcessDeath("daemon", at)])
        return "lost" in rules(catalogue(recordings=GOOD.recordings[1:])(w))

    assert not may_be_lost(101.4)
    assert may_be_lost(104.0)
    assert may_be_lost(99.0)


def test_a_call_without_any_daemon_may_be_nowhere_and_no_other() -> None:
    for span, expected in (((40.0, 60.0), True), ((54.6, 70.0), False), ((48.0, 50.4), False)):
        w = replace(world(), watch_spans=[span, (90.0, 200.0)])
        assert ("unaccounted" in rules(w)) == expected, span


def test_call_not_listed_yet_is_known_by_its_end_or_a_later_listing() -> None:
    for arrival, end, listed, expected in (
        (50.5, 52.5, 1.2, False), (50.2, 54.9, 1.2, True), (50.5, 60.0, 1.2, True), (51.5, 54.0, 1.2, True),
        (50.5, 52.5, 0.0, True), (49.0, 53.0, 1.2, True),
    ):  # fmt: skip
        w = replace(world(), watch_spans=[(arrival, end), (90.0, 200.0)], lists_after=listed)
        assert ("unaccounted" in rules(w)) == expected, (arrival, end, listed)


def test_call_without_events_may_be_missing() -> None:
    for phases, expected in (({}, False), ({"placed": 50.0}, True)):
        w = one_call(2, phases=phases, cut=True)(replace(world(), watch_spans=[(40.0, 60.0), (90.0, 200.0)]))
        assert ("unaccounted" in rules(w)) == expected, phases


def test_unhandled_call_is_known_by_its_end_alone() -> None:
    for span, expected in (((40.0, 54.0), False), ((54.0, 60.0), True)):
        w = one_call(2, state="never_record")(replace(world(), watch_spans=[span, (90.0, 200.0)]))
        assert ("unaccounted" in rules(w)) == expected, span


def test_ringing_call_is_known_by_its_end_or_a_later_listing() -> None:
    for span, expected in (((40.0, 52.5), False), ((40.0, 54.9), True), ((54.0, 60.0), True)):
        w = one_call(2, state="pickup")(replace(world(), watch_spans=[span, (90.0, 200.0)]))
        assert ("unaccounted" in rules(w)) == expected, span


def test_time_of_a_stopped_switch_does_not_count_as_waiting() -> None:
    w = replace(world(), bound=1.5)
    one_call(0, phases={**w.calls[0].phases, "ringing": 103.0, "bridged": 103.5}, ended=106.5)(w)
    assert "waits" in rules(w)
    w.stalled.append((100.5, 102.5))
    assert "waits" not in rules(w)


def test_last_word_of_a_switch_that_died_may_be_from_before_the_announcement() -> None:
    """Of a call that was sent on in its announcement at pick-up; what is in the sound decides."""
    w = world()
    first = w.calls[0]
    plan, phases = replace(first.plan, called=AT_PICKUP[0]), {**first.phases, "joined": 102.5}
    one_call(0, plan=plan, phases=phases, state="pickup", cut=True)(w)
    assert "unannounced" not in rules(w)
    assert "unannounced" in rules(with_sound(announced_ms=None)(w))
    assert "unannounced" in rules(with_sound(loudest_before=0.01)(w))
    one_call(0, cut=False)(w)
    assert "unannounced" in rules(w)


def test_take_is_quarantined_only_for_its_fault() -> None:
    row = UnrecordedRow("r4", "t", "+4", "take.impossible", True)
    w = replace(catalogue(unrecorded=(row,))(world()), quarantined=("r4",))
    assert "quarantine" in rules(w)
    assert "quarantine" not in rules(one_call(3, cut=True)(w))


@pytest.mark.parametrize(
    ("deaths", "may"),
    [
        ((), False),
        ((1.0, 2.0, 8.0), False),
        ((1.0, CRASH_INTERVAL, 2 * CRASH_INTERVAL), True),
        ((1.0, 2.0, CRASH_INTERVAL, CRASH_INTERVAL + 1, 2 * CRASH_INTERVAL), True),
        ((-600.0, CRASH_INTERVAL, 2 * CRASH_INTERVAL), False),
        ((1.0, CRASH_INTERVAL), False),
        ((1.0, CRASH_INTERVAL, "worker", 2 * CRASH_INTERVAL), False),
        (("worker", 1.0, CRASH_INTERVAL, 2 * CRASH_INTERVAL), True),
    ],
)
def test_take_is_quarantined_for_encoder_deaths_only_in_one_worker(
    deaths: tuple[float | str, ...], may: bool
) -> None:
    row = UnrecordedRow("r4", "t", "+4", "take.encoder_died", False)
    w = replace(catalogue(unrecorded=(row,))(world()), quarantined=("r4",))
    at = over = w.calls[3].over
    for each in deaths:
        at = at + 0.5 if isinstance(each, str) else over + each
        w.deaths.append(ProcessDeath(each, at) if isinstance(each, str) else ProcessDeath("encoder", at))
    assert ("quarantine" not in rules(w)) == may
    row = replace(row, quarantined=True)
    assert "quarantine" in rules(catalogue(unrecorded=(row,))(w)), "it would be destroyed"
