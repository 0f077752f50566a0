"""Error pages: one template for all errors, in the user's language, without codes."""

from __future__ import annotations

import math
from http import HTTPStatus

import structlog
from flask import Flask, Response, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_limiter.errors import RateLimitExceeded
from flask_wtf.csrf import CSRFError
from gevent import GreenletExit
from werkzeug.exceptions import HTTPException

from recorder import metrics
from recorder.errors import (
    AccessError,
    AccordError,
    CatalogueError,
    DisputeError,
    RetentionError,
    SealError,
    StoreError,
    SubjectRequestError,
    TooOften,
    VerificationCallError,
)
from recorder.identity import users
from web.account.limits import TooManyFailures, retry_after
from web.state import panel_state, report_unavailable, visitor
from web.text import errors, formats
from web.text.sentences import SENTENCES, sentence

log = structlog.get_logger()


DAMAGED = frozenset({"access.seal_broken", "catalogue.row_damaged"})
"""What is no longer as it was written."""

PRESERVED_HEADERS = ("Allow", "Content-Range", "Retry-After")

MISSING = frozenset(
    {
        "access.not_found",
        "access.no_sound",
        "access.grant_over",
        "access.handover_none",
        "announcement.sound_missing",
        "dispute.not_found",
    }
)
PERMANENT = frozenset(
    {"access.expired", "access.erased", "access.revoked", "access.handover_over", "access.dispute_closed"}
)


class PanelApp(Flask):
    """Answers 503 when a request's greenlet is killed because the server stops; Flask alone would report an
    unhandled error (500)."""

    def full_dispatch_request(self) -> Response:
        try:
            return super().full_dispatch_request()
        except GreenletExit:
            log.info("web.ended_early", endpoint=request.endpoint)
            return self.finalize_request(error_page(503), from_error_handler=True)


def http_status(error: AccordError) -> int:
    """The HTTP status of one of our errors."""
    if error.error_id in MISSING:
        return HTTPStatus.NOT_FOUND
    if error.error_id in DAMAGED or isinstance(error, SealError):
        return HTTPStatus.CONFLICT
    if error.error_id in PERMANENT:
        return HTTPStatus.GONE
    if isinstance(
        error, AccessError | DisputeError | RetentionError | SubjectRequestError | VerificationCallError
    ):
        return HTTPStatus.FORBIDDEN
    if isinstance(error, (StoreError, CatalogueError)):
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.INTERNAL_SERVER_ERROR


def error_page(
    code: int, text: object = None, back: str | None = None, erased: str | None = None
) -> tuple[str, int]:
    """The error page of a status.  ``text`` replaces its sentence, ``back`` is where its button leads, and
    ``erased`` is the id of an erased recording whose receipt it links to."""
    title = sentence("error_title", str(code))
    if code == HTTPStatus.FORBIDDEN and text is None:
        text = _who_can()
    elif code == HTTPStatus.FORBIDDEN:
        title = _("This does not work")  # the text says what stands in the way
    text = text or sentence("error_text", str(code))
    return render_template("error.html", code=code, title=title, text=text, back=back, erased=erased), code


def _who_can() -> str | None:
    """Which admins the visitor can ask; ``None`` if nobody is logged in."""
    person = visitor()
    if person is None:
        return None
    if person.is_provider:
        return str(_("Only the customer’s own team can open this page."))
    admins = [each.name for each in users.active_admins(person.tenant.id)]
    if not admins:
        return str(_("Your company has no admin. Ask your provider."))
    return str(_("An admin of your company can help: %(names)s.", names=", ".join(admins)))


def init_app(app: Flask) -> None:
    @app.after_request
    def note_recovery(response: Response) -> Response:
        if response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            endpoint = request.endpoint or ""
            for event in ("web.refused", "api.failed"):
                panel_state().faults.recover(event, endpoint, endpoint=endpoint)
        return response

    @app.errorhandler(TooOften)
    def handle_too_often(error: TooOften) -> ResponseReturnValue:
        log.info("web.refused", error_id=error.error_id, error=error.message, endpoint=request.endpoint)
        metrics.REFUSALS.labels("too_often").inc()
        return _rate_limit_response(error.after)

    @app.errorhandler(AccordError)
    def handle_accord_error(error: AccordError) -> ResponseReturnValue:
        code = http_status(error)
        if code == HTTPStatus.SERVICE_UNAVAILABLE:
            report_unavailable(error)
        else:
            is_fault = code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.error_id in DAMAGED
            write = log.error if is_fault else log.info
            write("web.refused", error_id=error.error_id, error=error.message, endpoint=request.endpoint)
        if code == HTTPStatus.NOT_FOUND and error.error_id != "access.grant_over":
            return error_page(code)  # identical to the page of an address that does not exist
        erased = None
        if error.error_id == "access.erased" and panel_state().changes is not None:
            erased = (request.view_args or {}).get("recording_id")
        return error_response(
            code, errors.error(error.error_id), error.error_id, _purpose_page(), erased=erased
        )

    @app.errorhandler(CSRFError)
    def handle_stale_form(_error: CSRFError) -> ResponseReturnValue:
        return error_response(400, sentence("error_text", "stale"), "form.stale")

    @app.errorhandler(TooManyFailures)
    def handle_too_many_failures(error: TooManyFailures) -> ResponseReturnValue:
        metrics.LOGINS.labels("too_often").inc()
        return _rate_limit_response(error.seconds)

    @app.errorhandler(RateLimitExceeded)
    def handle_rate_limit(_error: RateLimitExceeded) -> ResponseReturnValue:
        return _rate_limit_response(retry_after())

    @app.errorhandler(HTTPException)
    def handle_http_error(error: HTTPException) -> ResponseReturnValue:
        if error.response is not None:
            return error.response
        code = error.code or 500
        known = str(code) in SENTENCES["error_title"]
        body, code = error_page(code if known else (400 if code < 500 else 500))
        keep = [(name, value) for name, value in error.get_headers() if name in PRESERVED_HEADERS]
        return body, code, keep

    @app.errorhandler(Exception)
    def handle_unexpected(error: Exception) -> ResponseReturnValue:
        metrics.UNHANDLED_ERRORS.inc()
        log.error("web.failed", endpoint=request.endpoint, exc_info=error)
        return error_page(500)


def _rate_limit_response(seconds: int) -> Response:
    """A 429 that tells how many seconds to wait; above two minutes, the page says whole minutes."""
    whole = seconds if seconds <= 120 else math.ceil(seconds / 60) * 60
    time = formats.duration(whole * 1000)
    text = _("Wait %(time)s, then try again.", time=time)
    response = make_response(error_response(429, text, "limit.reached"))
    response.headers["Retry-After"] = str(seconds)
    return response


def _purpose_page() -> str | None:
    """The recording's page of purposes, if a form about a recording was refused."""
    recording = (request.view_args or {}).get("recording_id") if request.method == "POST" else None
    return url_for("playback.show_recording", recording_id=recording) if recording else None


def wants_json() -> bool:
    """Whether a script of the panel asks, and not a person."""
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


def error_response(
    code: int, text: object, error_id: str, back: str | None = None, erased: str | None = None
) -> ResponseReturnValue:
    """The error page, or the same as JSON for the panel's scripts."""
    if wants_json():
        return {"error": error_id, "message": str(text or sentence("error_text", str(code)))}, code
    return error_page(code, text, back, erased)
