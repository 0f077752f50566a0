"""Calls on a line that bypassed Accord are listed once, and no others."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from recorder.capture import Daemon, DaemonSettings
from recorder.domain.line_policy import Announcement, LinePolicy
from recorder.errors import SwitchError
from recorder.spool import layout
from recorder.spool.snapshot import Snapshot
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import LiveChannel, LiveState
from tests.greenlets import wait_idle

OURS, THEIRS = "7d890c2c-f075-48a5-b2e1-638c52f1ecad", "0e2f4f0f-42ce-45d1-b9c0-1e6a8a2f64a1"
REASON = "dialplan_did_not_ask"
SEQUENCE = itertools.count(1)
DIALPLAN = """<section name="dialplan">
<context name="public">
<extension name="public_extensions"><condition field="destination_number" expression="^(10..)$">
<action application="transfer" data="$1 XML default"/></condition></extension>
<extension name="accord" continue="true"><condition>
<action application="set" data="accord_state=waiting"/>
<action application="socket" data="127.0.0.1:8084 async full"/></condition></extension>
</context></section>"""


class Switch:
    """Answers queries about its legs, dialplan and variables."""

    def __init__(self) -> None:
        self.legs: dict[str, dict[str, str]] = {}
        self.first: dict[str, tuple[str, str]] = {}
        self.globals: dict[str, str] = {}
        self.dialplan = DIALPLAN
        self.queries: list[str] = []
        self.before: Any = None

    def api(self, command: object) -> str:
        words = str(command).split()[1:]
        self.queries.append(words[0])
        if self.before is not None:
            self.before()
        match words:
            case ["uuid_dump", leg] if leg in self.legs:
                return "".join(f"{name}: {value}\n" for name, value in self.legs[leg].items())
            case ["uuid_getvar", leg, name] if leg in self.legs:
                return self.legs[leg].get(f"variable_{name}", "_undef_")
            case ["show", "channels", "like", leg, "as", "json"]:
                context, number = self.first.get(leg, ("", ""))
                row = {"uuid": leg, "initial_context": context, "initial_dest": number}
                return json.dumps({"rows": [row]}) if leg in self.first else '{"row_count": 0}'
            case ["show", "channels", "as", "json"]:
                rows = [
                    {"uuid": leg, "initial_context": first[0], "initial_dest": first[1]}
                    for leg, first in self.first.items()
                ]
                return json.dumps({"rows": rows})
            case ["xml_locate", "dialplan"]:
                return self.dialplan
            case ["global_getvar", name] if name in self.globals:
                return self.globals[name]
        raise SwitchError("switch.refused", "-ERR", "try again")

    def send_later(self, command: object) -> None:
        raise AssertionError(f"{command}: a call that continues unrecorded gets no command")


@pytest.fixture
def switch() -> Switch:
    return Switch()


@pytest.fixture
def daemon(tmp_path: Path, switch: Switch, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    settings = DaemonSettings(node="n", spool=tmp_path / "spool", snapshot=tmp_path, password="x" * 12)
    settings.spool.mkdir()
    node_daemon = Daemon(settings)
    announcement = Announcement("a", 1, "en", "text", ("agreement",), 30, "0" * 64, 1000)
    lines = {
        number: LinePolicy(
            "t", f"l{number}", number, "notice", "before_ringing", ("opus",), announcement, outbound=outbound
        )
        for number, outbound in (("1001", "off"), ("3225550101", "before_connected"), ("3225550102", "off"))
    }
    node_daemon.config._snapshot = Snapshot("", lines, frozenset({"32470000001"}), frozenset(), tmp_path)
    for part in (
        node_daemon.observer,
        node_daemon.intake,
        node_daemon.intake.bypassed,
        node_daemon.intake.unhandled,
    ):
        monkeypatch.setattr(part, "node", switch)
    monkeypatch.setattr("recorder.capture.bypassed_calls.LIST_DELAY", 0.0)
    return node_daemon


def event(name: str, leg: str = OURS, **more: str) -> EslEvent:
    headers = {
        "Event-Name": name,
        "Unique-ID": leg,
        "Event-Date-Timestamp": "1795576840000000",
        "Event-Sequence": str(next(SEQUENCE)),
        "Call-Direction": "inbound",
        "Caller-Caller-ID-Number": "+32470000001",
        "Bridge-A-Unique-ID": OURS,
        "Bridge-B-Unique-ID": THEIRS,
        **{key.replace("__", "-"): value for key, value in more.items()},
    }
    return EslEvent(("\n" + "".join(f"{key}: {value}\n" for key, value in headers.items())).encode())


def inbound_bridge(number: str = "1001", context: str = "public", **more: str) -> EslEvent:
    return event("CHANNEL_BRIDGE", Caller__Context=context, Caller__Destination__Number=number, **more)


def outbound_bridge(
    switch: Switch, destination: str = "2125550123", line: str = "3225550101", **theirs: str
) -> EslEvent:
    """An outbound call, bridged with a leg with this data."""
    switch.legs[THEIRS] = {"Unique-ID": THEIRS, "Call-Direction": "outbound", **theirs}
    return inbound_bridge(destination, "default", variable_accord_line=line)


def hang_up(daemon: Daemon, leg: str = OURS) -> None:
    daemon.observer.handle_event(
        event("CHANNEL_HANGUP_COMPLETE", leg, Answer__State="hangup", Hangup__Cause="NORMAL_CLEARING")
    )


def listed(daemon: Daemon) -> list[tuple[str, str, str, str | None]]:
    """Return direction, number, external party and reason of each finished call."""
    assert wait_idle(), "the daemon is still busy"
    return [
        (start.direction, start.number, start.external_party.value, layout.read_end(folder).reason)
        for folder in layout.finished_takes(daemon.settings.spool)
        for start in [layout.read_start(folder)]
    ]


def bridge_and_hang_up(
    daemon: Daemon, bridge: EslEvent, leg: str = OURS
) -> list[tuple[str, str, str, str | None]]:
    daemon.observer.handle_event(bridge)
    wait_idle()
    hang_up(daemon, leg)
    return listed(daemon)


INBOUND = ("inbound", "1001", "+32470000001", REASON)


def test_lists_an_inbound_call_routed_ahead_of_accord(daemon: Daemon) -> None:
    assert bridge_and_hang_up(daemon, inbound_bridge()) == [INBOUND]
    assert daemon.intake.bypassed.count == 1
    assert daemon.intake.bypassed.last is not None
    assert (daemon.intake.bypassed.last.context, daemon.intake.bypassed.last.number) == ("public", "1001")


def test_writes_a_bypassed_call_while_it_continues(daemon: Daemon) -> None:
    daemon.observer.handle_event(inbound_bridge())
    wait_idle()
    (folder,) = layout.open_takes(daemon.settings.spool)
    assert layout.read_start(folder).refused == REASON


def test_transferred_call_is_on_its_first_number(daemon: Daemon, switch: Switch) -> None:
    """As in vanilla's public context: to 1001 of another context."""
    switch.first[OURS] = ("public", "1001")
    bridge = inbound_bridge("1001", "default", Caller__Transfer__Source="1:x:bl_xfer:1001/default/XML")
    assert bridge_and_hang_up(daemon, bridge) == [INBOUND]


@pytest.mark.parametrize(
    ("first", "found"),
    [(("public", "3225550101"), True), (("default", "3225550101"), False), (("public", "999"), False)],
)
def test_first_context_and_number_come_from_the_switch(
    daemon: Daemon, switch: Switch, first: tuple[str, str], found: bool
) -> None:
    switch.first[OURS] = first
    bridge = inbound_bridge(
        "1000",
        "default",
        Caller__Transfer__Source="x",
        Caller__RDNIS="3225550101",
        variable_sip_req_user="1001",
    )
    assert bool(bridge_and_hang_up(daemon, bridge)) is found


def test_unaddressable_channel_does_not_hide_a_call(daemon: Daemon, switch: Switch) -> None:
    leg = "a84b4c76e66710 hupall@pc33"
    switch.first[leg] = ("public", "1001")
    bridge = event("CHANNEL_BRIDGE", leg, Caller__Context="default", Caller__Destination__Number="1001",
                 Caller__Transfer__Source="x")  # fmt: skip
    assert bridge_and_hang_up(daemon, bridge, leg) == [INBOUND]


def test_checks_a_call_that_was_transferred_twice(daemon: Daemon, switch: Switch) -> None:
    switch.first[OURS] = ("public", "1001")
    history = "ARRAY::1:x:bl_xfer:2000/a/XML|:2:y:bl_xfer:2001/b/XML"
    bridge = inbound_bridge(
        "2001", "b", Caller__Transfer__Source="y", Caller__RDNIS="2000", variable_transfer_history=history
    )
    assert bridge_and_hang_up(daemon, bridge) == [INBOUND]


@pytest.mark.parametrize(
    "bridge",
    [
        inbound_bridge(variable_accord_state="unrecorded"),
        inbound_bridge(variable_accord_state="never_record"),
        inbound_bridge("2000"),
        inbound_bridge(context="default"),  # between extensions
        inbound_bridge(context="somebody_elses"),
        inbound_bridge(Call__Direction="outbound"),
        inbound_bridge("2000", variable_sip_h_X_accord_line="1001"),
        inbound_bridge("1001%0Avariable_accord_line: 3225550101"),
    ],
)
def test_ignores_other_calls(daemon: Daemon, bridge: EslEvent) -> None:
    assert bridge_and_hang_up(daemon, bridge) == []
    assert daemon.intake.bypassed.count == 0


def test_forged_caller_data_does_not_hide_a_call(daemon: Daemon) -> None:
    """A number on the never-record list, a name with line feeds, and a header like Accord's."""
    bridge = inbound_bridge(
        Caller__Caller__ID__Name="x%0Avariable_accord_state: announced",
        variable_sip_h_X_accord_state="announced",
        variable_sip_from_user="32470000001",
    )
    assert bridge_and_hang_up(daemon, bridge) == [INBOUND]


def test_handled_calls_need_no_query(daemon: Daemon, switch: Switch) -> None:
    for bridge in (
        inbound_bridge(variable_accord_state="announced"),
        inbound_bridge("2000"),
        inbound_bridge("2000", "default"),
    ):
        daemon.observer.handle_event(bridge)
    assert wait_idle()
    assert switch.queries == []


def test_caches_the_dialplan(daemon: Daemon, switch: Switch) -> None:
    for _ in range(20):
        daemon.observer.handle_event(inbound_bridge(context="default"))
    assert wait_idle()
    assert switch.queries.count("xml_locate") == 1


def test_context_of_earlier_calls_counts_without_a_dialplan(daemon: Daemon, switch: Switch) -> None:
    switch.dialplan = "<document/>"
    daemon.intake.bypassed.note_context("public")
    assert bridge_and_hang_up(daemon, inbound_bridge()) == [INBOUND]


def test_lists_a_bypassed_call_once(daemon: Daemon, switch: Switch) -> None:
    switch.legs[OURS] = {
        "Unique-ID": OURS, "Call-Direction": "inbound", "Caller-Caller-ID-Number": "+32470000001",
        "Caller-Destination-Number": "1001", "variable_bridge_uuid": THEIRS, "variable_sip_req_user": "1001",
    }  # fmt: skip
    live = LiveState({OURS: LiveChannel(OURS, "inbound", "ACTIVE", "default", (), "public", "1001")})
    for _ in range(2):
        daemon.intake.unhandled.check(live, daemon.calls)
        daemon.observer.handle_event(inbound_bridge())
        wait_idle()
    hang_up(daemon)
    hang_up(daemon)
    daemon.observer.handle_event(inbound_bridge())
    assert listed(daemon) == [INBOUND]
    assert daemon.intake.bypassed.count == 1


def test_next_daemon_finds_a_bypassed_call(daemon: Daemon, switch: Switch) -> None:
    switch.legs[OURS] = {
        "Unique-ID": OURS, "Call-Direction": "inbound", "Caller-Caller-ID-Number": "+32470000001",
        "Caller-Destination-Number": "1001", "variable_bridge_uuid": THEIRS,
    }  # fmt: skip
    daemon.intake.unhandled.check(
        LiveState({OURS: LiveChannel(OURS, "inbound", "ACTIVE", "default", (), "public", "1001")}),
        daemon.calls,
    )
    hang_up(daemon)
    assert listed(daemon) == [INBOUND]


def test_lists_a_call_that_hangs_up_during_the_check(daemon: Daemon, switch: Switch) -> None:
    def hang_up_once() -> None:
        switch.before = None
        hang_up(daemon)

    switch.before = hang_up_once
    daemon.observer.handle_event(inbound_bridge())
    assert listed(daemon) == [INBOUND]
    assert not daemon.calls


def test_bridge_may_be_reported_by_the_internal_leg(daemon: Daemon, switch: Switch) -> None:
    """A waiting call is picked up (intercept)."""
    switch.legs[OURS] = {
        "Unique-ID": OURS, "Call-Direction": "inbound", "Caller-Caller-ID-Number": "+32470000001",
        "Caller-Destination-Number": "1001", "Caller-Context": "public",
    }  # fmt: skip
    bridge = event("CHANNEL_BRIDGE", THEIRS, Caller__Destination__Number="886", Caller__Context="default",
                 Other__Leg__Direction="inbound", Other__Leg__Destination__Number="1001")  # fmt: skip
    assert bridge_and_hang_up(daemon, bridge) == [INBOUND]


def test_lists_a_call_that_joins_a_conference(daemon: Daemon) -> None:
    bridge = event("CUSTOM", Event__Subclass="conference::maintenance", Action="add-member", Member__ID="1",
                 Conference__Unique__ID="room", Conference__Name="3500", Caller__Context="public",
                 Caller__Destination__Number="1001")  # fmt: skip
    assert bridge_and_hang_up(daemon, bridge) == [INBOUND]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("near", [True, False])
def test_call_that_was_handled_beyond_loopback_is_not_listed(
    daemon: Daemon, switch: Switch, monkeypatch: pytest.MonkeyPatch, known: bool, near: bool
) -> None:
    """The dialplan bridges to ``loopback/…`` and asks there, or the other way round."""
    half = "5d3f2c1b-0000-4000-8000-00000000000b"
    is_known = daemon.intake.bypassed.is_known
    monkeypatch.setattr(
        daemon.intake.bypassed, "is_known", lambda leg: (known and leg == half) or is_known(leg)
    )
    variable = {"variable_other_loopback_leg_uuid": half}
    switch.legs[THEIRS] = {"Unique-ID": THEIRS, "Call-Direction": "outbound", **({} if near else variable)}
    found = bridge_and_hang_up(daemon, inbound_bridge(**(variable if near else {})))
    assert found == ([] if known else [INBOUND])
    assert daemon.intake.bypassed.count == (not known)


OUTBOUND = ("outbound", "3225550101", "2125550123", REASON)


@pytest.mark.parametrize(
    "theirs",
    [
        {"variable_sip_gateway_name": "trunk"},
        {},  # a number of seven digits or more
        {"variable_accord_external": "true", "variable_dialed_user": "1001"},
    ],
)
def test_lists_an_outbound_call_under_its_line(
    daemon: Daemon, switch: Switch, theirs: dict[str, str]
) -> None:
    assert bridge_and_hang_up(daemon, outbound_bridge(switch, **theirs), THEIRS) == [OUTBOUND]


@pytest.mark.parametrize(
    ("destination", "theirs"),
    [
        ("1001", {}),
        ("5551234", {"variable_dialed_user": "1001"}),
        ("2125550123", {"variable_accord_external": "false", "variable_sip_gateway_name": "mobiles"}),
        ("2125550123", {"variable_accord_state": "unrecorded", "variable_accord_direction": "outbound"}),
        ("2125550123", {"Call-Direction": "inbound"}),
    ],
)
def test_ignores_internal_calls(
    daemon: Daemon, switch: Switch, destination: str, theirs: dict[str, str]
) -> None:
    assert bridge_and_hang_up(daemon, outbound_bridge(switch, destination, **theirs), THEIRS) == []


def test_ignores_outbound_calls_of_a_line_without_outbound_recording(daemon: Daemon, switch: Switch) -> None:
    assert bridge_and_hang_up(daemon, outbound_bridge(switch, line="3225550102"), THEIRS) == []
    assert bridge_and_hang_up(daemon, outbound_bridge(switch, line="3225550199"), THEIRS) == []
    assert "uuid_dump" not in switch.queries


def test_emergency_call_is_listed_as_never_record(daemon: Daemon, switch: Switch) -> None:
    switch.globals["accord_emergency"] = "^(112|911)$"
    found = bridge_and_hang_up(
        daemon, outbound_bridge(switch, "112", variable_sip_gateway_name="trunk"), THEIRS
    )
    assert [each[3] for each in found] == ["never_record"]
    assert daemon.intake.bypassed.count == 0


def test_listed_call_is_not_recorded_later(daemon: Daemon) -> None:
    """It is transferred to a route with Accord: one call is one row."""
    from typing import cast

    from recorder.switch.esl import OutboundSession
    from recorder.switch.outbound_socket import Arrival

    daemon.observer.handle_event(inbound_bridge())
    wait_idle()
    arrival = {"Unique-ID": OURS, "Call-Direction": "inbound", "variable_accord_line": "1001"}
    daemon.intake.arrive(
        Arrival.of({**arrival, "variable_accord_state": "waiting"}), cast("OutboundSession", None)
    )
    hang_up(daemon)
    assert listed(daemon) == [INBOUND]
