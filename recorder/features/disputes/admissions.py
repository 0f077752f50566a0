"""Who of a dispute's guests may hear what: the gate asks at each request."""

from __future__ import annotations

from dataclasses import dataclass

from recorder.domain.roles import SUPPORT
from recorder.errors import AccessError, DisputeError
from recorder.features.disputes import queries
from recorder.features.disputes.rules import Dispute, Guest
from recorder.playback.interface import Actor, GuestAdmission, Passages
from recorder.seal.revocation import Trust


@dataclass(frozen=True, slots=True)
class DisputeAdmission(GuestAdmission):
    """What a dispute's statements let a guest hear."""


@dataclass(frozen=True, slots=True)
class DisputeAdmissions:
    """Admits guests by the signed statements of their dispute, and by nothing else."""

    trust: Trust

    def check(self, who: Actor, recording: str) -> DisputeAdmission:
        """What a guest may hear of a recording now; somebody who was not in the call hears passages. Raises
        :class:`AccessError`: ``access.not_admitted`` (it is not one of their dispute's, or the other side
        does not agree), ``access.dispute_closed``, ``access.not_verified``, ``access.revoked`` (they no
        longer take part); :class:`SealError` for a dispute that is not as it was signed and logged."""
        if who.role == SUPPORT:
            return DisputeAdmission(recording, self._check_support(who, recording))
        dispute_id = queries.find_guest(who.tenant, who.user)
        if dispute_id is None:
            raise AccessError(
                "access.not_admitted",
                "the user is not a guest of any dispute",
                "use the link of the newest invitation",
            )
        try:
            dispute = queries.find_dispute(who.tenant, dispute_id, self.trust)
            guest = dispute.find_guest(who.user)
        except DisputeError as error:
            raise AccessError("access.not_admitted", error.message, error.hint) from error
        return DisputeAdmission(recording, _heard_by(guest, dispute, who, recording))

    def _check_support(self, who: Actor, recording: str) -> Passages:
        """The passages that one of the provider's support people may hear: of all disputes about the
        recording into which they came."""
        found: list[tuple[int, int]] = []
        refusals = [
            AccessError(
                "access.not_admitted",
                "the user has not entered a dispute about this recording",
                "enter the dispute from the support page first",
            )
        ]
        for dispute_id in queries.disputes_about(who.tenant, recording):
            try:
                dispute = queries.find_dispute(who.tenant, dispute_id, self.trust)
            except DisputeError:
                continue
            for guest in dispute.guests:
                if guest.role != SUPPORT or who.user not in guest.entered:
                    continue
                try:
                    found += _heard_by(guest, dispute, who, recording) or ()
                except AccessError as error:
                    refusals.append(error)
        if not found:
            raise refusals[-1]
        return tuple(sorted(found))


def _heard_by(guest: Guest, dispute: Dispute, who: Actor, recording: str) -> Passages | None:
    if dispute.closed_at is not None:
        raise AccessError(
            "access.dispute_closed", "the dispute is closed", "open a new dispute to listen together again"
        )
    if not guest.takes_part or guest.role != who.role:
        raise AccessError(
            "access.revoked", "the guest no longer takes part", "the customer can invite them again"
        )
    if not guest.may_hear:
        if guest.is_third_party:
            raise AccessError(
                "access.not_admitted",
                "the other side does not agree",
                "the person who was recorded agrees on their page",
            )
        raise AccessError(
            "access.not_verified",
            "the guest's identity has not been established",
            "the guest enters the code from a verification call, or two users vouch for them",
        )
    if recording not in dispute.recording_ids:
        raise AccessError(
            "access.not_admitted",
            "the recording is not one of their dispute's",
            "open the recording from the dispute's page",
        )
    if not guest.is_third_party:
        return None
    passages = dispute.passages_for(guest, recording)
    if not passages:
        raise AccessError(
            "access.not_admitted",
            "none of the guest's passages is in this recording",
            "invite them again with passages of this recording",
        )
    return passages
