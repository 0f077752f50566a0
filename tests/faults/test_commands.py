"""Every command, while what it needs is missing, full or unwritable: an error and a hint, no traceback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from recorder.auditlog.checkpoint import publish, sign
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.cli import accord
from recorder.seal import signing
from recorder.store.directory import DirectoryStore
from recorder.store.retry import with_retries
from tests.announcements import announcement_in
from tests.catalogue_template import make_catalogue, open_catalogue
from tests.clock import Clock
from tests.entropy import RepeatableEntropy
from tests.faults.disks import MIB, SmallDisk
from tests.house import Bakery
from tests.ports import free_ports
from tests.waiting import until

ROOT = Path(__file__).parents[2]
LOGIN = "claire.martin@example.com"
REASON = "--reason They-asked"
TENANT = "--tenant {tenant}"

COMMANDS: Mapping[str, str] = {
    "announcement add": f"Own {TENANT} --wav {{wav}} --text Hello --language fr",
    "announcement compose": f"Composed {TENANT} --language fr --greeting {{wav}} --greeting-text Hello",
    "announcement list": TENANT,
    "announcement show": f"{{announcement}} {TENANT}",
    "audit leaves": "{recording}",
    "audit mail add": f"auditor@example.com {TENANT}",
    "audit mail list": TENANT,
    "audit mail remove": f"auditor@example.com {TENANT}",
    "audit prove": "{leaf} -o {output}",
    "audit prove-consistency": f"{TENANT} --from 1 --to 2 -o {{output}}",
    "audit reopen": f"{TENANT} {REASON}",
    "audit run": "--checkpoint {file}",
    "audit verify-proof": "{file}",
    "backup": "{output}",
    "completion": "bash",
    "country check": "--pack {file}",
    "country list": "",
    "country show": "be",
    "doctor": "",
    "hold confirm-order": "{recording} --yes",
    "hold lift": f"{{recording}} 1 --yes {REASON}",
    "hold list": "",
    "hold set": f"{{recording}} --owner {{login}} --review {{day}} {REASON}",
    "init": "--yes --switch 127.0.0.1:{port} --switch-password-file {file} --data {place}/data --user root",
    "key backup": "{place} --same-disk",
    "key init": "",
    "key prepare": TENANT,
    "key print": "",
    "key renew": "",
    "key restore": "{copies}",
    "key revoke": "0123456789abcdef0123456789abcdef --yes",
    "key rotate": "--yes",
    "key show": "",
    "key verify-copy": "{file} --same-disk",
    "line add": f"+3225550177 {TENANT}",
    "line end": f"+3225550100 {TENANT} --yes",
    "line list": TENANT,
    "line move": f"+3225550100 {TENANT} --to {{tenant}}",
    "line proposal list": TENANT,
    "line proposal show": f"+3225550100 {TENANT}",
    "line proposal withdraw": f"+3225550100 {TENANT}",
    "line resume": f"+3225550100 {TENANT}",
    "line set": f"+3225550100 {TENANT} --mode opt-out",
    "line set-keep-question": f"+3225550100 {TENANT} --off",
    "line show": f"+3225550100 {TENANT}",
    "line suspend": f"+3225550100 {TENANT} {REASON}",
    "migrate": "",
    "offboarding cancel": "{tenant}",
    "offboarding erase": "{tenant} --early They-agreed --without-export --yes",
    "offboarding erase-again": "{tenant} --yes",
    "offboarding export": "{tenant}",
    "offboarding list": "",
    "offboarding receipt": "{tenant} --output {output}",
    "offboarding show": "{tenant}",
    "offboarding start": "{tenant} --until {day} --yes",
    "plan list": "",
    "prompt check": "{wav}",
    "prompt list": "",
    "prompt render": "{output} --language fr --greeting {wav} --greeting-text Hello",
    "prompt script": "",
    "rebuild": "--processes 1 --report {output}",
    "recording add-consent": f"{{recording}} --purpose training --days 100 {REASON}",
    "recording delete": f"{{recording}} --yes {REASON}",
    "recording import": f"{{folder}} {TENANT} --until {{day}} --table {{table}} --report {{output}}",
    "recording list": "",
    "recording receipt": "{recording} -o {output}",
    "recording restrict": f"{{recording}} --purpose agreement --yes {REASON}",
    "recording show": "{recording}",
    "recording verify": "{recording}",
    "recording verify-receipt": "{file}",
    "recording withdraw-consent": f"{{recording}} --yes {REASON}",
    "restore": "{backup} --yes",
    "retention set": f"{TENANT} --days 20 --yes",
    "retention show": TENANT,
    "status": "",
    "store init": "",
    "subject-request add": f"+32470123456 {TENANT}",
    "subject-request call": f"1 {TENANT}",
    "subject-request close": f"1 {TENANT} --how taken_back --yes",
    "subject-request erase-again": f"{TENANT} --yes",
    "subject-request extend": f"1 {TENANT} {REASON}",
    "subject-request list": "",
    "subject-request show": f"1 {TENANT}",
    "take list": "",
    "take retry": "{recording}",
    "tenant adopt": "{tenant} Martin",
    "tenant create": "Dubois",
    "tenant import": "{customers} --report {output} --links {output}.links",
    "tenant invite": "Dubois claire@example.com --link",
    "tenant list": "",
    "tenant resume": "{tenant}",
    "tenant set": "{tenant} --plan starter",
    "tenant show": "{tenant}",
    "tenant suspend": f"{{tenant}} {REASON}",
    "token create": f"program {TENANT}",
    "token list": TENANT,
    "token revoke": f"{{recording}} {TENANT} --yes",
    "upgrade check": "{file}",
    "usage": "",
    "user invite": f"luc@example.com {TENANT} --link",
    "user list": TENANT,
    "user require-second-factor": f"on {TENANT}",
    "user reset-password": f"{{login}} {TENANT} --link",
    "user reset-second-factor": f"{{login}} {TENANT} {REASON}",
    "user revoke": f"{{login}} {TENANT} --last-admin --yes",
    "user set": f"{{login}} {TENANT} --role customer_admin",
}
"""Arguments of each command. ``{output}`` and ``{place}`` are a file and a folder that it writes; ``{file}``,
``{backup}``, ``{wav}``, ``{table}``, ``{customers}``, ``{folder}`` and ``{copies}`` are there to be read.
Nothing listens on ``{port}``."""

ENVIRONMENT: Mapping[str, Mapping[str, str]] = {
    "init": {"ACCORD_CONFIG": "{place}/accord.toml"},
    "restore": {"ACCORD_CATALOGUE_URL": "sqlite:///{empty}"},
}
"""Settings of single commands. ``{empty}`` is a catalogue without rows."""

PROCESSES = frozenset({"daemon", "run", "web", "worker"})
"""Commands that run until they are stopped."""

WRITERS = [each for each, words in COMMANDS.items() if "{output}" in words or "{place}" in words]

REACH_THEIR_OUTPUT = (
    "audit prove", "audit prove-consistency", "backup", "key backup", "prompt render", "rebuild",
    "recording import", "tenant import",
)  # fmt: skip
"""The others have no receipt to write here."""

PAGE = 4096
"""Bytes that a small file takes on a tmpfs."""

USAGE = "--help` explains it"

INPUTS = ("file", "backup", "wav", "table", "customers", "folder", "copies")


class Installation:
    """A copy of the installation in a folder, and the arguments of commands on it."""

    def __init__(self, folder: Path, names: Mapping[str, str]) -> None:
        self.folder, self.names = folder, names
        inputs = folder / "inputs"
        self.values = {
            **names,
            "day": (datetime.now(UTC) + timedelta(days=90)).date().isoformat(),
            "output": str(folder / "output"),
            "place": str(folder / "place"),
            "file": str(inputs / "file"),
            "backup": str(inputs / "backup"),
            "empty": str(folder / "empty.db"),
            "wav": str(inputs / "greeting.wav"),
            "table": str(inputs / "recordings.csv"),
            "customers": str(inputs / "customers.csv"),
            "folder": str(inputs),
            "copies": str(inputs / "copies"),
        }
        self.environment = {
            "ACCORD_SWITCH_PORT": names["port"],
            "ACCORD_SWITCH_LISTEN_PORT": names["port"],
            "ACCORD_WEB_PORT": names["port"],
            "ACCORD_METRICS_DAEMON_PORT": "0",
            "ACCORD_METRICS_WORKER_PORT": "0",
            "ACCORD_METRICS_WEB_PORT": "0",
            "ACCORD_NODE_DATA": str(folder),
            "ACCORD_STORE_KIND": "directory",
            "ACCORD_STORE_PATH": str(folder / "bucket"),
            "ACCORD_SWITCH_PASSWORD": "secret",
        }

    def copy(self, folder: Path) -> Installation:
        """The same in another folder."""
        shutil.copytree(self.folder, folder)
        return Installation(folder, self.names)

    def files(self) -> set[Path]:
        """All but the catalogues'."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {path for path in found if ".db" not in path.name}

    def run(self, command: str) -> Result:
        words = COMMANDS[command].format(**self.values).split()
        own = {name: value.format(**self.values) for name, value in ENVIRONMENT.get(command, {}).items()}
        return CliRunner().invoke(accord, [*command.split(), *words], env=own | self.environment)

    def problems(self, commands: Iterable[str] = COMMANDS) -> list[str]:
        """What is wrong with how commands end, one after another."""
        found = ((command, _problem(self.run(command))) for command in commands)
        return [f"accord {command}: {problem}" for command, problem in found if problem]


def _problem(result: Result) -> str:
    """What is wrong with an end: neither success nor an error with a hint."""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return f"raised {result.exception!r}"
    if "Traceback" in result.output:
        return f"traceback: {result.output[-500:]}"
    if result.exit_code not in (0, 1, 2):
        return f"exit code {result.exit_code}"
    lines = result.stderr.splitlines()
    errors = [index for index, line in enumerate(lines) if line.startswith("accord: ")]
    if any(index + 1 == len(lines) or not lines[index + 1].startswith("        ") for index in errors):
        return f"no hint: {result.stderr}"
    if result.exit_code and not errors and not result.stdout:
        return f"no error: {result.stderr}"
    return ""


def sign_log(house: Bakery, clock: Clock) -> None:
    sign(house.tenant, house.services, clock.forward(seconds=1))
    publish(house.tenant, house.services, clock())


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command tries the store several times, with pauses."""
    retries = partial(with_retries, sleep=lambda seconds: None)
    monkeypatch.setattr("recorder.processes.object_store.with_retries", retries)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation with a customer, their admin, a recording and two checkpoints; never changed."""
    folder = tmp_path_factory.mktemp("original")
    url = f"sqlite:///{folder / 'catalogue.db'}"
    make_catalogue(url)
    opened = open_catalogue(url)
    clock = Clock(datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1))
    house = Bakery(folder, clock, RepeatableEntropy("commands"), url)
    take = house.take(talk_ms=300, formats=("wav",))
    house.work(take)
    sign_log(house, clock)
    house.user(house.tenant, LOGIN, "customer_admin", name="Claire")
    sign_log(house, clock)
    DirectoryStore(house.bucket).init()
    with opened.connection_context():
        leaf = LeafTable.select(LeafTable.id).order_by(LeafTable.number).scalar()
    opened.close()
    inputs = folder / "inputs"
    inputs.mkdir()
    (inputs / "file").write_text("secret")
    (inputs / "greeting.wav").write_bytes(announcement_in("fr").path.read_bytes())
    (inputs / "recordings.csv").write_text("file,began_at,number,line,direction,note\n")
    shutil.copy(ROOT / "docs" / "customers.csv", inputs)
    shutil.copytree(folder / "keys", inputs / "copies")
    (folder / "place").mkdir()
    names = {
        "tenant": house.tenant,
        "announcement": house.announcement.id,
        "recording": take.name,
        "login": LOGIN,
        "leaf": leaf,
        "port": str(free_ports()),
    }
    found = Installation(folder, names)
    make_catalogue(f"sqlite:///{folder / 'empty.db'}")
    found.values["output"] = found.values["backup"]
    assert found.run("backup").exit_code == 0
    return Installation(folder, names)


@pytest.fixture
def installation(original: Installation, tmp_path: Path) -> Installation:
    """A copy of it, for one test."""
    return original.copy(tmp_path / "copy")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of a few megabytes; skips if mounting is not permitted."""
    disk = SmallDisk(tmp_path / "disk", "tmpfs", 16 * MIB)
    yield disk
    disk.end()


def _leaves(group: click.Group, path: str = "") -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _leaves(command, f"{path}{name} ")
        else:
            yield f"{path}{name}"


def test_every_command_has_its_arguments_here() -> None:
    assert {*_leaves(accord)} == {*COMMANDS} | PROCESSES


def test_commands_take_these_arguments(installation: Installation) -> None:
    """Otherwise each would be refused for its arguments, whatever else is wrong."""
    for command in COMMANDS:
        assert USAGE not in installation.run(command).stderr, command


def test_commands_that_write_succeed_without_a_fault(installation: Installation) -> None:
    for command in (*REACH_THEIR_OUTPUT, "restore", "init"):
        result = installation.run(command)
        assert result.exit_code == 0, (command, result.output)
        Path(installation.values["output"]).unlink(missing_ok=True)


def test_output_on_a_read_only_disk(installation: Installation, small_disk: SmallDisk) -> None:
    small_disk.remount("ro")
    installation.values |= {"output": str(small_disk.folder / "out"), "place": str(small_disk.folder)}
    assert installation.problems(WRITERS) == []
    for command in REACH_THEIR_OUTPUT:
        result = installation.run(command)
        assert result.exit_code, command
        assert str(small_disk.folder) in result.stderr, command
    assert "Dubois" not in installation.run("tenant list").stdout, "the report is tried before the work"


def test_read_only_installation(original: Installation, small_disk: SmallDisk) -> None:
    installation = original.copy(small_disk.folder / "copy")
    small_disk.remount("ro")
    assert installation.problems() == []


def test_full_disk(original: Installation, small_disk: SmallDisk) -> None:
    installation = original.copy(small_disk.folder / "copy")
    small_disk.fill()
    before = installation.files()
    assert installation.problems() == []
    assert installation.files() <= before, "nothing half-written is left"


def test_new_keys_on_a_disk_that_fills_up(small_disk: SmallDisk) -> None:
    """All of them are written, or none."""
    folder, now = small_disk.folder / "keys", datetime.now(UTC)
    small_disk.fill(leave=3 * PAGE)
    with pytest.raises(OSError, match=str(folder)):
        signing.init(folder, now)
    assert list(folder.iterdir()) == []
    small_disk.free()
    signing.init(folder, now)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    small_disk.fill(leave=PAGE)
    with pytest.raises(OSError, match=str(folder)):
        signing.renew(folder, signing.load_private(folder / signing.ROOT_KEY), now)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", INPUTS)
def test_missing_input(installation: Installation, name: str) -> None:
    installation.values[name] = str(installation.folder / "missing")
    commands = [each for each, words in COMMANDS.items() if f"{{{name}}}" in words]
    assert installation.problems(commands) == []
    for command in commands:
        assert "missing" in installation.run(command).output, command


@pytest.mark.long
@pytest.mark.parametrize("kind", ["missing", "damaged", "unreachable"])
def test_dead_catalogue(installation: Installation, kind: str) -> None:
    damaged = installation.folder / "damaged.db"
    damaged.write_bytes(b"no database" * 1000)
    installation.environment["ACCORD_CATALOGUE_URL"] = {
        "missing": f"sqlite:///{installation.folder}/missing/catalogue.db",
        "damaged": f"sqlite:///{damaged}",
        "unreachable": f"postgresql://accord@127.0.0.1:{free_ports()}/accord",
    }[kind]
    assert installation.problems() == []
    assert installation.run("tenant list").exit_code == 1


@pytest.mark.long
@pytest.mark.parametrize("kind", ["not mounted", "unreachable"])
def test_dead_store(installation: Installation, kind: str) -> None:
    if kind == "not mounted":
        installation.environment["ACCORD_STORE_PATH"] = str(installation.folder / "missing")
    else:
        installation.environment |= {
            "ACCORD_STORE_KIND": "s3",
            "ACCORD_STORE_ENDPOINT": f"http://127.0.0.1:{free_ports()}",
            "ACCORD_STORE_ACCESS_KEY": "access",
            "ACCORD_STORE_SECRET_KEY": "secret",
        }
    assert installation.problems() == []
    assert installation.run("rebuild").exit_code == 1


@pytest.mark.long
def test_unreachable_switch(installation: Installation) -> None:
    installation.environment["ACCORD_SWITCH_PORT"] = str(free_ports())
    assert installation.problems() == []
    assert "cannot be reached" in installation.run("doctor").stdout


@pytest.mark.long
@pytest.mark.parametrize("process", sorted(PROCESSES))
def test_process_without_its_folder(installation: Installation, process: str) -> None:
    """``accord run`` goes on trying: what its processes print is its own output."""
    inside_a_file = installation.folder / "inputs" / "file" / "data"
    environment = os.environ | installation.environment | {"ACCORD_NODE_DATA": str(inside_a_file)}
    log = installation.folder / "log"
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", "recorder", process], env=environment, stdout=output, stderr=output
        )
    try:
        until(f"{process}'s error", lambda: re.search("(?m)^accord: .+\n        .+", log.read_text()))
        if process != "run":
            assert started.wait(10) == 1
    finally:
        started.terminate()
        started.wait(30)
    assert "Traceback" not in log.read_text()


def test_settings_that_cannot_be_read(installation: Installation) -> None:
    for content in (None, "[nothing]\n", "no toml"):
        settings = installation.folder / "accord.toml"
        if content is not None:
            settings.write_text(content)
        installation.environment["ACCORD_CONFIG"] = str(settings)
        result = installation.run("tenant list")
        assert _problem(result) == ""
        assert result.exit_code in (1, 2)
