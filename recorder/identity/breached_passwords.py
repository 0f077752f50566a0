"""A local list of breached passwords, as Have I Been Pwned publishes it: sorted lines, each with a SHA-1 in
hexadecimal, a colon and a count.

The list has tens of gigabytes. A password is found by binary search on the file: nothing of it is kept in
memory, and no other machine is asked.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from recorder.errors import ConfigError

_LINE: Final = re.compile(rb"([0-9A-Fa-f]{40})(:[0-9]+)?\r?")
_LONGEST: Final = 128
"""Bytes that a line has at most."""
_SAMPLES: Final = 1000
"""Lines that :func:`check_list` compares; all of a list with fewer."""
_HINT: Final = (
    "download the list of SHA-1 ordered by hash (haveibeenpwned.com/Passwords), and put the whole file in "
    "place by renaming it"
)


class _Line(NamedTuple):
    """A line: the offsets in bytes of its start and of what follows it, and its hash in capitals."""

    start: int
    end: int
    sha1: bytes


def is_breached(path: Path, password: str) -> bool:
    """Whether the list at ``path`` has a password.  Raises :class:`ConfigError` for a file that is no such
    list: ``breached_passwords.unreadable``, ``….malformed``, ``….unsorted``."""
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
    with _open(path) as (file, size):
        low, high = 0, size  # the line begins from here on, and before there
        least, most = b"", b"G"  # what those before and after have
        while low < high:
            line = _line_at(path, file, (low + high) // 2)
            if not least < line.sha1 < most:
                raise _unsorted(path, line)
            if line.sha1 == digest:
                return True
            if line.sha1 < digest:
                low, least = line.end, line.sha1
            else:
                high, most = line.start, line.sha1
    return False


def check_list(path: Path) -> int:
    """Compare lines all over the list; returns its size in bytes.  Raises as :func:`is_breached`."""
    with _open(path) as (file, size):
        before = _line_at(path, file, 0)
        for number in range(1, _SAMPLES + 1):
            line = _line_at(path, file, (size - 1) * number // _SAMPLES)
            if line.start > before.start and line.sha1 <= before.sha1:
                raise _unsorted(path, line)
            before = line
    return size


@contextmanager
def _open(path: Path) -> Iterator[tuple[int, int]]:
    """The file's descriptor and its size in bytes."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        size = os.fstat(file).st_size
        if not size:
            raise ConfigError("breached_passwords.malformed", f"{path} is empty", _HINT)
        yield file, size
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(file)


def _line_at(path: Path, file: int, offset: int) -> _Line:
    """The line that the byte at ``offset`` belongs to."""
    begin = max(0, offset - _LONGEST)
    block = os.pread(file, offset + _LONGEST - begin, begin)
    start = block.rfind(b"\n", 0, offset - begin) + 1
    end = block.find(b"\n", offset - begin)
    found = _LINE.fullmatch(block[start:] if end < 0 else block[start:end])
    if found is None:
        raise ConfigError(
            "breached_passwords.malformed",
            f"{path} has something other than a SHA-1 and a count in the line at byte {begin + start}",
            _HINT,
        )
    return _Line(begin + start, begin + (len(block) if end < 0 else end + 1), found[1].upper())


def _unreadable(path: Path, error: OSError) -> ConfigError:
    hint = "check the path in [web] breached_passwords, and that the panel's user may read the file"
    return ConfigError("breached_passwords.unreadable", f"{path} cannot be read: {error.strerror}", hint)


def _unsorted(path: Path, line: _Line) -> ConfigError:
    return ConfigError(
        "breached_passwords.unsorted",
        f"{path} is not sorted by hash: the line at byte {line.start} is out of order",
        _HINT,
    )
