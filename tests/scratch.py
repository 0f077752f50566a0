"""Temporary folders for test processes outside pytest's fixtures.

A process that is killed cannot remove its folder, so the next one that asks for a folder removes those of
processes that no longer exist.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def scratch_folder(purpose: str, parent: Path | None = None) -> Path:
    """Create a folder that is removed when this process ends, in ``parent`` or the system's temporary folder.
    ``purpose`` (letters only) becomes part of its name."""
    parent = parent or Path(tempfile.gettempdir())
    for stale in parent.glob(f"accord-{purpose}-*-*"):
        owner = stale.name.split("-")[2]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            shutil.rmtree(stale, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"accord-{purpose}-{os.getpid()}-", dir=parent))
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child must not remove its parent's folder
        shutil.rmtree(folder, ignore_errors=True)
