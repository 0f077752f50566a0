"""Two of a customer's users vouch for a person who asked for their recordings."""

from __future__ import annotations

from datetime import datetime

from recorder.domain.roles import CUSTOMER
from recorder.features.subject_requests import service
from recorder.identity import users
from recorder.ids import Entropy
from recorder.seal.signing import Signer


def colleague(
    tenant: str, now: datetime, entropy: Entropy, role: str = CUSTOMER, signer: Signer | None = None
) -> str:
    """A user of the customer; their id."""
    options = {"role": role, "language": "fr", "password_hash": "$argon2id$", "now": now, "entropy": entropy}
    login = f"{entropy(8).hex()}@example.be"
    return users.create_user(tenant, login=login, name="Ada", signer=signer, **options).id


def vouch(tenant: str, request: str, now: datetime, entropy: Entropy, signer: Signer | None = None) -> None:
    for how in ("an identity card at the counter", "the voice"):
        who = colleague(tenant, now, entropy, signer=signer)
        service.vouch(tenant, request, how=how, who=who, now=now, entropy=entropy)
