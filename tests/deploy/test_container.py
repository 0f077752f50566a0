"""The container's files, as far as they can be checked without a registry of images."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from recorder import config
from recorder.cli import accord
from tests.deploy.boot import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "container"

SECRETS = ("kek", "switch-password", "web-secret-key", "catalogue-password", "catalogue-url")


@pytest.fixture
def compose() -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return loaded


def ours(compose: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The services of Accord's image."""
    for name, service in compose["services"].items():
        if service["image"] == "accord-recorder":
            yield name, service


def test_each_process_has_its_service(compose: Mapping[str, Any]) -> None:
    commands = sorted(service["command"][0] for _, service in ours(compose))
    assert commands == ["daemon", "web", "worker"]
    for command in commands:
        assert command in accord.list_commands(None)  # type: ignore[arg-type]


def test_every_variable_is_a_setting_and_every_secret_is_declared(
    compose: Mapping[str, Any], tmp_path: Path
) -> None:
    assert set(compose["secrets"]) == set(SECRETS)
    for name, service in ours(compose):
        values = {}
        for variable, value in service["environment"].items():
            if variable.endswith("_FILE"):
                secret = value.removeprefix("/run/secrets/")
                assert secret in service["secrets"], name
                value = tmp_path / secret
                value.write_text("sqlite:////var/lib/accord/catalogue.db")
            values[variable] = str(value)
        config.load(None, values)


def test_no_process_has_another_s_secrets(compose: Mapping[str, Any]) -> None:
    services = dict(ours(compose))
    assert services["daemon"]["secrets"] == ["switch-password"]
    for name in ("panel", "worker"):
        assert "switch-password" not in services[name]["secrets"]
    for name in ("daemon", "panel"):
        mounts = " ".join(services[name]["volumes"])
        assert "manifest.key" not in mounts
        assert not re.search(r"keys:/", mounts), "not the whole folder"


def test_processes_are_confined(compose: Mapping[str, Any]) -> None:
    for name, service in ours(compose):
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
    text = (FOLDER / "Containerfile").read_text()
    assert re.search(r"^USER accord$", text, re.MULTILINE)
    assert text.index("USER accord") < text.index("ENTRYPOINT")


def test_compose_understands_every_line(tmp_path: Path) -> None:
    if shutil.which("docker-compose") is None:
        pytest.skip("docker-compose is missing (package docker-compose)")
    shutil.copy(FOLDER / "compose.yaml", tmp_path)
    process = subprocess.run(
        ["docker-compose", "--file", "compose.yaml", "config", "--quiet"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert (process.returncode, process.stderr) == (0, "")
