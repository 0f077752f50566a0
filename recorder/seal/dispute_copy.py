"""The copies of disputes' statements in the bucket, from which a lost catalogue is made again.

::

    disputes/<tenant>/<recording>/<dispute>-0001

Each is a signed statement (:mod:`recorder.seal.dispute_statement`), encrypted under the data key of one of
the dispute's recordings: whoever reads the bucket learns neither names nor words, and with the recording's
key the copies are destroyed.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from recorder.errors import SealError
from recorder.ids import Entropy
from recorder.seal import dispute_statement, hints, streaming_aead
from recorder.seal.keyring import Secret, key_part

FOLDER: Final = "disputes/"
"""Prefix of the copies in the bucket."""

BLOCK: Final = 1024
"""The plain statement's length is a multiple of this many bytes."""

MAX_BYTES: Final = streaming_aead.stored_length(dispute_statement.MAX_BYTES + BLOCK)

_ID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PLACE: Final = re.compile(rf"disputes/([0-9a-z][0-9a-z-]*)/([0-9a-z][0-9a-z-]*)/({_ID})-([0-9]{{4}})")


class CopyPlace(NamedTuple):
    """Where a copy is: beside whose recording, and of which statement."""

    tenant: str
    recording: str
    dispute: str
    number: int

    @property
    def key(self) -> str:
        """The object's key in the bucket."""
        return f"{folder_of(self.tenant, self.recording)}{key_part(self.dispute)}-{self.number:04}"


def folder_of(tenant: str, recording: str) -> str:
    """Return the prefix of the copies under a recording's data key."""
    return f"{FOLDER}{key_part(tenant)}/{key_part(recording)}/"


def parse_place(key: str) -> CopyPlace | None:
    """Return what a bucket key says; ``None`` for one that is no copy's."""
    found = _PLACE.fullmatch(key)
    return None if found is None else CopyPlace(found[1], found[2], found[3], int(found[4]))


def encrypt_copy(signed: str, place: CopyPlace, data_key: Secret, entropy: Entropy) -> bytes:
    """Encrypt a signed statement, padded so that the length reveals little."""
    plain = signed.encode()
    padded = plain + b" " * (-len(plain) % BLOCK)
    return streaming_aead.encrypt_bytes(padded, data_key.key, _associated_data(place), entropy)


def decrypt_copy(stored: bytes, place: CopyPlace, data_key: Secret) -> str:
    """Decrypt the result of :func:`encrypt_copy`. Raises :class:`SealError` (``seal.decryption``, also for
    another recording's key, and for a copy at another place; ``seal.json``)."""
    plain = streaming_aead.decrypt_bytes(stored, data_key.key, _associated_data(place)).rstrip(b" ")
    try:
        return plain.decode()
    except UnicodeDecodeError as error:
        raise SealError("seal.json", f"the statement at {place.key} is not UTF-8", hints.OBJECT) from error


def _associated_data(place: CopyPlace) -> bytes:
    return streaming_aead.associated_data(place.recording, f"dispute/{place.dispute}/{place.number}")
