"""Finds the processes that work on a spool, from ``/proc`` and without taking a lock."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

DAEMON = ".daemon"
WORKER = ".worker.lock"


@dataclass(frozen=True, slots=True)
class Process:
    """A process as ``/proc`` shows it; what this user may not read is ``None`` or empty."""

    pid: int

    @property
    def files(self) -> int | None:
        """Its limit of open files and sockets."""
        with suppress(OSError, ValueError, IndexError):
            for line in Path(f"/proc/{self.pid}/limits").read_text().splitlines():
                if line.startswith("Max open files"):
                    return int(line.split()[3])
        return None

    @property
    def environment(self) -> dict[str, str] | None:
        """The environment it was started with; ``None`` where this user may not read it."""
        with suppress(OSError):
            parts = Path(f"/proc/{self.pid}/environ").read_bytes().decode("utf-8", "replace").split("\0")
            return {name: value for name, _, value in (part.partition("=") for part in parts if part)}
        return None

    @property
    def command(self) -> str:
        """Its command line; empty where it cannot be read."""
        with suppress(OSError):
            words = Path(f"/proc/{self.pid}/cmdline").read_bytes().decode("utf-8", "replace")
            return words.replace("\0", " ").strip()
        return ""

    @property
    def umask(self) -> int:
        """Its umask; 0 where it cannot be read."""
        with suppress(OSError, ValueError):
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
        return 0

    @property
    def stopped(self) -> bool:
        """Whether it was stopped (SIGSTOP, a debugger)."""
        with suppress(OSError, IndexError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] in {"T", "t"}
        return False


@dataclass(frozen=True, slots=True)
class SpoolUser:
    """The user and groups that a process runs as."""

    uid: int
    groups: frozenset[int]

    def may(self, path: Path, bits_needed: int) -> bool:
        """Whether its owner, group and mode bits permit reading (4), writing (2) or entering (1) a path, and
        entering every folder above it.  Raises ``OSError`` where this process may not look."""
        if self.uid == 0:
            return True
        above = [folder for folder in path.absolute().parents if not self._allowed(folder, 1)]
        return not above and self._allowed(path, bits_needed)

    def _allowed(self, path: Path, bits_needed: int) -> bool:
        status = os.stat(path)
        if status.st_uid == self.uid:
            bits = status.st_mode >> 6
        elif status.st_gid in self.groups:
            bits = status.st_mode >> 3
        else:
            bits = status.st_mode
        return bits & bits_needed == bits_needed


def holder(path: Path) -> Process | None:
    """The process that holds a file's lock (``flock``); ``None`` where none does."""
    try:
        status = os.stat(path)
        locks = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for line in locks:
        fields = line.split()
        if "->" in fields or len(fields) < 6 or fields[1] != "FLOCK":
            continue
        major, minor, inode = fields[5].split(":")
        # A file system of several devices (btrfs, overlay) reports a different one here than in stat.
        same = (int(major, 16), int(minor, 16)) == (os.major(status.st_dev), os.minor(status.st_dev))
        if int(inode) == status.st_ino and (same or int(major, 16) == 0) and int(fields[4]) > 0:
            return Process(int(fields[4]))
    return None


def last_watched(spool: Path) -> datetime | None:
    """When the daemon of a spool last watched its switch; ``None`` if there never was one."""
    try:
        return datetime.fromtimestamp((spool / DAEMON).stat().st_mtime, UTC)
    except OSError:
        return None


def user_of(pid: int) -> SpoolUser | None:
    """The user and groups of a process; ``None`` where there is no such process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    found = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    groups = frozenset(int(each) for each in (*found["Groups"], found["Gid"][1]))
    return SpoolUser(int(found["Uid"][1]), groups)


def account(uid: int) -> SpoolUser | None:
    """A user of this machine with its groups, as a process that is started for it has them; ``None`` where
    there is no such user."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return None
    return SpoolUser(uid, frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid)))


def processes_of(uid: int) -> list[int]:
    """The processes that run as a user."""
    found = []
    for each in Path("/proc").iterdir():
        with suppress(OSError):
            if each.name.isdecimal() and each.stat().st_uid == uid:
                found.append(int(each.name))
    return found


def listener(port: int) -> int | None:
    """The user id of the process that listens on a TCP port; ``None`` where none does."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    return int(fields[7])
    return None
