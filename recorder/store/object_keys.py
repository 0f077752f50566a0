"""The syntax of object keys: the same for every store, so that stores are interchangeable."""

from __future__ import annotations

import re
from typing import Final

from recorder.errors import StoreError

_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_KEY = re.compile(rf"{_PART}(?:/{_PART})*")
_PREFIX = re.compile(rf"(?:{_PART}/)*(?:{_PART})?")
_LONGEST = 900
_NAMES: Final = "a key has parts of letters, digits, dots, dashes and underscores, separated by slashes"


def check_key(key: str) -> str:
    """The key, if it is ``/``-separated parts of ASCII letters, digits, ``.``, ``_`` and ``-`` that do not
    begin with a dot. Raises :class:`StoreError`."""
    if len(key) > _LONGEST or not _KEY.fullmatch(key):
        raise StoreError("store.bad_key", f"{key!r} is not a valid object key", _NAMES)
    return key


def check_prefix(prefix: str) -> str:
    """The beginning of a key, which may end inside a part or with a slash, or be empty. Raises
    :class:`StoreError`."""
    if len(prefix) > _LONGEST or not _PREFIX.fullmatch(prefix):
        raise StoreError("store.bad_key", f"{prefix!r} is not a valid prefix of object keys", _NAMES)
    return prefix
