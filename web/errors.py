"""What people see when something is not possible: one page for all, in their language, without codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from flask import Flask, Response, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_limiter.errors import RateLimitExceeded
from flask_wtf.csrf import CSRFError
from gevent import GreenletExit
from werkzeug.exceptions import HTTPException

from recorder import metrics
from recorder.errors import (
    AccessError,
    AccordError,
    CatalogueError,
    KeepingError,
    PersonError,
    SealError,
    StoreError,
    TooOften,
)
from web.account.limits import TooManyFailures, retry_after
from web.state import panel_state
from web.text import errors, formats

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """What a page of an error says."""

    title: object
    text: object


PAGES = {
    400: ErrorPage(
        _l("That did not arrive as it should"), _l("Go back, load the page again and try once more.")
    ),
    401: ErrorPage(_l("Logged out"), _l("Log in to go on.")),
    403: ErrorPage(_l("Not possible"), _l("You may not do this.")),
    404: ErrorPage(_l("Nothing here"), _l("There is no such page, or it is not yours.")),
    405: ErrorPage(_l("Nothing here"), _l("There is no such page, or it is not yours.")),
    409: ErrorPage(_l("Not played"), _l("This recording is no longer what was sealed after the call.")),
    410: ErrorPage(_l("No longer here"), _l("This recording can no longer be heard.")),
    413: ErrorPage(_l("Too much at once"), _l("What was sent is larger than this page takes.")),
    416: ErrorPage(_l("Past the end"), _l("The recording has no such part.")),
    429: ErrorPage(_l("A little slower"), _l("That was tried often. Wait a little, then try again.")),
    500: ErrorPage(_l("Something went wrong"), _l("It was reported. Try again in a minute.")),
    503: ErrorPage(_l("Not reachable just now"), _l("Nothing is lost. Try again in a minute.")),
}

STALE_FORM = _l(
    "This page had been open for too long, or cookies are switched off. Load it again and try once more."
)

PRESERVED_HEADERS = ("Allow", "Content-Range", "Retry-After")

MISSING = frozenset({"access.not_found", "access.no_sound", "access.grant_over", "access.handover_none"})
GONE = frozenset({"access.expired", "access.erased", "access.revoked", "access.handover_over"})


class PanelApp(Flask):
    """An application that says so where it is ended before it could answer; a server that ends kills the
    greenlets that are still at work, and what they leave unsaid it would call a mistake of ours (500)."""

    def full_dispatch_request(self) -> Response:
        try:
            return super().full_dispatch_request()
        except GreenletExit:
            log.info("web.ended_early", endpoint=request.endpoint)
            return self.finalize_request(error_page(503), from_error_handler=True)


def http_status(error: AccordError) -> int:
    """How HTTP calls an error of ours."""
    if error.error_id in MISSING:
        return HTTPStatus.NOT_FOUND
    if error.error_id == "access.seal_broken" or isinstance(error, SealError):
        return HTTPStatus.CONFLICT
    if error.error_id in GONE:
        return HTTPStatus.GONE
    if isinstance(error, AccessError | KeepingError | PersonError):
        return HTTPStatus.FORBIDDEN
    if isinstance(error, (StoreError, CatalogueError)):
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.INTERNAL_SERVER_ERROR


def error_page(
    code: int, text: object = None, back: str | None = None, erased: str | None = None
) -> tuple[str, int]:
    """The page of a status, with a sentence of its own; ``erased`` is a recording that has a receipt."""
    said = PAGES.get(code, PAGES[500])
    shown = {"title": said.title, "text": text or said.text, "back": back, "erased": erased}
    return render_template("error.html", code=code, **shown), code


def init_app(app: Flask) -> None:
    @app.errorhandler(TooOften)
    def slower(error: TooOften) -> ResponseReturnValue:
        log.info("web.refused", error_id=error.error_id, error=error.message, endpoint=request.endpoint)
        metrics.REFUSALS.labels("too_often").inc()
        return _wait(error.after)

    @app.errorhandler(AccordError)
    def ours(error: AccordError) -> ResponseReturnValue:
        code = http_status(error)
        write = log.error if code >= HTTPStatus.INTERNAL_SERVER_ERROR else log.info
        write("web.refused", error_id=error.error_id, error=error.message, endpoint=request.endpoint)
        if code == HTTPStatus.NOT_FOUND and error.error_id != "access.grant_over":
            return error_page(code)  # the very page of an address that does not exist
        more = None
        if error.error_id == "access.erased" and panel_state().changes is not None:
            more = (request.view_args or {}).get("recording_id")
        return error_response(code, errors.error(error.error_id), error.error_id, _way_back(), erased=more)

    @app.errorhandler(CSRFError)
    def stale(_error: CSRFError) -> ResponseReturnValue:
        return error_response(400, str(STALE_FORM), "form.stale")

    @app.errorhandler(TooManyFailures)
    def failed_too_often(error: TooManyFailures) -> ResponseReturnValue:
        metrics.LOG_INS.labels("too_often").inc()
        return _wait(error.seconds)

    @app.errorhandler(RateLimitExceeded)
    def too_often(_error: RateLimitExceeded) -> ResponseReturnValue:
        return _wait(retry_after())

    @app.errorhandler(HTTPException)
    def standard(error: HTTPException) -> ResponseReturnValue:
        if error.response is not None:
            return error.response
        code = error.code or 500
        body, code = error_page(code if code in PAGES else (400 if code < 500 else 500))
        keep = [(name, value) for name, value in error.get_headers() if name in PRESERVED_HEADERS]
        return body, code, keep

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> ResponseReturnValue:
        metrics.UNFORESEEN.inc()
        log.error("web.failed", endpoint=request.endpoint, exc_info=error)
        return error_page(500)


def _wait(seconds: int) -> Response:
    """That it goes on after so many seconds."""
    whole = seconds if seconds <= 120 else math.ceil(seconds / 60) * 60
    time = formats.duration(whole * 1000)
    text = _("That was tried often. Wait %(time)s, then try again.", time=time)
    response = make_response(error_response(429, text, "limit.reached"))
    response.headers["Retry-After"] = str(seconds)
    return response


def _way_back() -> str | None:
    """From a refusal to the page where one chooses."""
    recording = (request.view_args or {}).get("recording_id") if request.method == "POST" else None
    return url_for("playback.choose_purpose", recording_id=recording) if recording else None


def error_response(
    code: int, text: object, error_id: str, back: str | None = None, erased: str | None = None
) -> ResponseReturnValue:
    """A page for people, or the same in JSON where a script of ours asks."""
    if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
        said = PAGES.get(code, PAGES[500])
        return {"error": error_id, "message": str(text or said.text)}, code
    return error_page(code, text, back, erased)
