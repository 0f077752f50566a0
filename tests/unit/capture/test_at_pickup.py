"""What the switch is ordered at pick-up, in which order: what ends a recording comes before it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gevent
import pytest

from recorder.call import initial
from recorder.call.state import Phase
from recorder.capture import call_controller
from recorder.capture.call_controller import CallController
from recorder.capture.spool_writer import SpoolWriter
from recorder.domain.call_events import (
    EXTERNAL,
    ChannelGone,
    FolderWritten,
    HoldEnded,
    HoldStarted,
    LegBridged,
    RecordingStarted,
    SoundEnded,
    SoundStarted,
)
from recorder.domain.call_plan import NOTICE, CallPlan, Script, Speech
from recorder.domain.parties import Party
from recorder.errors import SwitchError
from recorder.spool.layout import CallStart
from recorder.switch.commands import SwitchCommand

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
TOLD = Speech("/prompts/told.wav", timedelta(seconds=3))
PLAN = CallPlan(NOTICE, (Script(TOLD),), at_pickup=True)
RECORDING = "01a2101e-5dde-7d17-8d61-e2a8e19669f1"


class Switch:
    """Keeps what it is ordered, and answers as it is told to."""

    def __init__(self, answer: SwitchError | None = None) -> None:
        self.ordered: list[str] = []
        self.answer = answer

    def order(self, command: SwitchCommand) -> None:
        self.ordered.append(str(command))

    def ask(self, command: SwitchCommand) -> str:
        self.order(command)
        if self.answer is not None:
            raise self.answer
        return "+OK"


@pytest.fixture
def made(tmp_path: Path) -> Callable[[Switch], CallController]:
    def make(switch: Switch) -> CallController:
        start = CallStart(
            RECORDING, "t", "l", "100", "inbound", "n", "a", Party("withheld", ""), AT, ("opus",), None,
            at_pickup=True,
        )  # fmt: skip
        writer = SpoolWriter(tmp_path, RECORDING, lambda error: None)
        state, _ = initial.arrive(PLAN, AT)
        call = CallController(
            start, state, writer, now=lambda: AT, to_call=list, to_switch=switch.order, ask=switch.ask,
            ended=lambda call: None,
        )  # fmt: skip
        writer.open(start)
        call.feed(FolderWritten(AT))
        call.feed(LegBridged(AT, other="b"))
        return call

    return make


def told(call: CallController) -> None:
    call.feed(RecordingStarted(AT, state="announcing"))
    call.feed(SoundStarted(AT, leg=EXTERNAL, sound=TOLD.path))
    call.feed(SoundEnded(AT + TOLD.length, leg=EXTERNAL, sound=TOLD.path, complete=True))
    gevent.sleep(0)
    gevent.sleep(0)


def over(call: CallController) -> None:
    call.feed(ChannelGone(AT, ending=True))
    assert call.writer.flush(5)


def test_what_ends_it_is_in_the_switch_before_it_begins(made: Callable[[Switch], CallController]) -> None:
    switch = Switch()
    call = made(switch)
    named = [
        next(word for word in ("sched_api", "uuid_record", "uuid_broadcast", "terminators", "uuid_setvar")
             if word in order)
        for order in switch.ordered
    ]  # fmt: skip
    assert named == [
        *["uuid_setvar"] * 3,
        "sched_api",
        "sched_api",
        *["terminators"] * 2,
        "uuid_record",
        "uuid_broadcast",
    ]
    late, stop = (order for order in switch.ordered if "sched_api" in order)
    assert late.endswith("accord_state late")
    assert all(f"+7 {RECORDING} expand" in order for order in (late, stop)), "length, and four more"
    assert "== announced ? none : a" in stop
    assert f"stop '{call.writer.audio}'" in stop
    assert "== announcing ? a : none" in switch.ordered[-2]
    over(call)


def test_both_hear_it_once_they_have_been_connected_for_a_moment(
    made: Callable[[Switch], CallController], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sooner the switch would play it to one after the other."""
    monkeypatch.setattr(call_controller, "SETTLED", 0.4)
    clock = [100.0]
    monkeypatch.setattr(call_controller, "monotonic", lambda: clock[0])
    later: list[tuple[float, list[object]]] = []
    monkeypatch.setattr(
        call_controller.gevent, "spawn_later", lambda wait, *what: later.append((wait, list(what)))
    )
    switch = Switch()
    call = made(switch)
    assert [order for order in switch.ordered if "uuid_broadcast" in order] == []
    ((wait, (send, order)),) = [one for one in later if "uuid_broadcast" in str(one[1])]
    assert wait == call_controller.SETTLED
    assert callable(send)
    send(order)
    assert "uuid_broadcast" in switch.ordered[-1]
    assert "== announcing ? a : none" in switch.ordered[-1], "the switch looks then"
    over(call)


def test_the_switch_s_word_is_asked_for_and_counts(made: Callable[[Switch], CallController]) -> None:
    switch = Switch()
    call = made(switch)
    told(call)
    assert switch.ordered[-1].endswith("accord_state announced")
    assert call.state.phase is Phase.ANNOUNCED
    over(call)


@pytest.mark.parametrize(
    ("error_id", "phase"), [("switch.refused", Phase.UNRECORDED), ("switch.gone", Phase.ANNOUNCING)]
)
def test_a_switch_that_was_there_first_or_cannot_be_asked(
    made: Callable[[Switch], CallController], error_id: str, phase: Phase
) -> None:
    """Refused: its own bound has passed.  Gone: it is asked again when it is back."""
    call = made(Switch(SwitchError(error_id, "no", "")))
    told(call)
    assert call.state.phase is phase
    over(call)


def test_what_is_put_back_takes_its_end_along(made: Callable[[Switch], CallController]) -> None:
    switch = Switch()
    call = made(switch)
    call.feed(RecordingStarted(AT, state="announcing"))
    switch.ordered.clear()
    call.feed(HoldStarted(AT))
    assert switch.ordered[0] == f"api sched_del {RECORDING}"
    assert switch.ordered[-1] == f"api uuid_record a stop '{call.writer.audio}'"
    assert not any("sched_api" in order for order in switch.ordered), "begun again while it is on hold"
    call.feed(HoldEnded(AT))
    assert sum("sched_api" in order for order in switch.ordered) == 2
    over(call)
