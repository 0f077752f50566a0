"""The model says yes to a run in which everything went well, and no to each thing that may go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from recorder.worker.deaths import APART
from tests.chaos import asked, model
from tests.chaos.facts import (
    CallSeen,
    Catalogue,
    Died,
    Heard,
    Leaf,
    Listened,
    Play,
    Recorded,
    Unrecorded,
    World,
)
from tests.chaos.plan import NUMBERS, PAUSE_SECONDS, CallPlan

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
    """Two calls that were recorded, one that no daemon saw, one that was not connected; somebody listened."""
    rows = tuple(
        Recorded(
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
            unrecorded=(Unrecorded("r4", "t", "+4", "never_connected", False),),
            leaves=leaves,
            sizes={"t": 6},
            grants={"g": "r1"},
            listens=(Listened("l", "g", "p", 100, True),),
            unsound=(),
        ),
        objects=frozenset(objects),
        heard={row.id: Heard(1300, 0.0, 2900, 0, (), ()) for row in rows},
        watched=[(90.0, 200.0)],
        stalled=[],
        died=[Died("daemon", 200.0)],
        plays=[Play("g", "p", "r1", 200, 100, True)],
        left_in_spool=(),
        quarantined=(),
        bound=15.0,
    )


def rules(changed: World) -> set[str]:
    return {each.rule for each in model.settled(changed)}


def test_a_good_run_is_good() -> None:
    assert model.settled(world()) == []
    assert model.grown(world().catalogue, world().catalogue) == []


def catalogue(**changes: object) -> Callable[[World], World]:
    return lambda w: replace(w, catalogue=replace(w.catalogue, **changes))  # type: ignore[arg-type]


def heard(**changes: object) -> Callable[[World], World]:
    return lambda w: replace(w, heard=w.heard | {"r1": replace(w.heard["r1"], **changes)})  # type: ignore[arg-type]


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
        ("twice", catalogue(unrecorded=(*GOOD.unrecorded, Unrecorded("r9", "t", "+1", "x", False)))),
        ("twice", catalogue(recordings=(*GOOD.recordings, ROW))),
        ("stranger", catalogue(unrecorded=(*GOOD.unrecorded, Unrecorded("r9", "t", "+9", "x", False)))),
        ("ledger", catalogue(leaves=LEAVES[:-1])),
        ("ledger", catalogue(leaves=(*LEAVES[:-1], replace(LEAVES[-1], number=4)))),
        ("ledger", catalogue(leaves=(*LEAVES[:-1], replace(LEAVES[-1], whole=False)))),
        ("ledger", catalogue(leaves=(replace(LEAVES[0], kind="grant.given"), *LEAVES[1:]))),
        ("ledger", catalogue(leaves=(*LEAVES, leaf(6, "recording.stored", "r1")), sizes={"t": 7})),
        ("ledger", catalogue(leaves=(*LEAVES, leaf(6, "call.not_recorded", "r8")), sizes={"t": 7})),
        ("catalogue", catalogue(unsound=("a page is lost",))),
        ("lost", catalogue(recordings=GOOD.recordings[1:])),
        ("unaccounted", catalogue(unrecorded=())),
        ("unaccounted", lambda w: replace(w, watched=[(40.0, 60.0), *w.watched])),
        ("unannounced", one_call(0, state="unrecorded")),
        ("unannounced", one_call(0, state="announcing")),
        ("unannounced", heard(loudest_before=0.01)),
        ("unannounced", heard(told_ms=None)),
        ("unannounced", one_call(0, plan=replace(call("+1", 0).plan, called="112"))),
        ("announcement", catalogue(recordings=(replace(ROW, announced=False), GOOD.recordings[1]))),
        ("unexplained", heard(voice_ms=1500)),
        ("ringing", heard(voice_ms=9000)),
        ("gap", heard(gaps=("unobserved",))),
        ("gap", heard(gaps=("repair",))),
        ("gap", heard(gaps=("write_error",))),
        ("verify", heard(findings=("object.block",))),
        ("unheard", lambda w: replace(w, heard={})),
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
def test_each_thing_that_may_go_wrong_is_seen(rule: str, change: Callable[[World], World]) -> None:
    assert rule in rules(change(world()))


def test_what_was_written_stays() -> None:
    changed = replace(ROW, duration_ms=1)
    later = replace(GOOD, recordings=(changed, GOOD.recordings[1]))
    assert [each.rule for each in model.grown(GOOD, later)] == ["changed"]
    assert [each.rule for each in model.grown(GOOD, replace(GOOD, leaves=LEAVES[1:]))] == ["changed"]


def test_an_announced_call_may_be_lost_only_where_its_daemon_died_with_the_announcement() -> None:
    def lost(at: float) -> bool:
        w = replace(world(), died=[Died("daemon", at)])
        return "lost" in rules(catalogue(recordings=GOOD.recordings[1:])(w))

    assert not lost(101.4)
    assert lost(104.0)
    assert lost(99.0)


def test_a_call_without_any_daemon_may_be_nowhere_and_no_other() -> None:
    for watched, expected in (((40.0, 60.0), True), ((54.6, 70.0), False), ((48.0, 50.4), False)):
        w = replace(world(), watched=[watched, (90.0, 200.0)])
        assert ("unaccounted" in rules(w)) == expected, watched


def test_a_call_that_was_not_in_the_list_yet_is_known_by_its_end_alone() -> None:
    for came, gone, listed, expected in (
        (50.5, 53.0, 1.2, False), (50.5, 60.0, 1.2, True), (51.5, 54.0, 1.2, True), (50.5, 53.0, 0.0, True),
        (49.0, 53.0, 1.2, True),
    ):  # fmt: skip
        w = replace(world(), watched=[(came, gone), (90.0, 200.0)], lists_after=listed)
        assert ("unaccounted" in rules(w)) == expected, (came, gone, listed)


def test_a_call_of_which_its_switch_told_nothing_may_be_nowhere() -> None:
    for phases, expected in (({}, False), ({"placed": 50.0}, True)):
        w = one_call(2, phases=phases, cut=True)(replace(world(), watched=[(40.0, 60.0), (90.0, 200.0)]))
        assert ("unaccounted" in rules(w)) == expected, phases


def test_a_call_that_is_not_to_be_touched_is_known_by_its_end_alone() -> None:
    for watched, expected in (((40.0, 54.0), False), ((54.0, 60.0), True)):
        w = one_call(2, state="never_record")(replace(world(), watched=[watched, (90.0, 200.0)]))
        assert ("unaccounted" in rules(w)) == expected, watched


def test_time_in_which_the_switch_stands_still_is_nobodys_wait() -> None:
    w = replace(world(), bound=1.5)
    one_call(0, phases={**w.calls[0].phases, "ringing": 103.0, "bridged": 103.5}, ended=106.5)(w)
    assert "waits" in rules(w)
    w.stalled.append((100.5, 102.5))
    assert "waits" not in rules(w)


def test_a_take_is_set_aside_only_for_what_was_done_to_it() -> None:
    row = Unrecorded("r4", "t", "+4", "take.impossible", True)
    w = replace(catalogue(unrecorded=(row,))(world()), quarantined=("r4",))
    assert "quarantine" in rules(w)
    assert "quarantine" not in rules(one_call(3, cut=True)(w))


@pytest.mark.parametrize(
    ("deaths", "may"),
    [
        ((), False),
        ((1.0, 2.0, 8.0), False),
        ((1.0, APART, 2 * APART), True),
        ((1.0, 2.0, APART, APART + 1, 2 * APART), True),
        ((-600.0, APART, 2 * APART), False),
        ((1.0, APART), False),
        ((1.0, APART, "worker", 2 * APART), False),
        (("worker", 1.0, APART, 2 * APART), True),
    ],
)
def test_a_take_is_set_aside_for_its_encoders_deaths_only_where_one_worker_saw_enough(
    deaths: tuple[float | str, ...], may: bool
) -> None:
    row = Unrecorded("r4", "t", "+4", "take.encoder_died", False)
    w = replace(catalogue(unrecorded=(row,))(world()), quarantined=("r4",))
    at = over = w.calls[3].over
    for each in deaths:
        at = at + 0.5 if isinstance(each, str) else over + each
        w.died.append(Died(each, at) if isinstance(each, str) else Died("encoder", at))
    assert ("quarantine" not in rules(w)) == may
    row = replace(row, quarantined=True)
    assert "quarantine" in rules(catalogue(unrecorded=(row,))(w)), "it would be destroyed"


# --- outbound calls


OUT = {"placed": 0.0, "ringing": 0.1, "asked": 0.6, "announcing": 0.7, "bridged": 1.9}


def outbound(state: str = "announced", **plan: object) -> World:
    """The first call is one that a colleague made."""
    changed = call("+1", 100.0, state=state, outward=True, **{"called": NUMBERS[1], **plan})
    changed.phases = {name: 100.0 + after for name, after in OUT.items()}
    changed.ended = 100.0 + OUT["bridged"] + 3.0
    w = world()
    w.calls[0] = changed
    return w


def test_an_outbound_call_that_went_well_is_good() -> None:
    assert model.settled(outbound()) == []


@pytest.mark.parametrize("state", ["unrecorded", "calling", "answered", "announcing", "late", "declined"])
def test_an_outbound_callee_who_was_not_told_is_never_recorded(state: str) -> None:
    assert "unannounced" in rules(outbound(state))


def test_an_outbound_callee_is_not_heard_before_they_were_told() -> None:
    assert "unannounced" in rules(heard(loudest_before=0.01)(outbound()))


def test_an_outbound_callee_has_one_recording_at_most() -> None:
    assert "twice" in rules(catalogue(recordings=(*GOOD.recordings, replace(ROW, id="r9")))(outbound()))


def test_an_outbound_call_that_was_announced_and_is_over_is_kept() -> None:
    assert "lost" in rules(catalogue(recordings=GOOD.recordings[1:])(outbound()))


def test_whom_a_colleague_calls_waits_for_us_no_longer_than_the_bound_once_they_have_answered() -> None:
    assert "waits" not in rules(replace(outbound(), bound=1.5))
    assert "waits" in rules(replace(outbound(), bound=1.2))


def test_a_call_from_a_number_that_is_no_line_may_be_nowhere_and_may_not_be_kept() -> None:
    w = outbound("passed", called="3225550999")
    assert "unannounced" in rules(w)
    assert "unaccounted" not in rules(catalogue(recordings=GOOD.recordings[1:])(w))


# --- a transfer


def transferred(**phases: float) -> World:
    w = world()
    w.calls[0].plan = replace(w.calls[0].plan, transfer=1.0, talks=1.5)
    w.calls[0].phases |= phases
    return w


def test_a_transferred_call_is_one_recording_and_both_talks_are_in_it() -> None:
    w = transferred(transferred=102.8, joined=103.2)
    assert model.settled(w) == []
    assert "unexplained" in rules(heard(voice_ms=1000)(w)), "the second talk is not in it"
    assert "twice" in rules(catalogue(recordings=(*GOOD.recordings, replace(ROW, id="r9")))(w))


def test_a_transferred_call_is_connected_again_and_not_cut_off() -> None:
    assert "unconnected" in rules(transferred(transferred=102.8))
    assert "cut off" in rules(transferred(transferred=102.8, joined=104.0))


# --- pauses


def paused(*codes: tuple[str, float], talks: float = 8.0, **kept: object) -> World:
    """The first call with what the switch did in it; its sound begins with it."""
    w = world()
    w.calls[0] = call("+1", 100.0, talks=talks)
    w.calls[0].codes[:] = codes
    own = {"told_ms": 1300, "told_took_ms": 1200, "voice_ms": 7800, "length_ms": 9800, **kept}
    return heard(**own)(w)


TWO_SECONDS = (("pause", 103.0), ("resume", 105.0))
SILENT = {"silent": ((3050, 4950),), "voice_ms": 5900, "explained_ms": 1900, "paused_ms": 1900}


def test_what_is_said_in_a_pause_is_silent() -> None:
    assert model.settled(paused()) == []
    assert model.settled(paused(*TWO_SECONDS, **SILENT)) == []
    assert "paused" in rules(paused(*TWO_SECONDS))
    for silent in (((3050, 3600),), ((4300, 4950),), ((3050, 3900), (4100, 4950)), ((6050, 7950),)):
        assert "paused" in rules(paused(*TWO_SECONDS, **(SILENT | {"silent": silent}))), silent


def test_a_pause_holds_with_the_daemon_dead() -> None:
    w = replace(paused(*TWO_SECONDS), watched=[(90.0, 102.0), (106.0, 200.0)], died=[Died("daemon", 102.0)])
    assert "paused" in rules(w)


def test_a_pause_that_nobody_ends_lasts_as_long_as_the_switch_says_or_as_the_call() -> None:
    ends = 3000 + PAUSE_SECONDS * 1000
    itself = SILENT | {"silent": ((3050, ends),)}
    assert "paused" not in rules(paused(("pause", 103.0), **itself))
    assert "paused" in rules(paused(("pause", 103.0), **(itself | {"silent": ((3050, 4100),)})))
    again = (("pause", 103.0), ("pause", 104.5))
    assert list(asked.pauses(paused(*again).calls[0])) == [(103.0, 104.5 + PAUSE_SECONDS - asked.WHOLE)]
    at_the_end = paused(("pause", 103.0), talks=2.2).calls[0]
    assert list(asked.pauses(at_the_end)) == [(103.0, 104.0)]


def test_no_more_is_silenced_than_was_paused_where_a_daemon_watched() -> None:
    w = paused(*TWO_SECONDS, **(SILENT | {"paused_ms": 4500}))
    assert "paused" in rules(w)
    assert "paused" not in rules(replace(w, watched=[(90.0, 102.0), (106.0, 200.0)]))


# --- answers


def pressed(*keys: tuple[str, str, float], at: int = 0, **plan: object) -> Callable[[World], World]:
    def change(w: World) -> World:
        w.calls[at].pressed[:] = keys
        w.calls[at].plan = replace(w.calls[at].plan, **plan)  # type: ignore[arg-type]
        return w

    return change


def test_an_agreement_is_never_found_where_nobody_answered() -> None:
    yes, no = heard(answers=("yes",), agreed=True), heard(answers=("no",))
    said = ("colleague", "*5", 102.0), ("outside", "1", 104.0)
    assert "agreed" in rules(yes(world()))
    assert "agreed" in rules(yes(pressed(said[0])(world())))
    assert "agreed" in rules(yes(pressed(said[1])(world())))
    assert "agreed" in rules(yes(pressed(said[0], ("outside", "2", 104.0))(world())))
    assert "agreed" in rules(yes(pressed(said[0], ("outside", "1", 101.0))(world())))
    assert "agreed" in rules(no(pressed(*said)(world())))
    assert "agreed" in rules(heard(agreed=True)(pressed(*said)(world())))
    assert "agreed" not in rules(yes(pressed(*said)(world())))


# --- destroyed in the call


DIALLED = ("colleague", "*9", 102.0), ("colleague", "1", 108.0)


def destroyed(reason: str, state: str, *keys: tuple[str, str, float]) -> World:
    """The first call, which lasts long enough for the question, is not kept."""
    w = catalogue(
        recordings=GOOD.recordings[1:],
        unrecorded=(*GOOD.unrecorded, Unrecorded("r1", "t", "+1", reason, False)),
        leaves=(leaf(0, "call.not_recorded", "r1"), *LEAVES[1:3], *_of("r2")),
        grants={"g": "r2"},
    )(world())
    w.calls[0] = call("+1", 100.0, talks=10.0, state=state)
    w = replace(w, objects=frozenset(each for each in w.objects if "r1" not in each))
    w.plays[0] = replace(w.plays[0], recording="r2")
    return pressed(*keys)(w)


def _of(recording: str) -> tuple[Leaf, ...]:
    return tuple(replace(each, recording=recording) for each in LEAVES[3:])


def test_a_recording_is_destroyed_only_where_a_colleague_said_so_twice() -> None:
    assert model.settled(destroyed("deleted", "unrecorded", *DIALLED)) == []
    assert "deleted" in rules(destroyed("deleted", "unrecorded"))
    for keys in (DIALLED[:1], DIALLED[1:], (DIALLED[0], ("outside", "1", 108.0)), DIALLED[::-1]):
        late = tuple((who, what, 100.0 + n) for n, (who, what, _) in enumerate(keys))
        assert "lost" in rules(destroyed("deleted", "announced", *late)), keys
        assert "deleted" in rules(destroyed("deleted", "unrecorded", *late)), keys
    w = pressed(*DIALLED, called=NUMBERS[1])(destroyed("deleted", "unrecorded", *DIALLED))
    assert "deleted" in rules(w), "a line that does not allow it"


def test_what_a_colleague_had_destroyed_is_listed_with_that_reason() -> None:
    assert "deleted" in rules(destroyed("daemon_away", "unrecorded", *DIALLED))


def test_who_says_so_may_have_it_destroyed_before_the_switch_is_told() -> None:
    assert "lost" not in rules(destroyed("deleted", "announced", *DIALLED))
    assert "lost" in rules(destroyed("daemon_away", "announced", *DIALLED))


def test_what_was_destroyed_is_not_kept() -> None:
    w = world()
    w.calls[0] = call("+1", 100.0, talks=10.0, state="unrecorded")
    assert "deleted" in rules(pressed(*DIALLED)(w))


def test_what_was_dialled_in_time_under_a_daemons_eyes_is_destroyed() -> None:
    def kept(*keys: tuple[str, str, float]) -> World:
        w = world()
        w.calls[0] = call("+1", 100.0, talks=10.0)
        return pressed(*keys)(w)

    assert "deleted" in rules(kept(*DIALLED))
    assert "deleted" not in rules(kept(DIALLED[0], ("colleague", "1", 104.0))), "before the question's end"
    assert "deleted" not in rules(kept(DIALLED[0], ("colleague", "2", 108.0)))
    assert "deleted" not in rules(replace(kept(*DIALLED), watched=[(90.0, 105.0), (106.0, 200.0)]))
    for phases in ({"transferred": 105.0, "joined": 105.3}, {"announcing": 101.0}):
        w = kept(*DIALLED)
        w.calls[0].phases |= phases
        assert "deleted" not in rules(w), phases
