"""Headers of every answer, and the check that a form was sent from our own page."""

from __future__ import annotations

import base64

import structlog
from flask import Flask, abort, g, request
from werkzeug.wrappers import Response

from web.state import panel_state

log = structlog.get_logger()

UNSAFE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})

PERMISSIONS = ", ".join(
    f"{name}=()"
    for name in (
        "accelerometer",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "screen-wake-lock",
        "usb",
    )
)


def style_nonce() -> str:
    """For the one style that a script adds (the waveform's, in its shadow root); fresh in every answer."""
    if "style_nonce" not in g:
        g.style_nonce = base64.b64encode(panel_state().entropy(16)).decode()
    return str(g.style_nonce)


def content_security_policy(nonce: str | None) -> str:
    """The content policy: our own files, nothing inline but a style with this answer's nonce."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'" + (f" 'nonce-{nonce}'" if nonce else ""),
            "img-src 'self'",
            "media-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def init_app(app: Flask) -> None:
    app.jinja_env.globals["style_nonce"] = style_nonce

    @app.before_request
    def only_from_here() -> None:
        """Browsers say where a request comes from; a form token is asked for besides."""
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        if request.method in UNSAFE_METHODS and site not in ("same-origin", "none"):
            log.warning("web.cross_site", path=request.path, site=site)
            abort(400)

    @app.before_request
    def texts_only() -> None:
        """NUL is in nothing that people type, and PostgreSQL takes none."""
        said = (request.path, *request.args.values(), *request.form.values(), *request.form, *request.args)
        if any("\0" in each for each in said):
            abort(404 if "\0" in request.path else 400)

    @app.after_request
    def protect(response: Response) -> Response:
        headers = response.headers
        headers["Content-Security-Policy"] = content_security_policy(g.get("style_nonce"))
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers["X-Frame-Options"] = "DENY"
        headers["Permissions-Policy"] = PERMISSIONS
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if panel_state().config.secure_cookies:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        headers.setdefault("Cache-Control", "no-store")
        return response
