"""The pages of guests: the invitation, which changes nothing until its form is sent, and their own page."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from flask import abort, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.catalogue import queries as catalogue
from recorder.catalogue.records import TenantRow, UserRow
from recorder.errors import AccordError, DisputeError, RetentionError, SealError
from recorder.features.disputes import queries
from recorder.features.disputes.deferrals import may_withdraw
from recorder.features.disputes.guest_calls import latest_call, latest_call_to_room
from recorder.features.disputes.invitations import OpenGuestLink
from recorder.features.disputes.rules import Dispute, Guest, erasure_waits_until
from recorder.identity import throttle, users
from recorder.identity.throttle import RateLimit
from recorder.seal.dispute_kinds import ACCEPTED, ANSWERS, DECLINED
from recorder.verification_calls import register
from web.account.limits import TooManyFailures, count_call, limit_grants
from web.account.sessions import close_session, open_session
from web.disputes.blueprint import blueprint
from web.disputes.calendar import LENGTH, calendar_file
from web.disputes.notes_views import notes_context
from web.disputes.operations import (
    REFUSALS,
    can_be_called,
    deletion_context,
    disputes,
    guest_calls,
    invitations,
    listed_names,
    own_dial_in,
    people_of,
    recordings_of,
    refusal,
)
from web.language import current_language, use_zone_of
from web.playback.retention_view import local_date
from web.state import changes, current_visitor, login_required, now, panel_state, visitor
from web.text import disputes as text
from web.text import errors, retention

CODES = RateLimit(5, 3600)
"""Attempts at the code that is read out with a link."""

log = structlog.get_logger()


@blueprint.route("/together/invitation/<token>", methods=["GET", "POST"])
def answer_invitation(token: str) -> ResponseReturnValue:
    """Show an invitation, or answer it: on a yes, the guest comes in."""
    try:
        link = invitations().open_link(token)
        return handle_invitation(
            link, partial(_answer_link, link), asks_code=link.guest.code_hash is not None
        )
    except (DisputeError, RetentionError, SealError) as error:
        return _ended(error, token)


def _answer_link(link: OpenGuestLink, answer: str, notice: str) -> UserRow | None:
    if answer == ACCEPTED:
        _check_code(link)
    return invitations().answer(link, answer, notice=notice, language=current_language())


def handle_invitation(
    link: OpenGuestLink, state_answer: Callable[[str, str], UserRow | None], *, asks_code: bool
) -> ResponseReturnValue:
    """Show an invitation, or state its form's answer together with what they were told: on a yes, the guest
    comes in. Raises what ``state_answer`` does."""
    g.guest_language = link.guest.language
    use_zone_of(_customer(link.dispute))
    if request.method != "POST":
        return _invitation(link, {}, asks_code)
    answer = request.form.get("answer", "")
    if answer not in ANSWERS:
        abort(400)
    time = _chosen_time(link.guest)
    try:
        user = state_answer(answer, "\n".join(_notice(link.dispute, link.guest)))
        if user is not None and time is not None:
            invitations().choose_time(user.tenant, link.dispute.id, link.guest.id, time)
    except (DisputeError, RetentionError) as error:
        if error.error_id not in ("dispute.wrong_code", "dispute.last_day", "retention.busy"):
            raise
        return _invitation(link, refusal(error), asks_code), 422
    log.info("dispute.answered", dispute=link.dispute.id, guest=link.guest.id, answer=answer)
    if user is None:
        return render_template(
            "disputes/declined.html", customer=_customer(link.dispute).name, guest=link.guest
        )
    response = redirect(url_for("disputes.welcome"), 303)
    open_session(response, user)
    return response


def _chosen_time(guest: Guest) -> datetime | None:
    """The time of the form, if it is one of those that were proposed."""
    return next((each for each in guest.times if each.isoformat() == request.form.get("time")), None)


def _check_code(link: OpenGuestLink) -> None:
    """Check the code that was read out; each attempt is counted first. Raises :class:`DisputeError`,
    :class:`TooManyFailures`."""
    if link.guest.code_hash is None:
        return
    text = f"guest-code\n{link.guest.token_sha256}"
    key = hmac.new(panel_state().config.secret_key, text.encode(), hashlib.sha256).hexdigest()
    if wait := throttle.take([(key, CODES)], now()):
        raise TooManyFailures(wait)
    invitations().check_code(link, request.form.get("code", "")[:40])
    throttle.give_back([(key, CODES)])


@blueprint.get("/together/welcome")
def welcome() -> ResponseReturnValue:
    """A guest's own page: what is left to do before they can listen, who hears it, and the way out. Whoever
    is not known to this browser any more has a link, and no password."""
    if visitor() is None:
        return render_template("disputes/link_needed.html"), 401
    return _welcome({})


@blueprint.post("/together/welcome/time")
@login_required
@limit_grants
def choose_time() -> ResponseReturnValue:
    """Choose one of the times that were proposed."""
    dispute, guest = _own()
    if (time := _chosen_time(guest)) is None:
        abort(400)
    try:
        invitations().choose_time(dispute.tenant, dispute.id, guest.id, time)
    except REFUSALS as error:
        return _welcome(refusal(error)), 422
    return redirect(url_for(".welcome"), 303)


@blueprint.get("/together/welcome/calendar.ics")
@login_required
def send_calendar() -> ResponseReturnValue:
    """The time that the guest chose, for their calendar."""
    dispute, guest = _own()
    if guest.time is None:
        abort(404)
    return calendar_file(dispute, guest, url_for(".welcome"), now())


@blueprint.post("/together/welcome/call")
@login_required
@limit_grants
def order_call() -> ResponseReturnValue:
    """Have the number in the recording called with a code."""
    dispute, guest = _own()
    try:
        with count_call():
            guest_calls().order(dispute.tenant, dispute.id, guest.id)
    except REFUSALS as error:
        return _welcome(refusal(error)), 422
    return redirect(url_for(".welcome", _anchor="code"), 303)


@blueprint.post("/together/welcome/room-call")
@login_required
@limit_grants
def order_room_call() -> ResponseReturnValue:
    """Have the number in the recording called, to listen by telephone."""
    dispute, guest = _own()
    if not _can_be_called(dispute, guest):
        abort(404)
    try:
        with count_call():
            guest_calls().order_to_room(dispute.tenant, dispute.id, guest.id)
    except REFUSALS as error:
        return _welcome(refusal(error)), 422
    return redirect(url_for(".welcome", _anchor="room"), 303)


@blueprint.post("/together/welcome/code")
@login_required
@limit_grants
def check_call_code() -> ResponseReturnValue:
    """Check the code that the person was told on the telephone."""
    dispute, guest = _own()
    try:
        code = request.form.get("code", "")[:40]
        if not guest_calls().try_code(dispute.tenant, dispute.id, guest.id, code):
            raise register.wrong_code()
    except REFUSALS as error:
        return _welcome(refusal(error)), 422
    return redirect(url_for("rooms.show_room", dispute_id=dispute.id), 303)


@blueprint.post("/together/welcome/leave")
@login_required
def leave() -> ResponseReturnValue:
    """Leave for good."""
    dispute, guest = _own()
    invitations().leave(dispute.tenant, dispute.id, guest.id)
    response = redirect(url_for(".goodbye", language=current_language()), 303)
    close_session(response)
    return response


@blueprint.post("/together/welcome/withdraw")
@login_required
def withdraw_consent() -> ResponseReturnValue:
    """Withdraw consent to the recording, and leave for good."""
    dispute, guest = _own()
    reason = str(_("Withdrawn on the page of the invitation."))
    try:
        invitations().withdraw_consent(dispute.tenant, dispute.id, guest.id, reason)
    except REFUSALS as error:
        return _welcome(refusal(error)), 422
    response = redirect(url_for(".goodbye", language=current_language(), withdrawn="yes"), 303)
    close_session(response)
    return response


@blueprint.get("/together/goodbye")
def goodbye() -> str:
    """What follows from leaving, or from withdrawing one's consent, in the language of who left."""
    g.guest_language = request.args.get("language")
    return render_template("disputes/goodbye.html", is_withdrawn="withdrawn" in request.args)


def _welcome(errors: Mapping[str, str]) -> str:
    dispute, guest = _own()
    customer = _customer(dispute)
    return render_template(
        "disputes/welcome.html",
        dispute=dispute,
        guest=guest,
        customer=customer,
        recordings=recordings_of(dispute),
        notice=_notice(dispute, guest),
        room_call=_room_call(dispute, guest),
        by_phone=own_dial_in(dispute, guest.id) if guest.may_hear else None,
        callable=can_be_called(register.DISPUTE, dispute.tenant, guest.number),
        call=register.refresh(latest_call(dispute.tenant, guest.id), now(), panel_state().entropy)
        if guest.verified_how is None
        else None,
        text=text,
        errors=errors,
        times=tuple(each for each in guest.times if each > now()),
        time=guest.time if guest.time is not None and guest.time + LENGTH > now() else None,
        withdraws=_withdraws(dispute, guest),
        **deletion_context(dispute, people_of(dispute)),
        notes=notes_context(dispute) if guest.may_hear and not guest.is_third_party else None,
        now=now(),
        today=local_date(now()),
    )


def _can_be_called(dispute: Dispute, guest: Guest) -> bool:
    """Whether a guest can have the number of the call called, to listen by telephone."""
    is_in_the_call = panel_state().dial_in is not None and guest.may_hear and not guest.is_third_party
    return is_in_the_call and can_be_called(register.ROOM, dispute.tenant, guest.number)


def _room_call(dispute: Dispute, guest: Guest) -> dict[str, Any] | None:
    """What the page says of the call to the room; ``None`` for somebody whom nobody calls."""
    if guest.number is None or not _can_be_called(dispute, guest):
        return None
    call = register.refresh(latest_call_to_room(dispute.tenant, guest.id), now(), panel_state().entropy)
    if call is not None and now() > call.until + register.VALID:  # an old one is no news
        call = None
    return {"latest": call, "left": panel_state().call_policy.calls_left(guest.number, now())}


def _withdraws(dispute: Dispute, guest: Guest) -> bool:
    """Whether the guest is the person who was recorded, and something rests on their consent."""
    if not guest.may_hear or guest.is_third_party:
        return False
    return any(may_withdraw(changes(), dispute.tenant, each) for each in dispute.recording_ids)


def _own() -> tuple[Dispute, Guest]:
    """The dispute of the visitor, who is a guest, and their part in it; 404 for anybody else."""
    user = current_visitor().user
    dispute_id = queries.find_guest(user.tenant, user.id)
    if dispute_id is None:
        abort(404)
    dispute = disputes().find(user.tenant, dispute_id)
    return dispute, dispute.find_guest(user.id)


def _notice(dispute: Dispute, guest: Guest) -> tuple[str, ...]:
    """What a guest is told, in their language."""
    names = people_of(dispute)
    opener = names.get(dispute.opened_by.id or "", "")
    others = [each.name for each in dispute.guests if each.takes_part and each.id != guest.id]
    customer = _customer(dispute).name
    hearers = listed_names([guest.name, *others, f"{opener} ({customer})" if opener else customer])
    waits = guest.erasure_waits_until or erasure_waits_until(dispute, guest, ACCEPTED, now())
    return text.notice(
        dispute, guest, customer=customer, hearers=hearers,
        purposes=retention.purpose_list(dispute.purposes), waits=waits,
    )  # fmt: skip


def _invitation(link: OpenGuestLink, errors: Mapping[str, str], asks_code: bool) -> str:
    """The page of an invitation; with ``asks_code``, whoever has its link must know the code that was read
    out with it, too."""
    return render_template(
        "disputes/invitation.html",
        dispute=link.dispute,
        guest=link.guest,
        asks_code=asks_code,
        declined=link.guest.answer == DECLINED,
        **_inviter(link.dispute, link.guest),
        notice=_notice(link.dispute, link.guest),
        recordings=recordings_of(link.dispute),
        times=tuple(each for each in link.guest.times if each > now()),
        by_phone=None if asks_code else own_dial_in(link.dispute, link.guest.id),
        errors=errors,
    )


def _inviter(dispute: Dispute, guest: Guest) -> dict[str, TenantRow | UserRow | None]:
    """The customer who invited a guest, and the colleague, who may have left since."""
    inviter = users.user(dispute.tenant, guest.invited_by.id or "")
    return {"customer": _customer(dispute), "inviter": inviter}


def _customer(dispute: Dispute) -> TenantRow:
    found = catalogue.tenant(dispute.tenant)
    if found is None:
        abort(404)
    return found


def _ended(error: AccordError, token: str) -> tuple[str, int]:
    """Why a link leads nowhere; whoever has it learns whom to ask, as the invitation said so, too."""
    if error.error_id == "catalogue.away":
        raise error
    log.info("dispute.link_not_open", error_id=error.error_id, error=error.message)
    inviter = dict[str, TenantRow | UserRow | None]()
    with suppress(DisputeError, SealError):
        dispute, guest = invitations().find_invitation(token)
        g.guest_language, inviter = guest.language, _inviter(dispute, guest)
    why = errors.error(error.error_id, "dispute.unknown_link")
    return render_template("disputes/ended.html", why=why, **inviter), 410
