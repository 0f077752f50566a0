"""The keep question of a number: how it is asked, heard before it is on, tried out and counted; and the card
with the codes."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.catalogue import queries
from recorder.catalogue.records import LineRow
from recorder.errors import CatalogueError, ConfigError
from recorder.features.tenants import keep_setup, setup
from recorder.features.tenants.keep_setup import KeepPreview
from recorder.features.tenants.setting_sources import line_sources
from recorder.identity import users
from recorder.prompts.sentences import WORDINGS
from web.numbers import latest_call
from web.numbers.blueprint import active_line, blueprint, line_pack
from web.numbers.keep_form import WAYS, WITHOUT_YES, KeepForm, read_keep_form
from web.numbers.setup_views import for_admins
from web.numbers.sound import send_prompt
from web.state import current_plan, current_visitor, login_required, now, panel_state

COUNTED: Final = timedelta(days=30)
"""How far back the answers are counted."""


@blueprint.get("/numbers/<line_id>/keep-question")
@login_required
@for_admins
def show_keep_question(line_id: str) -> ResponseReturnValue:
    """What both hear: as it is, as it is usual, or as the query chooses."""
    line = active_line(line_id)
    return _page(line, _read(line))


@blueprint.get("/numbers/<line_id>/keep-question/<int:place>.wav")
@login_required
@for_admins
def play_keep_question(line_id: str, place: int) -> ResponseReturnValue:
    """A sentence of it, byte for byte as it will be stored."""
    line = active_line(line_id)
    form = _read(line)
    prompts = () if form.errors else _preview(line, form).prompts
    if place >= len(prompts):
        abort(404)
    return send_prompt(prompts[place])


@blueprint.post("/numbers/<line_id>/keep-question/on")
@login_required
@for_admins
def switch_on_keep_question(line_id: str) -> ResponseReturnValue:
    """Let colleagues ask from the next call on, as in the preview that the form names."""
    line, state = active_line(line_id), panel_state()
    form = _read(line)
    if form.errors:
        return _page(line, form)
    try:
        keep_setup.switch_on_keep(
            line.tenant,
            line.id,
            form.keep,
            request.form.get("digest", ""),
            who=current_visitor().user.id,
            sources=state.sources,
            now=now(),
            entropy=state.entropy,
        )
    except (CatalogueError, ConfigError) as error:
        if error.error_id == "line.changed":
            return _page(active_line(line_id), form, changed=True)
        if error.error_id.startswith("catalogue."):
            raise
        form.refuse(error)
        return _page(line, form)
    flash(_("Saved. It applies from the next call on."), "done")
    return redirect(url_for(".show_keep_question", line_id=line.id), 303)


@blueprint.post("/numbers/<line_id>/keep-question/off")
@login_required
@for_admins
def switch_off_keep_question(line_id: str) -> ResponseReturnValue:
    """Let nobody ask any more, from the next call on."""
    line = active_line(line_id)
    keep_setup.switch_off_keep(
        line.tenant, line.id, who=current_visitor().user.id, now=now(), entropy=panel_state().entropy
    )
    flash(_("Saved. It applies from the next call on."), "done")
    return redirect(url_for(".show_keep_question", line_id=line.id), 303)


@blueprint.get("/numbers/<line_id>/card")
@login_required
def show_card(line_id: str) -> str:
    """The codes that a colleague can dial in a call of this number, to print."""
    return render_template("numbers/card.html", line=active_line(line_id))


def _read(line: LineRow) -> KeepForm:
    announced_days = setup.current_settings(line.tenant, line).keep_days
    pack = line_pack(line)
    return read_keep_form(request.values, line, announced_days, pack, current_plan())


def _preview(line: LineRow, form: KeepForm) -> KeepPreview:
    return keep_setup.preview_keep(line.tenant, line, form.keep, sources=panel_state().sources)


def _page(line: LineRow, form: KeepForm, *, changed: bool = False) -> ResponseReturnValue:
    preview = _preview_or_refuse(line, form)
    is_on = line.keep is not None and form.keep == line.keep
    change = line_sources(line.tenant, line.id).get("keep")
    since = change.at if change and line.keep else None
    page = render_template(
        "numbers/keep_question.html",
        line=line,
        form=form,
        errors=form.errors,
        preview=preview,
        changed=changed,
        is_on=is_on,
        announced_days=setup.current_settings(line.tenant, line).keep_days,
        change=change,
        names={each.id: each.name for each in users.users(line.tenant)},
        counts=queries.count_keep_answers(line.tenant, line.id, now() - COUNTED),
        call=latest_call.latest_call(line.tenant, line.id, now(), since),
        ways=WAYS,
        without_yes=WITHOUT_YES,
        wordings=WORDINGS,
    )
    return page, 422 if form.errors else 409 if changed else 200


def _preview_or_refuse(line: LineRow, form: KeepForm) -> KeepPreview | None:
    """What will be heard; ``None`` if the form is refused, with the reason in it."""
    if form.errors:
        return None
    try:
        return _preview(line, form)
    except (CatalogueError, ConfigError) as error:
        if error.error_id.startswith("catalogue."):
            raise
        form.refuse(error)
        return None
