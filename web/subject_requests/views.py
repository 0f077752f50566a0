"""The register of a customer's admins, and the steps of one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale

from recorder.catalogue import erased_call_queries, queries, subject_request_queries
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.subject_request_queries import RequestRow
from recorder.domain import time_zones
from recorder.errors import PersonError, SealError
from recorder.features.subject_requests import call_erasure as forgotten_calls
from recorder.features.subject_requests import erasure, register, reviews, verification_code
from recorder.features.subject_requests.reviews import COPIED, WITHHELD, HeardRow, ReviewRow
from recorder.identity import users
from recorder.prompts.purposes import standard
from web.account.limits import limit_grants, limit_refusals
from web.decorators import admins_only
from web.gate import gate, who
from web.language import FORMATS, NAMES
from web.state import changes, here, logged_in, now, someone
from web.subject_requests import facts, pack
from web.subject_requests.facts import RecordingFacts
from web.text import formats, subject_requests

blueprint = Blueprint("subject_requests", __name__, template_folder="templates")


def _to_its_page(named: Mapping[str, object]) -> str:
    """The request's, or the register."""
    mine = named.get("request_id")
    return url_for(".show", request_id=mine) if mine else url_for(".listed")


def _to_vouching(named: Mapping[str, object]) -> str:
    return url_for(".vouching", request_id=named["request_id"])


for_admins = admins_only(back=_to_its_page)
for_vouchers = admins_only(back=_to_vouching, roles=register.VOUCHERS)


@blueprint.get("/requests")
@logged_in
@for_admins
def listed() -> str:
    tenant = someone().tenant
    return render_template(
        "subject_requests/list.html",
        requests=subject_request_queries.requests(tenant.id),
        forgotten=erased_call_queries.counts(tenant.id),
        today=register.today(tenant.time_zone, now()),
        wants=subject_request_queries.WANTS,
        languages=NAMES,
        tenant=tenant,
    )


@blueprint.post("/requests")
@logged_in
@limit_grants
@for_admins
def enter() -> ResponseReturnValue:
    form = request.form
    try:
        received = date.fromisoformat(form.get("received", ""))
    except ValueError:
        raise PersonError("subject_request.day", "that is no day", "") from None
    row = register.enter(
        someone().tenant.id,
        number=form.get("number", ""),
        wants=form.get("wants", ""),
        language=form.get("language", ""),
        received_on=received,
        by_kind="user",
        by=someone().user.id,
        now=now(),
        entropy=here().entropy,
    )
    return _back(row.id)


@blueprint.get("/requests/<request_id>")
@logged_in
@limit_refusals
@for_admins
def show(request_id: str) -> str:
    tenant = someone().tenant
    row = register.request(tenant.id, request_id)
    found = reviews.found(tenant.id, row.number) if row.verified_at else ()
    done = reviews.of(tenant.id, row.id)
    left = _left(found, done)
    missed = reviews.not_recorded(tenant.id, row.number) if row.verified_at else ()
    with force_locale(FORMATS.get(row.language, row.language)):
        letter = [
            f"{formats.moment(each.started_at)} – {_erased(done[each.id])}"
            for each in _all(tenant.id, found, done)
            if done.get(each.id) and _erased(done[each.id])
        ]
        if calls := erased_call_queries.counts(tenant.id).get(row.id, 0):
            letter.append(subject_requests.calls_erased(calls))
        undecided = sum(each.undecided for each in missed)
        if undecided and (letter or not (left or undecided < len(missed))):
            letter.append(subject_requests.calls_kept(undecided))
    return render_template(
        "subject_requests/show.html",
        asked=row,
        today=register.today(tenant.time_zone, now()),
        call=verification_code.seen(tenant.id, row.id, now(), here().entropy) if row.open else None,
        now=now(),
        recordings=left,
        done=done,
        given=reviews.GIVEN,
        missed=missed,
        erasable=len(missed) - undecided,
        announced=[each for each in left if each.usable],
        unannounced=[each for each in left if not each.usable],
        reviewed=_reviewed(left, done),
        me=_user(),
        letter=letter,
        names={each.id: each.name for each in users.users(tenant.id)},
        closed_how=register.CLOSED_HOW,
        longest=register.LONGEST_SAID,
    )


@blueprint.post("/requests/<request_id>/call")
@logged_in
@limit_grants
@for_admins
def call(request_id: str) -> ResponseReturnValue:
    verification_code.order(_tenant(), request_id, who=_user(), now=now(), entropy=here().entropy)
    return _back(request_id, "whose")


@blueprint.post("/requests/<request_id>/code")
@logged_in
@limit_grants
@for_admins
def code(request_id: str) -> ResponseReturnValue:
    right = verification_code.try_code(
        _tenant(), request_id, request.form.get("code", "")[:40], who=_user(), now=now(),
        entropy=here().entropy,
    )  # fmt: skip
    if not right:
        raise PersonError("subject_request.wrong_code", "that is not the code", "")
    return _back(request_id, "whose")


@blueprint.get("/requests/<request_id>/vouch")
@logged_in
@limit_refusals
@for_vouchers
def vouching(request_id: str) -> str:
    """For the colleague who vouches too; they see no more of the request than that."""
    tenant = someone().tenant
    return render_template(
        "subject_requests/vouch.html",
        asked=register.request(tenant.id, request_id),
        names={each.id: each.name for each in users.users(tenant.id)},
        me=_user(),
        longest=register.LONGEST_SAID,
    )


@blueprint.post("/requests/<request_id>/vouch")
@logged_in
@limit_grants
@for_vouchers
def vouch(request_id: str) -> ResponseReturnValue:
    how = request.form.get("how", "")
    register.vouch(_tenant(), request_id, how=how, who=_user(), now=now(), entropy=here().entropy)
    if someone().admin:
        return _back(request_id, "whose")
    return redirect(url_for(".vouching", request_id=request_id), 303)


@blueprint.post("/requests/<request_id>/review")
@logged_in
@limit_grants
@for_admins
def review(request_id: str) -> ResponseReturnValue:
    row = register.request(_tenant(), request_id)
    done = reviews.of(_tenant(), row.id)
    for each in reviews.found(_tenant(), row.number):
        if not each.usable and request.form.get(f"given-{each.id}"):
            raise PersonError(
                "subject_request.unannounced", "one that was not announced is decided about for itself"
            )
        chosen, why = request.form.get(f"given-{each.id}"), request.form.get(f"why-{each.id}", "")
        before = done.get(each.id, ReviewRow(each.id))
        same = chosen == before.given and (chosen != WITHHELD or why.strip() == before.withheld_reason)
        if chosen and not same:
            reviews.decide(
                _tenant(), request_id, each.id, given=chosen, why=why, who=_user(), now=now(),
                entropy=here().entropy, signer=changes().signer,
            )  # fmt: skip
    return _back(request_id, "given")


@blueprint.post("/requests/<request_id>/recordings/<recording_id>/review")
@logged_in
@limit_grants
@for_admins
def review_one(request_id: str, recording_id: str) -> ResponseReturnValue:
    """One that was not announced: decided about for itself, with the reason."""
    given, why = request.form.get("given", ""), request.form.get("why", "")
    reviews.decide(
        _tenant(), request_id, recording_id, given=given, why=why, who=_user(), now=now(),
        entropy=here().entropy, signer=changes().signer,
    )  # fmt: skip
    return _back(request_id, "unannounced")


@blueprint.post("/requests/<request_id>/copy")
@logged_in
@limit_grants
@for_admins
def copy(request_id: str) -> ResponseReturnValue:
    """The archive.  Everything is looked at before its first byte, and written down."""
    tenant = someone().tenant
    row = register.proved(tenant.id, request_id, wants=subject_request_queries.COPIES)
    zone, names = time_zones.usable(tenant.time_zone), bool(request.form.get("names"))
    done = reviews.of(tenant.id, row.id)
    found = _left(reviews.found(tenant.id, row.number), done)
    if not _reviewed(found, done):
        raise PersonError("subject_request.not_reviewed", "what is given was not decided of each", "")
    told = [_told(row, each, done.get(each.id, ReviewRow(each.id)), zone) for each in found]
    missed = reviews.not_recorded(tenant.id, row.number)
    made = facts.document(tenant, row, told, missed, now(), names)
    with force_locale(FORMATS.get(row.language, row.language)):
        readme = render_template(
            "subject_requests/readme.txt",
            asked=row,
            tenant=tenant,
            told=told,
            missed=missed,
            names=names,
            now=now(),
            label=lambda purpose: _label(purpose, row.language),
        )
    register.exported(tenant.id, row.id, _user(), now(), here().entropy)
    file = f"recordings-{row.number[1:]}.zip"
    answer = Response(
        pack.stream(readme, made, told, now(), zone),
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "no-store"},
    )
    return answer


@blueprint.post("/requests/<request_id>/erase")
@logged_in
@limit_grants
@for_admins
def erase(request_id: str) -> ResponseReturnValue:
    row = register.proved(_tenant(), request_id, wants=subject_request_queries.ERASES)
    found, done = reviews.found(_tenant(), row.number), reviews.of(_tenant(), row.id)
    told = all(_given(row, each, done.get(each.id)) for each in found) and reviews.all_told(row)
    if row.copy_asked and not told:
        raise PersonError("subject_request.copy_first", "the copy comes first", "")
    if not request.form.get("sure"):
        raise PersonError("subject_request.sure", "not ticked", "")
    for each in found:
        if each.id not in done or done[each.id].erased_at is None:
            gate().check_theirs(who(), row.id, each.id)
            erasure.erase(changes(), row, each.id, _user())
    forgotten_calls.erase(changes(), row, _user())
    return _back(request_id, "erasing")


@blueprint.post("/requests/<request_id>/extend")
@logged_in
@limit_grants
@for_admins
def extend(request_id: str) -> ResponseReturnValue:
    why = request.form.get("why", "")
    register.extend(_tenant(), request_id, why=why, who=_user(), now=now(), entropy=here().entropy)
    return _back(request_id)


@blueprint.post("/requests/<request_id>/close")
@logged_in
@limit_grants
@for_admins
def close(request_id: str) -> ResponseReturnValue:
    how = request.form.get("how", "")
    register.close(_tenant(), request_id, how=how, who=_user(), now=now(), entropy=here().entropy)
    return redirect(url_for(".listed"), 303)


def _told(row: RequestRow, recording: RecordingRow, done: ReviewRow, zone: ZoneInfo) -> RecordingFacts:
    try:
        copied = gate().copy(who(), row.id, recording.id)
    except SealError:
        if done.given != WITHHELD:
            raise
        copied = None  # nothing is given of it, so what is wrong with it keeps nobody from the rest
    heard = reviews.heard(row.tenant, recording.id)
    if copied and copied.sound:  # whoever fetches it has it, too
        me = someone().user
        heard = (*heard, HeardRow(now(), COPIED, "", me.role, me.name))
    told = RecordingFacts(recording, done, heard, copied, "")
    where = pack.path(told, zone, copied.name) if copied and copied.sound else ""
    return replace(told, path=where)


def _left(found: tuple[RecordingRow, ...], done: dict[str, ReviewRow]) -> tuple[RecordingRow, ...]:
    """What is not erased, or about to be."""
    return tuple(each for each in found if each.id not in done or done[each.id].erased_at is None)


def _reviewed(found: tuple[RecordingRow, ...], done: dict[str, ReviewRow]) -> bool:
    """Whether it was decided what is given of each; what was not announced is not given, unless somebody
    decides otherwise of that one."""
    return all(done.get(each.id, ReviewRow(each.id)).given or not each.usable for each in found)


def _given(row: RequestRow, recording: RecordingRow, done: ReviewRow | None) -> bool:
    """Whether a recording was given, it was decided that it is not, or a copy said that it was not
    announced."""
    if done is None or done.given is None:
        return not recording.usable and row.exported_at is not None
    return done.exported_at is not None or done.given == WITHHELD


def _all(tenant: str, found: tuple[RecordingRow, ...], done: dict[str, ReviewRow]) -> list[RecordingRow]:
    """What is found, and what was found before it was erased, the oldest first."""
    gone = (queries.recording(tenant, name) for name in done.keys() - {each.id for each in found})
    return sorted([*found, *(each for each in gone if each)], key=lambda each: (each.started_at, each.id))


def _erased(done: ReviewRow) -> str:
    return subject_requests.erased(done, formats.date(done.kept_until) if done.kept_until else "")


def _label(purpose: str, language: str) -> str:
    known = standard().get(purpose)
    return known.label(language) if known else purpose


def _tenant() -> str:
    return someone().tenant.id


def _user() -> str:
    return someone().user.id


def _back(request_id: str, place: str | None = None) -> ResponseReturnValue:
    return redirect(url_for(".show", request_id=request_id, _anchor=place), 303)
