"""``accord doctor`` on missing, stopped, unsupervised or unready processes, and on settings."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from recorder.cli import accord
from recorder.ops.doctor import machine
from tests.house import Bakery
from tests.ports import free_ports

HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print(flush=True)
time.sleep(99)
"""


def doctor(house: Bakery) -> str:
    environment = house.environment(ACCORD_WEB_PORT=str(free_ports(1)))
    return str(CliRunner().invoke(accord, ["doctor"], env=environment).output)


def test_processes_are_found_by_their_locks(house: Bakery) -> None:
    output = doctor(house)
    assert "wrong   daemon: none is running on this spool" in output
    assert "wrong   worker: none is running on this spool" in output
    assert "warning panel: nothing listens on port" in output
    for lock, name in ((".daemon", "daemon"), (".worker.lock", "worker")):
        (house.spool / lock).write_bytes(b".")
        with subprocess.Popen(
            [
                "sh",
                "-c",
                'ulimit -n 200; exec "$@"',
                "sh",
                sys.executable,
                "-c",
                HOLDER,
                str(house.spool / lock),
            ],
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            output = doctor(house)
            assert f"{name}: process {process.pid}" in output, output
            assert f"warning {name}: it runs without a supervisor" in output
            assert f"warning {name}: may open 200 files" in output
            process.send_signal(signal.SIGSTOP)
            until_stopped(process.pid)
            assert f"wrong   {name}: process {process.pid} is stopped" in doctor(house)
            if name == "daemon":
                process.send_signal(signal.SIGCONT)
                os.utime(house.spool / lock, (1, 1))
                assert "has not been connected to the switch since" in doctor(house)
            process.kill()


def until_stopped(pid: int) -> None:
    for _ in range(500):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return
        time.sleep(0.01)
    raise AssertionError("not stopped")


FINE = {"switch": {"ok": True, "what": "connected"}}


@pytest.mark.parametrize(
    ("status", "checks", "findings"),
    [
        (503, {"lines": {"ok": False, "what": "no lines", "hint": "do it"}},
         [("wrong", "daemon: lines: no lines", "do it")]),
        (200, FINE, [("ok", "daemon: reports that it is ready", "")]),
        (200, {**FINE, "dialplan": {"ok": True, "what": "3 calls", "hint": "do it"}},
         [("ok", "daemon: reports that it is ready", ""),
          ("warning", "daemon: dialplan: 3 calls", "do it")]),
    ],
)  # fmt: skip
def test_readiness_of_a_process_is_reported(
    status: int, checks: object, findings: list[tuple[str, str, str]]
) -> None:
    """The daemon's own readiness report is shown."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps({"checks": checks}).encode())

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = list(machine._readiness("daemon", "127.0.0.1", server.server_port))
        server.shutdown()
    assert [(each.state, each.what, each.hint) for each in found] == findings


def test_a_library_of_another_version(house: Bakery, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ok      versions: greenswitch 0.0.19" in doctor(house)
    monkeypatch.setitem(machine.TESTED, "greenswitch", "9")
    assert "warning versions: greenswitch 0.0.19 is installed, but Accord is tested with 9" in doctor(house)


def test_unusable_settings_are_wrong_usage() -> None:
    result = CliRunner().invoke(accord, ["doctor"], env={"ACCORD_NODE_FULL_AT": "7"})
    assert result.exit_code == 2
    assert "accord: the setting node.full_at" in result.output


def test_in_json(house: Bakery) -> None:
    result = CliRunner().invoke(accord, ["doctor", "--json"], env=house.environment())
    body = json.loads(result.stdout)
    assert (body["state"], result.exit_code) == ("wrong", 1)
    assert {"catalogue", "guards", "disk", "clock"} <= {each["check"] for each in body["findings"]}
