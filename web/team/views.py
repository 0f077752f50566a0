"""The team page, and its forms to invite somebody."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from flask import abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from recorder.catalogue import queries
from recorder.catalogue.records import UserRow
from recorder.domain import names
from recorder.domain.parties import read_extensions
from recorder.domain.roles import CUSTOMER
from recorder.errors import CatalogueError, MailError, SealError
from recorder.features.team import extensions
from recorder.features.team.invitations import IssuedInvitation, is_invitation
from recorder.features.team.invitations import invitations as invitations_of
from recorder.identity import users
from recorder.mail.address import normalize_address
from recorder.playback.interface import Actor
from web.account.limits import limiter
from web.decorators import admins_only
from web.gate import gate
from web.state import current_visitor, login_required, now, page_faults, panel_state
from web.team.blueprint import blueprint
from web.team.operations import invitations, visitor_as_author
from web.text import team as text

log = structlog.get_logger()

REFUSALS = (CatalogueError, MailError, SealError)

LIMIT = limiter.limit(
    "60/hour", key_func=lambda: current_visitor().user.id, methods=["POST"], scope="invitations"
)
"""Each invitation may send a mail."""


def team_page(_view_args: object = None) -> str:
    """The address of the team page."""
    return url_for("team.show")


@blueprint.get("/team")
@login_required
@admins_only(back=team_page)
def show() -> str:
    tenant, labels = current_visitor().tenant, line_labels()
    people = [row for row in users.users(tenant.id) if row.revoked_at is None]
    people.sort(key=lambda row: row.name.casefold())
    return render_template(
        "team/show.html",
        people=people,
        extensions=extensions.extensions_of(tenant.id),
        downloaders=gate().downloaders(tenant.id),
        invited=invitations_of(tenant.id, page_faults()),
        labels=labels,
        text=text,
        now=now(),
        sends=panel_state().outbox.sends,
    )


@blueprint.route("/team/invite", methods=["GET", "POST"])
@login_required
@admins_only(back=team_page)
@LIMIT
def invite() -> Response | str | tuple[str, int]:
    """Invite somebody by mail, or by a link that is shown."""
    if request.method != "POST":
        entry = {"role": CUSTOMER, "language": current_visitor().tenant.language}
        return _invite_page(entry, {})
    entry = request.form.to_dict()
    if entry.get("language") not in panel_state().config.languages:
        entry["language"] = current_visitor().tenant.language
    errors: dict[str, str] = {}
    for check in (
        lambda: names.tidy(entry.get("name", ""), "the name", "user.name"),
        lambda: normalize_address(entry.get("address", "")),
        lambda: check_chosen(entry.get("role", ""), chosen_lines()),
        lambda: _typed_extensions(entry),
    ):
        try:
            check()
        except REFUSALS as error:
            errors |= refusal(error)
    if errors:
        return _invite_page(entry, errors), 422
    try:
        issued = invitations().invite(
            current_visitor().tenant.id,
            address=entry.get("address", ""),
            name=entry.get("name", ""),
            role=entry.get("role", ""),
            lines=chosen_lines(),
            extensions=_typed_extensions(entry),
            language=entry["language"],
            by=visitor_as_author(),
            mail=entry.get("how") != "link",
        )
    except REFUSALS as error:
        return _invite_page(entry, refusal(error)), 422
    return _issued(issued, entry.get("name", ""))


@blueprint.post("/team/invitations/<invitation_id>/renew")
@login_required
@admins_only(back=team_page)
@LIMIT
def renew(invitation_id: str) -> Response | str:
    """Send an invitation again, or show a new link."""
    _check_invitation(invitation_id)
    mail = request.form.get("how") != "link"
    name = next(
        (row.name for row in invitations_of(current_visitor().tenant.id) if row.id == invitation_id), ""
    )
    try:
        issued = invitations().renew(current_visitor().tenant.id, invitation_id, visitor_as_author(), mail)
    except REFUSALS as error:
        refusal(error)
        flash(_("This invitation has ended. Invite the person again."), "wrong")
        return redirect(team_page(), 303)
    return _issued(issued, name)


@blueprint.post("/team/invitations/<invitation_id>/withdraw")
@login_required
@admins_only(back=team_page)
def withdraw(invitation_id: str) -> Response:
    """Withdraw an invitation; repeating it changes nothing."""
    _check_invitation(invitation_id)
    try:
        invitations().withdraw(current_visitor().tenant.id, invitation_id, visitor_as_author())
    except CatalogueError as error:
        refusal(error)
    flash(_("The invitation was withdrawn."), "done")
    return redirect(team_page(), 303)


def _check_invitation(invitation_id: str) -> None:
    """Answer 404 for an invitation that never was this customer's."""
    if not is_invitation(current_visitor().tenant.id, invitation_id):
        abort(404)


def _issued(issued: IssuedInvitation, name: str) -> Response | str:
    if issued.mailed:
        flash(_("The invitation is on its way to %(address)s.", address=issued.address), "done")
        return redirect(team_page(), 303)
    link = public_link(issued.path)
    return render_template("team/link.html", link=link, name=name, address=issued.address, kind="invitation")


def public_link(path: str) -> str:
    """The address of a page, for somebody to pass on."""
    return f"{panel_state().outbox.panel or request.host_url.rstrip('/')}{path}"


def _invite_page(entry: dict[str, str], errors: dict[str, str]) -> str:
    return render_template(
        "team/invite.html",
        entry=entry,
        lines=chosen_lines(),
        errors=errors,
        labels=line_labels(ended=False),
        text=text,
        sends=panel_state().outbox.sends,
    )


def _typed_extensions(entry: Mapping[str, str]) -> tuple[str, ...]:
    return read_extensions(entry.get("extensions", ""), current_visitor().tenant.country)


def line_labels(*, ended: bool = True) -> dict[str, str]:
    """The customer's numbers as people call them, by the line's id."""
    from web.text import formats

    found = queries.lines(current_visitor().tenant.id, ended=ended, faults=page_faults())
    return {
        row.id: f"{row.label} ({formats.number(row.number)})" if row.label else formats.number(row.number)
        for row in found
    }


def may_download(person: UserRow) -> bool:
    """Whether somebody may download recordings."""
    return gate().why_no_download(Actor(person.id, person.tenant, person.role, person.language)) is None


def chosen_lines() -> list[str] | None:
    """The lines chosen in a form; ``None`` for all."""
    return request.form.getlist("lines") if request.form.get("sees") == "some" else None


def check_chosen(role: str, lines: list[str] | None) -> None:
    """Refuse a form that limits a colleague to no number. Raises :class:`CatalogueError`
    (``user.lines``)."""
    if role == CUSTOMER and lines == []:
        raise CatalogueError("user.lines", "no line is chosen", "choose one, or all")


def refusal(error: CatalogueError | MailError | SealError) -> dict[str, str]:
    """The sentences about a refused change, by field; the reason is logged for the operator."""
    if error.error_id == "catalogue.away":
        raise error
    write = log.error if isinstance(error, SealError) else log.info
    write("team.refused", error_id=error.error_id, error=error.message, hint=error.hint)
    return text.field_errors(error)
