"""Addresses of the panel's own files, with their hash, so that a browser may keep them for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flask import Flask, request, url_for
from werkzeug.wrappers import Response

FOR_EVER = "public, max-age=31536000, immutable"


class Assets:
    """Adds ``asset(name)`` to the templates.  A request with the right hash is cached for ever, any other
    is asked about again (a module that another imports has no hash)."""

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
        """Raises ``KeyError`` for a file that is not there."""
        return url_for("static", filename=name, v=self._hashes[name])

    def _cache(self, response: Response) -> Response:
        if request.endpoint == "static" and response.status_code in (200, 206, 304):
            name = (request.view_args or {}).get("filename", "")
            known = self._hashes.get(name)
            response.headers["Cache-Control"] = (
                FOR_EVER if known and request.args.get("v") == known else "no-cache"
            )
        return response
