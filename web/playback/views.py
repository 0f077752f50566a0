"""The call page, and what its player requests: a grant, audio, renewals, listen reports."""

from __future__ import annotations

import re

from flask import Blueprint, abort, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue

from web.account.limits import limit_downloads, limit_grants, limit_listen_reports, limit_refusals
from web.errors import error_response, wants_json
from web.gate import gate, who
from web.playback.call_page import FilledForm, player_data, render_call, seconds_left
from web.playback.sound_response import send
from web.playback.view_model import sounds_of
from web.state import login_required, redirect_to_login, visitor
from web.text import errors, formats

blueprint = Blueprint("playback", __name__, template_folder="templates")

OBJECT_NAMES = frozenset({"audio.opus", "audio.wav", "audio.webm", "peaks"})
PURPOSE_MISSING = "access.purpose_missing"
PLAY_ID = re.compile(r"[A-Za-z0-9_-]{22}")


@blueprint.get("/recordings/<recording_id>")
@login_required
@limit_refusals
def show_recording(recording_id: str) -> ResponseReturnValue:
    return render_call(recording_id)


@blueprint.post("/recordings/<recording_id>")
@limit_refusals
@limit_grants
def request_grant(recording_id: str) -> ResponseReturnValue:
    """Ask the gate for a grant: the player gets it as JSON, a browser without scripts the page again."""
    if visitor() is None:
        if wants_json():
            return error_response(401, errors.error("access.revoked"), "access.revoked")
        return redirect_to_login()
    purpose = request.form.get("listen_for") or request.form.get("purpose", "")
    if not purpose:
        if wants_json():
            return error_response(400, errors.error(PURPOSE_MISSING), PURPOSE_MISSING)
        form = FilledForm("purpose", request.form, PURPOSE_MISSING)
        return render_call(recording_id, form)
    grant = gate().grant(who(), recording_id, purpose[:100])
    if wants_json():
        manifest = gate().manifest(who(), grant.id)
        has_peaks = manifest.object("peaks") is not None
        return jsonify(player_data(grant, sounds_of(manifest), has_peaks=has_peaks))
    return redirect(url_for(".show_recording", recording_id=recording_id, play=1, _anchor="player"), 303)


@blueprint.get("/listen/<grant_id>")
@login_required
@limit_refusals
def show_listen(grant_id: str) -> ResponseReturnValue:
    """The address of a listen that was under way: its call's page."""
    grant = gate().valid_grant(who(), grant_id)
    return redirect(url_for(".show_recording", recording_id=grant.recording))


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


@blueprint.post("/recordings/<recording_id>/download")
@login_required
@limit_refusals
@limit_downloads
def download(recording_id: str) -> ResponseReturnValue:
    """Send the recording as a file, for a purpose.  Its name is the recording's id: no number, no time."""
    purpose, name = request.form.get("purpose", "")[:100], request.form.get("format", "")
    if not purpose:
        return render_call(recording_id, FilledForm("download", request.form, PURPOSE_MISSING))
    response = send(gate().download(who(), recording_id, purpose, name), f"{recording_id}/{name}")
    file = f"recording-{recording_id}{name.removeprefix('audio')}"
    response.headers["Content-Disposition"] = f'attachment; filename="{file}"'
    return response


@blueprint.post("/listen/<grant_id>/renew")
@limit_refusals
def renew_grant(grant_id: str) -> ResponseReturnValue:
    """Extend the grant; the player requests this while it plays."""
    if visitor() is None:
        return error_response(401, errors.error("access.revoked"), "access.revoked")
    grant = gate().renew(who(), grant_id)
    return jsonify(left=seconds_left(grant), until_words=formats.time(grant.until))


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
