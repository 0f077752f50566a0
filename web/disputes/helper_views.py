"""Somebody who helps: a neutral person or the provider's support, named by the customer, for some passages,
once the other side agrees."""

from __future__ import annotations

from collections.abc import Mapping

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.catalogue import change_messages
from recorder.catalogue import queries as catalogue
from recorder.domain.roles import NEUTRAL, SUPPORT
from recorder.errors import DisputeError, SealError
from recorder.features.disputes import queries
from recorder.features.disputes.rules import Dispute, Guest
from recorder.features.rooms.service import CHANNEL
from web.account.limits import limit_grants, limit_refusals
from web.decorators import admins_only
from web.disputes.blueprint import blueprint
from web.disputes.operations import REFUSALS, disputes, find_dispute, invitations, refusal
from web.disputes.views import LIMIT, find_handled, handlers_only, show_issued
from web.playback.retention_view import local_date
from web.state import current_visitor, login_required, now, panel_state
from web.text import disputes as text

for_support = admins_only(lambda _view_args: "/", (SUPPORT,))


@blueprint.route("/together/<dispute_id>/help", methods=["GET", "POST"])
@login_required
@handlers_only
@limit_refusals
@LIMIT
def ask_for_help(dispute_id: str) -> ResponseReturnValue:
    """Name somebody who was not in the call, and the passages that they are to hear."""
    dispute = find_handled(dispute_id)
    if request.method != "POST":
        return _help_page(dispute, {"language": current_visitor().user.language, "role": NEUTRAL}, {})
    entry, service, person = request.form, invitations(), current_visitor().user
    passages = entry.getlist("passages")
    try:
        if entry.get("role") == SUPPORT:
            name = str(_("Support"))
            service.call_support(person, dispute.id, passages, name=name)
            change_messages.send(CHANNEL, dispute.id)
            flash(_("Support was asked, and can listen once the other person agrees."), "done")
            return redirect(url_for(".show", dispute_id=dispute.id), 303)
        address = entry.get("address", "").strip()
        by_mail = panel_state().outbox.sends and entry.get("how") != "link" and bool(address)
        issued = service.invite_neutral(
            person, dispute.id, passages, name=entry.get("name", ""), language=entry.get("language", ""),
            address=address if by_mail else None,
        )  # fmt: skip
    except REFUSALS as error:
        return _help_page(dispute, entry, refusal(error), passages), 422
    change_messages.send(CHANNEL, dispute.id)
    return show_issued(dispute, issued, entry.get("name", ""))


def _help_page(
    dispute: Dispute, entry: Mapping[str, str], errors: Mapping[str, str], selection: list[str] | None = None
) -> str:
    return render_template(
        "disputes/help.html", dispute=dispute, entry=entry, errors=errors, selection=selection or [],
        sends=panel_state().outbox.sends,
    )  # fmt: skip


@blueprint.get("/differences")
@login_required
@for_support
def show_queue() -> str:
    """The disputes that the provider's support was called to and both sides let it help with."""
    found = []
    for tenant, dispute_id in queries.disputes_for_support():
        try:
            dispute = disputes().find(tenant, dispute_id)
        except (DisputeError, SealError) as error:
            refusal(error)  # the others are shown
            continue
        guest = _support_of(dispute)
        if guest is not None:
            found.append((dispute, guest, catalogue.tenant(tenant)))
    return render_template("disputes/queue.html", rows=found, text=text, today=local_date(now()))


@blueprint.route("/differences/<dispute_id>", methods=["GET", "POST"])
@login_required
@for_support
@limit_refusals
@limit_grants
def enter_room(dispute_id: str) -> ResponseReturnValue:
    """Say why one comes in, each time; then the room opens."""
    try:
        dispute = find_dispute(dispute_id)
    except (DisputeError, SealError) as error:
        refusal(error)
        abort(404)
    guest, errors = _support_of(dispute), dict[str, str]()
    if guest is None:
        abort(404)
    if request.method == "POST":
        try:
            invitations().enter(
                current_visitor().user, dispute.tenant, dispute.id, guest.id, request.form.get("reason", "")
            )
        except REFUSALS as error:
            errors = refusal(error)
        else:
            return redirect(url_for("rooms.show_room", dispute_id=dispute.id), 303)
    page = render_template(
        "disputes/enter.html", dispute=dispute, customer=catalogue.tenant(dispute.tenant), errors=errors,
        passages=[each for each in dispute.passages if each.id in guest.passages],
        reason=request.form.get("reason", ""),
    )  # fmt: skip
    return page, 422 if errors else 200


def _support_of(dispute: Dispute) -> Guest | None:
    """The place of support in a dispute, once the other side has agreed to it."""
    return next((each for each in dispute.guests if each.role == SUPPORT and each.is_admitted), None)
