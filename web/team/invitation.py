"""The page that an invitation leads to. Opening it changes nothing, because mail scanners open links; sending
its form accepts the invitation."""

from __future__ import annotations

import structlog
from flask import g, render_template, request
from werkzeug.wrappers import Response

from recorder.catalogue import queries
from recorder.errors import CatalogueError
from recorder.seal.invitation import Invitation
from web.account.passwords import hash_new_password
from web.account.views import complete_log_in
from web.team.blueprint import blueprint
from web.team.operations import invitations
from web.team.views import REFUSALS, refusal
from web.text import team as text

log = structlog.get_logger()


@blueprint.route("/invitation/<token>", methods=["GET", "POST"])
def accept(token: str) -> Response | str | tuple[str, int]:
    """Show an invitation; with a password, accept it and log in."""
    try:
        found = invitations().open(token)
    except CatalogueError as error:
        return _ended(error)
    g.guest_language = found.language
    if request.method != "POST":
        return _page(found, {})
    password = request.form.get("password", "")
    try:
        hashed = hash_new_password(password, found.address, found.name, _customer(found))
        person = invitations().accept(token, hashed)
    except REFUSALS as error:
        if text.is_ended(error.error_id):
            return _ended(error)
        return _page(found, refusal(error)), 422
    log.info("invitation.accepted", user=person.id, tenant=person.tenant)
    return complete_log_in(person, person.login, None)


def _customer(found: Invitation) -> str:
    tenant = queries.tenant(found.tenant)
    return "" if tenant is None else tenant.name


def _page(found: Invitation, errors: dict[str, str]) -> str:
    return render_template(
        "team/invitation.html", invitation=found, customer=_customer(found), errors=errors, text=text
    )


def _ended(error: Exception) -> tuple[str, int]:
    error_id = getattr(error, "error_id", "")
    if error_id == "catalogue.away":
        raise error
    log.info("invitation.not_open", error_id=error_id)
    return render_template("team/ended.html", why=text.ended(error_id), reset=False), 410
