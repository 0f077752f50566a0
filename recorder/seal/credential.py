"""A signed credential for the panel or the API, kept in the row of the user or token.

Without it, write access to the catalogue would suffice to add a user, change a role or replace a password,
and so to hear recordings::

    {"body": {"type": "accord-credential", "version": 1, "tenant": ..., "kind": "user", "id": ...,
              "role": "customer", "lines": [...], "secret_sha256": ..., "at": ..., "software": ...},
     "endorsement": ..., "signatures": [...]}

It is a signed document (``signed_document.py``), by a key that is endorsed for credentials: the panel's, or
the worker's, which the command line signs with.  ``secret_sha256`` binds the password or token; ``role`` is
null for a token.  ``lines`` are the only lines whose calls a colleague sees; without it, all.  The roles of
the provider's own tenant are ``operator`` and ``support``, and nobody else has them.  A guest
(``external_party``) takes part in one dispute and has no password: ``secret_sha256`` is that of a random
string.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field

from recorder.domain.roles import CUSTOMER, GUESTS, PROVIDER, PROVIDER_ROLES, ROLES, signed_roles_of
from recorder.errors import SealError
from recorder.seal import hints, signed_document, signing
from recorder.seal.revocation import Revoked, check_signer
from recorder.strict_json import Form, Sha256, Strict, Time, is_none, one_of

USER: Final = "user"
TOKEN: Final = "token"  # noqa: S105, a kind


@dataclass(frozen=True, slots=True)
class Credential(Strict):
    """The signed credential: ``secret_sha256`` (hex) is that of the password or token, which was set ``at``
    that time (UTC). Only a user has a ``role``."""

    tenant: str
    kind: Literal["user", "token"]
    id: str
    role: Annotated[str, one_of((*ROLES, *PROVIDER_ROLES, *GUESTS))] | None
    secret_sha256: Sha256
    at: Time
    lines: Annotated[tuple[str, ...] | None, Field(exclude_if=is_none)] = None


def _check(found: Credential) -> None:
    if found.lines is not None and found.role != CUSTOMER:
        raise SealError("seal.field", "credential.body.lines is only for a colleague's role", hints.DOCUMENT)
    if (found.kind == USER) != (found.role is not None):
        raise SealError(
            "seal.field", "credential.body.role is not a person's role, or null for a token", hints.DOCUMENT
        )
    if found.kind == USER and found.role not in signed_roles_of(found.tenant):
        raise SealError(
            "seal.field", "credential.body.role is not one that this tenant's people can have", hints.DOCUMENT
        )
    if found.kind == TOKEN and found.tenant == PROVIDER:
        raise SealError(
            "seal.field", "credential.body.tenant is the provider, which has no tokens", hints.DOCUMENT
        )


CREDENTIAL: Final = signed_document.Kind(
    "accord-credential",
    "credential",
    signing.CREDENTIAL,
    Form[Credential](Credential),
    largest=64 * 1024,
    check=_check,
)


def write(credential: Credential, signer: signing.Signer) -> str:
    """Sign a credential.  Raises :class:`SealError` (``seal.endorsement_use``,
    ``seal.endorsement_time``)."""
    return CREDENTIAL.write(credential, signer).decode()


def read(content: str, root: Ed25519PublicKey) -> tuple[Credential, str]:
    """Read a credential and verify it from the root's public key alone; return it with the id of the signing
    key.  Raises :class:`SealError`."""
    return _read(content, signing.raw_public(root))


@lru_cache(maxsize=4096)  # checked in each request of a session
def _read(content: str, raw_root: bytes) -> tuple[Credential, str]:
    signed = CREDENTIAL.read(content.encode(), Ed25519PublicKey.from_public_bytes(raw_root))
    return signed.value, signed.key_id


def check(content: str | None, expected: Credential, root: Ed25519PublicKey, revoked: Revoked) -> None:
    """Check that a row agrees with its signed credential; ``expected.at`` is not compared.

    Raises :class:`SealError`: ``credential.missing``, ``credential.differs``, ``seal.key_revoked`` (the
    signing key was revoked by then), and as :func:`read`."""
    hint = (
        "`accord user revoke` and `accord user invite` invite a person again, `accord token create` makes a "
        "token; `accord audit run` names such rows"
    )
    if content is None:
        what = f"{expected.kind} {expected.id} has no signed credential"
        raise SealError("credential.missing", what, hint)
    signed, key = read(content, root)
    names = ("tenant", "kind", "id", "role", "secret_sha256", "lines")
    others = [name for name in names if getattr(signed, name) != getattr(expected, name)]
    if others:
        what = f"{', '.join(others)} of {expected.kind} {expected.id} differs from the signed credential"
        raise SealError("credential.differs", what, hint)
    check_signer(key, signed.at, f"{expected.kind} {expected.id}", revoked, hint)
