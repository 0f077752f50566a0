"""Addresses received from browsers: redirect targets and raw query strings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_ASCII = "".join(map(chr, range(128)))


def local_path(target: str | None) -> str | None:
    """The redirect target if it is a path of this panel, else ``None``.  Browsers read ``\\`` as ``/`` and
    drop control characters, so only plain paths pass."""
    if not target or not target.startswith("/") or target.startswith("//"):
        return None
    return target if target.isprintable() and "\\" not in target else None


def encode_query(application: WSGIApplication) -> WSGIApplication:
    """WSGI middleware that percent-encodes non-ASCII bytes of the query, as browsers should (RFC 3986,
    section 2): werkzeug raises on bytes that are not UTF-8 wherever the query is read."""

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        query = environ.get("QUERY_STRING", "")
        if not query.isascii():
            environ["QUERY_STRING"] = quote_from_bytes(query.encode("latin-1"), safe=_ASCII)
        return application(environ, start_response)

    return respond
