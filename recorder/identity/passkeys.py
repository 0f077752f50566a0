"""Passkeys: WebAuthn credentials that log somebody in alone, or as a second factor.

Every passkey is discoverable and verifies its user (by fingerprint, face or PIN), so that alone it is two
factors. It is bound to the panel's public address: a page elsewhere cannot use it. The panel makes and checks
the challenges, which are short-lived and single-use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import parse_authentication_credential_json, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from recorder.catalogue.records import UserRow
from recorder.seal.second_factor import Passkey, SecondFactors

PASSKEY: Final = "passkey"

PRODUCT: Final = "Accord"

LARGEST: Final = 16 * 1024
"""Characters of a browser's answer; a larger one is refused."""

TIMEOUT_MS: Final = 120_000

_WRONG = (WebAuthnException, ValueError, TypeError, KeyError)
"""What the library raises for an answer that is none."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Whom passkeys are for: the panel at its public address, ``https://accord.example.com``."""

    origin: str

    @property
    def id(self) -> str:
        return urlsplit(self.origin).hostname or ""

    def registration_options(self, user: UserRow, factors: SecondFactors, challenge: bytes) -> str:
        """What a browser needs to make a passkey, as JSON."""
        options = generate_registration_options(
            rp_id=self.id,
            rp_name=PRODUCT,
            user_id=UUID(user.tenant).bytes + UUID(user.id).bytes,
            user_name=user.login,
            user_display_name=user.name,
            challenge=challenge,
            timeout=TIMEOUT_MS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                require_resident_key=True,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=_descriptors(factors.passkeys),
        )
        return options_to_json(options)

    def authentication_options(self, challenge: bytes, passkeys: Iterable[Passkey] = ()) -> str:
        """What a browser needs to use a passkey, as JSON: one of ``passkeys``, or without them any that it
        has for this panel."""
        options = generate_authentication_options(
            rp_id=self.id,
            challenge=challenge,
            timeout=TIMEOUT_MS,
            allow_credentials=_descriptors(passkeys),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json(options)

    def verify_registration(self, answer: str, challenge: bytes) -> tuple[bytes, bytes] | None:
        """The id and public key of a new passkey; ``None`` if the browser's answer is none to
        ``challenge``."""
        try:
            verification = verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=self.origin,
                require_user_verification=True,
            )
        except _WRONG:
            return None
        return verification.credential_id, verification.credential_public_key

    def verify_authentication(
        self, answer: str, challenge: bytes, passkey: Passkey, counter: int
    ) -> int | None:
        """The new signature counter of a passkey, whose last one was ``counter``; ``None`` if it did not sign
        ``challenge``, for this panel, after it verified its user."""
        try:
            verification = verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=self.origin,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=counter,
                require_user_verification=True,
            )
        except _WRONG:
            return None
        return verification.new_sign_count


@dataclass(frozen=True, slots=True)
class PasskeyClaim:
    """What a browser's answer claims, before anything is verified: the passkey, its user, and the challenge.
    ``tenant`` and ``user`` are empty if it does not say."""

    passkey: bytes
    tenant: str
    user: str
    challenge: bytes


def read_claim(answer: str) -> PasskeyClaim | None:
    """Read a browser's answer at log-in; ``None`` if it is none."""
    try:
        if len(answer) > LARGEST:
            return None
        found = parse_authentication_credential_json(answer)
        handle = found.response.user_handle or b""
        owner = (str(UUID(bytes=handle[:16])), str(UUID(bytes=handle[16:]))) if handle else ("", "")
        return PasskeyClaim(found.raw_id, *owner, read_challenge(found.response.client_data_json))
    except _WRONG:
        return None


def read_challenge(client_data: bytes) -> bytes:
    """The challenge in a browser's signed data. Raises as the library does."""
    return bytes(parse_client_data_json(client_data).challenge)


def use_key(passkey_id: bytes) -> str:
    """The name under which the last use of a passkey is noted."""
    return f"{PASSKEY}-{hashlib.sha256(passkey_id).hexdigest()[:32]}"


def _descriptors(passkeys: Iterable[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=each.id) for each in passkeys]
