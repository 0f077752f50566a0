"""Sources of a recording's files for verification: a store, or a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from recorder.errors import StoreError


class DocumentSource(Protocol):
    """A source of files: a store, or :class:`Files`."""

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes: ...

    def size(self, key: str) -> int: ...

    def list(self, prefix: str) -> Iterator[str]: ...


def read_document(source: DocumentSource, key: str, largest: int) -> bytes:
    """Read a document of at most ``largest`` bytes. Of a larger object, which is none of Accord's, return one
    byte too many: its reader refuses it, and it does not fill the memory."""
    return source.read(key, 0, largest + 1)


class DocumentSink(DocumentSource, Protocol):
    """A source that signed documents are also put to: a store."""

    def put(self, key: str, path: Path, sha256: str) -> None: ...


class Files:
    """A recording's files in a local folder, as a :class:`DocumentSource`. The wrapped keys are found as
    ``tenant.json`` and ``<recording>.json`` beside the manifest, or below ``keys/``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        with open(self._find(key), "rb") as file:
            file.seek(start)
            return file.read() if end is None else file.read(max(end - start, 0))

    def size(self, key: str) -> int:
        return self._find(key).stat().st_size

    def list(self, prefix: str) -> Iterator[str]:
        root = self._folder
        names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        return (name for name in names if name.startswith(prefix))

    def _find(self, key: str) -> Path:
        for path in (self._folder / key, self._folder / Path(key).name):
            if path.is_file():
                return path
        raise StoreError(
            "store.not_found",
            f"there is no {key} in {self._folder}",
            "name the whole folder of the recording, with all its files",
        )
