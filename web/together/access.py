"""Keeps guests of differences off every page that is not theirs.

What they may use is listed here. A page that is added for customers is refused to them.
"""

from __future__ import annotations

from typing import Final

from flask import Flask, abort, request

from web.state import visitor

OPEN: Final = (
    "account.authentication_options", "account.log_in", "account.log_out", "api.", "brand.", "health.",
    "language.", "playback.close_listen", "playback.renew_grant", "playback.report_listening",
    "playback.send_audio", "recordings.home", "registration.", "static", "team.accept",
    "team.confirm_address", "team.lost_password", "team.reset_password", "together.agree_to_guest",
    "together.answer_", "together.check_call_code", "together.give_command", "together.goodbye",
    "together.leave", "together.mark_passage", "together.order_call", "together.report_presence",
    "together.request_room_grant", "together.show_notes", "together.show_outcome", "together.show_room",
    "together.stream_events", "together.tell_time", "together.welcome",
    "together.withdraw_consent",
)  # fmt: skip
"""The beginnings of the endpoints that guests may use: their difference, and what everybody may use. The gate
checks each request for sound all the same."""


def init_app(app: Flask) -> None:
    """Refuse requests of guests to any other endpoint."""

    @app.before_request
    def refuse_guest() -> None:
        found = visitor()
        if found is None or not found.is_guest or request.endpoint is None:
            return
        if not request.endpoint.startswith(OPEN):
            abort(403)
