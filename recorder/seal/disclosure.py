"""A signed decision that the sound of a recording is given to the person who was recorded.

The gate gives no copy without it, whatever a row or a leaf says::

    {"body": {"type": "accord-disclosure", "version": 1, "tenant": ..., "request": ..., "recording": ...,
              "given": "own", "who": ..., "at": ..., "software": ...},
     "endorsement": ..., "signatures": [...]}

The form is that of an amendment, by a key that is endorsed for disclosures: the panel's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from recorder import __version__
from recorder.clock import to_iso
from recorder.errors import SealError
from recorder.seal import signed_document, signing
from recorder.seal.canonical_json import Fields
from recorder.seal.revocation import Trust

TYPE: Final = "accord-disclosure"
VERSION: Final = 1
MAX_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What was decided: ``given`` is ``own`` (the person's channel) or ``both``, ``who`` the user's id."""

    tenant: str
    request: str
    recording: str
    given: str
    who: str


def write(disclosure: Disclosure, signer: signing.Signer, at: datetime) -> str:
    """The decision, signed.  Raises :class:`SealError` (``seal.endorsement_use``,
    ``seal.endorsement_time``)."""
    signer.check(signing.DISCLOSURE, at)
    body = asdict(disclosure) | {
        "type": TYPE,
        "version": VERSION,
        "at": to_iso(at),
        "software": f"accord {__version__}",
    }
    return signed_document.write(body, signer).decode()


def check(content: str | None, expected: Disclosure, trust: Trust) -> None:
    """Refuse a decision that was not signed so.  Raises :class:`SealError`: ``disclosure.missing``,
    ``disclosure.differs``, ``seal.key_revoked``, and as :func:`document.read` does."""
    hint = "decide on it again in the panel; `accord audit` names such rows"
    if content is None:
        what = f"nobody signed that recording {expected.recording} is given"
        raise SealError("disclosure.missing", what, hint)
    body, key = signed_document.read(
        content.encode(), "disclosure", trust.root, signing.DISCLOSURE, "at", MAX_BYTES
    )
    fields = Fields(body, "disclosure.body")
    fields.const("type", TYPE)
    fields.const("version", VERSION)
    at = fields.time("at")
    fields.text("software")
    names = ("tenant", "request", "recording", "given", "who")
    signed = Disclosure(**{name: fields.text(name) for name in names})
    fields.end()
    if signed != expected:
        raise SealError("disclosure.differs", f"another decision on {expected.recording} was signed", hint)
    since = trust.revoked().get(key)
    if since is not None and at >= since:
        raise SealError("seal.key_revoked", f"key {key} was revoked from {to_iso(since)} on", hint)
