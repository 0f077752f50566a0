"""What guests of the panel may hear: by a dispute, or because it is their own call."""

from __future__ import annotations

from dataclasses import dataclass

from recorder.features.disputes.admissions import DisputeAdmissions
from recorder.features.own_call.admissions import OwnCallAdmissions
from recorder.playback.interface import Actor, GuestAdmission


@dataclass(frozen=True, slots=True)
class PanelAdmissions:
    """Asks whom a guest came through; each of the two verifies for itself."""

    disputes: DisputeAdmissions
    own_calls: OwnCallAdmissions

    def check(self, who: Actor, recording: str) -> GuestAdmission:
        """See :class:`recorder.playback.interface.Admissions`."""
        service = self.own_calls if self.own_calls.concerns(who) else self.disputes
        return service.check(who, recording)
