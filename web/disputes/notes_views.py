"""What the two sides say: passages and the outcome. They are written in the room and on a dispute's page,
where a part of the page shows them and is replaced after each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from recorder.catalogue import change_messages
from recorder.domain.roles import EXTERNAL_PARTY, GUESTS
from recorder.errors import DisputeError
from recorder.features.disputes import queries
from recorder.features.disputes.rules import Dispute, Passage, text_sha256
from recorder.features.disputes.service import HANDLERS
from recorder.features.rooms.service import CHANNEL
from recorder.seal.amendment_kinds import VOUCHED
from web.account.limits import limit_grants, limit_refusals
from web.disputes.blueprint import blueprint
from web.disputes.operations import (
    REFUSALS,
    agreements,
    disputes,
    invitations,
    people_of,
    recordings_of,
    refusal,
)
from web.playback.retention_view import local_date
from web.state import current_visitor, login_required, now
from web.text import disputes as text

ANSWER_WITHIN = timedelta(days=7)
"""Within which the other side is asked to answer an outcome; nothing follows from it."""

PART = "X-Accord-Part"
"""The header by which a page asks for the part alone that shows passages and outcome."""


@blueprint.get("/together/<dispute_id>/notes")
@login_required
@limit_refusals
def show_notes(dispute_id: str) -> str:
    return _render(_find(dispute_id))


@blueprint.post("/together/<dispute_id>/passages")
@login_required
@limit_refusals
@limit_grants
def mark_passage(dispute_id: str) -> ResponseReturnValue:
    """Mark a passage and describe it."""
    form = request.form

    def mark() -> None:
        begin, end = text.parse_clock(form.get("begin", "")), text.parse_clock(form.get("end", ""))
        if begin is None or end is None:
            raise DisputeError(
                "dispute.passage",
                "the form names no position in a recording",
                "mark it again while the recording plays",
            )
        agreements().mark_passage(
            current_visitor().user, dispute_id, form.get("recording", "")[:100], begin, end,
            form.get("text", ""),
        )  # fmt: skip

    return _step(dispute_id, mark, "mark")


@blueprint.post("/together/<dispute_id>/passages/<passage_id>")
@login_required
@limit_refusals
@limit_grants
def answer_passage(dispute_id: str, passage_id: str) -> ResponseReturnValue:
    """Confirm a passage's words, describe it differently, or leave it open."""
    form, user, service = request.form, current_visitor().user, agreements()
    if passage_id not in {each.id for each in _find(dispute_id).passages}:
        abort(404)
    steps: dict[str, Callable[[], None]] = {
        "confirm": lambda: service.confirm_passage(user, dispute_id, passage_id, form.get("digest", "")),
        "word": lambda: service.word_passage(user, dispute_id, passage_id, form.get("text", "")),
        "open": lambda: service.leave_passage_open(user, dispute_id, passage_id),
    }
    return _step(dispute_id, _step_of(steps), passage_id)


@blueprint.post("/together/<dispute_id>/outcome")
@login_required
@limit_refusals
@limit_grants
def answer_outcome(dispute_id: str) -> ResponseReturnValue:
    """Write what comes of a dispute, confirm it, or take the confirmation back."""
    form, user, service = request.form, current_visitor().user, agreements()
    days = form.get("keep_days", "")
    keep_days = int(days) if days.isascii() and days.isdigit() and len(days) < 6 else None
    steps: dict[str, Callable[[], None]] = {
        "write": lambda: service.write_outcome(
            user, dispute_id, form.get("outcome", ""), form.get("text", ""), keep_days
        ),
        "confirm": lambda: service.confirm_outcome(user, dispute_id, form.get("digest", "")),
        "retract": lambda: service.retract_outcome(user, dispute_id),
    }
    return _step(dispute_id, _step_of(steps), "outcome")


@blueprint.post("/together/<dispute_id>/guests/<guest_id>/agree")
@login_required
@limit_refusals
@limit_grants
def agree_to_guest(dispute_id: str, guest_id: str) -> ResponseReturnValue:
    """The person who was recorded says whether somebody else may hear some passages."""
    user, form = current_visitor().user, request.form
    known = {each.id for each in _find(dispute_id).guests}
    if user.role != EXTERNAL_PARTY or guest_id not in known:
        abort(404)

    def agree() -> None:
        invitations().agree_to_guest(
            user, dispute_id, guest_id, form.get("answer", ""), passages=form.getlist("passage")
        )

    return _step(dispute_id, agree, guest_id)


def _step_of(steps: Mapping[str, Callable[[], None]]) -> Callable[[], None]:
    step = steps.get(request.form.get("action", ""))
    if step is None:
        abort(400)
    return step


def _step(dispute_id: str, step: Callable[[], None], form: str) -> ResponseReturnValue:
    """Take a step, and show what was said, with a refusal beside its ``form``."""
    dispute, errors = _find(dispute_id), dict[str, str]()
    try:
        step()
    except REFUSALS as error:
        errors = refusal(error)
    else:
        change_messages.send(CHANNEL, dispute.id)
        dispute = _find(dispute_id)
    if errors or request.headers.get(PART):
        return _render(dispute, errors, form if errors else ""), 422 if errors else 200
    guest = current_visitor().is_guest
    address = url_for(".welcome") if guest else url_for(".show", dispute_id=dispute.id)
    return redirect(f"{address}#notes", 303)


def _render(dispute: Dispute, errors: Mapping[str, str] | None = None, failed: str = "") -> str:
    template = "disputes/notes.html" if request.headers.get(PART) else "disputes/notes_page.html"
    return render_template(template, dispute=dispute, notes=notes_context(dispute, errors or {}, failed))


def _find(dispute_id: str) -> Dispute:
    """A dispute of whose two sides the visitor is one; 404 for anybody else."""
    user = current_visitor().user
    if user.role not in (*HANDLERS, *GUESTS):
        abort(404)
    try:
        found = disputes().find(user.tenant, dispute_id[:100])
        if user.role not in GUESTS:
            disputes().check_handler(user, found)
        elif found.find_guest(user.id).is_third_party or not found.find_guest(user.id).may_hear:
            abort(404)
    except DisputeError:
        abort(404)
    return found


def notes_context(
    dispute: Dispute, errors: Mapping[str, str] | None = None, failed: str = ""
) -> dict[str, Any]:
    """What the part about passages and outcome needs. ``failed`` names the form that was refused, with
    ``errors`` beside it; its entries are kept."""
    visitor, outcome = current_visitor(), dispute.outcome
    names, confirmed = people_of(dispute), outcome.confirmations if outcome else ()
    side = dispute.side_of(visitor.user.id)
    return {
        "me": visitor.user.id,
        "side": side,
        "names": names,
        "recordings": [each for each in recordings_of(dispute) if each.erased_at is None],
        "closed": dispute.closed_at is not None,
        "passages": [_shown_passage(dispute, each, side) for each in _in_order(dispute)],
        "outcome": outcome,
        "confirmed_by": [names.get(user, "") for user, _at in confirmed],
        "has_confirmed": side in {dispute.side_of(user) for user, _at in confirmed},
        "answer_by": _answer_by(dispute),
        "is_final": outcome is not None and outcome.final_at is not None and now() >= outcome.final_at,
        "page": outcome_address(dispute),
        "keep_choices": text.keep_choices(agreements().keep_choices(dispute)),
        "requests": [
            each
            for each in dispute.guests
            if side == EXTERNAL_PARTY
            and each.is_third_party
            and each.ended_at is None
            and each.agreement is None
        ],
        "vouched": dispute.basis_of(user for user, _at in confirmed) == VOUCHED,
        "errors": errors or {},
        "failed": failed,
        "form": request.form if failed else {},
    }


def _answer_by(dispute: Dispute) -> date | None:
    """The day by which the side that has not confirmed the outcome is asked for an answer."""
    outcome = dispute.outcome
    if outcome is None or outcome.agreed_at is not None or not outcome.confirmations:
        return None
    return local_date(min(at for _user, at in outcome.confirmations) + ANSWER_WITHIN)


def outcome_address(dispute: Dispute) -> str:
    """The address of the outcome's page, empty until it is sealed."""
    token = queries.page_token(dispute.id) if dispute.outcome and dispute.outcome.page_sha256 else None
    return url_for("disputes.show_outcome", token=token) if token else ""


def _in_order(dispute: Dispute) -> list[Passage]:
    """A dispute's passages as they follow one another in its recordings."""
    return sorted(
        dispute.passages, key=lambda each: (dispute.recording_ids.index(each.recording), each.begin_ms)
    )


def _shown_passage(dispute: Dispute, passage: Passage, side: str) -> tuple[Passage, str, str | None, bool]:
    """A passage, the hash of its words, what its agreed wording rests on (:meth:`Dispute.basis_of`), and
    whether the reader's side puts it so."""
    people = (passage.author, *passage.confirmed_by)
    own = side in {dispute.side_of(each) for each in people}
    return passage, text_sha256(passage.text), dispute.basis_of(people), own
