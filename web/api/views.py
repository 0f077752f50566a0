"""The API of live calls for customers' programs: list active calls; pause, resume, mark a moment.

JSON.  Requests carry a customer's API token (``accord token create``).  Errors are problem details (RFC 9457)
with a hint.  Cookies are ignored, so no form token is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final, cast

import structlog
from flask import Blueprint, Response, g, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from flask_limiter.errors import RateLimitExceeded
from werkzeug.exceptions import HTTPException

from recorder import metrics
from recorder.call.remote_commands import REFUSALS
from recorder.clock import to_iso
from recorder.domain.call_events import MARK, PAUSE, RESUME
from recorder.domain.live_command import DONE, NO_ANSWER, NO_SWITCH
from recorder.errors import AccordError, SealError
from recorder.features.live import queries, service
from recorder.features.live.queries import CommandRow, LiveRow
from recorder.identity import api_tokens
from recorder.identity.api_tokens import TokenRow
from recorder.identity.secret_tokens import token_hash
from recorder.lifecycle.plans import API, plan_of
from web.account.limits import TooManyFailures, count_wrong_token, limiter, retry_after
from web.gate import gate
from web.live.command import run_command
from web.state import now, panel_state

log = structlog.get_logger()

blueprint = Blueprint("api", __name__, url_prefix="/api")

SCHEME: Final = "bearer "

API_COMMANDS: Final = (PAUSE, RESUME, MARK)
"""Commands open to programs.  Deletion is left to users, because the panel asks them to confirm it."""

FAILURES: Final[Mapping[str, tuple[str, str]]] = {
    "not_announced": ("the announcement has not come to its end", "send it again once `announced` is true"),
    "not_recorded": ("the call is not recorded any more", "there is nothing to pause or to mark"),
    "ended": ("the call is over", "GET /api/v1/calls lists those that go on"),
    "busy": (
        "something is being said in the call just now, or it is on hold",
        "send it again in a few seconds",
    ),
    "not_allowed": ("the call's number does not allow it", "the customer's settings say what it allows"),
    "not_paused": ("it was not paused", "there is nothing to do"),
    NO_ANSWER: (
        "the recorder beside this call did not answer",
        "nothing was done: send it again, or dial the code",
    ),
    NO_SWITCH: ("the recorder cannot reach its switch", "nothing was done: send it again, or dial the code"),
}
"""Outcomes of commands that were not executed: the reason and the hint."""


def _bearer_token() -> str:
    header = request.headers.get("Authorization", "")
    return header[len(SCHEME) :].strip() if header.lower().startswith(SCHEME) else ""


def _token_hash() -> str:
    return token_hash(_bearer_token())


def _find_token() -> TokenRow | None:
    """The request's token if it is valid."""
    if "token" not in g:
        found = api_tokens.token_by_hash(_token_hash()) if _bearer_token() else None
        g.token = found if found is not None and _has_valid_credential(found) else None
    return cast("TokenRow | None", g.token)


def _has_valid_credential(token: TokenRow) -> bool:
    """Whether a token's row matches its signature; the reason for a refusal is logged for the operator."""
    try:
        gate().check_token(token)
    except SealError as error:
        log.error(
            "credential.refused",
            token=token.id,
            error_id=error.error_id,
            error=error.message,
            hint=error.hint,
        )
        return False
    return True


limit_token = limiter.shared_limit("300/minute", scope="api-tokens", key_func=_token_hash)


def token_required(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    """Decorates views that need a valid API token."""

    @wraps(view)
    def guarded(**view_args: Any) -> ResponseReturnValue:
        if _find_token() is None:
            # As with log-ins, only failures count: valid tokens from the same address are not slowed down.
            count_wrong_token()
            answer = problem(
                401, "token.unknown", "no token that is in use was shown",
                "send `Authorization: Bearer <token>`; `accord token create` makes one",
            )  # fmt: skip
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        if API not in plan_of(_current_token().tenant).features:
            return problem(
                403, "plan.feature", "programs are not part of the customer's plan",
                "the provider can change it; codes dialled in the call go on working",
            )  # fmt: skip
        return view(**view_args)

    return guarded


@blueprint.get("/v1/calls")
@limit_token
@token_required
def list_calls() -> ResponseReturnValue:
    """The customer's active calls, latest first."""
    return jsonify(calls=[_call_body(row) for row in queries.live_calls(_current_token().tenant, now())])


@blueprint.post("/v1/calls/<call_id>/<command>")
@limit_token
@token_required
def send_command(call_id: str, command: str) -> ResponseReturnValue:
    """Send a command to a call and wait a few seconds for its outcome."""
    token = _current_token()
    row = None
    if command in API_COMMANDS:
        row = run_command(token.tenant, call_id, command, by="api", who=token.id)
    if row is None:
        return problem(
            404, "call.unknown", "no active call has that id, or there is no such command",
            f"GET /api/v1/calls lists calls; commands are {', '.join(API_COMMANDS)}",
        )  # fmt: skip
    return _command_response(row)


@blueprint.get("/v1/commands/<command_id>")
@limit_token
@token_required
def show_command(command_id: str) -> ResponseReturnValue:
    """The outcome of an earlier command."""
    row = service.find_command(_current_token().tenant, command_id, now(), panel_state().entropy)
    if row is None:
        return problem(404, "command.unknown", "no command has that id", "ids are kept for a day")
    return _command_response(row)


@blueprint.route("/<path:rest>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
@token_required
def reject_unknown_path(rest: str) -> ResponseReturnValue:
    return problem(404, "path.unknown", "there is nothing here", "docs/api.md lists what there is")


@blueprint.errorhandler(TooManyFailures)
def handle_too_many_failures(error: TooManyFailures) -> ResponseReturnValue:
    return _rate_limit_response(error.seconds)


@blueprint.errorhandler(RateLimitExceeded)
def handle_rate_limit(_error: RateLimitExceeded) -> ResponseReturnValue:
    return _rate_limit_response(retry_after())


def _rate_limit_response(seconds: int) -> ResponseReturnValue:
    answer = problem(429, "limit.reached", "too many requests", "wait as long as Retry-After says")
    answer.headers["Retry-After"] = str(seconds)
    return answer


@blueprint.errorhandler(HTTPException)
def handle_http_error(error: HTTPException) -> ResponseReturnValue:
    return problem(error.code or 500, "request.wrong", error.name, "docs/api.md says what is understood")


@blueprint.errorhandler(AccordError)
def handle_accord_error(error: AccordError) -> ResponseReturnValue:
    endpoint = request.endpoint or ""
    panel_state().faults.report("api.failed", error, endpoint, level="error", endpoint=endpoint)
    return problem(503, error.error_id, "that is not possible just now", "nothing is lost; try again")


@blueprint.errorhandler(Exception)
def handle_unexpected(error: Exception) -> ResponseReturnValue:
    metrics.UNHANDLED_ERRORS.inc()
    log.error("api.failed", endpoint=request.endpoint, exc_info=error)
    return problem(500, "failed", "something went wrong here", "it was reported; try again later")


def problem(status: int, error: str, detail: str, hint: str, **more: str) -> Response:
    """A problem details response (RFC 9457); ``type`` is stable and names the error."""
    body = {"type": f"urn:accord:{error}", "title": detail, "status": status, "hint": hint, **more}
    answer = jsonify(body)
    answer.status_code = status
    answer.content_type = "application/problem+json"
    return answer


def _command_response(row: CommandRow) -> ResponseReturnValue:
    body = {"id": row.id, "call": row.call, "action": row.action, "outcome": row.outcome}
    if row.outcome is None:
        return jsonify(body), 202, {"Location": url_for(".show_command", command_id=row.id)}
    if row.outcome == DONE:
        return jsonify(body)
    if row.outcome in FAILURES:
        detail, hint = FAILURES[row.outcome]
        status = 409 if row.outcome in REFUSALS else 503
        return problem(status, f"command.{row.outcome}", f"not done: {detail}", hint, id=row.id)
    return problem(
        504, "command.outcome_unknown", "it is not known whether it was done",
        "GET /api/v1/calls says whether the call is paused", id=row.id,
    )  # fmt: skip


def _call_body(row: LiveRow) -> dict[str, object]:
    until = row.paused_until if row.paused(now()) else None
    return {
        "id": row.id,
        "number": row.number,
        "direction": row.direction,
        "external_party": {"kind": row.external_party.kind, "value": row.external_party.value},
        "since": to_iso(row.started_at),
        "announced": row.announced,
        "paused_until": None if until is None else to_iso(until),
    }


def _current_token() -> TokenRow:
    found = _find_token()
    if found is None:
        raise RuntimeError("a view that needs a token must be behind token_required")
    return found
