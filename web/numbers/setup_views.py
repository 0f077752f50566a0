"""Setting up a number: the form, the preview as callers will hear it, and the switch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.catalogue.records import FORMATS, LineRow
from recorder.domain.call_plan import MODES
from recorder.errors import AccordError, CatalogueError, ConfigError
from recorder.features.tenants import setup
from recorder.features.tenants.drafts import LineDraft, save_draft
from recorder.features.tenants.greeting_sound import LARGEST
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.setup import Preview
from recorder.prompts.country_file import pack_for
from recorder.prompts.purposes import LANGUAGES, standard
from recorder.prompts.sentences import WORDINGS
from web.decorators import admins_only
from web.numbers.blueprint import active_line, blueprint, line_pack
from web.numbers.setup_form import LONGEST_TEXT, SetupForm, read_form
from web.numbers.sound import send_prompt
from web.state import current_plan, current_visitor, login_required, now, panel_state
from web.text.plans import format_list

FORMAT_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "opus": ("opus",),
    "wav": ("wav",),
    "both": ("opus", "wav"),
}
"""The formats in which recordings can be stored, by the value in the form."""

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
    pack = line_pack(line)
    form, draft = read_form(request, before, line.tenant, line, pack, panel_state().sources)
    if form.errors:
        if draft.greeting != before.greeting:
            _keep(line, setup.with_greeting(before, draft))
        return _form(line, form), 422
    _keep(line, draft)
    return redirect(url_for(".preview_setup", line_id=line.id), 303)


def _keep(line: LineRow, draft: LineDraft) -> None:
    save_draft(line.tenant, line.id, draft, who=current_visitor().user.id, now=now())


@blueprint.post("/numbers/<line_id>/formats")
@login_required
@for_admins
def save_formats(line_id: str) -> ResponseReturnValue:
    """Choose in which formats a number's recordings are stored."""
    line, choice = active_line(line_id), request.form.get("formats", "")
    format_codes = FORMAT_CHOICES.get(choice, ())
    if not format_codes or not {*format_codes} <= {*current_plan().formats}:
        form = SetupForm.of(setup.current_draft(line.tenant, line))
        return _form(line, form, format_error=str(_("Choose one of these."))), 422
    change_line(
        line.tenant,
        line.id,
        LineChange(formats=format_codes),
        who=current_visitor().user.id,
        now=now(),
        entropy=panel_state().entropy,
    )
    flash(_("Saved. It applies from the next call on."), "done")
    return redirect(url_for(".edit_setup", line_id=line.id, _anchor="stored"), 303)


def _stored(line: LineRow) -> dict[str, object]:
    """The choices of formats that the plan has, the present one, and those that it does not have."""
    plan = current_plan()
    present = {*plan.stored_formats(line.formats)}
    names = {code: format_list(formats) for code, formats in FORMAT_CHOICES.items()}
    known = {code for code, formats in FORMAT_CHOICES.items() if {*formats} <= {*plan.formats}}
    return {
        "options": [(code, name) for code, name in names.items() if code in known],
        "missing": [names[code] for code in FORMATS if code not in plan.formats],
        "chosen": next(code for code, formats in FORMAT_CHOICES.items() if {*formats} == present),
    }


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


def _form(line: LineRow, form: SetupForm, format_error: str = "") -> str:
    pack = line_pack(line)
    return render_template(
        "numbers/setup.html",
        line=line,
        form=form,
        settings=form.settings,
        errors=form.errors,
        stored=_stored(line),
        format_error=format_error,
        pack=pack,
        is_foreign=pack.code != pack_for(current_visitor().tenant.country).code,
        purposes=standard(),
        modes=MODES,
        wordings=WORDINGS,
        languages=LANGUAGES,
        longest_text=LONGEST_TEXT,
        largest=LARGEST,
    )
