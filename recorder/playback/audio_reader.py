"""Decrypts stored audio, the only place that does (P6); only the gate's modules may use it.

Each stored block is compared with the seal as it is sent. Decrypting a block needs the object's header: its
first 40 bytes, read with the first block and verified with it. Headers are fetched when a grant is given and
kept in memory, so that a seek, even the first, reads only its target. If a header is not in memory (another
panel process gave the grant, or this one was restarted), the first block is read first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import structlog

from recorder.audio.webm import remux_opus
from recorder.errors import AccessError, SealError, StoreError
from recorder.native_thread import run_in_thread
from recorder.playback.interface import SOUNDS, WEBM, Passages
from recorder.playback.passage_mask import mask_wav
from recorder.playback.verified_recording import VerifiedRecording
from recorder.seal import plaintext
from recorder.store.contract import NotFound, Store
from recorder.verified_state import VerifiedState

PEAKS: Final = "peaks"
"""The peaks of the audio, which are not audio."""

HEADERS: Final = 1000
"""Headers kept in memory."""

OPUS, WAV = SOUNDS

MASKED: Final = (WEBM, WAV)
"""The objects of which passages alone can be heard; the rest is silence."""

LONGEST_WEBM: Final = 32 * 1024 * 1024
"""Bytes of Opus of which WebM is made: an hour and a half of a call."""

WEBM_KEPT: Final = 64 * 1024 * 1024
"""Bytes of WebM in memory, of all recordings."""

PIECE: Final = 64 * 1024

_Known = tuple[str, str]
"""A manifest's SHA-256, and an object's name."""


log = structlog.get_logger()


class MissingObject(SealError):
    """A sealed object is not in the bucket."""


@dataclass(frozen=True, slots=True)
class OpenObject:
    """An open object of a recording: ``length`` in plain bytes.

    ``read(start, end)`` yields the bytes from ``start`` up to, not including, ``end``, in pieces of at most
    64 KiB. Its iterator raises :class:`SealError` at the first block that is not as sealed,
    :class:`MissingObject`, :class:`recorder.errors.StoreError`."""

    length: int
    read: Callable[[int, int], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class SoundAdmission(VerifiedState):
    """Somebody may hear a recording: some passages of it, or all of it, where they are ``None``. The guard
    verifies that, and makes a class of its own."""

    sealed: VerifiedRecording
    passages: Passages | None


class AudioReader:
    """Opens the objects of recordings. Safe to share among threads and greenlets."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._headers: OrderedDict[_Known, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._webm: OrderedDict[tuple[str, Passages | None], bytes] = OrderedDict()
        self._webm_lock = threading.Lock()

    def open(self, admission: SoundAdmission, name: str) -> OpenObject:
        """Open an object without reading it. Its size is requested unless its header is in memory. Raises
        :class:`SealError` (``seal.no_object``, ``object.length``, …), :class:`MissingObject`,
        :class:`recorder.errors.StoreError`.

        ``audio.webm`` is made of ``audio.opus``, which is read and verified whole first. It is kept in memory
        and never on disk, because everybody in a room requests parts of the same one. Where passages are
        admitted, all sound outside of them is silence; no object but :data:`MASKED` can be opened so."""
        return self._open(admission.sealed, name, admission.passages)

    def _open(self, sealed: VerifiedRecording, name: str, passages: Passages | None) -> OpenObject:
        if passages is not None and name not in MASKED:
            raise AccessError(
                "access.passages_only",
                f"{name} has more than passages",
                "play the passages, not the whole object",
            )
        if name == WEBM:
            content = self._make_webm(sealed, passages)
            return OpenObject(len(content), lambda start, end: _pieces(content, start, end))
        key, known = sealed.manifest.prefix + name, (sealed.row.manifest_sha256, name)
        if known not in self._headers:
            self._check_length(sealed, name)

        def stored(start: int, end: int) -> bytes:
            try:
                return self._store.read(key, start, end)
            except NotFound as error:
                raise _missing(key) from error

        reader = plaintext.reader(sealed.manifest, name, sealed.key, stored, self._headers.get(known, b""))

        def read(start: int, end: int) -> Iterator[bytes]:
            pieces = reader.read(start, end)
            first = next(pieces, None)
            if first is not None:
                self._keep(known, reader.header)
                yield first
                yield from pieces

        if passages is None:
            return OpenObject(reader.plain_length, read)
        rate = sealed.manifest.sample_rate
        return OpenObject(
            reader.plain_length, lambda start, end: mask_wav(read(start, end), start, passages, rate)
        )

    def _make_webm(self, sealed: VerifiedRecording, passages: Passages | None) -> bytes:
        """A recording's Opus in WebM. One is made at a time: of several listeners who begin at once, the
        others find it made. Raises :class:`AccessError` (``access.no_sound``) for a long one, of which a
        browser plays ``audio.opus``."""
        known = sealed.row.manifest_sha256, passages
        with self._webm_lock:
            if known not in self._webm:
                opus = self._open(sealed, OPUS, None)
                if opus.length > LONGEST_WEBM:
                    raise AccessError(
                        "access.no_sound",
                        f"recording {sealed.row.id} is too long for WebM",
                        "download it as WAV or Ogg",
                    )
                content = b"".join(opus.read(0, opus.length))
                self._webm[known] = run_in_thread(remux_opus, content, passages)
                while sum(map(len, self._webm.values())) > WEBM_KEPT and len(self._webm) > 1:
                    self._webm.popitem(last=False)
            self._webm.move_to_end(known)
            return self._webm[known]

    def prepare(self, sealed: VerifiedRecording) -> None:
        """Fetch the headers of a recording's audio, so that the first seek reads only its target, and compare
        each object's length with the seal, since nothing past its last block is read. Raises nothing: a
        damaged object is reported when it is opened, and the others can be played."""
        for each in sealed.manifest.objects:
            if each.name == PEAKS:
                continue
            known = (sealed.row.manifest_sha256, each.name)
            try:
                if known in self._headers:
                    self._check_length(sealed, each.name)
                else:
                    next(self._open(sealed, each.name, None).read(0, 1), None)
            except (SealError, StoreError) as error:
                with self._lock:
                    self._headers.pop(known, None)
                log.info("gate.prepare_failed", recording=sealed.row.id, error_id=error.error_id)

    def _check_length(self, sealed: VerifiedRecording, name: str) -> None:
        found, key = sealed.manifest.object(name), sealed.manifest.prefix + name
        if found is None:
            return  # reported when the object is opened
        try:
            size = self._store.size(key)
        except NotFound as error:
            raise _missing(key) from error
        if size != found.stored_length:
            raise SealError(
                "object.length",
                f"{key} has {size} bytes, but {found.stored_length} were sealed",
                "bytes were added or removed: look at the object's versions",
            )

    def _keep(self, known: _Known, header: bytes) -> None:
        """Keep a header by which a block was just decrypted."""
        with self._lock:
            self._headers[known] = header
            self._headers.move_to_end(known)
            while len(self._headers) > HEADERS:
                self._headers.popitem(last=False)


def _pieces(content: bytes, start: int, end: int) -> Iterator[bytes]:
    end = min(end, len(content))
    return (content[at : min(at + PIECE, end)] for at in range(start, end, PIECE))


def _missing(key: str) -> MissingObject:
    return MissingObject(
        "seal.object_missing",
        f"{key} was sealed and is not in the bucket",
        "look for an older version of it in the bucket",
    )
