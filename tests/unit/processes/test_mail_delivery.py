"""The worker's thread that sends mail."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import pytest

from recorder import metrics
from recorder.mail.message import MailMessage
from recorder.mail.outbox import Outbox
from recorder.processes.duties import DUTIES
from recorder.processes.mail_delivery import DUTY, MailDelivery
from tests.house import Customer, House
from tests.mailbox import Mailbox, mailbox


@pytest.fixture
def house(tmp_path, clock, entropy) -> Iterator[House]:
    house = House(tmp_path, clock, entropy)
    yield house
    house.close()


@pytest.fixture
def bakery(house: House) -> Customer:
    customer = house.customer("Boulangerie Martin", "+3225550100")
    message = MailMessage("invitation", "fr", {"name": "Eva", "customer": "Martin"}, "/invitation/x")
    outbox = Outbox(house.keyring, "https://calls.example")
    assert outbox.enqueue(customer.id, "eva@example.com", message, house.clock(), house.entropy)
    return customer


def failures() -> float:
    return float(metrics.DUTY_FAILURES.labels(DUTY)._value.get())


def queued(state: str) -> float:
    return float(metrics.MAIL_QUEUED.labels(state)._value.get())


def test_thread_sends_what_waits(
    house: House, bakery: Customer, clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert DUTY in DUTIES, "so that its metrics are exposed from the start"
    monkeypatch.setattr(MailDelivery, "INTERVAL", 0.01)
    metrics.MAIL_QUEUED.labels("waiting").set(9)
    finish = Event()
    with mailbox() as box:

        class CountedDelivery(MailDelivery):
            def turn(self) -> None:
                super().turn()
                if box.mails:
                    finish.set()

        thread = CountedDelivery(house.services, box.server)
        thread.start()
        assert finish.wait(20)
        thread.stop()
    assert box.to == ["eva@example.com"]
    assert metrics.DUTY_DONE.labels(DUTY)._value.get() == clock().timestamp()
    assert queued("waiting") == 0


def test_failure_is_counted_and_repeated(
    house: House, bakery: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MailDelivery, "INTERVAL", 0.01)
    monkeypatch.setattr(MailDelivery, "BACK_OFF", 0.01)
    before, failed = failures(), Event()

    class CountedDelivery(MailDelivery):
        def delayed(self, error: Exception) -> None:
            super().delayed(error)
            failed.set()

    thread = CountedDelivery(house.services, Mailbox().server)
    thread.start()
    assert failed.wait(20)
    thread.stop()
    assert failures() == before + 1
    assert queued("waiting") == 1
