"""`accord init` in a folder, and what it refuses."""

from __future__ import annotations

import getpass
import os
import socket
import stat
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from demo.practice.switch import PracticeSwitch
from recorder import config
from recorder.cli import accord
from recorder.errors import ConfigError
from recorder.ops.installation import check_address
from recorder.seal import kek_files
from tests.expected_errors import expect_error

PASSWORD = "practice-practice"


class Machine:
    """The folders of an installation to be, and the command that makes it."""

    def __init__(self, folder: Path) -> None:
        self.etc, self.data = folder / "etc", folder / "data"
        self.settings = self.etc / "accord.toml"
        self.password = folder / "password"
        self.password.write_text(f"{PASSWORD}\n")
        self.switch = "127.0.0.1:1"  # nobody

    def init(self, *words: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(
            accord,
            ["--config", str(self.settings), "init", "--data", str(self.data), "--user", getpass.getuser(),
             "--switch", self.switch, *words],
            input=typed,
        )  # fmt: skip

    def answer(self, *words: str) -> Result:
        """Without a question."""
        return self.init("--yes", "--switch-password-file", str(self.password), *words)

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.etc.parent)): path.read_bytes()
            for folder in (self.etc, self.data)
            for path in folder.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_installation_is_made_without_a_question(machine: Machine) -> None:
    result = machine.answer("--address", "https://calls.example")
    assert result.exit_code == 0, result.output
    assert "the password was not checked" in result.output, "no switch answers here"
    settings = config.load(machine.settings, {"ACCORD_KEYS_KEK_FILE": str(machine.etc / "secrets" / "kek")})
    assert settings.store.kind == "directory"
    assert (settings.web.address, settings.web.proxies, settings.web.secure_cookies) == (
        "https://calls.example", 1, True,
    )  # fmt: skip
    assert settings.catalogue_url == f"sqlite:///{machine.data}/catalogue.db"
    kek_files.keyring(settings.keys_folder, settings.keys.kek.get_secret_value())
    for name in ("secrets/kek", "secrets/switch-password", "secrets/web-secret-key", "keys/root.key"):
        assert mode(machine.etc / name) == 0o600, name
    assert mode(machine.settings) == 0o400
    assert mode(machine.data / "catalogue.db") == 0o600
    assert PASSWORD not in machine.settings.read_text()
    environment = {"ACCORD_KEYS_KEK_FILE": str(machine.etc / "secrets" / "kek")}
    for words in (("tenant", "create", "Dubois"), ("key", "show"), ("migrate", "--check")):
        result = CliRunner().invoke(accord, ["--config", str(machine.settings), *words], env=environment)
        assert result.exit_code == 0, result.output


def test_nothing_is_overwritten(machine: Machine) -> None:
    assert machine.answer().exit_code == 0
    before = machine.files()
    result = machine.answer("--address", "https://calls.example")
    assert (result.exit_code, "there are settings already" in result.output) == (2, True)
    assert machine.files() == before


def test_interrupted_installation_is_begun_again(machine: Machine) -> None:
    """The settings file comes last: without it, what is there already stays."""
    assert machine.answer().exit_code == 0
    machine.settings.unlink()
    before = machine.files()
    result = machine.answer()
    assert result.exit_code == 0, result.output
    assert "left " in result.output
    assert {name: content for name, content in machine.files().items() if name != "etc/accord.toml"} == before


def test_another_password_than_the_one_there_is_refused(machine: Machine) -> None:
    assert machine.answer().exit_code == 0
    machine.settings.unlink()
    machine.password.write_text("another-password\n")
    before = machine.files()
    result = machine.answer()
    assert (result.exit_code, "with another value" in result.output) == (2, True)
    assert machine.files() == before


def test_new_keys_are_refused_beside_recordings_of_before(machine: Machine) -> None:
    assert machine.answer().exit_code == 0
    kek = {"ACCORD_KEYS_KEK_FILE": str(machine.etc / "secrets" / "kek")}
    CliRunner().invoke(accord, ["--config", str(machine.settings), "tenant", "create", "Dubois"], env=kek)
    machine.etc.rename(machine.etc.with_name("lost"))
    result = machine.answer()
    assert (result.exit_code, "accord key restore" in result.output) == (2, True)
    assert not machine.etc.exists()


def test_incomplete_keys_are_refused(machine: Machine) -> None:
    assert machine.answer().exit_code == 0
    machine.settings.unlink()
    (machine.etc / "keys" / "manifest.key").unlink()
    result = machine.answer()
    assert (result.exit_code, "but not manifest.key" in result.output) == (2, True)


def test_keys_of_another_node_are_used(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Machine(tmp_path / "other")
    assert other.answer().exit_code == 0
    other.settings.unlink()
    (other.etc / "secrets" / "kek").rename(other.etc / "keys" / "kek")
    machine.etc.mkdir()
    (other.etc / "keys").rename(machine.etc / "keys")
    before = (machine.etc / "keys" / "kek").read_bytes()
    result = machine.answer()
    assert result.exit_code == 0, result.output
    assert (machine.etc / "secrets" / "kek").read_bytes() == before
    assert not (machine.etc / "keys" / "kek").exists()


def test_questions_are_asked_again_beside_the_error(machine: Machine) -> None:
    """The event socket's password, twice; a folder; SQLite; and an address, twice."""
    with PracticeSwitch(password=PASSWORD, daemon="127.0.0.1:1", environment={}) as switch:
        machine.switch = f"127.0.0.1:{switch.event_port}"
        addresses = ["http://calls.example", "https://calls.example"]
        typed = ["wrong-password", PASSWORD, "directory", "sqlite", *addresses, ""]
        result = machine.init(typed="\n".join(typed))
    assert result.exit_code == 0, result.output
    assert "refuses the password" in result.output
    assert "http://calls.example is not the address of a panel" in result.output
    assert "wrong-password" not in result.output
    assert tomllib.loads(machine.settings.read_text())["web"]["address"] == "https://calls.example"
    assert (machine.etc / "secrets" / "switch-password").read_text() == f"{PASSWORD}\n"


def test_catalogue_that_is_away_is_refused_before_anything_is_written(machine: Machine) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{nobody.getsockname()[1]}"
        result = machine.answer("--catalogue", f"postgresql://accord@{server}/accord")
    assert result.exit_code == 1
    assert "check that the server runs" in result.output
    assert machine.files() == {}


def test_password_in_the_catalogue_s_address_is_refused(machine: Machine) -> None:
    result = machine.answer("--catalogue", "postgresql://accord:secret@127.0.0.1/accord")
    assert (result.exit_code, "--catalogue-password-file" in result.output) == (2, True)
    assert "secret@" not in result.output


def test_bucket_that_cannot_be_used_is_refused(machine: Machine, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("nobody\n")
    files = ("--access-key-file", str(key), "--secret-key-file", str(key))
    result = machine.answer("--store", "s3", "--endpoint", "http://127.0.0.1:1", *files)
    assert result.exit_code == 1
    assert "127.0.0.1:1" in result.output
    assert machine.files() == {}


def test_missing_password_and_user_are_refused(machine: Machine) -> None:
    result = machine.init("--yes")
    assert (result.exit_code, "event_socket.conf.xml" in result.output) == (2, True)
    result = machine.answer("--user", "nobody-of-this-name")
    assert (result.exit_code, "there is no user" in result.output) == (2, True)
    assert machine.files() == {}


@pytest.mark.parametrize(
    "address",
    [
        "http://calls.example",
        "calls.example",
        "https://",
        "https://calls.example/panel",
        "https://me@calls.example",
    ],
)
def test_what_is_no_address_of_a_panel(address: str) -> None:
    with expect_error(ConfigError, "init.address"):
        check_address(address)


def test_only_root_sets_up_for_another_user(machine: Machine) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may")
    result = machine.answer("--user", "root")
    assert (result.exit_code, "run it as root" in result.output) == (2, True)
