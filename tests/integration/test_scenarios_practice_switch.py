"""The practice switch itself, driven by a client without Accord."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import gevent
import numpy as np
import pytest
import soundfile
from gevent import socket

from demo.practice.pace import Pace
from demo.practice.party import PracticeParty
from demo.practice.session import PracticeCall
from demo.practice.switch import PracticeSwitch
from tests.scenarios.files import RATE
from tests.waiting import until

PASSWORD = "only-for-this-test-1"
RECORDING = "01a2101e-5dde-7d17-8d61-e2a8e19669f1"


class Client:
    """Reads everything; ``text`` is what arrived so far."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.text = ""
        self.closed = False
        gevent.spawn(self._read)

    def _read(self) -> None:
        try:
            while data := self.socket.recv(65536):
                self.text += data.decode("utf-8", "replace")
        except OSError:
            pass
        self.closed = True

    def say(self, text: str) -> None:
        self.socket.sendall(text.encode() + b"\n\n")

    def execute(self, application: str, argument: str) -> None:
        self.say(
            f"sendmsg\ncall-command: execute\nexecute-app-name: {application}\n"
            f"execute-app-arg: {argument}\nevent-lock: true"
        )

    def events(self, name: str = r"\w+") -> list[str]:
        return re.findall(rf"^Event-Name: ({name})$", self.text, re.MULTILINE)


class Rig:
    """A switch, a socket for its calls, and sounds."""

    def __init__(self, folder: Path, speed: float = 1.0) -> None:
        self.folder = folder
        self.server = socket.socket()  # create_server would make one that blocks the hub
        self.server.bind(("127.0.0.1", 0))
        self.server.listen()
        self.switch = PracticeSwitch(
            password=PASSWORD, daemon=f"127.0.0.1:{self.server.getsockname()[1]}", pace=Pace(speed)
        )
        self.switch.start()
        self.audio = folder / "audio.wav"
        self.prompt = self.tone("prompt", 1000, 1.0)
        self.caller = self.tone("caller", 440, 30.0)
        self.callee = self.tone("callee", 2000, 30.0)

    def tone(self, name: str, pitch: float, seconds: float) -> Path:
        path = self.folder / f"{name}.wav"
        t = np.arange(int(RATE * seconds)) / RATE
        soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch * t), RATE, subtype="PCM_16")
        return path

    def log_in(self, names: str = "ALL") -> Client:
        client = Client(socket.create_connection(("127.0.0.1", self.switch.event_port)))
        until("asked to log in", lambda: "auth/request" in client.text)
        client.say(f"auth {PASSWORD}")
        client.say(f"event plain {names}")
        until("subscribed", lambda: "listener enabled" in client.text)
        return client

    def call(self, **party: object) -> tuple[PracticeCall, Client]:
        session = self.switch.call(
            "+3225550101",
            PracticeParty(early=self.caller, speaks=self.caller, answers_with=self.callee, **party),  # type: ignore[arg-type]
        )
        connection, _ = self.server.accept()
        return session, Client(connection)

    def begin(self, client: Client) -> None:
        client.say("connect")
        client.say("myevents")
        client.execute(
            "multiset",
            f"^^;accord_audio={self.audio};accord_recording={RECORDING};accord_seconds=7;"
            f"accord_prompt={self.prompt}",
        )
        client.execute("execute_extension", "accord_begin XML accord")

    def announced(self, client: Client) -> None:
        until("played", lambda: "Application-Response: FILE%20PLAYED" in client.text)
        client.execute("execute_extension", "accord_announced XML accord")
        until("taken", lambda: "variable_accord_state: announced" in client.text)
        client.say("exit")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    practice_rig = Rig(tmp_path)
    yield practice_rig
    practice_rig.switch.go_on()
    practice_rig.switch.stop()
    practice_rig.server.close()


def pitch_in(samples: np.ndarray, pitch: float) -> float:
    t = np.arange(len(samples)) / RATE
    return float(2 * np.abs(samples @ np.exp(-2j * np.pi * pitch * t)) / max(1, len(samples)))


def test_a_wrong_password_is_refused(rig: Rig) -> None:
    client = Client(socket.create_connection(("127.0.0.1", rig.switch.event_port)))
    client.say("auth wrong")
    until("closed", lambda: client.closed)
    assert "Reply-Text: -ERR invalid" in client.text


def test_commands_before_log_in_are_not_answered(rig: Rig) -> None:
    client = Client(socket.create_connection(("127.0.0.1", rig.switch.event_port)))
    client.say("api status")
    until("answered", lambda: "Reply-Text" in client.text)
    assert "-ERR command not found" in client.text
    assert "api/response" not in client.text


def test_each_voice_is_in_its_channel_for_its_duration(rig: Rig) -> None:
    session, daemon = rig.call(rings=0.5, talks=1.5)
    rig.begin(daemon)
    rig.announced(daemon)
    assert session.wait("ended", 10)
    with wave.open(str(rig.audio)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2) / 32768
    assert 3.0 < len(sound) / RATE < 3.6
    announcement, talk = sound[:RATE], sound[-RATE:]
    assert pitch_in(announcement[:, 1], 1000) == pytest.approx(
        0.3, abs=0.02
    )  # the very prompt, from the start
    assert pitch_in(announcement[:, 0], 440) > 0.2  # speech before the announcement: the take redacts it
    ringing = sound[RATE + 800 : RATE + 2400, 1]
    assert np.abs(ringing).max() == 0
    assert pitch_in(talk[:, 0], 440) == pytest.approx(0.3, abs=0.02)
    assert pitch_in(talk[:, 1], 2000) == pytest.approx(0.3, abs=0.02)
    assert pitch_in(talk[:, 0], 2000) < 0.01
    assert pitch_in(talk[:, 1], 440) < 0.01


def test_a_recording_stands_still_on_hold(rig: Rig) -> None:
    session, daemon = rig.call(rings=0.1)
    rig.begin(daemon)
    rig.announced(daemon)
    assert session.wait("bridged", 10)
    tape = session.media.tapes[str(rig.audio)]
    session.hold()
    before = tape.frames
    gevent.sleep(0.3)
    assert tape.frames == before
    session.unhold()
    until("it goes on", lambda: tape.frames > before)


def test_key_cuts_a_prompt_only_where_the_dialplan_allows_it(rig: Rig) -> None:
    session, daemon = rig.call()
    daemon.say("connect")
    daemon.say("myevents")
    daemon.execute("playback", str(rig.prompt))
    until("playing", lambda: session.media.prompt is not None)
    session.press("5")
    session.press("*")
    until("cut", lambda: "Application-Response: FILE%20PLAYED" in daemon.text, 0.6)
    rig.begin(daemon)
    until("announcing", lambda: session.leg.variables.get("accord_state") == "announcing")
    until("playing", lambda: session.media.prompt is not None)
    prompt = session.media.prompt
    for key in "0123456789*#":
        session.press(key)
    assert session.media.prompt is prompt
    until("all were told", lambda: len(daemon.events("DTMF")) == 14)


def test_daemon_lost_in_the_announcement_leaves_an_unrecorded_call(rig: Rig) -> None:
    watcher = rig.log_in()
    session, daemon = rig.call(rings=0.2, talks=0.3)
    rig.begin(daemon)
    daemon.execute("execute_extension", "accord_announced XML accord")  # too early, and it dies
    until("playing", lambda: session.media.prompt is not None)
    gevent.sleep(0.2)
    daemon.socket.close()
    assert session.wait("bridged", 5)
    assert not session.media.tapes
    assert session.leg.variables["accord_state"] == "unrecorded"
    assert session.wait("ended", 5)
    until("both legs ended", lambda: len(watcher.events("CHANNEL_DESTROY")) == 2)
    order = watcher.events("RECORD_START|RECORD_STOP|CHANNEL_BRIDGE|CHANNEL_DESTROY")
    assert order == ["RECORD_START", "RECORD_STOP", "CHANNEL_BRIDGE", "CHANNEL_DESTROY", "CHANNEL_DESTROY"]


def test_call_continues_at_once_without_a_daemon(rig: Rig) -> None:
    rig.server.close()
    start = time.monotonic()
    session = rig.switch.call("+3225550101", PracticeParty(rings=0.1, talks=0.1))
    assert session.wait("ended", 5)
    assert time.monotonic() - start < 1.0
    assert session.phase_events["bridged"].is_set()


def test_hung_daemon_costs_a_bounded_wait_and_its_late_commands_are_refused(rig: Rig) -> None:
    session, daemon = rig.call(rings=0.1)
    start = time.monotonic()
    assert session.wait("bridged", 10)
    assert 2.5 < time.monotonic() - start < 4.5  # accord_wait, and the scheduler's second
    rig.begin(daemon)
    until("the late order was looked at", lambda: "accord_begin" in daemon.text)
    daemon.execute("execute_extension", "accord_announced XML accord")
    until("and the second", lambda: "accord_announced" in daemon.text)
    assert not session.media.tapes
    assert not rig.audio.exists()
    daemon.socket.close()
    gevent.sleep(0.2)
    assert session.leg.cause is None  # the daemon's end does not tear the call down


def test_killed_switch_leaves_a_broken_recording_and_cut_connections(rig: Rig) -> None:
    watcher = rig.log_in()
    session, daemon = rig.call()
    rig.begin(daemon)
    until("recording", lambda: bool(session.media.tapes))
    gevent.sleep(0.3)
    rig.switch.die()
    until("cut", lambda: watcher.closed and daemon.closed)
    assert "disconnect-notice" not in watcher.text
    assert "RECORD_STOP" not in watcher.text
    raw = rig.audio.read_bytes()
    assert int.from_bytes(raw[40:44], "little") == 0
    assert len(raw) > 44 + 3000


def test_stalled_switch_is_silent_and_then_continues(rig: Rig) -> None:
    watcher = rig.log_in()
    session, daemon = rig.call()
    rig.begin(daemon)
    until("recording", lambda: bool(session.media.tapes))
    rig.switch.stall()
    gevent.sleep(0.1)  # what was under way
    frames, count = session.media.tapes[str(rig.audio)].frames, len(watcher.text)
    watcher.say("api status")
    gevent.sleep(0.4)
    assert session.media.tapes[str(rig.audio)].frames == frames
    assert len(watcher.text) == count
    rig.switch.go_on()
    until("answered", lambda: "is ready" in watcher.text)
    until("it records on", lambda: session.media.tapes[str(rig.audio)].frames > frames)


def test_events_are_filtered(rig: Rig) -> None:
    watcher = rig.log_in("CHANNEL_DESTROY CUSTOM accord::keep")
    other = rig.log_in("CHANNEL_DESTROY CHANNEL_HANGUP")
    other.say("filter Unique-ID nobody")
    until("filtered", lambda: "filter added" in other.text)
    rig.server.close()
    session = rig.switch.call("+3225550101", PracticeParty(callee="busy"))
    assert session.wait("ended", 5)
    until("two legs ended", lambda: len(watcher.events()) == 2)
    assert set(watcher.events()) == {"CHANNEL_DESTROY"}
    assert other.events() == []


def test_ten_times_the_speed_is_the_same_sound(tmp_path: Path) -> None:
    rig = Rig(tmp_path, speed=10.0)
    try:
        start = time.monotonic()
        session, daemon = rig.call(rings=0.5, talks=8.0)
        rig.begin(daemon)
        rig.announced(daemon)
        assert session.wait("ended", 30)
        assert time.monotonic() - start < 3.0
        with wave.open(str(rig.audio)) as file:
            seconds = file.getnframes() / RATE
        assert 9.0 < seconds < 12.0
    finally:
        rig.switch.stop()
        rig.server.close()


def test_process_requires_a_password_and_reports_a_missing_daemon(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "demo.practice", "--event-port", "0", "--wait", "0.2", "--call",
        "+3225550101:fr",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("ACCORD_SWITCH_PASSWORD", None)
    refused = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30)
    assert refused.returncode == 2
    assert "ACCORD_SWITCH_PASSWORD" in refused.stderr
    environment["ACCORD_SWITCH_PASSWORD"] = PASSWORD
    alone = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30)
    assert alone.returncode == 1
    assert "no daemon logged in" in alone.stderr
