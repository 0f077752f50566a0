"""Encryption of stored objects: Tink's streaming AEAD in the form of ``AES256_GCM_HKDF_64KB``.

An encrypted object is a sequence of segments of :data:`SEGMENT` bytes, the last one shorter or equal::

    segment 0   1 byte header length (40) | 32 bytes salt | 7 bytes nonce prefix | ciphertext | 16 bytes tag
    segment i   ciphertext | 16 bytes tag

    key of the object = HKDF-SHA256(data key, salt, info = associated data, 32 bytes)
    nonce of segment i = nonce prefix | i (4 bytes, big-endian) | 1 if it is the last, else 0

The header is in the first segment, so segment ``i`` is exactly the stored 64 KiB block ``i`` whose SHA-256
the manifest lists: a block can be read, verified and decrypted alone, which makes seeking cheap. Reordering
changes the nonce, truncation removes the flag of the last segment, and another place changes the associated
data: each is refused. An empty file is one segment with a tag and no ciphertext.

Source: https://developers.google.com/tink/streaming-aead/aes_gcm_hkdf_streaming (parameters: key 32
bytes, HKDF-SHA256, derived key 32 bytes, ciphertext segment 65536 bytes).
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from recorder.errors import SealError
from recorder.ids import Entropy
from recorder.seal import hints
from recorder.spool.atomic_files import sync_folder

SEGMENT = 65536
"""Bytes of a stored segment with header and tag: a block of the manifest."""

KEY = 32
_SALT = 32
_PREFIX = 7
_TAG = 16
HEADER = 1 + _SALT + _PREFIX
"""Bytes of the header in the first segment."""

_PLAIN = SEGMENT - _TAG
_PLAIN_FIRST = _PLAIN - HEADER
_WINDOW = 64
"""Maximum number of blocks (4 MiB) read at once, so that no object is held whole: a request to the store
takes longer than transferring a MiB."""

_GROWS = 8
"""Growth of each window over the previous one, up to :data:`_WINDOW`."""

ReadRange = Callable[[int, int], bytes]
"""Returns the stored bytes from ``start`` up to ``end``; fewer where the object is shorter."""

CheckBlock = Callable[[int, bytes], None]
"""Called with a stored block's number and bytes before it is decrypted; raises to refuse it."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An encrypted file.  Lengths in bytes, hashes SHA-256 in hex; ``blocks`` are the hashes of the stored
    64 KiB blocks in order."""

    plain_sha256: str
    plain_length: int
    sha256: str
    length: int
    blocks: tuple[str, ...]


def associated_data(recording: str, name: str) -> bytes:
    """Return the associated data of a recording's object, which binds it to its name and recording."""
    return f"accord/1/{recording}/{name}".encode()


def stored_length(plain: int) -> int:
    """Return the encrypted length of so many plain bytes."""
    return HEADER + plain + _TAG * _segments(plain)


def plain_length(stored: int) -> int:
    """Return the plain length of an encrypted object.  Raises :class:`SealError` (``seal.object_length``) for
    an impossible length."""
    count = max(1, -(-stored // SEGMENT))
    plain = stored - HEADER - _TAG * count
    if plain < 0 or stored_length(plain) != stored:
        raise SealError(
            "seal.object_length", f"an encrypted object cannot be {stored} bytes long", hints.OBJECT
        )
    return plain


def encrypt(
    source: Path, target: Path, key: bytes, associated_data: bytes, entropy: Entropy = os.urandom
) -> StoredObject:
    """Encrypt a file into another one, which appears durably and whole or not at all.

    Holds only a few MiB.  Raises ``OSError`` (with nothing at ``target``).
    """
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        with open(source, "rb") as plain, open(temporary, "wb") as out:
            result = _encrypt(plain, out.write, key, associated_data, entropy)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
    return result


def encrypt_stream(
    plain: BinaryIO, out: BinaryIO, key: bytes, associated_data: bytes, entropy: Entropy = os.urandom
) -> StoredObject:
    """Encrypt an open file into another; the caller syncs it to disk."""
    return _encrypt(plain, out.write, key, associated_data, entropy)


def encrypt_bytes(plain: bytes, key: bytes, associated_data: bytes, entropy: Entropy = os.urandom) -> bytes:
    """Encrypt a few bytes in memory (the parties)."""
    out = bytearray()
    _encrypt(io.BytesIO(plain), out.extend, key, associated_data, entropy)
    return bytes(out)


def decrypt_bytes(stored: bytes, key: bytes, associated_data: bytes) -> bytes:
    """Decrypt the result of :func:`encrypt_bytes`.  Raises :class:`SealError`."""
    reader = Reader(key, associated_data, lambda start, end: stored[start:end], len(stored))
    return b"".join(reader.read())


class Reader:
    """Reads plain bytes of an encrypted object by range.

    ``read`` fetches stored bytes; ``length`` is the stored length in the manifest, so that truncation is
    noticed whatever is read; ``check``, if given, verifies each stored block before decryption. ``header`` is
    the object's header from an earlier reader, which saves reading it; a wrong one decrypts nothing. Raises
    :class:`SealError` for an impossible length.
    """

    def __init__(
        self,
        key: bytes,
        associated_data: bytes,
        read: ReadRange,
        length: int,
        check: CheckBlock | None = None,
        header: bytes = b"",
    ) -> None:
        self.header = b""
        """The object's header, once it was read."""
        self.plain_length = plain_length(length)
        self._key = key
        self._associated = associated_data
        self._read = read
        self._length = length
        self._check = check
        self._last = max(0, -(-length // SEGMENT) - 1)
        self._cipher: tuple[AESGCM, bytes] | None = None
        if header:
            self._use(header)

    def read(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the plain bytes from ``start`` up to, not including, ``end`` (``None`` or beyond: to the
        end), a segment at a time.

        No byte leaves before its whole segment is verified.  Raises :class:`SealError` for a block that is
        missing, changed, in another place or encrypted differently, and what ``read`` raises.
        """
        end = self.plain_length if end is None else min(end, self.plain_length)
        if start < 0:
            raise ValueError("a range begins at 0 or later")
        if start >= end and self.plain_length > 0:
            return
        first, last = _segment_of(start), _segment_of(max(end - 1, 0))
        for number, block in self._blocks(first, last):
            plain = self._decrypt(number, block)
            begin = _plain_start(number)
            yield plain[max(start - begin, 0) : end - begin]

    def _blocks(self, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """Yield verified stored blocks: the first alone, for the time to the first byte, then in growing
        windows; two at once where there are only two, as for a player's range request."""
        window = 2 if last - first == 1 else 1
        if first > 0 and self._cipher is None:
            self._open_header(self._checked(0, self._fetch(0, 0)[0]))
        number = first
        while number <= last:
            blocks = self._fetch(number, min(number + window - 1, last))
            blocks.reverse()
            while blocks:  # release each block once it is sent
                block = blocks.pop()
                self._checked(number, block)  # one by one: blocks before a broken one are still delivered
                if number == 0 and self._cipher is None:
                    self._open_header(block)
                yield number, block
                number += 1
            window = min(window * _GROWS, _WINDOW)

    def _fetch(self, first: int, last: int) -> list[bytes]:
        start, end = first * SEGMENT, min((last + 1) * SEGMENT, self._length)
        data = self._read(start, end)
        if len(data) != end - start:
            raise SealError(
                "seal.object_length",
                f"bytes {start} to {end} were requested, {len(data)} came: the stored object is truncated",
                "look for an older version of it in the bucket",
            )
        return [data[at : at + SEGMENT] for at in range(0, len(data), SEGMENT)]

    def _checked(self, number: int, block: bytes) -> bytes:
        if self._check is not None:
            self._check(number, block)
        return block

    def _open_header(self, block: bytes) -> None:
        if len(block) < HEADER + _TAG or block[0] != HEADER:
            raise SealError(
                "seal.object_header",
                "the stored object does not begin with the header of an encrypted one",
                hints.OBJECT,
            )
        self._use(block[:HEADER])

    def _use(self, header: bytes) -> None:
        salt, prefix = header[1 : 1 + _SALT], header[1 + _SALT : HEADER]
        self._cipher = (_cipher(self._key, salt, self._associated), prefix)
        self.header = header

    def _decrypt(self, number: int, block: bytes) -> bytes:
        assert self._cipher is not None
        cipher, prefix = self._cipher
        body = block[HEADER:] if number == 0 else block
        try:
            return cipher.decrypt(_nonce(prefix, number, number == self._last), body, None)
        except InvalidTag:
            raise SealError(
                "seal.decryption",
                f"block {number} does not decrypt: it was changed or moved, or has another key or name",
                hints.OBJECT,
            ) from None


def _encrypt(
    plain: BinaryIO, write: Callable[[bytes], object], key: bytes, associated_data: bytes, entropy: Entropy
) -> StoredObject:
    salt, prefix = entropy(_SALT), entropy(_PREFIX)
    cipher = _cipher(key, salt, associated_data)
    header = bytes([HEADER]) + salt + prefix
    plain_hash, stored_hash = hashlib.sha256(), hashlib.sha256()
    blocks: list[str] = []
    plain_bytes = stored_bytes = 0
    # Three hashes of everything are nearly all of the work: two run in threads beside the third.
    with ThreadPoolExecutor(2, "hash") as beside:
        hash_tasks: list[Future[None]] = []
        for segments, last in _batches(plain):
            first = len(blocks)
            stored = [
                cipher.encrypt(
                    _nonce(prefix, number, last and number == first + len(segments) - 1), each, None
                )
                for number, each in enumerate(segments, first)
            ]
            if not first:
                stored[0] = header + stored[0]
            for task in hash_tasks:
                task.result()
            both = (plain_hash, segments), (stored_hash, stored)
            if last and not first:  # not worth a thread
                for each in both:
                    _feed(*each)
            else:
                hash_tasks = [beside.submit(_feed, *each) for each in both]
            for block in stored:
                write(block)
                blocks.append(hashlib.sha256(block).hexdigest())
            plain_bytes += sum(map(len, segments))
            stored_bytes += sum(map(len, stored))
    return StoredObject(
        plain_hash.hexdigest(), plain_bytes, stored_hash.hexdigest(), stored_bytes, tuple(blocks)
    )


def _feed(digest: hashlib._Hash, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        digest.update(piece)


def _batches(plain: BinaryIO) -> Iterator[tuple[list[bytes], bool]]:
    """Yield a file's segments in batches, each with whether it is the last; an empty file has one empty
    segment."""
    segment, batch = _exactly(plain, _PLAIN_FIRST), list[bytes]()
    while True:
        next_segment = _exactly(plain, _PLAIN) if len(segment) in (_PLAIN, _PLAIN_FIRST) else b""
        batch.append(segment)
        if not next_segment or len(batch) == _WINDOW:
            yield batch, not next_segment
            batch = []
        if not next_segment:
            return
        segment = next_segment


def _exactly(file: BinaryIO, length: int) -> bytes:
    """Read ``length`` bytes, fewer only at the end of the file."""
    data = file.read(length)
    while 0 < len(data) < length and (more := file.read(length - len(data))):
        data += more
    return data


def _cipher(key: bytes, salt: bytes, associated_data: bytes) -> AESGCM:
    if len(key) != KEY:
        raise ValueError(f"a data key has {KEY} bytes")
    return AESGCM(HKDF(hashes.SHA256(), KEY, salt, associated_data).derive(key))


def _nonce(prefix: bytes, number: int, last: bool) -> bytes:
    return prefix + number.to_bytes(4, "big") + bytes([last])


def _segments(plain: int) -> int:
    return 1 + max(0, -(-(plain - _PLAIN_FIRST) // _PLAIN))


def _segment_of(at: int) -> int:
    return 0 if at < _PLAIN_FIRST else 1 + (at - _PLAIN_FIRST) // _PLAIN


def _plain_start(number: int) -> int:
    return 0 if number == 0 else _PLAIN_FIRST + (number - 1) * _PLAIN
