"""``accord top`` on a terminal, beside a real daemon with calls of the practice switch."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.domain.line_policy import Announcement, LinePolicy, to_json
from tests.announced import announcement_in
from tests.integration.terminal import Screen
from tests.ports import free_ports

PASSWORD = "practice-practice"
REPOSITORY = Path(__file__).parents[2]
CALLS = 3


def until(what: str, check: object, seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not check():  # type: ignore[operator]
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.1)


class Node:
    """A daemon and a switch, on a snapshot written by hand: no catalogue, no store, no worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sound = announcement_in("en")
        wav = sound.path.read_bytes()
        sha256 = hashlib.sha256(wav).hexdigest()
        (folder / "snapshot" / "prompts").mkdir(parents=True)
        (folder / "snapshot" / "prompts" / f"{sha256}.wav").write_bytes(wav)
        told = Announcement("a1", 1, "en", "told", ("agreement",), 30, sha256, (len(wav) - 44) // 16)
        lines = [
            LinePolicy("t1", "l1", f"+32255501{n:02}", "notice", "before_ringing", ("opus",), told)
            for n in range(CALLS)
        ]
        (folder / "snapshot" / "snapshot.json").write_bytes(to_json("2026-01-01T00:00:00.000Z", lines, []))
        first = free_ports(4)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "ACCORD_NODE_DATA": str(folder),
            "ACCORD_SWITCH_PASSWORD": PASSWORD,
            "ACCORD_SWITCH_PORT": str(first),
            "ACCORD_SWITCH_LISTEN_PORT": str(first + 1),
            "ACCORD_METRICS_DAEMON_PORT": str(first + 2),
            "ACCORD_METRICS_WORKER_PORT": str(first + 3),
            "ACCORD_METRICS_WEB_PORT": "0",
        }
        calls = [f"--call=+32255501{n:02}:en" for n in range(CALLS)]
        self.daemon = self._start("daemon.log", "recorder", "daemon")
        self.switch = self._start(
            "switch.log", "demo.practice", f"--event-port={first}", f"--daemon=127.0.0.1:{first + 1}",
            "--stay", *calls,
        )  # fmt: skip

    def _start(self, log: str, *words: str) -> subprocess.Popen[bytes]:
        with open(self.folder / log, "wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", *words], env=self.environment, stdout=file, stderr=file
            )

    def top(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "recorder", "top", *words],
            env=self.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def screen(self, *words: str, columns: int = 80, lines: int = 24) -> Screen:
        return Screen([sys.executable, "-m", "recorder", "top", *words], self.environment, columns, lines)

    def close(self) -> None:
        for process in (self.daemon, self.switch):
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.close()


def test_it_shows_the_calls_and_ends_as_it_found_the_terminal(node: Node) -> None:
    screen = node.screen()
    try:
        screen.wait_for(f"LIVE CALLS  {CALLS}: {CALLS} announcing")
        text = screen.wait_for("grows")
        assert len(re.findall(r"announcing +\d\d:\d\d grows +[0-9a-f]{8}-", text)) >= 1, text
        screen.wait_for("switch ok")
        assert "worker: away" in text
        assert "+322" not in text, "no numbers unless they are asked for"
        assert screen.shown[-1] == "" or "q ends it" in text
        assert all(len(line) <= 80 for line in screen.shown)
        screen.resize(60, 12)
        screen.wait_for("... and")
        assert len(screen.shown) == 12
        screen.resize(120, 30)
        screen.wait_for("CUSTOMER")
        assert len(re.findall(" t1 ", screen.text)) == CALLS
        os.kill(node.daemon.pid, signal.SIGSTOP)
        screen.wait_for(f"daemon: process {node.daemon.pid} is stopped")
        node.daemon.kill()
        screen.wait_for("daemon: away. Calls go on unrecorded")
        assert f"LIVE CALLS  {CALLS}" in screen.text, "what lies on the disk is still shown"
        node.switch.kill()
        screen.wait_for("stands")
        screen.type(b"q")
        assert screen.wait_end() == 0
        assert screen.modes == screen.before
        assert screen.raw.endswith(b"\x1b[0m\x1b[?25h\x1b[?1049l")
        assert b"Traceback" not in screen.raw
    finally:
        screen.close()


@pytest.mark.parametrize("how", ["keys", "signal"])
def test_it_can_be_broken_off(node: Node, how: str) -> None:
    screen = node.screen()
    try:
        screen.wait_for("LIVE CALLS")
        if how == "keys":
            screen.type(b"\x03")
        else:
            screen.process.send_signal(signal.SIGTERM)
        assert screen.wait_end() == 0
        assert screen.modes == screen.before
        assert b"Traceback" not in screen.raw
    finally:
        screen.close()


def test_once_in_words_and_in_json(node: Node) -> None:
    until("a recording grows", lambda: "grows" in node.top("--once"))
    said = node.top("--once", "--numbers")
    assert "\x1b" not in said
    assert "+3225550100" in said
    body = json.loads(node.top("--json"))
    assert body["daemon"] == node.daemon.pid
    assert body["watches"] is True
    assert len(body["calls"]) == CALLS
    assert not {"number", "outside"} & set(body["calls"][0])
    assert "number" in json.loads(node.top("--json", "--numbers"))["calls"][0]


def test_without_anything_it_says_so(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "ACCORD_NODE_DATA": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "recorder", "top"], env=environment, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "daemon: away" in done.stdout
    assert "No such file or directory" in done.stdout
