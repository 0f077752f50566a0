"""A copy of a recording for the person who was recorded, as an admin decided: it serves no announced purpose
but the person's right.  A way out through the gate (``playback/gate.py``)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import structlog

from recorder.catalogue import subject_request_queries
from recorder.catalogue.database import connected
from recorder.catalogue.records import RecordingRow
from recorder.domain.parties import E164, Party
from recorder.domain.roles import ADMIN
from recorder.errors import AccessError, PersonError, SealError
from recorder.features.subject_requests import register, reviews
from recorder.playback import channel_mute
from recorder.playback.authorization import Guard, plain
from recorder.playback.interface import SOUNDS, RecordingCopy, Who
from recorder.playback.verified_recording import VerifiedRecording
from recorder.seal.usage_terms import Terms

PERSON = "person"
"""In place of a purpose."""

log = structlog.get_logger()


class PersonalCopies:
    """The gate's way out for the person who was recorded.

    Raises :class:`recorder.errors.PersonError` (``subject_request.not_found``, ``subject_request.closed``,
    ``subject_request.unverified``, ``subject_request.not_asked``, ``subject_request.not_theirs``,
    ``subject_request.not_reviewed``, ``subject_request.unannounced``, ``subject_request.not_logged``: a row
    says something else than the log), and what the gate raises."""

    _guard: Guard

    @connected()
    def copy(self, who: Who, request: str, recording_id: str) -> RecordingCopy:
        """A recording for the person who asked for it (``register.py``), as an admin decided: for no purpose
        that was announced, but because it is theirs (GDPR art. 15)."""
        return _copy(self._guard, who, request, recording_id)

    def check_theirs(self, who: Who, request: str, recording_id: str) -> None:
        """That a recording is of a call with the number of somebody who asked, as it was sealed."""
        _theirs(self._guard, who, register.proved(who.tenant, plain(request)), recording_id)


def _copy(guard: Guard, who: Who, request: str, recording_id: str) -> RecordingCopy:
    request = plain(request)
    asked = register.proved(who.tenant, request, wants=subject_request_queries.COPIES)
    row, sealed = _theirs(guard, who, asked, recording_id)
    known = guard.terms(sealed)
    if known.deleted_at is not None and guard.now() >= known.deleted_at and not known.holds:
        guard.refuse(who, "access.erased", "it is being destroyed", row.id, PERSON)
    given = reviews.of(who.tenant, request).get(row.id)
    announced = _announced(sealed, known)
    facts = RecordingCopy(row, sealed.manifest, known, tuple(sealed.chain.amendments), announced)
    if given is None or given.given is None:
        if announced:
            raise PersonError("subject_request.not_reviewed", "what is given of it was not decided", "")
        return facts  # that it exists, and when: nothing more of it leaves without a decision of its own
    if given.given == reviews.WITHHELD:
        return facts
    if not announced and given.withheld_reason is None:
        raise PersonError(
            "subject_request.unannounced", "it was not announced, and nobody has said why it is given"
        )
    found = next((sealed.manifest.object(name) for name in SOUNDS if sealed.manifest.object(name)), None)
    if found is None:
        raise AccessError("access.no_sound", f"recording {row.id} has no sound")
    _check_signed(guard, who, request, row)
    own = given.given == reviews.OWN
    told = {"channels": given.given, "name": found.name, "who": who.user}

    def sound() -> Iterator[bytes]:
        with guard.reported(who, row, found.name, PERSON):
            guard.alive(who, row.id, PERSON)
            opened = guard.sounds.open(sealed, found.name)
            pieces = opened.read(0, opened.length)
            reviews.note_export(who.tenant, request, row.id, now=guard.now(), entropy=guard.entropy, **told)
            yield from (channel_mute.only_left(pieces, sealed.manifest) if own else pieces)

    return replace(
        facts,
        name=channel_mute.NAME if own else found.name,
        length=channel_mute.length(sealed.manifest) if own else found.plain_length,
        sound=sound,
    )


def _check_signed(guard: Guard, who: Who, request: str, row: RecordingRow) -> None:
    """Refuse what nobody signed, whatever row and leaf say.  Raises :class:`PersonError`
    (``subject_request.not_logged``: to people it is the same)."""
    try:
        reviews.check_given(who.tenant, request, row.id, guard.trust)
    except SealError as error:
        log.error(
            "disclosure.refused",
            recording=row.id,
            request=request,
            error_id=error.error_id,
            error=error.message,
            hint=error.hint,
        )
        raise register.not_logged(f"recording {row.id} in request {request}") from error


def _theirs(
    guard: Guard, who: Who, asked: subject_request_queries.RequestRow, recording_id: str
) -> tuple[RecordingRow, VerifiedRecording]:
    """A recording of a call with the person's number, as it was sealed; the row of one that names somebody
    else than what was sealed is refused."""
    row = guard.row(who, recording_id, PERSON)
    if who.role != ADMIN:
        guard.refuse(who, "access.purpose_not_for_role", "an admin gives copies", row.id, PERSON)
    if row.external_party != Party(E164, asked.number):
        guard.refuse(
            who, "subject_request.not_theirs", "it is not of a call with that number", row.id, PERSON
        )
    sealed = guard.open(who, row)
    return row, sealed


def _announced(sealed: VerifiedRecording, known: Terms) -> bool:
    """Whether people were told that it is recorded, or its customer has stated since what it is for."""
    manifest = sealed.manifest
    return manifest.announced is not None or (manifest.import_sha256 is not None and bool(known.purposes))
