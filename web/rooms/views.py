"""The room: its page, the stream of its events, commands, the clock, and the grant to listen in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from flask import Blueprint, Response, abort, jsonify, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue

from recorder.catalogue import queries as catalogue
from recorder.errors import RoomError
from recorder.features.rooms.rules import PAUSE, RATES, RoomCommand
from web.account.limits import limit_grants, limit_refusals, limiter
from web.disputes.notes_views import notes_context
from web.disputes.operations import own_dial_in
from web.errors import error_response
from web.gate import gate, who
from web.playback.call_page import player_data
from web.room_signals import RoomStream
from web.rooms.moments import RoomMoment, find_moments
from web.rooms.state import RoomVisit, enter, find_visit, room_sounds, rooms, state_of
from web.state import current_visitor, login_required, panel_state, release_connection, visitor
from web.text import errors
from web.text.sentences import sentence

blueprint = Blueprint("rooms", __name__, template_folder="templates")

KEEP_ALIVE_S: Final = 10.0
"""Seconds of silence after which a stream looks again, and says that it lives: proxies end silent ones."""

LONGEST_S: Final = 600.0
"""Seconds after which a stream ends, and the browser opens the next one: a connection that nobody reads does
not last."""

RETRY_MS: Final = 60_000
"""Milliseconds after which a browser opens a stream again that was ended for a newer one."""

ACTIONS: Final = ("play", PAUSE, "seek", "rate", "choose", "lead")


def _command_budget() -> str:
    """Who gives a command; pauses count apart, so that no other command uses them up."""
    kind = PAUSE if request.form.get("action") == PAUSE else "other"
    return f"{current_visitor().user.id} {kind}"


limit_commands = limiter.limit(
    "120/minute", key_func=_command_budget, methods=["POST"], scope="room commands",
    exempt_when=lambda: visitor() is None,
)  # fmt: skip
limit_clock = limiter.limit(
    "120/minute", key_func=lambda: current_visitor().user.id, scope="room clock",
    exempt_when=lambda: visitor() is None,
)  # fmt: skip


@blueprint.get("/together/<dispute_id>/room")
@login_required
@limit_refusals
def show_room(dispute_id: str) -> str:
    visit = enter(dispute_id)
    return render_template(
        "rooms/room.html",
        dispute=visit.dispute,
        durations=visit.durations,
        names=visit.names,
        customer=catalogue.tenant(visit.dispute.tenant),
        rates=RATES,
        me=current_visitor().user,
        state=state_of(visit),
        passages_only=visit.passages_only,
        by_phone=own_dial_in(visit.dispute, current_visitor().user.id),
        notes=None if visit.passages_only else notes_context(visit.dispute),
    )


@blueprint.get("/together/<dispute_id>/events")
@limit_refusals
def stream_events(dispute_id: str) -> ResponseReturnValue:
    """The room's state, now and after each change, as server-sent events."""
    if visitor() is None:
        return error_response(401, errors.error("access.revoked"), "access.revoked")
    visit = enter(dispute_id)
    signals = panel_state().signals
    stream = signals.open(visit.dispute.id, visit.dispute.tenant, current_visitor().session.id)
    if stream is None:
        abort(503)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # or nginx would keep the events
    events = stream_with_context(_events(visit, stream))
    response = Response(events, headers=headers, content_type="text/event-stream; charset=utf-8")
    response.call_on_close(lambda: signals.close_stream(stream))
    return response


def _events(visit: RoomVisit, stream: RoomStream) -> Iterator[str]:
    """A room's events, until the visitor may no longer be in it, the stream or the panel ends, or it is time
    for the browser to open another stream."""
    signals, service, room = panel_state().signals, rooms(), visit.dispute.id
    begin, latest = service.now_ms(), ""
    yield "retry: 1000\n\n"
    while not (signals.is_closed or stream.is_closed) and service.now_ms() - begin < LONGEST_S * 1000:
        visit_now = find_visit(room)
        if visit_now is None:
            yield "event: ended\ndata: {}\n\n"
            return
        count, state = signals.count(room), state_of(visit_now)
        # Also what changes with time alone: who is present, and whether somebody leads.
        summary = json.dumps(state | {"now": 0})
        if summary != latest:
            latest = summary
            yield f"event: room\ndata: {json.dumps(state)}\n\n"
        else:
            yield ": alive\n\n"
        release_connection()
        signals.wait(stream, count, KEEP_ALIVE_S)
    if stream.is_closed:  # for a newer one of the same session: tabs must not take turns all the time
        yield f"retry: {RETRY_MS}\n\n"


@blueprint.post("/together/<dispute_id>/command")
@limit_refusals
@limit_commands
def give_command(dispute_id: str) -> ResponseReturnValue:
    """Carry out a command; on a refusal, the answer has the room as it is."""
    if visitor() is None:
        return error_response(401, errors.error("access.revoked"), "access.revoked")
    visit = enter(dispute_id)
    service, form = rooms(), request.form
    action = form.get("action", "")
    if action not in ACTIONS:
        abort(400)
    command = RoomCommand(
        action,  # type: ignore[arg-type]  # checked above
        position_ms=_number("position"),
        rate=_number("rate"),
        recording=form.get("recording"),
        to=form.get("to"),
    )
    room = service.find(visit.dispute.tenant, visit.dispute.id, next(iter(visit.durations)))
    try:
        service.command(
            room, command, current_visitor().user.id, seq=_number("seq") or 0, durations=visit.durations
        )
    except RoomError as error:
        return jsonify(state_of(visit) | {"error": error.error_id}), 409
    return jsonify(state_of(visit))


@blueprint.post("/together/<dispute_id>/presence")
@limit_refusals
@limit_commands
def report_presence(dispute_id: str) -> ResponseReturnValue:
    """Somebody is in the room, or leaves it."""
    if visitor() is None:
        return error_response(401, errors.error("access.revoked"), "access.revoked")
    visit = enter(dispute_id)
    user, form, tenant = current_visitor().user.id, request.form, visit.dispute.tenant
    if form.get("leaves"):
        rooms().note_departure(tenant, visit.dispute.id, user)
    else:
        rooms().note_presence(tenant, visit.dispute.id, user, ready=bool(form.get("ready")))
    return "", 204


@blueprint.get("/together/clock")
@limit_clock
def tell_time() -> ResponseReturnValue:
    """The time by which rooms go, in milliseconds since 1970."""
    if visitor() is None:
        abort(401)
    return jsonify(now=rooms().now_ms())


@blueprint.post("/together/<dispute_id>/listen")
@limit_refusals
@limit_grants
def request_room_grant(dispute_id: str) -> ResponseReturnValue:
    """A grant to hear one of the room's recordings, and what the player needs."""
    if visitor() is None:
        return error_response(401, errors.error("access.revoked"), "access.revoked")
    visit = enter(dispute_id)
    recording = request.form.get("recording", "")
    if recording not in visit.durations:
        abort(404)
    actor = who(visit.dispute.tenant)
    grant = gate().grant(actor, recording, visit.dispute.purposes[0])
    manifest = None if visit.passages_only else gate().manifest(actor, grant.id)
    has_peaks = manifest is not None and manifest.object("peaks") is not None
    moments = () if manifest is None else find_moments(manifest)
    return jsonify(
        player_data(grant, room_sounds(visit, recording), has_peaks=has_peaks)
        | {"moments": [_moment_body(each) for each in moments]}
    )


def _moment_body(moment: RoomMoment) -> dict[str, str | int]:
    return {
        "kind": moment.kind,
        "begin": moment.begin_ms,
        "end": moment.end_ms,
        "name": sentence("room_moment", moment.kind),
    }


def _number(name: str) -> int | None:
    text = request.form.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
