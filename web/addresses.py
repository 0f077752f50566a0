"""Addresses that came from a browser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_ASCII = "".join(map(chr, range(128)))


def inside(target: str | None) -> str | None:
    """An address of this panel to go on to, never another site's.  Browsers read ``\\`` as ``/`` and drop
    control characters, so that only a plain path passes."""
    if not target or not target.startswith("/") or target.startswith("//"):
        return None
    return target if target.isprintable() and "\\" not in target else None


def ascii_query(application: WSGIApplication) -> WSGIApplication:
    """Bytes of a query that are no ASCII, percent-encoded as the browser should have sent them (RFC 3986,
    section 2): werkzeug raises for those that are no UTF-8 wherever the query is looked at."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        query = environ.get("QUERY_STRING", "")
        if not query.isascii():
            environ["QUERY_STRING"] = quote_from_bytes(query.encode("latin-1"), safe=_ASCII)
        return application(environ, start_response)

    return answer
