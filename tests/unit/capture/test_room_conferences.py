"""Rooms' conferences in the daemon: who is in them, their keys, and the worker's orders, over the socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event

from recorder.capture.command_listener import CommandListener
from recorder.capture.room_conferences import MOST_KEYS, RoomConferences
from recorder.domain.telephone_room import RoomAnswer, RoomMember, RoomOrder, RoomReport, RoomRequest
from recorder.errors import SwitchError
from recorder.spool.command_socket import send_room_request
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import LiveState
from tests.expected_errors import error_of

NAME = "accord-room-r1"


class Node:
    """A switch that answers ``answers``, by the end of the command."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.answers = {"accord_room_session": "s1", "pause_play": "+OK Pause"}
        self.up = Event()
        self.up.set()

    def api(self, order: SwitchCommand, limit: float = 0) -> str:
        self.commands.append(str(order))
        answer = next((text for end, text in self.answers.items() if str(order).endswith(end)), "+OK")
        if answer.startswith("-ERR"):
            raise SwitchError("switch.refused", answer, "…")
        return answer

    def send_all(self, orders: list[SwitchCommand], limit: float) -> list[SimpleNamespace]:
        return [SimpleNamespace(accepted=lambda order=order: self.api(order)) for order in orders]


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def rooms(node: Node) -> RoomConferences:
    return RoomConferences(node)  # type: ignore[arg-type]


@pytest.fixture
def ask(tmp_path: Path, node: Node, rooms: RoomConferences) -> Iterator[Callable[..., RoomAnswer]]:
    """Sends orders as the worker does."""
    listener = CommandListener(tmp_path, {}, node, None, rooms=rooms.answer)  # type: ignore[arg-type]
    listener.start()
    pool = gevent.get_hub().threadpool

    def send(*orders: RoomOrder) -> RoomAnswer:
        answer = pool.apply(send_room_request, (tmp_path, RoomRequest(orders)))
        assert isinstance(answer, RoomAnswer)
        return answer

    yield send
    listener.stop()


def event(action: str, name: str = NAME, member: str = "1", **more: str) -> EslEvent:
    headers = {
        "Event-Name": "CUSTOM",
        "Event-Subclass": "conference::maintenance",
        "Unique-ID": f"leg-{member}",
    }
    headers |= {"Conference-Name": name, "Conference-Unique-ID": "c", "Action": action, "Member-ID": member}
    headers |= {key.replace("_", "-"): value for key, value in more.items()}
    return EslEvent("".join(f"{key}: {value}\n" for key, value in headers.items()).encode() + b"\n")


def test_members_and_their_keys_are_reported_once(rooms, ask) -> None:
    assert ask() == RoomAnswer(())
    rooms.handle_event(event("add-member", name="another conference"))
    rooms.handle_event(event("add-member"))
    for key in "12*":
        rooms.handle_event(event("dtmf", DTMF_Key=key))
    member = RoomMember("1", "s1")
    assert ask() == RoomAnswer((RoomReport("r1", (member,), (("1", "1"), ("1", "2"), ("1", "*"))),))
    assert ask() == RoomAnswer((RoomReport("r1", (member,)),))
    rooms.handle_event(event("del-member"))
    assert ask() == RoomAnswer(())


def test_somebody_whom_nobody_admitted_is_reported_as_such(rooms, node, ask) -> None:
    node.answers["accord_room_session"] = "_undef_"
    rooms.handle_event(event("add-member"))
    assert ask().reports == (RoomReport("r1", (RoomMember("1", ""),)),)


def test_keys_that_nobody_fetches_are_dropped(rooms, ask) -> None:
    rooms.handle_event(event("add-member"))
    for _ in range(MOST_KEYS + 10):
        rooms.handle_event(event("dtmf", DTMF_Key="1"))
    (report,) = ask().reports
    assert len(report.keys) == MOST_KEYS


def test_conferences_are_read_again_after_a_reconnect(rooms, node, ask) -> None:
    rooms.handle_event(event("add-member"))
    rooms.reconcile(LiveState({}, (("c", NAME, {"leg-7": "7"}), ("d", "another", {"leg-8": "8"}))))
    assert ask().reports == (RoomReport("r1", (RoomMember("7", "s1"),)),)
    node.up.clear()
    assert ask().reports is None


@pytest.mark.parametrize(
    ("order", "commands"),
    [
        (
            RoomOrder("r1", "load", "/run/accord/a.wav"),
            (
                f"api sched_del {NAME}",
                f"api sched_api +30 {NAME} conference {NAME} stop all",
                f"api conference {NAME} play '/run/accord/a.wav'",
                f"api conference {NAME} pause_play",
                f"api conference {NAME} file_seek 0",
            ),
        ),
        (
            RoomOrder("r1", "pause", "5000"),
            (f"api conference {NAME} pause_play", f"api conference {NAME} file_seek 5000"),
        ),
        (
            RoomOrder("r1", "play", "5000"),
            (  # the switch says that it paused, twice
                f"api conference {NAME} file_seek 5000",
                f"api conference {NAME} pause_play",
                f"api conference {NAME} pause_play",
            ),
        ),
        (RoomOrder("r1", "admit", "2"), (f"api conference {NAME} undeaf 2",)),
        (RoomOrder("r1", "remove", "2"), (f"api conference {NAME} hup 2",)),
        (
            RoomOrder("r1", "tell", "2 /run/accord/keys en.wav"),
            (f"api conference {NAME} play '/run/accord/keys en.wav' 2 nomux",),
        ),
        (RoomOrder("r1", "unload"), (f"api conference {NAME} stop all", f"api sched_del {NAME}")),
        (
            RoomOrder("r1", "renew"),
            (f"api sched_del {NAME}", f"api sched_api +30 {NAME} conference {NAME} stop all"),
        ),
    ],
    ids=lambda each: each.action if isinstance(each, RoomOrder) else "",
)  # fmt: skip
def test_orders_become_commands(rooms, ask, node, order: RoomOrder, commands: tuple[str, ...]) -> None:
    rooms.handle_event(event("add-member"))
    assert ask(order) == RoomAnswer()
    assert tuple(node.commands) == commands


def test_sound_is_toggled_only_where_it_is_not_as_wished(rooms, ask, node) -> None:
    rooms.handle_event(event("add-member"))
    ask(RoomOrder("r1", "load", "/a.wav"), RoomOrder("r1", "pause", "1"))
    assert sum("pause_play" in each for each in node.commands) == 1
    node.answers["pause_play"] = "+OK Resume"
    ask(RoomOrder("r1", "play", "1"), RoomOrder("r1", "play", "2"))
    assert sum("pause_play" in each for each in node.commands) == 2
    assert node.commands[-1].endswith("file_seek 2")


def test_after_a_failure_the_room_gets_no_further_order_and_others_do(rooms, ask, node) -> None:
    rooms.handle_event(event("add-member"))
    node.answers["file_seek 1"] = "-ERR no reply"
    orders = [RoomOrder("r1", "pause", "1"), RoomOrder("r1", "admit", "1"), RoomOrder("r2", "admit", "1")]
    assert ask(*orders).failed == (orders[0],)
    assert node.commands[-1] == "api conference accord-room-r2 undeaf 1"


@pytest.mark.parametrize(
    "order",
    [
        RoomOrder("r1", "load", "/run/${x}"),
        RoomOrder("r1", "play", "+1000"),
        RoomOrder("r1 all", "unload"),
        RoomOrder("r1", "remove", "all"),
    ],
    ids=str,
)
def test_what_no_command_can_say_is_refused(ask, node, order: RoomOrder) -> None:
    assert ask(order).failed == (order,)
    assert not [each for each in node.commands if "sched" not in each]


def test_worker_learns_that_no_daemon_answers(tmp_path: Path) -> None:
    assert error_of(lambda: send_room_request(tmp_path, RoomRequest())) == "switch.gone"
