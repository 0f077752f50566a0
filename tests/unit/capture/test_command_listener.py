"""Live commands in the daemon: executed once, in time, and confirmed once the switch has confirmed."""

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
from structlog.testing import capture_logs

from recorder import metrics
from recorder.call import initial
from recorder.capture.call_controller import CallController
from recorder.capture.command_listener import CommandListener
from recorder.domain.call_events import LegBridged
from recorder.domain.call_plan import NOTICE, CallPlan, Script, Speech
from recorder.domain.live_command import DONE, NO_ANSWER, NO_SWITCH, UNKNOWN, Request
from recorder.domain.markers import Marker
from recorder.errors import SwitchError
from recorder.spool.command_socket import SOCKET, send_request
from recorder.spool.layout import read_markers
from recorder.switch.commands import SwitchCommand
from tests.forged_switch import SOMEBODY
from tests.greenlets import wait_idle
from tests.unit.capture.controllers import RECORDING, control

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
ANNOUNCEMENT = Speech("/prompts/announcement.wav", timedelta(seconds=3))


class Node:
    """A switch that executes commands, or refuses those that contain a word of ``refuses``."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.refuses: dict[str, str] = {}
        self.up = Event()
        self.up.set()

    def send_all(self, orders: list[SwitchCommand], limit: float) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(accepted=lambda order=order: self.api(order)) for order in self._record(orders)
        ]

    def _record(self, orders: list[SwitchCommand]) -> list[SwitchCommand]:
        self.commands += [str(order) for order in orders]
        return list(orders)

    def api(self, order: SwitchCommand, limit: float = 0) -> str:
        for word, error_id in self.refuses.items():
            if f" {word} " in str(order):
                raise SwitchError(error_id, "-ERR", "try again")
        if str(order).startswith("api uuid_getvar"):
            return "_undef_"
        return "90" if "accord_pause_seconds" in str(order) else "+OK Success"

    def masked(self) -> int:
        return sum(" mask " in order for order in self.commands)


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def call(tmp_path: Path, node: Node) -> Iterator[CallController]:
    """A call whose two parties are bridged."""
    notes = [Marker(AT, kind) for kind in ("recording_started", "announcement_finished", "bridged")]
    state = initial.resume(CallPlan(NOTICE, (Script(ANNOUNCEMENT),)), notes, AT)
    controller = control(tmp_path, state, AT, to_switch=lambda order: node._record([order]), ask=node.api)
    controller.feed(LegBridged(AT, other="b"))
    yield controller
    assert controller.writer.flush(5)
    wait_idle(timeout=5)


@pytest.fixture
def ask(tmp_path: Path, node: Node, call: CallController) -> Iterator[Callable[..., str]]:
    """Sends a command as the worker does, and returns the outcome."""
    listener = CommandListener(tmp_path, {"a": call}, node, lambda: AT)  # type: ignore[arg-type]
    listener.start()

    def make(what: str, id_: str = "one", left: float = 2.0, recording: str = RECORDING) -> str:
        until = time.monotonic() + left if left else 0.0
        request = Request(id_, recording, what, "panel", until)
        return str(gevent.get_hub().threadpool.apply(send_request, (tmp_path, request)))

    yield make
    listener.stop()


def markers(call: CallController) -> list[tuple[str, dict[str, str]]]:
    assert call.writer.flush(5)
    return [
        (marker.kind, dict(marker.data)) for marker in read_markers(call.writer.folder) if "by" in marker.data
    ]


def test_pause_is_confirmed_by_the_switch_and_scheduled_to_end(
    ask: Callable[..., str], node: Node, call: CallController
) -> None:
    assert ask("pause") == DONE
    target = "${cond(${uuid_getvar(a accord_state)} == announced ? a : none)}"
    audio = call.writer.audio
    prompt_commands = [command for command in node.commands if "playback" not in command]
    assert prompt_commands[:6] == [
        "api sched_del a_pause",
        f"api sched_api +90 a_pause uuid_record a unmask '{audio}'",
        "api sched_api +90 a_pause uuid_setvar a accord_paused",
        f"api expand uuid_setvar {target} accord_paused_at ${{strepoch()}}",
        f"api expand uuid_setvar {target} accord_paused true",
        f"api expand uuid_record {target} mask '{audio}'",
    ], "the end is scheduled first"
    assert (
        "uuid_displace ${cond(${uuid_getvar(a accord_paused)} == true ? b : none)} start"
        in prompt_commands[6]
    )
    assert markers(call) == [("paused", {"seconds": "90", "by": "panel"})]


def test_executes_each_command_once(ask: Callable[..., str], node: Node, call: CallController) -> None:
    assert [ask("mark"), ask("mark"), ask("mark", left=0)] == [DONE] * 3
    assert markers(call) == [("moment_marked", {"by": "panel"})]
    assert ask("mark", "two") == DONE
    assert len(markers(call)) == 2


def test_rejects_a_late_command(ask: Callable[..., str], node: Node, call: CallController) -> None:
    assert ask("pause", left=0) == NO_ANSWER
    assert ask("pause", left=-1.0) == NO_ANSWER
    assert node.commands == []
    assert markers(call) == []


@pytest.mark.parametrize(
    ("word", "error_id", "outcome"),
    [("mask", "switch.refused", "not_recorded"), ("mask", "switch.timeout", UNKNOWN)],
)
def test_reports_no_pause_that_the_switch_did_not_confirm(
    ask: Callable[..., str], node: Node, call: CallController, word: str, error_id: str, outcome: str
) -> None:
    node.refuses = {word: error_id}
    assert ask("pause") == outcome
    assert markers(call) == []
    assert call.state.pause.until is None
    undo = ["api uuid_setvar a accord_paused", "api sched_del a_pause"]
    assert (node.commands[-2:] == undo) == (outcome == "not_recorded")


def test_pause_needs_the_switch(ask: Callable[..., str], node: Node) -> None:
    node.up.clear()
    assert ask("pause") == NO_SWITCH
    assert node.commands == []


def test_switch_refuses_resume_without_a_pause(
    ask: Callable[..., str], node: Node, call: CallController
) -> None:
    assert ask("resume") == DONE
    assert node.commands[0] == (
        "api expand uuid_record ${cond(${uuid_getvar(a accord_paused)} == true ? a : none)} unmask "
        f"'{call.writer.audio}'"
    )
    node.refuses = {"unmask": "switch.refused"}
    assert ask("resume", "two") == "not_paused"
    assert len(markers(call)) == 1


def test_unknown_call_has_ended(ask: Callable[..., str]) -> None:
    assert ask("pause", recording="01a2101e-0000-7d17-8d61-e2a8e19669f1") == "ended"


def test_default_length_of_a_pause(ask: Callable[..., str], node: Node, call: CallController) -> None:
    node.refuses = {"global_getvar": "switch.refused"}
    assert ask("pause") == DONE
    assert markers(call) == [("paused", {"seconds": "120", "by": "panel"})]


def test_ignores_malformed_requests(ask: Callable[..., str], tmp_path: Path) -> None:
    import socket

    from recorder.spool.command_socket import socket_path

    def send(content: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection, socket_path(tmp_path) as name:
            connection.settimeout(5)
            connection.connect(name)
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(100)

    for content in (b"", b"\n", b"[]\n", b'{"id": 1}\n', b"{" * 5000, b"no line"):
        assert gevent.get_hub().threadpool.apply(send, (content,)) == b""
    assert ask("mark") == DONE


@pytest.mark.parametrize("bug", [ValueError, TypeError, OSError, KeyError])
def test_bug_in_a_command_is_counted_and_leaves_the_outcome_unknown(
    ask: Callable[..., str], node: Node, monkeypatch: pytest.MonkeyPatch, bug: type[Exception]
) -> None:
    def fail(order: SwitchCommand, limit: float = 0) -> str:
        raise bug("a bug")

    before = metrics.UNHANDLED_ERRORS._value.get()
    monkeypatch.setattr(node, "api", fail)
    with capture_logs() as logs:
        assert ask("pause") == UNKNOWN
        wait_idle(timeout=5)
    assert [each["event"] for each in logs] == ["command.failed"]
    assert metrics.UNHANDLED_ERRORS._value.get() == before + 1


def test_socket_is_private_to_the_daemons_user(ask: Callable[..., str], tmp_path: Path) -> None:
    """The spool belongs to the group, which includes the switch's user."""
    status = (tmp_path / SOCKET).stat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run a process as somebody else")
def test_refuses_a_process_of_the_spools_group(ask: Callable[..., str], tmp_path: Path) -> None:
    gid = 4242
    for path in (tmp_path, tmp_path / SOCKET):
        os.chown(path, -1, gid)
    tmp_path.chmod(0o2770)
    code = (
        f"import os, socket; os.chdir({str(tmp_path)!r})\n"
        f"os.setgroups([]); os.setgid({gid}); os.setuid({SOMEBODY})\n"
        f"open('theirs', 'w'); socket.socket(socket.AF_UNIX).connect({SOCKET!r})"
    )
    process = gevent.get_hub().threadpool.apply(
        subprocess.run, ([sys.executable, "-c", code],), {"capture_output": True, "text": True}
    )
    assert (tmp_path / "theirs").exists(), "the group may write into the spool"
    assert "PermissionError" in process.stderr
