"""Cookies that the panel sets: their names and their lifetime."""

from __future__ import annotations

from web.config import WebConfig

YEAR = 365 * 24 * 3600
"""Lifetime of persistent cookies, in seconds."""


def cookie_name(what: str, config: WebConfig) -> str:
    """The cookie's full name.  With ``__Host-``, browsers refuse it from a sibling domain or without
    HTTPS."""
    return f"__Host-accord-{what}" if config.secure_cookies else f"accord-{what}"
