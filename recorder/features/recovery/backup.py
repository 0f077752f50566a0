"""A backup's file: what the bucket does not hold, in one file that only this installation's keys open.

::

    {"type": "accord-backup", "version": 1, ...}\\n        RFC 8785, one line; bound to what follows
    an encrypted object (docs/reference/formats.md), in it gzip, in it lines of JSON:
        {"columns": [...], "table": "tenant"}
        [...]                                             a row
        {"end": "tenant", "rows": 2, "sha256": ...}       of the lines of its rows
        {"end": "backup", "tables": 13}

It never contains keys: a file with both would be all that a thief needs. Keys rarely change, and are copied
once, by hand, to another place. The file is encrypted under a key derived from the key-encryption key:
whoever finds it reads no name and no number, and whoever has lost that key has lost the recordings anyway.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NoReturn

from recorder import __version__
from recorder.errors import BackupError, SealError
from recorder.features.recovery import dump
from recorder.ids import Entropy
from recorder.seal import canonical_json, streaming_aead
from recorder.seal.keyring import BRING_BACK, Keyring
from recorder.spool.atomic_files import sync_folder
from recorder.strict_json import Form, Strict, Time

_HEADER_BYTES = 64 * 1024
_PIECE = 256 * 1024

Tell = Callable[[str, int], None]
"""Called with each table that is done, and its number of rows."""


@dataclass(frozen=True, slots=True)
class HeaderBody(Strict):
    """The first line of a backup's file. ``schema`` names the catalogue's migrations, ``kek`` is the id of
    the key-encryption key."""

    made_at: Time
    software: str
    schema: tuple[str, ...]
    kek: str


@dataclass(frozen=True, slots=True)
class Header(HeaderBody):
    """The same with the ``line`` itself."""

    line: bytes

    @property
    def associated(self) -> bytes:
        return f"accord/1/backup/{hashlib.sha256(self.line).hexdigest()}".encode()


_HEADER: Final = Form[HeaderBody](HeaderBody)
_CONSTANTS: Final[Mapping[str, str | int]] = {"type": "accord-backup", "version": 1}


def write(path: Path, keyring: Keyring, now: datetime, entropy: Entropy, tell: Tell) -> Header:
    """Write a backup to a new file, after a leaf in every customer's log, and read it back.

    Raises :class:`BackupError` (``backup.exists``, ``backup.schema``), ``CatalogueError``, ``OSError``."""
    if path.exists():
        raise _exists(path)
    schema = dump.schema_names()
    key, kek = keyring.backup_key()
    body = HeaderBody(now, f"accord {__version__}", schema, kek)
    line = canonical_json.dump({**_CONSTANTS, **_HEADER.write(body)}) + b"\n"
    header = Header(body.made_at, body.software, schema, kek, line)
    dump.note_backup(now, kek, entropy)
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as out, dump.snapshot():
            out.write(header.line)
            plain = _Pulled(_compressed(_lines(now, tell)))
            streaming_aead.encrypt_stream(
                io.BufferedReader(plain, _PIECE), out, key.key, header.associated, entropy
            )
            out.flush()
            os.fsync(out.fileno())
        check(temporary, keyring)
        os.link(temporary, path)
    except FileExistsError:
        raise _exists(path) from None
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.absolute().parent)
    return header


def _exists(path: Path) -> BackupError:
    return BackupError("backup.exists", f"{path} already exists", "choose another file name")


def check(path: Path, keyring: Keyring) -> dict[str, int]:
    """Read a backup's file to its end; returns the number of rows by table. Raises :class:`BackupError`."""
    counted: dict[str, int] = {}
    for table, _names, rows in read_tables(path, keyring):
        counted[table] = sum(1 for _ in rows)
    return counted


def restore(path: Path, keyring: Keyring, now: datetime, entropy: Entropy, tell: Tell) -> Header:
    """Restore a backup into an empty catalogue of the same schema, all rows or none.

    Raises :class:`BackupError`: ``backup.not_one``, ``backup.version``, ``backup.schema``, ``backup.kek``,
    ``backup.damaged``, ``backup.not_empty``; ``CatalogueError``."""
    header = read_header(path)
    schema = dump.schema_names()
    if header.schema != schema:
        other = sorted({*header.schema} ^ {*schema})
        raise BackupError(
            "backup.schema",
            f"{path} is of a catalogue with another schema (differing in {', '.join(other)}), "
            f"written by {header.software}",
            "restore it with that version, upgrade, and run `accord migrate`",
        )
    with dump.restoration(header.made_at, now, entropy):
        for table, names, rows in read_tables(path, keyring):
            model = dump.BY_NAME.get(table)
            if model is None or names != dump.columns(model):
                raise BackupError(
                    "backup.schema",
                    f"{path} has a table {table} that is not this version's",
                    "restore it with the version that wrote it, then upgrade",
                )
            tell(table, dump.insert(model, names, rows))
    return header


def read_header(path: Path) -> Header:
    """The first line. Raises :class:`BackupError` (``backup.unreadable``, ``backup.not_one``,
    ``backup.version``)."""
    try:
        with open(path, "rb") as file:
            line = file.readline(_HEADER_BYTES)
    except OSError as error:
        raise BackupError(
            "backup.unreadable", f"{path} cannot be read: {error.strerror}", "check its path and owner"
        ) from error
    try:
        body = canonical_json.load(line.removesuffix(b"\n"), "backup")
        header = canonical_json.read(
            _HEADER, canonical_json.take_constants(body, "backup", _CONSTANTS), "backup"
        )
    except SealError as error:
        code = "backup.version" if error.error_id == "seal.version" else "backup.not_one"
        raise BackupError(
            code,
            f"{path} is not a backup that this version can read: {error.message}",
            "name a file that `accord backup` wrote, and restore it with the version that wrote it",
        ) from error
    return Header(header.made_at, header.software, header.schema, header.kek, line)


def read_tables(path: Path, keyring: Keyring) -> Iterator[tuple[str, list[str], Iterator[list[Any]]]]:
    """Name, columns and rows of each table, in order; read the rows of one table before the next.

    Raises :class:`BackupError` (``backup.kek``, ``backup.damaged``) if the file is not what was written, at
    its end at the latest: until then, nothing of it may be used."""

    def damaged(what: str) -> NoReturn:
        raise BackupError("backup.damaged", f"{path} is damaged: {what}", "use another copy of it")

    header = read_header(path)
    try:
        key, _ = keyring.backup_key(header.kek)
    except SealError as error:
        raise BackupError(
            "backup.kek",
            f"{path}: {error.message}",
            f"give the key-encryption key that was in use then: {BRING_BACK}",
        ) from error
    lines = _documents(path, key.key, header, damaged)
    tables = 0
    while True:
        begin = next(lines, None)
        if isinstance(begin, dict) and begin == {"end": "backup", "tables": tables}:
            break
        if not isinstance(begin, dict) or set(begin) != {"columns", "table"}:
            damaged("a table should begin")
        ended = False

        def rows(table: str = begin["table"]) -> Iterator[list[Any]]:
            nonlocal ended
            total = hashlib.sha256()
            for count, line in enumerate(lines):
                if isinstance(line, dict):
                    if line != {"end": table, "rows": count, "sha256": total.hexdigest()}:
                        damaged(f"the rows of {table} have changed")
                    ended = True
                    return
                total.update(_line(line))
                yield line
            damaged(f"{table} does not end")

        yield begin["table"], begin["columns"], rows()
        if not ended:
            raise RuntimeError("the rows of one table are to be read before the next")
        tables += 1
    if next(lines, None) is not None:
        damaged("it continues after its end")


def _lines(now: datetime, tell: Tell) -> Iterator[bytes]:
    for model in dump.TABLES:
        table = model._meta.table_name
        yield _line({"columns": dump.columns(model), "table": table})
        total, count = hashlib.sha256(), 0
        for row in dump.rows(model, now):
            line = _line(row)
            total.update(line)
            count += 1
            yield line
        yield _line({"end": table, "rows": count, "sha256": total.hexdigest()})
        tell(table, count)
    yield _line({"end": "backup", "tables": len(dump.TABLES)})


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _compressed(lines: Iterator[bytes]) -> Iterator[bytes]:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as compressor:
        for line in lines:
            compressor.write(line)
            if out.tell() >= _PIECE:
                yield out.getvalue()
                out.seek(0)
                out.truncate()
    yield out.getvalue()


class _Pulled(io.RawIOBase):
    """A readable file over pieces that are produced on demand."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = piece
        available = self._left[: len(buffer)]
        buffer[: len(available)] = available
        self._left = self._left[len(available) :]
        return len(available)


def _documents(
    path: Path, key: bytes, header: Header, damaged: Callable[[str], NoReturn]
) -> Iterator[dict[str, Any] | list[Any]]:
    """The lines of a backup, decrypted and decompressed piece by piece."""
    begin = len(header.line)
    with open(path, "rb") as file:

        def read(start: int, end: int) -> bytes:
            file.seek(begin + start)
            return file.read(end - start)

        try:
            length = os.fstat(file.fileno()).st_size - begin
            stored = streaming_aead.Reader(key, header.associated, read, length)
            decompressor, left = zlib.decompressobj(wbits=31), b""
            for piece in stored.read():
                *whole, left = (left + decompressor.decompress(piece)).split(b"\n")
                yield from (json.loads(line) for line in whole)
            if left or not decompressor.eof or decompressor.unused_data:
                damaged("it is truncated")
        except (SealError, zlib.error, ValueError, RecursionError) as error:
            damaged(str(error))
