"""The call page: facts, player, timeline and history of one recording, and its states without a player."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from flask import abort, render_template, url_for
from flask.typing import ResponseReturnValue

from recorder.catalogue import queries
from recorder.catalogue.records import Cursor, RecordingRow
from recorder.catalogue.subject_request_queries import is_listening_proposed
from recorder.domain.roles import ADMIN, AUDITOR
from recorder.errors import AccessError, RetentionError, StoreError
from recorder.features.call_list.rules import CallQuery
from recorder.features.call_list.service import CallNeighbours, find_neighbours
from recorder.features.contacts.service import Contact, find_contact
from recorder.features.disputes import queries as dispute_queries
from recorder.features.disputes.service import HANDLERS
from recorder.features.live import queries as live
from recorder.features.notes import rules as note_rules
from recorder.features.notes import service as notes
from recorder.features.notes.service import NoteRow
from recorder.features.own_call import codes as own_calls
from recorder.features.own_call.tenant_rule import rule_of
from recorder.identity import users
from recorder.lifecycle import erasure_receipt as receipts
from recorder.lifecycle.amendment_service import RecordingStatus
from recorder.playback import call_history
from recorder.playback.interface import CallFacts, Grant
from recorder.seal.amendment_kinds import ConsentAdded
from recorder.seal.keep_agreement import WITHDRAWN, keep_agreement, longest_consent, rests_on_both
from recorder.seal.own_call import OwnCallCode
from recorder.seal.usage_terms import Terms
from web.gate import gate, who
from web.playback import view_model
from web.playback.retention_view import retention_context
from web.state import current_visitor, now, page_faults, panel_state, report_unavailable
from web.text import formats, labels

LATE = timedelta(minutes=5)
"""After that the page of a call that is being stored says that it takes longer than usual."""

OVERSIGHT_ROLES = frozenset({ADMIN, AUDITOR})
"""Roles that see what everybody did with a recording; others see their own part."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Agreement:
    """An agreement to keep a recording that is in force: for a purpose, until a time (UTC).  ``later`` are
    the amendments that recorded it after the call, with their authors' names. ``by_both``: it was made in the
    call, or both sides confirmed it, and ``until`` is as they agreed, even if the recording is deleted
    earlier; otherwise it rests on the word of one."""

    purpose: str
    until: datetime
    later: tuple[tuple[Any, str], ...]
    by_both: bool


@dataclass(frozen=True, slots=True)
class OwnCall:
    """Whether the person who was recorded can open the call: the valid ``code`` that they have, or why none
    can be given (``why_not``, an error id); whether they propose to listen together; and whether the code
    can be sent by mail, and in which language."""

    code: OwnCallCode | None
    why_not: str | None
    proposal: bool
    sends: bool
    language: str


@dataclass(frozen=True, slots=True)
class FilledForm:
    """A form of the page as it was sent: its name and values, with the id of the ``error`` to show beside it,
    or with what follows from it: the terms ``after`` it, and the purposes that would end (``codes_to_end``).
    ``code`` is the status of the response."""

    name: str
    values: Mapping[str, str]
    error: str = ""
    after: Terms | None = None
    codes_to_end: tuple[str, ...] = ()
    code: int = 400


def render_call(recording_id: str, form: FilledForm | None = None) -> ResponseReturnValue:
    """The page of a call, or what there is to say about one without a recording; with ``form`` as it was
    sent, and why it was not carried out.  Raises what the gate refuses with (:meth:`GateInterface.facts`)."""
    visitor, at = current_visitor(), now()
    if (state := _state_without_facts(recording_id)) is not None:
        return state
    try:
        facts = gate().facts(who(), recording_id)
    except AccessError as error:
        if error.error_id != "access.erased":
            raise
        return _tombstone(recording_id)
    except StoreError as error:
        report_unavailable(error)
        row = queries.recording(visitor.tenant.id, recording_id)  # the gate has let the visitor see it
        return render_template("playback/call_state.html", state="unreachable", recording=row), 503
    status = facts.status
    view = view_model.from_manifest(status.chain.manifest, facts.parties)
    allowed = [each for each in facts.choices if each.allowed]
    call_notes = notes.notes_of(visitor.tenant.id, status.row.id)
    writes = visitor.user.role in note_rules.AUTHORS
    page = render_template(
        "playback/call.html",
        recording=status.row,
        view=view,
        timeline=_timeline(view, call_notes),
        notes=[each for each in call_notes if each.kind == note_rules.NOTE],
        labels=[each for each in call_notes if each.kind == note_rules.LABEL],
        known_labels=notes.labels_in_use(visitor.tenant.id, visitor.user.lines) if writes else (),
        writes=writes,
        terms=status.terms,
        choices=facts.choices,
        allowed=allowed,
        purpose=facts.grant.purpose if facts.grant else facts.preselected,
        only_choice=len(allowed) == 1,
        form=form,
        missed_error="" if form is None else _missed_error(form, status),
        withheld=None if allowed else _why_withheld(facts),
        contact=_contact(status.row),
        caller_name=facts.parties.caller_name,
        neighbours=_neighbours(status.row),
        line=queries.line(visitor.tenant.id, status.row.line, page_faults()),
        grant=facts.grant,
        player=player_data(facts.grant, view.sounds, has_peaks=view.has_peaks) if facts.grant else None,
        agreement=agreement_of(facts),
        is_withdrawn=_is_withdrawn(facts),
        place=call_history.log_place(visitor.tenant.id, status.row.id),
        history=call_history.history(
            visitor.tenant.id,
            status.row.id,
            None if visitor.user.role in OVERSIGHT_ROLES else visitor.user.id,
        ),
        oversight=visitor.user.role in OVERSIGHT_ROLES,
        downloads=_downloads(view),
        why_no_download=gate().why_no_download(who()),
        disputes=dispute_queries.disputes_about(visitor.tenant.id, status.row.id),
        handles=visitor.user.role in HANDLERS,
        own_call=_own_call(facts),
        now=at,
        **retention_context(status),
    )
    return page, form.code if form else 200


def _own_call(facts: CallFacts) -> OwnCall | None:
    """The code for the person who was recorded; ``None`` where the visitor gives none, or nobody does."""
    service, row = panel_state().changes, facts.status.row
    if service is None or current_visitor().user.role not in own_calls.GIVERS or not rule_of(row.tenant).on:
        return None
    valid = own_calls.find_valid(row.tenant, row.id, service.trust, now())
    proposal = is_listening_proposed(row.tenant, row.id)
    why_not = own_calls.why_not(facts, panel_state().call_policy)
    sends, language = panel_state().outbox.sends, _language(facts)
    return OwnCall(None if valid is None else valid.code, why_not, proposal, sends, language)


def _language(facts: CallFacts) -> str:
    """The language of the announcement that the person heard."""
    announced = facts.status.chain.manifest.announced
    return current_visitor().tenant.language if announced is None else announced.language


def _contact(row: RecordingRow) -> Contact | None:
    """The name that the customer gave the call's number, if any."""
    if row.external_party is None or not row.external_party.value:
        return None
    return find_contact(row.tenant, row.external_party.value)


def _neighbours(row: RecordingRow) -> CallNeighbours:
    """The earlier and the later call with the same number that the visitor may see; none if it was
    withheld."""
    if row.external_party is None or not row.external_party.value:
        return CallNeighbours()
    query = CallQuery(row.tenant, external_party=row.external_party.value, scope=current_visitor().scope)
    return find_neighbours(query, Cursor(row.started_at, row.id))


def player_data(
    grant: Grant, sounds: Iterable[tuple[str, str]], *, has_peaks: bool = False
) -> dict[str, Any]:
    """What the player needs to play under a grant: addresses, the token of this playback, and the seconds
    that are left. ``sounds`` are names and media types, the first is tried first."""
    play = base64.urlsafe_b64encode(panel_state().entropy(16)).decode().rstrip("=")

    def address(name: str) -> str:
        return url_for("playback.send_audio", grant_id=grant.id, name=name, play=play)

    return {
        "play": play,
        "left": seconds_left(grant),
        "until": formats.time(grant.until),
        "purpose": labels.purpose(grant.purpose),
        "sounds": [{"src": address(name), "type": media_type} for name, media_type in sounds],
        "peaks": address("peaks") if has_peaks else "",
        "renew": url_for("playback.renew_grant", grant_id=grant.id),
        "report": url_for("playback.report_listening", grant_id=grant.id),
        "close": url_for("playback.close_listen", grant_id=grant.id),
    }


def _timeline(
    view: view_model.RecordingView, call_notes: Iterable[NoteRow]
) -> list[view_model.TimelineEntry]:
    """What happened in the call and what was noted about its moments, in order.  Prompts are left out: they
    are shaded in the lanes, nothing is missing there, and their question is an entry of its own."""
    note_entries = [
        view_model.TimelineEntry(each.at_ms, each.at_ms, "both", view_model.WRITTEN_NOTE, note=each)
        for each in call_notes
        if each.at_ms is not None
    ]
    entries = (each for each in view.entries if each.reason != "prompt")
    return sorted((*entries, *note_entries), key=view_model.entry_order)


def _downloads(view: view_model.RecordingView) -> tuple[tuple[str, str], ...]:
    """The formats in which a recording can be downloaded: as stored, and WAV, which is also made of Opus."""
    stored = {name for name, _media_type in view.sounds}
    offered = (("audio.opus", "Opus"), ("audio.wav", "WAV"))
    return tuple(each for each in offered if each[0] in stored or (each[0] == "audio.wav" and stored))


def seconds_left(grant: Grant) -> int:
    """Whole seconds until the grant ends.  A duration, because the listener's clock may be wrong."""
    return max(0, int((grant.until - now()).total_seconds()))


def _why_withheld(facts: CallFacts) -> str:
    """The error id of why this user may not listen at all."""
    row = facts.status.row
    if row.import_sha256 and not facts.choices:
        return "access.imported"
    if not row.usable or not facts.choices:
        return "access.not_announced"
    reasons = [each.reason for each in facts.choices if each.reason is not None]
    roles = "access.purpose_not_for_role"
    return roles if roles in reasons else reasons[0]


def agreement_of(facts: CallFacts) -> Agreement | None:
    """The agreement to keep the recording, made in the call or later, unless it was withdrawn."""
    terms, chain = facts.status.terms, facts.status.chain
    consent = longest_consent(terms)
    if consent is None:
        return None
    by_both = rests_on_both(chain.manifest, chain.amendments, consent.code)
    agreed_until = consent.consented_until if by_both else None  # a deletion changes nothing that was agreed
    return Agreement(consent.code, agreed_until or consent.until, _later(facts), by_both)


def _is_withdrawn(facts: CallFacts) -> bool:
    """Whether the agreement to keep the recording was withdrawn."""
    chain = facts.status.chain
    return keep_agreement(chain.manifest, chain.amendments, facts.status.terms) == WITHDRAWN


def _later(facts: CallFacts) -> tuple[tuple[Any, str], ...]:
    added = [each for each in facts.status.chain.amendments if isinstance(each.data, ConsentAdded)]
    if not added:
        return ()
    names = {each.id: each.name for each in users.users(facts.status.row.tenant)}
    return tuple((each, names.get(each.by.id or "", "")) for each in added)


def _missed_error(form: FilledForm, status: RecordingStatus) -> str:
    """The error of a form about a hold that the page does not show to the visitor any more: it was released
    or handed over meanwhile."""
    name, _dash, number = form.name.partition("-")
    holds, visitor = status.terms.holds, current_visitor()
    visible = {str(each.number) for each in holds if visitor.admin or each.data.owner == visitor.user.id}
    return "" if name not in ("handler", "lift") or number in visible else form.error


def _state_without_facts(recording_id: str) -> ResponseReturnValue | None:
    """The page of a call that goes on, or whose recording is being stored; ``None`` for any other."""
    tenant, sees = current_visitor().tenant.id, current_visitor().sees
    if queries.recording(tenant, recording_id) is not None:
        return None
    scope = current_visitor().user.lines
    if (call := live.live_call(tenant, recording_id, now(), scope)) is not None:
        return render_template("playback/call_state.html", state="live", recording=call)
    if (call := live.ended_call(tenant, recording_id, now(), scope)) is not None:
        late = call.ended_at is not None and now() - call.ended_at > LATE
        return render_template("playback/call_state.html", state="storing", recording=call, late=late)
    missing = queries.not_recorded_by_id(tenant, [recording_id]).get(recording_id)
    if missing is None or not sees(missing.line):
        return None
    return render_template("playback/call_state.html", state="not_recorded", recording=missing)


def _tombstone(recording_id: str) -> ResponseReturnValue:
    """The page of an erased recording: what was destroyed, when and why."""
    row = queries.recording(current_visitor().tenant.id, recording_id)
    if row is None or row.erased_at is None:
        abort(410)
    receipt, service = None, panel_state().changes
    if service is not None:
        backups_kept = panel_state().config.backups_kept
        try:
            receipt = receipts.receipt(
                row.tenant, row.id, service.store, service.root, service.signer, backups_kept, now()
            )
        except (RetentionError, StoreError) as error:
            log.warning("receipt.unavailable", recording=row.id, error_id=error.error_id)
    if receipt is not None:
        return render_template("retention/receipt.html", recording=row, receipt=receipt), 410
    return render_template("playback/call_state.html", state="erased", recording=row), 410
