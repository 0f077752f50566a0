"""Shared by the retention views: blueprint, decorators, the author of a statement."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from functools import wraps
from typing import cast

from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from recorder.domain.roles import ADMIN
from recorder.errors import RetentionError
from recorder.features.notifications import handover
from recorder.identity import users
from recorder.seal.amendment import By
from web.decorators import admins_only
from web.playback.call_page import FilledForm, render_call
from web.state import View, changes, current_visitor, now, panel_state

blueprint = Blueprint("retention", __name__, template_folder="templates")


def _limits_url(_view_args: Mapping[str, object]) -> str:
    return url_for("retention.show_limits")


for_admins = admins_only(back=_limits_url)


def on_call_page(form: str, roles: Container[str] = (ADMIN,)) -> Callable[[View], View]:
    """Decorates views that change a recording, for users with one of ``roles``.  An operation that is refused
    (:class:`RetentionError`) gives the call page with this form as it was sent, and why."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(recording_id: str) -> object:
            if current_visitor().user.role not in roles:
                abort(403)
            try:
                return view(recording_id)
            except RetentionError as error:
                filled = FilledForm(form.format(hold=hold_number()), request.form, error.error_id, code=403)
                return render_call(recording_id, filled)

        return cast(View, guarded)

    return guard


def hold_number() -> int:
    """The hold that the form names; 0, which no hold has, if it names none."""
    number = request.form.get("hold", "")
    return int(number) if number.isascii() and number.isdigit() and len(number) < 5 else 0


def author() -> By:
    """The visitor as the author of an amendment."""
    return By("user", current_visitor().user.id)


def tell(handler: str, number: int = 1) -> None:
    """Tell a colleague by mail that the visitor asked them to handle a number of recordings."""
    state, visitor = panel_state(), current_visitor()
    person = None if handler == visitor.user.id else users.user(visitor.tenant.id, handler)
    if person is not None:
        handover.tell_handler(
            person, visitor.user, visitor.tenant, number, state.outbox, changes().trust, now(), state.entropy
        )


def redirect_to_recording(recording_id: str, anchor: str = "more") -> ResponseReturnValue:
    """Redirect to the recording's page."""
    return redirect(url_for("playback.show_recording", recording_id=recording_id, _anchor=anchor), 303)
