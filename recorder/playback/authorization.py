"""The checks at every exit, whatever leaves: who asks, whether the recording is theirs and as it was sealed;
and the log entry for a refusal.

The gate (``gate.py``), a personal copy (``features/subject_requests/personal_copy.py``) and the offboarding
download (``features/offboarding/download.py``) share them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Final, NoReturn

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import metrics
from recorder.catalogue import queries
from recorder.catalogue.country_check import pack_of
from recorder.catalogue.records import RecordingRow
from recorder.clock import Now, utc_now
from recorder.errors import AccessError, SealError
from recorder.identity import users
from recorder.ids import Entropy
from recorder.lifecycle import amendments
from recorder.lifecycle.limits import check_logged, limits_of
from recorder.playback import grants
from recorder.playback.audio_reader import Sounds
from recorder.playback.interface import Who
from recorder.playback.verified_recording import Seals, VerifiedRecording
from recorder.seal.keyring import Keyring
from recorder.seal.offboarding import Statement, current_statement
from recorder.seal.revocation import Revoked, Trust, none_revoked
from recorder.seal.usage_terms import Terms, terms
from recorder.store.contract import Store

LOOK_AGAIN: Final = timedelta(seconds=5)
"""How often authorisation is checked again while one request is being answered."""

log = structlog.get_logger()


class Guard:
    """Checks who asks and what they ask for, and logs refusals. Safe to share among threads and greenlets; it
    keeps nothing but verified manifests and headers (``sounds``)."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        root_public: Ed25519PublicKey,
        *,
        now: Now = utc_now,
        entropy: Entropy = os.urandom,
        revoked: Callable[[], Revoked] = none_revoked,
    ) -> None:
        self.store = store
        self.sounds = Sounds(store)
        self.now = now
        self.entropy = entropy
        self.trust = Trust(root_public, revoked)
        self._seals = Seals(store, keyring, root_public, revoked)

    def alive(self, who: Who, recording_id: str | None = None, purpose: str | None = None) -> None:
        """Refuse a user or a session that has ended.  Raises :class:`AccessError`."""
        if not users.session_lives(who.tenant, who.user, who.session, self.now()):
            self.refuse(who, "access.revoked", "the user or the session has ended", recording_id, purpose)

    def row(self, who: Who, recording_id: str, purpose: str) -> RecordingRow:
        """An existing recording of theirs; their user and session are valid. Raises :class:`AccessError`."""
        self.alive(who, recording_id, purpose)
        return self.there(who, recording_id, purpose)

    def there(self, who: Who, recording_id: str, purpose: str) -> RecordingRow:
        """The same for somebody who was checked just now."""
        row = queries.recording(who.tenant, plain(recording_id))
        if row is None:
            self.refuse(who, "access.not_found", "there is no such recording", recording_id, purpose)
        if row.erased_at is not None:
            self.refuse(who, "access.erased", "the recording was destroyed", recording_id, purpose)
        return row

    def open(self, who: Who, row: RecordingRow) -> VerifiedRecording:
        """The recording as it was sealed, with all checks done now. Raises :class:`SealError`,
        :class:`AccessError`, :class:`StoreError`."""
        with self.reported(who, row, "manifest.json"):
            return self._listed(self._seals.open(row, self.now()))

    def at_hand(self, row: RecordingRow) -> VerifiedRecording:
        """The same with the manifest that was verified before, if it is in memory."""
        return self._listed(self._seals.at_hand(row, self.now()))

    def offboarding(self, tenant: str) -> Statement | None:
        """The signed statement of a customer's offboarding, if one is in force. Raises :class:`SealError`,
        :class:`StoreError`."""
        return current_statement(self.store, tenant, self.trust.root, self.trust.revoked())

    def terms(self, sealed: VerifiedRecording) -> Terms:
        """What a recording may be used for and until when, by what was sealed. Raises :class:`SealError`."""
        tenant = sealed.row.tenant
        check_logged(tenant)
        return terms(sealed.manifest, sealed.chain.amendments, limits_of(tenant, self.trust), pack_of(tenant))

    def refuse(
        self,
        who: Who,
        error_id: str,
        message: str,
        recording_id: str | None = None,
        purpose: str | None = None,
    ) -> NoReturn:
        """Log the refusal, then raise it."""
        asked = None if recording_id is None else plain(recording_id)
        # A recording that is not theirs appears in their log only as what they sent.
        mine = None if error_id == "access.not_found" else asked
        said = {
            "user": who.user,
            "recording": asked,
            "purpose": None if purpose is None else plain(purpose),
            "reason": error_id,
        }
        grants.note(who.tenant, "access.refused", said, recording=mine, now=self.now(), entropy=self.entropy)
        metrics.REFUSALS.labels(error_id.removeprefix("access.")).inc()
        log.info("gate.refused", recording=asked, error_id=error_id)
        raise AccessError(error_id, message)

    @contextmanager
    def reported(self, who: Who, row: RecordingRow, name: str, purpose: str | None = None) -> Iterator[None]:
        """Log whatever is not as it was sealed, for the tenant and on the machine, before anybody is told;
        likewise a tombstone unknown to the catalogue."""
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

    def note_broken(self, who: Who, recording: str, name: str, error: SealError) -> None:
        """Log that an object of a recording is not as it was sealed, once an hour for each person who finds
        it."""
        said = {"user": who.user, "recording": recording, "object": name, "found": error.error_id}
        grants.note_broken(who.tenant, said, recording=recording, now=self.now(), entropy=self.entropy)
        metrics.SEALS_BROKEN.inc()
        log.error("gate.seal_broken", recording=recording, object=name, error_id=error.error_id)

    def _listed(self, sealed: VerifiedRecording) -> VerifiedRecording:
        """An amendment counts even if the process that put it died before listing it."""
        if not sealed.unlisted:
            return sealed
        amendments.amended(sealed.chain, self.trust, now=self.now(), entropy=self.entropy)
        row = queries.recording(sealed.row.tenant, sealed.row.id)
        assert row is not None
        return replace(sealed, row=row, unlisted=False)


class Pieces(Iterator[bytes]):
    """Bytes being sent: the first piece is checked and logged before the answer begins."""

    def __init__(self, pieces: Generator[bytes, None, None]) -> None:
        """Reads the first piece. Raises what ``pieces`` does."""
        self._first: bytes | None = next(pieces, b"")
        self._rest = pieces

    def __next__(self) -> bytes:
        first, self._first = self._first, None
        return next(self._rest) if first is None else first

    def close(self) -> None:
        """The listener has gone: subtract what was counted and did not leave."""
        self._rest.close()


def _destroyed_meanwhile(row: RecordingRow) -> bool:
    """Whether a recording has been, or is being, destroyed since its row was read: what is missing then is
    meant to be. The catalogue's key goes first."""
    now = queries.recording(row.tenant, row.id)
    return now is not None and (
        now.erased_at is not None or (now.wrapped_key is None and row.wrapped_key is not None)
    )


def plain(asked: str) -> str:
    """What a person sent in place of an id or a code, made safe for look-up and logging."""
    return asked[:100].encode("ascii", "backslashreplace").decode()
