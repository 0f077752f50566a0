"""Static files: addresses with a hash of the content, so that browsers can cache them, and compression.

Only these are compressed.  Pages are not: they contain a form's token beside what somebody may have sent, and
the length of a compressed page would tell about it (BREACH)."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from flask import Flask, request, url_for
from werkzeug.wrappers import Response

COMPRESSED = frozenset({".css", ".js", ".svg"})

IMMUTABLE = "public, max-age=31536000, immutable"


class Assets:
    """Adds ``asset(name)`` to the templates.  Responses to requests with the current hash are immutable;
    others are revalidated each time (modules imported by other modules have no hash)."""

    def __init__(self, app: Flask) -> None:
        self._folder = Path(str(app.static_folder))
        self._hashes = {
            path.relative_to(self._folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:12]
            for path in self._folder.rglob("*")
            if path.is_file()
        }
        self._packed = {
            path.relative_to(self._folder).as_posix(): gzip.compress(path.read_bytes(), 9, mtime=0)
            for path in self._folder.rglob("*")
            if path.suffix in COMPRESSED
        }
        app.jinja_env.globals["asset"] = self.address
        app.after_request(self._cache)
        app.after_request(self._compress)

    def address(self, name: str) -> str:
        """The address of a file, relative to the static folder.  Raises ``KeyError`` for an unknown file."""
        return url_for("static", filename=name, v=self._hashes[name])

    def _cache(self, response: Response) -> Response:
        if request.endpoint == "static" and response.status_code in (200, 206, 304):
            name = (request.view_args or {}).get("filename", "")
            known = self._hashes.get(name)
            response.headers["Cache-Control"] = (
                IMMUTABLE if known and request.args.get("v") == known else "no-cache"
            )
        return response

    def _compress(self, response: Response) -> Response:
        packed = self._packed.get((request.view_args or {}).get("filename", ""))
        if request.endpoint != "static" or packed is None:
            return response
        response.vary.add("Accept-Encoding")
        if response.status_code == 200 and request.accept_encodings["gzip"]:
            response.direct_passthrough = False
            etag, _weak = response.get_etag()
            response.set_data(packed)
            response.headers["Content-Encoding"] = "gzip"
            if etag is not None:
                response.set_etag(etag, weak=True)  # the same file, not the same bytes
        return response
