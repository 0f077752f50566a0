"""What the daemon does with reports of callers to rooms (the whole way: ``tests/integration``)."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from structlog.testing import capture_logs

from recorder.capture import room_callers
from recorder.capture.room_callers import FORGET_S, MOST_CALLERS, ROOM, RoomCallers
from recorder.domain.room_caller import CODE, END, ENTER, SESSION_VARIABLE, CallerDirection, CallerReport
from recorder.errors import SwitchError
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import Node
from tests.greenlets import wait_idle


class Switch:
    """Refuses every order, as of somebody who has hung up."""

    def send_all(self, _orders: object, _limit: float) -> list[Switch]:
        return [self]

    def accepted(self) -> None:
        raise SwitchError("switch.refused", "no such channel", "")


class Scene:
    def __init__(self, direction: CallerDirection | None) -> None:
        self.seconds, self.reports = 0.0, list[CallerReport]()
        self.direction = direction
        self.callers = RoomCallers(
            cast("Node", Switch()), Path("/spool"), report=self.report, monotonic=lambda: self.seconds
        )

    def report(self, _spool: Path, report: CallerReport) -> CallerDirection | None:
        self.reports.append(report)
        return self.direction

    def step(self, channel: str, step: str = CODE) -> None:
        self.callers.handle_event(
            event("CUSTOM", channel, **{"Event-Subclass": ROOM, "accord_room_step": step})
        )
        wait_idle()

    def hang_up(self, channel: str, **variables: str) -> None:
        self.callers.handle_hangup(event("CHANNEL_HANGUP_COMPLETE", channel, **variables))
        wait_idle()


def event(name: str, channel: str, **headers: str) -> EslEvent:
    lines = {"Event-Name": name, "Unique-ID": channel, **headers}
    return EslEvent("".join(f"{key}: {value}\n" for key, value in lines.items()).encode() + b"\n")


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_callers, "FIRST_CODE_S", 0.0)


def test_session_of_a_caller_who_has_hung_up_meanwhile_is_ended() -> None:
    scene = Scene(CallerDirection(ENTER, room="d", session="s1"))
    scene.step("a", "answer")
    assert [(each.step, each.session) for each in scene.reports] == [("answer", ""), (END, "s1")]


def test_only_ends_of_callers_are_reported() -> None:
    scene = Scene(None)
    scene.hang_up("somebody")
    scene.hang_up("from-before", **{f"variable_{SESSION_VARIABLE}": "s1"})
    scene.step("a")
    scene.hang_up("a")
    assert [(each.channel, each.step, each.session) for each in scene.reports] == [
        ("from-before", END, "s1"), ("a", CODE, ""), ("a", END, ""),
    ]  # fmt: skip


def test_unknown_steps_and_channels_are_not_reported() -> None:
    scene = Scene(None)
    for channel, step in (("a", "end"), ("a", ""), ("a", "busy"), ("a b", CODE), ("", CODE)):
        scene.step(channel, step)
    assert scene.reports == []


def test_flood_is_refused_until_its_callers_are_forgotten() -> None:
    scene = Scene(None)
    for number in range(MOST_CALLERS):
        scene.callers._tries[f"c{number}"] = 1, 0.0
    with capture_logs() as logs:
        scene.step("a")
        scene.step("c0")
    assert [each.channel for each in scene.reports] == ["c0"], "who is known goes on"
    assert "caller.refused" in [each["event"] for each in logs]
    scene.seconds = FORGET_S + 1
    scene.step("a")
    assert scene.reports[-1].channel == "a"
