"""Addresses of the panel's static files, with a hash of their content, so that browsers can cache them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flask import Flask, request, url_for
from werkzeug.wrappers import Response

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
        app.jinja_env.globals["asset"] = self.address
        app.after_request(self._cache)

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
