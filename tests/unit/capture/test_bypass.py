"""A call on a line that the dialplan never asked about is listed once, and no other call is."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import gevent
import pytest

from recorder.capture import Daemon, DaemonSettings
from recorder.domain.line_policy import Announcement, LinePolicy, Snapshot
from recorder.errors import SwitchError
from recorder.spool import layout
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import Live, LiveChannel

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
    """What the switch says when it is asked: of its legs, of its dialplan, of its variables."""

    def __init__(self) -> None:
        self.legs: dict[str, dict[str, str]] = {}
        self.first: dict[str, tuple[str, str]] = {}
        self.globals: dict[str, str] = {}
        self.dialplan = DIALPLAN
        self.asked: list[str] = []
        self.before: Any = None

    def api(self, command: object) -> str:
        words = str(command).split()[1:]
        self.asked.append(words[0])
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
        raise SwitchError("switch.refused", "-ERR")

    def send_later(self, command: object) -> None:
        raise AssertionError(f"{command}: it goes on unrecorded, and is left alone")


@pytest.fixture
def switch() -> Switch:
    return Switch()


@pytest.fixture
def daemon(tmp_path: Path, switch: Switch, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    settings = DaemonSettings(node="n", spool=tmp_path / "spool", snapshot=tmp_path, password="x" * 12)
    settings.spool.mkdir()
    made = Daemon(settings)
    told = Announcement("a", 1, "en", "text", ("agreement",), 30, "0" * 64, 1000)
    lines = {
        number: LinePolicy(
            "t", f"l{number}", number, "notice", "before_ringing", ("opus",), told, outbound=outbound
        )
        for number, outbound in (("1001", "off"), ("3225550101", "before_connected"), ("3225550102", "off"))
    }
    made.knowledge._snapshot = Snapshot("", lines, frozenset({"32470000001"}), frozenset(), tmp_path)
    monkeypatch.setattr(made, "node", switch)
    monkeypatch.setattr(made.bypass, "_node", switch)
    monkeypatch.setattr(made._passed, "_node", switch)
    monkeypatch.setattr("recorder.capture.bypassed_calls.LISTED", 0.0)
    return made


def event(name: str, leg: str = OURS, **more: str) -> EslEvent:
    said = {
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
    return EslEvent(("\n" + "".join(f"{key}: {value}\n" for key, value in said.items())).encode())


def comes_in(number: str = "1001", context: str = "public", **more: str) -> EslEvent:
    return event("CHANNEL_BRIDGE", Caller__Context=context, Caller__Destination__Number=number, **more)


def goes_out(
    switch: Switch, dialled: str = "2125550123", line: str = "3225550101", **theirs: str
) -> EslEvent:
    """A colleague's call, connected with a leg of which the switch says this."""
    switch.legs[THEIRS] = {"Unique-ID": THEIRS, "Call-Direction": "outbound", **theirs}
    return comes_in(dialled, "default", variable_accord_line=line)


def hang_up(daemon: Daemon, leg: str = OURS) -> None:
    daemon._event(
        event("CHANNEL_HANGUP_COMPLETE", leg, Answer__State="hangup", Hangup__Cause="NORMAL_CLEARING")
    )


def listed(daemon: Daemon) -> list[tuple[str, str, str, str | None]]:
    """Direction, number, outside party and reason of each call that is written down whole."""
    assert gevent.wait(timeout=20), "the daemon still works"
    return [
        (start.direction, start.number, start.external_party.value, layout.read_end(folder).reason)
        for folder in layout.finished_takes(daemon.settings.spool)
        for start in [layout.read_start(folder)]
    ]


def follow(daemon: Daemon, told: EslEvent, leg: str = OURS) -> list[tuple[str, str, str, str | None]]:
    daemon._event(told)
    gevent.wait(timeout=20)
    hang_up(daemon, leg)
    return listed(daemon)


INBOUND = ("inbound", "1001", "+32470000001", REASON)


def test_an_inbound_call_that_is_routed_ahead_of_us_is_listed(daemon: Daemon) -> None:
    assert follow(daemon, comes_in()) == [INBOUND]
    assert daemon.bypass.count == 1
    assert daemon.bypass.last is not None
    assert (daemon.bypass.last.context, daemon.bypass.last.number) == ("public", "1001")


def test_it_is_found_while_it_goes_on_and_survives_the_daemon(daemon: Daemon) -> None:
    daemon._event(comes_in())
    gevent.wait(timeout=20)
    (folder,) = layout.open_takes(daemon.settings.spool)
    assert layout.read_start(folder).refused == REASON


def test_a_call_that_was_transferred_is_on_the_number_that_was_dialled(
    daemon: Daemon, switch: Switch
) -> None:
    """As vanilla's public context does: to 1001 of another context."""
    switch.first[OURS] = ("public", "1001")
    told = comes_in("1001", "default", Caller__Transfer__Source="1:x:bl_xfer:1001/default/XML")
    assert follow(daemon, told) == [INBOUND]


@pytest.mark.parametrize(
    ("first", "found"),
    [(("public", "3225550101"), True), (("default", "3225550101"), False), (("public", "999"), False)],
)
def test_its_first_context_and_number_are_the_switchs_word(
    daemon: Daemon, switch: Switch, first: tuple[str, str], found: bool
) -> None:
    switch.first[OURS] = first
    told = comes_in(
        "1000",
        "default",
        Caller__Transfer__Source="x",
        Caller__RDNIS="3225550101",
        variable_sip_req_user="1001",
    )
    assert bool(follow(daemon, told)) is found


def test_an_id_that_is_put_into_no_command_hides_no_call(daemon: Daemon, switch: Switch) -> None:
    leg = "a84b4c76e66710 hupall@pc33"
    switch.first[leg] = ("public", "1001")
    told = event("CHANNEL_BRIDGE", leg, Caller__Context="default", Caller__Destination__Number="1001",
                 Caller__Transfer__Source="x")  # fmt: skip
    assert follow(daemon, told, leg) == [INBOUND]


def test_one_that_was_transferred_twice_is_looked_at_too(daemon: Daemon, switch: Switch) -> None:
    switch.first[OURS] = ("public", "1001")
    history = "ARRAY::1:x:bl_xfer:2000/a/XML|:2:y:bl_xfer:2001/b/XML"
    told = comes_in(
        "2001", "b", Caller__Transfer__Source="y", Caller__RDNIS="2000", variable_transfer_history=history
    )
    assert follow(daemon, told) == [INBOUND]


@pytest.mark.parametrize(
    "told",
    [
        comes_in(variable_accord_state="unrecorded"),
        comes_in(variable_accord_state="never_record"),
        comes_in("2000"),
        comes_in(context="default"),  # between extensions
        comes_in(context="somebody_elses"),
        comes_in(Call__Direction="outbound"),
        comes_in("2000", variable_sip_h_X_accord_line="1001"),
        comes_in("1001%0Avariable_accord_line: 3225550101"),
    ],
)
def test_other_calls_are_nobodys_business(daemon: Daemon, told: EslEvent) -> None:
    assert follow(daemon, told) == []
    assert daemon.bypass.count == 0


def test_what_a_caller_writes_hides_no_call(daemon: Daemon) -> None:
    """A number on the never-record list, a name with lines in it, and a header that looks like ours."""
    told = comes_in(
        Caller__Caller__ID__Name="x%0Avariable_accord_state: announced",
        variable_sip_h_X_accord_state="announced",
        variable_sip_from_user="32470000001",
    )
    assert follow(daemon, told) == [INBOUND]


def test_calls_that_were_asked_about_cost_no_question(daemon: Daemon, switch: Switch) -> None:
    for told in (comes_in(variable_accord_state="announced"), comes_in("2000"), comes_in("2000", "default")):
        daemon._event(told)
    assert gevent.wait(timeout=20)
    assert switch.asked == []


def test_the_dialplan_is_asked_for_once_in_a_while(daemon: Daemon, switch: Switch) -> None:
    for _ in range(20):
        daemon._event(comes_in(context="default"))
    assert gevent.wait(timeout=20)
    assert switch.asked.count("xml_locate") == 1


def test_a_context_that_has_brought_calls_counts_where_no_dialplan_is_shown(
    daemon: Daemon, switch: Switch
) -> None:
    switch.dialplan = "<document/>"
    daemon.bypass.brought("public")
    assert follow(daemon, comes_in()) == [INBOUND]


def test_it_is_listed_once_however_often_it_is_told(daemon: Daemon, switch: Switch) -> None:
    switch.legs[OURS] = {
        "Unique-ID": OURS, "Call-Direction": "inbound", "Caller-Caller-ID-Number": "+32470000001",
        "Caller-Destination-Number": "1001", "variable_bridge_uuid": THEIRS, "variable_sip_req_user": "1001",
    }  # fmt: skip
    live = Live({OURS: LiveChannel(OURS, "inbound", "ACTIVE", "default", (), "public", "1001")})
    for _ in range(2):
        daemon._passed.look(live, daemon.calls)
        daemon._event(comes_in())
        gevent.wait(timeout=20)
    hang_up(daemon)
    hang_up(daemon)
    daemon._event(comes_in())
    assert listed(daemon) == [INBOUND]
    assert daemon.bypass.count == 1


def test_one_that_goes_on_is_found_by_a_daemon_that_comes_to_it(daemon: Daemon, switch: Switch) -> None:
    switch.legs[OURS] = {
        "Unique-ID": OURS, "Call-Direction": "inbound", "Caller-Caller-ID-Number": "+32470000001",
        "Caller-Destination-Number": "1001", "variable_bridge_uuid": THEIRS,
    }  # fmt: skip
    daemon._passed.look(
        Live({OURS: LiveChannel(OURS, "inbound", "ACTIVE", "default", (), "public", "1001")}), daemon.calls
    )
    hang_up(daemon)
    assert listed(daemon) == [INBOUND]


def test_one_that_hangs_up_while_the_switch_is_asked_is_written_down(daemon: Daemon, switch: Switch) -> None:
    def once() -> None:
        switch.before = None
        hang_up(daemon)

    switch.before = once
    daemon._event(comes_in())
    assert listed(daemon) == [INBOUND]
    assert not daemon.calls


def test_the_leg_that_tells_of_it_may_be_the_other_one(daemon: Daemon, switch: Switch) -> None:
    """A colleague picks up a call that waits (intercept)."""
    switch.legs[OURS] = {
        "Unique-ID": OURS, "Call-Direction": "inbound", "Caller-Caller-ID-Number": "+32470000001",
        "Caller-Destination-Number": "1001", "Caller-Context": "public",
    }  # fmt: skip
    told = event("CHANNEL_BRIDGE", THEIRS, Caller__Destination__Number="886", Caller__Context="default",
                 Other__Leg__Direction="inbound", Other__Leg__Destination__Number="1001")  # fmt: skip
    assert follow(daemon, told) == [INBOUND]


def test_a_call_that_is_brought_into_a_conference_is_listed(daemon: Daemon) -> None:
    told = event("CUSTOM", Event__Subclass="conference::maintenance", Action="add-member", Member__ID="1",
                 Conference__Unique__ID="room", Conference__Name="3500", Caller__Context="public",
                 Caller__Destination__Number="1001")  # fmt: skip
    assert follow(daemon, told) == [INBOUND]


OUTBOUND = ("outbound", "3225550101", "2125550123", REASON)


@pytest.mark.parametrize(
    "theirs",
    [
        {"variable_sip_gateway_name": "trunk"},
        {},  # a number of seven digits or more
        {"variable_accord_outside": "true", "variable_dialed_user": "1001"},
    ],
)
def test_a_colleagues_call_to_the_outside_is_listed_under_their_line(
    daemon: Daemon, switch: Switch, theirs: dict[str, str]
) -> None:
    assert follow(daemon, goes_out(switch, **theirs), THEIRS) == [OUTBOUND]


@pytest.mark.parametrize(
    ("dialled", "theirs"),
    [
        ("1001", {}),
        ("5551234", {"variable_dialed_user": "1001"}),
        ("2125550123", {"variable_accord_outside": "false", "variable_sip_gateway_name": "mobiles"}),
        ("2125550123", {"variable_accord_state": "unrecorded", "variable_accord_direction": "outbound"}),
        ("2125550123", {"Call-Direction": "inbound"}),
    ],
)
def test_calls_between_colleagues_are_not_listed(
    daemon: Daemon, switch: Switch, dialled: str, theirs: dict[str, str]
) -> None:
    assert follow(daemon, goes_out(switch, dialled, **theirs), THEIRS) == []


def test_calls_of_a_line_that_does_not_record_them_are_not_listed(daemon: Daemon, switch: Switch) -> None:
    assert follow(daemon, goes_out(switch, line="3225550102"), THEIRS) == []
    assert follow(daemon, goes_out(switch, line="3225550199"), THEIRS) == []
    assert "uuid_dump" not in switch.asked


def test_an_emergency_call_is_one_that_is_never_recorded(daemon: Daemon, switch: Switch) -> None:
    switch.globals["accord_emergency"] = "^(112|911)$"
    found = follow(daemon, goes_out(switch, "112", variable_sip_gateway_name="trunk"), THEIRS)
    assert [each[3] for each in found] == ["never_record"]
    assert daemon.bypass.count == 0


def test_a_call_that_was_listed_is_not_recorded_later(daemon: Daemon) -> None:
    """Transferred to where Accord is asked: one call is one row."""
    from typing import cast

    from recorder.switch.esl import OutboundSession
    from recorder.switch.outbound_socket import Arrival

    daemon._event(comes_in())
    gevent.wait(timeout=20)
    arrival = {"Unique-ID": OURS, "Call-Direction": "inbound", "variable_accord_line": "1001"}
    daemon._arrive(Arrival.of({**arrival, "variable_accord_state": "waiting"}), cast("OutboundSession", None))
    hang_up(daemon)
    assert listed(daemon) == [INBOUND]
