"""Real small disks: a file system of a few megabytes that can really be filled."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

MIB = 1024 * 1024


class SmallDisk:
    """A mounted file system; :meth:`fill` uses every block, :meth:`free` releases them."""

    def __init__(self, folder: Path, kind: str, size: int) -> None:
        self.folder = folder
        self._image = folder.with_suffix(".image")
        folder.mkdir(exist_ok=True)
        self._argv = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=1777", "tmpfs", str(folder)]
        if kind != "tmpfs":
            with open(self._image, "wb") as image:
                image.truncate(size)
            # No blocks reserved for root: tests run as root, for whom the disk would never be full.
            _run("mkfs.ext4", "-q", "-m", "0", str(self._image))
            self._argv = ["mount", "-o", "loop", str(self._image), str(folder)]
        self.mount()

    def mount(self) -> None:
        _run(*self._argv)

    def remount(self, option: str) -> None:
        """Mount it with another option, such as ``ro``."""
        _run("mount", "-o", f"remount,{option}", str(self.folder))

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.folder)], check=True, capture_output=True)

    def fill(self, leave: int = 0) -> None:
        """Use every block except for this many bytes."""
        with open(self.folder / ".filler", "ab", buffering=0) as filler:
            for piece in (256 * 1024, 4096):
                with suppress(OSError):
                    while self.left() - piece >= leave:
                        filler.write(bytes(piece))
            if not leave:
                with suppress(OSError):
                    while True:
                        filler.write(bytes(512))
            os.fsync(filler.fileno())

    def left(self) -> int:
        """The free bytes."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def free(self) -> None:
        """Release what :meth:`fill` used."""
        (self.folder / ".filler").unlink(missing_ok=True)

    def end(self) -> None:
        # Lazily, so that a file left open by a test does not block the next test.
        subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True)
        self._image.unlink(missing_ok=True)


def _run(*argv: str) -> None:
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    process = subprocess.run(argv, capture_output=True, text=True, check=False)
    if process.returncode:
        pytest.skip(f"a disk of our own cannot be mounted here: {process.stderr.strip()}")
