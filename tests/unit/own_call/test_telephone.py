"""A person's own call by telephone: two calls with two codes, and the keys once it is open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.catalogue.database import connected
from recorder.catalogue.subject_request_queries import own_requests
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.domain.room_caller import ANSWER, ASK, CODE, END, LEAVE, RETRY, CallerReport
from recorder.features.disputes.callers import CallerDesk
from recorder.features.disputes.dial_in import ALL_NUMBERS, DialIn
from recorder.features.disputes.invitations import GuestInvitations
from recorder.features.disputes.service import Disputes
from recorder.features.own_call import codes, rules
from recorder.features.own_call.admissions import OwnCallAdmissions
from recorder.features.own_call.telephone import BYTES_A_MS, LONGEST, OPENED_S, QUIET, OwnCallPhone
from recorder.features.subject_requests import service as requests
from recorder.identity import throttle, users
from recorder.mail.outbox import Outbox
from recorder.playback import call_history
from recorder.playback.conference_gate import ConferenceGate
from recorder.prompts import composer
from recorder.prompts.composer import CallListen
from recorder.spool.snapshot import ROOM_PROMPTS
from recorder.verification_calls import register
from recorder.verification_calls.policy import CallPolicy

STRANGER = "0470 00 00 99"


class Line:
    """A desk that opens own calls, and what callers do."""

    def __init__(self, scene, folder: Path) -> None:
        house = self.house = scene.house
        self.scene, self.seconds, self.folder = scene, 0.0, folder / "sounds"
        self.folder.mkdir()
        self.keys = rules.code_keys(house.keyring)
        gate = ConferenceGate(
            house.store, house.keyring, house.root_public, now=house.clock, entropy=house.entropy,
            admissions=OwnCallAdmissions(house.trust, house.clock),
        )  # fmt: skip
        self.prompts = folder / "snapshot" / ROOM_PROMPTS
        phone = OwnCallPhone(
            scene.calls, self.keys, gate, self.write,
            lambda name, language: self.prompts / f"{name}-{language}.wav",
            lambda person, wants, language: requests.enter_own(
                person, wants=wants, language=language, **scene.when
            ),
            lambda person: requests.take_back_all(person, **scene.when),
            lambda: self.seconds,
        )  # fmt: skip
        dial_in = DialIn("+3225550199", house.keyring, house.trust)
        invitations = GuestInvitations(Disputes(house.changes), Outbox(), dial_in)
        self.phone = phone
        self.desk = CallerDesk(
            folder / "spool", folder / "snapshot", dial_in, invitations, lambda *_: (), lambda: True, "BE",
            monotonic=lambda: self.seconds, own_calls=phone,
        )  # fmt: skip
        self.desk._write_sentences()

    def write(self, pieces: Iterator[bytes]) -> Path:
        path = self.folder / f"{len(list(self.folder.iterdir()))}.wav"
        path.write_bytes(b"".join(pieces))
        return path

    def give(self) -> str:
        self.scene.switch()
        return codes.give_code(
            self.scene.facts(), self.scene.by, key=self.keys[0], policy=CallPolicy(),
            signer=self.house.changes.signer, **self.scene.when,
        )  # fmt: skip

    def step(self, step: str, keys: str = "", channel: str = "a"):
        return self.desk.answer(CallerReport(channel, step, keys, STRANGER))

    def spoken(self) -> str:
        """What is read out to the number that took part."""
        claim = register.take("node1", self.house.clock(), self.house.entropy)
        assert claim is not None
        register.answer("node1", claim[0], "done", self.house.clock(), self.house.entropy)
        assert claim[0].number == self.scene.facts().parties.external_party.value
        return claim[1]

    def sound(self, direction) -> str:
        assert Path(direction.sound).exists()
        return Path(direction.sound).stem

    def open(self) -> str:
        """Both codes, in two calls."""
        code = self.give()
        assert self.step(CODE, code, "first").to == RETRY
        self.step(END, channel="first")
        digits = self.spoken()
        self.step(CODE, code)
        menu = self.step(CODE, digits)
        assert (menu.to, self.sound(menu)) == (ASK, "own-menu-fr")
        return menu.session

    def play(self, key: str) -> bytes:
        """The sound that a key leads to, however long it takes to write."""
        direction = self.step(ANSWER, key)
        while self.sound(direction) == "own-wait-fr":
            direction = self.step(ANSWER, "")
        assert direction.to == ASK
        return Path(direction.sound).read_bytes()


@pytest.fixture
def line(scene, tmp_path: Path) -> Line:
    return Line(scene, tmp_path)


def test_a_caller_hears_their_call_after_both_codes(scene, line) -> None:
    session = line.open()
    whole = line.play("1")
    duration = scene.facts().status.row.duration_ms
    assert len(whole) == duration * BYTES_A_MS
    status = scene.facts().status
    announced = status.chain.manifest.announced
    days_left = composer.own_call_days_left("fr", (status.terms.until - line.house.clock()).days)
    part = line.play("2")
    passage = whole[announced.offset_ms * BYTES_A_MS : announced.end_ms * BYTES_A_MS]
    assert part == passage + days_left.pcm
    history = call_history.history(scene.customer.id, scene.call)
    assert [each.role for each in history if each.how == "listened"] == ["external_party"] * 2
    count = line.step(ANSWER, "3")
    own = CallListen("you", "agreement", 0)
    expected = composer.own_call_listens("fr", {"company": 0, "you": 2, "others": 0}, [own, own])
    assert Path(count.sound).read_bytes() == expected.wav
    line.seconds += OPENED_S
    line.phone.tidy()
    assert not list(line.folder.iterdir()), "the switch has opened them"
    (user,) = [each for each in [users.user_of_session(session)] if each is not None]
    line.step(END)
    assert not users.is_session_valid(user.tenant, user.id, session, line.house.clock())


def test_a_caller_hears_the_latest_listens_with_side_purpose_and_days(scene, line) -> None:
    claire = scene.actor(scene.customer.people["claire"])
    for _ in range(2):
        grant = scene.house.gate.grant(claire, scene.call, "agreement")
        list(scene.house.gate.open(claire, grant.id, "audio.opus").read(0, 10))
        scene.house.clock.forward(days=2)
    line.open()
    sound = Path(line.step(ANSWER, "3").sound).read_bytes()
    listens = [CallListen("company", "agreement", days) for days in (2, 4)]
    assert sound == composer.own_call_listens("fr", {"company": 2, "you": 0, "others": 0}, listens).wav


def test_a_call_on_legal_hold_is_said_to_be_kept(scene, line) -> None:
    changes = scene.house.changes
    changes.hold(
        changes.look(scene.customer.id, scene.call), scene.by, owner=scene.by.id, purposes=["agreement"],
        reason="An open question.", review_at=line.house.clock() + timedelta(days=90),
    )  # fmt: skip
    line.open()
    assert line.play("2") == composer.own_call_days_left("fr", None).pcm
    assert call_history.history(scene.customer.id, scene.call) == ()


def _wants(scene) -> set[str]:
    return {each.wants for each in own_requests(scene.customer.id, scene.call) if each.open}


def test_a_caller_asks_for_what_the_page_offers_and_takes_it_back(scene, line) -> None:
    line.open()
    assert line.sound(line.step(ANSWER, "0")) == "own-requests-fr"
    for key in ("4", "5", "5", "7"):
        assert line.sound(line.step(ANSWER, key)) == "own-request-fr"
    assert _wants(scene) == {"copy", "erasure", "listening"}
    assert line.sound(line.step(ANSWER, "8")) == "own-taken-back-fr"
    assert not _wants(scene)
    assert line.sound(line.step(ANSWER, "4")) == "own-request-fr", "it can be asked for again"
    assert line.sound(line.step(ANSWER, "9")) == "own-keys-fr"
    last = [line.step(ANSWER, "") for _ in range(QUIET)][-1]
    assert (last.to, line.sound(last)) == (LEAVE, "goodbye-fr")


def test_only_an_agreement_can_be_withdrawn(scene, line) -> None:
    line.open()
    assert line.sound(line.step(ANSWER, "6")) == "own-impossible-fr"
    assert not _wants(scene)
    line.step(END)
    scene.call = scene.house.call(scene.customer, mode="opt-in")
    line.open()
    assert line.sound(line.step(ANSWER, "6")) == "own-request-fr"
    assert _wants(scene) == {"withdrawal"}


def test_a_right_code_has_the_answer_of_a_wrong_one(scene, line) -> None:
    code = line.give()
    wrong = f"{(int(code) + 1) % 10**9:09}"
    for typed in (code, wrong):
        first = line.step(CODE, typed, channel=typed)
        assert (first.to, line.sound(first)) == (RETRY, "wrong")
        second = line.step(CODE, "000000", channel=typed)
        assert (second.to, line.sound(second)) == (LEAVE, "closed")
        line.step(END, channel=typed)
    with connected():
        assert not VerificationCallTable.select().exists(), "they tried digits, and want no call"


def test_only_the_number_that_took_part_is_called_and_only_for_a_right_code(scene, line) -> None:
    code = line.give()
    for typed in (f"{(int(code) + 1) % 10**9:09}", code):
        line.step(CODE, typed, channel=typed)
        line.step(END, channel=typed)
    line.spoken()
    assert register.take("node1", line.house.clock(), line.house.entropy) is None


def test_the_spoken_digits_alone_open_nothing(scene, line) -> None:
    code = line.give()
    line.step(CODE, code)
    line.step(END)
    digits = line.spoken()
    assert line.step(CODE, digits, "b").to == RETRY
    assert line.step(ANSWER, "1", "b").to == LEAVE


def test_codes_on_the_telephone_use_the_budget_of_rooms(scene, line) -> None:
    code = line.give()
    line.step(CODE, code)
    assert throttle.share_used(ALL_NUMBERS, line.house.clock()) == 0.0, "a right one costs nothing"
    throttle.take([ALL_NUMBERS] * 50, line.house.clock())
    for number in range(60):
        line.step(CODE, "000000000", channel=f"c{number}")
    line.step(CODE, code, "late")
    line.step(END, channel="late")
    assert register.take("node1", line.house.clock(), line.house.entropy) is None


def test_a_code_that_ended_closes_the_call(scene, line) -> None:
    line.open()
    scene.withdraw()
    assert line.sound(line.step(ANSWER, "1")) in ("unheard-fr", "own-wait-fr")
    assert not list(line.folder.iterdir())


def test_callers_whose_end_nobody_reports_are_forgotten(scene, line) -> None:
    line.open()
    line.step(ANSWER, "1")  # the sound is being written, or is there
    line.seconds += 60
    line.step(CODE, line.give(), "later")
    line.seconds += LONGEST.total_seconds() - 60
    line.phone.tidy()
    line.phone.writers.shutdown(wait=True)
    assert list(line.phone._people) == ["later"]
    assert not list(line.folder.iterdir())
    assert line.step(ANSWER, "1").to == LEAVE, "whoever is forgotten hears nothing more"
    line.seconds += 60
    line.phone.tidy()
    assert not line.phone._people
