"""The list of names for numbers, its import, and the form on a call's page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import structlog
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from recorder.domain.parties import E164, Party
from recorder.errors import CatalogueError
from recorder.features.call_list.rules import CallQuery
from recorder.features.call_list.service import list_calls
from recorder.features.contacts import import_file, service
from recorder.features.contacts.import_file import ImportMistake
from recorder.native_thread import run_in_thread
from web.account.limits import limit_grants, limit_refusals
from web.gate import gate, who
from web.playback.call_page import FilledForm, render_call
from web.state import current_visitor, login_required, now, page_faults, panel_state
from web.text import errors

PAGE: Final = 100
LATEST: Final = 50
"""Calls whose numbers may get a name at once."""
MOST_NAMELESS: Final = 6
MOST_MISTAKES: Final = 100
"""Lines that an import says are wrong."""

FORM: Final = "contact"

log = structlog.get_logger()

blueprint = Blueprint("contacts", __name__, template_folder="templates")


@blueprint.get("/contacts")
@login_required
def list_contacts() -> str:
    return _page({}, {})


@blueprint.post("/contacts")
@login_required
def save_contact() -> ResponseReturnValue:
    """Give a number a name, or another one; or delete it."""
    _check_author()
    visitor, form = current_visitor(), request.form
    number, at, entropy = form.get("number", ""), now(), panel_state().entropy
    tenant = visitor.tenant
    try:
        # One that is listed may be an address.
        if service.find_contact(tenant.id, number) is None:
            number = service.read_number(number, tenant.country)
        if form.get("delete"):
            service.delete_name(tenant.id, visitor.user.id, number, now=at, entropy=entropy)
            flash(_("The name was deleted."), "done")
        else:
            names = {number: form.get("name", "")}
            service.write_names(tenant.id, visitor.user.id, names, now=at, entropy=entropy)
            flash(_("Saved."), "done")
    except CatalogueError as error:
        return _page(form, _refusal(error)), 422
    return redirect(url_for(".list_contacts", q=request.args.get("q") or None), 303)


@blueprint.route("/contacts/import", methods=["GET", "POST"])
@login_required
def import_contacts() -> ResponseReturnValue:
    """Import names from a file, or from lines that were pasted; those that cannot be read are named."""
    _check_author()
    if request.method != "POST":
        return _import_page("", {})
    visitor, pasted = current_visitor(), request.form.get("lines", "")
    file = request.files.get("file")
    content = file.read() if file is not None and file.filename else pasted.encode()
    if not content.strip():
        return _import_page(pasted, {"file": _("Choose a file, or paste some lines.")}), 422
    try:
        found = run_in_thread(import_file.read_file, content, visitor.tenant.country)
        counts = service.write_names(
            visitor.tenant.id, visitor.user.id, found.names, now=now(), entropy=panel_state().entropy
        )
    except CatalogueError as error:
        return _import_page(pasted, {"file": _refusal(error)["form"]}), 422
    outcome = []
    if counts.added:
        outcome.append(ngettext("%(num)d name was added.", "%(num)d names were added.", counts.added))
    if counts.changed:
        outcome.append(ngettext("%(num)d was changed.", "%(num)d were changed.", counts.changed))
    if not outcome and not found.mistakes:
        outcome.append(_("All these names were there already."))
    if outcome:
        flash(" ".join(map(str, outcome)), "done")
    if not found.mistakes:
        return redirect(url_for(".list_contacts"), 303)
    page = _import_page("\n".join(each.text for each in found.mistakes), {}, found.mistakes)
    return page, 200 if outcome else 422


@blueprint.post("/recordings/<recording_id>/contact")
@login_required
@limit_refusals
@limit_grants
def name_caller(recording_id: str) -> ResponseReturnValue:
    """Name the number of a call, on its page."""

    def write(party: Party) -> None:
        user, at, entropy = current_visitor().user, now(), panel_state().entropy
        if request.form.get("delete"):
            service.delete_name(user.tenant, user.id, party.value, now=at, entropy=entropy)
        else:
            name = {party.value: request.form.get("name", "")}
            service.write_names(user.tenant, user.id, name, now=at, entropy=entropy)

    return _write(recording_id, write)


def _write(recording_id: str, change: Callable[[Party], None]) -> ResponseReturnValue:
    """Change the name of the number of a call that the gate shows to the visitor."""
    if current_visitor().user.role not in service.AUTHORS:
        abort(403)
    party = gate().facts(who(), recording_id).status.row.external_party
    if party is None or not party.value:
        abort(404)
    try:
        change(party)
    except CatalogueError as error:
        _refusal(error)
        return render_call(recording_id, form=FilledForm(FORM, request.form, error.error_id))
    return redirect(url_for("playback.show_recording", recording_id=recording_id), 303)


def _check_author() -> None:
    """All names are for those who see all calls."""
    visitor = current_visitor()
    if visitor.user.role not in service.AUTHORS or visitor.scope is not None:
        abort(403)


def _page(form: Mapping[str, str], wrong: Mapping[str, str]) -> str:
    """The list; ``form`` as it was sent, with errors by field."""
    visitor = current_visitor()
    if visitor.scope is not None:
        abort(403)
    text = request.args.get("q", "").strip()[:60]
    found = service.contacts(visitor.tenant.id, text)
    after = request.args.get("after", "")
    writes = visitor.user.role in service.AUTHORS
    begin = next((place for place, each in enumerate(found, 1) if each.id == after), 0)
    page = found[begin : begin + PAGE]
    return render_template(
        "contacts/list.html",
        contacts=page,
        count=len(found),
        text=text,
        first=begin > 0,
        more=page[-1].id if begin + PAGE < len(found) else "",
        writes=writes,
        nameless=_nameless(visitor.tenant.id) if writes and not text else (),
        number=request.args.get("number", "")[:60],
        form=form,
        wrong=wrong,
        changed=form.get("number", "") if form.get("known") else "",
    )


def _nameless(tenant: str) -> list[str]:
    """The numbers of the latest calls, recorded or not, that have no name yet."""
    calls = list_calls(CallQuery(tenant), limit=LATEST, faults=page_faults()).calls
    parties = [each.row.external_party for each in calls]
    numbers = dict.fromkeys(each.value for each in parties if each is not None and each.kind == E164)
    known = service.names_of(tenant, numbers)
    return [number for number in numbers if number not in known][:MOST_NAMELESS]


def _import_page(pasted: str, wrong: Mapping[str, str], mistakes: tuple[ImportMistake, ...] = ()) -> str:
    lines = [(each.line, each.text, errors.error(each.error.error_id)) for each in mistakes[:MOST_MISTAKES]]
    return render_template(
        "contacts/import.html", pasted=pasted, wrong=wrong, mistakes=lines, more=len(mistakes) - len(lines)
    )


def _refusal(error: CatalogueError) -> dict[str, str]:
    """The sentence about a name that is not kept, by field; the reason is logged, without the name."""
    if error.error_id == "catalogue.away":
        raise error
    log.info("contact.refused", error_id=error.error_id)
    sentence = errors.error(error.error_id)
    return {errors.field(error.error_id, ("name", "number")) or "form": sentence, "form": sentence}
