"""What a session list says of a device: browser and system in plain words, and roughly where it is."""

from __future__ import annotations

import ipaddress
from typing import Final

from flask import request
from flask_babel import gettext as _

from recorder.playback.interface import TELEPHONE

BROWSERS: Final = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Vivaldi", "Vivaldi"),
    ("Firefox", "Firefox"), ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)  # fmt: skip
"""Browsers by a part of their user agent, the more specific first: most claim to be others as well."""

SYSTEMS: Final = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("CrOS", "ChromeOS"),
    ("Windows", "Windows"), ("Mac OS X", "macOS"), ("Linux", "Linux"),
)  # fmt: skip


def device() -> str:
    """The request's device as it is stored: two words from this module, or empty, never the user agent."""
    agent = request.user_agent.string
    browser, system = (
        next((name for part, name in known if part in agent), "") for known in (BROWSERS, SYSTEMS)
    )
    return f"{browser}/{system}"


def network() -> str:
    """The network of the request, as it is stored: the first three bytes of an IPv4 address, the first six of
    an IPv6 address."""
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


def describe(stored: str) -> str:
    """A stored device in the reader's language."""
    if stored == TELEPHONE:
        return str(_("By telephone"))
    browser, _slash, system = stored.partition("/")
    if browser and system:
        return str(_("%(browser)s on %(system)s", browser=browser, system=system))
    return browser or system or str(_("Unknown device"))
