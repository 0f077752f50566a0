"""``accord doctor`` on the keys of each kind of machine: missing, open, closed to Accord's user, or not those
of the other nodes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from recorder import config
from recorder.features.fleet.service import NodeReport, report_node
from recorder.ops.doctor.checks import CHECKS, PANEL_CHECKS, look
from recorder.ops.doctor.findings import DoctorFinding, Patient
from recorder.ops.doctor.key_files import node_key_files, panel_key_files, shared_keys
from recorder.ops.doctor.storage import store
from recorder.processes.services import Context
from recorder.seal import kek_files, signing
from recorder.store.directory import DirectoryStore
from tests.house import Bakery
from tests.unit.cli.shell import Shell

PAGE = Path(__file__).parents[3] / "docs" / "keys.md"
ABOUT_KEYS = {"node_key_files", "panel_key_files", "keys", "panel_key", "customer_keys", "shared_keys"}
NEEDED = {
    node_key_files: ("root.pub", "manifest.key", "manifest.endorsement.json", "kek"),
    panel_key_files: ("root.pub", "panel.key", "panel.endorsement.json", "kek"),
}


def findings(house: Bakery, panel: bool = False, **more: str) -> list[tuple[str, DoctorFinding]]:
    """Those about keys."""
    variables = house.environment(ACCORD_METRICS_WEB_PORT="0", **more)
    patient = Patient(Context(config.load(None, variables), None), house.clock)
    checks = [
        each for each in (PANEL_CHECKS if panel else CHECKS) if each.__name__ in {*ABOUT_KEYS, "catalogue"}
    ]
    return [(name, each) for name, each in look(patient, checks) if name in ABOUT_KEYS]


def faults(house: Bakery, panel: bool = False, **more: str) -> list[DoctorFinding]:
    return [each for _, each in findings(house, panel, **more) if each.state == "wrong"]


@pytest.fixture
def keys(house: Bakery) -> Path:
    return house.folder / "keys"


@pytest.mark.parametrize(
    ("panel", "name"), [(panel, name) for panel, check in enumerate(NEEDED) for name in NEEDED[check]]
)
def test_each_missing_file_is_the_only_fault(house: Bakery, keys: Path, panel: bool, name: str) -> None:
    assert faults(house, panel) == []
    (keys / name).unlink()
    (fault,) = faults(house, panel)
    check = "panel key files" if panel else "node key files"
    assert fault.what == f"{check}: there is no {keys / name}"
    assert "docs/keys.md" in fault.hint


def test_new_installation_is_told_how_keys_are_made(house: Bakery, keys: Path) -> None:
    shutil.rmtree(keys)
    keys.mkdir()
    (fault,) = faults(house)
    assert "`accord init`" in fault.hint


def test_a_node_needs_no_panel_s_key_and_a_panel_none_of_the_workers(house: Bakery, keys: Path) -> None:
    (warning,) = [each for _, each in findings(house, panel=True) if each.state == "warning"]
    assert (
        warning.what
        == f"panel key files: {keys / 'manifest.key'} is the workers' key, and of no use to a panel"
    )
    for name in (signing.SIGNING_KEY, signing.ENDORSEMENT):
        (keys / name).rename(house.folder / name)
    assert faults(house, panel=True) == []
    for name in (signing.SIGNING_KEY, signing.ENDORSEMENT):
        (house.folder / name).rename(keys / name)
    for name in (signing.PANEL_KEY, signing.PANEL_ENDORSEMENT):
        (keys / name).unlink()
    assert faults(house) == []


def test_key_of_the_settings_needs_no_file(house: Bakery, keys: Path) -> None:
    kek = (keys / "kek").read_text()
    (keys / "kek").unlink()
    assert faults(house, ACCORD_KEYS_KEK=kek) == []


@pytest.mark.parametrize(("panel", "name"), [(False, "manifest.key"), (False, "kek"), (True, "panel.key")])
def test_file_open_to_others_is_the_only_fault(house: Bakery, keys: Path, panel: bool, name: str) -> None:
    (keys / name).chmod(0o644)
    (fault,) = faults(house, panel)
    assert f"other users can read or write {keys / name} (mode 0644)" in fault.what
    subprocess.run(fault.hint.strip("`"), shell=True, check=True)
    assert faults(house, panel) == []


def test_key_encryption_key_among_the_secrets_is_closed_to_others(
    house: Bakery, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the package has it: a file of root, which systemd hands to worker and panel."""
    secret = house.folder / "kek"
    (keys / "kek").rename(secret)
    monkeypatch.setenv("ACCORD_KEYS_KEK_FILE", str(secret))
    more = {"ACCORD_KEYS_KEK": secret.read_text()}
    assert faults(house, **more) == []
    secret.chmod(0o640)
    assert faults(house, **more) == []
    for mode in (0o644, 0o620):
        secret.chmod(mode)
        (fault,) = faults(house, **more)
        assert f"other users can read or write {secret} (mode {mode:04o})" in fault.what


def test_file_closed_to_accord_s_user_is_the_only_fault(house: Bakery, keys: Path) -> None:
    """As after a copy by root."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    for each in (house.folder, *house.folder.parents):
        each.chmod(each.stat().st_mode | 0o011)
    for each in (keys, *keys.iterdir()):
        os.chown(each, 65534, 65534)
    assert faults(house) == []
    for name in ("manifest.key", "kek"):
        os.chown(keys / name, 0, 0)
    (fault,) = faults(house)
    assert fault.what == f"node key files: Accord's user may not read {keys / 'manifest.key'}, {keys / 'kek'}"
    subprocess.run(fault.hint.strip("`"), shell=True, check=True)
    assert faults(house) == []
    names = (kek_files.NEXT, f"{'0' * 32}{kek_files.BEFORE}")
    for name in names:
        shutil.copy(keys / "kek", keys / name)
        (keys / name).chmod(0o600)
    (fault,) = faults(house)
    assert fault.what == f"node key files: Accord's user may not read {keys / names[0]}, {keys / names[1]}"
    subprocess.run(fault.hint.strip("`"), shell=True, check=True)
    assert faults(house) == []


def test_customer_s_folder_in_the_store_that_accord_s_user_may_not_write(house: Bakery) -> None:
    """As a rotation by root left it."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another user")
    for each in (house.folder, *house.folder.parents):
        each.chmod(each.stat().st_mode | 0o011)
    house.work(house.take(talk_ms=300))
    DirectoryStore(house.bucket).init()
    for each in (house.bucket, *house.bucket.rglob("*")):
        os.chown(each, 65534, 65534)
    environment = house.environment(ACCORD_STORE_PATH=str(house.bucket))
    patient = Patient(Context(config.load(None, environment), None), house.clock)
    assert [each.state for each in store(patient)] == ["ok"]
    folder = house.bucket / "keys" / house.tenant
    os.chown(folder, 0, 0)
    (finding,) = store(patient)
    assert (finding.state, finding.what) == ("wrong", f"store: Accord's user may not write to {folder}")
    subprocess.run(finding.hint.strip("`"), shell=True, check=True)
    assert [each.state for each in store(patient)] == ["ok"]


@pytest.mark.parametrize("command", ["init", "renew", "prepare", "revoke", "restore"])
def test_key_files_by_root_belong_to_accord_s_user(
    house: Bakery, keys: Path, tmp_path: Path, shell: Shell, command: str
) -> None:
    """The root's key alone stays root's."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    for each in (keys, *keys.iterdir()):
        os.chown(each, 65534, 65534)
    if command in ("init", "restore"):
        shutil.copytree(keys, tmp_path / "safe")
        for each in keys.iterdir():
            each.unlink()
    words = {"revoke": ("0" * 32, "--yes"), "restore": (str(tmp_path / "safe"),), "init": ("--force",)}
    shell.good("key", command, *words.get(command, ()))
    foreign = {path.name for path in keys.iterdir() if path.stat().st_uid == 0}
    assert foreign == ({"root.key"} if command in ("init", "restore") else set())


@pytest.fixture
def others(house: Bakery) -> NodeReport:
    """A report of another node with this machine's keys."""
    now, root = house.clock(), signing.key_id(house.services.root)
    report = NodeReport("north", now, now, "0.1.0", 0, 0, None, 0, 10, 5, root, (house.keyring.current,))
    report_node(report)
    return report


@pytest.mark.parametrize("panel", [False, True])
def test_keys_of_other_nodes_are_compared(house: Bakery, others: NodeReport, panel: bool) -> None:
    same = [each.what for name, each in findings(house, panel) if name == shared_keys.__name__]
    assert same[0].endswith("the same on 1 other nodes")
    report_node(replace(others, node="south", root="another"))
    report_node(replace(others, node="west", keks=("another",)))
    report_node(replace(others, node="before", root="", keks=()))
    report_node(replace(others, node="here", root="another"))
    first, second = faults(house, panel, ACCORD_NODE_NAME="here")
    assert first.what == f"shared keys: this machine's root is {others.root}, but that of south is another"
    assert second.what == f"shared keys: west lacks this machine's key-encryption key {others.keks[0]}"


@pytest.mark.parametrize("panel", [False, True])
def test_page_s_commands_bring_all_that_a_machine_needs(
    house: Bakery, keys: Path, tmp_path: Path, panel: bool
) -> None:
    commands = re.findall(r"^tar .*$", PAGE.read_text(), re.MULTILINE)
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "etc" / "accord").mkdir(parents=True)
    (here / "var/lib/accord").mkdir(parents=True)
    (here / "var/lib/accord/.pgpass").touch()
    there.mkdir()
    shutil.copytree(keys, here / "etc/accord/keys")
    (here / "etc/accord/secrets").mkdir()
    (here / "etc/accord/accord.toml").touch()
    (here / "etc/accord/keys/kek").rename(here / "etc/accord/secrets/kek")
    for name in ("switch-password", "web-secret-key"):
        (here / "etc/accord/secrets" / name).write_text("secret")
    for command in commands[2:] if panel else commands[:2]:
        send, receive = command.split(" | ")
        receive = re.sub(r"^ssh \S+ ", "", receive)
        script = " | ".join(
            words.replace("-C /", f"-C {shlex.quote(str(folder))}")
            for words, folder in ((send, here), (receive, there))
        )
        subprocess.run(script, shell=True, check=True, capture_output=True)
    received = there / "etc" / "accord"
    kek = (received / "secrets" / "kek").read_text()
    more = {"ACCORD_KEYS_FOLDER": str(received / "keys"), "ACCORD_KEYS_KEK": kek}
    assert [each.state for _, each in findings(house, panel, **more) if each.state != "ok"] == []
    assert not (received / "keys" / signing.ROOT_KEY).exists()
    assert (received / "keys" / signing.SIGNING_KEY).exists() is not panel
    assert (received / "secrets" / "switch-password").exists() is not panel
    assert (received / "secrets" / "web-secret-key").exists() is panel
