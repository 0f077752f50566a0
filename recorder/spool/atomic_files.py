"""Writes files atomically and durably: after a crash a file has its old content or its new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically: temporary file, fsync, rename, fsync of the folder.

    Raises ``OSError`` (for example, a full disk) and then leaves ``path`` unchanged.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with name_failure(path):
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            _remove(temporary)
            raise
    sync_folder(path.parent)


@contextmanager
def name_failure(path: Path) -> Iterator[None]:
    """Name ``path`` in an ``OSError`` of the block: a full disk's error has no path, and a temporary file's
    has one that nobody knows."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def _remove(path: Path) -> None:
    """Remove a temporary file as far as that is possible: its own error would hide the cause."""
    with suppress(OSError):
        path.unlink()


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Write a large file atomically: yields a temporary path to write, and moves it to ``path`` at the end of
    the block. If the block raises, ``path`` is unchanged. Raises ``OSError``."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        _remove(temporary)
        raise
    sync_folder(path.parent)


def give_to_owner(path: Path) -> None:
    """As root, give a file to the owner of its folder: worker and panel run as that user. Raises
    ``OSError``."""
    if os.geteuid() == 0:
        os.chown(path, path.parent.stat().st_uid, -1)


def share_folder(folder: Path) -> None:
    """Make a folder that the users of one group share: new files in it belong to the group (set-group-ID). An
    existing folder keeps its permissions. Raises ``OSError``."""
    try:
        folder.mkdir(mode=0o770, parents=True)
    except FileExistsError:
        return
    folder.chmod(0o2770)  # mkdir ignores the set-group-ID bit


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (fsync). Raises ``OSError``."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def memory_file(content: bytes) -> Iterator[Path]:
    """Yield the path of a file in memory (``memfd_create(2)``) with this content. It exists until the end of
    the block."""
    descriptor = os.memfd_create("accord")
    try:
        write_all(descriptor, content, 0)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def append_line(path: Path, line: bytes) -> None:
    """Append a line to a file, and fsync it. A partial last line, left by a crash, is removed first.

    Raises ``OSError`` (for example, a full disk) and then adds nothing: a partial line would corrupt the
    next.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        end = _drop_partial_line(descriptor)
        try:
            write_all(descriptor, line + b"\n", end)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes, at: int) -> None:
    """Write all of ``content`` at an offset (bytes) of an open file. Raises ``OSError``."""
    while content:
        count = os.pwrite(descriptor, content, at)
        content, at = content[count:], at + count


def _drop_partial_line(descriptor: int) -> int:
    """Remove what follows the last newline of an open file. Returns its length in bytes."""
    size = os.fstat(descriptor).st_size
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return size
    end = os.pread(descriptor, size, 0).rfind(b"\n") + 1
    os.ftruncate(descriptor, end)
    return end
