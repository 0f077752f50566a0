"""Callers to rooms: from the code to the yes, which is logged, and the session that ends with the call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recorder.auditlog import leaf_lookup
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.dispute import RoomCodeTable
from recorder.catalogue.tables.identity import UserTable
from recorder.domain.roles import PROVIDER
from recorder.domain.room_caller import (
    ANSWER,
    ASK,
    CODE,
    END,
    ENTER,
    FORWARD,
    LEAVE,
    PASSED,
    RETRY,
    CallerReport,
)
from recorder.domain.telephone_room import LEASE, lease_of
from recorder.errors import CatalogueError
from recorder.features.disputes.callers import ENTERED, QUESTION_S, TRIES, CallerDesk
from recorder.features.disputes.dial_in import ALL_NUMBERS, PASS_LASTS, RENEWED, DialIn
from recorder.features.disputes.invitations import GuestInvitations
from recorder.features.tenants.registration import Registration
from recorder.identity import throttle, users
from recorder.mail.outbox import Outbox
from recorder.playback.conference_gate import ConferenceGate
from recorder.playback.interface import TELEPHONE
from recorder.processes.telephone_rooms import RoomAdmissions
from recorder.prompts import composer
from recorder.prompts.composer import RoomPeople
from recorder.seal.amendment import By
from recorder.seal.dispute_kinds import ACCEPTED
from recorder.spool.caller_socket import report_caller

STRANGER = "0470 00 00 99"


class Phones:
    """A desk, and what callers do."""

    def __init__(self, scene, folder: Path) -> None:
        house = scene.house
        self.scene, self.seconds = scene, 0.0
        self.present: set[str] = set()
        self.can_play = True
        self.dial_in = DialIn("+3225550199", house.keyring, house.trust)
        invitations = GuestInvitations(scene.disputes, Outbox(), self.dial_in)
        self.desk = CallerDesk(
            folder / "spool", folder / "snapshot", self.dial_in, invitations,
            lambda _tenant, _room: self.present, lambda: self.can_play, "node1", "BE",
            monotonic=lambda: self.seconds,
        )  # fmt: skip
        self.desk._write_sentences()

    def node(self, name: str, **nodes: str) -> None:
        """Be a node that knows the addresses of others."""
        self.desk.node, self.desk.nodes = name, nodes

    def admissions(self) -> RoomAdmissions:
        """What the rooms' thread asks about sessions."""
        house = self.scene.house
        gate = ConferenceGate(
            house.store, house.keyring, house.services.root, now=house.clock, entropy=house.entropy
        )
        return RoomAdmissions(gate, self.scene.agreements, house.trust, house.clock)

    def code(self, dispute, person: str = "") -> str:
        scene = self.scene
        code = self.dial_in.code_of(
            scene.find(dispute), person or scene.guest(dispute).id, scene.house.clock()
        )
        assert code is not None
        return code

    def step(self, step: str, keys: str = "", channel: str = "a", number: str = STRANGER, session: str = ""):
        return self.desk.answer(CallerReport(channel, step, keys, number, session))

    def sound(self, direction) -> str:
        assert Path(direction.sound).exists()
        return Path(direction.sound).stem

    def leaves(self) -> list[dict]:
        with connected():
            found = leaf_lookup.leaves_after(self.scene.customer.id, 0, ENTERED)
        return [each.body for each in found]


@pytest.fixture
def phones(scene, tmp_path: Path) -> Phones:
    return Phones(scene, tmp_path)


def test_a_recognised_guest_comes_in_and_the_session_ends_with_the_call(scene, phones) -> None:
    dispute, jan = scene.recognised()
    direction = phones.step(CODE, phones.code(dispute))
    assert direction.to == ASK
    question = composer.room_question("nl", people=RoomPeople(), helpers=False, first=False)
    assert Path(direction.sound).read_bytes() == question.wav
    assert phones.leaves() == []
    entered = phones.step(ANSWER, "1")
    assert (entered.to, entered.room, phones.sound(entered)) == (ENTER, dispute.id, "enter-nl")
    (body,) = phones.leaves()
    assert (body["dispute"], body["actor"], body["session"]) == (dispute.id, jan.id, entered.session)
    now = scene.house.clock()
    assert users.is_session_valid(jan.tenant, jan.id, entered.session, now)
    assert phones.step(END, session=entered.session).to == LEAVE
    assert not users.is_session_valid(jan.tenant, jan.id, entered.session, now)


@pytest.mark.parametrize("login", ["claire", "paul"])
def test_whoever_handles_the_call_is_asked_and_comes_in(scene, phones, login: str) -> None:
    dispute, jan = scene.recognised()
    person, now = scene.customer.people[login], scene.house.clock()
    phones.present = {jan.id}
    direction = phones.step(CODE, phones.code(dispute, person.id))
    question = composer.room_question("fr", people=RoomPeople(callers=1), was_recorded=False)
    assert direction.to == ASK
    assert Path(direction.sound).read_bytes() == question.wav
    assert phones.step(ANSWER, "2").to == LEAVE
    phones.step(CODE, phones.code(dispute, person.id), channel="b")
    entered = phones.step(ANSWER, "1", channel="b")
    assert (entered.to, entered.room, phones.sound(entered)) == (ENTER, dispute.id, "enter-fr")
    (body,) = phones.leaves()
    assert (body["dispute"], body["actor"], body["session"]) == (dispute.id, person.id, entered.session)
    assert len(scene.find(dispute).statements) == len(dispute.statements) + 5, "theirs is no answer"
    assert users.is_session_valid(person.tenant, person.id, entered.session, now)
    assert [each.device for each in users.sessions(person, now)] == [TELEPHONE]
    phones.step(END, session=entered.session)
    assert not users.is_session_valid(person.tenant, person.id, entered.session, now)


def test_whose_access_ends_between_the_question_and_their_yes_stays_outside(scene, phones) -> None:
    dispute, clock = scene.open(), scene.house.clock
    phones.step(CODE, phones.code(dispute, scene.claire.id))
    users.revoke_user(
        scene.claire.tenant, scene.claire.id, now=clock(), entropy=scene.house.entropy, by=By("operator")
    )
    left = phones.step(ANSWER, "1")
    assert (left.to, phones.sound(left)) == (LEAVE, "closed-fr")
    assert phones.leaves() == []


def test_supports_call_is_in_the_customers_log_and_its_session_is_its_own(scene, phones) -> None:
    dispute, jan = scene.recognised()
    scene.agreements.mark_passage(scene.claire, dispute.id, scene.call, 1000, 2000, "The price")
    passages = [each.id for each in scene.find(dispute).passages]
    scene.invitations.call_support(scene.claire, dispute.id, passages, name="Support")
    guest = scene.find(dispute).guests[-1].id
    scene.invitations.agree_to_guest(jan, dispute.id, guest, ACCEPTED, passages=passages)
    house = scene.house
    Registration(house.keyring).open_provider("Telvoip", "en", house.clock())
    ingrid = house.user(PROVIDER, "ingrid", "support", language="en")
    scene.invitations.enter(ingrid, dispute.tenant, dispute.id, guest, "They asked us to")
    phones.step(CODE, phones.code(dispute, ingrid.id))
    entered = phones.step(ANSWER, "1")
    assert (entered.to, entered.room) == (ENTER, dispute.id)
    (body,) = phones.leaves()
    assert (body["dispute"], body["actor"]) == (dispute.id, ingrid.id)
    found = phones.admissions().find(dispute.id, entered.session)
    assert found is not None
    assert (found.who.tenant, found.who.home, found.who.user) == (dispute.tenant, PROVIDER, ingrid.id)
    assert found.guests[ingrid.id].side == "helper"
    scene.invitations.withdraw_invitation(scene.claire, dispute.id, guest)
    assert phones.admissions().find(dispute.id, entered.session) is None


def test_whoever_handles_the_call_listens_for_what_they_see(scene, phones) -> None:
    dispute, _jan = scene.recognised()
    phones.step(CODE, phones.code(dispute, scene.claire.id))
    session = phones.step(ANSWER, "1").session
    found = phones.admissions().find(dispute.id, session)
    assert found is not None
    assert (found.who.user, found.who.home, [*found.durations]) == (scene.claire.id, "", [scene.call])
    with writing():
        UserTable.update(role="auditor").where(UserTable.id == scene.claire.id).execute()
    assert phones.admissions().find(dispute.id, session) is None


def test_the_question_says_who_is_there_but_oneself(scene, phones) -> None:
    dispute, jan = scene.recognised()
    phones.present = {scene.claire.id, jan.id}
    direction = phones.step(CODE, phones.code(dispute))
    question = composer.room_question("nl", people=RoomPeople(company=1), helpers=False, first=False)
    assert Path(direction.sound).read_bytes() == question.wav
    assert "Het bedrijf is er." in question.text


def test_callers_are_told_where_nothing_can_be_played(scene, phones) -> None:
    dispute, _jan = scene.recognised()
    phones.can_play = False
    left = phones.step(CODE, phones.code(dispute))
    assert (left.to, phones.sound(left)) == (LEAVE, "unplayed-nl")
    assert phones.step(ANSWER, "1").to == LEAVE
    assert phones.leaves() == []


def test_the_yes_of_a_guest_who_has_not_answered_is_their_answer(scene, phones) -> None:
    dispute = scene.open()
    scene.invite(dispute)
    direction = phones.step(CODE, phones.code(dispute))
    question = composer.room_question("nl", people=RoomPeople(), helpers=False, first=True)
    assert Path(direction.sound).read_bytes() == question.wav
    left = phones.step(ANSWER, "1")
    assert (left.to, phones.sound(left)) == (LEAVE, "unrecognised-nl")
    guest = scene.guest(dispute)
    assert guest.answer == ACCEPTED
    assert guest.erasure_waits_until is not None
    assert phones.leaves() == []
    scene.vouch(dispute, guest.id)
    phones.step(CODE, phones.code(dispute), channel="b")
    assert phones.step(ANSWER, "1", channel="b").to == ENTER


@pytest.mark.parametrize("keys", ["", "2", "11"])
def test_anything_else_than_yes_ends_kindly_and_is_no_answer(scene, phones, keys: str) -> None:
    dispute = scene.open()
    scene.invite(dispute)
    phones.step(CODE, phones.code(dispute))
    left = phones.step(ANSWER, keys)
    assert (left.to, phones.sound(left)) == (LEAVE, "declined-nl")
    assert scene.guest(dispute).answer is None
    assert phones.step(ANSWER, "1").to == LEAVE, "they were asked once"


def test_wrong_ended_and_unknown_codes_have_the_same_answers(scene, phones) -> None:
    dispute = scene.open()
    issued = scene.invite(dispute)
    ended = phones.code(dispute)
    scene.invitations.withdraw_invitation(scene.claire, dispute.id, issued.guest)
    for code in (ended, "000000000", "", "12", "*********"):
        first = phones.step(CODE, code, channel=f"of {code}")
        assert (first.to, phones.sound(first)) == (RETRY, "wrong")
        second = phones.step(CODE, code, channel=f"of {code}")
        assert (second.to, phones.sound(second)) == (LEAVE, "closed")


def test_a_call_has_two_codes(scene, phones) -> None:
    dispute, _jan = scene.recognised()
    for _ in range(TRIES):
        phones.step(CODE, "000000000")
    assert phones.step(CODE, phones.code(dispute)).to == LEAVE
    assert phones.step(CODE, phones.code(dispute), channel="b").to == ASK


def test_used_up_budget_answers_as_a_wrong_code_and_spares_the_invited_number(scene, phones) -> None:
    dispute, _jan = scene.recognised()
    now = scene.house.clock()
    while throttle.take([ALL_NUMBERS], now) == 0:
        pass
    refused = phones.step(CODE, phones.code(dispute))
    assert (refused.to, phones.sound(refused)) == (RETRY, "wrong")
    number = scene.guest(dispute).number
    assert number.startswith("+32")
    national = f"0{number.removeprefix('+32')}"
    assert phones.step(CODE, phones.code(dispute), channel="b", number=national).to == ASK


def test_answers_need_a_question_in_time(scene, phones) -> None:
    dispute, _jan = scene.recognised()
    assert phones.sound(phones.step(ANSWER, "1")) == "away"
    phones.step(CODE, phones.code(dispute), channel="b")
    phones.seconds += QUESTION_S + 1
    assert phones.step(ANSWER, "1", channel="b").to == LEAVE
    assert phones.leaves() == []


def test_a_dispute_that_was_closed_meanwhile_lets_nobody_in(scene, phones) -> None:
    dispute, _jan = scene.recognised()
    phones.step(CODE, phones.code(dispute))
    scene.disputes.close(scene.claire, dispute.id)
    left = phones.step(ANSWER, "1")
    assert left.to == LEAVE
    assert phones.leaves() == []


def test_a_link_that_was_renewed_meanwhile_lets_nobody_in(scene, phones) -> None:
    dispute, jan = scene.recognised()
    phones.step(CODE, phones.code(dispute))
    scene.invitations.renew_invitation(scene.claire, dispute.id, jan.id, address=None)
    assert phones.step(ANSWER, "1").to == LEAVE


def test_an_ended_code_lets_nobody_in_where_its_end_was_removed(scene, phones) -> None:
    dispute, jan = scene.recognised()
    code = phones.code(dispute)
    with connected():
        before = RoomCodeTable.select().where(RoomCodeTable.user_id == jan.id).dicts().get()
    invitations = phones.desk.invitations
    assert invitations.renew_dial_code(scene.claire, dispute.id, jan.id).code != code
    assert phones.step(CODE, code, "before").to == RETRY
    with writing():
        assert LeafTable.delete().where(LeafTable.kind == RENEWED).execute() == 1
        RoomCodeTable.update(**before).where(RoomCodeTable.id == before["id"]).execute()
    assert phones.step(CODE, code).to == ASK
    answer = phones.step(ANSWER, "1")
    assert (answer.to, phones.sound(answer), phones.leaves()) == (LEAVE, "away", [])


def test_without_the_catalogue_callers_are_told_to_call_later(scene, phones, monkeypatch) -> None:
    def away(*_args: object) -> None:
        raise CatalogueError("catalogue.away", "away", "wait")

    monkeypatch.setattr(DialIn, "try_code", away)
    left = phones.step(CODE, "123456789")
    assert (left.to, phones.sound(left)) == (LEAVE, "away")


def test_the_daemon_reaches_the_desk_over_its_socket(scene, phones) -> None:
    dispute, _jan = scene.recognised()
    desk, report = phones.desk, CallerReport("a", CODE, phones.code(dispute), STRANGER)
    assert report_caller(desk.spool, report) is None, "no worker yet"
    desk.spool.mkdir(exist_ok=True)
    assert not desk.turn(), "nobody called"
    desk.start()
    try:
        answer = report_caller(desk.spool, report)
    finally:
        desk.stop()
    assert answer is not None
    assert answer.to == ASK
    assert (desk.spool / ".callers").stat().st_mode & 0o777 == 0o600


def _answer(phones: Phones, dispute, channel: str):
    phones.step(CODE, phones.code(dispute), channel=channel)
    return phones.step(ANSWER, "1", channel=channel)


def _forward(phones: Phones, dispute):
    """Somebody whom node b passes on to node a."""
    phones.node("a")
    assert _answer(phones, dispute, "a").to == ENTER
    phones.node("b", a="10.0.0.1:5080")
    direction = _answer(phones, dispute, "b")
    assert (direction.to, direction.address, direction.room) == (FORWARD, "10.0.0.1:5080", "")
    phones.node("a")
    return direction


def test_a_room_is_on_one_node_and_the_other_passes_its_callers_on(scene, phones) -> None:
    dispute, _jan = scene.recognised()
    direction = _forward(phones, dispute)
    entered = phones.step(PASSED, direction.token, channel="c")
    assert (entered.to, entered.room, entered.session) == (ENTER, dispute.id, direction.session)
    assert phones.sound(entered) == "enter-nl"
    assert len(phones.leaves()) == 2, "they are not asked again"


def test_a_token_lets_in_once_soon_and_at_its_node_alone(scene, phones) -> None:
    dispute, jan = scene.recognised()
    token = _forward(phones, dispute).token
    session, room, until, mac = token.split(".")
    others = ("", "x", token[:-1], f"{jan.id}.{room}.{until}.{mac}", f"{session}.{session}.{until}.{mac}")
    for forged in (
        *others,
        f"{session}.{room}.{int(until) + 1}.{mac}",
        f"{session}.{room}.{until}.{'0' * 64}",
    ):
        assert phones.step(PASSED, forged).to == LEAVE
    phones.node("b")
    assert phones.step(PASSED, token).to == LEAVE
    phones.node("a")
    assert phones.step(PASSED, token).to == ENTER
    assert phones.step(PASSED, token).to == LEAVE, "taken before"


def test_a_token_that_is_over_lets_nobody_in(scene, phones) -> None:
    dispute, _jan = scene.recognised()
    token = _forward(phones, dispute).token
    scene.house.clock.at += PASS_LASTS
    assert phones.step(PASSED, token).to == LEAVE


def test_a_caller_whose_room_has_moved_meanwhile_is_told_to_call_later(scene, phones) -> None:
    dispute, _jan = scene.recognised()
    token = _forward(phones, dispute).token
    lease.release(lease_of(dispute.id), "a")
    assert lease.take(lease_of(dispute.id), "c", scene.house.clock(), LEASE)
    left = phones.step(PASSED, token)
    assert (left.to, phones.sound(left)) == (LEAVE, "away-nl")


def test_where_the_room_s_node_has_no_address_callers_are_told_to_call_later(scene, phones) -> None:
    dispute, _jan = scene.recognised()
    assert _answer(phones, dispute, "a").to == ENTER
    phones.node("b")
    left = _answer(phones, dispute, "b")
    assert (left.to, phones.sound(left)) == (LEAVE, "away-nl")
    assert len(phones.leaves()) == 1


def test_after_a_node_s_death_its_room_is_on_the_next_one(scene, phones) -> None:
    dispute, _jan = scene.recognised()
    assert _answer(phones, dispute, "a").to == ENTER
    phones.node("b")
    scene.house.clock.at += LEASE
    assert _answer(phones, dispute, "b").to == ENTER


def test_of_two_nodes_that_let_callers_in_at_once_one_has_the_room(scene, phones) -> None:
    dispute, _jan = scene.recognised()
    room, now = lease_of(dispute.id), scene.house.clock()
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda node: lease.take(room, node, now, LEASE), "abcdefgh"))
    assert outcomes.count(True) == 1
    assert lease.find_owner(room) == "abcdefgh"[outcomes.index(True)]
