"""The page of one person: their role, the calls that they see, whether they download, and the end of their
access."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from recorder.catalogue.records import UserRow
from recorder.domain.parties import read_extensions
from recorder.domain.roles import CUSTOMER
from recorder.features.team import access, extensions
from recorder.identity import users
from recorder.lifecycle.plans import DOWNLOAD
from web.decorators import admins_only
from web.state import changes, current_plan, current_visitor, login_required, now, panel_state
from web.team.blueprint import blueprint
from web.team.operations import account_links, visitor_as_author
from web.team.views import (
    LIMIT,
    REFUSALS,
    check_chosen,
    chosen_lines,
    line_labels,
    may_download,
    public_link,
    refusal,
    team_page,
)
from web.text import team as text


@blueprint.route("/team/<user_id>", methods=["GET", "POST"])
@login_required
@admins_only(back=team_page)
def change(user_id: str) -> Response | str | tuple[str, int]:
    """Change somebody's role, and the numbers whose calls a colleague sees; their sessions end. And whether a
    colleague may download."""
    person = _person(user_id)
    if request.method != "POST":
        lines = None if person.lines is None else list(person.lines)
        downloads = person.role == CUSTOMER and may_download(person)
        mine = ", ".join(extensions.extensions_of(person.tenant).get(person.id, ()))
        return _page(person, person.role, lines, downloads, mine, {})
    role, lines, downloads = request.form.get("role", ""), chosen_lines(), bool(request.form.get("downloads"))
    typed = request.form.get("extensions", "")
    try:
        check_chosen(role, lines)
        changed = access.change_access(
            person.tenant,
            person.id,
            role=role,
            lines=lines,
            downloads=downloads if DOWNLOAD in current_plan().features else None,
            extensions=read_extensions(typed, current_visitor().tenant.country),
            now=now(),
            entropy=panel_state().entropy,
            signer=changes().signer,
            trust=changes().trust,
            by=visitor_as_author(),
        )
    except REFUSALS as error:
        return _page(person, role, lines, downloads, typed, refusal(error)), 422
    saved = _("Saved. %(name)s must log in again.", name=person.name) if changed else _("Saved.")
    flash(saved, "done")
    return redirect(team_page(), 303)


@blueprint.route("/team/<user_id>/end", methods=["GET", "POST"])
@login_required
@admins_only(back=team_page)
def end(user_id: str) -> Response | str | tuple[str, int]:
    """Ask for confirmation, then end somebody's access and sessions."""
    person, errors = _person(user_id), {}
    if request.method == "POST":
        try:
            users.revoke_user(
                person.tenant,
                person.id,
                now=now(),
                entropy=panel_state().entropy,
                by=visitor_as_author(),
            )
        except REFUSALS as error:
            errors = refusal(error)
        else:
            flash(_("%(name)s no longer has access.", name=person.name), "done")
            return redirect(team_page(), 303)
    page = render_template("team/end.html", person=person, errors=errors)
    return (page, 422) if errors else page


@blueprint.post("/team/<user_id>/reset")
@login_required
@admins_only(back=team_page)
@LIMIT
def send_reset(user_id: str) -> Response | str:
    """Send somebody a link to choose a new password, or show it where no mail can be sent."""
    person = _person(user_id)
    try:
        users.require_signed(person, changes().trust)
    except REFUSALS as error:
        flash(next(iter(refusal(error).values())), "wrong")
        return redirect(url_for(".change", user_id=user_id), 303)
    issued = account_links().issue_reset(person, visitor_as_author())
    if issued.mailed:
        flash(_("A link is on its way to %(address)s.", address=person.login), "done")
        return redirect(team_page(), 303)
    link = public_link(issued.path)
    return render_template("team/link.html", link=link, name=person.name, address=person.login, kind="reset")


def _person(user_id: str) -> UserRow:
    found = users.user(current_visitor().tenant.id, user_id)
    if found is None or found.revoked_at is not None:
        abort(404)
    return found


def _page(
    person: UserRow,
    role: str,
    lines: list[str] | None,
    downloads: bool,
    typed: str,
    errors: dict[str, str],
) -> str:
    return render_template(
        "team/person.html",
        person=person,
        role=role,
        lines=lines,
        downloads=downloads,
        extensions=typed,
        errors=errors,
        labels=line_labels(),
        text=text,
        sends=panel_state().outbox.sends,
    )
