"""A log-in between its two steps: the password was right, the second factor is still missing.

It is in the signed cookie that holds the form token, for ten minutes, and ends with a change of the password.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from flask import session

from recorder.catalogue.records import UserRow
from recorder.clock import from_iso, to_iso
from recorder.identity import users
from web.account.sessions import has_valid_credential
from web.state import now

LASTS = timedelta(minutes=10)
"""Time for the second step."""

_KEY = "second_step"


@dataclass(frozen=True, slots=True)
class PartialLogIn:
    """The user whose password was right, the log-in as it was typed, and the address to go to."""

    user: UserRow
    login: str
    target: str


def begin(user: UserRow, login: str, target: str) -> None:
    """Note that the password was right."""
    session[_KEY] = {
        "tenant": user.tenant, "user": user.id, "password": _fingerprint(user), "login": login,
        "target": target, "until": to_iso(now() + LASTS),
    }  # fmt: skip


def load() -> PartialLogIn | None:
    """The log-in that this browser has begun; ``None`` if there is none, or if it is too late."""
    found = session.get(_KEY)
    if not isinstance(found, dict) or from_iso(found["until"]) <= now():
        return None
    user = users.user(found["tenant"], found["user"])
    if user is None or user.revoked_at is not None or _fingerprint(user) != found["password"]:
        return None
    return (
        PartialLogIn(user, found["login"], found["target"])
        if has_valid_credential(user, logs_in=True)
        else None
    )


def _fingerprint(user: UserRow) -> str:
    return hashlib.sha256(user.password_hash.encode()).hexdigest()[:32]
