"""A signed invitation to become a user of the panel, kept in its row.

Without it, write access to the catalogue would suffice to invite anybody, or to widen an invitation's role or
lines::

    {"body": {"type": "accord-invitation", "version": 1, "tenant": ..., "id": ..., "address": ...,
              "name": ..., "role": "customer", "lines": [...], "language": ..., "token_sha256": ...,
              "at": ..., "until": ..., "by_kind": "user", "by": ..., "software": ...},
     "endorsement": ..., "signatures": [...]}

It is a signed document (``signed_document.py``), by a key that is endorsed for credentials. ``by_kind`` is
``user`` or ``operator``; only a user has an id (``by``). ``lines`` are as in a credential; ``extensions``, if
any, are theirs as soon as they accept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from recorder.domain.roles import CUSTOMER, PROVIDER_ROLES, ROLES, roles_of
from recorder.errors import SealError
from recorder.seal import hints, signed_document, signing
from recorder.seal.revocation import Trust, check_signer
from recorder.strict_json import Form, Sha256, Strict, Time, is_none, one_of


@dataclass(frozen=True, slots=True)
class Invitation(Strict):
    """Who is invited, to what, and by whom; valid from ``at`` up to ``until`` (UTC) for the holder of the
    token."""

    tenant: str
    id: str
    address: str
    name: str
    role: Annotated[str, one_of((*ROLES, *PROVIDER_ROLES))]
    language: str
    token_sha256: Sha256
    at: Time
    until: Time
    by_kind: Literal["user", "operator"]
    by: str | None
    lines: Annotated[tuple[str, ...] | None, Field(exclude_if=is_none)] = None
    extensions: Annotated[tuple[str, ...] | None, Field(exclude_if=is_none)] = None


def _check(found: Invitation) -> None:
    if (found.by_kind == "user") != (found.by is not None):
        raise SealError(
            "seal.field", "invitation.body.by is not a user's id, or null for the operator", hints.DOCUMENT
        )
    if found.lines is not None and found.role != CUSTOMER:
        raise SealError("seal.field", "invitation.body.lines is only for a colleague's role", hints.DOCUMENT)
    if found.role not in roles_of(found.tenant):
        raise SealError(
            "seal.field", "invitation.body.role is not one that this tenant's people can have", hints.DOCUMENT
        )


INVITATION: Final = signed_document.Kind(
    "accord-invitation",
    "invitation",
    signing.CREDENTIAL,
    Form[Invitation](Invitation),
    largest=64 * 1024,
    check=_check,
)


def write(invitation: Invitation, signer: signing.Signer) -> str:
    """Sign an invitation.  Raises :class:`SealError` (``seal.endorsement_use``,
    ``seal.endorsement_time``)."""
    return INVITATION.write(invitation, signer).decode()


def read(content: str, trust: Trust) -> Invitation:
    """Read an invitation and verify it from the root's public key.  Raises :class:`SealError`, also where its
    signing key was revoked by then (``seal.key_revoked``)."""
    signed = INVITATION.read(content.encode(), trust.root)
    found = signed.value
    check_signer(
        signed.key_id, found.at, f"invitation {found.id}", trust.revoked(), "invite the person again"
    )
    return found
