"""The gate: the one exit for a recording's audio (P6).

It checks the user and the purpose, verifies the seal when it gives a grant and every block as it is sent, and
logs before the first byte. Refusals are logged, too.

This module is about listening: grant, open, send. Two features add exits of their own with the same checks
(``authorization.py``): a personal copy (``features/subject_requests/personal_copy.py``) and the offboarding
download (``features/offboarding/download.py``); ``processes/gate.py`` combines them. Only ``audio_reader.py``
decrypts audio.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Final, NoReturn

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import metrics
from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.records import RecordingRow, UserRow
from recorder.clock import Now, utc_now
from recorder.domain.roles import CUSTOMER, DOWNLOADERS, SUPPORT, THIRD_PARTIES
from recorder.errors import AccessError, SealError
from recorder.identity import api_tokens, download_permission, users
from recorder.identity.api_tokens import TokenRow
from recorder.ids import Entropy
from recorder.lifecycle import plans
from recorder.lifecycle.amendment_service import recording_status
from recorder.playback import channel_mute, grants
from recorder.playback import playback_report as stretches
from recorder.playback.audio_reader import MASKED, PEAKS, OpenObject
from recorder.playback.authorization import LOOK_AGAIN, NO_ADMISSIONS, Guard, Pieces, printable
from recorder.playback.grants import LASTS, ListenRow, PermittedUse
from recorder.playback.interface import (
    SOUNDS,
    WEBM,
    WEBM_TYPE,
    Actor,
    Admissions,
    CallFacts,
    Grant,
    OpenSound,
    PurposeChoice,
)
from recorder.playback.purposes import PurposePolicy, preselect, roles_by_code
from recorder.playback.verified_recording import VerifiedRecording
from recorder.seal import hints
from recorder.seal.keyring import Keyring
from recorder.seal.manifest import Manifest
from recorder.seal.revocation import Revoked, none_revoked
from recorder.store.contract import Store

AHEAD: Final = 15
"""Bytes are counted before they are sent: with a piece, this many times what was sent so far. A write to the
catalogue costs as much as many pieces, and nine minutes of WAV take three."""

SMALL: Final = 128 * 1024
"""Up to this size in bytes, which is what a player requests when it seeks, everything is counted at once."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedUse(PermittedUse):
    """A use that the gate permits now."""


class Gate:
    """The gate. Safe to share among threads and greenlets.

    Each method uses one connection to the catalogue; none is held while audio is being sent."""

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
        self._root, self._revoked = root_public, revoked
        self._guard = Guard(
            store, keyring, root_public, now=now, entropy=entropy, revoked=revoked, admissions=admissions
        )

    def check_user(self, user: UserRow) -> None:
        """See :class:`GateInterface`."""
        users.check_user(user, self._root, self._revoked())

    def check_log_in(self, user: UserRow) -> None:
        """See :class:`GateInterface`."""
        self.check_user(user)
        users.check_latest(user)

    def check_token(self, token: TokenRow) -> None:
        """See :class:`GateInterface`."""
        api_tokens.check_token(token, self._root, self._revoked())
        api_tokens.check_not_revoked(token)

    @connected()
    def purposes(self, who: Actor, recording_id: str) -> tuple[PurposeChoice, ...]:
        """See :class:`GateInterface`."""
        row = self._guard.row(who, recording_id, "purposes")
        self._check_whole(who, row.id, "purposes")
        sealed = self._guard.open(who, row)
        return self._policy(who).choices(self._guard.terms(sealed), sealed.row)

    @connected()
    def facts(self, who: Actor, recording_id: str) -> CallFacts:
        """See :class:`GateInterface`."""
        row = self._guard.row(who, recording_id, "purposes")
        self._check_whole(who, row.id, "purposes")
        sealed = self._guard.open(who, row)
        terms = self._guard.terms(sealed)
        choices = self._policy(who).choices(terms, sealed.row)
        status = recording_status(sealed.row, sealed.chain, terms, self._guard.now())
        grant = self._current_grant(who, sealed.row, choices)
        return CallFacts(status, sealed.parties, choices, preselect(choices, self._recent(who)), grant)

    def _current_grant(self, who: Actor, row: RecordingRow, choices: Iterable[PurposeChoice]) -> Grant | None:
        """The session's newest grant for a recording that would be accepted now."""
        grant = grants.latest_grant(who.tenant, who.user, who.session, self._guard.now(), row.id)
        usable = {each.code for each in choices if each.allowed}
        if grant is None or grant.purpose not in usable or grant.manifest_sha256 != row.manifest_sha256:
            return None
        if not grants.is_logged(grant):
            return None
        return grant

    def _recent(self, who: Actor) -> str | None:
        """The purpose that the session last listened for, while that grant lasts. It only preselects."""
        recent = grants.latest_grant(who.tenant, who.user, who.session, self._guard.now())
        return None if recent is None else recent.purpose

    @connected()
    def grant(self, who: Actor, recording_id: str, purpose: str) -> Grant:
        """See :class:`GateInterface`."""
        row = self._guard.row(who, recording_id, purpose)
        sealed = self._guard.open(who, row)
        use = self._permit(who, sealed, purpose)
        self._guard.sounds.prepare(sealed)
        grant = grants.create_grant(use, now=self._guard.now(), entropy=self._guard.entropy)
        metrics.GRANTS.inc()
        log.info("gate.granted", recording=row.id, grant=grant.id, purpose=purpose)
        return grant

    def _permit(self, who: Actor, sealed: VerifiedRecording, purpose: str) -> CheckedUse:
        """What a user may hear a recording for now. Raises as :meth:`_check_purpose`."""
        choices, row = self._check_purpose(who, sealed, purpose), sealed.row
        return CheckedUse(
            tenant=who.tenant,
            user=who.user,
            session=who.session,
            recording=row.id,
            purpose=purpose,
            manifest_sha256=row.manifest_sha256,
            until=self._until(who, sealed, purpose),
            preselected=preselect(choices, self._recent(who)) == purpose,
        )

    @connected()
    def valid_grant(self, who: Actor, grant_id: str) -> Grant:
        """See :class:`GateInterface`."""
        return self._valid_grant(_at_grant(who, grant_id), grant_id)

    @connected()
    def renew(self, who: Actor, grant_id: str) -> Grant:
        """See :class:`GateInterface`."""
        who = _at_grant(who, grant_id)
        grant, sealed = self._granted_recording(who, grant_id)
        self._guard.check_latest(who, grant.recording, grant.purpose)
        until = self._until(who, sealed, grant.purpose)
        renewed = grants.renew(grant, until, now=self._guard.now(), entropy=self._guard.entropy)
        if renewed is None:
            self._refuse_ended(who, grant)
        return renewed

    @connected()
    def manifest(self, who: Actor, grant_id: str) -> Manifest:
        """See :class:`GateInterface`."""
        grant, sealed = self._granted_recording(who, grant_id)
        self._check_whole(who, grant.recording, grant.purpose)
        return sealed.manifest

    def _check_whole(self, who: Actor, recording: str, purpose: str) -> None:
        """Refuse somebody who hears passages only. Raises :class:`AccessError`."""
        if who.role in THIRD_PARTIES:
            self._guard.refuse(
                who, "access.passages_only", "they hear passages and nothing else", recording, purpose
            )

    @connected()
    def open(self, who: Actor, grant_id: str, name: str, play: str = "") -> OpenSound:
        """See :class:`GateInterface`."""
        who = _at_grant(who, grant_id)
        grant, sealed = self._granted_recording(who, grant_id)
        found = sealed.manifest.object(SOUNDS[0] if name == WEBM else name)
        if found is None:
            raise AccessError(
                "access.no_sound",
                f"recording {grant.recording} has no {name}",
                "choose another format: a recording has those of its line",
            )
        admission = self._guard.admit(who, sealed, grant.purpose)
        if name not in MASKED:
            self._check_whole(who, grant.recording, grant.purpose)
        with self._guard.reported(who, sealed.row, found.name):
            sound = self._guard.sounds.open(admission, name)

        def read(start: int, end: int) -> Iterator[bytes]:
            length = min(end, sound.length) - start
            return Pieces(self._stream(who, grant, sealed.row, name, play, sound.read(start, end), length))

        return OpenSound(name, WEBM_TYPE if name == WEBM else found.media_type, sound.length, read)

    @connected()
    def why_no_download(self, who: Actor) -> str | None:
        """See :class:`GateInterface`."""
        allowed = who.role in DOWNLOADERS or (
            who.role == CUSTOMER and download_permission.is_allowed(who.tenant, who.user, self._guard.trust)
        )
        if not allowed:
            return "access.download_role"
        return None if plans.DOWNLOAD in plans.plan_of(who.tenant).features else "access.download_plan"

    @connected()
    def downloaders(self, tenant: str) -> frozenset[str]:
        """See :class:`GateInterface`."""
        if plans.DOWNLOAD not in plans.plan_of(tenant).features:
            return frozenset()
        return download_permission.find_allowed(tenant, self._guard.trust)

    def _check_download(self, who: Actor, recording_id: str, purpose: str) -> None:
        if (why := self.why_no_download(who)) is not None:
            self._guard.refuse(who, why, "downloads are not allowed", recording_id, purpose)

    def _permit_file(self, who: Actor, recording_id: str, purpose: str) -> VerifiedRecording:
        """A recording of which a user may have files now, for a purpose. Raises :class:`AccessError`."""
        row = self._guard.row(who, recording_id, purpose)
        self._check_download(who, row.id, purpose)
        sealed = self._guard.open(who, row)
        self._check_purpose(who, sealed, purpose)
        return sealed

    def _open_file(self, who: Actor, sealed: VerifiedRecording, purpose: str, name: str) -> OpenObject:
        admission = self._guard.admit(who, sealed, purpose)
        with self._guard.reported(who, sealed.row, name, purpose):
            return self._guard.sounds.open(admission, name)

    @connected()
    def download(self, who: Actor, recording_id: str, purpose: str, name: str) -> OpenSound:
        """See :class:`GateInterface`."""
        sealed = self._permit_file(who, recording_id, purpose)
        manifest = sealed.manifest
        stored = manifest.object(name) if name in SOUNDS else None
        source = stored or (manifest.object(SOUNDS[0]) if name == channel_mute.NAME else None)
        if source is None:
            raise AccessError(
                "access.no_sound",
                f"recording {sealed.row.id} has no {printable(name)}",
                "choose another format: a recording has those of its line",
            )
        sound = self._open_file(who, sealed, purpose, source.name)

        def read(start: int, end: int) -> Iterator[bytes]:
            whole = start, sound.length if stored is None else end
            return Pieces(self._send_file(who, sealed, purpose, name, sound.read(*whole), stored is None))

        length = channel_mute.length(manifest) if stored is None else sound.length
        return OpenSound(name, stored.media_type if stored else "audio/wav", length, read)

    def _send_file(
        self,
        who: Actor,
        sealed: VerifiedRecording,
        purpose: str,
        name: str,
        pieces: Iterator[bytes],
        convert: bool,
    ) -> Generator[bytes, None, None]:
        """A file's pieces: the first block is verified, then the download is logged, then it is sent."""
        row, looked_at = sealed.row, self._guard.now()
        with self._guard.reported(who, row, name, purpose):
            first = next(pieces, b"")
            self._note_download(who, row, purpose, name)
            verified = chain((first,), pieces)
            content = channel_mute.as_wav(verified, sealed.manifest) if convert else verified
            yield from self._send_checked(who, row, purpose, content, looked_at)

    def _note_download(self, who: Actor, row: RecordingRow, purpose: str, name: str) -> int:
        """Log that somebody is about to be sent a file; returns the leaf's number."""
        body = {"user": who.user, "recording": row.id, "purpose": purpose, "name": name}
        now, entropy = self._guard.now(), self._guard.entropy
        leaf = grants.note_event(
            who.tenant, grants.DOWNLOADED, body, recording=row.id, now=now, entropy=entropy
        )
        log.info("gate.downloaded", recording=row.id, purpose=purpose, object=name)
        return leaf

    def _send_checked(
        self, who: Actor, row: RecordingRow, purpose: str, pieces: Iterator[bytes], looked_at: datetime
    ) -> Iterator[bytes]:
        """A file's pieces, as long as the user may have it; what permits it was seen at ``looked_at``."""
        for piece in pieces:
            now = self._guard.now()
            if now - looked_at >= LOOK_AGAIN:
                self._guard.check_active(who, row.id, purpose)
                self._check_download(who, row.id, purpose)
                current = self._guard.existing_row(who, row.id, purpose)
                self._check_purpose(who, self._guard.open_cached(current), purpose)
                looked_at = now
            metrics.LISTEN_BYTES.inc(len(piece))
            yield piece

    @connected()
    def close(self, who: Actor, grant_id: str, play: str) -> None:
        """See :class:`GateInterface`."""
        grant = self._own_grant(_at_grant(who, grant_id), grant_id)
        listen = grants.listen_of(grant, play)
        if listen is not None:
            grants.close_listen(listen, now=self._guard.now(), entropy=self._guard.entropy)

    @connected()
    def played(self, who: Actor, grant_id: str, play: str, text: str) -> None:
        """See :class:`GateInterface`."""
        who = _at_grant(who, grant_id)
        grant = self._own_grant(who, grant_id)
        row = queries.recording(who.tenant, grant.recording)
        listen = grants.listen_of(grant)
        if row is not None and listen is not None:
            grants.note_player_report(
                listen, stretches.parse_report(text, row.duration_ms), stretches.merge_stretches
            )

    def _stream(
        self,
        who: Actor,
        grant: Grant,
        row: RecordingRow,
        name: str,
        play: str,
        pieces: Iterator[bytes],
        length: int,
    ) -> Generator[bytes, None, None]:
        """The pieces in sequence, ``length`` bytes in total.

        Every piece is counted in the catalogue before it is sent, the first one together with the listen's
        leaf. Counting runs ahead, so that long audio takes few writes. So neither a panel that dies nor a
        listen that another request closes makes the count smaller than what was sent. After a close, the next
        check or count starts another listen. At the end, bytes that were counted and not sent are subtracted
        from a listen that is still open."""
        looked_at = self._guard.now()
        listen, left = None, 0
        counted = length if name == PEAKS else 0  # peaks are not counted
        try:
            with self._guard.reported(who, row, name):
                for piece in pieces:
                    now = self._guard.now()
                    if now - looked_at >= LOOK_AGAIN:
                        self._look_again(who, grant)
                        looked_at = now
                        if listen is not None and not grants.is_open(listen):
                            counted = left  # the rest belongs to another listen
                    if left + len(piece) > counted:
                        ahead = left + len(piece) + AHEAD * left if length > SMALL else length
                        ahead = min(ahead, length) - counted
                        listen = self._count(who, grant, name, play, ahead)
                        counted += ahead
                    left += len(piece)
                    if listen is not None:
                        metrics.LISTEN_BYTES.inc(len(piece))
                    yield piece
        finally:
            if listen is not None and left < counted:
                grants.take_back(listen, counted - left, self._guard.now())

    def _count(self, who: Actor, grant: Grant, name: str, play: str, ahead: int) -> ListenRow:
        now, entropy = self._guard.now(), self._guard.entropy
        listen = grants.count_sent(grant, play, name, ahead, now=now, entropy=entropy)
        if listen is None:
            self._refuse_ended(who, grant)
        return listen

    def _refuse_ended(self, who: Actor, grant: Grant) -> NoReturn:
        self._guard.refuse(who, "access.grant_over", "the grant has ended", grant.recording, grant.purpose)

    def _granted_recording(self, who: Actor, grant_id: str) -> tuple[Grant, VerifiedRecording]:
        """A valid grant and its recording, verified again: the row may have been restricted since."""
        grant = self._valid_grant(who, grant_id)
        row = self._row(who, grant)
        with self._guard.reported(who, row, "manifest.json", grant.purpose):
            sealed = self._check_manifest(grant, row)
        self._check_purpose(who, sealed, grant.purpose)
        return grant, sealed

    def _row(self, who: Actor, grant: Grant) -> RecordingRow:
        """The recording of a valid grant that is in the log; a row alone opens nothing."""
        row = self._guard.existing_row(who, grant.recording, grant.purpose)
        if not grants.is_logged(grant):
            self._refuse_ended(who, grant)
        return row

    def _check_manifest(self, grant: Grant, row: RecordingRow) -> VerifiedRecording:
        """The recording, if its manifest is still the one that the grant was given for."""
        if row.manifest_sha256 != grant.manifest_sha256:
            raise SealError(
                "seal.manifest_replaced",
                f"the manifest of recording {row.id} in the catalogue was replaced during the grant",
                hints.COMPARE,
            )
        return self._guard.open_cached(row)

    def _look_again(self, who: Actor, grant: Grant) -> None:
        """Check that sending may continue: user, grant or purpose may have ended."""
        self._valid_grant(who, grant.id)
        row = self._row(who, grant)
        self._check_purpose(who, self._check_manifest(grant, row), grant.purpose)

    def _valid_grant(self, who: Actor, grant_id: str) -> Grant:
        self._guard.check_active(who)
        grant = grants.find_valid_grant(who.tenant, who.user, printable(grant_id), self._guard.now())
        if grant is None:
            self._guard.refuse(who, "access.grant_over", "there is no such grant, or it has ended")
        if grant.session is not None and grant.session != who.session:
            # Another session of the same user does not count: a grant belongs to the session that got it.
            self._guard.check_active(replace(who, session=grant.session), grant.recording)
        return grant

    def _own_grant(self, who: Actor, grant_id: str) -> Grant:
        """The actor's own grant, even if it has ended."""
        self._guard.check_active(who)
        grant = grants.find_grant(who.tenant, who.user, printable(grant_id))
        if grant is None:
            self._guard.refuse(who, "access.grant_over", "there is no such grant")
        return grant

    def _policy(self, who: Actor) -> PurposePolicy:
        roles = roles_by_code(queries.own_purposes(who.tenant))
        return PurposePolicy(who.role, self._guard.now(), roles, who.user)

    def _check_purpose(
        self, who: Actor, sealed: VerifiedRecording, purpose: str
    ) -> tuple[PurposeChoice, ...]:
        """Refuse a purpose that this user may not use now; returns all that were announced."""
        recording = sealed.row.id
        terms = self._guard.terms(sealed)
        if sealed.manifest.import_sha256 is not None and not terms.purposes:
            why = "it was imported, and no purpose has been stated"
            self._guard.refuse(who, "access.imported", why, recording, purpose)
        if sealed.manifest.announced is None and sealed.manifest.import_sha256 is None:
            self._guard.refuse(
                who, "access.not_announced", "its announcement was not found in the audio", recording, purpose
            )
        choices = self._policy(who).choices(terms, sealed.row)
        choice = next((choice for choice in choices if choice.code == purpose), None)
        if choice is None:
            self._guard.refuse(
                who,
                "access.purpose_not_announced",
                f"it was not announced for {purpose!r}",
                recording,
                purpose,
            )
        if choice.reason is not None:
            self._guard.refuse(who, choice.reason, f"not for {purpose!r}", recording, purpose)
        return choices

    def _until(self, who: Actor, sealed: VerifiedRecording, purpose: str) -> datetime:
        """A quarter of an hour from now, but not past the purpose's end."""
        ends = self._policy(who).lasts_until(purpose, self._guard.terms(sealed), sealed.row)
        return min(self._guard.now() + LASTS, ends)


def _at_grant(who: Actor, grant_id: str) -> Actor:
    """An actor under a grant: one of the provider's support people acts at the customer whose recording it is
    about. An unknown grant changes nothing, and is refused as any other."""
    if who.role != SUPPORT:
        return who
    tenant = grants.tenant_of(who.user, printable(grant_id))
    return who if tenant is None else replace(who, tenant=tenant, home=who.own_tenant)
