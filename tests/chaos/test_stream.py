"""The model reports each violation by outbound calls, transfers and feature codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos import feature_codes, model
from tests.chaos.facts import Leaf, ProcessDeath, UnrecordedRow, World
from tests.chaos.plan import NUMBERS, PAUSE_SECONDS
from tests.chaos.test_model import GOOD, LEAVES, ROW, call, catalogue, leaf, rules, with_sound, world

# --- outbound calls


OUT = {"placed": 0.0, "ringing": 0.1, "asked": 0.6, "announcing": 0.7, "bridged": 1.9}


def outbound(state: str = "announced", **plan: object) -> World:
    """The first call is one that a colleague made."""
    changed = call("+1", 100.0, state=state, outbound=True, **{"called": NUMBERS[1], **plan})
    changed.phases = {name: 100.0 + after for name, after in OUT.items()}
    changed.ended = 100.0 + OUT["bridged"] + 3.0
    w = world()
    w.calls[0] = changed
    return w


def test_good_outbound_call_has_no_violation() -> None:
    assert model.check_settled(outbound()) == []


@pytest.mark.parametrize("state", ["unrecorded", "calling", "answered", "announcing", "late", "declined"])
def test_outbound_callee_is_not_recorded_unannounced(state: str) -> None:
    assert "unannounced" in rules(outbound(state))


def test_outbound_callee_is_not_heard_before_the_announcement() -> None:
    assert "unannounced" in rules(with_sound(loudest_before=0.01)(outbound()))


def test_outbound_callee_has_one_recording_at_most() -> None:
    assert "twice" in rules(catalogue(recordings=(*GOOD.recordings, replace(ROW, id="r9")))(outbound()))


def test_announced_outbound_call_is_kept() -> None:
    assert "lost" in rules(catalogue(recordings=GOOD.recordings[1:])(outbound()))


def test_callee_waits_no_longer_than_the_bound_after_answering() -> None:
    assert "waits" not in rules(replace(outbound(), bound=1.5))
    assert "waits" in rules(replace(outbound(), bound=1.2))


def test_call_from_an_unknown_number_is_not_kept() -> None:
    w = outbound("passed", called="3225550999")
    assert "unannounced" in rules(w)
    assert "unaccounted" not in rules(catalogue(recordings=GOOD.recordings[1:])(w))


def test_outbound_call_that_only_rang_is_known_by_its_end_alone() -> None:
    for cut, expected in ((False, True), (True, False)):
        w = outbound("calling", callee="silent")
        del w.calls[0].phases["bridged"]
        w.calls[0].cut = cut
        w = catalogue(recordings=GOOD.recordings[1:])(w)
        assert ("unaccounted" in rules(w)) == expected, cut


# --- a transfer


def transferred(**phases: float) -> World:
    w = world()
    w.calls[0].plan = replace(w.calls[0].plan, transfer=1.0, talks=1.5)
    w.calls[0].phases |= phases
    return w


def test_transferred_call_is_one_recording_of_both_talks() -> None:
    w = transferred(transferred=102.8, joined=103.2)
    assert model.check_settled(w) == []
    assert "unexplained" in rules(with_sound(voice_ms=1000)(w)), "the second talk is not in it"
    assert "twice" in rules(catalogue(recordings=(*GOOD.recordings, replace(ROW, id="r9")))(w))


def test_a_transferred_call_is_connected_again_and_not_cut_off() -> None:
    assert "unconnected" in rules(transferred(transferred=102.8))
    assert "cut off" in rules(transferred(transferred=102.8, joined=104.0))


def test_only_speech_before_the_end_of_the_announcement_may_be_missing() -> None:
    """At the pick-up: where a daemon comes later, or a transfer cuts it and it is said again."""
    late = {"announcing": 104.0}
    cut = late | {"transferred": 104.5, "joined": 105.0}
    for phases, missing in (({}, 2.0), (late, 4.0), (cut, 4.8)):
        w = transferred(**phases)
        w.calls[0].plan = replace(w.calls[0].plan, called=NUMBERS[1], talks=1.0)
        w.calls[0].ended = 112.0
        for voice, expected in ((10_200 - missing * 1000, False), (9_000 - missing * 1000, True)):
            assert ("unexplained" in rules(with_sound(voice_ms=voice)(w))) == expected, (phases, voice)


# --- pauses


def paused(*codes: tuple[str, float], talks: float = 8.0, **values: object) -> World:
    """The first call with what the switch did in it; its sound begins with it."""
    w = world()
    w.calls[0] = call("+1", 100.0, talks=talks)
    w.calls[0].codes[:] = codes
    own = {
        "announced_ms": 1300,
        "announcement_length_ms": 1200,
        "voice_ms": 7800,
        "length_ms": 9800,
        **values,
    }
    return with_sound(**own)(w)


TWO_SECONDS = (("pause", 103.0), ("resume", 105.0))
SILENT = {"silent": ((3050, 4950),), "voice_ms": 5900, "explained_ms": 1900, "paused_ms": 1900}


def test_speech_in_a_pause_is_redacted() -> None:
    assert model.check_settled(paused()) == []
    assert model.check_settled(paused(*TWO_SECONDS, **SILENT)) == []
    assert "paused" in rules(paused(*TWO_SECONDS))
    for silent in (((3050, 3600),), ((4300, 4950),), ((3050, 3900), (4100, 4950)), ((6050, 7950),)):
        assert "paused" in rules(paused(*TWO_SECONDS, **(SILENT | {"silent": silent}))), silent


def test_on_a_busy_machine_a_pause_may_lie_later_in_the_sound_and_is_as_long() -> None:
    for silent, expected in (((3700, 5650), False), ((3700, 5200), True), ((4200, 6200), True)):
        assert ("paused" in rules(paused(*TWO_SECONDS, **(SILENT | {"silent": (silent,)})))) == expected


def test_a_pause_holds_with_the_daemon_dead() -> None:
    w = replace(
        paused(*TWO_SECONDS),
        watch_spans=[(90.0, 102.0), (106.0, 200.0)],
        deaths=[ProcessDeath("daemon", 102.0)],
    )
    assert "paused" in rules(w)


def test_unended_pause_lasts_as_the_switch_says_or_the_call() -> None:
    ends = 3000 + PAUSE_SECONDS * 1000
    itself = SILENT | {"silent": ((3050, ends),)}
    assert "paused" not in rules(paused(("pause", 103.0), **itself))
    assert "paused" in rules(paused(("pause", 103.0), **(itself | {"silent": ((3050, 4100),)})))
    again = (("pause", 103.0), ("pause", 104.5))
    (pause,) = feature_codes.pauses(paused(*again).calls[0])
    assert pause == (103.0, 104.5 + PAUSE_SECONDS - feature_codes.WHOLE)
    at_the_end = paused(("pause", 103.0), talks=2.2).calls[0]
    assert list(feature_codes.pauses(at_the_end)) == [(103.0, 104.0)]


def test_observed_pause_redacts_no_more_than_was_paused() -> None:
    w = paused(*TWO_SECONDS, **(SILENT | {"paused_ms": 4500}))
    assert "paused" in rules(w)
    assert "paused" not in rules(replace(w, watch_spans=[(90.0, 102.0), (106.0, 200.0)]))


def test_unobserved_pause_redacts_no_more_than_its_limit() -> None:
    """What is said after it is not explained by it, however it was seen."""
    for seconds, expected in ((PAUSE_SECONDS, False), (PAUSE_SECONDS + 2.5, True)):
        w = paused(("pause", 103.0), **(SILENT | {"paused_ms": int(seconds * 1000)}))
        assert ("paused" in rules(replace(w, watch_spans=[(90.0, 102.0), (104.0, 200.0)]))) == expected


# --- answers


def pressed(*keys: tuple[str, str, float], at: int = 0, **plan: object) -> Callable[[World], World]:
    def change(w: World) -> World:
        w.calls[at].pressed[:] = keys
        w.calls[at].plan = replace(w.calls[at].plan, **plan)  # type: ignore[arg-type]
        return w

    return change


def test_agreement_requires_an_answer() -> None:
    yes, no = with_sound(answers=("yes",), agreed=True), with_sound(answers=("no",))
    presses = ("colleague", "*5", 102.0), ("external", "1", 104.0)
    assert "agreed" in rules(yes(world()))
    assert "agreed" in rules(yes(pressed(presses[0])(world())))
    assert "agreed" in rules(yes(pressed(presses[1])(world())))
    assert "agreed" in rules(yes(pressed(presses[0], ("external", "2", 104.0))(world())))
    assert "agreed" in rules(yes(pressed(presses[0], ("external", "1", 101.0))(world())))
    assert "agreed" in rules(no(pressed(*presses)(world())))
    assert "agreed" in rules(with_sound(agreed=True)(pressed(*presses)(world())))
    assert "agreed" not in rules(yes(pressed(*presses)(world())))


# --- destroyed in the call


CONFIRMATION = ("colleague", "*9", 102.0), ("colleague", "1", 108.0)


def destroyed(reason: str, state: str, *keys: tuple[str, str, float]) -> World:
    """The first call, which lasts long enough for the question, is not kept."""
    w = catalogue(
        recordings=GOOD.recordings[1:],
        unrecorded=(*GOOD.unrecorded, UnrecordedRow("r1", "t", "+1", reason, False)),
        leaves=(leaf(0, "call.not_recorded", "r1"), *LEAVES[1:3], *_of("r2")),
        grants={"g": "r2"},
    )(world())
    w.calls[0] = call("+1", 100.0, talks=10.0, state=state)
    w = replace(w, objects=frozenset(each for each in w.objects if "r1" not in each))
    w.plays[0] = replace(w.plays[0], recording="r2")
    return pressed(*keys)(w)


def _of(recording: str) -> tuple[Leaf, ...]:
    return tuple(replace(each, recording=recording) for each in LEAVES[3:])


def test_recording_is_destroyed_only_after_a_confirmation() -> None:
    assert model.check_settled(destroyed("deleted", "unrecorded", *CONFIRMATION)) == []
    assert "deleted" in rules(destroyed("deleted", "unrecorded"))
    for keys in (
        CONFIRMATION[:1],
        CONFIRMATION[1:],
        (CONFIRMATION[0], ("external", "1", 108.0)),
        CONFIRMATION[::-1],
    ):
        late = tuple((who, what, 100.0 + n) for n, (who, what, _) in enumerate(keys))
        assert "lost" in rules(destroyed("deleted", "announced", *late)), keys
        assert "deleted" in rules(destroyed("deleted", "unrecorded", *late)), keys
    w = pressed(*CONFIRMATION, called=NUMBERS[1])(destroyed("deleted", "unrecorded", *CONFIRMATION))
    assert "deleted" in rules(w), "a line that does not allow it"


def test_call_destroyed_by_a_colleague_is_listed_with_that_reason() -> None:
    assert "deleted" in rules(destroyed("daemon_away", "unrecorded", *CONFIRMATION))


def test_deletion_may_precede_the_switchs_report() -> None:
    assert "lost" not in rules(destroyed("deleted", "announced", *CONFIRMATION))
    assert "lost" in rules(destroyed("daemon_away", "announced", *CONFIRMATION))


def test_destroyed_call_is_not_kept() -> None:
    w = world()
    w.calls[0] = call("+1", 100.0, talks=10.0, state="unrecorded")
    assert "deleted" in rules(pressed(*CONFIRMATION)(w))


def test_deletion_dialled_in_time_under_a_daemon_is_done() -> None:
    def world_after(*keys: tuple[str, str, float]) -> World:
        w = world()
        w.calls[0] = call("+1", 100.0, talks=10.0)
        return pressed(*keys)(w)

    assert "deleted" in rules(world_after(*CONFIRMATION))
    assert "deleted" not in rules(world_after(CONFIRMATION[0], ("colleague", "1", 104.0))), (
        "before the question's end"
    )
    assert "deleted" not in rules(world_after(CONFIRMATION[0], ("colleague", "2", 108.0)))
    assert "deleted" not in rules(
        replace(world_after(*CONFIRMATION), watch_spans=[(90.0, 105.0), (106.0, 200.0)])
    )
    for phases in ({"transferred": 105.0, "joined": 105.3}, {"announcing": 101.0}):
        w = world_after(*CONFIRMATION)
        w.calls[0].phases |= phases
        assert "deleted" not in rules(w), phases
