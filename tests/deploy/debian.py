"""A clean Debian to install the package in, and packages of later versions made from it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.deploy.boot import REPOSITORY
from tests.scratch import scratch_folder

ROOTS = "TEST_DEBIAN_ROOTS"
"""A variable with a folder in which roots were made before, or are to be kept: to make one takes minutes."""

PACKAGE = "TEST_PACKAGE"
"""A variable with the path of the package to test, instead of one that is built for it."""

SUITE = "trixie"
"""The Debian whose Python the package is built for."""

MACHINE = ("systemd", "python3", "tzdata", "postgresql")
"""The packages of a machine beside Debian's smallest set: what Accord's depends on, because the machine has
no network, and a database server."""

IMAGE = (
    "systemd-standalone-sysusers", "systemd-standalone-tmpfiles", "python3", "tzdata", "ca-certificates",
)  # fmt: skip
"""The packages of the container's image beside Debian's smallest set."""


BASE = ("base-files",)
"""The packages of the image that the container's is built on: Debian's smallest set."""


def missing_tool() -> str | None:
    """What this machine lacks to build and install packages; ``None`` if nothing."""
    tools = ("dpkg-deb", *(() if ROOTS in os.environ else ("debootstrap",)))
    absent = [tool for tool in tools if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    return f"{' and '.join(absent)} (Debian's packages of that name)" if absent else None


def make_root(packages: tuple[str, ...]) -> Path:
    """A folder with the files of a clean Debian that has some packages."""
    parent = os.environ.get(ROOTS)
    folder = scratch_folder("debian") if parent is None else Path(parent) / packages[0]
    if parent is not None and folder.exists():
        return folder
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={','.join(packages)}", SUITE, str(folder)],
        check=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
    )  # fmt: skip
    return folder


def build_package() -> Path:
    """The package, built by its one command."""
    if PACKAGE in os.environ:
        return Path(os.environ[PACKAGE])
    subprocess.run(["make", "deb"], cwd=REPOSITORY, check=True)
    (package,) = (REPOSITORY / "dist").glob("accord-recorder_*.deb")
    return package


def make_later(package: Path, folder: Path, version: str, migration: str, serves: str | None) -> Path:
    """A later version's package: this one with another number and one more migration, which ``serves`` the
    versions from that migration on (``None``: no older one)."""
    root = folder / version
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(root)], check=True)
    (site,) = root.glob("opt/accord/lib/python3.*/site-packages")
    init, added = site / "recorder/__init__.py", site / f"recorder/catalogue/migrations/{migration}.py"
    init.write_text(re.sub(r'"[0-9.]+"', f'"{version}"', init.read_text()))
    added.write_text(
        ("" if serves is None else f"SERVES = {serves!r}\n")
        + f"def up(migrator, db):\n    db.execute_sql('CREATE TABLE t{migration} (id INTEGER)')\n"
    )
    subprocess.run(
        ["/usr/bin/python3", "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash",
         "-s", str(root), "-p", "/", str(init), str(added)],
        check=True,
    )  # fmt: skip
    control = root / "DEBIAN" / "control"
    text = control.read_text()
    fields = {"Version": version, "Accord-Schema": migration, "Accord-Serves": serves or migration}
    for name, value in fields.items():
        text = re.sub(f"(?m)^{name}: .*$", f"{name}: {value}", text)
    control.write_text(text)
    target = folder / f"accord-recorder_{version}.deb"
    subprocess.run(
        ["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", str(root), str(target)], check=True
    )
    shutil.rmtree(root)
    return target
