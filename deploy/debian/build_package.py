"""Builds the Debian package: ``make deb``, or ``python deploy/debian/build_package.py FOLDER``.

It contains /opt/accord, a virtual environment of the system's python3 with the wheels of requirements.lock,
and what systemd, logrotate, FreeSWITCH and monitoring need of Accord. The same sources and the same
``SOURCE_DATE_EPOCH`` give the same bytes.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from string import Template
from typing import Final

ROOT: Final = Path(__file__).parents[2]
HERE: Final = Path(__file__).parent
WORK: Final = ROOT / "build" / "deb"

NAME: Final = "accord-recorder"
PREFIX: Final = "opt/accord"
DOC: Final = f"usr/share/doc/{NAME}"
MINOR: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON: Final = f"/usr/bin/python{MINOR}"

MAINTAINER: Final = "Accord <accord@accord.invalid>"
"""Unless ``DEBFULLNAME`` and ``DEBEMAIL`` name somebody else, as for Debian's own tools."""

SOURCES: Final = ("recorder", "web", "setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE")
"""What the wheel is built from."""

UNITS: Final = (
    "accord-daemon.service", "accord-worker.service", "accord-web.service", "accord-doctor.service",
    "accord-doctor.timer", "accord.target",
)  # fmt: skip

FILES: Final = {
    **{f"deploy/systemd/{unit}": f"usr/lib/systemd/system/{unit}" for unit in UNITS},
    "deploy/systemd/sysusers.conf": "usr/lib/sysusers.d/accord.conf",
    "deploy/systemd/tmpfiles.conf": "usr/lib/tmpfiles.d/accord.conf",
    "deploy/systemd/freeswitch.service.d": "usr/share/accord/systemd/freeswitch.service.d",
    "deploy/logrotate/accord": "etc/logrotate.d/accord",
    "deploy/prometheus": "usr/share/accord/prometheus",
    "deploy/grafana": "usr/share/accord/grafana",
    "deploy/nginx/accord.conf": f"{DOC}/examples/nginx.conf",
    "freeswitch_conf": "usr/share/accord/freeswitch_conf",
    "deploy/debian/accord": "usr/bin/accord",
    "deploy/debian/copyright": f"{DOC}/copyright",
    "deploy/debian/lintian-overrides": f"usr/share/lintian/overrides/{NAME}",
    **{
        f"docs/{name}": f"{DOC}/{name}"
        for suffix in ("md", "csv")
        for name in sorted(str(path.relative_to(ROOT / "docs")) for path in ROOT.glob(f"docs/**/*.{suffix}"))
    },
}
"""Files and folders of the repository, and where the package installs them."""

SCRIPTS: Final = ("postinst", "prerm", "postrm")

COMMAND: Final = f"""\
#!/{PREFIX}/bin/python
import sys

from recorder.__main__ import main

sys.exit(main())
"""

ENVIRONMENT: Final = f"""\
home = /usr/bin
include-system-site-packages = false
version = {MINOR}
executable = {PYTHON}
"""
"""pyvenv.cfg, without the folder that the environment was built in."""


def build(out: Path) -> Path:
    """Build the package into a folder, and return its path."""
    epoch = source_date()
    os.environ |= {"SOURCE_DATE_EPOCH": str(epoch), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
    os.umask(0o022)
    shutil.rmtree(WORK, ignore_errors=True)
    root, wheels = WORK / "root", WORK / "wheels"
    build_wheels(wheels)
    install(root, wheels)
    copy_files(root)
    write_documents(root, epoch)
    write_control(root)
    return pack(root, out, epoch)


def source_date() -> int:
    """``SOURCE_DATE_EPOCH``, or else the time of the last commit, in seconds."""
    if text := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(text)
    return int(output("git", "-C", str(ROOT), "log", "-1", "--format=%ct"))


def version() -> str:
    """The version in ``recorder/__init__.py``."""
    tree = ast.parse((ROOT / "recorder" / "__init__.py").read_text("utf-8"))
    (value,) = (
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    )
    return str(value)


def build_wheels(wheels: Path) -> None:
    """Download the wheels of requirements.lock, each checked by its hash, and build those that come as
    source, and Accord's own, by the locked build tools."""
    source = WORK / "source"
    source.mkdir(parents=True)
    for name in SOURCES:
        copy(ROOT / name, source / name)
    begin = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels))
    pip(*begin, "--require-hashes", "--requirement", str(ROOT / "requirements.lock"))
    pip(*begin, str(source))


def install(root: Path, wheels: Path) -> None:
    """Make the virtual environment, as it will be in /opt/accord. What only ``accord run`` needs is left out:
    the embedded store, which no unit starts."""
    prefix = root / PREFIX
    run(PYTHON, "-m", "venv", "--without-pip", str(prefix))
    python = prefix / "bin" / "python"
    pip(
        "--python", str(python), "install", "--quiet", "--no-compile", "--no-index",
        "--find-links", str(wheels), f"{NAME}[postgresql]",
    )  # fmt: skip
    for path in (*prefix.iterdir(), *(prefix / "bin").iterdir()):
        if path.name not in {"bin", "lib", "python", "python3", f"python{MINOR}"}:
            remove(path)
    for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
        for path in prefix.glob(f"lib/python*/site-packages/*.dist-info/{name}"):
            path.unlink()
    (prefix / "pyvenv.cfg").write_text(ENVIRONMENT)
    command = prefix / "bin" / "accord"
    command.write_text(COMMAND)
    command.chmod(0o755)
    # Unchecked: no process compares times, which a package's installation sets, or may write there.
    run(
        str(python), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash",
        "-s", str(root), "-p", "/", str(prefix / "lib"),
    )  # fmt: skip


def copy_files(root: Path) -> None:
    """Copy :data:`FILES`."""
    for source, target in FILES.items():
        copy(ROOT / source, root / target)


def write_documents(root: Path, epoch: int) -> None:
    """Write the changelogs and the list of what is in the environment (CycloneDX)."""
    folder = root / DOC
    date = format_datetime(datetime.fromtimestamp(epoch, UTC))
    entry = f"{NAME} ({version()}) stable; urgency=medium\n\n  * See NEWS.gz.\n\n -- {maintainer()}  {date}\n"
    write_compressed(folder / "changelog.gz", entry.encode())
    write_compressed(folder / "NEWS.gz", (ROOT / "CHANGELOG.md").read_bytes())
    run(
        sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible",
        "--output-file", str(folder / "sbom.cdx.json"), str(root / PREFIX / "bin" / "python"),
    )  # fmt: skip


def write_control(root: Path) -> None:
    """Write the package's description, its scripts, and the lists of its files."""
    folder = root / "DEBIAN"
    folder.mkdir()
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    relative = {str(path.relative_to(root)): path for path in files}
    text = Template((HERE / "control").read_text("utf-8")).substitute(
        version=version(),
        architecture=output("dpkg", "--print-architecture"),
        maintainer=maintainer(),
        size=sum(-(-path.stat().st_size // 1024) for path in files),
        minor=MINOR,
        next=f"{sys.version_info.major}.{sys.version_info.minor + 1}",
        **schema_fields(root),
    )
    (folder / "control").write_text(text)
    conffiles = [name for name in relative if name.startswith("etc/")]
    (folder / "conffiles").write_text("".join(f"/{name}\n" for name in conffiles))
    sums = {
        name: hashlib.md5(path.read_bytes()).hexdigest()  # noqa: S324  # dpkg's
        for name, path in relative.items()
        if name not in conffiles
    }
    (folder / "md5sums").write_text("".join(f"{each}  {name}\n" for name, each in sums.items()))
    for name in SCRIPTS:
        copy(HERE / name, folder / name)
        (folder / name).chmod(0o755)


def schema_fields(root: Path) -> dict[str, str]:
    """What ``accord upgrade check`` asks of a package that is not installed yet."""
    program = (
        "from recorder.catalogue.schema import newest_migration, oldest_migration_served as oldest\n"
        "from recorder.seal.signing import USES\n"
        "print(newest_migration(), oldest(), ','.join(USES))"
    )
    newest, oldest, uses = output(str(root / PREFIX / "bin" / "python"), "-c", program).split()
    return {"newest": newest, "oldest": oldest, "uses": uses}


def pack(root: Path, out: Path, epoch: int) -> Path:
    """Build the package from its files, with one owner, time and set of modes."""
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            program = path.stat().st_mode & 0o100 and ".so" not in path.name
            path.chmod(0o755 if path.is_dir() or program else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    out.mkdir(parents=True, exist_ok=True)
    package = out / f"{NAME}_{version()}_{output('dpkg', '--print-architecture')}.deb"
    # The usual level takes five times as long for a package that is a fifth smaller.
    run("dpkg-deb", "-Zxz", "-z1", "--root-owner-group", "--build", str(root), str(package))
    return package


def maintainer() -> str:
    name, _, address = MAINTAINER.partition(" <")
    mail = os.environ.get("DEBEMAIL", address.rstrip(">"))
    return f"{os.environ.get('DEBFULLNAME', name)} <{mail}>"


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, target)
        target.chmod(source.stat().st_mode)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def write_compressed(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content, mtime=0))


def pip(*arguments: str) -> None:
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments)


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def output(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def check_python() -> None:
    """The environment must be made by the Python that it is for."""
    system = output("/usr/bin/python3", "-c", "import sys; print(*sys.version_info[:2], sep='.')")
    if system != MINOR:
        sys.exit(f"this is Python {MINOR}, but /usr/bin/python3 is {system}: start this with `make deb`")


if __name__ == "__main__":
    check_python()
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist"))
