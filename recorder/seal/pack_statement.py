"""The signed statement in a pack: which files were handed over, and how its sound belongs to what was
sealed.

::

    {"body": {"type": "accord-pack", "version": 1, "tenant": ..., "recording": ..., "manifest_sha256": ...,
              "amendments": [<SHA-256>, ...], "part": "whole",
              "sounds": [{"file": ..., "object": "audio.opus", "as_sealed": true}],
              "files": [{"name": ..., "sha256": ..., "length": ...}],
              "external_party": {"kind": ..., "value": ...}, "purpose": ..., "recipient": ...,
              "language": "fr", "user": ..., "role": ..., "leaf": 123, "at": ..., "software": ...},
     "endorsement": ..., "signatures": [...]}

It is a signed document (``signed_document.py``) by a key that is endorsed for disclosures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from recorder.domain.parties import Party
from recorder.errors import SealError
from recorder.seal import hints, signed_document, signing
from recorder.strict_json import Form, Natural, Sha256, Strict, Time, one_of

WHOLE: Final = "whole"


@dataclass(frozen=True, slots=True)
class PackFile(Strict):
    """A file of a pack: its name below the pack's top folder, and its bytes."""

    name: str
    sha256: Sha256
    length: Natural


@dataclass(frozen=True, slots=True)
class PackSound(Strict):
    """A file that is sound of the sealed ``object``: its plain bytes, or decoded from them."""

    file: str
    object: str
    as_sealed: bool


@dataclass(frozen=True, slots=True)
class PackStatement(Strict):
    """What was handed over: ``files`` are all of a pack but this statement and the two lists of hashes.
    ``part``: the sound is the whole of what was sealed. ``user`` and ``role`` say who took it away, for
    which purpose, and for whom (``recipient``, in their words, may be empty); ``leaf`` is the number of the
    log's leaf about it. ``external_party`` is as it was sealed, encrypted."""

    tenant: str
    recording: str
    manifest_sha256: Sha256
    amendments: tuple[Sha256, ...]
    part: Annotated[str, one_of((WHOLE,))]
    sounds: tuple[PackSound, ...]
    files: tuple[PackFile, ...]
    external_party: Party
    purpose: str
    recipient: str
    language: str
    user: str
    role: str
    leaf: Natural
    at: Time


def _check(found: PackStatement) -> None:
    names = [each.name for each in found.files]
    if names != sorted(set(names)) or not {each.file for each in found.sounds} <= set(names):
        raise SealError(
            "seal.contradiction", "the statement names a file twice, or sound that is no file", hints.DOCUMENT
        )


KIND: Final = signed_document.Kind(
    "accord-pack", "statement", signing.DISCLOSURE, Form[PackStatement](PackStatement),
    largest=16 * 1024 * 1024, check=_check,
)  # fmt: skip
