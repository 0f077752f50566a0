"""The shipped units with all their hardening under a real systemd, on a machine of their own."""

from __future__ import annotations

import json
import os
import signal
import stat
import time

import pytest

from recorder.capture.admission import FILE
from recorder.spool.layout import END
from tests.deploy.boot import PYTHON, Machine
from tests.deploy.conftest import UNITS, as_accord, as_root

pytestmark = pytest.mark.long

NAMES = [unit.removesuffix(".service") for unit in UNITS]


def main_pid(machine: Machine, unit: str) -> int:
    return int(machine.show(unit, "MainPID"))


def outside(machine: Machine, inside: int) -> int:
    """The process id, on this machine, of a unit's main process."""
    for each in os.listdir("/proc"):
        try:
            lines = open(f"/proc/{each}/status").read().splitlines()  # noqa: SIM115
            here = os.stat(f"/proc/{each}/ns/pid").st_ino == os.stat(f"/proc/{machine.pid}/ns/pid").st_ino
        except OSError:
            continue
        numbers = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
        if here and numbers and numbers[-1] == str(inside):
            return int(each)
    raise AssertionError(f"no process {inside} in the machine")


def wait_active(machine: Machine, unit: str, seconds: float = 30) -> None:
    try:
        machine.until(f"{unit} is active", lambda: machine.show(unit, "ActiveState") == "active", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{machine.journal(unit)}") from error


@pytest.mark.parametrize("unit", UNITS)
def test_hardened_process_reports_that_it_is_ready(machine: Machine, unit: str) -> None:
    wait_active(machine, unit)
    assert machine.show(unit, "User") == "accord"
    assert machine.show(unit, "NRestarts") == "0", machine.journal(unit)


def test_the_folders_belong_to_the_group(machine: Machine) -> None:
    status = machine.path("/var/lib/accord/spool").stat()
    assert stat.S_IMODE(status.st_mode) == 0o2770


def test_call_of_another_switch_user_becomes_a_recording(machine: Machine) -> None:
    for unit in UNITS:
        wait_active(machine, unit)
    machine.run("systemctl", "start", "freeswitch")
    store = machine.path("/var/lib/accord/store")

    def stored() -> bool:
        return any(store.glob("**/manifest.json"))

    try:
        machine.until("the call is a sealed recording", stored, 90)
    except AssertionError as error:
        logs = machine.path("/var/log/accord/accord.log").read_text()
        raise AssertionError(f"{error}\n{machine.journal('freeswitch')}\n{logs}") from error
    spool = machine.path("/var/lib/accord/spool")
    machine.until("the spool is empty", lambda: not list(spool.glob(f"*/{END}")))
    # The hardened daemon can ask the kernel whose process the switch is.
    sound = spool / FILE
    assert stat.S_IMODE(sound.stat().st_mode) == 0o600
    assert json.loads(sound.read_text())["user"] == int(machine.run("id", "-u", "freeswitch").stdout)


def test_doctor_reports_no_fault_of_the_processes(machine: Machine) -> None:
    for unit in UNITS:
        wait_active(machine, unit)
    if machine.show("freeswitch", "ActiveState") != "active":
        machine.run("systemctl", "start", "freeswitch")
    daemon = f"ok      daemon: process {main_pid(machine, 'accord-daemon')} is connected to the switch"

    machine.until("the daemon watches", lambda: daemon in as_accord(machine, "doctor", check=False), 30)
    report = as_accord(machine, "doctor", check=False)
    assert "ok      recording: the switch's user freeswitch may write to the spool" in report, report
    for name in ("without a supervisor", "without a watchdog", "files, but needs"):
        assert name not in report, report
    assert "ok      panel: answers" in report, report


def test_doctor_of_the_timer_finds_what_root_s_finds(machine: Machine) -> None:
    assert machine.show("accord-doctor.timer", "ActiveState") == "active"
    for unit in UNITS:
        wait_active(machine, unit)
    machine.run("systemctl", "start", "freeswitch", "accord-doctor")
    assert machine.show("accord-doctor", "Result") == "success", machine.journal("accord-doctor")
    code = (
        "import json, sqlite3; catalogue = sqlite3.connect('/var/lib/accord/catalogue.db');"
        "print(json.dumps(catalogue.execute('SELECT wrong, warnings FROM doctor_report').fetchall()))"
    )
    ((*row,),) = json.loads(machine.run("env", *PYTHON.split(), "-c", code).stdout)
    findings = json.loads(as_root(machine, "doctor", "--json", check=False))["findings"]
    for state, column in zip(("wrong", "warning"), row, strict=True):
        found = {each["check"] for each in findings if each["state"] == state}
        assert set(column.split()) == found, (machine.journal("accord-doctor"), findings)


def test_unit_that_ends_as_soon_as_it_starts(machine: Machine) -> None:
    """Its spool is a folder that the unit's sandbox leaves out: doctor does not ask to start it."""
    wait_active(machine, "accord-worker")
    machine.run("install", "-d", "-o", "accord", "/srv/spool")
    drop_in = machine.path("/etc/systemd/system/accord-worker.service.d/spool.conf")
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nEnvironment=ACCORD_NODE_SPOOL=/srv/spool\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "stop", "accord-worker")
    report = as_root(machine, "doctor", check=False)
    assert "systemctl start accord-worker" in report, report
    try:
        machine.run("systemctl", "start", "accord-worker", check=False)
        machine.until(
            "systemd has restarted it", lambda: machine.show("accord-worker", "NRestarts") not in ("", "0")
        )
        report = as_root(machine, "doctor", check=False)
        assert "worker: it ends as soon as it starts, and systemd starts accord-worker again" in report, (
            report
        )
        assert "`journalctl -u accord-worker -n 20` has the reason" in report, report
        assert "systemctl start accord-worker" not in report, report
        assert "ReadWritePaths=" in machine.journal("accord-worker")
    finally:
        drop_in.unlink()
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "restart", "accord-worker")
    wait_active(machine, "accord-worker")


def test_stopped_hub_is_killed_by_the_watchdog(machine: Machine) -> None:
    wait_active(machine, "accord-daemon")
    before = main_pid(machine, "accord-daemon")
    time.sleep(1)  # past its first heartbeats
    os.kill(outside(machine, before), signal.SIGSTOP)
    stopped = time.monotonic()
    machine.until(
        "another daemon is ready",
        lambda: (
            main_pid(machine, "accord-daemon") not in {0, before}
            and machine.show("accord-daemon", "ActiveState") == "active"
        ),
    )
    assert time.monotonic() - stopped < 10
    assert "watchdog" in machine.journal("accord-daemon").lower()


@pytest.mark.parametrize("unit", NAMES)
def test_reload_interrupts_nothing(machine: Machine, unit: str) -> None:
    wait_active(machine, unit)
    before, restarts = main_pid(machine, unit), machine.show(unit, "NRestarts")
    machine.run("systemctl", "reload", unit)
    time.sleep(1.5)  # a process that SIGHUP ends would end at once
    # The daemon starts its successor, which may have taken over by now.
    assert unit == "accord-daemon" or main_pid(machine, unit) == before
    assert machine.show(unit, "NRestarts") == restarts
    assert machine.show(unit, "ActiveState") == "active"


@pytest.mark.parametrize("unit", NAMES)
def test_killed_process_is_restarted(machine: Machine, unit: str) -> None:
    wait_active(machine, unit)
    before = main_pid(machine, unit)
    machine.run("systemctl", "kill", "--signal=SIGKILL", unit)
    machine.until(f"{unit} runs again", lambda: main_pid(machine, unit) not in {0, before})
    wait_active(machine, unit)


def test_the_daemon_reads_no_key(machine: Machine) -> None:
    wait_active(machine, "accord-daemon")
    inside = f"/proc/{outside(machine, main_pid(machine, 'accord-daemon'))}/root"
    assert not os.path.exists(f"{inside}/etc/accord/keys/manifest.key")
    assert os.path.exists(machine.path("/etc/accord/keys/manifest.key"))


def test_worker_trusts_the_clock_and_does_its_duties(machine: Machine) -> None:
    """If it could not, nothing would ever be destroyed: the hardening must not hide what it needs."""
    wait_active(machine, "accord-worker")
    clock_file = machine.path("/var/lib/accord/spool/.clock")
    machine.until("the clock is believed", clock_file.exists, 30)
    assert json.loads(clock_file.read_bytes())["boot"]
    assert "duty.delayed" not in machine.path("/var/log/accord/accord.log").read_text()


def test_the_switch_reads_no_key_and_no_catalogue(machine: Machine) -> None:
    """It is in Accord's group, because of the spool, and callers can talk to it."""
    wait_active(machine, "accord-worker")
    closed = (
        "/etc/accord/accord.toml",
        "/etc/accord/keys/manifest.key",
        "/etc/accord/keys/root.key",
        "/etc/accord/secrets/kek",
        "/var/lib/accord/catalogue.db",
        "/var/log/accord/accord.log",
    )
    for path in closed:
        assert machine.path(path).exists(), path
    group = machine.run("id", "--group", "accord").stdout.strip()
    as_switch = ("setpriv", "--reuid=freeswitch", "--regid=freeswitch", f"--groups={group}")
    read = f"for each in {' '.join(closed)}; do cat $each >/dev/null && echo $each; done"
    result = machine.run(*as_switch, "sh", "-c", f"{read}; ls /var/lib/accord/spool >&2")
    assert result.stdout.split() == []


def test_reload_replaces_the_daemon(machine: Machine) -> None:
    wait_active(machine, "accord-daemon")
    restarts = machine.show("accord-daemon", "NRestarts")
    for _ in range(2):
        before = main_pid(machine, "accord-daemon")
        machine.run("systemctl", "reload", "accord-daemon")
        machine.until("another one runs", lambda: main_pid(machine, "accord-daemon") not in (0, before), 30)  # noqa: B023
        machine.until("the one before has ended", lambda: not machine.path(f"/proc/{before}").exists(), 30)  # noqa: B023
        assert machine.show("accord-daemon", "ActiveState") == "active"
        machine.run("python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 8084), 1)")
    # systemd treats it like the first one: it is watched, ended and restarted.
    after = main_pid(machine, "accord-daemon")
    os.kill(outside(machine, after), signal.SIGSTOP)
    machine.until(
        "a hub that stops is killed", lambda: main_pid(machine, "accord-daemon") not in (0, after), 30
    )
    wait_active(machine, "accord-daemon")
    assert int(machine.show("accord-daemon", "NRestarts")) == int(restarts) + 1


WRITABLE = {
    "accord-daemon": ["/var/lib/accord/spool", "/var/log/accord"],
    "accord-worker": [
        "/var/lib/accord",
        "/var/lib/accord/snapshot/prompts",
        "/var/lib/accord/store",
        "/var/lib/accord/spool",
        "/var/log/accord",
        "catalogue",
    ],
}


@pytest.mark.parametrize("unit", WRITABLE)
def test_process_can_write_only_its_own_folders(machine: Machine, unit: str) -> None:
    """Tried with the mounts and the user of the unit's process."""
    wait_active(machine, unit)
    as_process = (
        "nsenter",
        "-t",
        str(main_pid(machine, unit)),
        "-m",
        "setpriv",
        "--reuid=accord",
        "--regid=accord",
        "--init-groups",
    )
    script = """
        for each in / /etc /usr /opt /var /srv /home /root /var/lib/accord /var/lib/accord/snapshot/prompts \
            /var/lib/accord/store /var/lib/accord/spool /var/log/accord
        do touch $each/.probe && rm $each/.probe && echo $each; done
        touch -c /var/lib/accord/catalogue.db && echo catalogue
    """
    writable = machine.run(*as_process, "sh", "-c", script, check=False).stdout.split()
    assert writable == WRITABLE[unit]


NO_DISK = """\
[Mount]
What=tmpfs
Where=/var/lib/accord/spool
Type=tmpfs
Options=there-is-no-such-option
"""


def test_daemon_makes_no_spool_beneath_an_unmounted_disk(machine: Machine) -> None:
    unit = machine.path("/etc/systemd/system/var-lib-accord-spool.mount")
    wait_active(machine, "accord-daemon")
    machine.run("systemctl", "stop", "accord-daemon")
    try:
        unit.write_text(NO_DISK)
        machine.run("systemctl", "daemon-reload")
        assert machine.run("systemctl", "start", "accord-daemon", check=False).returncode != 0
        assert machine.show("accord-daemon", "ActiveState") == "inactive"
    finally:
        unit.unlink()
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", "accord-daemon")
    wait_active(machine, "accord-daemon")


def test_processes_end_in_order_and_in_time(machine: Machine) -> None:
    for unit in UNITS:
        wait_active(machine, unit)
    start = time.monotonic()
    machine.run("systemctl", "stop", "accord.target")
    machine.until(
        "all have ended", lambda: all(machine.show(each, "ActiveState") == "inactive" for each in UNITS)
    )
    assert time.monotonic() - start < 25
    for unit in UNITS:
        assert machine.show(unit, "Result") == "success", machine.journal(unit)
    machine.run("systemctl", "start", "accord.target")
