"""Who of a dispute's guests hears what: by its statements, whatever rows lead there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from recorder.catalogue.database import writing
from recorder.catalogue.tables.dispute import DisputeGuestTable
from recorder.domain.roles import NEUTRAL
from recorder.errors import AccessError
from recorder.features.disputes import admissions
from recorder.features.disputes.rules import Passage
from recorder.playback.gate import Gate
from recorder.playback.interface import Actor, GuestAdmission
from recorder.seal.dispute_kinds import ACCEPTED, HeldRecording


def refusal(scene, user, recording: str, **changes) -> str | None:
    try:
        who = replace(scene.actor(user), **changes)
        admission = admissions.DisputeAdmissions(scene.house.trust).check(who, recording)
        assert (admission.recording, admission.passages) == (recording, None)
    except AccessError as error:
        return error.error_id
    return None


def test_a_recognised_guest_hears_the_disputes_recordings_alone(scene) -> None:
    dispute, jan = scene.recognised()
    assert refusal(scene, jan, scene.call) is None
    assert refusal(scene, jan, "another") == "access.not_admitted"
    assert refusal(scene, jan, scene.call, role=NEUTRAL) == "access.revoked", (
        "the statements say who they are"
    )
    assert refusal(scene, scene.claire, scene.call) == "access.not_admitted"
    scene.disputes.close(scene.claire, dispute.id)
    assert refusal(scene, jan, scene.call) == "access.dispute_closed"


def test_a_guest_waits_for_recognition_and_goes_when_they_leave(scene) -> None:
    dispute = scene.open()
    jan = scene.accept(scene.invite(dispute))
    assert refusal(scene, jan, scene.call) == "access.not_verified"
    scene.invitations.withdraw_invitation(scene.claire, dispute.id, jan.id)
    assert refusal(scene, jan, scene.call) == "access.revoked"


@pytest.mark.parametrize(
    ("leads_to", "reason"), [("no dispute", "there is no dispute"), (None, "not a guest of any dispute")]
)
def test_a_guests_row_admits_nobody(scene, leads_to: str | None, reason: str) -> None:
    _dispute, jan = scene.recognised()
    with writing():
        if leads_to is None:
            DisputeGuestTable.delete().execute()
        else:
            DisputeGuestTable.update(dispute_id=leads_to).execute()
    with pytest.raises(AccessError, match=reason) as failure:
        admissions.DisputeAdmissions(scene.house.trust).check(scene.actor(jan), scene.call)
    assert failure.value.error_id == "access.not_admitted"


@dataclass
class WrongAdmissions:
    """Answers about one recording, whatever is asked about."""

    admissions: admissions.DisputeAdmissions
    answer: str

    def check(self, who: Actor, recording: str) -> GuestAdmission:
        return self.admissions.check(who, self.answer)


def test_an_admission_to_one_recording_opens_no_other(scene, house) -> None:
    _dispute, jan = scene.recognised()
    other = house.call(scene.customer)
    answers = WrongAdmissions(admissions.DisputeAdmissions(house.trust), scene.call)
    means = house.services
    gate = Gate(means.store, means.keyring, means.root, now=house.clock, admissions=answers)
    assert gate.grant(scene.actor(jan), scene.call, "agreement").recording == scene.call
    with pytest.raises(AccessError, match="admitted to another") as failure:
        gate.grant(scene.actor(jan), other, "agreement")
    assert failure.value.error_id == "access.not_admitted"


def test_a_helper_hears_passages_of_the_recording_that_they_are_in(scene) -> None:
    dispute, jan = scene.recognised()
    helper = replace(scene.guest(dispute), role=NEUTRAL, agreement=ACCEPTED, passages=("one", "two"))
    known = replace(
        scene.find(dispute),
        guests=(helper,),
        recordings=(*dispute.recordings, HeldRecording("empty", 1)),
        passages=(
            Passage("two", scene.call, 5000, 6000, "", "claire"),
            Passage("one", scene.call, 1000, 2000, "", "claire"),
            Passage("three", scene.call, 8000, 9000, "", "claire"),
        ),
    )
    who = replace(scene.actor(jan), role=NEUTRAL)
    assert admissions._heard_by(helper, known, who, scene.call) == ((1000, 2000), (5000, 6000))
    for guest, recording, reason in (
        (helper, "empty", "none of the guest's passages"),
        (helper, "another", "not one of their dispute's"),
        (replace(helper, agreement=None), scene.call, "the other side does not agree"),
    ):
        with pytest.raises(AccessError, match=reason) as failure:
            admissions._heard_by(guest, known, who, recording)
        assert failure.value.error_id == "access.not_admitted"
