"""Any request to the panel: a proper response, never a traceback, another customer's data or a redirect to
another site, and always with the content policy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BytesIO
from urllib.parse import unquote_to_bytes

from werkzeug.test import run_wsgi_app

from tests.fuzz.choices import Choices
from tests.fuzz.panel import SECRETS, panel, restore_panel
from tests.fuzz.panel_requests import JSON, PanelRequest, addresses, panel_request

INSTRUMENT = ("web", "recorder.playback", "werkzeug.http", "werkzeug.sansio")
LONGEST = 300
PROMPTS = (b"/numbers/announcements/", b"/settings/my-call/sample.wav")
"""Where the panel sends what the switch says, in which nobody is recorded."""


def environ(request: PanelRequest) -> dict:
    """A request as gevent's server makes it."""
    path, _, query = request.target.partition(b"?")
    values = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    for name, value in request.headers:
        key = name.decode("latin-1").upper().replace("-", "_")
        values["CONTENT_TYPE" if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value.decode("latin-1")
    return values


def check(data: bytes) -> None:
    fuzzed = panel()
    request = panel_request(fuzzed, Choices(data))
    body, status, headers = run_wsgi_app(fuzzed.app.wsgi_app, environ(request), buffered=True)
    content = b"".join(body)
    close = getattr(body, "close", None)
    if close is not None:
        close()
    code = int(status.split()[0])
    check_answer(request, code, headers, content)
    if code == 202:
        fuzzed.command_id = headers["Location"].rpartition("/")[2]
    if code < 400 and request.method not in ("GET", "HEAD", "OPTIONS"):
        restore_panel(fuzzed)


def check_answer(request: PanelRequest, code: int, headers, content: bytes) -> None:
    """Check a response, including one from the wire."""
    # A readiness check may report that the panel is not ready.
    assert 200 <= code < 500 or (code == 503 and request.target.startswith(b"/readyz")), (
        f"{code} for {request}"
    )
    assert headers.get("Content-Security-Policy", "").startswith("default-src 'none'"), headers
    assert headers.get("X-Content-Type-Options") == "nosniff"
    for bad in (b"Traceback", b"werkzeug.exceptions", b"sqlite3", b"psycopg"):
        assert bad not in content
    request_text = unquote_to_bytes(request.target) + request.body + unquote_to_bytes(request.body)
    for secret in SECRETS:
        if secret.encode() in content:
            assert secret.encode() in request_text, f"told of another customer: {secret}"
    where = headers.get("Location")
    if where is not None:
        assert where.startswith("/") and not where.startswith(("//", "/\\")), where
    for name, value in headers.items():
        assert "\n" not in value and "\r" not in value, (name, value)
        if name.lower() == "set-cookie" and not value.startswith("accord-"):
            raise AssertionError(f"a cookie that is not ours: {value}")
    if headers.get("Content-Type", "").startswith("audio/"):
        assert code in (200, 206)
        granted = b"/listen/" + panel().grant.encode()
        assert request.target.startswith((granted, *PROMPTS)), "sound without its grant"


LOG_IN = bytes([1, 0, 0, 3, 0, 0, 1, 1, 0, 0, 0])
"""Posted to ``/login`` with Claire's cookies, up to the choice of the body."""

NO_FORM = (
    *(LOG_IN + bytes([4, n, 1]) for n in range(len(JSON))),
    LOG_IN + bytes([3, 0, 1, 1, 0, 1, 65, 0, 0, 1]),  # a file of that name in a form in parts
)
"""Requests with the form's token in a header."""


def _each_address() -> Iterator[bytes]:
    """Each address that the panel has: read by a colleague and by the admin, and a form sent by the admin as
    the pages have it, with the fields' first values and with others."""
    for method, who, body in ((3, 3, FORM), (0, 1, []), (0, 3, []), (3, 3, [*FORM, *range(90)])):
        for at, rule in enumerate(addresses(panel())):
            parts = [0, 0] * rule.count(b"<")
            token = [1, 0] if rule.startswith(b"/api/") else []
            yield bytes([18 + at, *parts, 0, 0, method, 0, 0, who, 1, 0, 0, *token, 0, *body])


FORM = [0, 1, 0, 0, 0, 0, 0, 0, 1]
"""A body that is replaced by a filled-in one."""

SEEDS = (
    *_each_address(),
    *NO_FORM,
    *(
        bytes([path, which % 4, 1, which % 3, n % 13, method, 1, 0, 1, 0, n, n * 3 % 256, 5, n % 17])
        for path in range(18)
        for which, (n, method) in enumerate(((3, 0), (77, 3), (150, 4), (201, 5)))
    ),
)
