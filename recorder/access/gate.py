"""The one door through which a recording's sound leaves (P6).

It asks who and for which purpose, checks the seal when it grants and every block as it leaves, and
writes to the log before the first byte.  What it refuses is in the log too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NoReturn

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import metrics
from recorder.access import owned
from recorder.access import played as stretches
from recorder.access.door import Copy, Door, Grant, Opened, PurposeChoice, Who
from recorder.access.handover import Archive, why_not
from recorder.access.purposes import Asked, lasts_until, roles_by_code
from recorder.access.sealed import Sealed, Seals
from recorder.catalogue import amending, grants, handing, leaving, people, persons, queries, reviews
from recorder.catalogue.countries import pack_of
from recorder.catalogue.database import connected
from recorder.catalogue.grants import LASTS, GrantRow, ListenRow
from recorder.catalogue.handing import HandedRow
from recorder.catalogue.leaving import LeavingRow
from recorder.catalogue.limits import limits_of
from recorder.catalogue.rows import RecordingRow
from recorder.clock import Now, utc_now
from recorder.errors import AccessError, PersonError, SealError
from recorder.ids import Entropy
from recorder.seal.body import to_body
from recorder.seal.keys import Keyring
from recorder.seal.revocation import Revoked, nothing
from recorder.seal.terms import Terms, terms
from recorder.store.base import NotFound, Store
from recorder.switch.caller import E164
from recorder.take.spool import Party

__all__ = ["Copy", "Door", "Gate", "Grant", "Opened", "PurposeChoice", "Who"]

LOOK_AGAIN = timedelta(seconds=5)
"""While one request is being answered, its grant and its listen are looked at this often."""

AHEAD = 15
"""What one request sends is counted ahead: with a piece, this many times what has left before it.  A write
to the catalogue costs as much as many pieces, and nine minutes of WAV take three."""

PEAKS = "peaks"

ADMIN = "customer_admin"
PERSON = "person"
"""In place of a purpose, where somebody who was recorded asks for a copy."""

SOUNDS = ("audio.opus", "audio.wav")
"""What a copy is made of: the first that there is."""

log = structlog.get_logger()

HEADERS = 1000
"""Objects whose header (40 bytes) is kept at hand."""


class Gate:
    """The gate.  Safe to share among threads and greenlets; it keeps nothing but verified manifests, and
    the headers of objects that were read.

    Each question has one connection to the catalogue; while a sound is being sent there is none.
    """

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        root_public: Ed25519PublicKey,
        *,
        now: Now = utc_now,
        entropy: Entropy = os.urandom,
        revoked: Callable[[], Revoked] = nothing,
    ) -> None:
        self._store = store
        self._seals = Seals(store, keyring, root_public, revoked)
        self._headers: dict[tuple[str, str], bytes] = {}
        self._now = now
        self._entropy = entropy

    @connected()
    def purposes(self, who: Who, recording_id: str) -> tuple[PurposeChoice, ...]:
        """See :class:`Door`."""
        row = self._row(who, recording_id, "purposes")
        sealed = self._open(who, row)
        return self._asked(who).choices(self._terms(sealed), sealed.row)

    @connected()
    def grant(self, who: Who, recording_id: str, purpose: str) -> Grant:
        """See :class:`Door`."""
        row = self._row(who, recording_id, purpose)
        sealed = self._open(who, row)
        self._check_purpose(who, sealed, purpose)
        given = grants.give(
            tenant=who.tenant,
            user=who.user,
            session=who.session,
            recording=row.id,
            purpose=purpose,
            manifest_sha256=row.manifest_sha256,
            until=self._until(sealed, purpose),
            now=self._now(),
            entropy=self._entropy,
        )
        metrics.GRANTS.inc()
        log.info("gate.granted", recording=row.id, grant=given.id, purpose=purpose)
        return Grant(given.id, given.recording, given.purpose, given.until)

    @connected()
    def given(self, who: Who, grant_id: str) -> Grant:
        """See :class:`Door`."""
        grant = self._living(who, grant_id)
        return Grant(grant.id, grant.recording, grant.purpose, grant.until)

    @connected()
    def renew(self, who: Who, grant_id: str) -> Grant:
        """See :class:`Door`."""
        grant, sealed = self._under(who, grant_id)
        until = self._until(sealed, grant.purpose)
        if not grants.renew(grant, until, now=self._now(), entropy=self._entropy):
            self._refuse(who, "access.grant_over", "the grant has ended", grant.recording, grant.purpose)
        return Grant(grant.id, grant.recording, grant.purpose, until)

    @connected()
    def manifest(self, who: Who, grant_id: str) -> Mapping[str, Any]:
        """See :class:`Door`."""
        _, sealed = self._under(who, grant_id)
        return to_body(sealed.manifest)

    @connected()
    def open(self, who: Who, grant_id: str, name: str, play: str = "") -> Opened:
        """See :class:`Door`."""
        grant, sealed = self._under(who, grant_id)
        found = sealed.manifest.object(name)
        if found is None:
            raise AccessError("access.no_sound", f"recording {grant.recording} has no {name}")
        known = (grant.manifest_sha256, name)
        with self._reported(who, sealed.row, name):
            reader = sealed.manifest.reader(
                name, sealed.key, self._stored(sealed, name), self._headers.get(known, b"")
            )

        def read(start: int, end: int) -> Iterator[bytes]:
            length = min(end, reader.plain_length) - start
            pieces = self._sent(who, grant, sealed.row, name, play, reader.read(start, end), length)
            first = next(pieces, b"")
            if reader.header:  # a seek need not read it again
                if len(self._headers) >= HEADERS:
                    self._headers.clear()
                self._headers[known] = reader.header
            return _Pieces(first, pieces)

        return Opened(name, found.media_type, reader.plain_length, read)

    @connected()
    def copy(self, who: Who, request: str, recording_id: str) -> Copy:
        """See :class:`Door`."""
        request = _plain(request)
        asked = persons.request(who.tenant, request)
        row = self._row(who, recording_id, PERSON)
        given = reviews.of(who.tenant, request).get(row.id)
        if who.role != ADMIN:
            self._refuse(who, "access.purpose_not_for_role", "an admin gives copies", row.id, PERSON)
        if asked.proved_at is None or not asked.open:
            raise PersonError("person.closed" if asked.proved_at else "person.unproved", "not now", "")
        if row.outside != Party(E164, asked.number):
            self._refuse(who, "person.not_theirs", "it is not of a call with that number", row.id, PERSON)
        if given is None or given.given not in (reviews.ALL, reviews.OWN):
            raise PersonError("person.not_reviewed", "what is given of it was not decided", "")
        sealed = self._open(who, row)
        known = self._terms(sealed)
        if known.deleted_at is not None and self._now() >= known.deleted_at and not known.holds:
            self._refuse(who, "access.destroyed", "it is being destroyed", row.id, PERSON)
        found = next((sealed.manifest.object(name) for name in SOUNDS if sealed.manifest.object(name)), None)
        if found is None:
            raise AccessError("access.no_sound", f"recording {row.id} has no sound")
        own = given.given == reviews.OWN
        told = {"channels": given.given, "name": found.name, "who": who.user}

        def sound() -> Iterator[bytes]:
            with self._reported(who, row, found.name, PERSON):
                self._alive(who, row.id, PERSON)
                reader = sealed.manifest.reader(found.name, sealed.key, self._stored(sealed, found.name))
                pieces = reader.read(0, reader.plain_length)
                reviews.note_export(
                    who.tenant, request, row.id, now=self._now(), entropy=self._entropy, **told
                )
                yield from (owned.only_left(pieces, sealed.manifest) if own else pieces)

        return Copy(
            row, sealed.manifest, known, tuple(sealed.chain.amendments),
            owned.NAME if own else found.name,
            owned.length(sealed.manifest) if own else found.plain_length, sound,
        )  # fmt: skip

    @connected()
    def close(self, who: Who, grant_id: str, play: str) -> None:
        """See :class:`Door`."""
        self._alive(who, None, None)
        grant = grants.own(who.tenant, who.user, _plain(grant_id))
        if grant is None:
            self._refuse(who, "access.grant_over", "there is no such grant")
        listen = grants.listen_of(grant, play)
        if listen is not None:
            grants.close_listen(listen, now=self._now(), entropy=self._entropy)

    def _stored(self, sealed: Sealed, name: str) -> Callable[[int, int], bytes]:
        """Reads an object's stored bytes."""
        key = sealed.manifest.prefix + name

        def stored(start: int, end: int) -> bytes:
            try:
                return self._store.read(key, start, end)
            except NotFound as error:
                raise SealError(
                    "seal.object_missing", f"{key} was sealed and is not in the bucket", "it was deleted"
                ) from error

        return stored

    @connected()
    def played(self, who: Who, grant_id: str, play: str, text: str) -> None:
        """See :class:`Door`."""
        self._alive(who, None, None)
        grant = grants.own(who.tenant, who.user, _plain(grant_id))
        if grant is None:
            self._refuse(who, "access.grant_over", "there is no such grant")
        row = queries.recording(who.tenant, grant.recording)
        listen = grants.listen_of(grant, play)
        if row is not None and listen is not None:
            grants.player_says(listen, stretches.read(text, row.duration_ms), stretches.together)

    @connected()
    def handover(self, who: Who) -> Opened:
        """See :class:`Door`."""
        self._alive(who, None, None)
        row = self._handing(who)
        archive = Archive(
            row,
            self._store,
            lambda each: self._handed(who, row, each),
            lambda each, name, error: self._note_broken(who, each.recording, name, error),
        )

        def read(start: int, end: int) -> Iterator[bytes]:
            now, said = self._now(), {"handover": row.handover, "user": who.user, "from": start, "to": end}
            handing.note(who.tenant, "handover.opened", said, now, self._entropy)
            pieces = self._handing_over(who, row, archive.read(start, end))
            return _Pieces(next(pieces, b""), pieces)

        return Opened(f"accord-{(row.handover or '')[:13]}.tar", "application/x-tar", row.length, read)

    def _handing(self, who: Who) -> LeavingRow:
        """What a customer is handed while it can be fetched."""
        row = leaving.of(who.tenant)
        if who.role != "customer_admin":
            self._refuse(who, "access.handover_role", "only admins are handed their company's recordings")
        if row is None or row.handed_at is None:
            self._refuse(who, "access.handover_none", "nothing is handed over")
        if row.erasing_since is not None or self._now() >= row.until:
            self._refuse(who, "access.handover_over", "what was handed over can no longer be fetched")
        return row

    def _handing_over(
        self, who: Who, row: LeavingRow, pieces: Iterator[bytes]
    ) -> Generator[bytes, None, None]:
        looked_at = self._now()
        for piece in pieces:
            now = self._now()
            if now - looked_at >= LOOK_AGAIN:
                self._alive(who, None, None)
                if self._handing(who).handover != row.handover:
                    self._refuse(who, "access.handover_over", "another handing over has begun")
                looked_at = now
            metrics.SENT.inc(len(piece))
            yield piece

    @connected()
    def _handed(self, who: Who, row: LeavingRow, each: HandedRow) -> Sealed | None:
        """A recording that is about to be handed over, after its leaf; ``None`` where it is gone, not to be
        used any more, or not as it was sealed (which is in the log)."""
        recording = queries.recording(who.tenant, each.recording)
        if recording is None or recording.destroyed_at is not None:
            return None
        try:
            with self._reported(who, recording, "manifest.json"):
                sealed = self._listed(self._seals.open(recording, self._now()))
        except (SealError, AccessError):
            return None
        if why_not(sealed, self._now()) is not None:
            return None
        handing.sending(who.tenant, row.handover or "", recording.id, who.user, self._now(), self._entropy)
        return sealed

    def _sent(
        self,
        who: Who,
        grant: GrantRow,
        row: RecordingRow,
        name: str,
        play: str,
        pieces: Iterator[bytes],
        length: int,
    ) -> Generator[bytes, None, None]:
        """The pieces, one after another; they are ``length`` bytes together.

        Every piece is counted in the catalogue before it leaves, the first together with the listen's leaf;
        counted is ahead, so a long sound costs few writes.  So neither a panel that dies nor a listen that
        another request closes makes the number smaller than what left.  What follows a close is another
        listen from the next look or count on.  At the end, what was counted and did not leave is taken back
        from a listen that is open.
        """
        looked_at = self._now()
        listen, left = None, 0
        counted = length if name == PEAKS else 0  # an outline is no sound: there is nothing to count
        try:
            with self._reported(who, row, name):
                for piece in pieces:
                    now = self._now()
                    if now - looked_at >= LOOK_AGAIN:
                        self._living(who, grant.id)
                        looked_at = now
                        if listen is not None and not grants.is_open(listen):
                            counted = left  # what follows belongs to another listen
                    if left + len(piece) > counted:
                        ahead = min(left + len(piece) + AHEAD * left, length) - counted
                        listen = self._count(who, grant, name, play, ahead)
                        counted += ahead
                    left += len(piece)
                    if listen is not None:
                        metrics.SENT.inc(len(piece))
                    yield piece
        finally:
            if listen is not None and left < counted:
                grants.take_back(listen, counted - left, self._now())

    def _count(self, who: Who, grant: GrantRow, name: str, play: str, ahead: int) -> ListenRow:
        listen = grants.count_sent(grant, play, name, ahead, now=self._now(), entropy=self._entropy)
        if listen is None:
            self._refuse(who, "access.grant_over", "the grant has ended", grant.recording, grant.purpose)
        return listen

    def _under(self, who: Who, grant_id: str) -> tuple[GrantRow, Sealed]:
        """A living grant and what it is for, looked at anew: the row may have been restricted since."""
        grant = self._living(who, grant_id)
        row = self._row(who, grant.recording, grant.purpose)
        with self._reported(who, row, "manifest.json", grant.purpose):
            if row.manifest_sha256 != grant.manifest_sha256:
                raise SealError(
                    "seal.manifest_replaced",
                    f"recording {row.id} is catalogued with another manifest than when the grant was given",
                )
            sealed = self._listed(self._seals.at_hand(row, self._now()))
        self._check_purpose(who, sealed, grant.purpose)
        return grant, sealed

    def _living(self, who: Who, grant_id: str) -> GrantRow:
        self._alive(who, None, None)
        grant = grants.living(who.tenant, who.user, _plain(grant_id), self._now())
        if grant is None:
            self._refuse(who, "access.grant_over", "there is no such grant, or it has ended")
        if grant.session is not None and grant.session != who.session:
            # Also a session that somebody else of the same name opened: a grant stays where it was given.
            self._alive(
                Who(who.user, who.tenant, who.role, who.language, grant.session), grant.recording, None
            )
        return grant

    def _alive(self, who: Who, recording_id: str | None, purpose: str | None) -> None:
        if not people.session_lives(who.tenant, who.user, who.session, self._now()):
            self._refuse(who, "access.revoked", "the user or the session has ended", recording_id, purpose)

    def _row(self, who: Who, recording_id: str, purpose: str) -> RecordingRow:
        self._alive(who, recording_id, purpose)
        row = queries.recording(who.tenant, _plain(recording_id))
        if row is None:
            self._refuse(who, "access.not_found", "there is no such recording", recording_id, purpose)
        if row.destroyed_at is not None:
            self._refuse(who, "access.destroyed", "the recording was destroyed", recording_id, purpose)
        return row

    def _open(self, who: Who, row: RecordingRow) -> Sealed:
        with self._reported(who, row, "manifest.json"):
            return self._listed(self._seals.open(row, self._now()))

    def _listed(self, sealed: Sealed) -> Sealed:
        """Whoever put an amendment may have died before it was listed: it counts all the same."""
        if not sealed.unlisted:
            return sealed
        amending.amended(sealed.chain, now=self._now(), entropy=self._entropy)
        row = queries.recording(sealed.row.tenant, sealed.row.id)
        assert row is not None
        return replace(sealed, row=row, unlisted=False)

    def _terms(self, sealed: Sealed) -> Terms:
        tenant = sealed.row.tenant
        return terms(sealed.manifest, sealed.chain.amendments, limits_of(tenant), pack_of(tenant))

    def _asked(self, who: Who) -> Asked:
        return Asked(who.role, self._now(), roles_by_code(queries.own_purposes(who.tenant)))

    def _check_purpose(self, who: Who, sealed: Sealed, purpose: str) -> None:
        recording = sealed.row.id
        terms = self._terms(sealed)
        if sealed.manifest.brought_in is not None and not terms.purposes:
            why = "it comes from elsewhere, and nobody has stated what it may be used for"
            self._refuse(who, "access.brought_in", why, recording, purpose)
        if sealed.manifest.announced is None and sealed.manifest.brought_in is None:
            self._refuse(
                who, "access.not_announced", "its announcement was not found in the audio", recording, purpose
            )
        choices = self._asked(who).choices(terms, sealed.row)
        choice = next((choice for choice in choices if choice.code == purpose), None)
        if choice is None:
            self._refuse(
                who,
                "access.purpose_not_announced",
                f"it was not announced for {purpose!r}",
                recording,
                purpose,
            )
        if choice.reason is not None:
            self._refuse(who, choice.reason, f"not for {purpose!r}", recording, purpose)

    def _until(self, sealed: Sealed, purpose: str) -> datetime:
        """A quarter of an hour from now, but not past the purpose."""
        return min(self._now() + LASTS, lasts_until(self._terms(sealed), purpose, sealed.row))

    def _refuse(
        self,
        who: Who,
        error_id: str,
        message: str,
        recording_id: str | None = None,
        purpose: str | None = None,
    ) -> NoReturn:
        """Write down the refusal, then refuse."""
        asked = None if recording_id is None else _plain(recording_id)
        # What is not theirs has no place in their log but in the leaf's own words.
        mine = None if error_id == "access.not_found" else asked
        said = {
            "user": who.user,
            "recording": asked,
            "purpose": None if purpose is None else _plain(purpose),
            "reason": error_id,
        }
        grants.note(
            who.tenant, "access.refused", said, recording=mine, now=self._now(), entropy=self._entropy
        )
        metrics.REFUSALS.labels(error_id.removeprefix("access.")).inc()
        log.info("gate.refused", recording=asked, error_id=error_id)
        raise AccessError(error_id, message)

    @contextmanager
    def _reported(self, who: Who, row: RecordingRow, name: str, purpose: str | None = None) -> Iterator[None]:
        """What is not as it was sealed is in the log of the tenant and of the machine before anybody is
        told; so is a tombstone that the catalogue did not know."""
        try:
            yield
        except AccessError as error:
            if error.error_id != "access.destroyed":
                raise  # it is written down already
            self._refuse(who, error.error_id, error.message, row.id, purpose)
        except SealError as error:
            self._note_broken(who, row.id, name, error)
            raise

    def _note_broken(self, who: Who, recording: str, name: str, error: SealError) -> None:
        said = {"user": who.user, "recording": recording, "object": name, "found": error.error_id}
        now = self._now()
        grants.note(who.tenant, "seal.broken", said, recording=recording, now=now, entropy=self._entropy)
        metrics.SEALS_BROKEN.inc()
        log.error("gate.seal_broken", recording=recording, object=name, error_id=error.error_id)


class _Pieces(Iterator[bytes]):
    """A first piece that was read already, and the rest."""

    def __init__(self, first: bytes, rest: Generator[bytes, None, None]) -> None:
        self._first: bytes | None = first
        self._rest = rest

    def __next__(self) -> bytes:
        first, self._first = self._first, None
        return next(self._rest) if first is None else first

    def close(self) -> None:
        """The listener has gone: what was counted and did not leave is taken back."""
        self._rest.close()


def _plain(asked: str) -> str:
    """What a person sent in place of an id or a code, fit to be looked for and written down."""
    return asked[:100].encode("ascii", "backslashreplace").decode()
