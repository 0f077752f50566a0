"""Security headers of every response, and checks of every request."""

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
    """The nonce for the one style that a script adds (the waveform's, in its shadow root); new in each
    response."""
    if "style_nonce" not in g:
        g.style_nonce = base64.b64encode(panel_state().entropy(16)).decode()
    return str(g.style_nonce)


def content_security_policy(nonce: str | None) -> str:
    """The Content-Security-Policy: only our own files, nothing inline except a style with this response's
    nonce."""
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
    def reject_cross_site() -> None:
        """Refuse forms sent from other sites by Sec-Fetch-Site, in addition to the form token."""
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        if request.method in UNSAFE_METHODS and site not in ("same-origin", "none"):
            log.warning("web.cross_site", endpoint=request.endpoint, site=site)  # a path may have a token
            abort(400)

    @app.before_request
    def reject_nul() -> None:
        """Refuse NUL characters: nobody types them, and PostgreSQL does not store them."""
        texts = (request.path, *request.args.values(), *request.form.values(), *request.form, *request.args)
        if any("\0" in each for each in texts):
            abort(404 if "\0" in request.path else 400)

    @app.after_request
    def add_headers(response: Response) -> Response:
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
