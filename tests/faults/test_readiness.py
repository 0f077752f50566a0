"""A real worker says what it cannot reach, as a gauge too, and when it is back."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from recorder.seal import signing
from tests.faults.disks import MIB, SmallDisk
from tests.ports import free_ports
from tests.processes import Installation, Process
from tests.waiting import until


def fetch(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def unready(port: int) -> dict[str, Any] | None:
    """The checks that are not well, by name; ``None`` where nobody answers."""
    status, text = fetch(port, "readyz")
    if not status:
        return None
    found = {name: each for name, each in json.loads(text)["checks"].items() if not each["ok"]}
    assert (status == 200) is (not found)
    return found


@pytest.mark.long
def test_panel_says_what_it_lacks(house, processes: Installation) -> None:
    """The keys of a second panel: first without `panel.key`, then with another secret than the first one."""
    panel, port = free_ports(), free_ports()
    keys = {"ACCORD_WEB_PORT": str(panel), "ACCORD_METRICS_WEB_PORT": str(port)}
    key = house.folder / "keys" / signing.PANEL_KEY
    content = key.read_bytes()
    key.unlink()
    process = processes.start("web", **keys)
    until("the one thing that it lacks", lambda: set(unready(port) or ()) == {"panel_key"})
    assert "copy panel.key" in (unready(port) or {})["panel_key"]["hint"]
    assert fetch(panel, "readyz") == (503, '{"status":"not_ready"}\n')
    assert process.stop() == 0
    key.write_bytes(content)
    key.chmod(0o600)
    process = processes.start("web", **keys)
    until("a panel that is ready", lambda: unready(port) == {})
    assert fetch(panel, "readyz")[0] == 200
    other_panel, other_port = free_ports(), free_ports()
    other = processes.start(
        "web",
        ACCORD_WEB_PORT=str(other_panel),
        ACCORD_METRICS_WEB_PORT=str(other_port),
        ACCORD_WEB_SECRET_KEY="another secret of thirty-two bytes",
    )
    until("that its forms fit no other panel", lambda: set(unready(other_port) or ()) == {"secret"})
    assert unready(port) == {}, "the first one goes on"
    assert process.stop() == 0
    until("that it is the only one now", lambda: unready(other_port) == {})
    assert other.stop() == 0


def test_store_that_refuses_every_write(
    house, processes: Installation, small_disk: Callable[..., SmallDisk]
) -> None:
    disk = small_disk("store", size=2 * MIB)
    port = free_ports()
    processes.settings |= {"ACCORD_STORE_PATH": str(disk.folder), "ACCORD_METRICS_WORKER_PORT": str(port)}
    processes.output("store", "init")
    process: Process = processes.start("worker")
    until("a worker that is ready", lambda: unready(port) == {})
    disk.fill()
    until("that it cannot store", lambda: set(unready(port) or ()) == {"store"})
    finding = (unready(port) or {})["store"]
    assert "No space left" in finding["what"]
    assert "make room" in finding["hint"]
    until("the gauge", lambda: 'accord_ready{check="store"} 0.0' in fetch(port, "metrics")[1])
    assert 'accord_ready{check="catalogue"} 1.0' in fetch(port, "metrics")[1]
    status = processes.accord("status")
    assert "worker: store: " in status.stdout
    assert "No space left" in status.stdout
    assert status.returncode == 1
    disk.free()
    until("that it can again", lambda: unready(port) == {})
    until("the gauge", lambda: 'accord_ready{check="store"} 1.0' in fetch(port, "metrics")[1])
    begin, end = process.log("health.check_failed"), process.log("health.recovered")
    assert [each["check"] for each in begin] == [each["check"] for each in end] == ["store"]
    assert end[0]["failures"] > 0
    assert process.stop() == 0
