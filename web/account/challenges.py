"""Challenges for passkeys: bound to what they are for and to this browser, short-lived and single-use.

A challenge is ``<time><random><MAC>``, so nothing is stored before it is used; once used, the catalogue
remembers it until it is too old anyway.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta
from typing import Final

from flask import session

from recorder.identity import throttle
from recorder.identity.throttle import RateLimit
from web.state import now, panel_state

LASTS: Final = timedelta(minutes=5)

_STAMP, _RANDOM, _MAC = 8, 16, 32


def make(purpose: str) -> bytes:
    """A new challenge for this browser; ``purpose`` names the ceremony, and the user if there is one."""
    stamp = int(now().timestamp() * 1000).to_bytes(_STAMP, "big")
    content = stamp + panel_state().entropy(_RANDOM)
    return content + _mac(purpose, content)


def use(purpose: str, challenge: bytes) -> bool:
    """Whether this browser was given a challenge for this purpose, not long ago, and has not used it yet."""
    content, mac = challenge[: _STAMP + _RANDOM], challenge[_STAMP + _RANDOM :]
    if not hmac.compare_digest(mac, _mac(purpose, content)):
        return False
    signed_at = datetime.fromtimestamp(int.from_bytes(content[:_STAMP], "big") / 1000, UTC)
    if not signed_at <= now() < signed_at + LASTS:
        return False
    once = RateLimit(1, int(2 * LASTS.total_seconds()))
    key = hmac.digest(panel_state().config.secret_key, b"accord challenge" + content, "sha256").hex()
    return throttle.take([(key, once)], now()) == 0


def _mac(purpose: str, content: bytes) -> bytes:
    # The form token is new for each browser and each session.
    browser = str(session.get("csrf_token", ""))
    text = "\n".join(("accord challenge", purpose, browser, "")).encode() + content
    return hmac.digest(panel_state().config.secret_key, text, "sha256")
