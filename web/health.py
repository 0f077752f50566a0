"""For whoever watches over the panel: ``/metrics`` for Prometheus, ``/healthz`` (it is alive) and ``/readyz``
(it reaches its catalogue and its store).

Neighbours (loopback, ``[metrics] allow``) are told what is not well and what to do; everybody else hears
one word, and nothing of ``/metrics``.
"""

from __future__ import annotations

from time import perf_counter

from flask import Blueprint, Flask, Response, abort, g, request
from flask.typing import ResponseReturnValue
from prometheus_client import generate_latest

from recorder import metrics, watched
from web.state import here

PLAIN = frozenset({"health.healthz", "health.readyz", "health.metrics_page", "static"})
"""Pages that need neither the catalogue nor to know who asks."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REFUSALS = (
    "not_found", "no_sound", "grant_over", "revoked", "destroyed", "expired", "not_announced",
    "purpose_not_announced", "purpose_not_for_role", "purpose_restricted", "held",
)  # fmt: skip

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    body = watched.health(metrics.WEB, True)
    return body if _neighbour() else {"status": body["status"]}


@blueprint.get("/readyz")
def readyz() -> ResponseReturnValue:
    findings = here().readiness()
    body = watched.readiness(metrics.WEB, findings)
    if not _neighbour():
        body = {"status": body["status"]}
    return body, 200 if all(each.ok for each in findings.values()) else 503


@blueprint.get("/metrics", endpoint="metrics_page")
def metrics_page() -> ResponseReturnValue:
    if not _neighbour():
        abort(404)
    return Response(generate_latest(here().registry), content_type=watched.TEXT)


def _neighbour() -> bool:
    return request.environ in here().neighbours


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
