"""Keeps guests of disputes, and people who opened their own call, off every page that is not theirs.

What they may use is listed here. A page that is added for customers is refused to them.
"""

from __future__ import annotations

from typing import Final

from flask import Flask, abort, request

from web.state import visitor

OPEN: Final = (
    "account.authentication_options", "account.log_in", "account.log_out", "api.", "brand.",
    "call_list.home", "disputes.agree_to_guest", "disputes.answer_", "disputes.check_call_code",
    "disputes.choose_time", "disputes.goodbye", "disputes.leave", "disputes.mark_passage",
    "disputes.order_call", "disputes.order_room_call", "disputes.send_calendar", "disputes.show_notes",
    "disputes.show_outcome", "disputes.welcome", "disputes.withdraw_consent", "health.", "language.",
    "own_call.check_", "own_call.answer_invitation", "own_call.enter_code", "own_call.leave",
    "own_call.play_call", "own_call.request_answer", "own_call.take_back", "own_call.show_",
    "packs.send_root", "packs.send_verifier", "packs.show_check", "playback.close_listen",
    "playback.renew_grant", "playback.report_listening", "playback.send_audio", "registration.",
    "rooms.give_command", "rooms.report_presence", "rooms.request_room_grant", "rooms.show_room",
    "rooms.stream_events", "rooms.tell_time", "static", "team.accept", "team.confirm_address",
    "team.lost_password", "team.reset_password",
)  # fmt: skip
"""The beginnings of the endpoints that guests may use: their dispute or their own
call, and what everybody may use. The gate
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
