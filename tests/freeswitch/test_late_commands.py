"""The switch itself refuses late commands, from any source."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.freeswitch.switches import SCHEDULER_S, WAIT_S, Rig, until

PROMPT_ORDER = (
    "sendmsg\ncall-command: execute\nexecute-app-name: multiset\nexecute-app-arg: "
    "^^;accord_recording=01a2101e-5dde-7d17-8d61-e2a8e19669f1;accord_audio={audio};"
    "accord_prompt={prompt};accord_seconds=7\nevent-lock: true\n\n"
)


class SlowDaemon:
    """A server on the daemon's port that sends exactly what a test specifies."""

    def __init__(self, port: int) -> None:
        self.server = socket.create_server(("127.0.0.1", port), backlog=64)
        self.sock: socket.socket | None = None

    def accept(self) -> None:
        self.server.settimeout(10)
        self.sock, _ = self.server.accept()

    def say(self, text: str) -> None:
        assert self.sock is not None
        self.sock.sendall(text.encode())

    def extension(self, name: str) -> None:
        self.say(
            "sendmsg\ncall-command: execute\nexecute-app-name: execute_extension\n"
            f"execute-app-arg: {name} XML accord\nevent-lock: true\n\n"
        )

    def begin(self, rig: Rig) -> None:
        prompt = next((rig.snapshot / "prompts").glob("*.wav"))
        audio = rig.spool / "late" / "audio.wav"
        self.say(PROMPT_ORDER.format(audio=audio, prompt=prompt))
        self.extension("accord_begin")

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
        self.server.close()


@contextmanager
def slow_daemon(rig: Rig) -> Iterator[SlowDaemon]:
    slow = SlowDaemon(rig.daemon_port)
    try:
        yield slow
    finally:
        slow.close()


def test_commands_after_the_bound_have_no_effect(rig: Rig) -> None:
    with slow_daemon(rig) as slow:
        silent, connected, has_begun = rig.call(), None, None
        slow.accept()  # never even says connect
        first = slow.sock
        connected = rig.call()
        slow.accept()
        slow.say("connect\n\n")
        second = slow.sock
        has_begun = rig.call()
        slow.accept()
        slow.say("connect\n\n")
        slow.begin(rig)
        third = slow.sock
        # What was ordered here is 7 s from its beginning on.
        for call, bound in ((silent, WAIT_S), (connected, WAIT_S), (has_begun, WAIT_S + 7)):
            call.wait_bridged()
            assert call.connected_after() < bound + SCHEDULER_S + 1
        time.sleep(0.5)
        assert [c.variable("accord_left") for c in (silent, connected, has_begun)] == ["late"] * 3
        assert not rig.recorded_now()
        # Now it wakes, and says everything it could.
        for sock in (first, second, third):
            slow.sock = sock
            slow.say("connect\n\n")
            slow.begin(rig)
            for name in ("accord_again", "accord_announced", "accord_begin", "accord_fail", "accord_pass"):
                slow.extension(name)
        time.sleep(1.0)
        for call in (silent, connected, has_begun):
            assert call.alive()
            assert call.variable("accord_state") == "unrecorded"
        assert not rig.recorded_now()
        # And dies: the calls stay up.
        for sock in (first, second, third):
            assert sock is not None
            sock.close()
        time.sleep(0.5)
        assert all(call.alive() and call.variable("accord_state") == "unrecorded" for call in (silent, connected, has_begun))  # fmt: skip # noqa: E501


def test_bound_restores_playback_terminators(rig: Rig) -> None:
    """The provider's own value is restored, also for a call that had not begun; without one, none is left."""
    with slow_daemon(rig) as slow:
        calls = []
        for value, has_begun in (("#", False), ("#", True), ("", False), ("", True)):
            call = rig.call()
            slow.accept()
            slow.say("connect\n\n")
            if value:
                leg = until("it is listed", lambda c=call: c.leg)
                rig.switch.esl.api(f"uuid_setvar {leg} playback_terminators {value}")
            if has_begun:
                slow.begin(rig)
                until("it is told", lambda c=call: c.variable("playback_terminators") == "none")
            calls.append((call, value, slow.sock))  # kept, and so open
        for call, value, _ in calls:
            call.wait_bridged()
            assert call.variable("accord_left") == "late"
            assert call.variable("playback_terminators") == (value or "_undef_")


def test_daemon_that_releases_during_the_announcement_stops_the_recording(rig: Rig) -> None:
    with slow_daemon(rig) as slow:
        call = rig.call()
        slow.accept()
        slow.say("connect\n\n")
        slow.begin(rig)
        until("it is recorded", rig.recorded_now)
        assert slow.sock is not None
        slow.sock.close()
        call.wait_bridged()
        time.sleep(0.3)
        assert call.variable("accord_left") == "announcing"
        assert not rig.recorded_now()
        assert call.alive()


def test_premature_confirmation_has_no_effect(rig: Rig) -> None:
    with slow_daemon(rig) as slow:
        call = rig.call()
        slow.accept()
        slow.say("connect\n\n")
        slow.extension("accord_announced")
        slow.extension("accord_again")
        time.sleep(0.3)
        assert call.variable("accord_state") == "waiting"
        assert slow.sock is not None
        slow.sock.close()
        call.wait_bridged()
        time.sleep(0.2)
        assert call.variable("accord_state") == "unrecorded"


def test_bound_is_cancelled_when_the_call_continues(daemon: Rig) -> None:
    call = daemon.call()
    call.wait_bridged()
    leg = call.leg
    assert leg is not None
    until("its task is gone", lambda: leg not in daemon.switch.esl.api("show tasks"), 3)
    call.hang_up()
    call.wait_take()
