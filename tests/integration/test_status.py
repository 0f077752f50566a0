"""``accord status`` with a real daemon and calls of the practice switch."""

from __future__ import annotations

import hashlib
import json
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from recorder.clock import utc_now
from recorder.domain.line_policy import Announcement, LinePolicy
from recorder.spool.snapshot import write_snapshot
from tests.announcements import announcement_in
from tests.processes import Installation, Ports
from tests.waiting import until

pytestmark = pytest.mark.long

CALLS = 3
LIVE = (
    rf"(?m)^ok      calls: {CALLS} live: ({CALLS} announcing|{CALLS} connected|\d announcing, \d connected)$"
)


@dataclass
class Node(Installation):
    """A daemon and a switch, on a snapshot written by hand: no catalogue, no store, no worker."""

    ports: Ports = field(default_factory=Ports.reserve)

    def __post_init__(self) -> None:
        folder = self.folder
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
        self.settings = {**self.ports.settings, "ACCORD_METRICS_WEB_PORT": "0"}
        calls = [f"--call=+32255501{n:02}:en" for n in range(CALLS)]
        self.daemon = self.start("daemon")
        self.switch = self.start_switch(self.ports, "--speed=0.25", *calls)

    def status(self, *words: str) -> tuple[int, str]:
        """Exit status and output of the command."""
        command = self.accord("status", *words)
        assert command.stderr == ""
        return command.returncode, command.stdout


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

    until("the calls are recorded", recorded)
    node.switch.signal(signal.SIGSTOP)  # no call ends from here on
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

    node.daemon.signal(signal.SIGSTOP)
    until(
        "it is stopped", lambda: f"wrong   daemon: process {node.daemon.pid} is stopped" in node.status()[1]
    )
    node.daemon.kill()
    node.switch.kill()

    def nobody_writes() -> bool:
        nonlocal text
        text = node.status()[1]
        return f"{CALLS} recordings have stopped growing" in text

    until("nobody writes", nobody_writes)
    assert "wrong   daemon: none is running on this spool" in text
    assert f"calls: {CALLS} live" in text, "what lies on the disk is still shown"


def test_status_of_an_empty_folder(tmp_path: Path) -> None:
    command = Installation(tmp_path).accord("status")
    assert (command.returncode, command.stderr) == (1, "")
    assert "daemon: none is running" in command.stdout
    assert "No such file or directory" in command.stdout
