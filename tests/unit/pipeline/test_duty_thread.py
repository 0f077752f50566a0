"""A duty repeats, backs off after a failure, and ends when it is stopped."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from structlog.testing import capture_logs

from recorder import metrics
from recorder.errors import CatalogueError, MailError
from recorder.features.live.duty import LiveCallRelay
from recorder.mail.message import MailMessage
from recorder.mail.outbox import Outbox
from recorder.pipeline.duty_thread import DutyThread
from recorder.processes.mail_delivery import MailDelivery
from tests.mailbox import Mailbox, mailbox


@dataclass
class Counter(DutyThread):
    """Raises each of ``errors`` once, then counts its turns."""

    errors: list[Exception] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)
    turns: int = 0
    counted: threading.Event = field(default_factory=threading.Event)

    NAME: ClassVar[str] = "counter"
    INTERVAL: ClassVar[float] = 0.001
    BACK_OFF: ClassVar[float] = 0.001

    def turn(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.turns += 1
        if self.turns == 3:
            self.counted.set()

    def delayed(self, error: Exception) -> None:
        self.reported.append(f"delayed: {error}")

    def failed(self, error: Exception) -> None:
        self.reported.append(f"failed: {error}")


def thread() -> threading.Thread | None:
    return next((each for each in threading.enumerate() if each.name == Counter.NAME), None)


@pytest.mark.parametrize(
    ("error", "reported", "bugs"),
    [
        (CatalogueError("catalogue.away", "no answer", "try again"), "delayed: no answer (try again)", 0),
        (OSError("disk full"), "delayed: disk full", 0),
        (KeyError("a bug"), "failed: 'a bug'", 1),
    ],
)
def test_continues_after_a_failure_until_it_is_stopped(error, reported, bugs) -> None:
    before = metrics.UNHANDLED_ERRORS._value.get()
    duty = Counter([error])
    duty.start()
    assert duty.counted.wait(10)
    running_thread = thread()
    duty.stop()
    assert running_thread is not None
    running_thread.join(10)
    assert not running_thread.is_alive()
    assert duty.reported == [reported]
    assert metrics.UNHANDLED_ERRORS._value.get() == before + bugs


def test_each_fault_of_a_duty_is_logged_once(house) -> None:
    """The database is away for three turns, and a bug shows up in two of the next ones."""
    relay = LiveCallRelay("n", house.spool, house.root_public, now=house.clock)
    away = CatalogueError("catalogue.away", "no answer", "try again")
    with capture_logs() as logs:
        for _ in range(3):
            relay.delayed(away)
        for _ in range(2):
            relay.failed(ZeroDivisionError())
        relay.turn()
        relay.recover()
        relay.recover()
    assert [(line["event"], line.get("failures")) for line in logs] == [
        ("command.delayed", None), ("command.failed", None),
        ("command.recovered", 3), ("command.recovered", 2),
    ]  # fmt: skip
    assert isinstance(logs[1]["exc_info"], ZeroDivisionError)


def test_mail_is_delayed_until_one_is_sent(house) -> None:
    """While the server is away each mail waits for its next try, and the turns between find nothing due."""
    message = MailMessage("invitation", "fr", {"name": "Eva", "customer": "Martin"}, "/invitation/x")
    outbox = Outbox(house.keyring, "https://calls.example")
    assert outbox.enqueue(house.tenant, "eva@example.com", message, house.clock(), house.entropy)
    with mailbox() as box:
        delivery = MailDelivery(house.services, Mailbox().server)
        with capture_logs() as logs:
            for _ in range(3):
                with pytest.raises(MailError) as failure:
                    delivery.turn()
                delivery.delayed(failure.value)
                delivery.turn()
                delivery.recover()
                house.clock.forward(minutes=11)
            delivery.server = box.server
            delivery.turn()
            delivery.recover()
    assert [line["event"] for line in logs] == ["mail.delayed", "mail.sent", "mail.recovered"]
    assert logs[-1]["failures"] == 3
