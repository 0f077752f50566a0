"""A signed request to act on a live call: pause, resume, bookmark, stop and destroy.

The catalogue carries it from the panel to the node's worker.  Without the
signature, write access to the catalogue would suffice to pause or destroy a live recording::

    {"body": {"type": "accord-command", "version": 1, "tenant": ..., "id": ..., "call": ..., "action":
    "pause", "by": "panel", "actor": ..., "until": ..., "at": ..., "software": ...}, "endorsement": ...,
    "signatures": [...]}

It is a signed document (``signed_document.py``); only the panel's key is endorsed for commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.errors import SealError
from recorder.seal import signed_document, signing
from recorder.seal.revocation import Revoked, check_signer
from recorder.strict_json import Form, Strict, Time


@dataclass(frozen=True, slots=True)
class SignedCommand(Strict):
    """A request: ``by`` (panel, api) is where it was made, ``actor`` the person's or the token's id. It is
    not to be carried out after ``until`` (UTC)."""

    tenant: str
    id: str
    call: str
    action: str
    by: str
    actor: str
    until: Time


COMMAND: Final = signed_document.Kind(
    "accord-command", "command", signing.COMMAND, Form[SignedCommand](SignedCommand)
)


def write(command: SignedCommand, signer: signing.Signer, at: datetime) -> str:
    """Sign a command.  Raises :class:`SealError` (``seal.endorsement_use``,
    ``seal.endorsement_time``)."""
    return COMMAND.write(command, signer, at).decode()


def check(content: str | None, expected: SignedCommand, root: Ed25519PublicKey, revoked: Revoked) -> None:
    """Check that a command was signed as it stands in the catalogue.  Raises :class:`SealError`:
    ``command.missing``, ``command.differs``, ``seal.key_revoked``, and as :meth:`Kind.read` does."""
    if content is None:
        raise SealError(
            "command.missing",
            f"command {expected.id} is not signed",
            "repeat it in the panel; `accord audit run` names a row that nobody signed",
        )
    signed = COMMAND.read(content.encode(), root)
    if signed.value != expected:
        raise SealError(
            "command.differs",
            f"command {expected.id} differs from the signed one",
            "repeat it in the panel; `accord audit run` names a row that was changed",
        )
    check_signer(signed.key_id, signed.at, f"command {expected.id}", revoked)
