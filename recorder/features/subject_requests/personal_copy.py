"""A copy of a recording for the person who was recorded, as an admin decided: it serves no announced purpose
but the person's right of access. An exit of the gate (``playback/gate.py``)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import structlog

from recorder.catalogue.database import connected
from recorder.catalogue.records import RecordingRow
from recorder.domain.parties import E164, Party
from recorder.domain.roles import ADMIN
from recorder.errors import AccessError, SealError, SubjectRequestError
from recorder.features.subject_requests import queries, reviews
from recorder.features.subject_requests.service import CopyRequest, ErasureRequest, VerifiedRequest
from recorder.playback import channel_mute
from recorder.playback.authorization import Guard
from recorder.playback.interface import SOUNDS, Actor, RecordingCopy
from recorder.playback.verified_recording import VerifiedRecording
from recorder.seal.usage_terms import Terms

PERSON = "person"
"""In place of a purpose."""

log = structlog.get_logger()


class PersonalCopyExit:
    """The gate's exit for the person who was recorded.

    Raises :class:`recorder.errors.SubjectRequestError` (``subject_request.not_theirs``,
    ``subject_request.not_reviewed``, ``subject_request.unannounced``, ``subject_request.closed`` if the
    request was closed meanwhile, ``subject_request.not_logged``: a row contradicts the log), and what the
    gate raises."""

    _guard: Guard

    @connected()
    def copy(self, who: Actor, request: CopyRequest, recording_id: str) -> RecordingCopy:
        """A recording for the person who requested it (``service.py``), as an admin decided: under no
        announced purpose, but because it is theirs (GDPR art. 15)."""
        return _copy(self._guard, who, request, recording_id)

    def check_theirs(self, who: Actor, request: ErasureRequest, recording_id: str) -> None:
        """Check that a recording, as sealed, is of a call with the number of a request to erase it."""
        _theirs(self._guard, who, request, recording_id)


def _copy(guard: Guard, who: Actor, request: CopyRequest, recording_id: str) -> RecordingCopy:
    row, sealed = _theirs(guard, who, request, recording_id)
    known = guard.terms(sealed)
    is_kept = known.holds or known.deferral(guard.now()) is not None
    if known.deleted_at is not None and guard.now() >= known.deleted_at and not is_kept:
        guard.refuse(who, "access.erased", "it is being destroyed", row.id, PERSON)
    review = reviews.reviews_of(request.tenant, request.id).get(row.id)
    announced = _announced(sealed, known)
    facts = RecordingCopy(
        row, sealed.manifest, known, tuple(sealed.chain.amendments), announced, sealed.parties.caller_name
    )
    if review is None or review.given is None:
        if announced:
            raise SubjectRequestError(
                "subject_request.not_reviewed",
                "the recording has not been reviewed",
                "review the recording first",
            )
        return facts  # more needs a decision of its own
    if review.given == reviews.WITHHELD:
        return facts
    if not announced and review.withheld_reason is None:
        raise SubjectRequestError(
            "subject_request.unannounced",
            "the recording was not announced, and no reason was given for disclosing it",
            "review the recording by itself, and give a reason for disclosing it",
        )
    found = next((sealed.manifest.object(name) for name in SOUNDS if sealed.manifest.object(name)), None)
    if found is None:
        raise AccessError(
            "access.no_sound",
            f"recording {row.id} has no sound",
            "tell the person that the call was not recorded",
        )
    _check_signed(guard, request.id, row)
    own = review.given == reviews.OWN
    export = {"channels": review.given, "name": found.name, "who": who.user}

    def sound() -> Iterator[bytes]:
        with guard.reported(who, row, found.name, PERSON):
            guard.check_active(who, row.id, PERSON)
            opened = guard.sounds.open(guard.admit(who, sealed, PERSON), found.name)
            pieces = opened.read(0, opened.length)
            reviews.note_export(
                request.tenant, request.id, row.id, now=guard.now(), entropy=guard.entropy, **export
            )
            yield from (channel_mute.only_left(pieces, sealed.manifest) if own else pieces)

    return replace(
        facts,
        name=channel_mute.NAME if own else found.name,
        length=channel_mute.length(sealed.manifest) if own else found.plain_length,
        sound=sound,
    )


def _check_signed(guard: Guard, request: str, row: RecordingRow) -> None:
    """Refuse what nobody signed, whatever row and leaf say. Raises :class:`SubjectRequestError`
    (``subject_request.not_logged``, which means the same to users)."""
    try:
        reviews.check_given(row.tenant, request, row.id, guard.trust)
    except SealError as error:
        log.error(
            "disclosure.refused",
            recording=row.id,
            request=request,
            error_id=error.error_id,
            error=error.message,
            hint=error.hint,
        )
        raise queries.not_logged_error(f"recording {row.id} in request {request}") from error


def _theirs(
    guard: Guard, who: Actor, request: VerifiedRequest, recording_id: str
) -> tuple[RecordingRow, VerifiedRecording]:
    """A recording of a call with the person's number, as it was sealed; a row that contradicts the seal is
    refused."""
    row = guard.row(who, recording_id, PERSON)
    if who.role != ADMIN:
        guard.refuse(who, "access.purpose_not_for_role", "an admin gives copies", row.id, PERSON)
    is_theirs = row.external_party == Party(E164, request.number)
    if request.tenant != row.tenant or not is_theirs or request.row.recording not in (None, row.id):
        guard.refuse(
            who, "subject_request.not_theirs", "it is not of a call with that number", row.id, PERSON
        )
    sealed = guard.open(who, row)
    return row, sealed


def _announced(sealed: VerifiedRecording, known: Terms) -> bool:
    """Whether the recording was announced, or its customer has since stated its purpose."""
    manifest = sealed.manifest
    return manifest.announced is not None or (manifest.import_sha256 is not None and bool(known.purposes))
