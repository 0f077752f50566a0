"""The installation that a page's commands find: a customer with two lines, an admin and three recordings."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pyotp

from recorder.auditlog.checkpoint import sign_due
from recorder.catalogue import queries
from recorder.catalogue.schema import migrate
from recorder.clock import utc_now
from recorder.pipeline import stages
from recorder.pipeline.stages import ENCODER_DIED
from tests.clock import Clock
from tests.house import Customer, House
from tests.pages.command_server import CLIENT
from tests.ports import free_ports
from tests.unit.cli.shell import Shell

ROOT = Path(__file__).parents[2]
PASSWORD = "page-page-page"  # of the practice switch
CUSTOMER = "Menuiserie Dubois"

SETTINGS = """\
[node]
name = "brussels-1"
data = "{data}"
region = "BE"

[switch]
password = "{password}"

[store]
kind = "directory"
path = "{data}/bucket"

[web]
secure_cookies = false
"""

EVENT_SOCKET = """\
<configuration name="event_socket.conf">
  <settings>
    <param name="listen-ip" value="127.0.0.1"/>
    <param name="password" value="{password}"/>
  </settings>
</configuration>
"""

SYSTEMCTL = """\
#!/bin/sh
# Starts and stops what the units of deploy/systemd start, without systemd.
verb=$1; shift
for unit; do
    case $unit in -*) continue;; esac
    name=${unit%.service}
    [ -e "$UNITS/$name.service" ] || [ -e "$UNITS/$name" ] || { echo "Unit $unit not found." >&2; exit 5; }
    case $verb in stop|restart) [ ! -e "$HOME/$name.pid" ] || kill "$(cat "$HOME/$name.pid")" || exit;; esac
    case $verb in start|restart)
        command=$(sed -n 's|^ExecStart=[^ ]*/accord ||p' "$UNITS/$name.service")
        accord $command 2> "$HOME/$name.log" & echo $! > "$HOME/$name.pid";;
    esac
done
"""


def make_template(folder: Path) -> None:
    """Make the installation that each page gets a copy of."""
    clock = Clock(utc_now() - timedelta(hours=2))
    migrate(f"sqlite:///{folder / 'catalogue.db'}")
    house = House(folder, clock, os.urandom)
    shell = Shell(folder, ACCORD_STORE_PATH=str(house.bucket))
    identity = shell.good("tenant", "create", CUSTOMER, "--language", "fr", "--country", "be").strip()
    for number, label in (("+3225550101", "Accueil"), ("+3225550102", "Atelier")):
        shell.good("line", "add", "--tenant", CUSTOMER, number, "--label", label)
    line = queries.lines(identity)[0]
    announcement = queries.announcement(identity, line.announcement)
    assert announcement is not None
    customer = Customer(identity, line, announcement)
    claire = house.person(customer, "claire@example.com", "Claire Dubois", role="customer_admin")
    key = house.factors.new_app_key(claire)
    house.factors.add_app(claire, key, pyotp.TOTP(house.factors.secret(claire, key)).at(clock()))
    for hours in (30, 20, 10):
        house.call(customer, at=clock() - timedelta(hours=hours))
    folder_in_spool, end = house.finished(customer, at=clock() - timedelta(hours=1))
    stages.quarantine_take(folder_in_spool, ENCODER_DIED, end, house.services)
    (house.spool / "quarantine").rename(folder / "quarantine")
    sign_due(house.services, utc_now())
    house.close()


@contextmanager
def command_server(folder: Path) -> Iterator[Path]:
    """A folder with ``accord`` and ``systemctl`` for the path of pages."""
    path, programs = folder / "commands", folder / "bin"
    programs.mkdir()
    for name, text in (
        ("accord", CLIENT.format(python=sys.executable, root=ROOT, path=path)),
        ("systemctl", SYSTEMCTL),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.pages.command_server", str(path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield programs
    finally:
        server.terminate()
        server.wait()


class PageMachine:
    """What a page's commands find: files, ports, programs, and what happens outside the shell."""

    def __init__(self, folder: Path, template: Path, programs: Path) -> None:
        """In ``folder``, with a copy of the ``template``."""
        self.folder, self.programs = folder, programs
        self.data = folder / "data"
        shutil.copytree(template, self.data)
        self.home, self.work = folder / "home", folder / "work"
        self.disk = Path(tempfile.mkdtemp(dir="/dev/shm"))  # another file system
        for each in (self.home, self.work, folder / "backup", folder / "old", self.data / "spool"):
            each.mkdir(exist_ok=True)
        for name in ("recorder", "freeswitch_conf", "deploy"):
            (self.work / name).symlink_to(ROOT / name)
        shutil.copy(ROOT / "docs" / "customers.csv", self.work)
        for name in ("welcome", "announcement", "question", "declined"):
            _tone(self.work / f"{name}.wav")
        _tone(folder / "old" / "call-1.wav")
        (folder / "old" / "recordings.csv").write_text("file,began_at\ncall-1.wav,2026-03-02T09:30:00\n")
        autoload = folder / "freeswitch" / "autoload_configs"
        autoload.mkdir(parents=True)
        (folder / "freeswitch" / "dialplan").mkdir()
        (autoload / "event_socket.conf.xml").write_text(EVENT_SOCKET.format(password=PASSWORD))
        (folder / "accord.toml").write_text(SETTINGS.format(data=self.data, password=PASSWORD))
        self.port = free_ports(8)
        self.places = {
            "/etc/freeswitch": folder / "freeswitch",
            "/backup/": f"{folder / 'backup'}/",
            "/media/safe": self.disk,
            "/mnt/old": folder / "old",
            "/var/lib/accord": self.data,
            "127.0.0.1:8080": f"127.0.0.1:{self.port + 2}",
            "127.0.0.1:9184": f"127.0.0.1:{self.port + 3}",
        }

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the page's shell. Ports are free ones, whatever settings a page writes."""
        ports = {"SWITCH_PORT": 0, "SWITCH_LISTEN_PORT": 1, "WEB_PORT": 2, "METRICS_DAEMON_PORT": 3}
        ports |= {"METRICS_WORKER_PORT": 4, "METRICS_WEB_PORT": 5}
        return {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "UNITS": str(ROOT / "deploy" / "systemd"),
            "ACCORD_CONFIG": str(self.folder / "accord.toml"),
            **{f"ACCORD_{name}": str(self.port + offset) for name, offset in ports.items()},
        }

    def place(self, command: str) -> str:
        """A command with the places of a machine replaced by this one's."""
        for path, own in self.places.items():
            command = command.replace(path, str(own))
        return command

    def event(self, name: str) -> str:
        """What the shell does when that happens."""
        practice = f"cd {ROOT} && ACCORD_SWITCH_PASSWORD={PASSWORD} exec {sys.executable} -m demo.practice"
        practice += f" --event-port {self.port} --daemon 127.0.0.1:{self.port + 1}"
        stays = f"({practice} --stay %s) >{self.folder}/switch.log 2>&1 &"
        processes = f"accord run >{self.folder}/accord.log 2>&1 &\n" + _until(
            *(f"curl -sf http://127.0.0.1:{self.port + offset}/readyz" for offset in (3, 4, 5))
        )
        match name.split():
            case ["take", "quarantined"]:
                return f"mv {self.data}/quarantine {self.data}/spool"
            case ["catalogue", "lost"]:
                return f"rm {self.data}/catalogue.db*"
            case ["call", number]:
                return f"({practice} --call {number}:fr --speed 4)\n" + _until(
                    f'[ -z "$(ls {self.data}/spool)" ]'
                )
            case ["running"]:
                return stays % "" + "\n" + processes
            case ["worker", "until", *_]:  # its duties run when it starts, and then once a minute
                until = _until(name.partition(" until ")[2])
                return f"accord worker >{self.folder}/worker.log 2>&1 &\n{until}\nkill $! && wait $! || true"
            case ["live", number]:
                live = f"curl -s http://127.0.0.1:{self.port + 3}/metrics | grep -q 'accord_calls_live 1'"
                return stays % f"--call {number}:fr --speed 0.5" + "\n" + processes + "\n" + _until(live)
        raise AssertionError(f"no page event {name!r}")

    def close(self) -> None:
        shutil.rmtree(self.disk)


def _until(*conditions: str) -> str:
    """Shell that waits for each of these commands to succeed."""
    return "\n".join(
        f"for _ in $(seq 100); do {each} && break; sleep 0.3; done >/dev/null 2>&1" for each in conditions
    )


def _tone(path: Path) -> None:
    """Two seconds of sound, another one in each file."""
    samples = hashlib.shake_128(path.name.encode()).digest(16_000)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        file.writeframes(b"".join(bytes((byte, byte % 8)) for byte in samples))
