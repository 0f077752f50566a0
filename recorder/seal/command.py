"""A signed request to act on a live call: pause, resume, bookmark, stop and destroy.

The catalogue carries it from the panel to the node's worker.  Whoever can write to the catalogue alone could
otherwise have a live recording paused or destroyed::

    {"body": {"type": "accord-command", "version": 1, "tenant": ..., "id": ..., "call": ..., "what": "pause",
              "by": "panel", "who": ..., "until": ..., "at": ..., "software": ...},
     "endorsement": ..., "signatures": [...]}

The form is that of an amendment, by a key that is endorsed for commands: the panel's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import __version__
from recorder.clock import to_iso
from recorder.errors import SealError
from recorder.seal import signed_document, signing
from recorder.seal.canonical_json import Fields
from recorder.seal.revocation import Revoked

TYPE: Final = "accord-command"
VERSION: Final = 1
MAX_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class SignedCommand:
    """What was requested: ``by`` (panel, api) is where, ``who`` the person's or the token's id; not to be
    carried out after ``until`` (UTC)."""

    tenant: str
    id: str
    call: str
    what: str
    by: str
    who: str
    until: datetime


def write(command: SignedCommand, signer: signing.Signer, at: datetime) -> str:
    """The command, signed.  Raises :class:`SealError` (``seal.endorsement_use``,
    ``seal.endorsement_time``)."""
    signer.check(signing.COMMAND, at)
    body = asdict(command) | {
        "type": TYPE,
        "version": VERSION,
        "until": to_iso(command.until),
        "at": to_iso(at),
        "software": f"accord {__version__}",
    }
    return signed_document.write(body, signer).decode()


def check(content: str | None, expected: SignedCommand, root: Ed25519PublicKey, revoked: Revoked) -> None:
    """Refuse a command that was not signed as it stands in the catalogue.  Raises :class:`SealError`:
    ``command.missing``, ``command.differs``, ``seal.key_revoked``, and as :func:`document.read` does."""
    if content is None:
        raise SealError("command.missing", f"nobody signed command {expected.id}")
    body, key = signed_document.read(content.encode(), "command", root, signing.COMMAND, "at", MAX_BYTES)
    fields = Fields(body, "command.body")
    fields.const("type", TYPE)
    fields.const("version", VERSION)
    at = fields.time("at")
    fields.text("software")
    named = {name: fields.text(name) for name in ("tenant", "id", "call", "what", "by", "who")}
    signed = SignedCommand(**named, until=fields.time("until"))
    fields.end()
    if signed != expected:
        raise SealError("command.differs", f"another command was signed than {expected.id} says")
    since = revoked.get(key)
    if since is not None and at >= since:
        raise SealError("seal.key_revoked", f"key {key} was revoked from {to_iso(since)} on")
