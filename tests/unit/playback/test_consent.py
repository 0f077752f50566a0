"""An agreement in the call opens the recording for as long as agreed, and not a moment longer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.recording import RecordingTable
from recorder.domain.line_policy import Keep
from recorder.domain.sentences import TimedSentence
from recorder.errors import AccessError, SealError
from recorder.lifecycle import expiry
from recorder.playback.interface import Actor
from recorder.processes.gate import PanelGate
from tests.expected_errors import expect_error

SENTENCE = TimedSentence("Said.", "5a" * 32, 1000)
FOR_TRAINING = Keep("training", 180, None, SENTENCE, SENTENCE, SENTENCE, SENTENCE)


def refusal(gate: PanelGate, who: Actor, recording: str, purpose: str) -> str:
    with pytest.raises(AccessError) as failure:
        gate.grant(who, recording, purpose)
    return failure.value.error_id


@pytest.mark.parametrize(("answer", "days"), [("yes", 365), ("no", 30), ("none", 30), (None, 30)])
def test_only_a_yes_keeps_a_recording_as_long_as_agreed(gate, ada, recorded, house, answer, days) -> None:
    recording = recorded(question=answer)
    assert recording.keep_answer == answer
    assert recording.purposes == ("agreement",)
    assert recording.keep_until == recording.started_at + timedelta(days=days)
    house.clock.at = recording.keep_until - timedelta(minutes=1)
    gate.grant(ada, recording.id, "agreement")
    means = house.services
    assert expiry.destroy_due(means, house.clock()) == 0
    house.clock.forward(minutes=2)
    assert refusal(gate, ada, recording.id, "agreement") == "access.expired"
    assert expiry.destroy_due(means, house.clock()) == 1
    destroyed = queries.recording(house.tenant, recording.id)
    assert destroyed is not None
    assert destroyed.erasure_reason == "expired"


def test_an_agreed_purpose_is_open_to_its_roles_alone(gate, ada, somebody, recorded, house) -> None:
    recording = recorded(question="yes", keep=FOR_TRAINING)
    admin = somebody("customer_admin")
    assert recording.purposes == ("agreement", "training")
    gate.grant(admin, recording.id, "training")
    assert refusal(gate, ada, recording.id, "training") == "access.purpose_not_for_role"
    house.clock.forward(days=31)
    assert refusal(gate, admin, recording.id, "agreement") == "access.expired"
    gate.grant(admin, recording.id, "training")


def test_refuses_the_purpose_without_a_yes(gate, somebody, recorded) -> None:
    recording = recorded(question="no", keep=FOR_TRAINING)
    admin = somebody("customer_admin")
    assert refusal(gate, admin, recording.id, "training") == "access.purpose_not_announced"


def test_an_answer_counts_for_nothing_without_the_announcement(gate, somebody, recorded) -> None:
    recording = recorded(question="yes", announced=False)
    assert (recording.keep_answer, recording.purposes) == (None, ())
    admin = somebody("customer_admin")
    assert gate.purposes(admin, recording.id) == ()
    assert refusal(gate, admin, recording.id, "agreement") == "access.not_announced"


@pytest.mark.parametrize("answer", ["yes", "none", None])
def test_refuses_a_row_that_contradicts_the_sealed_answer(gate, ada, recorded, answer) -> None:
    recording = recorded(question="no")
    with writing():
        RecordingTable.update(keep_answer=answer).where(RecordingTable.id == recording.id).execute()
    with expect_error(SealError, "seal.row_differs"):
        gate.grant(ada, recording.id, "agreement")
