"""Health endpoints for load balancers: ``/healthz`` (the process is alive) and ``/readyz`` (it can do its
work), each with a one-word status.

The detailed findings and ``/metrics`` have a port of their own (:func:`status_source`, ``[metrics]
web_port``): behind a reverse proxy that adds no header, a stranger cannot be distinguished from a neighbour,
so the panel's own port serves neither.
"""

from __future__ import annotations

from time import perf_counter

from flask import Blueprint, Flask, Response, g, request
from flask.typing import ResponseReturnValue

from recorder import metrics
from recorder.status_server import AllowedClients, StatusApp, health, readiness
from web.state import KEY, panel_state

PUBLIC_ENDPOINTS = frozenset({"health.healthz", "health.readyz", "static"})
"""Endpoints that need neither the catalogue nor the visitor's session."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REFUSALS = (
    "not_found", "no_sound", "grant_over", "revoked", "destroyed", "expired", "not_announced",
    "purpose_not_announced", "purpose_not_for_role", "purpose_restricted", "held",
)  # fmt: skip

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    return {"status": health(metrics.WEB, True)["status"]}


@blueprint.get("/readyz")
def readyz() -> ResponseReturnValue:
    findings = panel_state().readiness()
    body = {"status": readiness(metrics.WEB, findings)["status"]}
    return body, 200 if all(each.ok for each in findings.values()) else 503


def status_source(app: Flask, neighbours: AllowedClients) -> StatusApp:
    """What the status server serves about the panel, to neighbours only."""
    state = app.extensions[KEY]
    return StatusApp(metrics.WEB, metrics.registry(metrics.WEB), state.readiness, neighbours)


def init_app(app: Flask) -> None:
    """Count and time all requests.  Must be called before any other hook is registered."""
    metrics.expose_version()
    metrics.expose_shared_zeros()
    metrics.expose_zero(metrics.REFUSALS, REFUSALS)
    metrics.expose_zero(metrics.LOGINS, ("ok", "refused", "too_often"))

    @app.before_request
    def start_timer() -> None:
        g.start = perf_counter()

    @app.after_request
    def count_request(response: Response) -> Response:
        route = request.endpoint or "none"
        method = request.method if request.method in METHODS else "other"
        metrics.REQUESTS.labels(route, method, str(response.status_code)).inc()
        if "start" in g:
            metrics.REQUEST.labels(route).observe(perf_counter() - g.start)
        return response
