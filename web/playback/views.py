"""The page of purposes, the player, and what the player requests: audio, renewals, listen reports."""

from __future__ import annotations

import base64
import re

from flask import Blueprint, abort, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from recorder.catalogue import queries
from recorder.catalogue.records import RecordingRow
from recorder.domain.roles import ADMIN, AUDITOR
from recorder.features.subject_requests import reviews
from recorder.lifecycle import amendments
from recorder.playback.interface import Grant
from web.account.limits import limit_grants, limit_listen_reports, limit_refusals
from web.errors import error_page, error_response
from web.gate import gate, who
from web.playback.sound_response import send
from web.playback.view_model import from_manifest
from web.state import current_visitor, login_required, now, panel_state, visitor
from web.text import errors, formats

blueprint = Blueprint("playback", __name__, template_folder="templates")

OBJECT_NAMES = frozenset({"audio.opus", "audio.wav", "peaks"})
OVERSIGHT_ROLES = frozenset({ADMIN, AUDITOR})
"""Roles that see who has listened to a recording."""
MAX_LISTENS = 20
PLAY_ID = re.compile(r"[A-Za-z0-9_-]{22}")


@blueprint.get("/recordings/<recording_id>")
@login_required
@limit_refusals
def choose_purpose(recording_id: str) -> str:
    choices = gate().purposes(who(), recording_id)  # raises, and logs, refusals
    row = _recording(recording_id)
    tenant = current_visitor().tenant
    holds = amendments.holds(tenant.id, row.id)
    return render_template(
        "playback/purposes.html",
        held=bool(holds),
        review_due=any(each.review_at <= now() for each in holds),
        recording=row,
        choices=choices,
        announcement=queries.announcement(tenant.id, row.announcement),
        line=queries.line(tenant.id, row.line),
        now=now(),
        heard=reviews.listeners_of(tenant.id, row.id)[::-1]
        if current_visitor().user.role in OVERSIGHT_ROLES
        else None,
        most=MAX_LISTENS,
    )


@blueprint.post("/recordings/<recording_id>")
@login_required
@limit_grants
def request_grant(recording_id: str) -> Response | tuple[str, int]:
    purpose = request.form.get("purpose", "")
    if not purpose:
        return error_page(
            400, _("Choose what you listen for."), back=url_for(".choose_purpose", recording_id=recording_id)
        )
    grant = gate().grant(who(), recording_id, purpose[:100])
    return redirect(url_for(".listen", grant_id=grant.id), 303)


@blueprint.get("/listen/<grant_id>")
@login_required
@limit_refusals
def listen(grant_id: str) -> str:
    grant = gate().valid_grant(who(), grant_id)
    view = from_manifest(gate().manifest(who(), grant_id))
    row = _recording(grant.recording)
    play = base64.urlsafe_b64encode(panel_state().entropy(16)).decode().rstrip("=")
    return render_template(
        "playback/player.html",
        grant=grant,
        heard=view,
        recording=row,
        line=queries.line(current_visitor().tenant.id, row.line),
        left=_seconds_left(grant),
        play=play,
        sounds=[
            (url_for(".send_audio", grant_id=grant.id, name=name, play=play), media_type)
            for name, media_type in view.sounds
        ],
        peaks=url_for(".send_audio", grant_id=grant.id, name="peaks", play=play) if view.has_peaks else None,
    )


@blueprint.get("/listen/<grant_id>/<name>")
@limit_refusals
def send_audio(grant_id: str, name: str) -> ResponseReturnValue:
    """Audio or peaks for the player.  Without a session it answers 401 instead of redirecting to the
    log-in."""
    play = request.args.get("play", "")
    if visitor() is None:
        return error_response(401, errors.error("access.revoked"), "access.revoked")
    if name not in OBJECT_NAMES or not PLAY_ID.fullmatch(play):
        abort(404)
    return send(gate().open(who(), grant_id, name, play), f"{grant_id}/{name}")


@blueprint.post("/listen/<grant_id>/renew")
@limit_refusals
def renew_grant(grant_id: str) -> ResponseReturnValue:
    """Extend the grant; the player requests this while it plays."""
    if visitor() is None:
        return error_response(401, errors.error("access.revoked"), "access.revoked")
    grant = gate().renew(who(), grant_id)
    return jsonify(left=_seconds_left(grant), until_words=formats.time(grant.until))


@blueprint.post("/listen/<grant_id>/listen-report")
@limit_refusals
@limit_listen_reports
def report_listening(grant_id: str) -> tuple[str, int]:
    """Save the listen report that the player sends when it pauses or reaches the end."""
    _save_listen_report(grant_id, _play_id())
    return "", 204


@blueprint.post("/listen/<grant_id>/close")
@limit_refusals
def close_listen(grant_id: str) -> tuple[str, int]:
    """End a listening session, with the player's last listen report if it sent one."""
    play = _play_id()
    if request.form.get("played"):
        _save_listen_report(grant_id, play)
    gate().close(who(), grant_id, play)
    return "", 204


def _play_id() -> str:
    play = request.form.get("play", "")
    if visitor() is None:
        abort(401)
    if not PLAY_ID.fullmatch(play):
        abort(404)
    return play


def _save_listen_report(grant_id: str, play: str) -> None:
    try:
        gate().played(who(), grant_id, play, request.form.get("played", ""))
    except ValueError:
        abort(400)


def _seconds_left(grant: Grant) -> int:
    """Whole seconds until the grant ends.  A duration, because the listener's clock may be wrong."""
    return max(0, int((grant.until - now()).total_seconds()))


def _recording(recording_id: str) -> RecordingRow:
    """The customer's recording, else 404."""
    row = queries.recording(current_visitor().tenant.id, recording_id)
    if row is None:
        abort(404)
    return row
