"""The page of notifications: an admin's, and what a colleague was handed; marking them as read; and the
choice of how to be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import structlog
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.sansio.blueprints import BlueprintSetupState
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from recorder.clock import from_iso, to_iso
from recorder.domain.roles import ADMIN, CUSTOMER
from recorder.errors import CatalogueError, DisputeError, SealError
from recorder.features.notifications import queries, rules, service
from recorder.features.notifications.sentences import CauseSentences, explain_cause
from web.decorators import admins_only
from web.disputes.operations import disputes, people_of
from web.language import current_language
from web.state import current_visitor, login_required, now, visitor
from web.text import disputes as dispute_text
from web.text import notifications as sentences
from web.text.sentences import labels

log = structlog.get_logger()

blueprint = Blueprint("notifications", __name__, template_folder="templates")

for_colleagues = admins_only(lambda _view_args: "/", (ADMIN, CUSTOMER))


@dataclass(frozen=True, slots=True)
class ListedNotification:
    """A notification as the page shows it; ``address`` is where it leads, empty for nowhere, ``change``
    its last change, and ``title`` what it is about where its row does not say it."""

    row: rules.Notification
    words: CauseSentences
    unread: bool
    address: str
    action: str
    change: str
    title: str = ""


@blueprint.record_once
def init_templates(state: BlueprintSetupState) -> None:
    """Give templates the count for the bell, and the sentences about notifications."""
    functions = (sentences.notification_title, sentences.notification_state, sentences.notification_time)
    words = cast(dict[str, object], state.app.jinja_env.globals["words"])
    words.update({each.__name__: each for each in functions})
    state.app.jinja_env.globals["unread_notifications"] = unread_notifications


def unread_notifications() -> int | None:
    """How many notifications the visitor has not read; ``None`` for somebody who gets none."""
    found = visitor()
    if found is None or found.user.role not in (ADMIN, CUSTOMER) or found.limited:
        return None
    try:
        return service.count_unread(found.tenant.id, found.user.id, now(), admin=found.admin)
    except CatalogueError:  # this may be the page that says so
        return 0


@blueprint.get("/notifications")
@login_required
@for_colleagues
def show() -> str:
    """What there is to know, open ones first."""
    found = current_visitor()
    tenant, user = found.tenant.id, found.user.id
    rows, marks = (
        service.list_notifications(tenant, user, now(), admin=found.admin),
        service.read_marks(tenant, user),
    )
    listed = [_listed(row, unread=not marks.is_read(row.id, row.changed_at)) for row in rows]
    return render_template(
        "notifications/show.html",
        listed=listed,
        unread=any(each.unread for each in listed),
        lines=queries.line_names(tenant),
        until=to_iso(max((row.changed_at for row in rows), default=now())),
    )


@blueprint.post("/notifications/read")
@login_required
@for_colleagues
def mark_all_read() -> Response:
    """Mark as read what the page showed; what has come meanwhile stays unread."""
    user = current_visitor().user
    service.mark_all_read(user.tenant, user.id, min(_time_of_form("until"), now()))
    return redirect(url_for(".show"), 303)


@blueprint.post("/notifications/<notification_id>/read")
@login_required
@for_colleagues
def mark(notification_id: str) -> Response:
    """Mark one notification, as the page showed it, as read or as unread."""
    user, change = current_visitor().user, _time_of_form("change")
    is_read = request.form.get("read") == "yes"
    own = (rules.HANDOVER, rules.DISPUTE_NEWS)
    if not current_visitor().admin and not notification_id.startswith(own):
        abort(404)
    try:
        service.mark(user.tenant, user.id, notification_id, change, now(), is_read=is_read)
    except LookupError:
        abort(404)
    return redirect(url_for(".show", _anchor=f"n-{notification_id}"), 303)


def _time_of_form(name: str) -> datetime:
    try:
        return from_iso(request.form.get(name, ""))
    except ValueError:
        abort(400)


@blueprint.post("/notifications/choices")
@login_required
@for_colleagues
def change_choices() -> Response:
    """Choose how to be told, from the account page."""
    user = current_visitor().user
    kinds = rules.KINDS if current_visitor().admin else rules.COLLEAGUES_KINDS
    try:
        choices = {kind: request.form.get(kind, "") for kind in kinds}
        service.set_choices(user.tenant, user.id, choices, kinds)
    except ValueError:
        abort(400)
    flash(_("Saved."))
    return redirect(url_for("account.show", _anchor="notifications"), 303)


def _listed(row: rules.Notification, unread: bool) -> ListedNotification:
    if row.kind == rules.DISPUTE_NEWS:
        return _listed_news(row, unread)
    tenant = current_visitor().tenant
    words = (
        sentences.explain_handover(row)
        if row.kind == rules.HANDOVER
        else explain_cause(row.cause, row.data, current_language(), tenant.time_zone)
    )
    return ListedNotification(row, words, unread, _address(row), _action(row), to_iso(row.changed_at))


def _listed_news(row: rules.Notification, unread: bool) -> ListedNotification:
    """What is new in a dispute, as its statements say: its row only names it. One that cannot be read, or
    that the visitor no longer handles, says nothing."""
    words, address, subject = CauseSentences("", ""), "", ""
    try:
        dispute = disputes().find_handled(current_visitor().user, row.data["dispute"])
    except (DisputeError, SealError) as error:
        log.info("notification.left_out", dispute=row.data["dispute"], error_id=error.error_id)
    else:
        step = next((each for each in dispute.statements if each.number == row.data["number"]), None)
        sentence = "" if step is None else dispute_text.step(dispute, step, people_of(dispute))
        words, subject = CauseSentences(sentence, ""), dispute.subject
        address = url_for("disputes.show", dispute_id=dispute.id)
    return ListedNotification(row, words, unread, address, _action(row), to_iso(row.changed_at), subject)


def _address(row: rules.Notification) -> str:
    request_id = str(row.data.get("request", ""))
    addresses: Mapping[str, tuple[str, dict[str, Any]]] = {
        rules.HANDOVER: ("call_list.list_calls", {"handed": "yes"}),
        rules.SWITCHED_OFF: ("numbers.show", {}),
        rules.ARCHIVE: ("offboarding.show", {}),
        rules.HOLD: ("playback.show_recording", {"recording_id": row.recording or "-"}),
        rules.REQUEST: ("subject_requests.show", {"request_id": request_id}),
        rules.PROPOSAL: ("numbers.show_proposal", {"line_id": row.line or "-"}),
        rules.LEGAL_DUTY: ("subject_requests.show", {"request_id": request_id}),
    }
    if row.cause in rules.CALL_CAUSES:
        reason = None if row.cause == rules.SET_ASIDE else row.cause
        return url_for("call_list.list_calls", line=row.line, show="not-recorded", reason=reason)
    endpoint, values = addresses.get(row.cause, ("", {}))
    return url_for(endpoint, **values) if endpoint else ""


def _action(row: rules.Notification) -> str:
    if row.cause in rules.CALL_CAUSES:
        return str(_("Show these calls"))
    if row.cause == rules.SWITCHED_OFF:
        return str(_("Go to Numbers"))
    return labels("notification_action").get(row.cause, "")
