"""Files that are there whole or not at all, and durably."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_file(path: Path, content: bytes) -> None:
    """Put a file in place whole or not at all, and durably: temp, fsync, rename, fsync of the folder.

    Raises ``OSError`` (a full disk, say) with nothing changed at ``path``.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The same for a file too large to hold: yields a temporary path to write, which takes the place of
    ``path`` at the end; nothing is changed when the block raises.  Raises ``OSError``."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def share_folder(folder: Path) -> None:
    """Make a folder for several users of one group, where there is none: what they make in it is the
    group's (set-group-ID).  One that is there stays as its owner has it.  Raises ``OSError``."""
    try:
        folder.mkdir(mode=0o770, parents=True)
    except FileExistsError:
        return
    folder.chmod(0o2770)  # mkdir does not take that bit


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def in_memory(content: bytes) -> Iterator[Path]:
    """Something as a file for the time of a block, which needs no disk (``memfd_create(2)``)."""
    descriptor = os.memfd_create("accord")
    try:
        write_all(descriptor, content, 0)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def append_line(path: Path, line: bytes) -> None:
    """Add a line to a file, and fsync it.  What a crash has cut at its end is no line, and goes first.

    Raises ``OSError`` (a full disk, say) with nothing added: half a line would break the ones after it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        end = _end_of_lines(descriptor)
        try:
            write_all(descriptor, line + b"\n", end)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes, at: int) -> None:
    """Write everything at a place in an open file.  Raises ``OSError``."""
    while content:
        written = os.pwrite(descriptor, content, at)
        content, at = content[written:], at + written


def _end_of_lines(descriptor: int) -> int:
    size = os.fstat(descriptor).st_size
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return size
    end = os.pread(descriptor, size, 0).rfind(b"\n") + 1
    os.ftruncate(descriptor, end)
    return end
