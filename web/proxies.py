"""Trusted reverse proxies: whose forwarding headers decide where a request comes from.

The nearest proxy must be on loopback or in a configured network (``[web] proxy_networks``).  Forwarding
headers from any other peer are removed unread.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

from web.config import WebConfig

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_FORWARDING_HEADERS = ("HTTP_FORWARDED", "HTTP_X_REAL_IP")
_FORWARDED_PREFIX = "HTTP_X_FORWARDED_"


def network(address: str) -> str:
    """The unit by which connections and requests are counted: the address, for IPv6 its /64, which is what
    one household gets."""
    found = _parse(address)
    if found is None:
        return address
    if found.version == 6:
        return str(ipaddress.ip_network((found, 64), strict=False).network_address)
    return str(found)


class TrustedProxies:
    """The addresses of trusted proxies; empty if no proxy is configured."""

    def __init__(self, config: WebConfig) -> None:
        self._any = config.proxies > 0
        self._networks = [ipaddress.ip_network(each) for each in config.proxy_networks]

    def __contains__(self, address: object) -> bool:
        found = _parse(str(address)) if self._any else None
        return found is not None and (found.is_loopback or any(found in each for each in self._networks))


def trust_proxies(application: WSGIApplication, config: WebConfig) -> WSGIApplication:
    """WSGI middleware that applies the forwarding headers of trusted proxies and removes all others."""
    proxies, many = TrustedProxies(config), config.proxies
    fixed = ProxyFix(application, x_for=many, x_proto=many, x_host=0, x_prefix=0)

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("REMOTE_ADDR", "") in proxies:
            return fixed(environ, start_response)
        for name in [
            each for each in environ if each.startswith(_FORWARDED_PREFIX) or each in _FORWARDING_HEADERS
        ]:
            del environ[name]
        return application(environ, start_response)

    return respond


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
