"""For whoever watches over the panel: ``/healthz`` (it is alive) and ``/readyz`` (it reaches its catalogue
and its store), in one word, for a load balancer.

What was found and ``/metrics`` are on a port of their own (:func:`status_source`, ``[metrics] web_port``): who
comes through a reverse proxy that adds no header cannot be told from a neighbour, so the panel's port has
neither for anybody.
"""

from __future__ import annotations

from time import perf_counter

from flask import Blueprint, Flask, Response, g, request
from flask.typing import ResponseReturnValue

from recorder import metrics
from recorder.status_server import Neighbours, Watched, health, readiness
from web.state import KEY, panel_state

PUBLIC_ENDPOINTS = frozenset({"health.healthz", "health.readyz", "static"})
"""Pages that need neither the catalogue nor to know who asks."""

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
    said = {"status": readiness(metrics.WEB, findings)["status"]}
    return said, 200 if all(each.ok for each in findings.values()) else 503


def status_source(app: Flask, neighbours: Neighbours) -> Watched:
    """What is served beside the panel, to neighbours alone."""
    state = app.extensions[KEY]
    return Watched(metrics.WEB, metrics.registry(metrics.WEB), state.readiness, neighbours)


def init_app(app: Flask) -> None:
    """Count requests; before anything else looks at them."""
    metrics.introduce()
    metrics.zero_shared()
    metrics.zero(metrics.REFUSALS, REFUSALS)
    metrics.zero(metrics.LOG_INS, ("ok", "refused", "too_often"))

    @app.before_request
    def begin() -> None:
        g.began = perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        route = request.endpoint or "none"
        method = request.method if request.method in METHODS else "other"
        metrics.REQUESTS.labels(route, method, str(response.status_code)).inc()
        if "began" in g:
            metrics.REQUEST.labels(route).observe(perf_counter() - g.began)
        return response
