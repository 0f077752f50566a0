"""Sound files that are in memory, for libsndfile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import soundfile


@contextmanager
def open_sound(content: bytes) -> Iterator[soundfile.SoundFile]:
    """Open a sound file's content. Raises ``soundfile.SoundFileError``.

    soundfile reads a ``BytesIO`` by callbacks whose machine code is made at run time, which systemd refuses
    to the hardened worker and panel (MemoryDenyWriteExecute); a file descriptor needs none."""
    with open(os.memfd_create("sound"), "w+b") as file:
        file.write(content)
        file.seek(0)
        with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
            yield sound
