"""A signed request to act on a live call: pause, resume, bookmark, stop and destroy.

The catalogue carries it from the panel to the node's worker.  Whoever can write to the catalogue alone could
otherwise have a live recording paused or destroyed::

    {"body": {"type": "accord-command", "version": 1, "tenant": ..., "id": ..., "call": ..., "action": "pause",
              "by": "panel", "actor": ..., "until": ..., "at": ..., "software": ...},
     "endorsement": ..., "signatures": [...]}

The form is that of an amendment, by a key that is endorsed for commands: the panel's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.clock import to_iso
from recorder.errors import SealError
from recorder.seal import signed_document, signing
from recorder.seal.revocation import Revoked
from recorder.strict_json import STRICT, Form, Time


@dataclass(frozen=True, slots=True)
class SignedCommand:
    """A request: ``by`` (panel, api) is where it was made, ``actor`` the person's or the token's id.  It is not
    to be carried out after ``until`` (UTC)."""

    __pydantic_config__ = STRICT

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
    """The command, signed.  Raises :class:`SealError` (``seal.endorsement_use``,
    ``seal.endorsement_time``)."""
    return COMMAND.write(command, signer, at).decode()


def check(content: str | None, expected: SignedCommand, root: Ed25519PublicKey, revoked: Revoked) -> None:
    """Refuse a command that was not signed as it stands in the catalogue.  Raises :class:`SealError`:
    ``command.missing``, ``command.differs``, ``seal.key_revoked``, and as :meth:`Kind.read` does."""
    if content is None:
        raise SealError("command.missing", f"nobody signed command {expected.id}")
    signed = COMMAND.read(content.encode(), root)
    if signed.value != expected:
        raise SealError("command.differs", f"another command was signed than {expected.id} says")
    since = revoked.get(signed.key_id)
    if since is not None and signed.at >= since:
        raise SealError("seal.key_revoked", f"key {signed.key_id} was revoked from {to_iso(since)} on")
