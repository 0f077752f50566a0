"""Both sides of a dispute are told what the others did: who, when, of what, and by how many mails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.dispute import DisputeNewsTable, DisputeStatementTable, DisputeTable
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.outgoing_mail import OutgoingMailTable
from recorder.domain.roles import ADMIN
from recorder.features.disputes import queries
from recorder.features.disputes.news import GUEST_MAIL, MAIL, PAUSE, NewsDuty
from recorder.features.disputes.rules import Dispute
from recorder.features.notifications import queries as notifications
from recorder.features.notifications import service
from recorder.features.notifications.rules import DISPUTE_NEWS, KINDS
from recorder.mail.outbox import Outbox, open_mail
from recorder.seal.dispute_kinds import DECLINED
from tests.house import Customer
from tests.unit.disputes.conftest import NOTICE, Scene, token_of

JAN = "jan@example.com"
CLAIRE = "claire@example.com"


@dataclass
class News:
    """A dispute with a guest who was invited by mail, and what its people are mailed."""

    scene: Scene
    dispute: Dispute
    link: str
    guest: str
    present: set[str] = field(default_factory=set)

    def accept(self):
        user = self.scene.invitations.answer(
            self.scene.invitations.open_link(self.link), "accepted", notice=NOTICE, language="nl"
        )
        assert user is not None
        return user

    def recognise(self):
        jan = self.accept()
        self.scene.vouch(self.dispute, jan.id)
        return jan

    def mark(self, who, text="Here we spoke about the price") -> None:
        self.scene.agreements.mark_passage(who, self.dispute.id, self.scene.call, 500, 2500, text)

    @property
    def duty(self) -> NewsDuty:
        house = self.scene.house
        return NewsDuty(
            house.services, self.scene.outbox, lambda _tenant, _room, user: user in self.present,
            service.wants_dispute_mail,
        )  # fmt: skip

    def tell(self) -> list[tuple[str, str, str]]:
        """The mails that the duty queues now: to whom, of which kind, and their text."""
        house = self.scene.house
        self.duty.tell_due(house.clock())
        ours = OutgoingMailTable.kind.in_([MAIL, GUEST_MAIL])
        with connected():
            rows = list(OutgoingMailTable.select().where(ours).order_by(OutgoingMailTable.id))
        found = []
        for row in rows:
            mail = open_mail(row, house.keyring)
            found.append((mail.address, row.kind, mail.content.text))
        with writing():
            OutgoingMailTable.delete().where(ours).execute()
        return found


@pytest.fixture
def bakery(house) -> Customer:
    """People whose log-ins are addresses."""
    customer = house.customer("Boulangerie Martin", "+3225550100")
    for login, name, role in (("claire", "Claire Martin", "customer"), ("paul", "Paul Martin", ADMIN)):
        customer.people[login] = house.person(customer, f"{login}@example.com", name, role, language="en")
    return customer


@pytest.fixture
def news(house, scene) -> News:
    scene.outbox = Outbox(house.keyring, "https://accord.example.com")
    dispute = scene.open()
    issued = scene.invitations.invite(
        scene.claire, dispute.id, name="Jan Peeters", language="nl", address=JAN
    )
    found = News(scene, dispute, token_of(issued), issued.guest)
    assert found.tell() == []  # who invited knows it, and who was invited has their invitation
    return found


def test_host_is_told_of_an_answer_in_a_sentence_with_a_link(news) -> None:
    news.accept()
    ((address, kind, text),) = news.tell()
    assert (address, kind) == (CLAIRE, MAIL)
    assert "Jan Peeters accepted." in text
    assert f"https://accord.example.com/together/{news.dispute.id}\n" in text
    assert news.tell() == []


def test_guest_is_told_in_their_language_what_the_host_did_and_never_what_they_wrote(news) -> None:
    news.recognise()
    news.scene.house.clock.forward(minutes=20)
    news.tell()
    news.scene.house.clock.forward(minutes=20)
    news.mark(news.scene.claire, "He promised twelve euros")
    ((address, kind, text),) = news.tell()
    assert (address, kind) == (JAN, GUEST_MAIL)
    assert "Claire Martin heeft een fragment gemarkeerd." in text
    assert "https://accord.example.com/together/welcome" in text
    assert "twelve" not in text


def test_what_happens_within_a_quarter_of_an_hour_is_in_one_mail(news) -> None:
    clock, jan = news.scene.house.clock, news.recognise()
    news.tell()
    clock.forward(minutes=30)
    news.mark(jan)
    assert [each[0] for each in news.tell()] == [CLAIRE]
    for _ in range(3):
        clock.forward(minutes=2)
        news.mark(jan)
        assert news.tell() == []
    news.scene.agreements.write_outcome(jan, news.dispute.id, "open", "We leave it.", None)
    clock.forward(minutes=8, seconds=59)
    assert news.tell() == []
    clock.forward(seconds=1)
    ((_, _, text),) = news.tell()
    assert text.count("Jan Peeters marked a passage.") == 1
    assert "Jan Peeters wrote down the way forward." in text
    clock.forward(hours=2)
    assert news.tell() == []


def test_guest_who_may_not_listen_yet_is_told_of_the_date_and_the_end_alone(news) -> None:
    clock = news.scene.house.clock
    news.accept()
    news.tell()
    clock.forward(hours=1)
    news.mark(news.scene.claire)
    assert news.tell() == []
    news.scene.disputes.reschedule(news.scene.claire, news.dispute.id, (clock() + timedelta(days=5)).date())
    ((address, _, text),) = news.tell()
    assert address == JAN
    assert "andere datum" in text
    assert "fragment" not in text


@pytest.mark.parametrize("end", ["declined", "withdrawn", "left", "expired"])
def test_guest_who_does_not_take_part_gets_no_mail(news, end) -> None:
    scene, clock = news.scene, news.scene.house.clock
    if end == "declined":
        scene.invitations.answer(
            scene.invitations.open_link(news.link), DECLINED, notice=NOTICE, language="nl"
        )
    elif end == "withdrawn":
        news.recognise()
        scene.invitations.withdraw_invitation(scene.claire, news.dispute.id, news.guest)
    elif end == "left":
        jan = news.recognise()
        scene.invitations.leave(jan.tenant, news.dispute.id, jan.id)
    else:
        clock.forward(days=8)
    news.mark(scene.claire)
    scene.disputes.close(scene.claire, news.dispute.id)
    clock.forward(minutes=1)
    assert JAN not in {each[0] for each in news.tell()}


def test_guest_with_a_link_that_was_passed_on_gets_no_mail(scene, house) -> None:
    scene.outbox = Outbox(house.keyring, "https://accord.example.com")
    dispute, jan = scene.recognised()
    scene.agreements.mark_passage(scene.claire, dispute.id, scene.call, 500, 2500, "Here")
    found = News(scene, dispute, "", jan.id)
    assert found.tell() == []


def test_guest_of_a_closed_dispute_is_told_so_without_a_link(news) -> None:
    news.recognise()
    news.tell()
    news.scene.house.clock.forward(hours=1)
    news.scene.disputes.close(news.scene.claire, news.dispute.id)
    ((address, _, text),) = news.tell()
    assert address == JAN
    assert "gesloten" in text
    assert "https://" not in text


def test_who_is_in_the_room_or_did_it_themselves_gets_no_mail(news) -> None:
    jan, clock = news.recognise(), news.scene.house.clock
    news.tell()
    clock.forward(hours=1)
    news.present = {news.scene.claire.id, jan.id}
    news.mark(jan)
    assert news.tell() == []
    news.present = set()
    clock.forward(hours=1)
    assert news.tell() == []  # they saw it
    news.mark(jan)
    news.mark(news.scene.claire)  # with Jan's before her eyes
    assert [each[0] for each in news.tell()] == [JAN]


def test_colleague_who_did_something_is_told_as_well_and_one_who_vouched_is_not(news) -> None:
    jan, paul = news.recognise(), news.scene.customer.people["paul"]
    news.tell()
    news.scene.house.clock.forward(hours=1)
    news.mark(jan)
    assert {each[0] for each in news.tell()} == {CLAIRE}
    news.mark(paul)
    news.scene.house.clock.forward(hours=1)
    news.tell()
    news.scene.house.clock.forward(hours=1)
    news.mark(jan)
    assert {each[0] for each in news.tell()} == {CLAIRE, "paul@example.com"}


def test_admins_are_told_once_nobody_of_those_who_took_part_is_left(news) -> None:
    with writing():
        UserTable.update(revoked_at=news.scene.house.clock()).where(
            UserTable.id == news.scene.claire.id
        ).execute()
    news.accept()
    assert [each[0] for each in news.tell()] == ["paul@example.com"]


def test_person_whose_row_is_not_as_signed_is_told_nothing(news) -> None:
    with writing():
        UserTable.update(login="evil@example.com").where(UserTable.id == news.scene.claire.id).execute()
    news.accept()
    assert "evil@example.com" not in {each[0] for each in news.tell()}


def test_choice_is_kept_and_the_notification_is_the_persons_own(news) -> None:
    clock, claire = news.scene.house.clock, news.scene.claire
    service.set_choices(claire.tenant, claire.id, dict.fromkeys(KINDS, "page"))
    news.accept()
    assert news.tell() == []
    (row,) = service.list_notifications(claire.tenant, claire.id, clock(), admin=False)
    assert (row.kind, row.data["dispute"]) == (DISPUTE_NEWS, news.dispute.id)
    assert service.count_unread(claire.tenant, claire.id, clock(), admin=False) == 1
    service.mark(claire.tenant, claire.id, row.id, row.changed_at, clock(), is_read=True)
    assert service.count_unread(claire.tenant, claire.id, clock(), admin=False) == 0
    paul = news.scene.customer.people["paul"]
    assert not notifications.dispute_news(paul.tenant, paul.id, clock())
    service.set_choices(claire.tenant, claire.id, dict.fromkeys(KINDS, "none"))
    assert service.count_unread(claire.tenant, claire.id, clock(), admin=False) is None


def test_nothing_old_is_told_after_a_rebuild(news) -> None:
    news.recognise()
    news.tell()
    clock = news.scene.house.clock
    clock.forward(days=2)
    with writing():
        DisputeNewsTable.delete().execute()
        queries.index_dispute(news.scene.find(news.dispute))
    assert news.tell() == []


def test_dispute_that_is_not_as_signed_tells_nobody_and_delays_no_other(news, bakery, house) -> None:
    other = replace(news.scene, call=house.call(bakery))
    dispute = other.open()
    issued = other.invitations.invite(other.claire, dispute.id, name="Jan", language="nl", address=JAN)
    news.accept()
    with writing():
        last = DisputeStatementTable.select().order_by(DisputeStatementTable.number.desc())
        newest = next(each for each in last if each.dispute_id == news.dispute.id)
        DisputeStatementTable.delete().where(DisputeStatementTable.id == newest.id).execute()
    accept: Callable[[], object] = News(other, dispute, token_of(issued), issued.guest).accept
    accept()
    assert [each[0] for each in news.tell()] == [CLAIRE]
    with connected():
        due = {row.id: row.news_at for row in DisputeTable.select()}
    assert due[dispute.id] is None
    assert due[news.dispute.id] is not None  # it is tried again


def test_pause_is_a_quarter_of_an_hour() -> None:
    assert timedelta(minutes=15) == PAUSE
