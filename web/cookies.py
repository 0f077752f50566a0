"""Cookies that the panel sets: their names and their lifetime."""

from __future__ import annotations

from web.config import WebConfig

YEAR = 365 * 24 * 3600
"""Seconds that a cookie lasts which a browser keeps."""


def cookie_name(what: str, config: WebConfig) -> str:
    """``__Host-`` makes browsers refuse such a cookie from a sister domain or without HTTPS."""
    return f"__Host-accord-{what}" if config.secure_cookies else f"accord-{what}"
