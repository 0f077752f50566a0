"""The queries and commands when somebody joins a call."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gevent
import pytest

from recorder.call import initial
from recorder.capture import Daemon, DaemonSettings
from recorder.capture.call_controller import CallController
from recorder.domain.call_events import INTERNAL, ChannelGone, KeyPressed, LegBridged
from recorder.domain.call_plan import ALONE, BOTH, CallPlan, Script, Speech, TransferNoticeScript
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.errors import SwitchError
from recorder.spool import layout
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl_events import EslEvent
from tests.greenlets import wait_idle
from tests.unit.capture.controllers import control

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
SOUND = Speech("/snapshot/prompts/said.wav", timedelta(seconds=2))
REFUSED = Speech("/snapshot/prompts/refused.wav", timedelta(seconds=1))


@pytest.fixture(autouse=True)
def wait_for_writes() -> Iterator[None]:
    yield
    wait_idle()


class Switch:
    """Answers with the variables of the new leg."""

    def __init__(self, **variables: str) -> None:
        self.variables = variables
        self.commands: list[str] = []

    def ask(self, command: SwitchCommand) -> str:
        if "gone" in self.variables:
            raise SwitchError("switch.refused", "-ERR No such channel!", "try again")
        return self.variables.get(str(command).split()[-1], "_undef_")

    def send(self, command: SwitchCommand) -> None:
        self.commands.append(str(command))

    def played(self) -> list[str]:
        return [command for command in self.commands if "uuid_broadcast" in command]


def join(
    root: Path, switch: Switch, how: str = ALONE, leg: str = "c", first: bool = False, mode: str = "notice"
) -> CallController:
    """A call that another party joins, or the ``first`` one, once the switch has been asked about the leg."""
    notes = [
        Marker(AT, "recording_started"),
        Marker(AT, "announcement_finished"),
        Marker(AT, "bridged", {"party": "extension", "value": "200", "leg": "b"}),
    ][: 2 if first else 3]
    refused = None if mode == "notice" else REFUSED
    plan = CallPlan(mode, (Script(SOUND, transfer_notice=TransferNoticeScript(SOUND, how, refused)),))
    call = control(root, initial.resume(plan, notes, AT), AT, to_switch=switch.send, ask=switch.ask)
    call.feed(LegBridged(AT, party=Party("extension", "300"), other=leg))
    gevent.sleep(0.05)
    return call


def end(call: CallController) -> None:
    call.feed(ChannelGone(AT, hangup=True))


@pytest.mark.parametrize(("how", "legs", "target"), [(ALONE, ["c"], "aleg"), (BOTH, ["a", "c"], "both")])
def test_notifies_an_internal_target_and_disables_keys(
    tmp_path: Path, how: str, legs: list[str], target: str
) -> None:
    switch = Switch()
    call = join(tmp_path, switch, how)
    assert switch.commands[:-1] == [f"api uuid_setvar {leg} playback_terminators none" for leg in legs]
    (played,) = switch.played()
    assert played.endswith(f"'playback::{SOUND.path}' {target}")
    assert "announced" in played, "the switch checks whether the call is recorded"
    end(call)


@pytest.mark.parametrize(
    "variables",
    [
        {"accord_external": "true"},
        {"accord_state": "announced"},
        {"accord_state": "never_record"},
        {"sip_redirected_to": "<sip:300@elsewhere>"},
    ],
)
def test_external_target_ends_the_take(tmp_path: Path, variables: dict[str, str]) -> None:
    """By the dialplan's variable, or because the call came in through Accord: recorded or not."""
    switch = Switch(**variables)
    call = join(tmp_path, switch)
    assert call.state.recording.over
    assert switch.played() == []
    (stop,) = switch.commands
    assert stop.startswith("api uuid_record a stop ")
    end(call)


@pytest.mark.parametrize(
    "variables",
    [
        {"accord_external": "false"},
        {"accord_external": "false", "sip_redirected_to": "<sip:300@elsewhere>"},
        {"accord_state": "outgoing"},
        {"gone": "1"},
    ],
)
def test_unknown_target_counts_as_internal(tmp_path: Path, variables: dict[str, str]) -> None:
    switch = Switch(**variables)
    call = join(tmp_path, switch)
    assert not call.state.recording.over
    assert len(switch.played()) == 1
    end(call)


@pytest.mark.parametrize(
    ("variables", "external"),
    [
        ({"accord_external": "true"}, True),
        ({"sip_redirected_to": "<sip:300@elsewhere>"}, True),
        ({"accord_state": "unrecorded"}, False),  # a queue's agent may have dialled in
        ({}, False),
    ],
)
def test_first_party_is_external_only_by_mark_or_redirect(
    tmp_path: Path, variables: dict[str, str], external: bool
) -> None:
    switch = Switch(**variables)
    call = join(tmp_path, switch, first=True)
    assert (call.state.reason == "forwarded_externally") == external
    assert [command.split()[1] for command in switch.commands] == (["uuid_record"] if external else [])
    end(call)


def test_unaddressable_target_hears_no_notice(tmp_path: Path) -> None:
    switch = Switch()
    call = join(tmp_path, switch, leg="a84b4c@pc33.atlanta.com")
    assert switch.commands == []
    assert call.state.timer.deadline is not None, "the wait has no time limit"
    end(call)


@pytest.mark.parametrize(("how", "target"), [(ALONE, "aleg"), (BOTH, "both")])
def test_refusal_ends_the_take_and_is_confirmed(tmp_path: Path, how: str, target: str) -> None:
    switch = Switch()
    call = join(tmp_path, switch, how, mode="opt-in")
    call.feed(KeyPressed(AT, leg=INTERNAL, key="2"))
    assert [
        command.partition(" /")[0].split(" '")[0] for command in switch.commands if "uuid_record" in command
    ] == ["api uuid_record a stop"]
    question, refused = switch.played()
    assert question.endswith(f"'playback::{SOUND.path}' {target}")
    assert refused.endswith(f"'playback::{REFUSED.path}' {target}")
    end(call)


@pytest.mark.parametrize(
    ("legs", "counts_as_hold"),
    [(("c", "z"), True), (("z", "c"), True), (("y", "z"), False), (("a", "c"), False), (("", "z"), False)],
)
def test_consultation_on_the_same_leg_counts_as_hold(
    tmp_path: Path, legs: tuple[str, str], counts_as_hold: bool
) -> None:
    """att_xfer: the switch reports nothing else before the transfer is complete."""
    daemon = Daemon(DaemonSettings(node="n", spool=tmp_path, snapshot=tmp_path, password="x" * 12))
    call = join(tmp_path, Switch())
    daemon.calls["a"] = call
    names = {"Event-Name": "CHANNEL_BRIDGE", "Event-Date-Timestamp": "1795680000000000",
             "Unique-ID": legs[0], "Bridge-A-Unique-ID": legs[0], "Bridge-B-Unique-ID": legs[1],
             "Other-Leg-Unique-ID": legs[1]}  # fmt: skip
    lines = "".join(f"{name}: {value}\n" for name, value in names.items())
    daemon.observer.handle_event(EslEvent(f"\n{lines}\n".encode()))
    end(call)
    assert wait_idle()
    (folder,) = tmp_path.glob("01a2101e*")
    kinds = [marker.kind for marker in layout.read_markers(folder)]
    assert ("internal_hold" in kinds) == counts_as_hold
