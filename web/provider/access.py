"""Keeps the provider's people off every page that is not theirs.

What they may use is listed here. A page that is added for customers is refused to them.
"""

from __future__ import annotations

from typing import Final

from flask import Flask, abort, request

from web.state import visitor

OPEN: Final = (
    "account.", "api.", "brand.", "health.", "language.", "provider.", "recordings.home", "registration.",
    "static", "team.accept", "team.change_address", "team.confirm_address", "team.lost_password",
    "team.reset_password",
)  # fmt: skip
"""The beginnings of the endpoints that they may use: their own account and pages, and what everybody may use.
The API knows no session."""


def init_app(app: Flask) -> None:
    """Refuse requests of the provider's people to any other endpoint."""

    @app.before_request
    def refuse_provider() -> None:
        found = visitor()
        if found is None or not found.is_provider or request.endpoint is None:
            return
        if not request.endpoint.startswith(OPEN):
            abort(403)
