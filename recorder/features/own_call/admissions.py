"""Which recording a guest hears because it is their own call: the gate asks at each request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recorder.auditlog import leaf_lookup
from recorder.clock import Now
from recorder.domain.roles import EXTERNAL_PARTY
from recorder.errors import AccessError, OwnCallError
from recorder.features.own_call.codes import find_of_guest, find_valid
from recorder.features.own_call.opening import OPENED
from recorder.playback.interface import Actor, GuestAdmission
from recorder.seal.revocation import Trust
from recorder.verification_calls.verified_number import VerifiedNumber


@dataclass(frozen=True, slots=True)
class OwnCallAdmission(GuestAdmission):
    """What a valid code lets the person who was recorded hear: their call, as they heard it."""


@dataclass(frozen=True, slots=True)
class OwnCallNumber(VerifiedNumber):
    """The number of a call that its person has opened with both codes, while the code is valid."""


def verify_number(who: Actor, recording: str, trust: Trust, now: datetime) -> OwnCallNumber:
    """The number of the person who opened a recording. Raises :class:`OwnCallError` (``own_call.closed``)."""
    valid = find_valid(who.tenant, recording, trust, now)
    leaves = leaf_lookup.leaves_about(who.tenant, [recording], [OPENED])
    if (
        valid is None
        or valid.code.guest != who.user
        or not any(each.body["user"] == who.user for each in leaves)
    ):
        raise OwnCallError(
            "own_call.closed", "the code opens no call any more", "ask the company for a new code"
        )
    return OwnCallNumber(who.tenant, valid.code.phone, recording, who.user)


@dataclass(frozen=True, slots=True)
class OwnCallAdmissions:
    """Admits people to their own calls by a signed code that is still valid, and by nothing else."""

    trust: Trust
    now: Now

    def concerns(self, who: Actor) -> bool:
        """Whether a guest came with a code: a lead, by which nothing is opened."""
        return who.role == EXTERNAL_PARTY and find_of_guest(who.tenant, who.user) is not None

    def check(self, who: Actor, recording: str) -> OwnCallAdmission:
        """What a guest may hear of a recording now. Raises :class:`AccessError` (``access.not_admitted``)."""
        valid = find_valid(who.tenant, recording, self.trust, self.now())
        if valid is None or valid.code.guest != who.user or who.role != EXTERNAL_PARTY:
            raise AccessError(
                "access.not_admitted",
                "no valid code opens this recording to them",
                "the customer gives a new code on the call's page",
            )
        return OwnCallAdmission(recording, None)
