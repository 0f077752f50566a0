"""SIGTERM to each busy process, a second SIGTERM, SIGHUP, and messages to systemd."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
import threading
import time
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from recorder.clock import utc_now
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.ids import uuid7
from recorder.processes.supervisor import HURRY, Program, Supervisor
from recorder.spool.layout import AUDIO, CallEnd, CallStart, append_marker, close_take, open_take
from recorder.spool.snapshot import read_snapshot
from tests.house import LEAD_MS, RATE, conversation
from tests.integration.ending.conftest import Site
from tests.processes import supervised
from tests.waiting import until

UNITS = Path(__file__).parents[3] / "deploy" / "systemd"


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.mark.long
def test_ending_daemon_takes_no_call_and_lets_an_announcement_finish(site: Site) -> None:
    daemon, switch = site.start("daemon"), site.call()
    daemon.wait_for_log("snapshot.read")
    until("the call is announced to", lambda: "announcement_started" in site.markers())
    daemon.signal()
    until("nobody listens for calls", lambda: not listens(site.ports.calls), 2)
    assert daemon.wait(18) > 1, "the announcement has seconds to go"
    assert "announcement_finished" in site.markers()
    switch.wait_for_log("is connected")
    audio = next(site.spool.glob("*/audio.wav"))
    before = audio.stat().st_size
    until("the switch records on", lambda: audio.stat().st_size > before, 5)
    # The successor takes over the call.
    daemon = site.start("daemon")
    daemon.wait_for_log("call.reconciled")


@pytest.mark.long
def test_a_second_signal_breaks_the_announcement_off_and_the_call_goes_on_unrecorded(site: Site) -> None:
    daemon, switch = site.start("daemon"), site.call()
    daemon.wait_for_log("snapshot.read")
    until("the call is announced to", lambda: "announcement_started" in site.markers())
    daemon.signal()
    until("it drains", lambda: "daemon.draining" in daemon.log_text())
    daemon.signal()
    assert daemon.wait(5) < 4
    assert "announcement_finished" not in site.markers()
    switch.wait_for_log("is connected")
    sizes = [path.stat().st_size for path in site.spool.glob("*/audio.wav")]
    time.sleep(0.5)  # half a second of sound would be there
    assert [path.stat().st_size for path in site.spool.glob("*/audio.wav")] == sizes


def unit_seconds(unit: str, key: str) -> int:
    (line,) = [line for line in unit.splitlines() if line.startswith(f"{key}=")]
    return int(line.partition("=")[2])


@pytest.mark.long
def test_messages_to_systemd(site: Site) -> None:
    for name in ("daemon", "worker", "web"):
        site.receive().clear()
        process = site.start(name)
        start = time.monotonic()

        def has_sent(word: str, count: int = 1) -> bool:
            return sum(word in each for _, each in site.receive()) >= count

        until(f"{name} is ready", lambda: has_sent("READY=1"))
        ready = next(at for at, each in site.messages if "READY=1" in each)
        until(f"{name} feeds the watchdog", lambda: has_sent("WATCHDOG=1", 6), 20)
        fed = [at for at, each in site.messages if "WATCHDOG=1" in each]
        unit = (UNITS / f"accord-{name}.service").read_text()
        assert max(late - early for early, late in pairwise(fed)) < unit_seconds(unit, "WatchdogSec"), name
        assert ready - start < unit_seconds(unit, "TimeoutStartSec"), name
        process.signal()
        process.wait(20)


@pytest.mark.long
@pytest.mark.parametrize("name", ["worker", "web"])
def test_sighup_interrupts_nothing(site: Site, name: str) -> None:
    """A daemon's handover is in ``test_handover.py``."""
    process = site.start(name)
    process.wait_for_log({"worker": "worker.started", "web": "web.listening"}[name])
    until("it beats", site.receive)
    process.signal(signal.SIGHUP)
    count = len(site.messages)
    until("it beats on", lambda: len(site.receive()) > count + 3)
    assert process.is_running
    process.signal()
    process.wait(20)


@pytest.mark.long
def test_worker_with_a_hanging_store_ends_at_the_second_signal(site: Site) -> None:
    """The take stays in its stage: an interrupted stage is repeated."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        finished_take(site)
        worker = site.start(
            "worker",
            ACCORD_STORE_KIND="s3",
            ACCORD_STORE_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}",
            ACCORD_STORE_ACCESS_KEY="a",
            ACCORD_STORE_SECRET_KEY="b",
        )
        until("it is sealed", lambda: list(site.spool.glob("*/manifest.json")), 60)
        encoders = children(worker.pid)
        silent.settimeout(20)
        silent.accept()  # it waits for the store, which does not answer
        worker.signal()
        time.sleep(1)
        assert worker.is_running, "it lets what is under way end"
        worker.signal()
        worker.wait(5)
        assert list(site.spool.glob("*/manifest.json"))
        until("its encoders have ended", lambda: not [pid for pid in encoders if alive(pid)], 5)


@pytest.mark.long
def test_panel_finishes_a_slow_response_and_refuses_others(tmp_path: Path) -> None:
    site = Site(tmp_path)
    script = Path(__file__).with_name("panel.py")
    try:
        panel = site.start_program(sys.executable, str(script), str(site.ports.web))
        panel.wait_for_log("web.listening")
        connection = http.client.HTTPConnection("127.0.0.1", site.ports.web, timeout=20)
        connection.connect()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.request("GET", "/much")
        answer = connection.getresponse()
        received = len(answer.read(100_000))
        panel.signal()
        until("nobody listens", lambda: not listens(site.ports.web), 3)
        while piece := answer.read(1_000_000):
            received += len(piece)
            time.sleep(0.05)
        assert received == 16_000_000
        panel.wait(10)
    finally:
        site.close()


@pytest.mark.long
def test_a_panel_breaks_off_at_the_second_signal(tmp_path: Path) -> None:
    site = Site(tmp_path)
    try:
        script = Path(__file__).with_name("panel.py")
        panel = site.start_program(sys.executable, str(script), str(site.ports.web))
        panel.wait_for_log("web.listening")
        connection = http.client.HTTPConnection("127.0.0.1", site.ports.web, timeout=20)
        connection.request("GET", "/much")
        answer = connection.getresponse()
        answer.read(1000)
        panel.signal()
        until("nobody listens", lambda: not listens(site.ports.web), 3)
        assert panel.is_running
        panel.signal()
        assert panel.wait(5) < 3
        connection.close()
    finally:
        site.close()


STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(99)"
)


@pytest.mark.long
def test_second_signal_kills_a_stubborn_process_sooner(tmp_path: Path) -> None:
    output = tmp_path / "out"
    supervisor = Supervisor(
        [Program("stubborn", [sys.executable, "-c", STUBBORN], output=output)], dict(os.environ)
    )
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    until("it runs", lambda: output.exists() and output.read_bytes())
    supervisor.stop()
    time.sleep(0.5)
    assert thread.is_alive()
    start = time.monotonic()
    supervisor.stop()
    thread.join(HURRY + 5)
    assert not thread.is_alive()
    assert HURRY - 1 < time.monotonic() - start < HURRY + 2


ENDS = """
import pathlib, signal, sys, time
path, wait = pathlib.Path(sys.argv[1]), float(sys.argv[2])
def end(*_):
    time.sleep(wait)
    path.with_suffix(".ended").write_text(repr(time.time()))
    sys.exit()
signal.signal(signal.SIGTERM, end)
path.touch()
while True:
    time.sleep(1)
"""


@pytest.mark.long
def test_store_ends_after_its_users(tmp_path: Path) -> None:
    programs = [
        Program("store", [sys.executable, "-c", ENDS, str(tmp_path / "store"), "0"], turn=1),
        Program("worker", [sys.executable, "-c", ENDS, str(tmp_path / "worker"), "1"]),
    ]
    with supervised(programs, dict(os.environ)):
        until("both run", lambda: all((tmp_path / each.name).exists() for each in programs))
    ended = {each.name: float((tmp_path / f"{each.name}.ended").read_text()) for each in programs}
    assert ended["store"] > ended["worker"]


def test_all_of_accord_ends_in_order(site: Site) -> None:
    run = site.start("run", ACCORD_LOG_PATH=str(site.folder / "accord.log"))
    log = site.folder / "accord.log"
    until("all are there", lambda: log.exists() and "web.listening" in log.read_text(), 40)
    until("the daemon is there", lambda: listens(site.ports.calls))
    site.call()
    until("the call is announced to", lambda: "announcement_started" in site.markers(), 40)
    run.signal()
    run.wait(25)
    log_text = log.read_text()
    for word in ("daemon.ended", "worker.stopped", "web.stopped"):
        assert word in log_text, log_text
    assert "announcement_finished" in site.markers()


def finished_take(site: Site) -> None:
    """A call as a daemon leaves it."""
    (line,) = read_snapshot(site.folder / "snapshot").lines.values()
    at = utc_now()
    start = CallStart(
        str(uuid7(at, os.urandom)), line.tenant, line.line, line.number, "inbound", "node1", "channel",
        Party("e164", "+32470123456"), at, line.formats, line.announcement,
    )  # fmt: skip
    folder = open_take(site.spool, start)
    sound = conversation("en", 1, True)
    (folder / AUDIO).write_bytes(sound)
    ended = at + timedelta(seconds=(len(sound) - 44) / 4 / RATE)
    announcement_end = at + timedelta(milliseconds=LEAD_MS + line.announcement.duration_ms)
    for when, kind in (
        (at, "recording_started"),
        (at, "announcement_started"),
        (announcement_end, "announcement_finished"),
        (announcement_end, "bridged"),
        (ended, "recording_stopped"),
    ):
        append_marker(folder, Marker(when, kind))
    close_take(folder, CallEnd("recorded", None, ended, Party("extension", "1001")))


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
