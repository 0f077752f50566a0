from __future__ import annotations

import re
from pathlib import Path

import pytest

from recorder.config import NO_SETTINGS, load, sections, variable_of
from recorder.errors import ConfigError
from tests.expected_errors import expect_error

ROOT = Path(__file__).parents[3]


def write(folder: Path, text: str) -> Path:
    path = folder / "accord.toml"
    path.write_text(text)
    return path


def test_defaults_need_no_file() -> None:
    settings = load(None, {})
    assert settings.node.spool_folder == Path("/var/lib/accord/spool")
    assert settings.catalogue_url == "sqlite:////var/lib/accord/catalogue.db"
    assert settings.switch.password.get_secret_value() == "", "there is no default password"


def test_environment_overrides_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[switch]\nport = 8022\nhost = '127.0.0.2'\n")
    settings = load(path, {"ACCORD_SWITCH_PORT": "8023"})
    assert (settings.switch.port, settings.switch.host) == (8023, "127.0.0.2")


def test_secret_is_read_from_a_file_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    settings = load(None, {"ACCORD_SWITCH_PASSWORD_FILE": str(tmp_path / "password")})
    assert settings.switch.password.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in settings.model_dump_json()


@pytest.mark.parametrize(
    ("text", "error_id", "hint"),
    [
        ("[switch]\nprot = 1\n", "config.unknown", "switch.port"),
        ("[swich]\nport = 1\n", "config.unknown", "switch"),
        ("switch = 3\n", "config.invalid", "[switch]"),
        ("[switch]\nport = 70000\n", "config.invalid", "[switch]"),
        ("[switch\n", "config.unreadable", "TOML"),
        ("[node]\nname = 'Not A Name'\n", "config.invalid", "[node]"),
        # A name would match no call.
        ("[node]\nnever_record = ['the police']\n", "config.invalid", "[node]"),
    ],
)
def test_invalid_setting_is_refused_with_a_hint(tmp_path: Path, text: str, error_id: str, hint: str) -> None:
    with expect_error(ConfigError, error_id) as failure:
        load(write(tmp_path, text), {})
    assert hint in failure.value.hint


def test_secret_that_is_set_twice_is_refused(tmp_path: Path) -> None:
    with expect_error(ConfigError, "config.twice"):
        load(None, {"ACCORD_SWITCH_PASSWORD": "a", "ACCORD_SWITCH_PASSWORD_FILE": "b"})


def test_missing_secret_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        load(None, {"ACCORD_SWITCH_PASSWORD_FILE": str(tmp_path / "nowhere")})


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("ACCORD_STORE_BUCKETT", "ACCORD_STORE_BUCKET"),
        ("ACCORD_SWITCH_PASWORD_FILE", "ACCORD_SWITCH_PASSWORD"),
        ("ACCORD_NODE_DATA_DIR", "ACCORD_NODE_DATA"),
        ("ACCORD_SWICH_PASSWORD", "ACCORD_SWITCH_PASSWORD"),
        ("ACCORD_CATALOGUEURL", "ACCORD_CATALOGUE_URL"),
    ],
)
def test_unknown_variable_is_refused(variable: str, near: str) -> None:
    with expect_error(ConfigError, "config.unknown") as failure:
        load(None, {variable: "x"})
    assert failure.value.hint == f"did you mean {near}?"


def test_variables_of_the_switch_and_of_other_programs_are_no_settings() -> None:
    assert load(None, dict.fromkeys(NO_SETTINGS, "x")) == load(None, {})


def test_switch_reads_only_settings_and_known_variables() -> None:
    text = "".join(path.read_text("utf-8") for path in (ROOT / "freeswitch_conf").rglob("*.xml"))
    read = {*re.findall(r"ACCORD_[A-Z_]*[A-Z]", text)}
    settings = {
        variable_of(section, name) for section, model in sections().items() for name in model.model_fields
    }
    assert read - settings == NO_SETTINGS - {"ACCORD_CONFIG", "ACCORD_FREESWITCH", "ACCORD_HEARTBEAT_FD"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "panel.example", ""])
def test_cookies_without_https_require_loopback(host: str) -> None:
    beyond = {"ACCORD_WEB_HOST": host, "ACCORD_WEB_SECURE_COOKIES": "false"}
    with expect_error(ConfigError, "config.cookies") as failure:
        load(None, beyond)
    assert "HTTPS" in failure.value.hint
    assert load(None, {"ACCORD_WEB_HOST": host}).web.secure_cookies


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_panel_on_loopback_needs_no_https(host: str) -> None:
    assert not load(None, {"ACCORD_WEB_HOST": host, "ACCORD_WEB_SECURE_COOKIES": "false"}).web.secure_cookies
