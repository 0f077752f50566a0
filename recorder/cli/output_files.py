"""The files that commands write for people: each whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO

from recorder.spool.atomic_files import name_failure, replace_file, write_file


def write_output(path: Path, content: bytes) -> None:
    """Write a file atomically; into a device or a pipe, directly. Raises ``OSError``, which names it."""
    if _is_replaceable(path):
        write_file(path, content)
        return
    with name_failure(path), open(path, "wb", buffering=0) as file:
        file.write(content)


def check_output(path: Path | None) -> None:
    """Check that a file can be written, before long work; ``None`` is no file. Raises ``OSError``, which
    names it."""
    if path is None:
        return
    with name_failure(path):
        if _is_replaceable(path):
            TemporaryFile(dir=path.absolute().parent).close()
        else:
            path.open("ab").close()


@contextmanager
def open_output(path: Path | None) -> Iterator[TextIO | None]:
    """Write a file in a block that does nothing else; it appears at the block's end. ``None`` is no file.
    Raises ``OSError``, which names it."""
    if path is None:
        yield None
        return
    with (
        name_failure(path),
        replace_file(path) if _is_replaceable(path) else nullcontext(path) as target,
        open(target, "w", encoding="utf-8", newline="") as file,
    ):
        yield file


def _is_replaceable(path: Path) -> bool:
    """Whether another file can take the path's name: not a device's, and not a link's."""
    return not path.is_symlink() and (path.is_file() or not path.exists())
