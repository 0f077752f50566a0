"""Password hashing with argon2id, in a thread pool; an unknown log-in takes as long as a known one."""

from __future__ import annotations

from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from gevent import get_hub
from gevent.lock import BoundedSemaphore
from gevent.monkey import is_module_patched

MAX_BYTES = 1024
"""Longest password accepted; longer ones are refused before hashing, which would let strangers set its
cost."""

MAX_CONCURRENT = 2
"""Hashes computed concurrently, 64 MiB each; further log-ins wait."""

_hasher = PasswordHasher()  # argon2-cffi's defaults: RFC 9106, section 4, the low-memory choice
_slots = BoundedSemaphore(MAX_CONCURRENT)


def hash_password(password: str) -> str:
    """Hash a new password into argon2's encoded string.  Raises ``ValueError`` if it is empty or too long."""
    if not password or len(password.encode()) > MAX_BYTES:
        raise ValueError(f"a password has 1 to {MAX_BYTES} bytes")
    return str(_run_in_thread(_hasher.hash, password))


def verify_password(password_hash: str | None, password: str) -> bool:
    """Whether the password matches.  Without a hash (``None``) it takes as long and returns ``False``."""
    if len(password.encode()) > MAX_BYTES:
        password, password_hash = "", None
    return (
        bool(_run_in_thread(_verify, password_hash or _dummy_hash(), password)) and password_hash is not None
    )


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _dummy_hash() -> str:
    """A hash of no user's password, computed once with the parameters of real ones."""
    return _hasher.hash("nobody's password")


def _run_in_thread(work: Any, *arguments: Any) -> Any:
    """Run under gevent in the hub's thread pool: argon2 releases the GIL, but would block the hub."""
    if not is_module_patched("socket"):
        return work(*arguments)
    with _slots:
        return get_hub().threadpool.apply(work, arguments)
