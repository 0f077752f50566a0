"""The pages of disputes for the customer's people: the list, opening one, inviting, and its own page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale
from flask_babel import gettext as _

from recorder.catalogue import queries as catalogue
from recorder.catalogue.records import RecordingRow
from recorder.domain.parties import E164, Party
from recorder.domain.roles import EXTERNAL_PARTY
from recorder.errors import DisputeError
from recorder.features.disputes import queries
from recorder.features.disputes.dial_in import grouped
from recorder.features.disputes.invitations import MOST_TIMES, IssuedGuestLink
from recorder.features.disputes.rules import MOST_RECORDINGS, Dispute, Guest
from recorder.features.disputes.service import HANDLERS, LONGEST
from recorder.features.subject_requests import service
from recorder.features.subject_requests.rules import DECLINED
from recorder.features.subject_requests.service import ListeningRequest, find_proposal
from recorder.isolation import isolate_object
from recorder.mail.message import MailSection
from recorder.playback import call_history
from recorder.seal.dispute_kinds import SETTLED, UNSETTLED
from recorder.verification_calls import register
from web.account.limits import limit_grants, limit_refusals, limiter
from web.decorators import admins_only
from web.disputes.blueprint import blueprint
from web.disputes.calendar import calendar_file
from web.disputes.notes_views import notes_context
from web.disputes.operations import (
    REFUSALS,
    can_be_called,
    deletion_context,
    dial_in_sentence,
    disputes,
    invitations,
    orders,
    own_dial_in,
    people_of,
    recordings_of,
    refusal,
)
from web.gate import gate, who
from web.language import LOCALES, zone_name
from web.playback.retention_view import local_date, zone
from web.state import current_visitor, login_required, now, page_faults, panel_state
from web.team.views import public_link
from web.text import disputes as text
from web.text import formats

AROUND = timedelta(days=60)
"""How long before and after a call others can be that a dispute is about as well."""

DEFAULT_DAYS = timedelta(days=14)
"""Proposed until a dispute is to be settled: soon, while both remember."""

LIMIT = limiter.limit(
    "30/hour", key_func=lambda: current_visitor().user.id, methods=["POST"], scope="dispute invitations"
)
"""Each invitation may send a mail."""


def _list_page(_view_args: object = None) -> str:
    return url_for("disputes.list_disputes")


handlers_only = admins_only(back=_list_page, roles=HANDLERS)

_admins_only = admins_only(back=_list_page)


@blueprint.get("/together")
@login_required
@handlers_only
def list_disputes() -> str:
    """The disputes whose calls the visitor sees."""
    tenant = current_visitor().tenant.id
    service = disputes()
    rows = []
    for dispute in queries.dispute_ids(tenant):
        with isolate_object(page_faults(), "dispute.unreadable", dispute, dispute=dispute):
            found = service.find(tenant, dispute)
            if _handles(found):
                rows.append(found)
    rows.sort(key=_place)
    return render_template("disputes/list.html", disputes=rows, text=text, now=now(), today=_today())


def _place(dispute: Dispute) -> tuple[bool, float, str]:
    """Where a dispute is in the list: open ones first, by the day by which they are to be settled; then
    closed ones, the latest first."""
    if dispute.closed_at is not None:
        return True, -dispute.closed_at.timestamp(), dispute.id
    return False, dispute.settle_by.toordinal(), dispute.id


@blueprint.route("/recordings/<recording_id>/together", methods=["GET", "POST"])
@login_required
@handlers_only
@limit_refusals
@limit_grants
def open_dispute(recording_id: str) -> ResponseReturnValue:
    """Open a dispute about a call."""
    status = gate().facts(who(), recording_id).status  # also for those who may not see this call
    others, proposal = _other_calls(status.row), find_proposal(status.row.tenant, recording_id)
    also = [each.id for each in others if each.id in request.form.getlist("recordings")]
    usual = (_today() + DEFAULT_DAYS).isoformat()
    entry = {"settle_by": usual} if request.method != "POST" else request.form.to_dict()
    errors: dict[str, str] = {}
    if proposal is not None and request.form.get("answer") == DECLINED:
        _close_proposal(proposal, DECLINED)
        flash(_("The other person sees that you do not want to listen together."), "done")
        return redirect(url_for("playback.show_recording", recording_id=recording_id), 303)
    if request.method == "POST":
        try:
            times = _proposed_times(entry)
            found = disputes().open(
                current_visitor().user,
                [recording_id, *also],
                subject=entry.get("subject", ""),
                settle_by=_parse_day(entry.get("settle_by", "")),
            )
        except REFUSALS as error:
            errors = refusal(error)
        else:
            if proposal is not None:
                _invite_proposer(found, proposal, times)
            return redirect(url_for(".show", dispute_id=found.id), 303)
    page = render_template(
        "disputes/open.html", recording=status.row, can_hold=bool(status.may_hold()),
        others=others, also=also, can_agree=status.why_not_agree() is None, entry=entry,
        errors=errors, today=_today(), latest=_today() + LONGEST, proposal=proposal, most_times=MOST_TIMES,
        earliest=_local_time(now()),
    )  # fmt: skip
    return page, 422 if errors else 200


def _invite_proposer(dispute: Dispute, proposal: ListeningRequest, times: list[datetime]) -> None:
    """Invite the person who proposed it on the page of their own call: they answer there."""
    name = formats.party(Party(E164, proposal.number))
    invitations().invite(
        current_visitor().user,
        dispute.id,
        name=name,
        language=proposal.row.language,
        address=None,
        times=times,
    )
    _close_proposal(proposal, "answered")


def _close_proposal(proposal: ListeningRequest, how: str) -> None:
    service.close(
        proposal.tenant, proposal.id, how=how, who=current_visitor().user.id, now=now(),
        entropy=panel_state().entropy,
    )  # fmt: skip


def _other_calls(row: RecordingRow) -> list[RecordingRow]:
    """Calls with the same person around the same time that the visitor sees, latest first."""
    party = row.external_party
    if party is None or party.kind != E164:
        return []
    found = catalogue.recordings(
        row.tenant, party=party.value, scope=current_visitor().user.lines, limit=MOST_RECORDINGS,
        since=row.started_at - AROUND, until=row.started_at + AROUND,
    )  # fmt: skip
    return [each for each in found.rows if each.external_party == party and each.id != row.id]


@blueprint.get("/together/<dispute_id>")
@login_required
@handlers_only
@limit_refusals
def show(dispute_id: str) -> str:
    return _page(find_handled(dispute_id))


def _page(dispute: Dispute, errors: Mapping[str, str] | None = None, failed: str = "") -> str:
    """A dispute's page; ``failed`` names the form that was refused, with ``errors`` beside it."""
    tenant, names = current_visitor().tenant, people_of(dispute)
    return render_template(
        "disputes/show.html",
        dispute=dispute,
        recordings=recordings_of(dispute),
        names=names,
        steps=_steps(dispute, names),
        text=text,
        errors=errors or {},
        failed=failed,
        form=request.form,
        me=current_visitor().user.id,
        now=now(),
        today=_today(),
        latest=_today() + LONGEST,
        callable=partial(can_be_called, register.DISPUTE, dispute.tenant),
        tenant=tenant,
        **deletion_context(dispute, names),
        hears=disputes().may_hear(current_visitor().user, dispute),
        by_phone=own_dial_in(dispute, current_visitor().user.id),
        notes=notes_context(dispute),
        sends=panel_state().outbox.sends,
        alone=disputes().is_alone(current_visitor().user, dispute),
        may_hand_over=gate().why_no_download(who()) is None,
    )


def _steps(dispute: Dispute, names: Mapping[str, str]) -> list[tuple[datetime, str]]:
    """What happened, and who listened, latest first."""
    found = [(each.at, text.step(dispute, each, names)) for each in dispute.statements]
    for recording in dispute.recording_ids:
        for entry in call_history.history(dispute.tenant, recording):
            if entry.how != call_history.LISTENED or entry.at < dispute.opened_at:
                continue
            found.append((entry.at, text.listened(names.get(entry.user, entry.name), entry.heard_ms)))
    return sorted(found, key=lambda each: each[0], reverse=True)


@blueprint.route("/together/<dispute_id>/invite", methods=["GET", "POST"])
@login_required
@handlers_only
@limit_refusals
@LIMIT
def invite(dispute_id: str) -> ResponseReturnValue:
    """Invite the other person, by mail or with a link and a code to pass on."""
    dispute = find_handled(dispute_id)
    if request.method != "POST":
        return _invite_page(dispute, {"language": current_visitor().tenant.language}, {})
    entry = request.form.to_dict()
    language = entry.get("language", "")
    try:
        times = _proposed_times(entry)
        issued = invitations().invite(
            current_visitor().user,
            dispute.id,
            name=entry.get("name", ""),
            language=language,
            address=None if entry.get("how") == "link" else entry.get("address", ""),
            times=times,
            sections=call_sections(_starts(dispute), times, language),
        )
    except REFUSALS as error:
        return _invite_page(dispute, entry, refusal(error)), 422
    return show_issued(dispute, issued, entry.get("name", ""))


def _invite_page(dispute: Dispute, entry: Mapping[str, str], errors: Mapping[str, str]) -> str:
    return render_template(
        "disputes/invite.html", dispute=dispute, entry=entry, errors=errors, most_times=MOST_TIMES,
        sends=panel_state().outbox.sends, earliest=_local_time(now()),
    )  # fmt: skip


@blueprint.post("/together/<dispute_id>/guests/<guest_id>/renew")
@login_required
@handlers_only
@limit_refusals
@LIMIT
def renew_invitation(dispute_id: str, guest_id: str) -> ResponseReturnValue:
    """Send an invitation again, or show a new link."""
    dispute = find_handled(dispute_id)
    guest = _guest(dispute, guest_id)
    try:
        by_mail = request.form.get("how") != "link" and guest.address is not None
        times = [each for each in guest.times if each > now()]
        calls = _starts(dispute) if guest.role == EXTERNAL_PARTY else []
        issued = invitations().renew_invitation(
            current_visitor().user,
            dispute.id,
            guest_id,
            address=guest.address if by_mail else None,
            times=times,
            sections=call_sections(calls, times, guest.language),
        )
    except REFUSALS as error:
        return _page(dispute, refusal(error), guest_id), 422
    return show_issued(dispute, issued, guest.name)


@blueprint.post("/together/<dispute_id>/guests/<guest_id>/dial-code")
@login_required
@handlers_only
@limit_refusals
@LIMIT
def renew_dial_code(dispute_id: str, guest_id: str) -> ResponseReturnValue:
    """Give a guest another code for the telephone, and show it."""
    dispute = find_handled(dispute_id)
    guest = _guest(dispute, guest_id)
    try:
        issued = invitations().renew_dial_code(current_visitor().user, dispute.id, guest_id)
    except REFUSALS as error:
        return _page(dispute, refusal(error), guest_id), 422
    if issued is None:
        abort(404)
    return render_template(
        "disputes/dial_code.html", dispute=dispute, name=guest.name, code=grouped(issued.code),
        is_mailed=issued.mailed,
    )  # fmt: skip


def show_issued(dispute: Dispute, issued: IssuedGuestLink, name: str) -> ResponseReturnValue:
    if issued.mailed:
        flash(_("The invitation is on its way to %(name)s.", name=name), "done")
        return redirect(url_for(".show", dispute_id=dispute.id), 303)
    return render_template(
        "disputes/link.html", dispute=dispute, link=public_link(issued.path), code=issued.code, name=name,
        by_phone=dial_in_sentence(issued.dial_code),
    )  # fmt: skip


@blueprint.get("/together/<dispute_id>/guests/<guest_id>/calendar.ics")
@login_required
@handlers_only
@limit_refusals
def send_guest_time(dispute_id: str, guest_id: str) -> ResponseReturnValue:
    """The time that a guest chose, for a colleague's calendar."""
    dispute = find_handled(dispute_id)
    guest = _guest(dispute, guest_id)
    if guest.time is None:
        abort(404)
    return calendar_file(dispute, guest, url_for(".show", dispute_id=dispute.id), now())


@blueprint.post("/together/<dispute_id>/guests/<guest_id>/withdraw")
@login_required
@handlers_only
@limit_refusals
def withdraw_invitation(dispute_id: str, guest_id: str) -> ResponseReturnValue:
    dispute = find_handled(dispute_id)
    try:
        invitations().withdraw_invitation(current_visitor().user, dispute.id, _guest(dispute, guest_id).id)
    except REFUSALS as error:
        return _page(dispute, refusal(error), guest_id), 422
    flash(_("The invitation was withdrawn."), "done")
    return redirect(url_for(".show", dispute_id=dispute.id), 303)


@blueprint.post("/together/<dispute_id>/guests/<guest_id>/vouch")
@login_required
@handlers_only
@limit_refusals
@limit_grants
def vouch(dispute_id: str, guest_id: str) -> ResponseReturnValue:
    """Say how one recognised the person."""
    dispute = find_handled(dispute_id)
    guest, reason = _guest(dispute, guest_id), request.form.get("reason", "")
    try:
        invitations().vouch(current_visitor().user, dispute.id, guest.id, reason)
    except REFUSALS as error:
        return _page(dispute, refusal(error), f"vouch-{guest_id}"), 422
    return redirect(url_for(".show", dispute_id=dispute.id), 303)


@blueprint.post("/together/<dispute_id>/reschedule")
@login_required
@handlers_only
@limit_refusals
@limit_grants
def reschedule(dispute_id: str) -> ResponseReturnValue:
    dispute = find_handled(dispute_id)
    try:
        day = _parse_day(request.form.get("settle_by", ""))
        disputes().reschedule(current_visitor().user, dispute.id, day)
    except REFUSALS as error:
        return _page(dispute, refusal(error), "reschedule"), 422
    return redirect(url_for(".show", dispute_id=dispute.id), 303)


@blueprint.post("/together/<dispute_id>/order")
@login_required
@_admins_only
@limit_refusals
@limit_grants
def enter_order(dispute_id: str) -> ResponseReturnValue:
    """Enter an authority's order to erase the recordings."""
    dispute, form = find_handled(dispute_id), request.form
    try:
        orders().enter(
            current_visitor().user, dispute.id,
            authority=form.get("authority", ""), reference=form.get("reference", ""),
        )  # fmt: skip
    except REFUSALS as error:
        return _page(dispute, refusal(error), "order"), 422
    return redirect(url_for(".show", dispute_id=dispute.id, _anchor="deletion"), 303)


@blueprint.post("/together/<dispute_id>/order/confirm")
@login_required
@_admins_only
@limit_refusals
@limit_grants
def confirm_order(dispute_id: str) -> ResponseReturnValue:
    """Confirm an authority's order as the second person."""
    dispute = find_handled(dispute_id)
    try:
        orders().confirm(current_visitor().user, dispute.id)
    except REFUSALS as error:
        return _page(dispute, refusal(error), "order"), 422
    return redirect(url_for(".show", dispute_id=dispute.id, _anchor="deletion"), 303)


@blueprint.post("/together/<dispute_id>/close")
@login_required
@handlers_only
@limit_refusals
@limit_grants
def close(dispute_id: str) -> ResponseReturnValue:
    dispute = find_handled(dispute_id)
    how = SETTLED if request.form.get("how") == SETTLED else UNSETTLED
    try:
        disputes().close(current_visitor().user, dispute.id, how)
    except REFUSALS as error:
        return _page(dispute, refusal(error), "close"), 422
    flash(_("The question is closed."), "done")
    return redirect(url_for(".show", dispute_id=dispute.id), 303)


def find_handled(dispute_id: str) -> Dispute:
    """A dispute of the visitor's company whose calls they see; 404 for any other."""
    try:
        found = disputes().find(current_visitor().tenant.id, dispute_id[:100])
    except DisputeError:
        abort(404)
    if not _handles(found):
        abort(404)
    return found


def _guest(dispute: Dispute, guest_id: str) -> Guest:
    """A guest of a dispute; 404 for any other."""
    try:
        return dispute.find_guest(guest_id)
    except DisputeError:
        abort(404)


def _handles(dispute: Dispute) -> bool:
    try:
        disputes().check_handler(current_visitor().user, dispute)
    except DisputeError:
        return False
    return True


def _today() -> date:
    return local_date(now())


def _local_time(at: datetime) -> str:
    """A time as a browser's field for times has it, in the customer's time zone."""
    return at.astimezone(zone()).strftime("%Y-%m-%dT%H:%M")


def _parse_day(entry: str) -> date:
    try:
        return date.fromisoformat(entry)
    except ValueError:
        raise DisputeError("dispute.day", "no date was chosen", "choose a date") from None


def _proposed_times(entry: Mapping[str, str]) -> list[datetime]:
    """The times of a form, in the customer's time zone. Raises :class:`DisputeError` (``dispute.times``)."""
    found = list[datetime]()
    for number in range(MOST_TIMES):
        text = entry.get(f"time-{number}", "").strip()
        if not text:
            continue
        try:
            at = datetime.fromisoformat(text)
            found.append(at.replace(tzinfo=at.tzinfo or zone()).astimezone(UTC))
        except (ValueError, OverflowError):
            raise DisputeError(
                "dispute.times", f"not a time: {text!r:.40}", "choose a date and a time"
            ) from None
    if any(each <= now() for each in found):
        raise DisputeError("dispute.times", "a proposed time is over", "choose times in the future")
    return found


def call_sections(calls: list[datetime], times: list[datetime], language: str) -> tuple[MailSection, ...]:
    """When the ``calls`` began, so that the person knows which are meant, and the proposed times, in the
    mail's language."""
    locale = LOCALES.get(language, language)
    with force_locale(locale):
        zone = zone_name(locale)
        titled = (
            (_("The call (%(zone)s):", zone=zone), calls),
            (_("One of these times would suit us (%(zone)s):", zone=zone), times),
        )
        return tuple(
            MailSection(str(title), tuple(formats.moment(at) for at in sorted(found)))
            for title, found in titled
            if found
        )


def _starts(dispute: Dispute) -> list[datetime]:
    """When the calls of a dispute began."""
    rows = (catalogue.recording(dispute.tenant, each) for each in dispute.recording_ids)
    return [row.started_at for row in rows if row is not None]
