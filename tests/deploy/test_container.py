"""The container's files, as far as they can be checked without a registry of images."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from recorder import config
from recorder.cli import accord
from tests.deploy import debian
from tests.deploy.boot import REPOSITORY, missing

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


IN_IMAGE = """\
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs {folder}
mkdir {folder}/up {folder}/work {folder}/root
mount -t overlay overlay -o lowerdir={lower},upperdir={folder}/up,workdir={folder}/work {folder}/root
cd {folder}/root
mount -t proc proc proc
for each in null zero full random urandom; do touch dev/$each; mount --bind /dev/$each dev/$each; done
mkdir -p mnt/files
mount --bind {files} mnt/files
ip link set lo up
exec chroot . /bin/sh /mnt/files/script
"""
"""An image's root, which has no network but loopback; its processes end with the script."""


def instructions(name: str) -> list[str]:
    """The arguments of each instruction of that name in the Containerfile."""
    text = (FOLDER / "Containerfile").read_text().replace("\\\n", "")
    return re.findall(rf"^{name} +(.*)$", text, re.MULTILINE)


@pytest.mark.long
def test_entry_points_of_the_image_run_and_are_healthy(compose: Mapping[str, Any], tmp_path: Path) -> None:
    """In a root with the packages that the Containerfile installs; SQLite in PostgreSQL's place."""
    if (reason := missing() or debian.missing_tool()) is not None:
        pytest.skip(f"an image's root needs {reason}")
    first, packages, store = instructions("RUN")
    for package in debian.IMAGE[:2]:
        assert package in packages
    shutil.copy(debian.build_package(), tmp_path / "accord.deb")
    (tmp_path / "accord.toml").write_text('[store]\nkind = "directory"\n')
    entry = shlex.join(json.loads(instructions("ENTRYPOINT")[0]))
    variables = [*shlex.split(" ".join(instructions("ENV"))), "PATH=/usr/bin:/bin"]
    as_user = f"setpriv --reuid=accord --regid=accord --init-groups env -i {shlex.join(variables)}"
    lines = [
        "set -e",
        first,
        "dpkg --install /mnt/files/accord.deb",
        store,
        "cp /mnt/files/accord.toml /etc/accord/ && mkdir /run/secrets",
        "ACCORD_KEYS_FOLDER=/etc/accord/keys /opt/accord/bin/accord key init",
        "mv /etc/accord/keys/kek /run/secrets/",
        "echo practice-practice >/run/secrets/switch-password",
        "echo 0123456789abcdef0123456789abcdef >/run/secrets/web-secret-key",
        "echo sqlite:////var/lib/accord/catalogue.db >/run/secrets/catalogue-url",
        "chown -R accord /etc/accord /run/secrets && chmod -R go= /run/secrets",
        f"{as_user} ACCORD_CATALOGUE_URL_FILE=/run/secrets/catalogue-url {entry} migrate",
    ]
    for name, service in ours(compose):
        environment = shlex.join(f"{key}={value}" for key, value in service["environment"].items())
        health = shlex.join(service["healthcheck"]["test"][1:])
        lines += [
            f"{as_user} {environment} {entry} {service['command'][0]} &",
            f"n=0; until {health} 2>/dev/null; do n=$((n+1)); [ $n -lt 120 ]; sleep 0.5; done",
            f"echo healthy: {name}",
        ]
    (tmp_path / "script").write_text("\n".join(lines) + "\n")
    folder = tmp_path / "root"
    folder.mkdir()
    script = IN_IMAGE.format(folder=folder, lower=debian.make_root(debian.IMAGE), files=tmp_path)
    process = subprocess.run(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--net", "sh", "-c", script],
        capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    for name, _ in ours(compose):
        assert f"healthy: {name}" in process.stdout, process.stdout + process.stderr


def test_image_s_own_health_check_is_the_panel_s(compose: Mapping[str, Any]) -> None:
    (check,) = re.findall(r"CMD (\[.*urlopen.*\])", (FOLDER / "Containerfile").read_text())
    assert ast.literal_eval(check) == compose["services"]["panel"]["healthcheck"]["test"][1:]
