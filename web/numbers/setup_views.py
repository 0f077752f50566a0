"""Setting up a number: the form, the preview as callers will hear it, and the switch."""

from __future__ import annotations

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from recorder.catalogue.records import LineRow
from recorder.domain.call_plan import MODES
from recorder.errors import AccordError, CatalogueError, ConfigError
from recorder.features.tenants import setup
from recorder.features.tenants.drafts import LineDraft, save_draft
from recorder.features.tenants.setup import Preview
from recorder.prompts.country_file import pack_for
from recorder.prompts.purposes import LANGUAGES, standard
from recorder.prompts.sentences import WORDINGS
from recorder.prompts.sound_check import LARGEST
from web.decorators import admins_only
from web.numbers.blueprint import active_line, blueprint
from web.numbers.setup_form import LONGEST_TEXT, SetupForm, read_form
from web.numbers.sound import send_prompt
from web.state import current_visitor, login_required, now, panel_state

for_admins = admins_only(lambda _arguments: url_for("numbers.show"))


@blueprint.get("/numbers/<line_id>/setup")
@login_required
@for_admins
def edit_setup(line_id: str) -> ResponseReturnValue:
    line = active_line(line_id)
    return _form(line, SetupForm.of(setup.current_draft(line.tenant, line)))


@blueprint.post("/numbers/<line_id>/setup")
@login_required
@for_admins
def save_setup(line_id: str) -> ResponseReturnValue:
    """Keep what was entered; if it can be announced, show what callers will hear."""
    line = active_line(line_id)
    before = setup.current_draft(line.tenant, line)
    pack = pack_for(current_visitor().tenant.country)
    form, draft = read_form(request, before, line.tenant, line, pack, panel_state().sources)
    if form.errors:
        if draft.greeting != before.greeting:
            _keep(line, setup.with_greeting(before, draft))
        return _form(line, form), 422
    _keep(line, draft)
    return redirect(url_for(".preview_setup", line_id=line.id), 303)


def _keep(line: LineRow, draft: LineDraft) -> None:
    save_draft(line.tenant, line.id, draft, who=current_visitor().user.id, now=now())


@blueprint.get("/numbers/<line_id>/preview")
@login_required
@for_admins
def preview_setup(line_id: str) -> ResponseReturnValue:
    return _preview(active_line(line_id))


@blueprint.get("/numbers/<line_id>/preview/<int:place>.wav")
@login_required
@for_admins
def play_preview(line_id: str, place: int) -> ResponseReturnValue:
    """A sentence of the preview, byte for byte as it will be stored."""
    prompts = _previewed(active_line(line_id)).prompts
    if place >= len(prompts):
        abort(404)
    return send_prompt(prompts[place])


@blueprint.post("/numbers/<line_id>/on")
@login_required
@for_admins
def switch_on(line_id: str) -> ResponseReturnValue:
    """Record from the next call on, as in the preview that the form names."""
    line, state = active_line(line_id), panel_state()
    try:
        setup.switch_on(
            line.tenant,
            line.id,
            request.form.get("digest", ""),
            who=current_visitor().user.id,
            sources=state.sources,
            now=now(),
            entropy=state.entropy,
        )
    except CatalogueError as error:
        if error.error_id == "line.changed":
            return _preview(active_line(line_id), changed=True)
        if error.error_id.startswith("catalogue."):
            raise
        return _refused(line, error), 422
    return redirect(url_for(".show", _anchor=f"line-{line.id}"), 303)


@blueprint.post("/numbers/<line_id>/off")
@login_required
@for_admins
def switch_off(line_id: str) -> ResponseReturnValue:
    """Stop recording from the next call on."""
    line = active_line(line_id)
    setup.switch_off(
        line.tenant, line.id, who=current_visitor().user.id, now=now(), entropy=panel_state().entropy
    )
    return redirect(url_for(".show", _anchor=f"line-{line.id}"), 303)


def _previewed(line: LineRow) -> Preview:
    return setup.preview(line.tenant, line, sources=panel_state().sources)


def _preview(line: LineRow, *, changed: bool = False) -> ResponseReturnValue:
    try:
        found = _previewed(line)
    except (CatalogueError, ConfigError) as error:
        if error.error_id.startswith("catalogue."):
            raise
        return _refused(line, error), 422
    page = render_template("numbers/preview.html", line=line, preview=found, changed=changed)
    return page, 409 if changed else 200


def _refused(line: LineRow, error: AccordError) -> str:
    """The form, with what keeps the draft from being announced: the country's rules may have changed."""
    form = SetupForm.of(setup.current_draft(line.tenant, line))
    form.refuse(error)
    return _form(line, form)


def _form(line: LineRow, form: SetupForm) -> str:
    pack = pack_for(current_visitor().tenant.country)
    return render_template(
        "numbers/setup.html",
        line=line,
        form=form,
        settings=form.settings,
        errors=form.errors,
        pack=pack,
        purposes=standard(),
        modes=MODES,
        wordings=WORDINGS,
        languages=LANGUAGES,
        longest_text=LONGEST_TEXT,
        largest=LARGEST,
    )
