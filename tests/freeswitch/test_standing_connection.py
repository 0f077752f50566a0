"""The standing connection to a real switch that hangs, dies and returns."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand
from recorder.switch.connection import ConnectionLimits
from recorder.switch.esl import Inbound
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import LiveState, Node, ReconnectBackoff
from tests.freeswitch.switches import PASSWORD, CallUnderTest, Rig
from tests.waiting import until

ID = "0193a1b2-0000-7000-8000-0123456789ab"


def leg_of(call: CallUnderTest) -> str:
    """Return its leg on the switch, whose list lags."""
    until("the leg is listed", lambda: call.leg)
    leg = call.leg
    assert leg is not None
    return leg


class CallbackLog:
    """A node and its callbacks."""

    def __init__(self, rig: Rig) -> None:
        self.live: list[LiveState] = []
        self.events: list[EslEvent] = []
        self.reasons: list[str] = []
        self.node = Node(
            "127.0.0.1",
            rig.switch.esl_port,
            PASSWORD,
            ["CHANNEL_ANSWER", "RECORD_START", "RECORD_STOP", "CHANNEL_DESTROY"],
            self.events.append,
            self.live.append,
            self.reasons.append,
            random=lambda: 0.5,
            limits=ConnectionLimits(connect=2, reply=1, write=1),
            backoff=ReconnectBackoff(first=0.05, longest=0.5),
            heartbeat=0.5,
        )


@pytest.fixture
def callbacks(rig: Rig) -> Iterator[CallbackLog]:
    callbacks = CallbackLog(rig)
    callbacks.node.start()
    assert callbacks.node.up.wait(5)
    yield callbacks
    callbacks.node.stop()


def test_detects_a_stopped_switch_and_finds_its_calls_again(
    rig: Rig, callbacks: CallbackLog, tmp_path: Path
) -> None:
    node = callbacks.node
    call = rig.call()
    call.wait_bridged()
    leg = leg_of(call)
    audio = tmp_path / "with space.wav"
    variables = f"{{RECORD_STEREO=true,accord_recording={ID}}}"
    node.api(SwitchCommand(f"api uuid_record {leg} start '{audio}' 0 {variables}"))
    until("it is recorded", lambda: [e for e in callbacks.events if e.name == "RECORD_START"])
    start = next(event for event in callbacks.events if event.name == "RECORD_START")
    assert (start.uuid, start.recording_variable("accord_recording")) == (leg, ID)
    assert rig.switch.process is not None
    rig.switch.process.send_signal(signal.SIGSTOP)
    try:
        until("its silence is noticed", lambda: callbacks.reasons)
        assert "did not answer" in callbacks.reasons[0], "by its own question, not by the connection's end"
        assert not node.up.is_set()
        with pytest.raises(SwitchError):
            node.api(commands.status())
    finally:
        rig.switch.process.send_signal(signal.SIGCONT)
    assert node.up.wait(10)
    assert len(callbacks.live) == 2
    channel = callbacks.live[-1].recorded_by(str(audio))
    assert channel is not None
    assert channel.uuid == leg
    assert node.recordings_of(leg) == (str(audio),)
    assert node.api(commands.record_stop(leg, audio)).startswith("+OK")
    until("its end is told", lambda: any(event.name == "RECORD_STOP" for event in callbacks.events))
    assert node.recordings_of(leg) == ()
    assert call.alive()
    # Stopping what is not recorded is refused, by name.
    with pytest.raises(SwitchError, match="Cannot stop") as failure:
        node.api(commands.record_stop(leg, audio))
    assert failure.value.error_id == "switch.refused"


def test_detects_a_dead_switch_and_reconnects(rig: Rig, callbacks: CallbackLog) -> None:
    rig.switch.stop()
    until("its death is noticed", lambda: callbacks.reasons)
    assert callbacks.reasons[0] == "the switch closed the connection", (
        "noticed at once, and not by its silence"
    )
    rig.switch.start()
    assert callbacks.node.up.wait(10)
    assert callbacks.node.api(commands.status()).startswith("UP")


def test_a_thousand_simultaneous_commands_get_their_own_replies(rig: Rig) -> None:
    connection = Inbound("127.0.0.1", rig.switch.esl_port, PASSWORD)
    connection.connect()
    try:
        names = ["mod_sofia" if number % 3 else f"mod_none_{number}" for number in range(1000)]
        replies = connection.send_all([commands.module_exists(name) for name in names], 20)
        assert [pending.wait().data for pending in replies] == [
            "true" if name == "mod_sofia" else "false" for name in names
        ]
    finally:
        connection.stop()


def test_values_are_returned_unchanged(rig: Rig, callbacks: CallbackLog) -> None:
    """Quoting and expansion change no value of Accord's."""
    call = rig.call()
    call.wait_bridged()
    leg = leg_of(call)
    for value in ("a b", "x=1;y:2", "50%", "é €", "/spool/a b.wav", "%0AUnique-ID%3A%20evil", "a,b|c"):
        callbacks.node.api(commands.put_variable(leg, "accord_test", value))
        assert callbacks.node.api(commands.get_variable(leg, "accord_test")) == value
    assert callbacks.node.api(commands.get_variable(leg, "accord_none")) == "_undef_"
