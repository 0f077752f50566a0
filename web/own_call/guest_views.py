"""The public page on which people open their own call, and what they see of it.

Until both codes are right, every answer and its time are the same, whether there is such a call or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog
from flask import abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.catalogue.records import UserRow
from recorder.catalogue.subject_request_queries import own_requests
from recorder.domain.roles import EXTERNAL_PARTY
from recorder.errors import (
    AccessError,
    AccordError,
    DisputeError,
    OwnCallError,
    RetentionError,
    SubjectRequestError,
)
from recorder.features.disputes.invitations import OpenGuestLink
from recorder.features.disputes.number_guests import NumberGuests
from recorder.features.own_call import codes, rules
from recorder.features.own_call.admissions import verify_number
from recorder.features.own_call.opening import REFUSALS, OwnCalls
from recorder.features.subject_requests import service as requests
from recorder.playback import call_history
from recorder.playback.call_history import WAS_REFUSED
from recorder.seal.manifest import Manifest
from recorder.verification_calls.verified_number import VerifiedNumber
from web.account.limits import count_own_call_code, give_back, limit_grants
from web.account.sessions import close_session, open_session
from web.disputes.guest_views import handle_invitation
from web.disputes.operations import invitations
from web.gate import gate, who
from web.language import current_language
from web.own_call.blueprint import blueprint
from web.playback import view_model
from web.playback.call_page import agreement_of, player_data
from web.state import changes, current_visitor, now, panel_state, release_connection, visitor

RESPONSE_S: Final = 1.0
"""Seconds until the page answers, whether a code is right or not."""

ANSWER_MS: Final = 5_000
"""What is heard after an answer, or after the beginning of a question that had none."""

ORDERS: Final = ThreadPoolExecutor(1, thread_name_prefix="own-calls")
"""Has telephones called, after the page has answered."""

TYPED: Final = "own_call"
"""What the form's cookie has of the code that was typed, right or wrong: its MAC."""

log = structlog.get_logger()


def own_calls() -> OwnCalls:
    """Opens calls, with the panel's key and clock."""
    return OwnCalls(changes(), panel_state().call_policy)


@blueprint.get("/my-call")
def enter_code() -> str:
    """Where a code that a company gave is typed in."""
    return render_template("own_call/enter_code.html", wrong="", has_left="left" in request.args)


@blueprint.post("/my-call")
def check_code() -> ResponseReturnValue:
    """Have the number that took part in the call called, if there is such a call."""
    until = time.monotonic() + RESPONSE_S
    code = request.form.get("code", "")[:40]
    if sum(each.isdecimal() for each in code) != rules.DIGITS:
        wrong = _("The code has %(count)s digits.", count=rules.DIGITS)
        return render_template("own_call/enter_code.html", wrong=wrong, has_left=False), 422
    count_own_call_code(is_first=True)
    mac = codes.mac_of(panel_state().own_call_keys, code)
    ORDERS.submit(_order_call, own_calls(), mac, current_language())
    session[TYPED] = mac
    _wait(until)
    return redirect(url_for(".show_spoken"), 303)


def _order_call(calls: OwnCalls, mac: str, language: str) -> None:
    """In a thread of its own, so that the answer takes as long for a right code on a busy machine."""
    try:
        calls.order_call(mac, language)
    except AccordError as error:
        write = log.info if isinstance(error, REFUSALS) else log.error
        write("own_call.refused", error_id=error.error_id, error=error.message)


@blueprint.get("/my-call/code")
def show_spoken() -> ResponseReturnValue:
    """Where the code that was spoken to the number is typed in."""
    if TYPED not in session:
        return redirect(url_for(".enter_code"), 303)
    return render_template("own_call/spoken_code.html", is_wrong=False)


@blueprint.post("/my-call/code")
def check_spoken() -> ResponseReturnValue:
    """Open the call to whoever typed both codes."""
    until, mac = time.monotonic() + RESPONSE_S, str(session.get(TYPED, ""))
    counted = count_own_call_code()
    digits, language = request.form.get("code", "")[:40], current_language()
    try:
        guest = own_calls().open(mac, digits, name=str(_("Recorded person")), language=language)
    except AccordError as error:
        _note_refusal(error)
        _wait(until)
        return render_template("own_call/spoken_code.html", is_wrong=True), 422
    give_back(counted)
    log.info("own_call.opened", user=guest.id)
    response = redirect(url_for(".show_call"), 303)
    open_session(response, guest)
    return response


def _note_refusal(error: AccordError) -> None:
    """Why a code opens nothing, for the operator alone: any other answer would tell that there is a call."""
    if error.error_id == "catalogue.away":
        raise error
    write = log.info if isinstance(error, REFUSALS) else log.error
    write("own_call.refused", error_id=error.error_id, error=error.message)


def _wait(until: float) -> None:
    release_connection()
    time.sleep(max(0.0, until - time.monotonic()))


@blueprint.get("/my-call/opened")
def show_call() -> ResponseReturnValue:
    """The person's own call: what was announced and agreed, who listened, and the call again."""
    if visitor() is None:
        return redirect(url_for(".enter_code"), 303)
    recording, customer = _own(), current_visitor().tenant
    valid = None if recording is None else codes.find_valid(customer.id, recording, changes().trust, now())
    try:
        facts = None if recording is None else gate().facts(who(), recording)
    except AccessError:
        facts = None
    if recording is None or valid is None or facts is None:
        return render_template("own_call/ended.html", customer=customer), 410
    manifest, row = facts.status.chain.manifest, facts.status.row
    view = view_model.from_manifest(manifest, facts.parties)
    allowed = [each for each in facts.choices if each.allowed]
    return render_template(
        "own_call/call.html",
        customer=customer,
        recording=row,
        view=view,
        terms=facts.status.terms,
        agreement=agreement_of(facts),
        purpose=allowed[0].code if allowed else None,
        withheld=None if allowed or not facts.choices else facts.choices[0].reason,
        player=player_data(facts.grant, view.sounds) if facts.grant else None,
        clips=_clips(manifest),
        history=[each for each in call_history.history(customer.id, row.id) if each.how != WAS_REFUSED],
        code=valid.code,
        links=_links(recording),
        listens=bool(facts.status.may_hold()),
        withdraws=bool(facts.status.may_withdraw()),
        requests=[(each, requests.waits_until(each)) for each in own_requests(customer.id, row.id)],
        me=current_visitor().user.id,
        now=now(),
    )


@blueprint.post("/my-call/opened/play")
@limit_grants
def play_call() -> ResponseReturnValue:
    """Let the person hear their call again, for a purpose that was announced."""
    recording = None if visitor() is None else _own()
    if recording is None:
        return redirect(url_for(".enter_code"), 303)
    gate().grant(who(), recording, request.form.get("purpose", "")[:100])
    return redirect(url_for(".show_call", _anchor="listen"), 303)


@blueprint.post("/my-call/opened/requests")
@limit_grants
def request_answer() -> ResponseReturnValue:
    """Ask the customer for a copy of the recording, or for its erasure."""

    def enter(person: VerifiedNumber) -> None:
        wants = request.form.get("wants", "")[:20]
        requests.enter_own(
            person, wants=wants, language=current_language(), now=now(), entropy=panel_state().entropy
        )

    return _request(enter)


@blueprint.post("/my-call/opened/requests/<request_id>/take-back")
@limit_grants
def take_back(request_id: str) -> ResponseReturnValue:
    """Take a request back before it is answered."""
    return _request(
        lambda person: requests.take_back(person, request_id, now=now(), entropy=panel_state().entropy)
    )


def _request(act: Callable[[VerifiedNumber], None]) -> ResponseReturnValue:
    """Do something in the name of the person who opened the call. What they asked for before, or took back,
    is shown as it is."""
    recording = None if visitor() is None else _own()
    if recording is None:
        return redirect(url_for(".enter_code"), 303)
    try:
        act(verify_number(who(), recording, changes().trust, now()))
    except SubjectRequestError as error:
        if error.error_id == "subject_request.wants":
            abort(400)
        if error.error_id == "subject_request.not_found":
            abort(404)
        log.info("own_call.refused", error_id=error.error_id, error=error.message)
    except OwnCallError as error:
        log.info("own_call.refused", error_id=error.error_id, error=error.message)
    return redirect(url_for(".show_call", _anchor="requests"), 303)


@blueprint.route("/my-call/opened/together/<dispute_id>", methods=["GET", "POST"])
@limit_grants
def answer_invitation(dispute_id: str) -> ResponseReturnValue:
    """Show an invitation to listen to the call together, or answer it: the number is known, so that a yes
    leads into the room."""
    recording = None if visitor() is None else _own()
    if recording is None:
        return redirect(url_for(".enter_code"), 303)
    try:
        person = verify_number(who(), recording, changes().trust, now())
        guests = NumberGuests(invitations())

        def state_answer(answer: str, notice: str) -> UserRow | None:
            return guests.answer(person, dispute_id, answer, notice=notice, language=current_language())

        return handle_invitation(guests.find(person, dispute_id), state_answer, asks_code=False)
    except (DisputeError, OwnCallError, RetentionError) as error:
        log.info("own_call.refused", error_id=error.error_id, error=error.message)
        return redirect(url_for(".show_call"), 303)


def _clips(manifest: Manifest) -> list[tuple[str, str]]:
    """The passages of the call in which something was announced or asked, with what they are called: from
    when to when, as the fragment of an address has it."""
    found = list[tuple[str, int, int]]()
    if manifest.announced is not None:
        found.append((_("Announcement"), manifest.announced.offset_ms, manifest.announced.end_ms))
    for each in manifest.keep_questions:
        end = (each.answered_offset_ms or each.offset_ms) + ANSWER_MS
        found.append((_("Question and answer"), each.offset_ms, end))
    return [(name, f"#t={begin / 1000:.1f},{end / 1000:.1f}") for name, begin, end in found]


def _links(recording: str) -> list[OpenGuestLink]:
    """The invitations to listen to the call together that its person can answer."""
    try:
        person = verify_number(who(), recording, changes().trust, now())
    except OwnCallError:
        return []
    return list(NumberGuests(invitations()).find_all(person))


@blueprint.post("/my-call/leave")
def leave() -> ResponseReturnValue:
    """Close the page, on a telephone or computer that others use."""
    response = redirect(url_for(".enter_code", left="yes"), 303)
    if visitor() is not None:
        close_session(response)
    return response


def _own() -> str | None:
    """The recording that the visitor's code led to, which the gate checks; 404 for anybody but a guest."""
    user = current_visitor().user
    if user.role != EXTERNAL_PARTY:
        abort(404)
    return codes.find_of_guest(user.tenant, user.id)
