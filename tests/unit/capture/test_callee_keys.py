"""A callee's keys. The call's own socket reports them when the sound has ended, the standing connection at
once; each counts once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from recorder.call import initial
from recorder.call.state import Phase
from recorder.capture import Daemon, DaemonSettings
from recorder.capture.call_controller import CallController
from recorder.capture.spool_writer import SpoolWriter
from recorder.domain.call_plan import OPT_IN, OPT_OUT, CallPlan, Mode, Script, Speech
from recorder.domain.parties import Party
from recorder.spool import layout
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl_events import EslEvent
from tests.greenlets import wait_idle
from tests.unit.capture.controllers import call_start
from tests.unit.capture.test_transfer_target import AT

QUESTION, ANNOUNCEMENT, DECLINED = (
    Speech(f"/snapshot/prompts/{name}.wav", timedelta(seconds=3))
    for name in ("question", "announcement", "declined")
)
CUT = "api uuid_break a"


class Callee:
    """An outbound call, and the commands for it."""

    def __init__(self, root: Path, mode: Mode) -> None:
        self.root = root
        self.daemon = Daemon(DaemonSettings(node="n", spool=root, snapshot=root, password="x" * 12))
        self.commands: list[str] = []
        self._numbers = count(1)
        plan = CallPlan(mode, (Script(ANNOUNCEMENT, QUESTION, DECLINED),), outbound=True)
        start = call_start(AT, direction="outbound", external_party=Party("e164", "+32471000000"))
        state, actions = initial.arrive(plan, AT)
        self.call = CallController(
            start, state, SpoolWriter(root, start.recording, lambda error: None), now=lambda: AT,
            to_call=lambda orders: self.commands.extend(map(str, orders)), to_switch=self._send,
            ask=str, ended=lambda call: None,
        )  # fmt: skip
        self.daemon.calls["a"] = self.call
        self.call.act(actions)
        self.call.set_timer()

    def _send(self, command: SwitchCommand) -> None:
        self.commands.append(str(command))

    def event(self, name: str, **more: str) -> EslEvent:
        headers = {
            "Event-Name": name, "Event-Date-Timestamp": "1795597200000000", "Unique-ID": "a",
            "Event-Sequence": str(next(self._numbers)), **more,
        }  # fmt: skip
        return EslEvent(("\n" + "".join(f"{one}: {value}\n" for one, value in headers.items())).encode())

    def start_sound(self, sound: Speech) -> None:
        self.daemon.observer.handle_event(self.event("PLAYBACK_START", **{"Playback-File-Path": sound.path}))

    def press(self, key: str) -> EslEvent:
        event = self.event("DTMF", **{"DTMF-Digit": key, "DTMF-Source": "RTP"})
        self.daemon.observer.handle_event(event)
        return event

    def end_sound(self, sound: Speech) -> None:
        """The event at the sound's end, which is the same if it was cut (observed)."""
        self.call.receive(
            self.event(
                "CHANNEL_EXECUTE_COMPLETE",
                **{
                    "Application": "playback",
                    "Application-Data": sound.path,
                    "Application-Response": "FILE PLAYED",
                },
            )
        )

    def markers(self) -> list[str]:
        self.call.receive(self.event("CHANNEL_DESTROY", **{"Answer-State": "hangup"}))
        assert wait_idle()
        (folder,) = self.root.glob("01a2101e*")
        return [marker.kind for marker in layout.read_markers(folder)]


@pytest.fixture(params=[OPT_IN, OPT_OUT])
def callee(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callee]:
    yield Callee(tmp_path, request.param)
    assert wait_idle()


def test_refusal_ends_the_sound_at_once_and_counts_once(callee: Callee) -> None:
    sound = QUESTION if callee.call.state.phase is Phase.ASKING else ANNOUNCEMENT
    callee.start_sound(sound)
    pressed = callee.press("2")
    assert callee.call.state.phase is Phase.UNRECORDED
    cut = callee.commands.index(CUT)
    assert any("accord_decline" in each for each in callee.commands[cut:])
    callee.call.receive(pressed)  # its own socket reports it, too, once the sound has ended
    callee.end_sound(sound)
    assert callee.commands.count(CUT) == 1
    assert not any("accord_announced" in each for each in callee.commands)
    markers = callee.markers()
    assert markers.count("question_answered") == 1
    assert "announcement_finished" not in markers


def test_yes_before_the_end_of_the_question_does_not_count(tmp_path: Path) -> None:
    callee = Callee(tmp_path, OPT_IN)
    callee.start_sound(QUESTION)
    early = callee.press("1")
    callee.call.receive(early)
    callee.end_sound(QUESTION)
    callee.call.receive(early)
    assert callee.call.state.phase is Phase.ASKING
    callee.press("1")
    assert callee.call.state.phase is Phase.ANNOUNCING
    assert CUT not in callee.commands
    assert callee.markers().count("question_answered") == 1
