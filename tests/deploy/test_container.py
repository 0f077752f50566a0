"""The container's files, as far as they can be checked without a registry of images."""

from __future__ import annotations

import ast
import json
import re
import resource
import shlex
import shutil
import subprocess
import tempfile
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


def check_processes(
    compose: Mapping[str, Any], lower: Path, files: Path, before: list[str], as_user: str, entry: str
) -> None:
    """Run each service in a root with the image's files, after the script's lines ``before``, with SQLite in
    PostgreSQL's place, until its health check passes. ``as_user`` runs a command as the image's user with its
    environment; ``files`` is a folder for the script."""
    (files / "accord.toml").write_text('[store]\nkind = "directory"\n')
    lines = [
        "set -e",
        *before,
        "cp /mnt/files/accord.toml /etc/accord/ && mkdir -p /run/secrets",
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
            f"n=0; until {health} 2>/dev/null; do n=$((n+1)); [ $n -lt 240 ]; sleep 0.5; done",
            f"echo healthy: {name}",
        ]
    port = compose["services"]["panel"]["ports"][0].rpartition(":")[2]
    ask = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/healthz', timeout=9).status)"
    lines.append(f"/opt/accord/bin/python -c {shlex.quote(ask)}")
    (files / "script").write_text("\n".join(lines) + "\n")
    folder = files / "root"
    folder.mkdir()
    script = IN_IMAGE.format(folder=folder, lower=lower, files=files)
    process = subprocess.run(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--net", "sh", "-c", script],
        capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    for name, _ in ours(compose):
        assert f"healthy: {name}" in process.stdout, process.stdout + process.stderr
    assert "\n200\n" in process.stdout, process.stdout + process.stderr


@pytest.mark.long
def test_entry_points_of_the_image_run_and_are_healthy(compose: Mapping[str, Any], tmp_path: Path) -> None:
    """In a root with the packages that the Containerfile installs."""
    if (reason := missing() or debian.missing_tool()) is not None:
        pytest.skip(f"an image's root needs {reason}")
    first, packages, store = instructions("RUN")
    for package in debian.IMAGE[:2]:
        assert package in packages
    shutil.copy(debian.build_package(), tmp_path / "accord.deb")
    entry = shlex.join(json.loads(instructions("ENTRYPOINT")[0]))
    variables = [*shlex.split(" ".join(instructions("ENV"))), "PATH=/usr/bin:/bin"]
    as_user = f"setpriv --reuid=accord --regid=accord --init-groups env -i {shlex.join(variables)}"
    before = [first, "dpkg --install /mnt/files/accord.deb", store]
    check_processes(compose, debian.make_root(debian.IMAGE), tmp_path, before, as_user, entry)


class Builder:
    """buildah with a store of its own, without a daemon and without namespaces of users."""

    def __init__(self, folder: Path) -> None:
        self._options = ("--root", f"{folder}/store", "--runroot", f"{folder}/run", "--storage-driver", "vfs")

    def run(self, *words: str) -> str:
        process = subprocess.run(["buildah", *self._options, *words], capture_output=True, text=True)
        assert process.returncode == 0, process.stdout[-4000:] + process.stderr[-4000:]
        return process.stdout.strip()

    def make_base(self, name: str, root: Path) -> None:
        """An image with a root's files, under the name of one that would come from a registry."""
        container = self.run("from", "scratch")
        self.run("add", "--quiet", container, str(root), "/")
        self.run("commit", "--quiet", container, name)
        self.run("rm", container)

    def build(self, tag: str, context: Path) -> None:
        """Build the Containerfile as it is."""
        limits = [
            f"--ulimit={name}={hard}:{hard}"
            for name, kind in (("nproc", resource.RLIMIT_NPROC), ("nofile", resource.RLIMIT_NOFILE))
            for hard in (resource.getrlimit(kind)[1],)
        ]
        how = ("--isolation=chroot", "--network=host", "--pull=never", *limits)
        self.run("build", *how, "--file", str(FOLDER / "Containerfile"), "--tag", tag, str(context))

    def mount(self, tag: str) -> tuple[Path, Mapping[str, Any]]:
        """The files of an image, and its configuration."""
        container = self.run("from", "--pull=never", tag)
        described = json.loads(self.run("inspect", "--type", "image", tag))
        config: Mapping[str, Any] = described["OCIv1"]["config"]
        return Path(self.run("mount", container)), config


@pytest.fixture
def builder() -> Iterator[Builder]:
    """One whose images, of gigabytes, do not stay."""
    with tempfile.TemporaryDirectory(prefix="accord-images-") as folder:
        yield Builder(Path(folder))


@pytest.mark.long
def test_built_image_runs_as_its_user_and_is_healthy(
    compose: Mapping[str, Any], builder: Builder, tmp_path: Path
) -> None:
    """The image itself, built from the Containerfile on a base made by debootstrap, since no registry may be
    within reach; the build asks Debian's mirror for packages."""
    if (reason := missing() or debian.missing_tool()) is not None:
        pytest.skip(f"an image's base needs {reason}")
    if shutil.which("buildah") is None:
        pytest.skip("buildah is missing (packages buildah, crun, netavark)")
    (base,) = instructions("FROM")
    builder.make_base(base, debian.make_root(debian.BASE))
    (tmp_path / "context" / "dist").mkdir(parents=True)
    package = debian.build_package()
    shutil.copy(package, tmp_path / "context" / "dist" / package.name)
    builder.build("accord-recorder", tmp_path / "context")
    root, config = builder.mount("accord-recorder")
    assert config["User"] == "accord"
    assert config["Cmd"] == ["web"]
    assert "accord:x:968:" in (root / "etc" / "passwd").read_text()
    entry, variables = shlex.join(config["Entrypoint"]), shlex.join(config["Env"])
    user = config["User"]
    as_user = f"setpriv --reuid={user} --regid={user} --init-groups env -i {variables}"
    (tmp_path / "files").mkdir()
    check_processes(compose, root, tmp_path / "files", [], as_user, entry)


def test_image_s_own_health_check_is_the_panel_s(compose: Mapping[str, Any]) -> None:
    (check,) = re.findall(r"CMD (\[.*urlopen.*\])", (FOLDER / "Containerfile").read_text())
    assert ast.literal_eval(check) == compose["services"]["panel"]["healthcheck"]["test"][1:]
