"""Holds that began or ended unobserved: the switch reports which go on, and since when."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from recorder.call import initial
from recorder.call.machine import step
from recorder.call.state import CallState
from recorder.domain.call_events import INTERNAL, CallEvent, CallReconciled, CodeDialled, HoldEnded
from recorder.domain.call_plan import CallPlan
from recorder.domain.markers import Marker
from tests.unit.call.conversation import AT, KEEP, plan

LATER = {"seen": "later"}


def at(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


class ResumedCall:
    """A call that an earlier daemon followed for ten seconds, and the hold markers written since."""

    def __init__(self, *markers: Marker, line: CallPlan | None = None) -> None:
        earlier = [Marker(AT, kind) for kind in ("recording_started", "announcement_finished")]
        bridged = Marker(AT, "bridged", {"party": "extension", "value": "200", "leg": "b"})
        self.state: CallState = initial.resume(line or plan(KEEP), [*earlier, bridged, *markers], at(10))
        self.markers_written: list[tuple[str, datetime, dict[str, str]]] = []

    def feed(self, what: type[CallEvent], seconds: float, **more: object) -> None:
        self.state, actions = step(self.state, what(at(seconds), **more))  # type: ignore[arg-type]
        self.markers_written += [
            (one.kind, one.at, dict(one.data))
            for one in actions
            if isinstance(one, Marker) and "hold" in one.kind
        ]

    def reconcile(
        self, seconds: float, hold_since: datetime | None = None, theirs: datetime | None = None
    ) -> None:
        self.feed(
            CallReconciled, seconds, since=at(10), state="announced", capturing=True, other="b",
            held_since=hold_since, colleague_held_since=theirs,
        )  # fmt: skip


@pytest.mark.parametrize("since", [5, 12])
def test_marks_a_colleague_hold_from_its_start(since: float) -> None:
    before = [Marker(at(since), "internal_hold")] if since < 10 else []
    call = ResumedCall(*before)
    call.reconcile(20, theirs=at(since))
    call.feed(HoldEnded, 25, leg=INTERNAL)
    assert call.markers_written == [("internal_hold", at(since), LATER), ("internal_unhold", at(25), {})]


def test_marks_a_known_hold_once() -> None:
    call = ResumedCall(Marker(at(5), "hold"))
    assert call.state.hold.active
    call.reconcile(20, hold_since=at(5.5))
    assert call.state.hold.active
    call.feed(HoldEnded, 25)
    assert call.markers_written == [("unhold", at(25), {})]


def test_marks_a_hold_that_began_unobserved() -> None:
    call = ResumedCall(Marker(at(5), "hold"), Marker(at(6), "unhold"))
    call.reconcile(20, hold_since=at(12))
    assert call.state.hold.active
    assert not call.state.in_conversation
    assert call.markers_written == [("hold", at(12), LATER)]


def test_marks_the_end_of_a_hold_that_ended_unobserved() -> None:
    call = ResumedCall(Marker(at(5), "hold"))
    call.reconcile(20)
    assert not call.state.hold.active
    assert call.markers_written == [("unhold", at(20), LATER)]


def test_marks_a_second_hold_that_began_unobserved() -> None:
    call = ResumedCall(Marker(at(5), "hold"))
    call.reconcile(20, hold_since=at(15))
    assert call.state.hold.active
    assert call.markers_written == [("unhold", at(15), LATER), ("hold", at(15), LATER)]


def test_an_unobserved_hold_breaks_off_the_question() -> None:
    call = ResumedCall()
    call.reconcile(11)
    call.feed(CodeDialled, 12, code="keep", other="b")
    assert call.state.question.sound
    call.reconcile(14, hold_since=at(13))
    assert not call.state.question.sound
