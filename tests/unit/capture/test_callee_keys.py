"""A callee's keys: the call's own socket tells of them at the end of what plays, the standing connection at
once; each counts once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import gevent
import pytest

from recorder.call import initial
from recorder.call.state import Phase
from recorder.capture import Daemon, DaemonSettings
from recorder.capture.call_controller import CallController
from recorder.capture.spool_writer import SpoolWriter
from recorder.domain.call_plan import OPT_IN, OPT_OUT, CallPlan, Mode, Script, Speech
from recorder.domain.parties import Party
from recorder.spool import layout
from recorder.spool.layout import CallStart
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl_events import EslEvent
from tests.unit.capture.test_joiners import AT

QUESTION, TOLD, DECLINED = (
    Speech(f"/snapshot/prompts/{name}.wav", timedelta(seconds=3)) for name in ("question", "told", "declined")
)
CUT = "api uuid_break a"


class Callee:
    """A call that a colleague makes, and what is ordered for it: ``own`` on its own socket."""

    def __init__(self, root: Path, mode: Mode) -> None:
        self.root = root
        self.daemon = Daemon(DaemonSettings(node="n", spool=root, snapshot=root, password="x" * 12))
        self.ordered: list[str] = []
        self._numbers = count(1)
        plan = CallPlan(mode, (Script(TOLD, QUESTION, DECLINED),), outbound=True)
        start = CallStart(
            "01a2101e-5dde-7d17-8d61-e2a8e19669f1", "t", "l", "100", "outbound", "n", "a",
            Party("e164", "+32471000000"), AT, ("opus",), None,
        )  # fmt: skip
        state, actions = initial.arrive(plan, AT)
        self.call = CallController(
            start, state, SpoolWriter(root, start.recording, lambda error: None), now=lambda: AT,
            to_call=lambda orders: self.ordered.extend(map(str, orders)), to_switch=self._tell,
            ask=str, ended=lambda call: None,
        )  # fmt: skip
        self.daemon.calls["a"] = self.call
        self.call.act(actions)
        self.call.watch()

    def _tell(self, command: SwitchCommand) -> None:
        self.ordered.append(str(command))

    def event(self, name: str, **more: str) -> EslEvent:
        said = {
            "Event-Name": name, "Event-Date-Timestamp": "1795597200000000", "Unique-ID": "a",
            "Event-Sequence": str(next(self._numbers)), **more,
        }  # fmt: skip
        return EslEvent(("\n" + "".join(f"{one}: {value}\n" for one, value in said.items())).encode())

    def plays(self, sound: Speech) -> None:
        self.daemon._event(self.event("PLAYBACK_START", **{"Playback-File-Path": sound.path}))

    def presses(self, key: str) -> EslEvent:
        event = self.event("DTMF", **{"DTMF-Digit": key, "DTMF-Source": "RTP"})
        self.daemon._event(event)
        return event

    def played(self, sound: Speech) -> None:
        """At the sound's end, whether it was cut or not (seen)."""
        self.call.event(
            self.event(
                "CHANNEL_EXECUTE_COMPLETE",
                **{
                    "Application": "playback",
                    "Application-Data": sound.path,
                    "Application-Response": "FILE PLAYED",
                },
            )
        )

    def marks(self) -> list[str]:
        self.call.event(self.event("CHANNEL_DESTROY", **{"Answer-State": "hangup"}))
        assert gevent.wait(timeout=20)
        (folder,) = self.root.glob("01a2101e*")
        return [mark.kind for mark in layout.read_marks(folder)]


@pytest.fixture(params=[OPT_IN, OPT_OUT])
def callee(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callee]:
    yield Callee(tmp_path, request.param)
    assert gevent.wait(timeout=20)


def test_a_refusal_ends_what_plays_at_once_and_counts_once(callee: Callee) -> None:
    sound = QUESTION if callee.call.state.phase is Phase.ASKING else TOLD
    callee.plays(sound)
    pressed = callee.presses("2")
    assert callee.call.state.phase is Phase.UNRECORDED
    cut = callee.ordered.index(CUT)
    assert any("accord_decline" in each for each in callee.ordered[cut:])
    callee.call.event(pressed)  # its own socket tells of it, too, once the sound is over
    callee.played(sound)
    assert callee.ordered.count(CUT) == 1
    assert not any("accord_announced" in each for each in callee.ordered)
    marks = callee.marks()
    assert marks.count("question_answered") == 1
    assert "announcement_finished" not in marks


def test_a_yes_before_the_end_of_the_question_is_none(tmp_path: Path) -> None:
    callee = Callee(tmp_path, OPT_IN)
    callee.plays(QUESTION)
    early = callee.presses("1")
    callee.call.event(early)
    callee.played(QUESTION)
    callee.call.event(early)
    assert callee.call.state.phase is Phase.ASKING
    callee.presses("1")
    assert callee.call.state.phase is Phase.ANNOUNCING
    assert CUT not in callee.ordered
    assert callee.marks().count("question_answered") == 1
