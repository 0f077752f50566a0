"""Keeps the provider's people off every page that is not theirs.

What they may use is listed here. A page that is added for customers is refused to them.
"""

from __future__ import annotations

from typing import Final

from flask import Flask, abort, request

from web.state import visitor

OPEN: Final = (
    "account.", "api.", "brand.", "health.", "language.", "playback.close_listen", "playback.renew_grant",
    "playback.report_listening", "playback.send_audio", "provider.", "recordings.home", "registration.",
    "static", "together.enter_room", "together.give_command", "together.answer_invitation",
    "together.goodbye", "together.report_presence",
    "together.request_room_grant", "together.show_outcome", "together.show_queue", "together.show_room",
    "together.stream_events", "together.tell_time", "team.accept", "team.change_address",
    "team.confirm_address", "team.lost_password", "team.reset_password",
)  # fmt: skip
"""The beginnings of the endpoints that they may use: their own account and pages, what everybody may use, and
the rooms of the differences that support was called to, where the gate checks each request.
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
