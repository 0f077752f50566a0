"""A successor takes over from a running daemon: real processes and a practice switch."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.ending.conftest import Site
from tests.processes import Process
from tests.waiting import until


def next_daemon(site: Site, **more: str) -> Process:
    return site.start("daemon", "--replace", **more)


def start_announcement(site: Site) -> tuple[Process, Process]:
    """A daemon that is announcing to a call, and the switch."""
    daemon, switch = site.start("daemon"), site.call()
    daemon.wait_for_log("snapshot.read")
    until("the call is announced to", lambda: "announcement_started" in site.markers())
    return daemon, switch


def grows(site: Site) -> bool:
    """The recording continues in the switch."""
    (audio,) = site.spool.glob("*/audio.wav")
    before = audio.stat().st_size
    until("the switch records on", lambda: audio.stat().st_size > before, 10)
    return True


def test_announcement_finishes_and_the_successor_takes_over(site: Site) -> None:
    daemon, switch = start_announcement(site)
    after = next_daemon(site)
    daemon.wait_for_log("daemon.handover_started")
    after.wait_for_log("daemon.ready")
    assert "announcement_finished" not in site.markers(), "both are there"
    daemon.wait(30)
    assert "announcement_finished" in site.markers()
    after.wait_for_log("call.reconciled")
    after.wait_for_log("daemon.takeover_finished")
    until("it is written down", lambda: "unobserved_to" in site.markers())
    switch.wait_for_log("is connected")
    assert grows(site)
    # A further call belongs to the successor.
    assert len(list(site.spool.glob("*/call.json"))) == 1
    assert "daemon.draining" in daemon.log_text()
    assert "daemon.draining" not in after.log_text()


@pytest.mark.long
def test_the_port_is_open_all_the_time(site: Site) -> None:
    daemon = site.start("daemon")
    daemon.wait_for_log("daemon.ready")
    after = next_daemon(site)
    while daemon.is_running or "daemon.takeover_finished" not in after.log_text():
        # Refused if nothing listens; late if a busy machine accepts too slowly.
        socket.create_connection(("127.0.0.1", site.ports.calls), 30).close()
        time.sleep(0.002)  # leaves the processor to the daemons
    socket.create_connection(("127.0.0.1", site.ports.calls), 30).close()
    daemon.wait(1)


@pytest.mark.long
def test_successor_that_cannot_start_changes_nothing(site: Site) -> None:
    daemon, switch = start_announcement(site)
    bad_daemon = next_daemon(site, ACCORD_SWITCH_PORT="no number")
    assert bad_daemon.popen.wait(30) != 0
    assert "daemon.handover_started" not in daemon.log_text()
    switch.wait_for_log("is connected")
    assert daemon.is_running


@pytest.mark.long
def test_predecessor_continues_if_the_successor_dies_first(site: Site) -> None:
    daemon, switch = start_announcement(site)
    after = next_daemon(site)
    daemon.wait_for_log("daemon.handover_started")
    after.kill()
    daemon.wait_for_log("daemon.resumed")
    switch.wait_for_log("is connected")
    assert daemon.is_running
    socket.create_connection(("127.0.0.1", site.ports.calls), 1).close()
    # It can still hand over and end.
    after = next_daemon(site)
    daemon.wait(30)
    after.wait_for_log("daemon.takeover_finished")
    assert grows(site)


@pytest.mark.long
def test_successor_takes_over_from_a_dead_predecessor(site: Site) -> None:
    daemon, switch = start_announcement(site)
    after = next_daemon(site)
    daemon.wait_for_log("daemon.handover_started")
    daemon.kill()
    after.wait_for_log("daemon.takeover_finished")
    switch.wait_for_log("is connected")
    until("the call is written down", lambda: "unobserved_to" in site.markers())


def test_second_daemon_without_replace_is_refused(site: Site) -> None:
    daemon = site.start("daemon")
    daemon.wait_for_log("daemon.ready")
    second = site.start("daemon")
    assert second.popen.wait(30) == 2
    assert "another daemon works on" in second.log_text()
    assert "--replace" in second.log_text()
    assert daemon.is_running
    assert "daemon.handover_started" not in daemon.log_text()


@pytest.mark.long
def test_daemon_started_while_another_ends_takes_its_calls(site: Site) -> None:
    daemon, _ = start_announcement(site)
    daemon.signal()
    daemon.wait_for_log("daemon.draining")
    after = site.start("daemon")
    after.wait_for_log("daemon.ready")
    daemon.wait(30)
    after.wait_for_log("daemon.takeover_finished")
    assert "announcement_finished" in site.markers()


@pytest.mark.long
def test_unsupervised_daemon_is_replaced_at_once(site: Site) -> None:
    daemon = site.start("daemon", NOTIFY_SOCKET="")
    daemon.wait_for_log("daemon.ready")
    daemon.signal()
    after = site.start("daemon", NOTIFY_SOCKET="")
    after.wait_for_log("daemon.ready")
    daemon.wait(30)
    after.wait_for_log("daemon.takeover_finished") if "daemon.takeover_started" in after.log_text() else None
    after.signal()
    socket.create_connection(("127.0.0.1", site.ports.calls), 1).close()
    after.wait(30)


@pytest.mark.long
def test_sighup_starts_the_successor_and_tells_systemd(site: Site) -> None:
    daemon = site.start("daemon")
    daemon.wait_for_log("daemon.ready")
    daemon.signal(signal.SIGHUP)

    def main_pids() -> list[str]:
        return [each for _, each in site.receive() if "MAINPID" in each]

    until("systemd is told who it is", main_pids)
    daemon.wait(30)
    found = re.fullmatch(r"MAINPID=(\d+)", main_pids()[0])
    assert found is not None
    pid = int(found[1])
    try:
        assert pid != daemon.pid
        until("the next one has taken over", lambda: "daemon.takeover_finished" in daemon.log_text())
        before = len(site.messages)
        until("it feeds the watchdog", lambda: len(site.receive()) > before + 2)
        assert not any("STOPPING" in each for _, each in site.messages)
    finally:
        os.kill(pid, signal.SIGTERM)
        until("it ends", lambda: daemon.log_text().count("daemon.ended") == 2)


CONTAINER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
"""A PID namespace, whose processes end with the first one, as in a container."""


@pytest.fixture
def container() -> tuple[str, ...]:
    if subprocess.run([*CONTAINER, "true"], capture_output=True).returncode != 0:
        pytest.skip("PID namespaces need root")
    return CONTAINER


def child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


@pytest.mark.long
@pytest.mark.parametrize("init", [(), ("sh", "-c", '"$@"; exit $?', "init")], ids=["alone", "with an init"])
def test_daemon_that_a_container_ends_with_starts_no_successor(
    site: Site, container: tuple[str, ...], init: tuple[str, ...]
) -> None:
    daemon = site.start("daemon", before=(*container, *init), NOTIFY_SOCKET="")
    daemon.wait_for_log("daemon.ready")
    pid = child(daemon.pid)
    os.kill(child(pid) if init else pid, signal.SIGHUP)
    daemon.wait_for_log("daemon.successor_refused")
    assert "accord daemon --replace" in daemon.log_text()
    assert daemon.is_running
    socket.create_connection(("127.0.0.1", site.ports.calls), 1).close()


@pytest.mark.long
def test_daemon_of_another_container_takes_over(site: Site, container: tuple[str, ...]) -> None:
    """They share the spool and the network. The first container ends, and the call goes on in the second."""
    daemon = site.start("daemon", before=container, NOTIFY_SOCKET="")
    switch = site.call()
    daemon.wait_for_log("snapshot.read")
    until("the call is announced to", lambda: "announcement_started" in site.markers())
    after = site.start("daemon", "--replace", before=container, NOTIFY_SOCKET="")
    after.wait_for_log("daemon.takeover_started")
    daemon.wait_for_log("daemon.handover_started")
    daemon.wait(30)
    assert "announcement_finished" in site.markers()
    after.wait_for_log("daemon.takeover_finished")
    switch.wait_for_log("is connected")
    assert grows(site)
    socket.create_connection(("127.0.0.1", site.ports.calls), 1).close()


@pytest.mark.long
def test_accord_run_restarts_at_sighup(site: Site) -> None:
    log = site.folder / "accord.log"
    run = site.start("run", ACCORD_LOG_PATH=str(log))
    until("all are there", lambda: log.exists() and "web.listening" in log.read_text(), 60)
    until("the daemon is there", lambda: "daemon.ready" in log.read_text(), 60)
    run.signal(signal.SIGHUP)
    for word, times in (("daemon.takeover_finished", 1), ("web.listening", 2), ("worker.started", 2)):
        until(f"{word} ×{times}", lambda: log.read_text().count(word) == times, 60)  # noqa: B023
    until("the supervisor knows", lambda: "process.handed_over" in log.read_text())
    run.signal()
    run.wait(35)
