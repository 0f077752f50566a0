"""What is asked and ordered of the switch when somebody joins a call."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gevent
import pytest

from recorder.call import initial
from recorder.call.state import WriteMark
from recorder.capture import Daemon, DaemonSettings
from recorder.capture.call_controller import CallController
from recorder.capture.spool_writer import SpoolWriter
from recorder.domain.call_events import INTERNAL, ChannelGone, KeyPressed, LegBridged
from recorder.domain.call_plan import ALONE, BOTH, CallPlan, Script, Speech, TransferNoticeScript
from recorder.domain.parties import Party
from recorder.errors import SwitchError
from recorder.spool import layout
from recorder.spool.layout import CallStart
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl_events import EslEvent

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
SOUND = Speech("/snapshot/prompts/said.wav", timedelta(seconds=2))
REFUSED = Speech("/snapshot/prompts/refused.wav", timedelta(seconds=1))


@pytest.fixture(autouse=True)
def nothing_is_left_to_write() -> Iterator[None]:
    yield
    gevent.wait(timeout=20)


class Switch:
    """Answers with the variables of the leg that has come."""

    def __init__(self, **variables: str) -> None:
        self.variables = variables
        self.told: list[str] = []

    def ask(self, command: SwitchCommand) -> str:
        if "gone" in self.variables:
            raise SwitchError("switch.refused", "-ERR No such channel!")
        return self.variables.get(str(command).split()[-1], "_undef_")

    def tell(self, command: SwitchCommand) -> None:
        self.told.append(str(command))

    def played(self) -> list[str]:
        return [command for command in self.told if "uuid_broadcast" in command]


def joined(
    root: Path, switch: Switch, how: str = ALONE, leg: str = "c", first: bool = False, mode: str = "notice"
) -> CallController:
    """A call in which another comes, or the ``first``, once the switch has been asked about them."""
    notes = [
        WriteMark("recording_started", AT),
        WriteMark("announcement_finished", AT),
        WriteMark("bridged", AT, (("party", "extension"), ("value", "200"), ("leg", "b"))),
    ][: 2 if first else 3]
    refused = None if mode == "notice" else REFUSED
    plan = CallPlan(mode, (Script(SOUND, transfer_notice=TransferNoticeScript(SOUND, how, refused)),))
    start = CallStart(
        "01a2101e-5dde-7d17-8d61-e2a8e19669f1", "t", "l", "100", "inbound", "n", "a", Party("withheld", ""),
        AT, ("opus",), None,
    )  # fmt: skip
    writer = SpoolWriter(root, start.recording, lambda error: None)
    call = CallController(
        start, initial.resume(plan, notes, AT), writer, now=lambda: AT, to_call=list,
        to_switch=switch.tell, ask=switch.ask, ended=lambda call: None,
    )  # fmt: skip
    writer.open(start)
    call.feed(LegBridged(AT, party=Party("extension", "300"), other=leg))
    gevent.sleep(0.05)
    return call


def over(call: CallController) -> None:
    call.feed(ChannelGone(AT, ending=True))


@pytest.mark.parametrize(("how", "legs", "deaf"), [(ALONE, ["c"], "aleg"), (BOTH, ["a", "c"], "both")])
def test_a_colleague_is_told_and_no_key_ends_it(tmp_path: Path, how: str, legs: list[str], deaf: str) -> None:
    switch = Switch()
    call = joined(tmp_path, switch, how)
    assert switch.told[:-1] == [f"api uuid_setvar {leg} playback_terminators none" for leg in legs]
    (played,) = switch.played()
    assert played.endswith(f"'playback::{SOUND.path}' {deaf}")
    assert "announced" in played, "the switch looks whether it is still recorded"
    over(call)


@pytest.mark.parametrize(
    "said",
    [
        {"accord_outside": "true"},
        {"accord_state": "announced"},
        {"accord_state": "never_record"},
        {"sip_redirected_to": "<sip:300@elsewhere>"},
    ],
)
def test_who_is_outside_ends_the_take(tmp_path: Path, said: dict[str, str]) -> None:
    """By the way out in the dialplan, or because they came by Accord's own door: recorded or not."""
    switch = Switch(**said)
    call = joined(tmp_path, switch)
    assert call.state.recording.over
    assert switch.played() == []
    (stop,) = switch.told
    assert stop.startswith("api uuid_record a stop ")
    over(call)


@pytest.mark.parametrize(
    "said",
    [
        {"accord_outside": "false"},
        {"accord_outside": "false", "sip_redirected_to": "<sip:300@elsewhere>"},
        {"accord_state": "outgoing"},
        {"gone": "1"},
    ],
)
def test_who_is_not_or_cannot_be_asked_about_is_a_colleague(tmp_path: Path, said: dict[str, str]) -> None:
    switch = Switch(**said)
    call = joined(tmp_path, switch)
    assert not call.state.recording.over
    assert len(switch.played()) == 1
    over(call)


@pytest.mark.parametrize(
    ("said", "outside"),
    [
        ({"accord_outside": "true"}, True),
        ({"sip_redirected_to": "<sip:300@elsewhere>"}, True),
        ({"accord_state": "unrecorded"}, False),  # who waits for a queue's calls may have called in
        ({}, False),
    ],
)
def test_the_first_is_outside_by_the_dialplans_or_a_telephones_word_alone(
    tmp_path: Path, said: dict[str, str], outside: bool
) -> None:
    switch = Switch(**said)
    call = joined(tmp_path, switch, first=True)
    assert (call.state.reason == "forwarded_outside") == outside
    assert [command.split()[1] for command in switch.told] == (["uuid_record"] if outside else [])
    over(call)


def test_a_leg_that_is_put_into_no_command_is_told_nothing_and_noted_as_that(tmp_path: Path) -> None:
    switch = Switch()
    call = joined(tmp_path, switch, leg="a84b4c@pc33.atlanta.com")
    assert switch.told == []
    assert call.state.timer.deadline is not None, "nothing would end the wait"
    over(call)


@pytest.mark.parametrize(("how", "deaf"), [(ALONE, "aleg"), (BOTH, "both")])
def test_who_refuses_ends_the_take_and_hears_so(tmp_path: Path, how: str, deaf: str) -> None:
    switch = Switch()
    call = joined(tmp_path, switch, how, mode="opt-in")
    call.feed(KeyPressed(AT, leg=INTERNAL, key="2"))
    assert [
        command.partition(" /")[0].split(" '")[0] for command in switch.told if "uuid_record" in command
    ] == ["api uuid_record a stop"]
    asked, refused = switch.played()
    assert asked.endswith(f"'playback::{SOUND.path}' {deaf}")
    assert refused.endswith(f"'playback::{REFUSED.path}' {deaf}")
    over(call)


@pytest.mark.parametrize(("legs", "held"), [(("c", "z"), True), (("z", "c"), True), (("y", "z"), False),
                                            (("a", "c"), False), (("", "z"), False)])  # fmt: skip
def test_a_colleague_who_speaks_with_another_on_the_same_leg_has_put_the_outside_party_aside(
    tmp_path: Path, legs: tuple[str, str], held: bool
) -> None:
    """att_xfer: it is all that the switch tells before the transfer is complete."""
    daemon = Daemon(DaemonSettings(node="n", spool=tmp_path, snapshot=tmp_path, password="x" * 12))
    call = joined(tmp_path, Switch())
    daemon.calls["a"] = call
    names = {"Event-Name": "CHANNEL_BRIDGE", "Event-Date-Timestamp": "1795680000000000",
             "Unique-ID": legs[0], "Bridge-A-Unique-ID": legs[0], "Bridge-B-Unique-ID": legs[1],
             "Other-Leg-Unique-ID": legs[1]}  # fmt: skip
    lines = "".join(f"{name}: {value}\n" for name, value in names.items())
    daemon._event(EslEvent(f"\n{lines}\n".encode()))
    over(call)
    assert gevent.wait(timeout=20)
    (folder,) = tmp_path.glob("01a2101e*")
    kinds = [mark.kind for mark in layout.read_marks(folder)]
    assert ("internal_hold" in kinds) == held
