"""The shipped units, and a machine that runs them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.boot import PYTHON, REPOSITORY, Machine, missing

SYSTEMD = REPOSITORY / "deploy" / "systemd"
UNITS = ("accord-daemon.service", "accord-worker.service", "accord-web.service")

LOG = """\
[log]
path = "/var/log/accord/accord.log"
"""

SWITCH = """\
[Service]
User=freeswitch
Group=freeswitch
Environment=ACCORD_SWITCH_PASSWORD=practice-practice
ExecStart=/bin/sh -c '{python} -m demo.practice --stay --call +3225550101:en'
"""


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A running installation, made by the steps of docs/operate/services.md."""
    if (reason := missing()) is not None:
        pytest.skip(f"a machine of its own needs {reason}")
    booted = Machine(Path(tempfile.mkdtemp(prefix="accord-machine-")))
    try:
        booted.boot()
        install(booted)
        yield booted
    finally:
        booted.kill()


def install(machine: Machine) -> None:
    """Follow the steps of the page; ``/opt/accord`` leads to this checkout."""
    command = machine.path("/opt/accord/bin/accord")
    command.write_text(
        f'#!/bin/sh\nexport {PYTHON.rpartition(" ")[0]}\nexec {PYTHON.split()[-1]} -m recorder "$@"\n'
    )
    command.chmod(0o755)
    units = machine.path("/etc/systemd/system")
    for name in ("sysusers.d", "tmpfiles.d", "accord"):
        machine.path(f"/etc/{name}").mkdir(exist_ok=True)
    for name in (*UNITS, "accord-doctor.service", "accord-doctor.timer", "accord.target"):
        shutil.copy(SYSTEMD / name, units / name)
    shutil.copy(SYSTEMD / "sysusers.conf", machine.path("/etc/sysusers.d/accord.conf"))
    machine.path("/etc/sysusers.d/freeswitch.conf").write_text("u freeswitch - switch -\n")
    shutil.copy(SYSTEMD / "tmpfiles.conf", machine.path("/etc/tmpfiles.d/accord.conf"))
    machine.run("systemd-sysusers")
    machine.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/accord.conf")
    machine.path("/etc/switch-password").write_text("practice-practice\n")
    as_root(machine, "init", "--yes", "--switch-password-file", "/etc/switch-password")
    settings = machine.path("/etc/accord/accord.toml")
    settings.write_text(settings.read_text().replace("[node]\n", '[node]\nregion = "BE"\n') + LOG)
    as_accord(machine, "tenant", "create", "Menuiserie Dubois", "--language", "en")
    as_accord(machine, "line", "add", "--tenant", "Menuiserie Dubois", "+3225550101")
    (units / "freeswitch.service").write_text(SWITCH.format(python=PYTHON))
    shutil.copytree(SYSTEMD / "freeswitch.service.d", units / "freeswitch.service.d")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "accord.target")


def as_root(machine: Machine, *words: str, check: bool = True) -> str:
    return _accord(machine, ["env"], words, check)


def as_accord(machine: Machine, *words: str, check: bool = True) -> str:
    who = ["setpriv", "--reuid=accord", "--regid=accord", "--init-groups", "env"]
    return _accord(machine, who, words, check)


def _accord(machine: Machine, who: list[str], words: tuple[str, ...], check: bool = True) -> str:
    secrets = machine.path("/etc/accord/secrets")
    kek = (secrets / "kek").read_text().strip() if (secrets / "kek").exists() else ""
    settings = {
        "ACCORD_CONFIG": "/etc/accord/accord.toml",
        "ACCORD_KEYS_FOLDER": "/etc/accord/keys",
        "ACCORD_SWITCH_PASSWORD": "practice-practice",
        **({"ACCORD_KEYS_KEK": kek} if kek else {}),
    }
    variables = [f"{name}={value}" for name, value in settings.items()]
    return machine.run(*who, *variables, "/opt/accord/bin/accord", *words, check=check).stdout
