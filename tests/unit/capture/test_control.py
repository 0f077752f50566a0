"""The daemon's part in what is asked of a call: done once, in time, and said once the switch has said so."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event

from recorder.call import initial
from recorder.call.state import WriteMark
from recorder.capture.call_controller import CallController
from recorder.capture.command_listener import CommandListener
from recorder.capture.spool_writer import SpoolWriter
from recorder.domain.call_events import LegBridged
from recorder.domain.call_plan import NOTICE, CallPlan, Script, Speech
from recorder.domain.live_command import (
    DONE,
    NO_ANSWER,
    NO_SWITCH,
    SOCKET,
    UNKNOWN,
    Request,
    carry,
)
from recorder.domain.parties import Party
from recorder.errors import SwitchError
from recorder.spool.layout import CallStart, read_marks
from recorder.switch.commands import SwitchCommand
from tests.forger import SOMEBODY

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
RECORDING = "01a2101e-5dde-7d17-8d61-e2a8e19669f1"
TOLD = Speech("/prompts/told.wav", timedelta(seconds=3))


class Node:
    """A switch that does what it is ordered, or answers as it is told to: what a word of the command is
    answered with."""

    def __init__(self) -> None:
        self.ordered: list[str] = []
        self.refuses: dict[str, str] = {}
        self.up = Event()
        self.up.set()

    def send_all(self, orders: list[SwitchCommand], limit: float) -> list[SimpleNamespace]:
        return [SimpleNamespace(accepted=lambda order=order: self.api(order)) for order in self._put(orders)]

    def _put(self, orders: list[SwitchCommand]) -> list[SwitchCommand]:
        self.ordered += [str(order) for order in orders]
        return list(orders)

    def api(self, order: SwitchCommand, limit: float = 0) -> str:
        for word, error_id in self.refuses.items():
            if f" {word} " in str(order):
                raise SwitchError(error_id, "-ERR")
        if str(order).startswith("api uuid_getvar"):
            return "_undef_"
        return "90" if "accord_pause_seconds" in str(order) else "+OK Success"

    def masked(self) -> int:
        return sum(" mask " in order for order in self.ordered)


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def call(tmp_path: Path, node: Node) -> Iterator[CallController]:
    """A call in which two speak."""
    start = CallStart(
        RECORDING, "t", "l", "100", "inbound", "n", "a", Party("withheld", ""), AT, ("opus",), None,
    )  # fmt: skip
    writer = SpoolWriter(tmp_path, RECORDING, lambda error: None)
    notes = [WriteMark(kind, AT) for kind in ("recording_started", "announcement_finished", "bridged")]
    state = initial.resume(CallPlan(NOTICE, (Script(TOLD),)), notes, AT)
    made = CallController(
        start, state, writer, now=lambda: AT, to_call=list, to_switch=lambda order: node._put([order]),
        ask=node.api, ended=lambda call: None,
    )  # fmt: skip
    writer.open(start)
    made.feed(LegBridged(AT, other="b"))
    yield made
    assert writer.flush(5)
    gevent.wait(timeout=5)


@pytest.fixture
def ask(tmp_path: Path, node: Node, call: CallController) -> Iterator[Callable[..., str]]:
    """Asks as the worker does; what came of it."""
    controls = CommandListener(tmp_path, {"a": call}, node, lambda: AT)  # type: ignore[arg-type]
    controls.start()

    def make(what: str, id_: str = "one", left: float = 2.0, recording: str = RECORDING) -> str:
        until = time.monotonic() + left if left else 0.0
        request = Request(id_, recording, what, "panel", until)
        return str(gevent.get_hub().threadpool.apply(carry, (tmp_path, request)))

    yield make
    controls.stop()


def marks(call: CallController) -> list[tuple[str, dict[str, str]]]:
    assert call.writer.flush(5)
    return [(mark.kind, dict(mark.data)) for mark in read_marks(call.writer.folder) if "by" in mark.data]


def test_a_pause_is_done_when_the_switch_has_said_so_and_ends_by_itself(
    ask: Callable[..., str], node: Node, call: CallController
) -> None:
    assert ask("pause") == DONE
    looked = "${cond(${uuid_getvar(a accord_state)} == announced ? a : none)}"
    audio = call.writer.audio
    ordered = [order for order in node.ordered if "playback" not in order]
    assert ordered[:6] == [
        "api sched_del a_pause",
        f"api sched_api +90 a_pause uuid_record a unmask '{audio}'",
        "api sched_api +90 a_pause uuid_setvar a accord_paused",
        f"api expand uuid_setvar {looked} accord_paused_at ${{strepoch()}}",
        f"api expand uuid_setvar {looked} accord_paused true",
        f"api expand uuid_record {looked} mask '{audio}'",
    ], "what ends it comes first"
    assert "uuid_displace ${cond(${uuid_getvar(a accord_paused)} == true ? b : none)} start" in ordered[6]
    assert marks(call) == [("paused", {"seconds": "90", "by": "panel"})]


def test_nothing_is_done_twice(ask: Callable[..., str], node: Node, call: CallController) -> None:
    assert [ask("note"), ask("note"), ask("note", left=0)] == [DONE] * 3
    assert marks(call) == [("moment_marked", {"by": "panel"})]
    assert ask("note", "two") == DONE
    assert len(marks(call)) == 2


def test_too_late_is_not_done(ask: Callable[..., str], node: Node, call: CallController) -> None:
    assert ask("pause", left=0) == NO_ANSWER
    assert ask("pause", left=-1.0) == NO_ANSWER
    assert node.ordered == []
    assert marks(call) == []


@pytest.mark.parametrize(
    ("word", "error_id", "outcome"),
    [("mask", "switch.refused", "not_recorded"), ("mask", "switch.timeout", UNKNOWN)],
)
def test_what_the_switch_has_not_said_is_not_said(
    ask: Callable[..., str], node: Node, call: CallController, word: str, error_id: str, outcome: str
) -> None:
    node.refuses = {word: error_id}
    assert ask("pause") == outcome
    assert marks(call) == []
    assert call.state.pause.until is None
    taken_back = ["api uuid_setvar a accord_paused", "api sched_del a_pause"]
    assert (node.ordered[-2:] == taken_back) == (outcome == "not_recorded")


def test_without_a_switch_it_is_not_done(ask: Callable[..., str], node: Node) -> None:
    node.up.clear()
    assert ask("pause") == NO_SWITCH
    assert node.ordered == []


def test_to_go_on_is_refused_by_the_switch_where_it_is_not_paused(
    ask: Callable[..., str], node: Node, call: CallController
) -> None:
    assert ask("resume") == DONE
    assert node.ordered[0] == (
        "api expand uuid_record ${cond(${uuid_getvar(a accord_paused)} == true ? a : none)} unmask "
        f"'{call.writer.audio}'"
    )
    node.refuses = {"unmask": "switch.refused"}
    assert ask("resume", "two") == "not_paused"
    assert len(marks(call)) == 1


def test_a_call_that_is_not_here_is_over(ask: Callable[..., str]) -> None:
    assert ask("pause", recording="01a2101e-0000-7d17-8d61-e2a8e19669f1") == "ended"


def test_a_switch_that_does_not_say_how_long_pauses_as_usual(
    ask: Callable[..., str], node: Node, call: CallController
) -> None:
    node.refuses = {"global_getvar": "switch.refused"}
    assert ask("pause") == DONE
    assert marks(call) == [("paused", {"seconds": "120", "by": "panel"})]


def test_what_is_no_question_disturbs_nobody(ask: Callable[..., str], tmp_path: Path) -> None:
    import socket

    from recorder.domain.live_command import place

    def send(content: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection, place(tmp_path) as name:
            connection.settimeout(5)
            connection.connect(name)
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(100)

    for content in (b"", b"\n", b"[]\n", b'{"id": 1}\n', b"{" * 5000, b"no line"):
        assert gevent.get_hub().threadpool.apply(send, (content,)) == b""
    assert ask("note") == DONE


def test_only_the_daemons_own_user_reaches_it(ask: Callable[..., str], tmp_path: Path) -> None:
    """The spool is the group's, and the switch's user is in that group."""
    status = (tmp_path / SOCKET).stat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run a process as somebody else")
def test_a_process_of_the_spools_group_is_refused(ask: Callable[..., str], tmp_path: Path) -> None:
    gid = 4242
    for path in (tmp_path, tmp_path / SOCKET):
        os.chown(path, -1, gid)
    tmp_path.chmod(0o2770)
    code = (
        f"import os, socket; os.chdir({str(tmp_path)!r})\n"
        f"os.setgroups([]); os.setgid({gid}); os.setuid({SOMEBODY})\n"
        f"open('theirs', 'w'); socket.socket(socket.AF_UNIX).connect({SOCKET!r})"
    )
    done = gevent.get_hub().threadpool.apply(
        subprocess.run, ([sys.executable, "-c", code],), {"capture_output": True, "text": True}
    )
    assert (tmp_path / "theirs").exists(), "they may write into the spool"
    assert "PermissionError" in done.stderr
