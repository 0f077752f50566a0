"""A guest of a dispute at the gate, whatever admits them: they hear what they are admitted to, and every
refusal is in the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from recorder.auditlog import leaf_lookup
from recorder.catalogue.database import writing
from recorder.domain.roles import EXTERNAL_PARTY, NEUTRAL, PROVIDER, SUPPORT
from recorder.errors import AccessError, SealError
from recorder.features.tenants.registration import Registration
from recorder.identity import users
from recorder.ids import uuid7
from recorder.playback.interface import Actor, GuestAdmission
from recorder.playback.passage_mask import FRAME, HEADER
from recorder.processes.gate import PanelGate
from tests.expected_errors import error_of
from tests.house import RATE

BEGIN, END = 1000, 2500
"""Milliseconds."""


@dataclass(frozen=True, slots=True)
class AnyAdmission(GuestAdmission):
    """What somebody is admitted to, by nothing but the test."""


@dataclass
class Admissions:
    """Gives one answer, or raises it."""

    answer: AnyAdmission | Exception

    def check(self, who: Actor, recording: str) -> AnyAdmission:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def guest(house) -> Callable[..., Actor]:
    def make(role: str) -> Actor:
        identity = str(uuid7(house.clock(), house.entropy))
        with writing():
            row = users.create_guest(
                house.tenant, identity, name="Nora", role=role, language="fr", now=house.clock(),
                entropy=house.entropy, signer=house.services.signer,
            )  # fmt: skip
        return Actor(row.id, row.tenant, row.role, row.language)

    return make


@pytest.fixture
def gate_with(house) -> Callable[..., PanelGate]:
    """A gate whose guests are admitted so."""

    def make(answer: AnyAdmission | Exception) -> PanelGate:
        means = house.services
        return PanelGate(
            means.store, means.keyring, means.root, now=house.clock, entropy=house.entropy,
            admissions=Admissions(answer),
        )  # fmt: skip

    return make


def refusals(recording) -> list[tuple[str, str]]:
    leaves = leaf_lookup.leaves_about(recording.tenant, [recording.id], ["access.refused"])
    return [(leaf.body["user"], leaf.body["reason"]) for leaf in leaves]


def test_somebody_who_was_not_in_the_call_hears_passages_alone(gate_with, guest, ada, recording) -> None:
    gate, nora = gate_with(AnyAdmission(recording.id, ((BEGIN, END),))), guest(NEUTRAL)
    whole = gate.open(ada, gate.grant(ada, recording.id, "agreement").id, "audio.wav")
    sound = gate.open(nora, gate.grant(nora, recording.id, "agreement").id, "audio.wav")
    before, after = (b"".join(each.read(0, each.length)) for each in (whole, sound))
    first, last = (HEADER + ms * RATE // 1000 * FRAME for ms in (BEGIN, END))
    assert after[:HEADER] == before[:HEADER]
    assert after[first:last] == before[first:last] != bytes(last - first)
    assert after[HEADER:first] == bytes(first - HEADER) != before[HEADER:first]
    assert after[last:] == bytes(len(after) - last)


def test_nothing_but_passages_of_it_leaves_and_the_log_has_each_refusal(gate_with, guest, recording) -> None:
    gate, nora = gate_with(AnyAdmission(recording.id, ((BEGIN, END),))), guest(NEUTRAL)
    grant = gate.grant(nora, recording.id, "agreement")
    steps = (
        lambda: gate.open(nora, grant.id, "peaks"),
        lambda: gate.manifest(nora, grant.id),
        lambda: gate.facts(nora, recording.id),
        lambda: gate.purposes(nora, recording.id),
    )
    for number, step in enumerate(steps, 1):
        assert error_of(step) == "access.passages_only"
        assert refusals(recording) == [(nora.user, "access.passages_only")] * number
    assert error_of(lambda: gate.download(nora, recording.id, "agreement", "audio.wav")) == (
        "access.download_role"
    )


def test_the_person_who_was_recorded_hears_all_of_it(gate_with, guest, recording) -> None:
    gate, jan = gate_with(AnyAdmission(recording.id, None)), guest(EXTERNAL_PARTY)
    grant = gate.grant(jan, recording.id, "agreement")
    assert gate.manifest(jan, grant.id).recording == recording.id
    assert gate.facts(jan, recording.id).grant == grant
    sound = gate.open(jan, grant.id, "peaks")
    assert b"".join(sound.read(0, sound.length))
    assert refusals(recording) == []


@pytest.mark.parametrize(
    ("answer", "error_id"),
    [
        (AccessError("access.dispute_closed", "the dispute is closed", "…"), "access.dispute_closed"),
        (SealError("dispute.altered", "a statement was altered", "…"), "access.not_admitted"),
        (AnyAdmission("another recording", None), "access.not_admitted"),
    ],
    ids=["refused", "altered", "another"],
)
def test_a_guest_whom_nothing_admits_hears_nothing(
    gate_with, guest, ada, recording, answer, error_id
) -> None:
    gate, jan = gate_with(answer), guest(EXTERNAL_PARTY)
    assert error_of(lambda: gate.grant(jan, recording.id, "agreement")) == error_id
    assert refusals(recording) == [(jan.user, error_id)]
    assert gate.grant(ada, recording.id, "agreement"), "a colleague needs no admission"


def test_support_acts_under_its_own_grant_alone(gate_with, house, recording) -> None:
    Registration(house.keyring).open_provider("Telvoip", "en", house.clock())
    sam = house.user(PROVIDER, "sam", SUPPORT, language="en")
    own = Actor(sam.id, PROVIDER, SUPPORT, "en")
    gate = gate_with(AnyAdmission(recording.id, ((BEGIN, END),)))
    grant = gate.grant(replace(own, tenant=house.tenant, home=PROVIDER), recording.id, "agreement")
    assert gate.valid_grant(own, grant.id) == grant
    unknown = str(uuid7(house.clock(), house.entropy))
    assert error_of(lambda: gate.valid_grant(own, unknown)) == "access.grant_over"
