"""What is done with several recordings of the list at once: each by the function that does it with one, with
that one's checks and leaf.  What one refuses stops no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from flask import request
from flask_babel import gettext as _
from flask_babel import ngettext

from recorder.catalogue import queries
from recorder.catalogue.records import RecordingRow
from recorder.domain.roles import ADMIN, CUSTOMER
from recorder.errors import AccordError, NoteError, RetentionError
from recorder.features.notes import rules as note_rules
from recorder.features.notes import service as notes
from recorder.identity import users
from recorder.lifecycle import amendments
from recorder.lifecycle.amendment_service import LONGEST_REVIEW
from recorder.prompts.purposes import standard
from web.call_list.archive import open_any
from web.gate import gate, who
from web.playback.retention_view import DEFAULT_REVIEW, handlers, local_date, parse_date, start_of_day
from web.retention.page_helpers import author, tell
from web.state import changes, current_visitor, now, page_faults, panel_state
from web.text import errors, labels

LABEL: Final = "label"
KEEP: Final = "keep"
DOWNLOAD: Final = "download"

MOST: Final = 200
"""Recordings that are chosen at once; a page has fewer."""


@dataclass(frozen=True, slots=True)
class SelectionRefusal:
    """What was not possible: the recording, if the visitor may know of it, and why, in words."""

    row: RecordingRow | None
    why: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The recordings that are chosen on the page, or ``everything`` on it, and what became of the form as it
    was sent (``values``): of how many it was done (``outcome``), the ``refusals``, and wrong fields."""

    choices: frozenset[str] = frozenset()
    everything: bool = False
    values: Mapping[str, str] = field(default_factory=dict)
    outcome: str = ""
    refusals: tuple[SelectionRefusal, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)

    def has(self, recording: str) -> bool:
        return self.everything or recording in self.choices

    @property
    def colleagues(self) -> list[tuple[str, str]]:
        """Whom an admin, or who handles some recordings already, can ask to handle them, by id and name;
        whether somebody may hear each is checked with each."""
        rows = users.users(current_visitor().tenant.id) if _hands_over() else ()
        active = [each for each in rows if each.revoked_at is None and each.role in (ADMIN, CUSTOMER)]
        return [(each.id, each.name) for each in sorted(active, key=lambda each: each.name.casefold())]

    @property
    def purposes(self) -> list[tuple[str, str]]:
        """What files can be downloaded for, by code and words; whether each may is checked with each."""
        if gate().why_no_download(who()) is not None:
            return []
        role = current_visitor().user.role
        known = [code for code, each in standard().items() if role in each.roles]
        return [(code, labels.purpose(code)) for code in known]

    @property
    def review(self) -> date:
        return local_date(now() + DEFAULT_REVIEW)

    @property
    def review_earliest(self) -> date:
        return local_date(now()) + timedelta(days=1)

    @property
    def review_latest(self) -> date:
        return local_date(now() + LONGEST_REVIEW - timedelta(days=1))


def _hands_over() -> bool:
    """Whether the visitor can ask somebody else: the signed amendment decides about each recording."""
    visitor = current_visitor()
    holds = () if visitor.admin else amendments.readable_holds(page_faults(), visitor.tenant.id)
    return visitor.admin or any(each.owner == visitor.user.id for each in holds)


def may_select() -> bool:
    """Whether the visitor may do anything with a recording of the list."""
    return current_visitor().user.role in note_rules.AUTHORS


def apply() -> Selection:
    """Do what the form asks for; how many that was, and why not of the others."""
    form, ids = request.form, tuple(dict.fromkeys(request.form.getlist("recording")))[:MOST]
    selection = Selection(frozenset(ids), values=form)
    if not ids:
        return _wrong(selection, "recording", str(_("Choose at least one recording.")))
    if form.get("action") == LABEL:
        try:
            text = note_rules.check_label(form.get("new_label", ""))
        except NoteError as error:
            return _wrong(selection, "new_label", errors.error(error.error_id))
        number, reasons = _each(ids, lambda recording: _label(recording, text))
        return _result(selection, reasons, _label_sentence(number, text))
    handler = form.get("handler") or current_visitor().user.id
    try:
        review = start_of_day(parse_date(form.get("review", ""), "retention.review"), "retention.review")
    except RetentionError as error:
        return _wrong(selection, "review", errors.error(error.error_id))
    if not now() < review <= now() + LONGEST_REVIEW:
        return _wrong(selection, "review", errors.error("retention.review"))
    number, reasons = _each(ids, lambda recording: _keep(recording, handler, review))
    if number:
        tell(handler, number)
    return _result(selection, reasons, _keep_sentence(number))


def find_downloads() -> tuple[tuple[str, ...], Selection]:
    """The chosen recordings, if one of them can be downloaded; otherwise none, and why."""
    ids, purpose = tuple(dict.fromkeys(request.form.getlist("recording")))[:MOST], request.form.get("purpose")
    selection = Selection(frozenset(ids), values=request.form)
    if not ids:
        return (), _wrong(selection, "recording", str(_("Choose at least one recording.")))
    if not purpose:
        return (), _wrong(selection, "purpose", errors.error("access.purpose_missing"))
    reasons: dict[str, str] = {}
    for recording in ids:
        try:
            open_any(lambda each, form: gate().download(who(), each, purpose[:100], form), recording)
        except AccordError as error:
            reasons[recording] = errors.error(error.error_id)
        else:
            return ids, selection
    return (), _result(selection, reasons, "")


def _wrong(selection: Selection, name: str, text: str) -> Selection:
    return Selection(selection.choices, values=selection.values, errors={name: text})


def _result(selection: Selection, reasons: Mapping[str, str], outcome: str) -> Selection:
    """The result; the recordings that were refused stay chosen."""
    refusals = tuple(SelectionRefusal(_row(recording), why) for recording, why in reasons.items())
    return Selection(frozenset(reasons), values=selection.values, outcome=outcome, refusals=refusals)


def _each(ids: Sequence[str], act: Callable[[str], str]) -> tuple[int, dict[str, str]]:
    """Of how many it was done, and why not of others, by id. ``act`` returns what stands in its way."""
    reasons: dict[str, str] = {}
    for recording in ids:
        try:
            why = act(recording)
        except AccordError as error:
            why = errors.error(error.error_id)
        if why:
            reasons[recording] = why
    return len(ids) - len(reasons), reasons


def _label(recording: str, text: str) -> str:
    gate().facts(who(), recording)  # also for those who may not see this call
    user, entropy = current_visitor().user, panel_state().entropy
    notes.add_label(user.tenant, recording, user.id, text=text, now=now(), entropy=entropy)
    return ""


def _keep(recording: str, handler: str, review: datetime) -> str:
    """Keep a recording for an open question that somebody handles; an admin, or who handles it, hands one
    that is kept already to them."""
    status = gate().facts(who(), recording).status
    admin, user = current_visitor().admin, current_visitor().user.id
    holds = [each for each in status.terms.holds if admin or each.data.owner == user]
    others = [each for each in holds if each.data.owner != handler]
    if not (admin or holds or handler == user):
        return errors.error("retention.not_yours")
    if holds and not others:
        return str(_("This person handles it already."))
    if not holds and not status.may_hold():
        return str(_("None of its purposes can serve an open question."))
    if handler not in {each.id for each in handlers(status)}:
        return str(_("This person cannot listen to the calls of this number."))
    for hold in others:
        changes().hand_over(status, author(), hold=hold.number, owner=handler)
    if not holds:
        changes().hold(
            status,
            author(),
            owner=handler,
            purposes=status.may_hold(),
            reason=request.form.get("why", "").strip() or str(_("Kept for an open question")),
            review_at=review,
        )
    return ""


def _row(recording: str) -> RecordingRow | None:
    row = queries.recording(current_visitor().tenant.id, recording)
    return row if row is not None and current_visitor().sees(row.line) else None


def _label_sentence(number: int, text: str) -> str:
    if not number:
        return ""
    return str(
        ngettext(
            "%(num)d recording has the label “%(text)s”.",
            "%(num)d recordings have the label “%(text)s”.",
            number,
            text=text,
        )
    )


def _keep_sentence(number: int) -> str:
    if not number:
        return ""
    return str(
        ngettext(
            "%(num)d recording is kept for an open question.",
            "%(num)d recordings are kept for an open question.",
            number,
        )
    )
