"""Converts an imported recording to a take's audio, a two-channel WAV.

The source is WAV, FLAC, Ogg, MP3, AAC or MP4, decoded in another process (``audio/decoder.py``). Of two
channels the left one is the external party's; a mono source fills both, and the take records that.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from recorder.audio import decoder_process
from recorder.audio.decoder_process import LARGEST, Decoded, NotSound
from recorder.errors import TakeError
from recorder.spool.atomic_files import replace_file

PATIENCE_S = 900
"""Seconds for one file: twelve hours of audio take a minute or two."""


@contextmanager
def open_plain(path: Path) -> Iterator[FileIO]:
    """Open a regular file at ``path`` (resolved): no link, device or pipe, nor anything behind a folder that
    has become a link. Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        if os.readlink(f"/proc/self/fd/{descriptor}") != str(path):
            raise OSError(errno.ELOOP, "it is reached through a link")
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def sha256_of(file: FileIO) -> str:
    """Hex SHA-256 of an open file.  Raises ``OSError``."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def decode(source: FileIO, name: str, target: Path) -> Decoded:
    """Write a file's audio to ``target``, whole or not at all, using at most half of the disk's free space,
    because new recordings need some too. Raises :class:`TakeError` (``take.not_sound``), ``OSError`` (a full
    disk)."""
    room = min(LARGEST, shutil.disk_usage(target.parent).free // 2)
    with replace_file(target) as path, open(path, "wb") as file:
        try:
            return decoder_process.decode(source, file, room, patience_s=PATIENCE_S)
        except NotSound as error:
            hint = "convert it to WAV of one or two channels, and run the command again"
            raise TakeError("take.not_sound", f"{name}: {error}", hint) from error
