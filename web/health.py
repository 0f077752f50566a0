"""For whoever watches over the panel: does it answer, and can it reach its catalogue?  Says nothing else."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> tuple[dict[str, str], int]:
    # The catalogue was opened for this request; had that failed, the answer were 503 (errors.py).
    return {"status": "ok"}, 200
