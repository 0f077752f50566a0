"""The checks at every exit: who asks, whether the recording is theirs and as it was sealed; and the log entry
for a refusal.

The gate (``gate.py``), a personal copy (``features/subject_requests/personal_copy.py``) and the offboarding
download (``features/offboarding/download.py``) share them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from typing import Final, NoReturn

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import metrics
from recorder.catalogue import queries
from recorder.catalogue.country_check import pack_of
from recorder.catalogue.records import RecordingRow
from recorder.clock import Now, utc_now
from recorder.domain.roles import ADMITTED
from recorder.errors import AccessError, SealError
from recorder.fault_log import FaultLog
from recorder.identity import users
from recorder.ids import Entropy
from recorder.lifecycle import amendments
from recorder.lifecycle.limits import check_logged, limits_of
from recorder.playback import grants
from recorder.playback.audio_reader import AudioReader, SoundAdmission
from recorder.playback.interface import Actor, Admissions, NoAdmissions, Passages, common_passages
from recorder.playback.verified_recording import RecordingVerifier, VerifiedRecording
from recorder.seal.keyring import Keyring
from recorder.seal.offboarding import Departure, current_statement
from recorder.seal.revocation import Revoked, Trust, none_revoked
from recorder.seal.usage_terms import Terms, terms
from recorder.store.contract import Store

NO_ADMISSIONS: Final = NoAdmissions()

LOOK_AGAIN: Final = timedelta(seconds=5)
"""How often authorisation is checked again during one response."""

log = structlog.get_logger()

HINTS: Final[Mapping[str, str]] = {
    "access.dispute_closed": "open a new dispute to listen together again",
    "access.download_plan": "`accord tenant set --plan` gives the customer a plan with downloads",
    "access.download_role": "an admin allows it on the team page",
    "access.erased": "its receipt shows when and why: `accord recording receipt`",
    "access.expired": "nobody can hear it any more: announce a longer period for future calls",
    "access.grant_over": "choose a purpose and press Play again",
    "access.handover_changed": "prepare it again: `accord offboarding export`",
    "access.handover_none": "`accord offboarding export` prepares the archive",
    "access.handover_over": "prepare it again: `accord offboarding export`",
    "access.handover_role": "an admin of the customer downloads it",
    "access.held": "a legal hold limits who may hear it, and for which purposes: `accord recording show`",
    "access.imported": "an admin states what the imported recording may be used for",
    "access.no_sound": "choose another format: a recording has those of its line",
    "access.not_admitted": "a guest hears only what both sides of the dispute have agreed to",
    "access.not_announced": "nothing can be done: the announcement was not found in the recording",
    "access.not_found": "check the address; another customer's recording looks the same",
    "access.not_verified": "the guest enters the code from a verification call, or two users vouch for them",
    "access.other_line": "an admin assigns lines on the team page",
    "access.passages_only": "play the passages, not the whole recording",
    "access.purpose_not_announced": "choose a purpose that was announced: `accord recording show`",
    "access.purpose_not_for_role": "ask a colleague whose role includes the purpose",
    "access.purpose_restricted": "choose another purpose: this one has ended",
    "access.revoked": "log in again; `accord user list` shows whether the user is still active",
    "subject_request.not_theirs": "review the recordings listed on the request's page",
}
"""What can be done about each refusal, by its id."""


@dataclass(frozen=True, slots=True)
class CheckedAdmission(SoundAdmission):
    """What the guard admits an actor to now."""


class Guard:
    """Checks users and requests, and logs refusals. Safe to share among threads and greenlets; it keeps
    nothing but verified manifests and headers (``sounds``)."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        root_public: Ed25519PublicKey,
        *,
        now: Now = utc_now,
        entropy: Entropy = os.urandom,
        revoked: Callable[[], Revoked] = none_revoked,
        admissions: Admissions = NO_ADMISSIONS,
    ) -> None:
        self.store = store
        self._admissions = admissions
        self.faults = FaultLog()
        self.sounds = AudioReader(store)
        self.now = now
        self.entropy = entropy
        self.trust = Trust(root_public, revoked)
        self._seals = RecordingVerifier(store, keyring, root_public, revoked)

    def check_active(self, who: Actor, recording_id: str | None = None, purpose: str | None = None) -> None:
        """Refuse a user or a session that has ended. Raises :class:`AccessError`."""
        if not users.is_session_valid(who.own_tenant, who.user, who.session, self.now()):
            self.refuse(who, "access.revoked", "the user or the session has ended", recording_id, purpose)

    def check_latest(self, who: Actor, recording_id: str | None = None, purpose: str | None = None) -> None:
        """Refuse a user whose access was ended or changed since, according to the log: restored rows open
        nothing. Raises :class:`AccessError`."""
        user = users.user(who.own_tenant, who.user)
        try:
            if user is not None:
                users.check_latest(user)
        except SealError as error:
            self.refuse(who, "access.revoked", error.message, recording_id, purpose)

    def row(self, who: Actor, recording_id: str, purpose: str) -> RecordingRow:
        """A recording of the actor's tenant; user and session are valid, also according to the log. Raises
        :class:`AccessError`."""
        self.check_active(who, recording_id, purpose)
        self.check_latest(who, recording_id, purpose)
        return self.existing_row(who, recording_id, purpose)

    def existing_row(self, who: Actor, recording_id: str, purpose: str) -> RecordingRow:
        """The same for an actor who was checked just now."""
        row = queries.recording(who.tenant, printable(recording_id))
        if row is None:
            self.refuse(who, "access.not_found", "there is no such recording", recording_id, purpose)
        if who.lines is not None and row.line not in who.lines:
            self.refuse(who, "access.other_line", "its line is not assigned to them", recording_id, purpose)
        self._passages(who, row.id, purpose)
        if row.erased_at is not None:
            self.refuse(who, "access.erased", "the recording was destroyed", recording_id, purpose)
        return row

    def admit(self, who: Actor, sealed: VerifiedRecording, purpose: str) -> CheckedAdmission:
        """What a user may hear of a recording. A guest whom no signed statement admits to it is refused.
        Raises :class:`AccessError`."""
        return CheckedAdmission(sealed, self._passages(who, sealed.row.id, purpose))

    def admit_together(
        self, people: Iterable[Actor], sealed: VerifiedRecording, purpose: str
    ) -> CheckedAdmission:
        """The same for people who hear one sound: what each of them may hear. Raises :class:`AccessError`."""
        each = (self._passages(who, sealed.row.id, purpose) for who in people)
        return CheckedAdmission(sealed, reduce(common_passages, each, None))

    def _passages(self, who: Actor, recording: str, purpose: str) -> Passages | None:
        """The passages of a recording that a user may hear; ``None``: all of it."""
        if who.role not in ADMITTED:
            return None
        try:
            admission = self._admissions.check(who, recording)
        except AccessError as error:
            self.refuse(who, error.error_id, error.message, recording, purpose)
        except SealError as error:
            log.error("gate.admission_refused", user=who.user, error_id=error.error_id, error=error.message)
            self.refuse(who, "access.not_admitted", error.message, recording, purpose)
        if admission.recording != recording:
            self.refuse(who, "access.not_admitted", "they are admitted to another", recording, purpose)
        return admission.passages

    def open(self, who: Actor, row: RecordingRow) -> VerifiedRecording:
        """The recording as it was sealed, with all checks made now. Raises :class:`SealError`,
        :class:`AccessError`, :class:`StoreError`."""
        with self.reported(who, row, "manifest.json"):
            return self._listed(self._seals.open(row, self.now()))

    def open_cached(self, row: RecordingRow) -> VerifiedRecording:
        """The same with the manifest that was verified before, if it is in memory."""
        return self._listed(self._seals.open_cached(row, self.now()))

    def offboarding(self, tenant: str) -> Departure | None:
        """The signed statement about a customer's offboarding, if one is in force. Raises :class:`SealError`,
        :class:`StoreError`."""
        return current_statement(self.store, tenant, self.trust.root, self.trust.revoked())

    def terms(self, sealed: VerifiedRecording) -> Terms:
        """The sealed terms of a recording: for what, and until when, it may be used. Raises
        :class:`SealError`."""
        tenant = sealed.row.tenant
        check_logged(tenant)
        return terms(sealed.manifest, sealed.chain.amendments, limits_of(tenant, self.trust), pack_of(tenant))

    def refuse(
        self,
        who: Actor,
        error_id: str,
        message: str,
        recording_id: str | None = None,
        purpose: str | None = None,
    ) -> NoReturn:
        """Log the refusal, then raise it."""
        recording = None if recording_id is None else printable(recording_id)
        # Another tenant's recording appears in the log only as the id that was sent.
        own = None if error_id == "access.not_found" else recording
        body = {
            "user": who.user,
            "recording": recording,
            "purpose": None if purpose is None else printable(purpose),
            "reason": error_id,
        }
        grants.note_event(
            who.tenant, "access.refused", body, recording=own, now=self.now(), entropy=self.entropy
        )
        metrics.REFUSALS.labels(error_id.removeprefix("access.")).inc()
        log.info("gate.refused", recording=recording, error_id=error_id)
        raise AccessError(error_id, message, HINTS[error_id])

    @contextmanager
    def reported(
        self, who: Actor, row: RecordingRow, name: str, purpose: str | None = None
    ) -> Iterator[None]:
        """Log whatever is not as it was sealed, for the tenant and on the machine, before the caller learns
        of it; likewise a tombstone that the catalogue does not know."""
        try:
            yield
        except AccessError as error:
            if error.error_id != "access.erased":
                raise  # it is already logged
            self.refuse(who, error.error_id, error.message, row.id, purpose)
        except SealError as error:
            if _destroyed_meanwhile(row):
                self.refuse(who, "access.erased", "the recording was destroyed", row.id, purpose)
            self.note_broken(who, row.id, name, error)
            raise

    def note_broken(self, who: Actor, recording: str, name: str, error: SealError) -> None:
        """Log that an object of a recording is not as it was sealed, once an hour for each user who finds
        it."""
        body = {"user": who.user, "recording": recording, "object": name, "found": error.error_id}
        grants.note_broken_seal(who.tenant, body, recording=recording, now=self.now(), entropy=self.entropy)
        metrics.BROKEN_SEALS.inc()
        log.error("gate.seal_broken", recording=recording, object=name, error_id=error.error_id)

    def _listed(self, sealed: VerifiedRecording) -> VerifiedRecording:
        """List amendments that were put by a process that died before listing them: they count."""
        if not sealed.unlisted:
            return sealed
        amendments.list_amendments(sealed.chain, self.trust, now=self.now(), entropy=self.entropy)
        row = queries.recording(sealed.row.tenant, sealed.row.id)
        assert row is not None
        return self._seals.open(row, self.now())


class Pieces(Iterator[bytes]):
    """Bytes being sent: the first piece is verified and logged before the response begins."""

    def __init__(self, pieces: Generator[bytes, None, None]) -> None:
        """Reads the first piece. Raises as ``pieces``."""
        self._first: bytes | None = next(pieces, b"")
        self._rest = pieces

    def __next__(self) -> bytes:
        first, self._first = self._first, None
        return next(self._rest) if first is None else first

    def close(self) -> None:
        """The listener has disconnected: bytes that were counted and not sent are subtracted."""
        self._rest.close()


def _destroyed_meanwhile(row: RecordingRow) -> bool:
    """Whether a recording was, or is being, erased since its row was read: what is missing then is meant to
    be missing. The catalogue's key goes first."""
    now = queries.recording(row.tenant, row.id)
    return now is not None and (
        now.erased_at is not None or (now.wrapped_key is None and row.wrapped_key is not None)
    )


def printable(text: str) -> str:
    """An id or a code as a user sent it, made safe for look-up and logging."""
    return text[:100].encode("ascii", "backslashreplace").decode()
