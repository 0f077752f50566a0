"""Adds, changes and deletes notes and labels; errors appear on the call page, beside the field."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from recorder.catalogue.records import UserRow
from recorder.domain.roles import ADMIN
from recorder.errors import NoteError
from recorder.features.notes import rules, service
from recorder.playback.interface import CallFacts
from web.account.limits import limit_grants, limit_refusals
from web.gate import gate, who
from web.playback.call_page import FilledForm, render_call
from web.state import current_visitor, login_required, now, panel_state

blueprint = Blueprint("notes", __name__, template_folder="templates")


@blueprint.post("/recordings/<recording_id>/notes")
@login_required
@limit_refusals
@limit_grants
def add_note(recording_id: str) -> ResponseReturnValue:
    def add(facts: CallFacts, user: UserRow) -> None:
        place = rules.parse_place(request.form.get("place", ""), facts.status.row.duration_ms)
        text, at, entropy = request.form.get("text", ""), now(), panel_state().entropy
        service.add_note(user.tenant, recording_id, user.id, text=text, at_ms=place, now=at, entropy=entropy)

    return _write(recording_id, "note", add)


@blueprint.post("/recordings/<recording_id>/labels")
@login_required
@limit_refusals
@limit_grants
def add_label(recording_id: str) -> ResponseReturnValue:
    def add(_facts: CallFacts, user: UserRow) -> None:
        text, at, entropy = request.form.get("label", ""), now(), panel_state().entropy
        service.add_label(user.tenant, recording_id, user.id, text=text, now=at, entropy=entropy)

    return _write(recording_id, "label", add)


@blueprint.post("/recordings/<recording_id>/notes/<note_id>")
@login_required
@limit_refusals
@limit_grants
def edit_note(recording_id: str, note_id: str) -> ResponseReturnValue:
    def edit(_facts: CallFacts, user: UserRow) -> None:
        text, at, entropy = request.form.get("text", ""), now(), panel_state().entropy
        service.edit_note(user.tenant, recording_id, note_id, user.id, text=text, now=at, entropy=entropy)

    return _write(recording_id, f"note {note_id}", edit)


@blueprint.post("/recordings/<recording_id>/notes/<note_id>/delete")
@login_required
@limit_refusals
@limit_grants
def delete_note(recording_id: str, note_id: str) -> ResponseReturnValue:
    def delete(_facts: CallFacts, user: UserRow) -> None:
        admin, at, entropy = user.role == ADMIN, now(), panel_state().entropy
        service.delete_note(
            user.tenant, recording_id, note_id, user.id, any_author=admin, now=at, entropy=entropy
        )

    return _write(recording_id, f"note {note_id}", delete)


def _write(recording_id: str, form: str, change: Callable[[CallFacts, UserRow], None]) -> ResponseReturnValue:
    """Make a change to a recording that the gate shows to the visitor, and return to the notes."""
    user = current_visitor().user
    if user.role not in rules.AUTHORS:
        abort(403)
    facts = gate().facts(who(), recording_id)
    try:
        change(facts, user)
    except NoteError as error:
        if error.error_id == "note.gone":
            abort(404)
        return render_call(recording_id, form=FilledForm(form, request.form, error.error_id))
    return redirect(url_for("playback.show_recording", recording_id=recording_id, _anchor="notes"), 303)
