"""Live calls for a customer's own programs: which go on, pause, go on, note the moment.

JSON; who asks shows a token of one customer's (``accord token create``).  Errors are RFC 9457's problem
details, with a hint.  Cookies count for nothing here, so there is no form token either.
"""

from __future__ import annotations

import hashlib
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
from recorder.domain.call_events import NOTE, PAUSE, RESUME
from recorder.domain.live_command import DONE, NO_ANSWER, NO_SWITCH
from recorder.errors import AccordError, SealError
from recorder.features.live import queries
from recorder.features.live.queries import AskedRow, LiveRow
from recorder.identity import api_tokens
from recorder.identity.api_tokens import TokenRow
from web.account.limits import TooManyFailures, limiter, note_wrong_token, wait
from web.gate import gate
from web.live.command import ask
from web.state import here, now

log = structlog.get_logger()

blueprint = Blueprint("api", __name__, url_prefix="/api")

SCHEME: Final = "bearer "

OFFERED: Final = (PAUSE, RESUME, NOTE)
"""What programs may ask; to destroy is a person's, who is asked back."""

WHY: Final[Mapping[str, tuple[str, str]]] = {
    "not_announced": ("the announcement has not come to its end", "ask again once `announced` is true"),
    "not_recorded": ("the call is not recorded any more", "there is nothing to pause or to note"),
    "ended": ("the call is over", "GET /api/v1/calls lists those that go on"),
    "busy": ("something is being said in the call just now, or it is on hold", "ask again in a few seconds"),
    "not_allowed": ("the call's number does not allow it", "the customer's settings say what it allows"),
    "not_paused": ("it was not paused", "nothing is to be done"),
    NO_ANSWER: (
        "the recorder beside this call did not answer",
        "nothing was done: ask again, or dial the code",
    ),
    NO_SWITCH: ("the recorder cannot reach its switch", "nothing was done: ask again, or dial the code"),
}
"""Why something was not done, and what to do."""


def _token() -> str:
    shown = request.headers.get("Authorization", "")
    return shown[len(SCHEME) :].strip() if shown.lower().startswith(SCHEME) else ""


def _hash() -> str:
    return hashlib.sha256(_token().encode()).hexdigest()


def _shown() -> TokenRow | None:
    """The token that is in use, where one was shown."""
    if "token" not in g:
        found = api_tokens.by_hash(_hash()) if _token() else None
        g.token = found if found is not None and _admitted(found) else None
    return cast("TokenRow | None", g.token)


def _admitted(token: TokenRow) -> bool:
    """Whether a token's row is as it was signed; where it is not, the operator reads why in the log."""
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


limit_token = limiter.shared_limit("300/minute", scope="api-tokens", key_func=_hash)


def with_token(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    """A view for whoever shows a token that is in use."""

    @wraps(view)
    def guarded(**named: Any) -> ResponseReturnValue:
        if _shown() is None:
            # As log-ins: who shows tokens that are none is slowed down, and nobody else at the same address.
            note_wrong_token()
            answer = problem(
                401, "token.unknown", "no token that is in use was shown",
                "send `Authorization: Bearer <token>`; `accord token create` makes one",
            )  # fmt: skip
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        return view(**named)

    return guarded


@blueprint.get("/v1/calls")
@limit_token
@with_token
def calls() -> ResponseReturnValue:
    """The customer's calls that go on now, the latest first."""
    return jsonify(calls=[_call(row) for row in queries.calls(_mine().tenant, now())])


@blueprint.post("/v1/calls/<call_id>/<what>")
@limit_token
@with_token
def do(call_id: str, what: str) -> ResponseReturnValue:
    """Ask, and wait a few seconds for what comes of it."""
    mine = _mine()
    row = ask(mine.tenant, call_id, what, by="api", who=mine.id) if what in OFFERED else None
    if row is None:
        return problem(
            404, "call.unknown", "no such call goes on, or that cannot be asked of it",
            f"GET /api/v1/calls lists calls; {', '.join(OFFERED)} can be asked",
        )  # fmt: skip
    return _told(row)


@blueprint.get("/v1/asked/<asked_id>")
@limit_token
@with_token
def asked(asked_id: str) -> ResponseReturnValue:
    """What came of something that was asked."""
    row = queries.asked(_mine().tenant, asked_id, now(), here().entropy)
    if row is None:
        return problem(404, "asked.unknown", "nothing of that id was asked", "ids are kept for a day")
    return _told(row)


@blueprint.route("/<path:rest>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
@with_token
def nothing(rest: str) -> ResponseReturnValue:
    return problem(404, "path.unknown", "there is nothing here", "docs/integrate.md lists what there is")


@blueprint.errorhandler(TooManyFailures)
def failed_too_often(error: TooManyFailures) -> ResponseReturnValue:
    return _slower(error.seconds)


@blueprint.errorhandler(RateLimitExceeded)
def too_often(_error: RateLimitExceeded) -> ResponseReturnValue:
    return _slower(wait())


def _slower(seconds: int) -> ResponseReturnValue:
    answer = problem(429, "limit.reached", "that was asked too often", "wait as long as Retry-After says")
    answer.headers["Retry-After"] = str(seconds)
    return answer


@blueprint.errorhandler(HTTPException)
def standard(error: HTTPException) -> ResponseReturnValue:
    return problem(
        error.code or 500, "request.wrong", error.name, "docs/integrate.md says what is understood"
    )


@blueprint.errorhandler(AccordError)
def ours(error: AccordError) -> ResponseReturnValue:
    log.error("api.failed", error_id=error.error_id, error=error.message)
    return problem(503, error.error_id, "that is not possible just now", "nothing is lost; ask again")


@blueprint.errorhandler(Exception)
def unexpected(error: Exception) -> ResponseReturnValue:
    metrics.UNFORESEEN.inc()
    log.error("api.failed", endpoint=request.endpoint, exc_info=error)
    return problem(500, "failed", "something went wrong here", "it was reported; ask again later")


def problem(status: int, error: str, detail: str, hint: str, **more: str) -> Response:
    """RFC 9457; ``type`` is stable and names the error."""
    body = {"type": f"urn:accord:{error}", "title": detail, "status": status, "hint": hint, **more}
    answer = jsonify(body)
    answer.status_code = status
    answer.content_type = "application/problem+json"
    return answer


def _told(row: AskedRow) -> ResponseReturnValue:
    body = {"id": row.id, "call": row.call, "action": row.action, "outcome": row.outcome}
    if row.outcome is None:
        return jsonify(body), 202, {"Location": url_for(".asked", asked_id=row.id)}
    if row.outcome == DONE:
        return jsonify(body)
    if row.outcome in WHY:
        detail, hint = WHY[row.outcome]
        status = 409 if row.outcome in REFUSALS else 503
        return problem(status, f"control.{row.outcome}", f"not done: {detail}", hint, id=row.id)
    return problem(
        504, "control.unknown", "it is not known whether it was done",
        "GET /api/v1/calls says whether the call is paused", id=row.id,
    )  # fmt: skip


def _call(row: LiveRow) -> dict[str, object]:
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


def _mine() -> TokenRow:
    found = _shown()
    if found is None:
        raise RuntimeError("a view that needs a token must be behind with_token")
    return found
