"""Keeps the provider's people off every page that is not theirs.

What they may use is listed here. A page that is added for customers is refused to them.
"""

from __future__ import annotations

from typing import Final

from flask import Flask, abort, request

from web.state import visitor

OPEN: Final = (
    "account.", "api.", "brand.", "branding.", "call_list.home", "disputes.answer_invitation",
    "disputes.enter_room", "disputes.goodbye", "disputes.show_outcome", "disputes.show_queue",
    "health.", "language.", "packs.send_root", "packs.send_verifier", "packs.show_check",
    "playback.close_listen", "playback.renew_grant", "playback.report_listening", "playback.send_audio",
    "provider.", "registration.", "rooms.give_command", "rooms.report_presence",
    "rooms.request_room_grant", "rooms.show_room", "rooms.stream_events", "rooms.tell_time", "static",
    "team.accept", "team.change_address", "team.confirm_address", "team.lost_password",
    "team.reset_password",
)  # fmt: skip
"""The beginnings of the endpoints that they may use: their own account and pages, what everybody may use, and
the rooms of the disputes that support was called to, where the gate checks each request.
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
