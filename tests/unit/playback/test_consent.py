"""What was agreed in the call opens the sound for as long as was agreed, and not a moment longer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.recording import RecordingTable
from recorder.domain.line_policy import Keep, PromptSound
from recorder.errors import AccessError, SealError
from recorder.lifecycle import expiry
from recorder.playback.interface import Who
from recorder.processes.gate import PanelGate

SAID = PromptSound("Said.", "5a" * 32, 1000)
FOR_TRAINING = Keep("training", 180, None, SAID, SAID, SAID, SAID)


def refusal(gate: PanelGate, who: Who, recording: str, purpose: str) -> str:
    with pytest.raises(AccessError) as refused:
        gate.grant(who, recording, purpose)
    return refused.value.error_id


@pytest.mark.parametrize(("answer", "days"), [("yes", 365), ("no", 30), ("none", 30), (None, 30)])
def test_a_yes_keeps_it_as_long_as_was_agreed_and_nothing_else_does(
    gate, ada, recorded, house, answer, days
) -> None:
    recording = recorded(asked=answer)
    assert recording.keep_answer == answer
    assert recording.purposes == ("agreement",)
    assert recording.keep_until == recording.started_at + timedelta(days=days)
    house.clock.at = recording.keep_until - timedelta(minutes=1)
    gate.grant(ada, recording.id, "agreement")
    means = house.means
    assert expiry.destroy_due(means, house.clock()) == 0
    house.clock.forward(minutes=2)
    assert refusal(gate, ada, recording.id, "agreement") == "access.expired"
    assert expiry.destroy_due(means, house.clock()) == 1
    destroyed = queries.recording(house.tenant, recording.id)
    assert destroyed is not None
    assert destroyed.erasure_reason == "expired"


def test_a_purpose_that_was_agreed_in_the_call_is_for_the_roles_that_have_it(
    gate, ada, somebody, recorded, house
) -> None:
    recording = recorded(asked="yes", keep=FOR_TRAINING)
    admin = somebody("customer_admin")
    assert recording.purposes == ("agreement", "training")
    gate.grant(admin, recording.id, "training")
    assert refusal(gate, ada, recording.id, "training") == "access.purpose_not_for_role"
    house.clock.forward(days=31)
    assert refusal(gate, admin, recording.id, "agreement") == "access.expired"
    gate.grant(admin, recording.id, "training")


def test_without_a_yes_nobody_hears_it_for_that(gate, somebody, recorded) -> None:
    recording = recorded(asked="no", keep=FOR_TRAINING)
    admin = somebody("customer_admin")
    assert refusal(gate, admin, recording.id, "training") == "access.purpose_not_announced"


def test_whatever_was_answered_without_its_announcement_it_is_nobodys(gate, somebody, recorded) -> None:
    recording = recorded(asked="yes", announced=False)
    assert (recording.keep_answer, recording.purposes) == (None, ())
    admin = somebody("customer_admin")
    assert gate.purposes(admin, recording.id) == ()
    assert refusal(gate, admin, recording.id, "agreement") == "access.not_announced"


@pytest.mark.parametrize("said", ["yes", "none", None])
def test_a_row_that_says_something_else_was_agreed_opens_nothing(gate, ada, recorded, said) -> None:
    recording = recorded(asked="no")
    with writing():
        RecordingTable.update(keep_answer=said).where(RecordingTable.id == recording.id).execute()
    with pytest.raises(SealError) as refused:
        gate.grant(ada, recording.id, "agreement")
    assert refused.value.error_id == "seal.row_differs"
