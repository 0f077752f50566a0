"""``accord doctor`` on an installation that runs, with one fault after another: the cause is its first
finding."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from recorder.cli import accord
from recorder.ops.doctor import machine
from recorder.ops.doctor.kernel_clock import KernelClock
from recorder.seal import signing
from tests.ports import free_ports
from tests.processes import Installation, Ports
from tests.scratch import scratch_folder

pytestmark = pytest.mark.long

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 180
"""Seconds until the installation runs without a finding."""
NUMBER = "+3225550101"
LIMITS = ("sh", "-c", 'ulimit -n 8192 && exec "$@"', "sh")
"""As many open files as a unit permits."""


@dataclass(frozen=True)
class Finding:
    """A line of the report."""

    state: str
    check: str
    what: str
    hint: str


@dataclass
class Node(Installation):
    """Daemon, worker and panel under ``accord run``, beside a practice switch."""

    ports: Ports = field(default_factory=Ports.reserve)

    def __post_init__(self) -> None:
        self.settings = {
            **self.ports.settings,
            "ACCORD_KEYS_DISPOSABLE": "true",
            "ACCORD_INFO_PROMPTS": str(self.folder / "snapshot" / "info_prompts"),
        }
        self.install(NUMBER)
        self.start_switch(self.ports, before=LIMITS)
        self.start("run", before=LIMITS)

    def doctor(self, variables: Mapping[str, str] | None = None) -> tuple[int, list[Finding]]:
        """The exit code, and what is not well, in the order of the report."""
        result = CliRunner().invoke(accord, ["doctor", "--json"], env=self.environment(**(variables or {})))
        findings = [Finding(**each) for each in json.loads(result.stdout)["findings"]]
        return result.exit_code, [each for each in findings if each.state in ("warning", "wrong")]

    def wait(self) -> None:
        """Wait until nothing is to be found."""
        end = time.monotonic() + PATIENCE
        while (found := self.doctor()) != (0, []):
            assert time.monotonic() < end, found
            time.sleep(0.5)


@pytest.fixture(scope="module")
def installation() -> Iterator[Node]:
    node = Node(scratch_folder("doctorfaults"))
    patch = pytest.MonkeyPatch()
    # Whether this machine's clock is synchronised is no matter of the installation.
    patch.setattr(machine, "kernel_clock", lambda: KernelClock(datetime.now(UTC), True, timedelta(0)))
    try:
        node.wait()
        yield node
    finally:
        for process in node.started:
            process.stop()
        patch.undo()


Cause = Callable[[Node], AbstractContextManager[object]]


@contextmanager
def without(path: Path) -> Iterator[None]:
    """A file or folder is away."""
    away = path.with_name(f"{path.name}.away")
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    before = path.stat().st_mode
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """A folder is a mount that nobody can write to, as a disk is after an error."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    subprocess.run(["mount", "--bind", str(path), str(path)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(path)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@contextmanager
def full(path: Path, left: int = 0) -> Iterator[None]:
    """A folder is a small disk that is full but for ``left`` bytes."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(path)], check=True)
    try:
        (path / "other").write_bytes(bytes(os.statvfs(path).f_bavail * os.statvfs(path).f_frsize - left))
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@contextmanager
def damaged_prompt(folder: Path) -> Iterator[None]:
    path, *_ = (folder / "snapshot" / "prompts").glob("*.wav")
    sound = path.read_bytes()
    path.write_bytes(sound[:-2] + b"??")
    try:
        yield
    finally:
        path.write_bytes(sound)


@contextmanager
def unsynchronised() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "kernel_clock", lambda: KernelClock(datetime.now(UTC), False, timedelta(1)))
        yield


@contextmanager
def other_root(folder: Path) -> Iterator[None]:
    """The keys folder has the public key of another installation's root."""
    signing.init(folder / "other", datetime.now(UTC))
    path = folder / "keys" / signing.ROOT_PUBLIC
    with without(path):
        shutil.copy(folder / "other" / signing.ROOT_PUBLIC, path)
        yield
    shutil.rmtree(folder / "other")


@contextmanager
def another_switch(installation: Node, missing: str) -> Iterator[dict[str, str]]:
    """A switch without a file of the dialplan: the variables that lead to it."""
    conf = installation.folder / "another-conf"
    shutil.copytree(REPOSITORY / "freeswitch_conf", conf)
    (conf / missing).unlink()
    ports = replace(installation.ports, event_socket=free_ports())
    process = installation.start_switch(ports, "--conf", str(conf), before=LIMITS)
    variables = {"ACCORD_SWITCH_PORT": str(ports.event_socket)}
    try:
        end = time.monotonic() + PATIENCE
        while any("cannot be reached" in each.what for each in installation.doctor(variables)[1]):
            assert time.monotonic() < end
        yield variables
    finally:
        process.kill()
        shutil.rmtree(conf)


@dataclass(frozen=True)
class Fault:
    """A fault, how it is caused, and a pattern for the beginning of the finding that names it."""

    name: str
    says: str
    state: str = "wrong"
    variables: Mapping[str, str] = field(default_factory=dict)
    cause: Cause = lambda _: nullcontext()


OTHER_KEK = base64.b64encode(b"another key-encryption key......").decode()

FAULTS = (
    Fault(
        "no catalogue",
        "catalogue: there is no catalogue",
        variables={"ACCORD_CATALOGUE_URL": "sqlite:////nowhere/catalogue.db"},
    ),
    Fault(
        "catalogue's server away",
        "catalogue: ",
        variables={"ACCORD_CATALOGUE_URL": "postgresql://accord@127.0.0.1:1/accord"},
    ),
    Fault(
        "no keys", "node key files: there is no ", cause=lambda i: without(i.folder / "keys" / "manifest.key")
    ),
    Fault(
        "key open to others",
        "node key files: other users can read or write ",
        cause=lambda i: mode(i.folder / "keys" / "manifest.key", 0o644),
    ),
    Fault(
        "another root",
        r"keys: \S+: the signing key is endorsed by root ",
        cause=lambda i: other_root(i.folder),
    ),
    Fault(
        "another key-encryption key",
        "customers: the key of tenant ",
        variables={"ACCORD_KEYS_KEK": OTHER_KEK},
    ),
    Fault("store away", "store: ", cause=lambda i: without(i.folder / "store")),
    Fault(
        "store's server away",
        "store: ",
        variables={
            "ACCORD_STORE_KIND": "s3",
            "ACCORD_STORE_ENDPOINT": "http://127.0.0.1:1",
            "ACCORD_STORE_ACCESS_KEY": "a",
            "ACCORD_STORE_SECRET_KEY": "b",
        },
    ),
    Fault(
        "store read-only",
        "store: the folder .* cannot be written",
        cause=lambda i: read_only(i.folder / "store"),
    ),
    Fault("no spool", "spool: there is no folder ", variables={"ACCORD_NODE_SPOOL": "/nowhere/spool"}),
    Fault(
        "spool read-only",
        r"spool: \[Errno 30\] Read-only file system",
        cause=lambda i: read_only(i.folder / "spool"),
    ),
    Fault(
        "spool full",
        r"spool: \[Errno 28\] No space left on device",
        cause=lambda i: full(i.folder / "spool"),
    ),
    Fault(
        "no room for one more recording",
        "disk: no room for one more recording",
        variables={"ACCORD_NODE_WARN_AT": "0.99", "ACCORD_NODE_FULL_AT": "0.999"},
        cause=lambda i: full(i.folder / "spool", left=1 << 20),
    ),
    Fault("no password of the switch", "switch: no password", variables={"ACCORD_SWITCH_PASSWORD": ""}),
    Fault(
        "wrong password of the switch",
        "switch: ",
        variables={"ACCORD_SWITCH_PASSWORD": "another-one-than-that"},
    ),
    Fault(
        "switch away",
        "switch: FreeSWITCH at 127.0.0.1:1 cannot be reached",
        variables={"ACCORD_SWITCH_PORT": "1"},
    ),
    Fault(
        "dialplan not loaded",
        "dialplan: the extension ",
        cause=lambda i: another_switch(i, "dialplan/accord.xml"),
    ),
    Fault(
        "inbound drop-in missing",
        "dialplan: no extension sends calls to the daemon",
        cause=lambda i: another_switch(i, "dialplan/public/00_accord.xml"),
    ),
    Fault("prompt damaged", "snapshot: prompt ", cause=lambda i: damaged_prompt(i.folder)),
    Fault(
        "mail without an address",
        "mail: ",
        "warning",
        {"ACCORD_MAIL_HOST": "mail.example", "ACCORD_MAIL_SENDER": "a@b.example"},
    ),
    Fault(
        "list of breached passwords missing",
        "breached passwords: /nowhere cannot be read",
        "warning",
        {"ACCORD_WEB_BREACHED_PASSWORDS": "/nowhere"},
    ),
    Fault(
        "clock not synchronised", "clock: it is not synchronised", "warning", cause=lambda _: unsynchronised()
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_first_finding_is_the_cause(installation: Node, fault: Fault) -> None:
    installation.wait()
    with fault.cause(installation) as more:
        code, found = installation.doctor({**fault.variables, **(more if isinstance(more, dict) else {})})
    assert code == 1
    assert found[0].state == fault.state, found
    assert re.match(fault.says, found[0].what), found
    assert found[0].hint, found[0]
