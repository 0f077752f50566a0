"""The commands of an announcement on answer, and their order: the end of a recording is scheduled first."""

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
from recorder.domain import call_events
from recorder.domain.call_plan import NOTICE, CallPlan, Script, Speech
from recorder.errors import SwitchError
from recorder.switch.commands import SwitchCommand
from tests.unit.capture.controllers import RECORDING, control

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
ANNOUNCEMENT = Speech("/prompts/announcement.wav", timedelta(seconds=3))
PLAN = CallPlan(NOTICE, (Script(ANNOUNCEMENT),), at_pickup=True)


class Switch:
    """Records its commands, and gives a fixed answer."""

    def __init__(self, answer: SwitchError | None = None) -> None:
        self.commands: list[str] = []
        self.answer = answer

    def send(self, command: SwitchCommand) -> None:
        self.commands.append(str(command))

    def ask(self, command: SwitchCommand) -> str:
        self.send(command)
        if self.answer is not None:
            raise self.answer
        return "+OK"


@pytest.fixture
def make_call(tmp_path: Path) -> Callable[[Switch], CallController]:
    def make(switch: Switch) -> CallController:
        state, _ = initial.arrive(PLAN, AT)
        call = control(tmp_path, state, AT, {"at_pickup": True}, to_switch=switch.send, ask=switch.ask)
        call.feed(call_events.FolderWritten(AT))
        call.feed(call_events.LegBridged(AT, other="b"))
        return call

    return make


def play_announcement(call: CallController) -> None:
    call.feed(call_events.RecordingStarted(AT, state="announcing"))
    call.feed(call_events.SoundStarted(AT, leg=call_events.EXTERNAL, sound=ANNOUNCEMENT.path))
    call.feed(
        call_events.SoundEnded(
            AT + ANNOUNCEMENT.length, leg=call_events.EXTERNAL, sound=ANNOUNCEMENT.path, complete=True
        )
    )
    gevent.sleep(0)
    gevent.sleep(0)


def end(call: CallController) -> None:
    call.feed(call_events.ChannelGone(AT, hangup=True))
    assert call.writer.flush(5)


def test_schedules_the_end_before_the_recording_starts(make_call: Callable[[Switch], CallController]) -> None:
    switch = Switch()
    call = make_call(switch)
    kinds = [
        next(word for word in ("sched_api", "uuid_record", "uuid_broadcast", "terminators", "uuid_setvar")
             if word in order)
        for order in switch.commands
    ]  # fmt: skip
    assert kinds == [
        *["uuid_setvar"] * 3,
        "sched_api",
        "sched_api",
        *["terminators"] * 2,
        "uuid_record",
        "uuid_broadcast",
    ]
    late, stop = (order for order in switch.commands if "sched_api" in order)
    assert late.endswith("accord_state late")
    assert all(f"+7 {RECORDING} expand" in order for order in (late, stop)), "the length, and four seconds"
    assert "== announced ? none : a" in stop
    assert f"stop '{call.writer.audio}'" in stop
    assert "== announcing ? a : none" in switch.commands[-2]
    end(call)


def test_plays_to_both_after_the_settling_time(
    make_call: Callable[[Switch], CallController], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier, the switch would play the sound to one party after the other."""
    monkeypatch.setattr(call_controller, "SETTLING_TIME", 0.4)
    clock = [100.0]
    monkeypatch.setattr(call_controller, "monotonic", lambda: clock[0])
    later: list[tuple[float, list[object]]] = []
    monkeypatch.setattr(
        call_controller.gevent, "spawn_later", lambda wait, *what: later.append((wait, list(what)))
    )
    switch = Switch()
    call = make_call(switch)
    assert [order for order in switch.commands if "uuid_broadcast" in order] == []
    ((wait, (send, order)),) = [one for one in later if "uuid_broadcast" in str(one[1])]
    assert wait == call_controller.SETTLING_TIME
    assert callable(send)
    send(order)
    assert "uuid_broadcast" in switch.commands[-1]
    assert "== announcing ? a : none" in switch.commands[-1], "the switch checks the state then"
    end(call)


def test_switch_confirms_the_announcement(make_call: Callable[[Switch], CallController]) -> None:
    switch = Switch()
    call = make_call(switch)
    play_announcement(call)
    assert switch.commands[-1].endswith("accord_state announced")
    assert call.state.phase is Phase.ANNOUNCED
    end(call)


@pytest.mark.parametrize(
    ("error_id", "phase"), [("switch.refused", Phase.UNRECORDED), ("switch.gone", Phase.ANNOUNCING)]
)
def test_confirmation_is_refused_or_impossible(
    make_call: Callable[[Switch], CallController], error_id: str, phase: Phase
) -> None:
    """Refused: the switch's own time limit has passed. Gone: it is asked when the connection is back."""
    call = make_call(Switch(SwitchError(error_id, "no", "")))
    play_announcement(call)
    assert call.state.phase is phase
    end(call)


def test_hold_cancels_the_scheduled_end(make_call: Callable[[Switch], CallController]) -> None:
    switch = Switch()
    call = make_call(switch)
    call.feed(call_events.RecordingStarted(AT, state="announcing"))
    switch.commands.clear()
    call.feed(call_events.HoldStarted(AT))
    assert switch.commands[0] == f"api sched_del {RECORDING}"
    assert switch.commands[-1] == f"api uuid_record a stop '{call.writer.audio}'"
    assert not any("sched_api" in order for order in switch.commands), "started again while on hold"
    call.feed(call_events.HoldEnded(AT))
    assert sum("sched_api" in order for order in switch.commands) == 2
    end(call)
