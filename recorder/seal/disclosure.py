"""A signed decision to disclose a recording's audio to the recorded person.

The gate gives no copy without it, whatever the rows and leaves say::

    {"body": {"type": "accord-disclosure", "version": 1, "tenant": ..., "request": ..., "recording": ...,
              "given": "own", "actor": ..., "at": ..., "software": ...},
     "endorsement": ..., "signatures": [...]}

It is a signed document (``signed_document.py``); only the panel's key is endorsed for disclosures.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recorder.errors import SealError
from recorder.seal import signed_document, signing
from recorder.seal.revocation import Trust, check_signer
from recorder.strict_json import Form, Strict


@dataclass(frozen=True, slots=True)
class Disclosure(Strict):
    """A decision: ``given`` is ``own`` (the person's channel) or ``both``, ``actor`` the id of the user who
    decided."""

    tenant: str
    request: str
    recording: str
    given: str
    actor: str


DISCLOSURE: Final = signed_document.Kind(
    "accord-disclosure", "disclosure", signing.DISCLOSURE, Form[Disclosure](Disclosure)
)


def write(disclosure: Disclosure, signer: signing.Signer, at: datetime) -> str:
    """Sign a decision.  Raises :class:`SealError` (``seal.endorsement_use``,
    ``seal.endorsement_time``)."""
    return DISCLOSURE.write(disclosure, signer, at).decode()


def check(content: str | None, expected: Disclosure, trust: Trust) -> None:
    """Check that a decision was signed as it stands.  Raises :class:`SealError`: ``disclosure.missing``,
    ``disclosure.differs``, ``seal.key_revoked``, and as :meth:`Kind.read` does."""
    hint = "decide on it again in the panel; `accord audit run` names such rows"
    if content is None:
        what = f"the disclosure of recording {expected.recording} is not signed"
        raise SealError("disclosure.missing", what, hint)
    signed = DISCLOSURE.read(content.encode(), trust.root)
    if signed.value != expected:
        raise SealError(
            "disclosure.differs",
            f"the disclosure of recording {expected.recording} differs from the signed one",
            hint,
        )
    what = f"the disclosure of recording {expected.recording}"
    check_signer(signed.key_id, signed.at, what, trust.revoked(), hint)
