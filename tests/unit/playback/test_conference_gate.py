"""A conference has one sound: what each of its members may hear, under a grant and with a listen of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from recorder.auditlog import leaf_lookup
from recorder.catalogue.database import writing
from recorder.domain.roles import EXTERNAL_PARTY, NEUTRAL
from recorder.errors import AccessError
from recorder.identity import users
from recorder.ids import uuid7
from recorder.playback.conference_gate import ConferenceGate
from recorder.playback.interface import Actor, ConferenceListener, GuestAdmission, Passages, common_passages
from tests.expected_errors import error_of
from tests.house import RATE

PURPOSE = "agreement"


@dataclass(frozen=True, slots=True)
class AnyAdmission(GuestAdmission):
    """What somebody is admitted to, by nothing but the test."""


@dataclass
class Admissions:
    """Admits users to passages, by their ids."""

    passages: dict[str, Passages | None] = field(default_factory=dict)

    def check(self, who: Actor, recording: str) -> AnyAdmission:
        if who.user not in self.passages:
            raise AccessError("access.not_admitted", "nobody admits them", "…")
        return AnyAdmission(recording, self.passages[who.user])


@pytest.fixture
def admissions() -> Admissions:
    return Admissions()


@pytest.fixture
def gate(house, admissions: Admissions) -> ConferenceGate:
    means = house.services
    return ConferenceGate(
        means.store, means.keyring, means.root, now=house.clock, entropy=house.entropy, admissions=admissions
    )


@pytest.fixture
def listener(house, gate, admissions) -> Callable[..., ConferenceListener]:
    """A guest with a grant for a recording, who may hear some passages of it."""

    def make(recording, passages: Passages | None) -> ConferenceListener:
        role = EXTERNAL_PARTY if passages is None else NEUTRAL
        with writing():
            row = users.create_guest(
                house.tenant, str(uuid7(house.clock(), house.entropy)), name="Nora", role=role, language="fr",
                now=house.clock(), entropy=house.entropy, signer=house.services.signer,
            )  # fmt: skip
        who = Actor(row.id, row.tenant, row.role, row.language)
        admissions.passages[row.id] = passages
        return ConferenceListener(who, gate.grant(who, recording.id, PURPOSE))

    return make


def samples(pieces) -> np.ndarray:
    return np.frombuffer(b"".join(pieces), "<i2")


def level(sound: np.ndarray, begin_ms: int, end_ms: int) -> int:
    """The loudest sample between two places."""
    return int(np.abs(sound[begin_ms * RATE // 1000 : end_ms * RATE // 1000].astype(int)).max())


@pytest.mark.parametrize("formats", [("wav",), ("opus",)])
def test_sound_is_as_long_as_the_recording_and_at_the_same_places(
    gate, listener, recorded, ada, formats
) -> None:
    recording = recorded(formats=formats)
    sound = samples(gate.open_together([listener(recording, None)]))
    assert len(sound) == recording.duration_ms * RATE // 1000
    if formats == ("wav",):
        opened = gate.open(ada, gate.grant(ada, recording.id, PURPOSE).id, "audio.wav")
        both = np.frombuffer(b"".join(opened.read(44, opened.length)), "<i2").reshape(-1, 2)
        assert np.array_equal(sound[: len(both)], np.clip(both.sum(axis=1, dtype=int), -32768, 32767))
    else:
        assert level(sound, 0, recording.duration_ms) > 1000


@pytest.mark.parametrize("formats", [("wav",), ("opus",)])
def test_sound_has_only_what_each_of_them_may_hear(gate, listener, recorded, formats) -> None:
    recording = recorded(formats=formats)
    jan = listener(recording, None)
    nora, ann = listener(recording, ((1000, 3000),)), listener(recording, ((2000, 4000), (5000, 5500)))
    whole = samples(gate.open_together([jan]))
    sound = samples(gate.open_together([jan, nora, ann]))
    assert gate.heard_together([jan, nora, ann]) == ((2000, 3000),)
    assert level(sound, 2100, 2900) == pytest.approx(level(whole, 2100, 2900), rel=0.1)
    assert level(sound, 2100, 2900) > 500
    assert not level(sound, 0, 1980)
    # Opus fades for some milliseconds into the silence.
    assert not level(sound, 3050, recording.duration_ms)
    assert gate.heard_together([nora, listener(recording, ((4000, 5000),))]) == ()


def test_each_has_a_listen_in_the_log_before_the_first_piece(gate, listener, recording) -> None:
    people = [listener(recording, None), listener(recording, ((1000, 2000),))]
    gate.open_together(people)
    opened = leaf_lookup.leaves_about(recording.tenant, [recording.id], ["listen.opened"])
    assert [leaf.body["user"] for leaf in opened] == [each.who.user for each in people]


def test_nobody_hears_more_once_one_of_them_may_not(gate, house, admissions, listener, recording) -> None:
    jan, nora = listener(recording, None), listener(recording, ((1000, 2000),))
    admissions.passages[nora.who.user] = ((1000, 1500),)
    assert gate.heard_together([jan, nora]) == ((1000, 1500),)
    del admissions.passages[nora.who.user]
    assert error_of(lambda: gate.heard_together([jan, nora])) == "access.not_admitted"
    assert error_of(lambda: gate.open_together([jan, nora])) == "access.not_admitted"
    assert gate.heard_together([jan]) is None
    house.clock.forward(minutes=16)
    assert error_of(lambda: gate.open_together([jan])) == "access.grant_over"


def test_common_passages_of_overlapping_ones() -> None:
    assert common_passages(None, None) is None
    assert common_passages(((0, 5),), None) == ((0, 5),)
    assert common_passages(((0, 5), (3, 9)), ((4, 6),)) == ((4, 5), (4, 6))
    assert common_passages((), None) == ()
