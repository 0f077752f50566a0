"""Proves that one person alone handles a customer's disputes, who can then vouch for a guest without a second
one: by the customer's log, since a deleted row of a colleague must not make anybody alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from recorder.auditlog import leaf_lookup
from recorder.auditlog.complete_log import CompleteLog
from recorder.features.disputes.rules import Dispute
from recorder.features.disputes.service import HANDLERS
from recorder.verified_state import VerifiedState

_REVOKED: Final = "user.revoked"
_PEOPLE: Final = ("user.created", "user.access_changed", _REVOKED)


@dataclass(frozen=True, slots=True)
class SoleHandler(VerifiedState):
    """That nobody but this user could handle a dispute since it was opened."""

    user: str
    dispute: str


def find_sole_handler(log: CompleteLog, user: str, dispute: Dispute) -> SoleHandler | None:
    """Return the proof that only ``user`` (id) could handle a dispute of a customer, whose log this is, since
    it was opened; ``None`` if there was anybody else, whichever calls they see, or the log does not have the
    user. Raises :class:`recorder.errors.SealError` (``leaf.damaged``)."""
    handlers: set[str] = set()
    for leaf in leaf_lookup.whole_leaves(log.locked.tenant, _PEOPLE):
        person, role = str(leaf.body["user"]), "" if leaf.kind == _REVOKED else leaf.body["role"]
        if role in HANDLERS:
            handlers.add(person)
        elif leaf.at < dispute.opened_at or person == user:
            handlers.discard(person)
    return SoleHandler(user, dispute.id) if handlers == {user} else None
