"""Checks new passwords, and hashes passwords with argon2id, in a thread pool; an unknown log-in takes as long
as a known one."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from gevent.lock import BoundedSemaphore

from recorder.errors import CatalogueError, ConfigError
from recorder.identity import passwords
from recorder.identity.breached_passwords import is_breached
from recorder.native_thread import run_in_thread
from web.state import panel_state

log = structlog.get_logger()

MAX_BYTES = 1024
"""Longest password accepted; longer ones are refused before hashing, which would let strangers set its
cost."""

MAX_CONCURRENT = 2
"""Hashes computed concurrently, 64 MiB each; further log-ins wait."""

_hasher = PasswordHasher()  # argon2-cffi's defaults: RFC 9106, section 4, the low-memory choice
_slots = BoundedSemaphore(MAX_CONCURRENT)


def check_new_password(password: str, *names: str) -> None:
    """Check a password that somebody chooses, whose ``names`` others know.  Raises :class:`CatalogueError`:
    ``user.password_long``, as :func:`recorder.identity.passwords.check`, ``user.password_breached``, and
    ``user.password_unchecked`` if the operator's list of breached ones cannot be used."""
    if len(password.encode()) > MAX_BYTES:
        raise CatalogueError("user.password_long", "the password is too long", f"at most {MAX_BYTES} bytes")
    passwords.check(password, names)
    path = panel_state().config.breached_passwords
    breached = False if path is None else _run_in_thread(_find_breached, path, password)
    if isinstance(breached, ConfigError):
        log.error(breached.error_id, error=breached.message, hint=breached.hint)
        raise CatalogueError(
            "user.password_unchecked",
            "the list of breached passwords cannot be used",
            "`accord doctor` says why it cannot be read",
        )
    if breached:
        raise CatalogueError(
            "user.password_breached",
            "the password was published after a break-in elsewhere",
            "choose several unrelated words",
        )


def hash_new_password(password: str, *names: str) -> str:
    """Check a password that somebody chooses (:func:`check_new_password`), and hash it."""
    check_new_password(password, *names)
    return hash_password(password)


def _find_breached(path: Path, password: str) -> bool | ConfigError:
    """Whether the list has the password.  Returns the error instead of raising it: gevent prints what is
    raised in a thread."""
    try:
        return is_breached(path, password)
    except ConfigError as error:
        return error


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
    """Run in a thread: argon2 releases the GIL, but would block the hub."""
    with _slots:
        return run_in_thread(work, *arguments)
