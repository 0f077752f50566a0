"""The facts about a person's recordings in their copy, as JSON; the readme is written from the same facts.

Other people's data is left out: the other party, participants, and reasons that colleagues wrote.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from recorder.catalogue.records import NotRecordedRow, RecordingRow, TenantRow
from recorder.catalogue.subject_request_queries import RequestRow
from recorder.clock import to_iso
from recorder.features.subject_requests.reviews import WITHHELD, ListenerRow, ReviewRow
from recorder.playback.interface import RecordingCopy
from recorder.seal import amendment_kinds
from recorder.seal.amendment import Amendment

FORMAT: Final = "accord-person-copy"
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class RecordingFacts:
    """One recording: its row, its review, who heard its audio, its copy, and the path of the audio in the
    archive (empty if withheld).  ``copy`` is ``None`` for a withheld recording whose seal is broken."""

    row: RecordingRow
    review: ReviewRow
    listeners: tuple[ListenerRow, ...]
    copy: RecordingCopy | None
    path: str


def document(
    tenant: TenantRow,
    request: RequestRow,
    recordings: Iterable[RecordingFacts],
    missed: Iterable[NotRecordedRow],
    now: datetime,
    names: bool,
    known_as: str = "",
) -> dict[str, Any]:
    """The facts as a JSON document.  With ``names``, colleagues who heard the audio are named, not only their
    roles. ``known_as`` is the name that the customer gave the number, if any."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "made_at": to_iso(now),
        "controller": tenant.name,
        "request": {
            "id": request.id,
            "number": request.number,
            "known_as": known_as or None,
            "received_on": request.received_on.isoformat(),
            "shown_by": request.verified_how,
        },
        "recordings": [_recording(each, names) for each in recordings],
        "calls_not_recorded": [
            {
                "started_at": to_iso(each.started_at),
                "number": each.number,
                "direction": each.direction,
                "reason": each.reason,
            }
            for each in missed
        ],
    }


def _recording(facts: RecordingFacts, names: bool) -> dict[str, Any]:
    row, copy = facts.row, facts.copy
    body: dict[str, Any] = {
        "id": row.id,
        "started_at": to_iso(row.started_at),
        "duration_ms": row.duration_ms,
        "direction": row.direction,
        "number": row.number,
        "sound": {
            "given": facts.review.given or WITHHELD,
            "file": facts.path or None,
            "withheld_because": facts.review.withheld_reason if facts.review.given == WITHHELD else None,
            "announced": row.announced if copy is None else copy.manifest.announced is not None,
        },
        "listened": [
            {
                "at": to_iso(each.at),
                "how": each.how,
                "purpose": each.purpose or None,
                "role": each.role,
                **({"name": each.name} if names else {}),
            }
            for each in facts.listeners
        ],
    }
    if copy is None:
        return body | {"purposes": [{"code": code, "until": to_iso(row.keep_until)} for code in row.purposes]}
    manifest, announced = copy.manifest, copy.manifest.announced
    return body | {
        "caller_name": copy.caller_name or None,
        "announcement": None
        if announced is None
        else {
            "text": announced.text,
            "language": announced.language,
            "keep_days": announced.keep_days,
            "from_ms": announced.offset_ms,
            "to_ms": announced.end_ms,
        },
        "purposes": [{"code": each.code, "until": to_iso(each.until)} for each in copy.terms.purposes],
        "kept_until": to_iso(copy.terms.until),
        "held": [
            {"since": to_iso(each.since), "looked_at_again_by": to_iso(each.data.review_at)}
            for each in copy.terms.holds
        ],
        "agreed_to_record": {
            "mode": manifest.consent.mode,
            "answer": manifest.consent.answer,
            "key": manifest.consent.key,
            "at": _optional_iso(manifest.consent.at),
        },
        "asked_to_keep": [
            {
                "at": to_iso(each.asked_at),
                "answer": each.answer,
                "by": each.by,
                "how": each.answered_how,
                "answered_at": _optional_iso(each.answered_at),
            }
            for each in manifest.keep_questions
        ],
        "markers": [
            {
                "at": to_iso(each.at),
                "offset_ms": each.offset_ms,
                "kind": each.kind,
                "data": {name: value for name, value in each.data.items() if name != "by"},
            }
            for each in manifest.markers
        ],
        "gaps": [
            {
                "from_ms": each.start_ms,
                "to_ms": each.end_ms,
                "channel": each.channel,
                "reason": each.reason,
            }
            for each in manifest.gaps
        ],
        "amendments": [_amendment(each) for each in copy.amendments],
    }


def _amendment(amendment: Amendment) -> dict[str, Any]:
    """An amendment without its reason, a free text by colleagues that may name other people."""
    body: dict[str, Any] = {"at": to_iso(amendment.at), "kind": amendment.kind}
    data = amendment.data
    if isinstance(data, amendment_kinds.HoldSet):
        return body | {"purposes": list(data.purposes), "looked_at_again_by": to_iso(data.review_at)}
    if isinstance(data, amendment_kinds.ConsentWithdrawn | amendment_kinds.PurposesNarrowed):
        return body | {"purposes": list(data.purposes)}
    if isinstance(data, amendment_kinds.ConsentAdded):
        return body | {"purposes": [data.purpose], "until": to_iso(data.until), "basis": data.basis}
    if isinstance(data, amendment_kinds.OutcomeAdded):
        return body | {"basis": data.basis}
    if isinstance(data, amendment_kinds.ErasureDeferred):
        return body | {"purposes": list(data.purposes), "until": to_iso(data.until)}
    return body


def _optional_iso(at: datetime | None) -> str | None:
    return None if at is None else to_iso(at)
