"""A folder as a store: for one machine without an object store, and for tests.

An object appears whole or not at all: temporary file, fsync, hard link (which fails if the name is taken, so
a put never replaces), fsync of the folders. A folder has no versions and no locks.

A crash between copy, link and unlink leaves the temporary file, which may be a second name of the whole
object. Its name begins with the key's name, and the next successful put, and every deletion, removes it.

A disk that is not mounted leaves an empty folder in place of the store: nothing is written to it, and nothing
is considered missing or deleted because of it. A marker that :meth:`DirectoryStore.init` writes once tells
them apart.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from recorder.errors import StoreError
from recorder.ids import Entropy
from recorder.spool import disk_space
from recorder.spool.atomic_files import sync_folder, write_file
from recorder.store.contract import MISSING, Abilities, Conflict, NotFound, Unreachable
from recorder.store.object_keys import check_key, check_prefix

MOUNT_FILE: Final = ".accord-store"
"""The file at the top of a store, which shows that its disk is mounted."""

_TEMPORARY = ".incoming"
_PIECE = 1024 * 1024
_MOVE: Final = "Accord never writes an object below another one: find out who writes into the store's folder"


def written_folders(folder: Path) -> list[Path]:
    """A store's folder and those in it that a put may write to, down to each customer's keys."""
    inner = [each for pattern in ("*", "*/*") for each in sorted(folder.glob(pattern)) if each.is_dir()]
    return [folder, *inner]


class DirectoryStore:
    """The contract of ``contract.py`` over a folder. If it needs no ``mount_file``, a missing folder is
    created; otherwise everything raises :class:`Unreachable` (``store.not_mounted``) until that file is
    there."""

    def __init__(self, folder: Path, entropy: Entropy = os.urandom, *, mount_file: bool = False) -> None:
        self._folder = folder
        self._entropy = entropy
        self._needs_mount_file = mount_file

    def init(self) -> None:
        """Create the folder and its mount file. Raises ``OSError``."""
        self._make(self._folder)
        write_file(
            self._folder / MOUNT_FILE, b"Accord keeps recordings here: the disk of this store is mounted.\n"
        )

    def put(self, key: str, path: Path, sha256: str, *, locked_until: datetime | None = None) -> None:
        target = self._path(key)
        with self._write_temporary(key, path, sha256) as temporary:
            try:
                os.link(temporary, target)
            except (FileExistsError, FileNotFoundError):
                # Already stored; or another put of it was faster, and removed our temporary file.
                try:
                    self._compare(key, sha256)
                except FileNotFoundError:
                    raise _busy(key) from None

    def replace(self, key: str, path: Path, sha256: str) -> None:
        target = self._path(key)
        with self._write_temporary(key, path, sha256) as temporary:
            try:
                os.replace(temporary, target)
            except FileNotFoundError:
                raise _busy(key) from None

    @contextmanager
    def _write_temporary(self, key: str, path: Path, sha256: str) -> Iterator[Path]:
        """A temporary file with an object's future content; durable once it has its name."""
        target = self._path(key)
        self._check_mounted()
        temporary_folder = self._folder / _TEMPORARY
        temporary = temporary_folder / f"{_name_of(key)}.{self._entropy(12).hex()}"
        with open(path, "rb") as source, self._errors(key):
            self._make(temporary_folder)
            try:
                self._make(target.parent)
            except FileNotFoundError:
                raise _busy(key) from None
            try:
                if _copy(source, temporary) != sha256:
                    raise StoreError(
                        "store.hash_mismatch",
                        f"{path} does not have the hash that was given for {key}; it was not kept",
                        "check the disk: the file was changed",
                    )
                yield temporary
            finally:
                temporary.unlink(missing_ok=True)
            with suppress(FileNotFoundError):  # already deleted again, with its folder
                sync_folder(target.parent)
            self._clear(key)

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        if start < 0:
            raise ValueError("a range begins at 0 or later")
        with self._errors(key), open(self._path(key), "rb") as file:
            file.seek(start)
            return file.read() if end is None else file.read(max(end - start, 0))

    def size(self, key: str) -> int:
        with self._errors(key), open(self._path(key), "rb") as file:
            return os.fstat(file.fileno()).st_size

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        check_prefix(prefix)
        self._check_mounted()
        folder, _, _ = prefix.rpartition("/")
        with self._errors(prefix):
            yield from self._walk(f"{folder}/" if folder else "", prefix, after)

    def delete(self, key: str) -> None:
        path = self._path(key)
        self._check_mounted()
        with self._errors(key):
            self._clear(key)  # first, so that a concurrent put fails
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return
            sync_folder(path.parent)
            self._prune(path.parent)

    def abilities(self) -> Abilities:
        self._check_mounted()
        return Abilities(put_if_absent=True, checks_sha256=True, versioning=False, object_lock=False)

    def _path(self, key: str) -> Path:
        return self._folder / check_key(key)

    def _walk(self, begin: str, prefix: str, after: str) -> Iterator[str]:
        """Keys below ``begin`` in the order of the whole key: a folder sorts with its slash."""
        try:
            with os.scandir(self._folder / begin) as entries:
                names = sorted(
                    f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
                    for entry in entries
                    if not entry.name.startswith(".")
                )
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            key = begin + name
            if not (key.startswith(prefix) or prefix.startswith(key)):
                continue
            if name.endswith("/"):
                # Skip a folder that sorts before ``after``.
                if key > after or after.startswith(key):
                    yield from self._walk(key, prefix, after)
            elif key.startswith(prefix) and key > after:
                yield key

    def _compare(self, key: str, sha256: str) -> None:
        if self._path(key).is_dir():
            raise StoreError("store.bad_key", f"{key} already has objects below it", _MOVE)
        with open(self._path(key), "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise Conflict(
                "store.conflict",
                f"{key} is already stored with other bytes (SHA-256 {found}, not {sha256})",
                "it was left as it is; find out who wrote it",
            )

    def _clear(self, key: str) -> None:
        """Remove a key's temporary files, whoever left them."""
        temporary_folder = self._folder / _TEMPORARY
        try:
            left = [name for name in os.listdir(temporary_folder) if name.startswith(f"{_name_of(key)}.")]
        except FileNotFoundError:
            return
        for name in left:
            (temporary_folder / name).unlink(missing_ok=True)
        if left:
            sync_folder(temporary_folder)

    def _make(self, folder: Path) -> None:
        """Make a folder and its parents, durably. Another process may make or prune them meanwhile: the
        folder may be gone again on return, or ``FileNotFoundError`` is raised for a parent."""
        if folder.is_dir():
            return
        if folder != self._folder:
            self._make(folder.parent)
        else:
            folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            # Not ``exist_ok``: it raises as well where the folder was pruned again in between.
            if folder.is_file():
                raise
        sync_folder(folder.parent)

    def _prune(self, folder: Path) -> None:
        """Remove the folders that a deletion emptied."""
        while folder != self._folder:
            try:
                folder.rmdir()
            except OSError:
                return  # not empty, or removed already
            folder = folder.parent

    def _check_mounted(self) -> None:
        """Raise unless this is the store: with its mount file, or with objects in it."""
        if not self._needs_mount_file:
            return
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise self._away(error) from error
        if MOUNT_FILE in names or any(name[0] != "." and name != "lost+found" for name in names):
            return
        raise Unreachable(
            "store.not_mounted",
            f"{self._folder} is not the store that was there",
            "mount its disk; for a new store here, run `accord store init`",
        )

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, IsADirectoryError):
            self._check_mounted()
            raise NotFound(
                "store.not_found", f"there is no object {key} in {self._folder}", MISSING
            ) from None
        except (NotADirectoryError, FileExistsError):
            raise StoreError("store.bad_key", f"a part of {key} is already an object", _MOVE) from None
        except OSError as error:
            raise self._away(error) from error

    def _away(self, error: OSError) -> Unreachable:
        return Unreachable(
            "store.unreachable",
            f"{self._folder}: {error.strerror}",
            f"nothing is lost, the spool keeps it: {self._hint_for(error)}",
        )

    def _hint_for(self, error: OSError) -> str:
        """What an operator should do about an error of the store's disk."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return "make room on the store's disk"
        if error.errno == errno.EROFS:
            return disk_space.read_only_hint(self._folder)
        if error.errno in (errno.EACCES, errno.EPERM):
            return f"give all of the store to the user that Accord runs as: `chown -R accord {self._folder}`"
        return "check that the store's disk is mounted and healthy; see the kernel's log"


def _busy(key: str) -> Unreachable:
    """Another process deletes the object, or its last sibling, and with it the folder."""
    return Unreachable("store.busy", f"{key} is being removed", "nothing needs to be done: it is retried")


def _name_of(key: str) -> str:
    """What a key's temporary files begin with: of fixed length, however long the key is."""
    return hashlib.sha256(key.encode()).hexdigest()


def _copy(source: BinaryIO, target: Path) -> str:
    total = hashlib.sha256()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as out:
        while piece := source.read(_PIECE):
            total.update(piece)
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    return total.hexdigest()
