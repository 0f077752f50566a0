"""Two pages, choose a purpose and listen, and the sound."""

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
from web.account.limits import limit_grants, limit_played, limit_refusals
from web.errors import answer, page
from web.gate import gate, who
from web.playback.sound_response import send
from web.playback.view_model import from_manifest
from web.state import here, logged_in, now, someone, visitor
from web.text import errors, formats

blueprint = Blueprint("playback", __name__, template_folder="templates")

NAMES = frozenset({"audio.opus", "audio.wav", "peaks"})
OVERSEERS = frozenset({ADMIN, AUDITOR})
"""Who is told by name who heard a recording."""
SHOWN = 20
PLAY = re.compile(r"[A-Za-z0-9_-]{22}")


@blueprint.get("/recordings/<recording_id>")
@logged_in
@limit_refusals
def choose(recording_id: str) -> str:
    choices = gate().purposes(who(), recording_id)  # it says no, and writes it down
    row = _recording(recording_id)
    tenant = someone().tenant
    holds = amendments.holds(tenant.id, row.id)
    return render_template(
        "playback/choose.html",
        held=bool(holds),
        look_again=any(each.review_at <= now() for each in holds),
        recording=row,
        choices=choices,
        announcement=queries.announcement(tenant.id, row.announcement),
        line=queries.line(tenant.id, row.line),
        now=now(),
        heard=reviews.listeners_of(tenant.id, row.id)[::-1] if someone().user.role in OVERSEERS else None,
        most=SHOWN,
    )


@blueprint.post("/recordings/<recording_id>")
@logged_in
@limit_grants
def ask(recording_id: str) -> Response | tuple[str, int]:
    purpose = request.form.get("purpose", "")
    if not purpose:
        return page(400, _("Choose what you listen for."), back=url_for(".choose", recording_id=recording_id))
    grant = gate().grant(who(), recording_id, purpose[:100])
    return redirect(url_for(".listen", grant_id=grant.id), 303)


@blueprint.get("/listen/<grant_id>")
@logged_in
@limit_refusals
def listen(grant_id: str) -> str:
    grant = gate().valid_grant(who(), grant_id)
    heard = from_manifest(gate().manifest(who(), grant_id))
    row = _recording(grant.recording)
    play = base64.urlsafe_b64encode(here().entropy(16)).decode().rstrip("=")
    return render_template(
        "playback/listen.html",
        grant=grant,
        heard=heard,
        recording=row,
        line=queries.line(someone().tenant.id, row.line),
        left=_left(grant),
        play=play,
        sounds=[
            (url_for(".sound", grant_id=grant.id, name=name, play=play), media_type)
            for name, media_type in heard.sounds
        ],
        peaks=url_for(".sound", grant_id=grant.id, name="peaks", play=play) if heard.has_peaks else None,
    )


@blueprint.get("/listen/<grant_id>/<name>")
@limit_refusals
def sound(grant_id: str, name: str) -> ResponseReturnValue:
    """Sound for a player.  Whoever is not logged in is told so in a word, not sent to a page."""
    play = request.args.get("play", "")
    if visitor() is None:
        return answer(401, errors.error("access.revoked"), "access.revoked")
    if name not in NAMES or not PLAY.fullmatch(play):
        abort(404)
    return send(gate().open(who(), grant_id, name, play), f"{grant_id}/{name}")


@blueprint.post("/listen/<grant_id>/renew")
@limit_refusals
def renew(grant_id: str) -> ResponseReturnValue:
    """The player asks for another quarter of an hour while it plays."""
    if visitor() is None:
        return answer(401, errors.error("access.revoked"), "access.revoked")
    grant = gate().renew(who(), grant_id)
    return jsonify(left=_left(grant), until_words=formats.time(grant.until))


@blueprint.post("/listen/<grant_id>/played")
@limit_refusals
@limit_played
def played(grant_id: str) -> tuple[str, int]:
    """The player paused, or came to the end: it says what it has played."""
    _say_played(grant_id, _play())
    return "", 204


@blueprint.post("/listen/<grant_id>/close")
@limit_refusals
def close(grant_id: str) -> tuple[str, int]:
    """The player has stopped; it may say what it has played."""
    play = _play()
    if request.form.get("played"):
        _say_played(grant_id, play)
    gate().close(who(), grant_id, play)
    return "", 204


def _play() -> str:
    play = request.form.get("play", "")
    if visitor() is None:
        abort(401)
    if not PLAY.fullmatch(play):
        abort(404)
    return play


def _say_played(grant_id: str, play: str) -> None:
    try:
        gate().played(who(), grant_id, play, request.form.get("played", ""))
    except ValueError:
        abort(400)


def _left(grant: Grant) -> int:
    """Whole seconds for which a grant lasts from now: the clock of whoever listens may be another."""
    return max(0, int((grant.until - now()).total_seconds()))


def _recording(recording_id: str) -> RecordingRow:
    """One of their own; anybody else's is not there."""
    row = queries.recording(someone().tenant.id, recording_id)
    if row is None:
        abort(404)
    return row
