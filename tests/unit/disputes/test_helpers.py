"""Somebody who helps hears the passages that both sides agreed to, and nothing else."""

from __future__ import annotations

import io
import wave

import av
import numpy as np
import pytest

from recorder.auditlog import leaf_lookup
from recorder.catalogue.records import UserRow
from recorder.domain.roles import PROVIDER, SUPPORT
from recorder.errors import AccessError, DisputeError
from recorder.features.disputes.invitations import IssuedGuestLink
from recorder.features.disputes.rules import Dispute
from recorder.features.tenants.registration import Registration
from recorder.identity import users
from recorder.playback.interface import Actor
from recorder.seal.dispute_kinds import ACCEPTED, DECLINED
from tests.expected_errors import expect_error
from tests.house import Customer

from .conftest import NOTICE, token_of

BEGIN, END = 1000, 2500


@pytest.fixture
def sam(house) -> UserRow:
    """One of the provider's support people."""
    Registration(house.keyring).open_provider("Telvoip", "en", house.clock())
    provider = Customer(PROVIDER, None, None)  # type: ignore[arg-type]  # it has neither line nor announcement
    return house.person(provider, "sam", "Sam", SUPPORT)


@pytest.fixture
def passage(scene) -> tuple[Dispute, UserRow, str]:
    """A dispute, the person who was recorded, and the id of a passage."""
    dispute, jan = scene.recognised()
    scene.agreements.mark_passage(scene.claire, dispute.id, scene.call, BEGIN, END, "The price")
    found = scene.find(dispute)
    return found, jan, found.passages[0].id


def neutral(scene, dispute: Dispute, passage: str) -> tuple[IssuedGuestLink, UserRow]:
    issued = scene.invitations.invite_neutral(
        scene.claire, dispute.id, [passage], name="Nora", language="fr", address=None
    )
    user = scene.invitations.answer(scene.link(issued), ACCEPTED, notice=NOTICE, language="fr")
    assert user is not None
    return issued, user


def support(user: UserRow, tenant: str) -> Actor:
    return Actor(user.id, tenant, user.role, user.language, home=PROVIDER)


def samples(content: bytes, name: str) -> np.ndarray:
    """Both channels at 48 kHz."""
    if name == "audio.wav":
        with wave.open(io.BytesIO(content)) as sound:
            plain = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, 2)
            return np.repeat(plain, 48000 // sound.getframerate(), axis=0)
    with av.open(io.BytesIO(content)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    planes = np.concatenate(frames, axis=1)
    return (planes.T * 32767 if planes.shape[0] == 2 else planes.reshape(-1, 2)).astype(np.int32)


def listen(house, who: Actor, call: str, name: str) -> np.ndarray:
    grant = house.gate.grant(who, call, "agreement")
    sound = house.gate.open(who, grant.id, name)
    return samples(b"".join(sound.read(0, sound.length)), name)


def loudest(sound: np.ndarray, begin: int, end: int) -> int:
    part = sound[begin * 48 : end * 48]
    return int(np.abs(part).max()) if len(part) else 0


@pytest.mark.parametrize("name", ["audio.webm", "audio.wav"])
def test_a_neutral_person_hears_the_passage_alone(scene, house, passage, name: str) -> None:
    dispute, jan, marked = passage
    _issued, nora = neutral(scene, dispute, marked)
    scene.invitations.agree_to_guest(jan, dispute.id, nora.id, ACCEPTED, passages=[marked])
    sound = listen(house, scene.actor(nora), scene.call, name)
    whole = listen(house, scene.actor(jan), scene.call, name)
    assert abs(len(sound) - len(whole)) < 48 * 30
    assert loudest(whole, 0, BEGIN - 50) > 500, "there is something to leave out"
    assert loudest(sound, 0, BEGIN - 50) <= 2
    assert loudest(sound, END + 50, len(sound) // 48) <= 2
    assert loudest(sound, BEGIN + 50, END - 50) > 0.5 * loudest(whole, BEGIN + 50, END - 50) > 250


@pytest.mark.parametrize("name", ["audio.opus", "peaks"])
def test_nothing_else_of_the_call_leaves(scene, house, passage, name: str) -> None:
    dispute, jan, marked = passage
    _issued, nora = neutral(scene, dispute, marked)
    scene.invitations.agree_to_guest(jan, dispute.id, nora.id, ACCEPTED, passages=[marked])
    who = scene.actor(nora)
    grant = house.gate.grant(who, scene.call, "agreement")
    for step in (
        lambda: house.gate.open(who, grant.id, name),
        lambda: house.gate.manifest(who, grant.id),
        lambda: house.gate.facts(who, scene.call),
        lambda: house.gate.purposes(who, scene.call),
    ):
        with expect_error(AccessError, "access.passages_only"):
            step()
    with pytest.raises(AccessError):
        house.gate.download(who, scene.call, "agreement", "audio.wav")


@pytest.mark.parametrize("answer", [None, DECLINED])
def test_nothing_is_heard_without_the_other_sides_yes(scene, house, passage, answer: str | None) -> None:
    dispute, jan, marked = passage
    _issued, nora = neutral(scene, dispute, marked)
    if answer:
        scene.invitations.agree_to_guest(jan, dispute.id, nora.id, answer, passages=[marked])
    with expect_error(AccessError, "access.not_admitted"):
        house.gate.grant(scene.actor(nora), scene.call, "agreement")


def test_the_customer_cannot_agree_for_the_other_side(scene, passage) -> None:
    dispute, _jan, marked = passage
    _issued, nora = neutral(scene, dispute, marked)
    for person in (scene.claire, nora):
        with expect_error(DisputeError, "dispute.not_theirs"):
            scene.invitations.agree_to_guest(person, dispute.id, nora.id, ACCEPTED, passages=[marked])


def test_support_hears_the_passage_once_it_said_why(scene, house, passage, sam) -> None:
    dispute, jan, marked = passage
    scene.invitations.call_support(scene.claire, dispute.id, [marked], name="Support")
    helper = scene.find(dispute).guests[-1]
    who = support(sam, scene.customer.id)
    with expect_error(DisputeError, "dispute.not_agreed"):
        scene.invitations.enter(sam, scene.customer.id, dispute.id, helper.id, "To help")
    scene.invitations.agree_to_guest(jan, dispute.id, helper.id, ACCEPTED, passages=[marked])
    with expect_error(AccessError, "access.not_admitted"):
        house.gate.grant(who, scene.call, "agreement")
    with expect_error(DisputeError, "dispute.reason"):
        scene.invitations.enter(sam, scene.customer.id, dispute.id, helper.id, " ")
    scene.invitations.enter(sam, scene.customer.id, dispute.id, helper.id, "To help")
    sound = listen(house, who, scene.call, "audio.webm")
    assert loudest(sound, 0, BEGIN - 50) <= 2
    assert loudest(sound, BEGIN + 50, END - 50) > 250
    listens = leaf_lookup.leaves_about(scene.customer.id, [scene.call], ["listen.opened"])
    assert listens[-1].body["user"] == sam.id, "the customer's log has it"


def test_support_acts_under_its_grant_from_its_own_tenant(scene, house, passage, sam) -> None:
    dispute, jan, marked = passage
    scene.invitations.call_support(scene.claire, dispute.id, [marked], name="Support")
    helper = scene.find(dispute).guests[-1]
    scene.invitations.agree_to_guest(jan, dispute.id, helper.id, ACCEPTED, passages=[marked])
    scene.invitations.enter(sam, scene.customer.id, dispute.id, helper.id, "To help")
    grant = house.gate.grant(support(sam, scene.customer.id), scene.call, "agreement")
    own = Actor(sam.id, PROVIDER, sam.role, sam.language)
    sound = house.gate.open(own, grant.id, "audio.webm")
    assert b"".join(sound.read(0, 4)) == b"\x1a\x45\xdf\xa3"
    scene.disputes.close(scene.claire, dispute.id)
    for step in (
        lambda: house.gate.open(own, grant.id, "audio.webm"),
        lambda: house.gate.grant(support(sam, scene.customer.id), scene.call, "agreement"),
    ):
        with expect_error(AccessError, "access.dispute_closed"):
            step()


def test_support_sees_no_other_recording(scene, house, passage, sam) -> None:
    from datetime import timedelta

    other = house.call(scene.customer, at=house.clock() + timedelta(minutes=5))
    dispute, jan, marked = passage
    scene.invitations.call_support(scene.claire, dispute.id, [marked], name="Support")
    helper = scene.find(dispute).guests[-1]
    scene.invitations.agree_to_guest(jan, dispute.id, helper.id, ACCEPTED, passages=[marked])
    scene.invitations.enter(sam, scene.customer.id, dispute.id, helper.id, "To help")
    with expect_error(AccessError, "access.not_admitted"):
        house.gate.grant(support(sam, scene.customer.id), other, "agreement")


def test_only_the_providers_support_enters(scene, house, passage) -> None:
    dispute, jan, marked = passage
    scene.invitations.call_support(scene.claire, dispute.id, [marked], name="Support")
    helper = scene.find(dispute).guests[-1]
    scene.invitations.agree_to_guest(jan, dispute.id, helper.id, ACCEPTED, passages=[marked])
    for person in (scene.claire, jan):
        with expect_error(DisputeError, "dispute.may_not"):
            scene.invitations.enter(person, scene.customer.id, dispute.id, helper.id, "To help")
    with expect_error(DisputeError, "dispute.support_called"):
        scene.invitations.call_support(scene.claire, dispute.id, [marked], name="Support")
    assert users.user(scene.customer.id, helper.id) is None


def test_a_link_of_a_neutral_person_is_a_guests(scene, passage) -> None:
    dispute, _jan, marked = passage
    issued = scene.invitations.invite_neutral(
        scene.claire, dispute.id, [marked], name="Nora", language="fr", address=None
    )
    link = scene.link(issued)
    assert (link.guest.name, link.guest.role, link.guest.number) == ("Nora", "neutral", None)
    assert token_of(issued)
    for passages in ([], ["none"]):
        with pytest.raises(DisputeError) as error:
            scene.invitations.invite_neutral(
                scene.claire, dispute.id, passages, name="Nora", language="fr", address=None
            )
        assert error.value.error_id in ("dispute.passages_needed", "dispute.no_passage")
