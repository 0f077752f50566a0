"""Holds that begin or end while no daemon watches: the switch says which go on, and since when."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from recorder.call import initial
from recorder.call.machine import step
from recorder.call.state import CallState, WriteMark
from recorder.domain.call_events import INTERNAL, CallEvent, CallReconciled, CodeDialled, HoldEnded
from recorder.domain.call_plan import CallPlan
from tests.unit.call.test_consent import AT, KEEP, plan

LATER = {"seen": "later"}


def at(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


class Call:
    """A call that an earlier daemon followed for ten seconds, and what this one writes down of it."""

    def __init__(self, *notes: WriteMark, line: CallPlan | None = None) -> None:
        told = [WriteMark(kind, AT) for kind in ("recording_started", "announcement_finished")]
        bridged = WriteMark("bridged", AT, (("party", "extension"), ("value", "200"), ("leg", "b")))
        self.state: CallState = initial.resume(line or plan(KEEP), [*told, bridged, *notes], at(10))
        self.written: list[tuple[str, datetime, dict[str, str]]] = []

    def tell(self, what: type[CallEvent], seconds: float, **more: object) -> None:
        self.state, actions = step(self.state, what(at(seconds), **more))  # type: ignore[arg-type]
        self.written += [
            (one.kind, one.at, dict(one.data))
            for one in actions
            if isinstance(one, WriteMark) and "hold" in one.kind
        ]

    def is_found(self, seconds: float, held: datetime | None = None, theirs: datetime | None = None) -> None:
        self.tell(
            CallReconciled, seconds, since=at(10), state="announced", capturing=True, other="b",
            held_since=held, colleague_held_since=theirs,
        )  # fmt: skip


@pytest.mark.parametrize("since", [5, 12])
def test_the_colleague_s_goes_on_from_when_it_began(since: float) -> None:
    before = [WriteMark("internal_hold", at(since))] if since < 10 else []
    call = Call(*before)
    call.is_found(20, theirs=at(since))
    call.tell(HoldEnded, 25, leg=INTERNAL)
    assert call.written == [("internal_hold", at(since), LATER), ("internal_unhold", at(25), {})]


def test_the_outside_party_s_that_was_seen_to_begin_is_written_down_once() -> None:
    call = Call(WriteMark("hold", at(5)))
    assert call.state.hold.active
    call.is_found(20, held=at(5.5))
    assert call.state.hold.active
    call.tell(HoldEnded, 25)
    assert call.written == [("unhold", at(25), {})]


def test_one_that_nobody_saw_begin_is_written_down() -> None:
    call = Call(WriteMark("hold", at(5)), WriteMark("unhold", at(6)))
    call.is_found(20, held=at(12))
    assert call.state.hold.active
    assert not call.state.talking
    assert call.written == [("hold", at(12), LATER)]


def test_one_that_nobody_saw_end_is_over() -> None:
    call = Call(WriteMark("hold", at(5)))
    call.is_found(20)
    assert not call.state.hold.active
    assert call.written == [("unhold", at(20), LATER)]


def test_another_one_than_the_one_that_was_seen_to_begin() -> None:
    call = Call(WriteMark("hold", at(5)))
    call.is_found(20, held=at(15))
    assert call.state.hold.active
    assert call.written == [("unhold", at(15), LATER), ("hold", at(15), LATER)]


def test_a_question_that_was_open_is_broken_off_where_they_hold() -> None:
    call = Call()
    call.is_found(11)
    call.tell(CodeDialled, 12, code="keep", other="b")
    assert call.state.question.sound
    call.is_found(14, held=at(13))
    assert not call.state.question.sound
