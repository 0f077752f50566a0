"""The signed set of a user's second factors, kept in the catalogue.

Without it, write access to the catalogue would suffice to remove somebody's second factor, or to add a
passkey or a recovery code to an account::

    {"body": {"type": "accord-second-factors", "version": 1, "tenant": ..., "user": ..., "number": 3,
              "app": {"secret_sha256": ..., "since": ...}, "passkeys": [...], "codes": ["<sha256>", ...],
              "at": ..., "software": ...},
     "endorsement": ..., "signatures": [...]}

It is a signed document (``signed_document.py``), by a key that is endorsed for credentials. ``number`` counts
a user's sets from 1. Each set has a leaf in the customer's log that states its number, so an older set is
refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field

from recorder.seal import signed_document, signing
from recorder.strict_json import Binary, Form, Natural, Positive, Sha256, Strict, Time

MAX_PASSKEYS: Final = 10
"""Passkeys of one user."""

LONGEST_NAME: Final = 60
"""Characters of a passkey's name."""


@dataclass(frozen=True, slots=True)
class AuthenticatorApp(Strict):
    """An app that shows one-time codes (TOTP): the hex SHA-256 of its secret."""

    secret_sha256: Sha256
    since: Time


@dataclass(frozen=True, slots=True)
class Passkey(Strict):
    """A WebAuthn credential: its id, its COSE public key, and the name that its owner gave it."""

    id: Annotated[Binary, Field(min_length=1, max_length=1023)]
    public_key: Annotated[Binary, Field(min_length=1, max_length=2048)]
    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    since: Time


@dataclass(frozen=True, slots=True)
class SecondFactors(Strict):
    """All second factors of a user. ``codes`` are hex SHA-256 of the recovery codes that were not used yet.
    ``number`` is 0 for a user who never had any; that set is not signed."""

    tenant: str
    user: str
    number: Natural = 0
    app: AuthenticatorApp | None = None
    passkeys: tuple[Passkey, ...] = ()
    codes: tuple[Sha256, ...] = ()

    @property
    def required(self) -> bool:
        """Whether the user's password alone is not enough to log in."""
        return self.app is not None or bool(self.passkeys)

    def passkey(self, passkey_id: bytes) -> Passkey | None:
        """The passkey with an id."""
        return next((each for each in self.passkeys if each.id == passkey_id), None)

    def without_factor(self) -> SecondFactors:
        """The set of a user who has no second factor any more."""
        return replace(self, app=None, passkeys=(), codes=())


KIND: Final = signed_document.Kind(
    "accord-second-factors", "set of second factors", signing.CREDENTIAL, Form[SecondFactors](SecondFactors),
    largest=64 * 1024,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SignInRule(Strict):
    """Whether everybody at a customer must have a second factor; ``number`` counts the customer's rules from
    1."""

    tenant: str
    number: Positive
    second_factor: bool


@dataclass(frozen=True, slots=True)
class ResetRequest(Strict):
    """An admin's request (``by``, their id) that the set with a ``number`` of a colleague is reset."""

    tenant: str
    id: str
    user: str
    number: Positive
    by: str


RULE: Final = signed_document.Kind(
    "accord-sign-in-rule", "sign-in rule", signing.CREDENTIAL, Form[SignInRule](SignInRule)
)
RESET_REQUEST: Final = signed_document.Kind(
    "accord-factor-reset-request", "request of a reset", signing.CREDENTIAL, Form[ResetRequest](ResetRequest)
)


def read(content: str, root: Ed25519PublicKey) -> signed_document.Verified[SecondFactors]:
    """Read a signed set and verify it from the root's public key.  Raises
    :class:`recorder.errors.SealError`."""
    return KIND.read(content.encode(), root)
