"""A real systemd as process 1 in its own namespaces, on a disposable copy of this machine's files or of a
clean Debian's: to run the shipped units with all their hardening.  Needs root."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

PYTHON = (
    "LD_LIBRARY_PATH=/opt/accord/python/lib PYTHONPATH=/opt/accord/source:/opt/accord/packages "
    f"/opt/accord/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
)
"""The tests' Python and its packages, as a command in the machine."""

REPOSITORY = Path(__file__).parents[2]
SYSTEMD = Path("/usr/lib/systemd/systemd")

SETUP = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs {folder}
mkdir {folder}/up {folder}/work {folder}/root
mount -t overlay overlay -o lowerdir={lower},upperdir={folder}/up,workdir={folder}/work {folder}/root
cd {folder}/root
mount -t proc proc proc
mount -t sysfs sys sys
mount -t tmpfs run run
mount -t tmpfs tmp tmp
mount -t tmpfs shm dev
for each in null zero full random urandom tty; do touch dev/$each; mount --bind /dev/$each dev/$each; done
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t cgroup2 cgroup sys/fs/cgroup
{mounts}
for each in ldconfig systemd-journal-catalog-update systemd-modules-load systemd-binfmt systemd-udevd \\
    systemd-udev-trigger systemd-resolved systemd-networkd systemd-timesyncd; do
    ln -sf /dev/null etc/systemd/system/$each.service
done
ln -sf /dev/null etc/systemd/system/proc-sys-fs-binfmt_misc.automount
# The root itself, and no chroot: the units' own namespaces are made from it.
pivot_root . mnt
cd /
umount -l /mnt
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin {systemd} --system --log-target=journal \\
    --unit=basic.target
"""


CHECKOUT = f"""\
mkdir -p opt/accord/bin opt/accord/python opt/accord/source opt/accord/packages
mount --bind {sys.base_prefix} opt/accord/python
mount --bind {REPOSITORY} opt/accord/source
mount --bind {Path(click.__file__).parents[1]} opt/accord/packages
"""
"""Mounts this checkout and its Python: on this machine they may be in a home, which the units hide."""


def missing() -> str | None:
    """What this machine lacks to boot one; ``None`` if nothing."""
    if os.geteuid() != 0:
        return "root, to start systemd in namespaces"
    if not SYSTEMD.exists():
        return f"{SYSTEMD}"
    process = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount", "--net", "--cgroup", "sh", "-c",
         "mount -t tmpfs x /mnt && mkdir /mnt/a /mnt/b /mnt/c /mnt/d && mount -t cgroup2 x /mnt/d && "
         "mount -t overlay x -o lowerdir=/,upperdir=/mnt/a,workdir=/mnt/b /mnt/c"],
        capture_output=True,
    )  # fmt: skip
    return None if process.returncode == 0 else "namespaces, an overlay and cgroups (unshare, mount)"


class Machine:
    """A booted machine, mounted in ``folder``: ``lower`` has its files, and ``mounts`` are further commands
    before it boots, in its root."""

    def __init__(self, folder: Path, lower: Path = Path("/"), mounts: str = CHECKOUT) -> None:
        self._folder = folder
        self._lower = lower
        self._mounts = mounts
        self.pid = 0
        self._unshare: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        script = SETUP.format(folder=self._folder, systemd=SYSTEMD, lower=self._lower, mounts=self._mounts)
        with open(self._folder / "boot.log", "wb") as log:
            self._unshare = subprocess.Popen(
                ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--cgroup",
                 "--net", "sh", "-c", script],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        self.until("systemd has started", self._started, 40)
        self.until(
            "the machine is up",
            lambda: (
                self.run("systemctl", "is-active", "basic.target", check=False).stdout.strip() == "active"
            ),
            40,
        )

    def _started(self) -> bool:
        assert self._unshare is not None
        if self._unshare.poll() is not None:
            raise AssertionError((self._folder / "boot.log").read_text())
        with contextlib.suppress(OSError, IndexError):
            children = (
                Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children").read_text().split()
            )
            self.pid = int(children[0])
            return Path(f"/proc/{self.pid}/comm").read_text().strip() == "systemd"
        return False

    def path(self, inside: str) -> Path:
        """The path of a file of the machine, from outside."""
        return Path(f"/proc/{self.pid}/root{inside}")

    def run(self, *argv: str, check: bool = True, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine, as root."""
        process = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-n", "-C", "-r", "-w", *argv],
            capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
        )  # fmt: skip
        assert not check or process.returncode == 0, f"{argv}: {process.stdout}{process.stderr}"
        return process

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}", check=False).stdout

    def until(self, what: str, check: Callable[[], bool], seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < end, f"not within {seconds} s: {what}"
            time.sleep(0.1)

    def kill(self) -> None:
        if self._unshare is not None:
            if self.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
            self._unshare.kill()
            self._unshare.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
