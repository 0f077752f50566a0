"""Two people of a customer's vouch for a person who asked."""

from __future__ import annotations

from datetime import datetime

from recorder.catalogue import people, persons
from recorder.ids import Entropy
from recorder.roles import CUSTOMER


def colleague(tenant: str, now: datetime, entropy: Entropy, role: str = CUSTOMER) -> str:
    """Somebody who works there; their id."""
    said = {"role": role, "language": "fr", "password_hash": "$argon2id$", "now": now, "entropy": entropy}
    return people.create_user(tenant, login=f"{entropy(8).hex()}@example.be", name="Ada", **said).id


def vouch(tenant: str, request: str, now: datetime, entropy: Entropy) -> None:
    for how in ("an identity card at the counter", "the voice"):
        who = colleague(tenant, now, entropy)
        persons.vouch(tenant, request, how=how, who=who, now=now, entropy=entropy)
