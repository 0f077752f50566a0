"""Tells whether a path that the switch names is in the spool."""

from __future__ import annotations

import os
from pathlib import Path


class SpoolPaths:
    """The paths by which a switch may name the files of ``spool``: as it is configured, and without symlinks.

    The spool is looked up once. What the switch names is anybody's text: it is compared as such, without its
    ``..``, and never looked up."""

    def __init__(self, spool: Path) -> None:
        self._roots = {_normalise(str(spool)), Path(os.path.realpath(spool))}

    def contain(self, path: str) -> bool:
        """Return whether the file is in the spool."""
        file = _normalise(path)
        return any(file.is_relative_to(root) for root in self._roots)


def _normalise(path: str) -> Path:
    # Two slashes at the beginning are the only ones that normpath would keep.
    return Path(os.path.normpath(f"//{path}" if path.startswith("/") else path))
