"""A call that goes on while no daemon watches, or a new one comes: nothing of it is forgotten."""

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
from recorder.domain.parties import NOBODY, Party
from recorder.errors import SwitchError
from recorder.spool import layout
from recorder.spool.layout import CallStart, Mark
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl import OutboundSession
from recorder.switch.esl_events import EslEvent
from recorder.switch.outbound_socket import Arrival
from recorder.switch.standing_connection import Live, LiveChannel, Node
from tests.clock import Clock

CHANNEL = "7d890c2c-f075-48a5-b2e1-638c52f1ecad"
LINE = "3225550101"
ID = "01a2101e-5dde-7d17-8d61-e2a8e19669f1"
AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
BRIDGED = AT + timedelta(seconds=8)


TOLD_WITH = Announcement("a", 1, "en", "text", ("agreement",), 30, "0" * 64, 3000)


@pytest.fixture(autouse=True)
def nothing_is_left_to_write() -> Iterator[None]:
    """What a test does not look at is still written in its folder, and not when that is gone."""
    yield
    gevent.wait(timeout=20)


class Answering:
    """A switch that says this of its one channel (``bridged``: that it was answered); ``asked`` is what it
    was asked."""

    def __init__(self, **variables: str) -> None:
        self.variables = variables
        self.asked: list[str] = []

    def api(self, command: SwitchCommand) -> str:
        self.asked.append(str(command))
        if "uuid_dump" in str(command):
            if "bridged" not in self.variables:
                raise SwitchError("switch.refused", "-ERR No such channel!")
            return (
                "Event-Name: CHANNEL_DATA\n"
                "Caller-Caller-ID-Name: Eve%0ACaller-Channel-Bridged-Time%3A%201\n"
                f"Caller-Channel-Bridged-Time: {micros(BRIDGED)}\n"
                f"{self._held(str(command).split()[-1])}"
                f"variable_bridge_uuid: {self._other(str(command).split()[-1])}\n"
                "Caller-Direction: outbound\nCaller-Destination-Number: 300"
            )
        return self.variables.get(str(command).split()[-1], "_undef_")

    def _held(self, channel: str) -> str:
        """As seen: the one who holds is HELD, the other one ACTIVE; the time of an earlier hold stays."""
        since = self.variables.get("held" if channel == CHANNEL else "colleague_held", "")
        return (
            f"Channel-Call-State: {'HELD' if since else 'ACTIVE'}\nCaller-Channel-Last-Hold: {since or 7}\n"
        )

    def _other(self, channel: str) -> str:
        """The leg that a leg is connected with."""
        return CHANNEL if channel != CHANNEL else self.variables.get("leg", "_undef_")

    def recordings_of(self, uuid: str) -> tuple[str, ...]:
        return ()


def daemon_on(root: Path, switch: Answering, clock: Clock) -> Daemon:
    """A daemon that comes to what lies in the spool, and to what the switch says."""
    settings = DaemonSettings(node="n", spool=root / "spool", snapshot=root, password="x" * 12)
    settings.spool.mkdir(exist_ok=True)
    daemon = Daemon(settings, now=clock)
    daemon._takeover._node = cast("Node", switch)
    daemon._passed._node = cast("Node", switch)
    daemon._takeover.look()
    daemon._up(Live({}))
    return daemon


def left_open(root: Path, *marks: Mark, refused: str | None = None) -> None:
    """What an earlier daemon left of a call."""
    start = CallStart(
        ID, "t", "l", LINE, "inbound", "n", CHANNEL, Party("withheld", ""), AT, ("opus",), TOLD_WITH,
        refused=refused,
    )  # fmt: skip
    folder = layout.open_take(root / "spool", start)
    for mark in marks:
        layout.append_mark(folder, mark)


TOLD = (
    Mark(AT, "recording_started", {}),
    Mark(AT + timedelta(seconds=3), "announcement_finished", {}),
)


def marks(root: Path) -> list[Mark]:
    assert gevent.wait(timeout=20), "the daemon still writes"
    return list(layout.read_marks(root / "spool" / ID))


def test_when_a_call_was_answered_meanwhile_the_switch_is_asked(tmp_path: Path, clock: Clock) -> None:
    left_open(tmp_path, *TOLD)
    daemon_on(tmp_path, Answering(accord_state="announced", bridged="yes"), clock)
    assert [mark.at for mark in marks(tmp_path) if mark.kind == "bridged"] == [BRIDGED]


def gaps(root: Path) -> list[datetime]:
    return [mark.at for mark in marks(root) if mark.kind.startswith("unobserved")]


def on_its_own_socket(root: Path, switch: Answering, clock: Clock) -> Daemon:
    """A daemon with a call that is being announced to; the standing connection is not up yet."""
    left_open(root, *TOLD)
    daemon = daemon_on(root, switch, clock)
    daemon.calls[CHANNEL].left_at = None
    marks(root)  # all is written that is of no interest here
    (root / "spool" / ID / layout.EVENTS).unlink()
    return daemon


def test_a_call_on_its_own_socket_was_watched_however_late_the_standing_connection_is(
    tmp_path: Path, clock: Clock
) -> None:
    daemon = on_its_own_socket(tmp_path, Answering(accord_state="announced", bridged="yes"), clock)
    clock.forward(seconds=5)
    daemon._up(Live({}))
    assert gaps(tmp_path) == []


def test_it_was_unwatched_from_when_it_left_its_socket(tmp_path: Path, clock: Clock) -> None:
    daemon = on_its_own_socket(tmp_path, Answering(accord_state="announced", bridged="yes"), clock)
    daemon._down("gone")
    clock.forward(seconds=5)
    daemon.calls[CHANNEL].let_go()
    left = clock()
    clock.forward(seconds=5)
    daemon._up(Live({}))
    assert gaps(tmp_path) == [left, clock()]


def test_one_that_ended_before_its_end_could_be_heard_is_ended(tmp_path: Path, clock: Clock) -> None:
    switch = Answering(accord_state="announced")
    daemon = on_its_own_socket(tmp_path, switch, clock)

    def gone(command: SwitchCommand) -> str:
        raise SwitchError("switch.refused", "-ERR No such channel!")

    switch.api = gone  # type: ignore[method-assign]
    daemon._up(Live({}))
    marks(tmp_path)
    assert daemon.calls == {}
    assert (tmp_path / "spool" / ID / layout.END).exists()


def test_what_another_daemon_still_has_in_hand_is_left_to_it(tmp_path: Path, clock: Clock) -> None:
    """Beside one that hands over: its calls are neither followed, nor written down at their ends."""
    daemon = daemon_on(tmp_path, Answering(accord_state="unrecorded", accord_left="waiting"), clock)
    daemon._passed.wait()
    number = LINE
    ended = [
        EslEvent(
            f"\nEvent-Name: CHANNEL_HANGUP_COMPLETE\nUnique-ID: {channel}\nAnswer-State: hangup\n"
            f"Event-Date-Timestamp: {clock().timestamp():.0f}000000\nHangup-Cause: NORMAL_CLEARING\n"
            f"variable_accord_line: {number}\nvariable_accord_state: unrecorded\n"
            "variable_accord_left: waiting\n\n".encode()
        )
        for channel in ("its", "nobodys", "ours")
    ]
    told: list[str] = []
    daemon._passed._ended = lambda event, _number, _reason: told.append(event.uuid)
    for event in ended:
        daemon._event(event)
    daemon._up(Live({"its": LiveChannel("its", "inbound", "ACTIVE", "public", ())}))
    assert (told, daemon.calls) == ([], {})
    daemon._passed.go_on({"its"}, {"ours"})
    assert told == ["nobodys"]
    daemon._event(ended[1])
    assert told == ["nobodys"], "once"


def test_a_call_that_hangs_up_as_it_is_asked_about_costs_nothing(tmp_path: Path, clock: Clock) -> None:
    left_open(tmp_path, *TOLD)
    daemon = daemon_on(tmp_path, Answering(accord_state="announced"), clock)
    assert "bridged" not in [mark.kind for mark in marks(tmp_path)]
    assert daemon.calls[CHANNEL].state.phase is Phase.ANNOUNCED


def test_who_is_there_is_asked_and_noted_where_it_is_another(tmp_path: Path, clock: Clock) -> None:
    left_open(tmp_path, *TOLD, Mark(BRIDGED, "bridged", {"party": "extension", "value": "200", "leg": "b"}))
    switch = Answering(accord_state="announced", bridged="yes", leg="c")
    daemon = daemon_on(tmp_path, switch, clock)
    left, came = [mark for mark in marks(tmp_path) if mark.kind in ("bridged", "unbridged")][1:]
    assert dict(left.data) == {"party": "extension", "value": "200", "seen": "later"}
    assert dict(came.data) == {"party": "extension", "value": "300", "leg": "c", "seen": "later"}
    assert daemon.calls[CHANNEL].state.internal.leg == "c"


@pytest.mark.parametrize("data", [{"leg": "b"}, {}, {"party": "extension", "value": "300"}])
def test_who_is_still_there_is_noted_once(tmp_path: Path, clock: Clock, data: dict[str, str]) -> None:
    left_open(tmp_path, *TOLD, Mark(BRIDGED, "bridged", data))
    daemon = daemon_on(tmp_path, Answering(accord_state="announced", bridged="yes", leg="b"), clock)
    assert [mark.kind for mark in marks(tmp_path)].count("bridged") == 1
    assert daemon.calls[CHANNEL].state.internal.leg == "b"


def micros(at: datetime) -> str:
    return str(round(at.timestamp() * 1_000_000))


WITH = Mark(BRIDGED, "bridged", {"party": "extension", "value": "300", "leg": "b"})


def test_since_when_it_is_paused_and_held_is_asked_where_it_is(tmp_path: Path, clock: Clock) -> None:
    left_open(tmp_path, *TOLD, WITH)
    paused, held = clock() - timedelta(seconds=40), BRIDGED + timedelta(seconds=20)
    switch = Answering(
        accord_state="announced", bridged="yes", leg="b", accord_paused="true", accord_pause_seconds="60",
        accord_paused_at=str(int(paused.timestamp())), held=micros(held), colleague_held=micros(held),
    )  # fmt: skip
    daemon = daemon_on(tmp_path, switch, clock)
    found = {mark.kind: mark for mark in marks(tmp_path)}
    assert (found["paused"].at, found["paused"].data) == (paused, {"seconds": "60", "seen": "later"})
    assert (found["hold"].at, found["internal_hold"].at) == (held, held)
    assert daemon.calls[CHANNEL].state.hold.active


def test_a_colleague_holds_no_earlier_than_they_were_there(tmp_path: Path, clock: Clock) -> None:
    """Before, it was another call of theirs; and of one that is not paused nothing more is asked."""
    left_open(tmp_path, *TOLD, WITH)
    earlier = micros(BRIDGED - timedelta(seconds=5))
    switch = Answering(accord_state="announced", bridged="yes", leg="b", colleague_held=earlier)
    daemon = daemon_on(tmp_path, switch, clock)
    assert [(mark.kind, mark.at) for mark in marks(tmp_path) if "hold" in mark.kind] == [
        ("internal_hold", BRIDGED)
    ]
    assert not daemon.calls[CHANNEL].state.hold.active
    assert not [order for order in switch.asked if "pause_seconds" in order or "paused_at" in order]


@pytest.mark.parametrize(
    ("said", "since"),
    [(0, 0), (40, 40), (61, 61), (-1, 0), (-40, None), (200, None), ("2²", None), ("", None)],
)
def test_since_when_it_is_paused_is_not_believed_where_it_cannot_be(
    said: int | str, since: int | None
) -> None:
    """In seconds before now, of a pause of a minute."""
    text = said if isinstance(said, str) else str(int((AT - timedelta(seconds=said)).timestamp()))
    expected = None if since is None else AT - timedelta(seconds=since)
    assert paused_at(text, timedelta(seconds=60), AT) == expected


def hung_up(**variables: str) -> EslEvent:
    said = {
        "Event-Name": "CHANNEL_HANGUP_COMPLETE",
        "Unique-ID": CHANNEL,
        "Event-Date-Timestamp": f"{round(AT.timestamp()) + 60}000000",
        "Event-Sequence": "7",
        "Answer-State": "hangup",
        "Hangup-Cause": "NORMAL_CLEARING",
        "variable_accord_line": LINE,
        **{f"variable_accord_{name}": value for name, value in variables.items()},
    }
    lines = "".join(f"{name}: {value}\n" for name, value in said.items())
    return EslEvent(f"\n{lines}\n".encode())


def ended(daemon: Daemon) -> list[str | None]:
    """Why calls were not recorded, once nothing is left to be done."""
    assert gevent.wait(timeout=20), "the daemon still writes"
    root = daemon.settings.spool
    assert not list(layout.open_takes(root))
    return [layout.read_end(folder).reason for folder in layout.finished_takes(root)]


@pytest.mark.parametrize("reason", ["no_line", "no_snapshot", "never_record", "prompt_damaged", "full_disk"])
def test_why_a_call_was_refused_outlives_the_daemon(tmp_path: Path, clock: Clock, reason: str) -> None:
    left_open(tmp_path, refused=reason)
    daemon = daemon_on(tmp_path, Answering(accord_state="unrecorded", accord_left="passed"), clock)
    daemon._event(hung_up(state="unrecorded", left="passed"))
    assert ended(daemon) == [reason]


class Socket:
    """A call's own connection, on which everything may be said."""

    def __init__(self) -> None:
        self.closed = gevent.event.Event()
        self.sent: list[str] = []
        self.let_go = lambda _reason: None

    def send_all(self, orders: list[SwitchCommand], _limit: float | None = None) -> None:
        self.sent += map(str, orders)
        self.closed.set()
        self.let_go("the call goes on")

    def register_handle(self, name: str, handler: object) -> None: ...

    def on_close(self, handler: object) -> None:
        self.let_go = handler  # type: ignore[assignment]


def arrive(daemon: Daemon) -> Socket:
    own = Socket()
    arrival = Arrival.of(
        {
            "Unique-ID": CHANNEL,
            "Call-Direction": "inbound",
            "Caller-Caller-ID-Number": "+32470000001",
            "variable_accord_line": LINE,
            "variable_accord_state": "waiting",
        }
    )
    daemon._arrive(arrival, cast("OutboundSession", own))
    return own


def test_why_a_call_is_refused_is_written_at_once(tmp_path: Path, clock: Clock) -> None:
    daemon = daemon_on(tmp_path, Answering(), clock)
    arrive(daemon)
    assert gevent.wait(timeout=20)
    (folder,) = layout.open_takes(daemon.settings.spool)
    assert layout.read_start(folder).refused == "no_snapshot"
    daemon._follow("another", LINE, "inbound", NOBODY, "daemon_late")
    assert gevent.wait(timeout=20)
    (other,) = (path for path in layout.open_takes(daemon.settings.spool) if path != folder)
    assert layout.read_start(other).refused == "daemon_late"


def test_a_call_that_hangs_up_while_its_folder_is_made_is_written_down_once(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = daemon_on(tmp_path, Answering(), clock)
    monkeypatch.setattr(daemon.knowledge, "decide", lambda *_: (None, None))
    prepare = SpoolWriter.prepare

    def slow(writer: SpoolWriter) -> None:
        prepare(writer)
        gevent.sleep(0.05)

    monkeypatch.setattr(SpoolWriter, "prepare", slow)
    gevent.spawn(daemon._event, hung_up(state="waiting"))
    own = arrive(daemon)
    assert own.sent == []
    assert not daemon.calls
    assert ended(daemon) == ["daemon_away"]
    assert len(list(daemon.settings.spool.iterdir())) == 1, "no folder is left that nobody ends"
