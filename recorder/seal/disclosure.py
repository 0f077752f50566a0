"""A signed decision that the sound of a recording is given to the person who was recorded.

The gate gives no copy without it, whatever a row or a leaf says::

    {"body": {"type": "accord-disclosure", "version": 1, "tenant": ..., "request": ..., "recording": ...,
              "given": "own", "actor": ..., "at": ..., "software": ...},
     "endorsement": ..., "signatures": [...]}

The form is that of an amendment, by a key that is endorsed for disclosures: the panel's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recorder.clock import to_iso
from recorder.errors import SealError
from recorder.seal import signed_document, signing
from recorder.seal.revocation import Trust
from recorder.strict_json import STRICT, Form


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A decision: ``given`` is ``own`` (the person's channel) or ``both``, ``actor`` the user's id."""

    __pydantic_config__ = STRICT

    tenant: str
    request: str
    recording: str
    given: str
    actor: str


DISCLOSURE: Final = signed_document.Kind(
    "accord-disclosure", "disclosure", signing.DISCLOSURE, Form[Disclosure](Disclosure)
)


def write(disclosure: Disclosure, signer: signing.Signer, at: datetime) -> str:
    """The decision, signed.  Raises :class:`SealError` (``seal.endorsement_use``,
    ``seal.endorsement_time``)."""
    return DISCLOSURE.write(disclosure, signer, at).decode()


def check(content: str | None, expected: Disclosure, trust: Trust) -> None:
    """Refuse a decision that was not signed so.  Raises :class:`SealError`: ``disclosure.missing``,
    ``disclosure.differs``, ``seal.key_revoked``, and as :meth:`Kind.read` does."""
    hint = "decide on it again in the panel; `accord audit` names such rows"
    if content is None:
        what = f"nobody signed that recording {expected.recording} is given"
        raise SealError("disclosure.missing", what, hint)
    signed = DISCLOSURE.read(content.encode(), trust.root)
    if signed.value != expected:
        raise SealError("disclosure.differs", f"another decision on {expected.recording} was signed", hint)
    since = trust.revoked().get(signed.key_id)
    if since is not None and signed.at >= since:
        raise SealError("seal.key_revoked", f"key {signed.key_id} was revoked from {to_iso(since)} on", hint)
