"""The Debian package in a clean Debian under a real systemd: installed, set up, upgraded, rolled back,
removed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.spool.layout import END
from tests.deploy import debian
from tests.deploy.boot import REPOSITORY, Machine, missing
from tests.deploy.conftest import UNITS

pytestmark = pytest.mark.long

PACKAGES = "/mnt/packages"

MOUNTS = f"""\
mkdir -p mnt/packages opt/practice/demo
mount --bind {{packages}} mnt/packages
mount --bind {REPOSITORY}/demo opt/practice/demo
"""

SWITCH = """\
[Service]
User=freeswitch
Group=freeswitch
WorkingDirectory=/opt/practice
Environment=ACCORD_SWITCH_PASSWORD=practice-practice
Environment=CONF=/usr/share/accord/freeswitch_conf
ExecStart=/opt/accord/bin/python -m demo.practice --conf ${CONF} --stay --call +3225550101:en
"""

SERVES_ALL = "0001_initial"


THIS, LATER, APART = (f"{PACKAGES}/accord-recorder_{name}.deb" for name in ("0", "98.0", "99.0"))
"""Packages: of this version, of one whose migration serves it, and of one whose migration does not."""


@pytest.fixture(scope="session")
def packages() -> Iterator[Path]:
    """A folder with the packages of three versions."""
    if (reason := missing() or debian.missing_tool()) is not None:
        pytest.skip(f"installing packages needs {reason}")
    package = debian.build_package()
    with tempfile.TemporaryDirectory(prefix="accord-packages-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "accord-recorder_0.deb").write_bytes(package.read_bytes())
        debian.make_later(package, folder, "98.0", "0098_later", SERVES_ALL)
        debian.make_later(package, folder, "99.0", "0099_apart", None)
        yield folder


@pytest.fixture(scope="session")
def root(packages: Path) -> Path:
    return debian.make_root(debian.MACHINE)


@pytest.fixture
def machine(root: Path, packages: Path) -> Iterator[Machine]:
    """A clean Debian that has booted."""
    folder = Path(tempfile.mkdtemp(prefix="accord-machine-"))
    booted = Machine(folder, root, MOUNTS.format(packages=packages))
    try:
        booted.boot()
        yield booted
    finally:
        booted.kill()


INIT = ("accord", "init", "--yes", "--switch-password-file", "/etc/switch-password")


def install(machine: Machine, package: str) -> str:
    """What apt says while it installs a package, of an earlier version, too."""
    return machine.run(
        "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--allow-downgrades",
        "--no-install-recommends", "-o", "APT::Sandbox::User=root", package,
        seconds=900,
    ).stdout  # fmt: skip


def set_up(machine: Machine, catalogue: str) -> None:
    """`accord init`, a customer, a number, and the switch's user in Accord's group."""
    machine.path("/etc/switch-password").write_text("practice-practice\n")
    options = []
    if catalogue == "postgresql":
        machine.run("systemctl", "start", "postgresql@17-main")
        sql = "CREATE ROLE accord LOGIN PASSWORD 'three words'; CREATE DATABASE accord OWNER accord"
        for statement in sql.split("; "):
            machine.run("runuser", "-u", "postgres", "--", "psql", "-c", statement)
        machine.path("/etc/catalogue-password").write_text("three words\n")
        options = ["--catalogue", "postgresql://accord@127.0.0.1/accord"]
        options += ["--catalogue-password-file", "/etc/catalogue-password"]
    output = machine.run(*INIT, *options)
    assert "migrations" in output.stdout
    machine.run("mkdir", "/backup")
    machine.run("accord", "tenant", "create", "Menuiserie Dubois", "--language", "en")
    machine.run("accord", "line", "add", "--tenant", "Menuiserie Dubois", "+3225550101")
    machine.path("/etc/sysusers.d").mkdir(exist_ok=True)
    machine.path("/etc/sysusers.d/freeswitch.conf").write_text("u freeswitch - switch -\n")
    machine.run("systemd-sysusers", "freeswitch.conf")
    machine.path("/etc/systemd/system/freeswitch.service").write_text(SWITCH)
    machine.run("cp", "-r", "/usr/share/accord/systemd/freeswitch.service.d", "/etc/systemd/system/")
    machine.run("systemctl", "daemon-reload")


def start(machine: Machine) -> None:
    machine.run("systemctl", "enable", "--now", "accord.target")
    for unit in UNITS:
        wait_active(machine, unit)


def wait_active(machine: Machine, unit: str) -> None:
    try:
        machine.until(f"{unit} is active", lambda: machine.show(unit, "ActiveState") == "active", 60)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{machine.journal(unit)}") from error


def pids(machine: Machine) -> dict[str, str]:
    return {unit: machine.show(unit, "MainPID") for unit in UNITS}


@pytest.mark.parametrize("catalogue", ["sqlite", "postgresql"])
def test_package_to_first_recording(machine: Machine, catalogue: str) -> None:
    output = install(machine, THIS)
    assert "`accord init`" in output
    for unit in (*UNITS, "accord-doctor.timer", "accord.target"):
        assert machine.show(unit, "ActiveState") == "inactive", "nothing starts by itself"
        assert machine.run("systemctl", "is-enabled", unit, check=False).stdout.strip() == "disabled"
    verify = machine.run(
        "systemd-analyze", "verify", "--man=no", *UNITS, "accord-doctor.timer", "accord.target"
    )
    assert [line for line in verify.stderr.splitlines() if "accord" in line] == []
    set_up(machine, catalogue)
    start(machine)
    for unit in UNITS:
        assert machine.show(unit, "User") == "accord"
        assert machine.show(unit, "NRestarts") == "0", machine.journal(unit)
    machine.run("systemctl", "start", "freeswitch")
    store = machine.path("/var/lib/accord/store")
    machine.until("the call is a sealed recording", lambda: any(store.glob("**/manifest.json")), 120)
    report = machine.run("accord", "doctor", check=False).stdout
    for line in ("ok      catalogue: ", "ok      keys: ", "ok      switch: ", "ok      panel: answers"):
        assert line in report, report
    assert "ok      recording: the switch's user freeswitch may write to the spool" in report, report
    closed = ("accord.toml", "secrets/kek", "keys/root.key", "keys/manifest.key")
    group = machine.run("id", "--group", "accord").stdout.strip()
    for name in closed:
        as_switch = ("setpriv", "--reuid=freeswitch", "--regid=freeswitch", f"--groups={group}")
        assert machine.run(*as_switch, "cat", f"/etc/accord/{name}", check=False).returncode != 0, name
    again = machine.run(*INIT, check=False)
    assert again.returncode == 2
    assert "there are settings already" in again.stderr


def test_files_by_root_s_commands_belong_to_accord(machine: Machine) -> None:
    install(machine, THIS)
    set_up(machine, "sqlite")
    machine.run("accord", "backup", "/backup/accord.backup")
    assert machine.path("/backup/accord.backup").exists(), "a command of root may write it anywhere"
    foreign = "find /var/lib/accord ! -user accord; find /etc/accord ! -user accord ! -user root"
    assert machine.run("sh", "-c", foreign).stdout == ""
    root_keys = machine.run("find", "/etc/accord", "-user", "root", "-type", "f").stdout.split()
    names = ["keys/root.key", "secrets/kek", "secrets/switch-password", "secrets/web-secret-key"]
    assert sorted(root_keys) == [f"/etc/accord/{name}" for name in names]
    refusal = machine.run("accord", "daemon", check=False)
    assert (refusal.returncode, "systemctl start accord-daemon" in refusal.stderr) == (1, True)


def test_root_s_commands_use_root_s_files(machine: Machine) -> None:
    """Also those in a folder that only root may enter, and files that are there already."""
    install(machine, THIS)
    set_up(machine, "sqlite")
    machine.run("chmod", "0700", "/root")
    machine.run("cp", "/usr/share/doc/accord-recorder/customers.csv", "/root")
    machine.run("chmod", "0600", "/root/customers.csv")
    machine.run("accord", "backup", "/root/accord.backup")
    assert "is complete" in machine.run("accord", "restore", "--check", "/root/accord.backup").stdout
    for _ in range(2):
        words = ("/root/customers.csv", "--report", "/root/report.csv", "--links", "/root/links.csv")
        machine.run("accord", "tenant", "import", *words)
        machine.run("accord", "rebuild", "--report", "/root/problems.csv")
    assert machine.path("/root/report.csv").read_text()


def recordings(machine: Machine) -> list[str]:
    """The ids of the stored recordings."""
    listed = json.loads(machine.run("accord", "recording", "list", "--json").stdout)
    return [each["id"] for each in listed["recordings"]]


def wait_recording(machine: Machine) -> None:
    """Wait until a call that ends from now on is stored."""
    store = machine.path("/var/lib/accord/store")
    before = len(list(store.glob("**/manifest.json")))
    machine.until(
        "another call is stored", lambda: len(list(store.glob("**/manifest.json"))) > before + 1, 120
    )


def test_every_key_rotates_while_calls_go_on(machine: Machine) -> None:
    install(machine, THIS)
    set_up(machine, "sqlite")
    unit = machine.path("/etc/systemd/system/freeswitch.service")
    unit.write_text(SWITCH.replace("--stay ", "") + "Restart=always\nSuccessExitStatus=0 1\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("mount", "-t", "tmpfs", "tmpfs", "/backup")
    start(machine)
    machine.run("systemctl", "start", "freeswitch")
    wait_recording(machine)

    machine.run("accord", "key", "prepare")
    machine.run("accord", "key", "backup", "/backup/next")
    by_hand = machine.run("accord", "key", "rotate", "--yes").stderr
    wait_recording(machine)
    commands = re.findall("^    (.+)$", by_hand, re.MULTILINE)
    assert commands, by_hand
    for command in commands:
        machine.run("sh", "-ec", command)
    assert not machine.path("/etc/accord/keys/kek.next").exists()
    wait_recording(machine)
    machine.run("accord", "key", "prepare", "--tenant", "Menuiserie Dubois")
    machine.run("accord", "key", "rotate", "--yes")
    wait_recording(machine)
    former = json.loads(machine.run("accord", "key", "show", "--json").stdout)
    machine.run("accord", "key", "renew")
    for kind in ("signing", "panel"):
        machine.run("accord", "key", "revoke", former[kind]["id"], "--yes")
    machine.run("systemctl", "restart", "accord-worker", "accord-web")
    wait_recording(machine)
    machine.run("accord", "key", "backup", "/backup/last")
    machine.path("/etc/accord/keys/root.key").unlink()
    machine.run("accord", "key", "restore", "/backup/last")

    assert not machine.path("/etc/accord/keys/kek").exists(), "it is among the secrets"
    closed = "find /var/lib/accord ! -user accord ! -user freeswitch; find /etc/accord/keys ! -user accord"
    assert machine.run("sh", "-c", closed).stdout == "/etc/accord/keys/root.key\n"
    report = json.loads(machine.run("accord", "doctor", "--json", check=False).stdout)
    wrong = [each["what"] for each in report["findings"] if each["state"] == "wrong"]
    assert wrong == []

    machine.run("systemctl", "stop", "freeswitch")
    spool = machine.path("/var/lib/accord/spool")
    machine.until("every call is stored", lambda: not list(spool.glob(f"*/{END}")), 60)
    for each in recordings(machine):
        machine.run("accord", "recording", "verify", each)
        machine.run("accord", "recording", "delete", each, "--yes", "--reason", "They asked")
    store = machine.path("/var/lib/accord/store")
    machine.until("the worker has erased every recording", lambda: not list(store.glob("**/audio.*")), 60)
    assert machine.run("accord", "audit", "run").returncode == 0


@pytest.mark.parametrize("catalogue", ["sqlite", "postgresql"])
def test_upgrade_and_the_way_back(machine: Machine, catalogue: str) -> None:
    install(machine, THIS)
    set_up(machine, catalogue)
    start(machine)
    before = pids(machine)

    advice = machine.run("accord", "upgrade", "check", LATER, check=False)
    assert advice.returncode == 1, advice.stdout
    assert "wrong   backup: none was made" in advice.stdout
    machine.run("accord", "backup", "/backup/accord.backup")
    advice = machine.run("accord", "upgrade", "check", LATER, check=False)
    assert advice.returncode == 1, advice.stdout
    assert "ok      way back: " in advice.stdout

    machine.run("systemctl", "stop", "accord-doctor.timer")  # a version before has none
    output = install(machine, LATER)
    assert machine.show("accord-doctor.timer", "ActiveState") == "active"
    assert "    accord migrate\n    systemctl restart accord-worker accord-web\n" in output
    successor = "accord-daemon.service"
    machine.until("the next runs", lambda: pids(machine)[successor] not in ("0", before[successor]), 60)
    assert machine.show(successor, "NRestarts") == "0"
    for unit in UNITS:
        assert machine.show(unit, "ActiveState") == "active", unit
        assert (pids(machine)[unit] == before[unit]) == (unit != successor), unit
    assert "98.0" in machine.run("accord", "--version").stdout
    assert "0098_later" in machine.run("accord", "migrate").stdout
    machine.run("systemctl", "restart", "accord-worker", "accord-web")
    for unit in UNITS:
        wait_active(machine, unit)

    before = pids(machine)
    output = install(machine, THIS)
    assert "accord migrate\n" not in output, "its schema serves the version before"
    machine.until(
        "all are other processes",
        lambda: all(pid not in ("0", before[unit]) for unit, pid in pids(machine).items()),
        60,
    )
    for unit in UNITS:
        wait_active(machine, unit)
    assert "98.0" not in machine.run("accord", "--version").stdout


def test_worker_of_an_unserved_version_is_left_alone(machine: Machine) -> None:
    install(machine, THIS)
    set_up(machine, "sqlite")
    start(machine)
    machine.run("accord", "backup", "/backup/accord.backup")
    advice = machine.run("accord", "upgrade", "check", APART, check=False).stdout
    assert re.search(r"warning way back: version [0-9.]+ cannot use the schema of 99.0", advice), advice
    install(machine, APART)
    machine.run("accord", "migrate")
    machine.run("systemctl", "restart", "accord-worker", "accord-web")
    for unit in UNITS:
        wait_active(machine, unit)
    before = pids(machine)
    output = install(machine, THIS)
    assert "migrated by a newer version" in output
    assert pids(machine)["accord-worker.service"] == before["accord-worker.service"]
    install(machine, APART)
    for unit in UNITS:
        wait_active(machine, unit)


def test_removal_and_purge_keep_what_cannot_be_made_again(machine: Machine) -> None:
    install(machine, THIS)
    set_up(machine, "sqlite")
    start(machine)
    machine.run("apt-get", "remove", "--yes", "accord-recorder")
    for unit in (*UNITS, "accord-doctor.timer"):
        assert machine.show(unit, "ActiveState") == "inactive"
    for path in ("/etc/accord/accord.toml", "/etc/logrotate.d/accord", "/var/lib/accord/catalogue.db"):
        assert machine.path(path).exists(), path
    assert not machine.path("/opt/accord").exists()
    output = machine.run("apt-get", "purge", "--yes", "accord-recorder").stdout
    for path in ("/etc/accord/keys", "/etc/accord/secrets/kek", "/var/lib/accord"):
        assert f"    {path}\n" in output, output
    rest = machine.run("find", "/etc/accord", "-type", "f", "-printf", "%P\n").stdout.split()
    assert "secrets/kek" in rest
    assert "keys/root.key" in rest
    assert not {"accord.toml", "secrets/switch-password", "secrets/web-secret-key"} & {*rest}
    for path in ("/etc/logrotate.d/accord", "/etc/systemd/system/multi-user.target.wants/accord.target"):
        assert not machine.path(path).is_symlink(), path
        assert not machine.path(path).exists(), path
    assert machine.path("/var/lib/accord/catalogue.db").exists()
    assert machine.path("/var/lib/accord/spool").is_dir()


def test_two_builds_are_the_same(packages: Path, tmp_path: Path) -> None:
    """From the same sources at the same SOURCE_DATE_EPOCH, by another run."""
    python, script = "build/packager/bin/python", "deploy/debian/build_package.py"
    subprocess.run([python, script, str(tmp_path)], cwd=REPOSITORY, check=True)
    (package,) = tmp_path.glob("*.deb")
    assert package.read_bytes() == (packages / "accord-recorder_0.deb").read_bytes()


def test_lintian_finds_no_error(packages: Path) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("lintian is missing (package lintian)")
    (package,) = packages.glob("accord-recorder_0.deb")
    process = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "error", "--display-level", "error", str(package)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert process.returncode == 0, process.stdout
