"""What a command says when a disk or the catalogue fails, instead of a traceback."""

from __future__ import annotations

import errno
import os
from typing import Final

from recorder.errors import AccordError, FileError
from recorder.spool.disk_space import read_only_hint

_DATABASE: Final = frozenset({"OperationalError", "InterfaceError", "DatabaseError", "InternalError"})
"""Errors of a database that is down, full, read-only or damaged; others are bugs."""
_DATABASE_MODULES: Final = frozenset({"peewee", "sqlite3", "psycopg", "psycopg.errors"})

_OWNER: Final = "run it as the user that owns the path (such as `sudo -u accord`), or change owner or mode"
_PATH: Final = "check the path"
_HINTS: Final = {
    errno.EACCES: _OWNER,
    errno.EPERM: _OWNER,
    errno.ENOENT: _PATH,
    errno.ENOTDIR: _PATH,
    errno.EISDIR: _PATH,
    errno.ELOOP: _PATH,
    errno.ENAMETOOLONG: _PATH,
    errno.EEXIST: "choose another path",
    errno.ENOSPC: "make room on that disk, then run the command again",
    errno.EDQUOT: "raise this user's quota on that disk, then run the command again",
    errno.EFBIG: "raise the limit of a file's size (`ulimit -f`), then run the command again",
    errno.EIO: "that disk is failing: see the kernel's log",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
}


def explain(error: Exception) -> AccordError | None:
    """The error for the operator; ``None`` for a bug, and for what click handles itself."""
    if isinstance(error, AccordError):
        return error
    if isinstance(error, OSError) and error.errno is not None and error.errno != errno.EPIPE:
        return _file_error(error)
    if any(_is_of_database(each) for each in type(error).__mro__):
        from recorder.catalogue.database import unavailable

        return unavailable(error)
    return None


def _file_error(error: OSError) -> FileError:
    where = error.filename if error.filename2 is None else error.filename2
    subject = "" if where is None else f"{os.fsdecode(where)}: "
    if error.errno == errno.EROFS:
        hint = read_only_hint(where)
    else:
        hint = _HINTS.get(error.errno or 0, "check that path, its disk and its owner")
    return FileError("file.unusable", f"{subject}{error.strerror or error}", hint)


def _is_of_database(cls: type) -> bool:
    return cls.__name__ in _DATABASE and cls.__module__ in _DATABASE_MODULES
