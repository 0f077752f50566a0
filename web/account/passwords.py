"""Passwords: argon2id, off the hub, a few at a time, and as slow for a log-in that does not exist."""

from __future__ import annotations

from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from gevent import get_hub
from gevent.lock import BoundedSemaphore
from gevent.monkey import is_module_patched

LONGEST = 1024
"""Bytes of a password; more is refused unread, for hashing must not be work that a stranger chooses."""

AT_ONCE = 2
"""Hashes at a time.  Each takes 64 MiB; more log-ins at once wait their turn."""

_hasher = PasswordHasher()  # argon2-cffi's defaults: RFC 9106, section 4, the low-memory choice
_turns = BoundedSemaphore(AT_ONCE)


def hash_password(password: str) -> str:
    """argon2's own string for a new password.  Raises ``ValueError`` for one that is empty or too long."""
    if not password or len(password.encode()) > LONGEST:
        raise ValueError(f"a password has 1 to {LONGEST} bytes")
    return str(_off_the_hub(_hasher.hash, password))


def verify_password(password_hash: str | None, password: str) -> bool:
    """Whether it is the password.  Takes as long where there is none (``None``) and answers no."""
    if len(password.encode()) > LONGEST:
        password, password_hash = "", None
    return bool(_off_the_hub(_verify, password_hash or _nobody(), password)) and password_hash is not None


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    """A hash that no password has been chosen for, made once with the parameters of real ones."""
    return _hasher.hash("nobody's password")


def _off_the_hub(work: Any, *arguments: Any) -> Any:
    """argon2 gives up the GIL, but a hub that computes answers nobody: under gevent use its threads."""
    if not is_module_patched("socket"):
        return work(*arguments)
    with _turns:
        return get_hub().threadpool.apply(work, arguments)
