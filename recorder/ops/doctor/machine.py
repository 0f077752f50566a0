"""The machine and its processes: clock, versions, which processes run, their supervision and limits."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from recorder.errors import ConfigError
from recorder.identity.breached_passwords import check_list
from recorder.ops.doctor.findings import DoctorFinding, NotChecked, Patient, State, ok, warning, wrong
from recorder.ops.doctor.kernel_clock import kernel_clock
from recorder.processes.spool_holders import DAEMON, WORKER, Process, holder, last_watched, listener
from recorder.processes.supervisor import HEARTBEAT_FD

FILES = 4096
"""Open files and sockets that a daemon should be allowed: a few for each call that arrives at once."""

UNWATCHED = timedelta(seconds=10)
"""The daemon says every second that it watches the switch."""

OLD_MAIL = timedelta(minutes=15)
"""Mail is tried at least every ten minutes."""

LIST_GOOD_FOR = timedelta(days=400)
"""A list of breached passwords is to be replaced once or twice a year."""

TESTED = {"greenswitch": "0.0.19"}
"""Libraries whose insides are replaced (ARCHITECTURE.md): another version may not fit."""

ANSWERS_IN = 5.0

SYSTEMD = Path("/run/systemd/system")
"""A folder that is there if systemd runs this machine."""

_SAME = {"lines": "snapshot"}
"""Checks that a process calls otherwise than the doctor does."""

MILLISECOND = timedelta(milliseconds=1)

_PANEL_KEY = "panel.key"
"""As in ``recorder.seal.signing``, which imports cryptography: too much for ``accord status``."""

_NTP = (
    "install and start chrony or systemd-timesyncd: recordings carry signed times, and an S3 store refuses "
    "requests from a wrong clock"
)


def clock(patient: Patient) -> Iterator[DoctorFinding]:
    """The kernel reports that its clock is synchronised."""
    kernel = kernel_clock()
    if kernel is None:
        yield warning("clock: the kernel does not report whether it is synchronised", _NTP)
    elif not kernel.in_sync:
        yield warning("clock: it is not synchronised", _NTP)
    else:
        yield ok(f"clock: synchronised, at most {kernel.off / MILLISECOND:.0f} ms off")


def versions(patient: Patient) -> Iterator[DoctorFinding]:
    """The libraries have the versions that Accord was tested with."""
    for name, tested in TESTED.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            yield wrong(f"versions: {name} is not installed", f"pip install {name}=={tested}")
            continue
        if found == tested:
            yield ok(f"versions: {name} {found}, gevent {version('gevent')}")
        else:
            yield warning(
                f"versions: {name} {found} is installed, but Accord is tested with {tested}",
                f"pip install {name}=={tested}",
            )


def daemon(patient: Patient) -> Iterator[DoctorFinding]:
    """A daemon runs on this spool, watches the switch, and may open enough files."""
    node = patient.settings.node
    lock = node.spool_folder / DAEMON
    found = holder(lock)
    if found is None:
        yield wrong(f"daemon: {_absence('daemon')}, so calls are not recorded", _start("daemon"))
        return
    if found.stopped:
        yield wrong(f"daemon: process {found.pid} is stopped", f"run `kill -CONT {found.pid}`, or restart it")
        return
    # As the kernel times it, not as the patient's clock: it is the age of a file.
    last = last_watched(node.spool_folder)
    if last is not None and datetime.now(UTC) - last > UNWATCHED:
        yield wrong(
            f"daemon: process {found.pid} has not been connected to the switch since {last:%H:%M:%S} UTC",
            "its log has the reason (switch.down)",
        )
    else:
        yield ok(f"daemon: process {found.pid} is connected to the switch")
    port = patient.settings.switch.listen_port
    if listener(port) is None:
        yield wrong(
            f"daemon: nothing listens on port {port}, where the dialplan sends calls",
            "give the daemon and this command the same [switch] listen_port",
        )
    yield from _supervision("daemon", found)


def worker(patient: Patient) -> Iterator[DoctorFinding]:
    """A worker runs on this spool."""
    found = holder(patient.settings.node.spool_folder / WORKER)
    if found is None:
        yield wrong(f"worker: {_absence('worker')}, so finished calls stay there", _start("worker"))
        return
    if found.stopped:
        yield wrong(f"worker: process {found.pid} is stopped", f"run `kill -CONT {found.pid}`, or restart it")
        return
    yield ok(f"worker: process {found.pid} runs")
    yield from _supervision("worker", found)


def panel(patient: Patient) -> Iterator[DoctorFinding]:
    """The panel answers, if this machine has a panel's key."""
    web = patient.settings.web
    if listener(web.port) is None:
        if not (patient.settings.keys_folder / _PANEL_KEY).exists():
            raise NotChecked("no panel's key is on this machine")
        absence = _absence("web") if _is_restarted("web") else f"nothing listens on port {web.port}"
        yield warning(f"panel: {absence}", _start("web"))
        return
    host = "127.0.0.1" if web.host in {"0.0.0.0", "::", ""} else web.host  # noqa: S104  # compared, not bound
    status, _ = _get(host, web.port, "/healthz")
    if status == 200:
        yield ok(f"panel: answers on {host}:{web.port}")
    else:
        yield wrong(f"panel: answers {status} on {host}:{web.port}", "see its log")


def readiness(patient: Patient) -> Iterator[DoctorFinding]:
    """What the processes say of themselves, as far as no other check has said it."""
    settings = patient.settings.metrics
    for name, port in (("daemon", settings.daemon_port), ("worker", settings.worker_port)):
        yield from _readiness(name, settings.host, port, patient.faults)
    yield from panel_readiness(patient)


def panel_readiness(patient: Patient) -> Iterator[DoctorFinding]:
    """What the panel says of itself."""
    settings = patient.settings.metrics
    yield from _readiness("panel", settings.host, settings.web_port, patient.faults)


def mail(patient: Patient) -> Iterator[DoctorFinding]:
    """Mail to people can be sent, if the settings name a mail server."""
    mail, address = patient.settings.mail, patient.settings.web.address
    if not mail.host:
        yield ok("mail: no server is set; pages show links instead of sending them")
        return
    if not address:
        yield warning(
            "mail: [mail] host is set, but [web] address is not: no mail is sent to people",
            "set [web] address to the panel's public address, to which links in mails lead",
        )
    else:
        yield ok(f"mail: sent through {mail.host}")


def waiting_mail(patient: Patient) -> Iterator[DoctorFinding]:
    """Mail to people goes out soon."""
    if not patient.settings.mail.host:
        return
    from recorder.mail.delivery import oldest_waiting  # `accord status` has no use for it

    patient.context.open_catalogue()
    if (oldest := oldest_waiting(patient.now())) is not None and oldest > OLD_MAIL:
        yield wrong(
            f"mail: a mail has waited for {oldest // timedelta(minutes=1)} minutes",
            "check section [mail]; the worker's log says why (mail.delayed)",
        )
    else:
        yield ok("mail: none has waited for long")


def breached_passwords(patient: Patient) -> Iterator[DoctorFinding]:
    """The list of breached passwords can be searched and is not out of date, if the settings name one."""
    path = patient.settings.web.breached_passwords
    if path is None:
        yield ok("breached passwords: no list is set; common ones are refused")
        return
    try:
        size = check_list(path)
    except ConfigError as error:
        yield warning(f"breached passwords: {error.message}", error.hint)
        return
    written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if patient.now() - written_at > LIST_GOOD_FOR:
        yield warning(
            f"breached passwords: {path} dates from {written_at:%d %B %Y}, and passwords breached since then "
            "are accepted",
            "download it again (docs/operate/panel.md), and put the whole file in place by renaming it",
        )
    else:
        yield ok(f"breached passwords: {path} is sorted; {size / 1e9:.1f} GB")


def _supervision(name: str, process: Process) -> Iterator[DoctorFinding]:
    environment, files = process.environment, process.files
    if environment is None:
        yield warning(
            f"{name}: this user may not see what supervises process {process.pid}",
            "run the doctor as root or as Accord's user",
        )
    elif "NOTIFY_SOCKET" in environment and "WATCHDOG_USEC" not in environment:
        yield warning(f"{name}: systemd runs it without a watchdog", "set WatchdogSec= as in deploy/systemd")
    elif not {"NOTIFY_SOCKET", HEARTBEAT_FD} & set(environment):
        yield warning(
            f"{name}: it runs without a supervisor, so nothing restarts it when it hangs or dies",
            "run it under systemd (deploy/systemd) or `accord run`",
        )
    if files is not None and files < FILES:
        yield warning(
            f"{name}: may open {files} files, but needs {FILES}", f"set LimitNOFILE={FILES * 16} in its unit"
        )


def _readiness(name: str, host: str, port: int, faults: Collection[str] = ()) -> Iterator[DoctorFinding]:
    """What the process itself reports on ``/readyz``, where it serves that; nothing about what the checks
    named in ``faults`` have said already."""
    if not port or listener(port) is None:
        return
    status, body = _get(host, port, "/readyz")
    try:
        checks = json.loads(body)["checks"]
        bad = {
            key: each
            for key, each in checks.items()
            if (not each["ok"] or each.get("hint")) and _SAME.get(key, key) not in faults
        }
    except (ValueError, KeyError, TypeError):
        yield warning(
            f"{name}: answers {status} on {host}:{port}/readyz",
            "check the ports in [metrics]: another program may be listening there",
        )
        return
    if status == 200:
        yield ok(f"{name}: reports that it is ready")
    for key, each in bad.items():
        state: State = "warning" if each["ok"] else "wrong"
        yield DoctorFinding(state, f"{name}: {key}: {each.get('what', '')}", str(each.get("hint", "")))


def _get(host: str, port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=ANSWERS_IN)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(1 << 20)
    finally:
        connection.close()


def _absence(name: str) -> str:
    """What there is instead of a process that works on this spool."""
    if _is_restarted(name):
        return f"it ends as soon as it starts, and systemd starts accord-{name} again and again"
    return "none is running on this spool"


def _start(name: str) -> str:
    if _is_restarted(name):
        return f"`journalctl -u accord-{name} -n 20` has the reason"
    return f"systemctl start accord-{name}, or `accord run`"


def _is_restarted(name: str) -> bool:
    """Whether systemd restarts a unit that ends before it is ready."""
    if not SYSTEMD.exists():
        return False
    command = ("systemctl", "show", "--property=ActiveState,NRestarts", f"accord-{name}.service")
    try:
        output = subprocess.run(
            command, capture_output=True, text=True, timeout=ANSWERS_IN, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    properties = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    is_down = properties.get("ActiveState") in ("activating", "failed")
    return is_down and properties.get("NRestarts", "0") != "0"
