"""The register of subject requests, for a customer's admins, and the steps of one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import structlog
from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale

from recorder.catalogue import erased_call_queries, queries, subject_request_queries
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.subject_request_queries import RequestRow
from recorder.domain import time_zones
from recorder.errors import AuditLogError, SealError, SubjectRequestError
from recorder.features.contacts.service import find_contact
from recorder.features.subject_requests import call_erasure as forgotten_calls
from recorder.features.subject_requests import (
    contact_erasure,
    erasure,
    reviews,
    rules,
    service,
    verification_code,
)
from recorder.features.subject_requests.reviews import COPIED, WITHHELD, ListenerRow, ReviewRow
from recorder.features.subject_requests.service import CopyRequest
from recorder.identity import users
from recorder.prompts.purposes import standard
from recorder.verification_calls import register
from web.account.limits import count_call, limit_grants, limit_refusals
from web.decorators import Refusal, admins_only
from web.gate import gate, who
from web.language import LOCALES, NAMES
from web.state import changes, current_visitor, login_required, now, panel_state
from web.subject_requests import archive, facts
from web.subject_requests.facts import RecordingFacts
from web.text import errors, formats, subject_requests
from web.text.sentences import plural

log = structlog.get_logger()

blueprint = Blueprint("subject_requests", __name__, template_folder="templates")


def _page_url(view_args: Mapping[str, object]) -> str:
    """The address of the request's page, or else of the register."""
    request_id = view_args.get("request_id")
    return url_for(".show", request_id=request_id) if request_id else url_for(".list_requests")


def _vouching_url(view_args: Mapping[str, object]) -> str:
    return url_for(".show_vouching", request_id=view_args["request_id"])


def _show_again(error: Refusal, view_args: Mapping[str, object]) -> ResponseReturnValue | None:
    """The request's page with the reason beside the form that was sent, and what was typed; ``None`` if that
    page cannot be shown either."""
    if "request_id" not in view_args:
        return None
    failed = (request.endpoint or "").rpartition(".")[2]
    try:
        return _render_request(str(view_args["request_id"]), failed, errors.error(error.error_id)), 403
    except SubjectRequestError:
        return None


for_admins = admins_only(back=_page_url, again=_show_again)


def _vouch_again(error: Refusal, view_args: Mapping[str, object]) -> ResponseReturnValue | None:
    """The page that the colleague vouched on, with the reason beside the form."""
    if current_visitor().admin:
        return _show_again(error, view_args)
    try:
        return _render_vouching(str(view_args["request_id"]), "vouch", errors.error(error.error_id)), 403
    except SubjectRequestError:
        return None


for_vouchers = admins_only(back=_vouching_url, roles=rules.VOUCHERS, again=_vouch_again)


@blueprint.get("/subject-requests")
@login_required
@for_admins
def list_requests() -> str:
    return _render_list({}, {})


def _render_list(form: Mapping[str, str], wrong: Mapping[str, str]) -> str:
    """The register with the form for a new request: what was typed, and errors by field."""
    tenant = current_visitor().tenant
    return render_template(
        "subject_requests/list.html",
        requests=subject_request_queries.requests(tenant.id),
        forgotten=erased_call_queries.count_by_request(tenant.id),
        today=rules.local_day(tenant.time_zone, now()),
        wants=subject_request_queries.WANTS,
        languages=NAMES,
        tenant=tenant,
        form=form,
        wrong=wrong,
    )


@blueprint.post("/subject-requests")
@login_required
@limit_grants
@for_admins
def add_request() -> ResponseReturnValue:
    form = request.form
    try:
        received = date.fromisoformat(form.get("received", ""))
    except ValueError:
        received = date.max  # refused with the other days that cannot be
    try:
        row = service.enter(
            current_visitor().tenant.id,
            number=form.get("number", ""),
            wants=form.get("wants", ""),
            language=form.get("language", ""),
            received_on=received,
            by_kind="user",
            by=current_visitor().user.id,
            now=now(),
            entropy=panel_state().entropy,
        )
    except SubjectRequestError as error:
        field = errors.field(error.error_id, ("number", "wants", "language", "received"))
        if field is None:
            raise
        return _render_list(form, {field: errors.error(error.error_id)}), 422
    return _redirect_to_request(row.id)


@blueprint.get("/subject-requests/<request_id>")
@login_required
@limit_refusals
@for_admins
def show(request_id: str) -> str:
    return _render_request(request_id)


def _render_request(request_id: str, failed: str = "", problem: str = "") -> str:
    """The page of a request; ``failed`` names the form that was refused, and ``problem`` says why."""
    tenant = current_visitor().tenant
    row = service.find_request(tenant.id, request_id)
    found = reviews.recordings_of(row) if row.verified_at else ()
    review_rows = reviews.reviews_of(tenant.id, row.id)
    left = _not_erased(found, review_rows)
    missed = reviews.unrecorded_calls_of(row) if row.verified_at else ()
    with force_locale(LOCALES.get(row.language, row.language)):
        letter = [
            f"{formats.moment(each.started_at)} – {_erasure_result(review_rows[each.id])}"
            for each in _with_erased(tenant.id, found, review_rows)
            if review_rows.get(each.id) and _erasure_result(review_rows[each.id])
        ]
        if calls := erased_call_queries.count_by_request(tenant.id).get(row.id, 0):
            letter.append(plural("calls_erased", calls))
        undecided = sum(each.undecided for each in missed)
        if undecided and (letter or not (left or undecided < len(missed))):
            letter.append(plural("calls_kept", undecided))
    return render_template(
        "subject_requests/show.html",
        asked=row,
        today=rules.local_day(tenant.time_zone, now()),
        call=register.refresh(verification_code.latest_call(tenant.id, row.id), now(), panel_state().entropy)
        if row.open
        else None,
        now=now(),
        recordings=left,
        done=review_rows,
        given=reviews.DECISIONS,
        missed=missed,
        contact=find_contact(tenant.id, row.number) if row.verified_at and not row.recording else None,
        waits=service.waits_until(row),
        erasable=len(missed) - undecided,
        announced=[each for each in left if each.usable],
        unannounced=[each for each in left if not each.usable],
        reviewed=_all_reviewed(left, review_rows),
        me=_user_id(),
        letter=letter,
        names={each.id: each.name for each in users.users(tenant.id)},
        closed_how=rules.CLOSED_HOW,
        longest=rules.MAX_STATEMENT,
        form=request.form,
        failed=failed,
        problem=problem,
    )


@blueprint.post("/subject-requests/<request_id>/call")
@login_required
@limit_grants
@for_admins
def call_number(request_id: str) -> ResponseReturnValue:
    state = panel_state()
    with count_call():
        verification_code.order_call(
            _tenant_id(), request_id, who=_user_id(), now=now(), entropy=state.entropy,
            policy=state.call_policy,
        )  # fmt: skip
    return _redirect_to_request(request_id, "whose")


@blueprint.post("/subject-requests/<request_id>/code")
@login_required
@limit_grants
@for_admins
def check_code(request_id: str) -> ResponseReturnValue:
    right = verification_code.try_code(
        _tenant_id(), request_id, request.form.get("code", "")[:40], who=_user_id(), now=now(),
        entropy=panel_state().entropy,
    )  # fmt: skip
    if not right:
        raise register.wrong_code()
    return _redirect_to_request(request_id, "whose")


@blueprint.get("/subject-requests/<request_id>/vouch")
@login_required
@limit_refusals
@for_vouchers
def show_vouching(request_id: str) -> str:
    """The page for the second colleague who vouches; it shows nothing else of the request. Whoever sees the
    calls of some lines only is shown the end of the number: the person can tell them the rest."""
    return _render_vouching(request_id)


def _render_vouching(request_id: str, failed: str = "", problem: str = "") -> str:
    tenant, user = current_visitor().tenant, current_visitor().user
    row = service.find_request(tenant.id, request_id)
    return render_template(
        "subject_requests/vouch.html",
        asked=row,
        number_end=None if user.lines is None else row.number[-2:],
        names={each.id: each.name for each in users.users(tenant.id)},
        me=_user_id(),
        longest=rules.MAX_STATEMENT,
        form=request.form,
        failed=failed,
        problem=problem,
    )


@blueprint.post("/subject-requests/<request_id>/vouch")
@login_required
@limit_grants
@for_vouchers
def vouch(request_id: str) -> ResponseReturnValue:
    how = request.form.get("how", "")
    service.vouch(_tenant_id(), request_id, how=how, who=_user_id(), now=now(), entropy=panel_state().entropy)
    if current_visitor().admin:
        return _redirect_to_request(request_id, "whose")
    return redirect(url_for(".show_vouching", request_id=request_id), 303)


@blueprint.post("/subject-requests/<request_id>/review")
@login_required
@limit_grants
@for_admins
def review_recordings(request_id: str) -> ResponseReturnValue:
    row = service.find_request(_tenant_id(), request_id)
    review_rows = reviews.reviews_of(_tenant_id(), row.id)
    for each in reviews.recordings_of(row):
        if not each.usable and request.form.get(f"given-{each.id}"):
            raise SubjectRequestError(
                "subject_request.unannounced",
                "unannounced recordings are reviewed one by one",
                "decide about each of them separately",
            )
        decision, why = request.form.get(f"given-{each.id}"), request.form.get(f"why-{each.id}", "")
        before = review_rows.get(each.id, ReviewRow(each.id))
        same = decision == before.given and (decision != WITHHELD or why.strip() == before.withheld_reason)
        if decision and not same:
            reviews.decide(
                _tenant_id(), request_id, each.id, decision=decision, why=why, who=_user_id(), now=now(),
                entropy=panel_state().entropy, signer=changes().signer,
            )  # fmt: skip
    return _redirect_to_request(request_id, "given")


@blueprint.post("/subject-requests/<request_id>/recordings/<recording_id>/review")
@login_required
@limit_grants
@for_admins
def review_recording(request_id: str, recording_id: str) -> ResponseReturnValue:
    """Review one unannounced recording, with a reason."""
    decision, why = request.form.get("given", ""), request.form.get("why", "")
    reviews.decide(
        _tenant_id(), request_id, recording_id, decision=decision, why=why, who=_user_id(), now=now(),
        entropy=panel_state().entropy, signer=changes().signer,
    )  # fmt: skip
    return _redirect_to_request(request_id, "unannounced")


@blueprint.post("/subject-requests/<request_id>/copy")
@login_required
@limit_grants
@for_admins
def download_copy(request_id: str) -> ResponseReturnValue:
    """Download the archive.  All recordings are checked, and the export is logged, before its first byte."""
    tenant = current_visitor().tenant
    verified = service.find_copy_request(tenant.id, request_id)
    row = verified.row
    zone, names = time_zones.display_zone(tenant.time_zone), bool(request.form.get("names"))
    review_rows = reviews.reviews_of(tenant.id, row.id)
    found = _not_erased(reviews.recordings_of(row), review_rows)
    if not _all_reviewed(found, review_rows):
        raise SubjectRequestError(
            "subject_request.not_reviewed",
            "some recordings have not been reviewed",
            "review each recording first",
        )
    collected = [
        _collect_facts(verified, each, review_rows.get(each.id, ReviewRow(each.id)), zone) for each in found
    ]
    missed = reviews.unrecorded_calls_of(row)
    contact = None if row.recording else find_contact(tenant.id, row.number)
    known_as = contact.name if contact else ""
    document = facts.document(tenant, row, collected, missed, now(), names, known_as)
    with force_locale(LOCALES.get(row.language, row.language)):
        readme = render_template(
            "subject_requests/readme.txt",
            asked=row,
            tenant=tenant,
            recordings=collected,
            missed=missed,
            known_as=known_as,
            names=names,
            now=now(),
            label=lambda purpose: _label(purpose, row.language),
        )
    service.note_export(tenant.id, row.id, _user_id(), now(), panel_state().entropy)
    file = f"recordings-{row.number[1:]}.zip"
    answer = Response(
        archive.stream(readme, document, collected, now(), zone),
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "no-store"},
    )
    return answer


@blueprint.post("/subject-requests/<request_id>/erase")
@login_required
@limit_grants
@for_admins
def erase(request_id: str) -> ResponseReturnValue:
    verified = service.find_erasure_request(_tenant_id(), request_id, panel_state().now())
    row = verified.row
    found, review_rows = (
        reviews.recordings_of(row),
        reviews.reviews_of(_tenant_id(), row.id),
    )
    copied = all(
        _is_settled(row, each, review_rows.get(each.id)) for each in found
    ) and reviews.all_calls_disclosed(row)
    if row.wants_copy and not copied:
        raise SubjectRequestError(
            "subject_request.copy_first", "the copy must be given before the erasure", "give the copy first"
        )
    if not request.form.get("sure"):
        raise SubjectRequestError(
            "subject_request.sure", "the erasure was not confirmed", "confirm it in the form"
        )
    try:  # first, because nothing is erased unless the log is complete
        forgotten_calls.erase_calls(changes(), verified, _user_id())
    except AuditLogError as error:
        log.error("web.refused", error_id=error.error_id, error=error.message, endpoint=request.endpoint)
        return _render_request(request_id, "erase", errors.error(error.error_id)), 403
    contact_erasure.erase_name(verified, _user_id(), now=now(), entropy=panel_state().entropy)
    for each in found:
        if each.id not in review_rows or review_rows[each.id].erased_at is None:
            gate().check_theirs(who(), verified, each.id)
            erasure.erase_recording(changes(), verified, each.id, _user_id())
    return _redirect_to_request(request_id, "erasing")


@blueprint.post("/subject-requests/<request_id>/extend")
@login_required
@limit_grants
@for_admins
def extend(request_id: str) -> ResponseReturnValue:
    why = request.form.get("why", "")
    service.extend(
        _tenant_id(), request_id, why=why, who=_user_id(), now=now(), entropy=panel_state().entropy
    )
    return _redirect_to_request(request_id)


@blueprint.post("/subject-requests/<request_id>/close")
@login_required
@limit_grants
@for_admins
def close(request_id: str) -> ResponseReturnValue:
    how = request.form.get("how", "")
    service.close(_tenant_id(), request_id, how=how, who=_user_id(), now=now(), entropy=panel_state().entropy)
    return redirect(url_for(".list_requests"), 303)


def _collect_facts(
    verified: CopyRequest, recording: RecordingRow, review: ReviewRow, zone: ZoneInfo
) -> RecordingFacts:
    try:
        copied = gate().copy(who(), verified, recording.id)
    except SealError:
        if review.given != WITHHELD:
            raise
        copied = None  # withheld: a broken seal must not block the other recordings
    listeners = reviews.listeners_of(verified.tenant, recording.id)
    if copied and copied.sound:  # the admin who downloads the copy has its audio, too
        me = current_visitor().user
        listeners = (*listeners, ListenerRow(now(), COPIED, "", me.role, me.name))
    collected = RecordingFacts(recording, review, listeners, copied, "")
    where = archive.audio_path(collected, zone, copied.name) if copied and copied.sound else ""
    return replace(collected, path=where)


def _not_erased(
    found: tuple[RecordingRow, ...], review_rows: dict[str, ReviewRow]
) -> tuple[RecordingRow, ...]:
    """The recordings that are neither erased nor about to be."""
    return tuple(
        each for each in found if each.id not in review_rows or review_rows[each.id].erased_at is None
    )


def _all_reviewed(found: tuple[RecordingRow, ...], review_rows: dict[str, ReviewRow]) -> bool:
    """Whether all recordings were reviewed.  Unannounced ones need no review: by default they are not
    given."""
    return all(review_rows.get(each.id, ReviewRow(each.id)).given or not each.usable for each in found)


def _is_settled(row: RequestRow, recording: RecordingRow, review: ReviewRow | None) -> bool:
    """Whether the copy has dealt with a recording: its audio was given, withheld, or listed as
    unannounced."""
    if review is None or review.given is None:
        return not recording.usable and row.exported_at is not None
    return review.exported_at is not None or review.given == WITHHELD


def _with_erased(
    tenant: str, found: tuple[RecordingRow, ...], review_rows: dict[str, ReviewRow]
) -> list[RecordingRow]:
    """The recordings found now and those erased since, oldest first."""
    erased = (queries.recording(tenant, name) for name in review_rows.keys() - {each.id for each in found})
    return sorted([*found, *(each for each in erased if each)], key=lambda each: (each.started_at, each.id))


def _erasure_result(review: ReviewRow) -> str:
    return subject_requests.erasure_result(
        review, formats.date(review.kept_until) if review.kept_until else ""
    )


def _label(purpose: str, language: str) -> str:
    known = standard().get(purpose)
    return known.label(language) if known else purpose


def _tenant_id() -> str:
    return current_visitor().tenant.id


def _user_id() -> str:
    return current_visitor().user.id


def _redirect_to_request(request_id: str, place: str | None = None) -> ResponseReturnValue:
    return redirect(url_for(".show", request_id=request_id, _anchor=place), 303)
