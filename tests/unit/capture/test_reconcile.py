"""Calls that continue without a daemon or across a restart are reconciled with the switch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import gevent
import pytest

from recorder.call.state import Phase
from recorder.capture import Daemon, DaemonSettings
from recorder.capture.pause_query import paused_at
from recorder.capture.spool_writer import SpoolWriter
from recorder.domain.line_policy import Announcement
from recorder.domain.markers import Marker
from recorder.domain.parties import NOBODY, Party
from recorder.errors import SwitchError
from recorder.spool import layout
from recorder.spool.layout import CallStart
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl import OutboundSession
from recorder.switch.esl_events import EslEvent
from recorder.switch.outbound_socket import Arrival
from recorder.switch.standing_connection import LiveChannel, LiveState, Node
from tests.clock import Clock
from tests.greenlets import wait_idle

CHANNEL = "7d890c2c-f075-48a5-b2e1-638c52f1ecad"
LINE = "3225550101"
ID = "01a2101e-5dde-7d17-8d61-e2a8e19669f1"
AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
BRIDGED = AT + timedelta(seconds=8)


ANNOUNCEMENT = Announcement("a", 1, "en", "text", ("agreement",), 30, "0" * 64, 3000)


@pytest.fixture(autouse=True)
def wait_for_writes() -> Iterator[None]:
    """Pending writes must end before the test's folder is removed."""
    yield
    wait_idle()


class AnsweringSwitch:
    """A switch with one channel that has these variables (``bridged``: it was answered). ``queries`` records
    its commands."""

    def __init__(self, **variables: str) -> None:
        self.variables = variables
        self.queries: list[str] = []

    def api(self, command: SwitchCommand) -> str:
        self.queries.append(str(command))
        if "uuid_dump" in str(command):
            if "bridged" not in self.variables:
                raise SwitchError("switch.refused", "-ERR No such channel!", "try again")
            return (
                "Event-Name: CHANNEL_DATA\n"
                "Caller-Caller-ID-Name: Eve%0ACaller-Channel-Bridged-Time%3A%201\n"
                f"Caller-Channel-Bridged-Time: {micros(BRIDGED)}\n"
                f"{self._hold_state(str(command).split()[-1])}"
                f"variable_bridge_uuid: {self._peer(str(command).split()[-1])}\n"
                "Caller-Direction: outbound\nCaller-Destination-Number: 300"
            )
        return self.variables.get(str(command).split()[-1], "_undef_")

    def _hold_state(self, channel: str) -> str:
        """As observed: the leg on hold is HELD, the other one ACTIVE; the time of an earlier hold remains."""
        since = self.variables.get("held" if channel == CHANNEL else "colleague_held", "")
        return (
            f"Channel-Call-State: {'HELD' if since else 'ACTIVE'}\nCaller-Channel-Last-Hold: {since or 7}\n"
        )

    def _peer(self, channel: str) -> str:
        """Return the leg that a leg is bridged with."""
        return CHANNEL if channel != CHANNEL else self.variables.get("leg", "_undef_")

    def recordings_of(self, uuid: str) -> tuple[str, ...]:
        return ()


def start_daemon(root: Path, switch: AnsweringSwitch, clock: Clock, since: datetime | None = None) -> Daemon:
    """Return a daemon that has reconciled its spool with the switch, which was watched until ``since``."""
    settings = DaemonSettings(node="n", spool=root / "spool", snapshot=root, password="x" * 12)
    settings.spool.mkdir(exist_ok=True)
    daemon = Daemon(settings, now=clock)
    daemon.reconciliation.node = cast("Node", switch)
    daemon.intake.unhandled.node = cast("Node", switch)
    daemon.reconciliation.list_open_folders(since)
    daemon.observer.connect(LiveState({}))
    return daemon


def leave_open(root: Path, *markers: Marker, refused: str | None = None) -> None:
    """Create the folder of a call that an earlier daemon left open."""
    start = CallStart(
        ID, "t", "l", LINE, "inbound", "n", CHANNEL, Party("withheld", ""), AT, ("opus",), ANNOUNCEMENT,
        refused=refused,
    )  # fmt: skip
    folder = layout.open_take(root / "spool", start)
    for marker in markers:
        layout.append_marker(folder, marker)


ANNOUNCED = (
    Marker(AT, "recording_started"),
    Marker(AT + timedelta(seconds=3), "announcement_finished"),
)


def markers(root: Path) -> list[Marker]:
    assert wait_idle(), "the daemon is still busy"
    return list(layout.read_markers(root / "spool" / ID))


def test_asks_the_switch_when_a_call_was_answered(tmp_path: Path, clock: Clock) -> None:
    leave_open(tmp_path, *ANNOUNCED)
    start_daemon(tmp_path, AnsweringSwitch(accord_state="announced", bridged="yes"), clock)
    assert [marker.at for marker in markers(tmp_path) if marker.kind == "bridged"] == [BRIDGED]


def gaps(root: Path) -> list[datetime]:
    return [marker.at for marker in markers(root) if marker.kind.startswith("unobserved")]


def announce_on_own_socket(root: Path, switch: AnsweringSwitch, clock: Clock) -> Daemon:
    """Return a daemon with a call during its announcement, before the standing connection is made."""
    leave_open(root, *ANNOUNCED)
    daemon = start_daemon(root, switch, clock)
    daemon.calls[CHANNEL].left_at = None
    markers(root)  # wait for the earlier markers
    (root / "spool" / ID / layout.EVENTS).unlink()
    return daemon


def test_call_on_its_own_socket_was_watched(tmp_path: Path, clock: Clock) -> None:
    daemon = announce_on_own_socket(tmp_path, AnsweringSwitch(accord_state="announced", bridged="yes"), clock)
    clock.forward(seconds=5)
    daemon.observer.connect(LiveState({}))
    assert gaps(tmp_path) == []


def test_unwatched_since_leaving_its_socket(tmp_path: Path, clock: Clock) -> None:
    daemon = announce_on_own_socket(tmp_path, AnsweringSwitch(accord_state="announced", bridged="yes"), clock)
    daemon.observer.disconnect("gone")
    clock.forward(seconds=5)
    daemon.calls[CHANNEL].release()
    left = clock()
    clock.forward(seconds=5)
    daemon.observer.connect(LiveState({}))
    assert gaps(tmp_path) == [left, clock()]


def test_ends_a_call_whose_hangup_was_missed(tmp_path: Path, clock: Clock) -> None:
    switch = AnsweringSwitch(accord_state="announced")
    daemon = announce_on_own_socket(tmp_path, switch, clock)

    def answer_no_channel(command: SwitchCommand) -> str:
        raise SwitchError("switch.refused", "-ERR No such channel!", "try again")

    switch.api = answer_no_channel  # type: ignore[method-assign]
    daemon.observer.connect(LiveState({}))
    markers(tmp_path)
    assert daemon.calls == {}
    assert (tmp_path / "spool" / ID / layout.END).exists()


def test_leaves_the_other_daemons_calls_alone(tmp_path: Path, clock: Clock) -> None:
    """Calls of a daemon that hands over are neither followed nor listed when they end."""
    daemon = start_daemon(tmp_path, AnsweringSwitch(accord_state="unrecorded", accord_left="waiting"), clock)
    daemon.intake.unhandled.defer()
    number = LINE
    hangups = [
        EslEvent(
            f"\nEvent-Name: CHANNEL_HANGUP_COMPLETE\nUnique-ID: {channel}\nAnswer-State: hangup\n"
            f"Event-Date-Timestamp: {clock().timestamp():.0f}000000\nHangup-Cause: NORMAL_CLEARING\n"
            f"variable_accord_line: {number}\nvariable_accord_state: unrecorded\n"
            "variable_accord_left: waiting\n\n".encode()
        )
        for channel in ("its", "unhandled", "ours")
    ]
    listed: list[str] = []
    daemon.intake.unhandled.write = lambda event, _number, _reason: listed.append(event.uuid)
    for event in hangups:
        daemon.observer.handle_event(event)
    daemon.observer.connect(LiveState({"its": LiveChannel("its", "inbound", "ACTIVE", "public", ())}))
    assert (listed, daemon.calls) == ([], {})
    daemon.intake.unhandled.resume({"its"}, {"ours"})
    assert listed == ["unhandled"]
    daemon.observer.handle_event(hangups[1])
    assert listed == ["unhandled"], "once"


def test_hangup_during_the_query_changes_nothing(tmp_path: Path, clock: Clock) -> None:
    leave_open(tmp_path, *ANNOUNCED)
    daemon = start_daemon(tmp_path, AnsweringSwitch(accord_state="announced"), clock)
    assert "bridged" not in [marker.kind for marker in markers(tmp_path)]
    assert daemon.calls[CHANNEL].state.phase is Phase.ANNOUNCED


def test_marks_a_changed_peer(tmp_path: Path, clock: Clock) -> None:
    leave_open(
        tmp_path, *ANNOUNCED, Marker(BRIDGED, "bridged", {"party": "extension", "value": "200", "leg": "b"})
    )
    switch = AnsweringSwitch(accord_state="announced", bridged="yes", leg="c")
    daemon = start_daemon(tmp_path, switch, clock)
    left, bridge_marker = [marker for marker in markers(tmp_path) if marker.kind in ("bridged", "unbridged")][
        1:
    ]
    assert dict(left.data) == {"party": "extension", "value": "200", "seen": "later"}
    assert dict(bridge_marker.data) == {"party": "extension", "value": "300", "leg": "c", "seen": "later"}
    assert daemon.calls[CHANNEL].state.internal.leg == "c"


@pytest.mark.parametrize("data", [{"leg": "b"}, {}, {"party": "extension", "value": "300"}])
def test_marks_an_unchanged_peer_once(tmp_path: Path, clock: Clock, data: dict[str, str]) -> None:
    leave_open(tmp_path, *ANNOUNCED, Marker(BRIDGED, "bridged", data))
    daemon = start_daemon(tmp_path, AnsweringSwitch(accord_state="announced", bridged="yes", leg="b"), clock)
    assert [marker.kind for marker in markers(tmp_path)].count("bridged") == 1
    assert daemon.calls[CHANNEL].state.internal.leg == "b"


def micros(at: datetime) -> str:
    return str(round(at.timestamp() * 1_000_000))


BRIDGED_MARKER = Marker(BRIDGED, "bridged", {"party": "extension", "value": "300", "leg": "b"})


def test_asks_since_when_a_call_is_paused_and_held(tmp_path: Path, clock: Clock) -> None:
    leave_open(tmp_path, *ANNOUNCED, BRIDGED_MARKER)
    paused, hold_start = clock() - timedelta(seconds=40), BRIDGED + timedelta(seconds=20)
    switch = AnsweringSwitch(
        accord_state="announced", bridged="yes", leg="b", accord_paused="true", accord_pause_seconds="60",
        accord_paused_at=str(int(paused.timestamp())), held=micros(hold_start),
        colleague_held=micros(hold_start),
    )  # fmt: skip
    daemon = start_daemon(tmp_path, switch, clock)
    found = {marker.kind: marker for marker in markers(tmp_path)}
    assert (found["paused"].at, found["paused"].data) == (paused, {"seconds": "60", "seen": "later"})
    assert (found["hold"].at, found["internal_hold"].at) == (hold_start, hold_start)
    assert daemon.calls[CHANNEL].state.hold.active


def test_marks_a_pause_that_began_and_ended_unobserved(tmp_path: Path, clock: Clock) -> None:
    """Its silence is explained, also after another restart, which marks it no second time."""
    leave_open(tmp_path, *ANNOUNCED, BRIDGED_MARKER)
    paused = clock.forward(seconds=40)
    clock.forward(seconds=20)
    switch = AnsweringSwitch(
        accord_state="announced", bridged="yes", leg="b", accord_pause_seconds="60",
        accord_paused_at=str(int(paused.timestamp())),
    )  # fmt: skip
    for until in (paused - timedelta(seconds=5), clock()):
        daemon = start_daemon(tmp_path, switch, clock, until)
        found = [each for each in markers(tmp_path) if each.kind in ("paused", "resumed")]
        assert [(each.kind, each.data) for each in found] == [
            ("paused", {"seconds": "60", "seen": "later"}),
            ("resumed", {"seen": "later"}),
        ]
        assert found[0].at == paused
        assert not daemon.calls[CHANNEL].state.pause.is_active(clock())


def test_peer_hold_starts_at_the_bridge_at_the_earliest(tmp_path: Path, clock: Clock) -> None:
    """An earlier hold was of another call. A call that had no pause is not asked how long
    one lasts."""
    leave_open(tmp_path, *ANNOUNCED, BRIDGED_MARKER)
    earlier = micros(BRIDGED - timedelta(seconds=5))
    switch = AnsweringSwitch(accord_state="announced", bridged="yes", leg="b", colleague_held=earlier)
    daemon = start_daemon(tmp_path, switch, clock)
    assert [(marker.kind, marker.at) for marker in markers(tmp_path) if "hold" in marker.kind] == [
        ("internal_hold", BRIDGED)
    ]
    assert not daemon.calls[CHANNEL].state.hold.active
    assert not [query for query in switch.queries if "pause_seconds" in query]


@pytest.mark.parametrize(
    ("pause_start", "since"),
    [(0, 0), (40, 40), (61, 61), (-1, 0), (-40, None), (200, None), ("2²", None), ("", None)],
)
def test_rejects_an_impossible_pause_start(pause_start: int | str, since: int | None) -> None:
    """Seconds before now, of a pause of a minute."""
    text = (
        pause_start
        if isinstance(pause_start, str)
        else str(int((AT - timedelta(seconds=pause_start)).timestamp()))
    )
    expected = None if since is None else AT - timedelta(seconds=since)
    assert paused_at(text, AT - timedelta(seconds=60), AT) == expected


def hangup(**variables: str) -> EslEvent:
    headers = {
        "Event-Name": "CHANNEL_HANGUP_COMPLETE",
        "Unique-ID": CHANNEL,
        "Event-Date-Timestamp": f"{round(AT.timestamp()) + 60}000000",
        "Event-Sequence": "7",
        "Answer-State": "hangup",
        "Hangup-Cause": "NORMAL_CLEARING",
        "variable_accord_line": LINE,
        **{f"variable_accord_{name}": value for name, value in variables.items()},
    }
    lines = "".join(f"{name}: {value}\n" for name, value in headers.items())
    return EslEvent(f"\n{lines}\n".encode())


def reasons(daemon: Daemon) -> list[str | None]:
    """Return why calls were not recorded, once the daemon is idle."""
    assert wait_idle(), "the daemon is still busy"
    root = daemon.settings.spool
    assert not list(layout.open_takes(root))
    return [layout.read_end(folder).reason for folder in layout.finished_takes(root)]


@pytest.mark.parametrize("reason", ["no_line", "no_snapshot", "never_record", "prompt_damaged", "full_disk"])
def test_refusal_reason_survives_the_daemon(tmp_path: Path, clock: Clock, reason: str) -> None:
    leave_open(tmp_path, refused=reason)
    daemon = start_daemon(tmp_path, AnsweringSwitch(accord_state="unrecorded", accord_left="passed"), clock)
    daemon.observer.handle_event(hangup(state="unrecorded", left="passed"))
    assert reasons(daemon) == [reason]


class OwnSocket:
    """A call's own socket, which closes after the first commands."""

    def __init__(self) -> None:
        self.closed = gevent.event.Event()
        self.sent_commands: list[str] = []
        self.on_closed = lambda _reason: None

    def send_all(self, batch: list[SwitchCommand], _limit: float | None = None) -> None:
        self.sent_commands += map(str, batch)
        self.closed.set()
        self.on_closed("the call continues")

    def register_handle(self, name: str, handler: object) -> None: ...

    def on_close(self, handler: object) -> None:
        self.on_closed = handler  # type: ignore[assignment]


def arrive(daemon: Daemon) -> OwnSocket:
    own = OwnSocket()
    arrival = Arrival.of(
        {
            "Unique-ID": CHANNEL,
            "Call-Direction": "inbound",
            "Caller-Caller-ID-Number": "+32470000001",
            "variable_accord_line": LINE,
            "variable_accord_state": "waiting",
        }
    )
    daemon.intake.arrive(arrival, cast("OutboundSession", own))
    return own


def test_refusal_reason_is_written_at_once(tmp_path: Path, clock: Clock) -> None:
    daemon = start_daemon(tmp_path, AnsweringSwitch(), clock)
    arrive(daemon)
    assert wait_idle()
    (folder,) = layout.open_takes(daemon.settings.spool)
    assert layout.read_start(folder).refused == "no_snapshot"
    daemon.intake.follow("another", LINE, "inbound", NOBODY, "daemon_late")
    assert wait_idle()
    (other,) = (path for path in layout.open_takes(daemon.settings.spool) if path != folder)
    assert layout.read_start(other).refused == "daemon_late"


def test_hangup_while_the_folder_is_created_is_listed_once(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = start_daemon(tmp_path, AnsweringSwitch(), clock)
    monkeypatch.setattr(daemon.config, "decide", lambda *_: (None, None))
    prepare = SpoolWriter.prepare

    def slow(writer: SpoolWriter) -> None:
        prepare(writer)
        gevent.sleep(0.05)

    monkeypatch.setattr(SpoolWriter, "prepare", slow)
    gevent.spawn(daemon.observer.handle_event, hangup(state="waiting"))
    own = arrive(daemon)
    assert own.sent_commands == []
    assert not daemon.calls
    assert reasons(daemon) == ["daemon_away"]
    assert len(list(daemon.settings.spool.iterdir())) == 1, "no open folder is left"
