"""Callers to rooms: from the code to the yes, which is logged, and the session that ends with the call."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder.auditlog import leaf_lookup
from recorder.catalogue.database import connected
from recorder.domain.room_caller import ANSWER, ASK, CODE, END, ENTER, LEAVE, RETRY, CallerReport
from recorder.errors import CatalogueError
from recorder.features.disputes.callers import ENTERED, QUESTION_S, TRIES, CallerDesk
from recorder.features.disputes.dial_in import ALL_NUMBERS, DialIn
from recorder.features.disputes.invitations import GuestInvitations
from recorder.identity import throttle, users
from recorder.mail.outbox import Outbox
from recorder.prompts import composer
from recorder.seal.dispute_kinds import ACCEPTED
from recorder.spool.caller_socket import report_caller

STRANGER = "0470 00 00 99"


class Phones:
    """A desk, and what callers do."""

    def __init__(self, scene, folder: Path) -> None:
        house = scene.house
        self.scene, self.seconds = scene, 0.0
        self.dial_in = DialIn("+3225550199", house.keyring, house.trust)
        invitations = GuestInvitations(scene.disputes, Outbox(), self.dial_in)
        self.desk = CallerDesk(
            folder / "spool", folder / "snapshot", self.dial_in, invitations, "BE",
            monotonic=lambda: self.seconds,
        )  # fmt: skip
        self.desk._write_sentences()

    def code(self, dispute) -> str:
        scene = self.scene
        code = self.dial_in.code_of(scene.find(dispute), scene.guest(dispute), scene.house.clock())
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
    question = composer.room_question("nl", helpers=False, first=False)
    assert Path(direction.sound).read_bytes() == question.wav
    assert phones.leaves() == []
    entered = phones.step(ANSWER, "1")
    assert (entered.to, entered.room, phones.sound(entered)) == (ENTER, dispute.id, "keys-nl")
    (body,) = phones.leaves()
    assert (body["dispute"], body["guest"], body["session"]) == (dispute.id, jan.id, entered.session)
    now = scene.house.clock()
    assert users.is_session_valid(jan.tenant, jan.id, entered.session, now)
    assert phones.step(END, session=entered.session).to == LEAVE
    assert not users.is_session_valid(jan.tenant, jan.id, entered.session, now)


def test_the_yes_of_a_guest_who_has_not_answered_is_their_answer(scene, phones) -> None:
    dispute = scene.open()
    scene.invite(dispute)
    direction = phones.step(CODE, phones.code(dispute))
    question = composer.room_question("nl", helpers=False, first=True)
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
