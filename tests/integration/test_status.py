"""``accord status`` with a real daemon and calls of the practice switch."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recorder.clock import utc_now
from recorder.domain.line_policy import Announcement, LinePolicy
from recorder.spool.snapshot import write_snapshot
from tests.announcements import announcement_in
from tests.ports import free_ports

pytestmark = pytest.mark.long

PASSWORD = "practice-practice"
REPOSITORY = Path(__file__).parents[2]
CALLS = 3
LIVE = (
    rf"(?m)^ok      calls: {CALLS} live: ({CALLS} announcing|{CALLS} connected|\d announcing, \d connected)$"
)


PAUSE = 0.5
"""Seconds between two runs of a command, which starts a process each."""


def until(what: str, check: Callable[[], bool], found: Callable[[], str] = str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"not within {seconds} s: {what}: {found()}"
        time.sleep(PAUSE)


class Node:
    """A daemon and a switch, on a snapshot written by hand: no catalogue, no store, no worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sound = announcement_in("en")
        wav = sound.path.read_bytes()
        sha256 = hashlib.sha256(wav).hexdigest()
        (folder / "snapshot" / "prompts").mkdir(parents=True)
        (folder / "snapshot" / "prompts" / f"{sha256}.wav").write_bytes(wav)
        announcement = Announcement("a1", 1, "en", "told", ("agreement",), 30, sha256, (len(wav) - 44) // 16)
        lines = [
            LinePolicy("t1", "l1", f"+32255501{n:02}", "notice", "before_ringing", ("opus",), announcement)
            for n in range(CALLS)
        ]
        write_snapshot(folder / "snapshot", lines, [], utc_now())
        first = free_ports(4)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
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
            "--stay", "--speed=0.25", *calls,
        )  # fmt: skip

    def _start(self, log: str, *words: str) -> subprocess.Popen[bytes]:
        with open(self.folder / log, "wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", *words], env=self.environment, stdout=file, stderr=file
            )

    def status(self, *words: str) -> tuple[int, str]:
        """Exit status and output of the command."""
        process = subprocess.run(
            [sys.executable, "-m", "recorder", "status", *words],
            env=self.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip
        assert process.stderr == ""
        return process.returncode, process.stdout

    def close(self) -> None:
        for process in (self.daemon, self.switch):
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    own_node = Node(tmp_path)
    yield own_node
    own_node.close()


def test_status_shows_calls_and_findings(node: Node) -> None:
    code, text = 0, ""

    def recorded() -> bool:
        nonlocal code, text
        code, text = node.status()
        return re.search(LIVE, text) is not None

    until("the calls are recorded", recorded, lambda: text)
    node.switch.send_signal(signal.SIGSTOP)  # no call ends from here on
    assert code == 1, "there is no worker"
    assert f"ok      daemon: process {node.daemon.pid} is connected to the switch" in text
    assert "ok      daemon: reports that it is ready" in text
    assert "wrong   worker: none is running on this spool" in text
    assert "ok      spool: 0 finished calls" in text
    assert "stopped growing" not in text
    assert "+322" not in text, "no numbers"
    code, text = node.status("--json")
    body = json.loads(text)
    assert (code, body["state"], sum(body["calls"].values())) == (1, "wrong", CALLS)
    assert body["spool"]["waiting"] == {"encode": 0, "seal": 0, "store": 0, "catalogue": 0}
    assert 0 < body["disk"]["used"] < 1

    os.kill(node.daemon.pid, signal.SIGSTOP)
    until(
        "it is stopped", lambda: f"wrong   daemon: process {node.daemon.pid} is stopped" in node.status()[1]
    )
    node.daemon.kill()
    node.daemon.wait()
    node.switch.kill()

    def nobody_writes() -> bool:
        nonlocal text
        text = node.status()[1]
        return f"{CALLS} recordings have stopped growing" in text

    until("nobody writes", nobody_writes, lambda: text)
    assert "wrong   daemon: none is running on this spool" in text
    assert f"calls: {CALLS} live" in text, "what lies on the disk is still shown"


def test_status_of_an_empty_folder(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "ACCORD_NODE_DATA": str(tmp_path)}
    process = subprocess.run(
        [sys.executable, "-m", "recorder", "status"], env=environment, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    assert (process.returncode, process.stderr) == (1, "")
    assert "daemon: none is running" in process.stdout
    assert "No such file or directory" in process.stdout
