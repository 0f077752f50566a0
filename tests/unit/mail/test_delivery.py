"""The queue of outgoing mail and its delivery, through a real mail server."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from recorder.catalogue.database import connected, database, writing
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.outgoing_mail import OutgoingMailTable
from recorder.errors import MailError
from recorder.mail import delivery, server
from recorder.mail.address import normalize_address
from recorder.mail.message import MailMessage, one_line
from recorder.mail.outbox import Outbox, count_mails, delivery_states, drop_mail
from recorder.seal.keyring import Keyring, make_secret
from tests.expected_errors import expect_error
from tests.house import Customer, House
from tests.mailbox import Mailbox, link_in, mailbox, text_of

PANEL = "https://accord.provider.example"
NAMES = {"name": "Claire", "customer": "Boulangerie Martin"}


@pytest.fixture
def house(tmp_path, clock, entropy, catalogue) -> Iterator[House]:
    house = House(tmp_path, clock, entropy, url=catalogue)
    yield house
    house.close()


@pytest.fixture
def bakery(house: House) -> Customer:
    return house.customer("Boulangerie Martin", "+3225550100")


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as found:
        yield found


def queue(house: House, tenant: str, address: str = "claire@example.com", **changes) -> bool:
    about, send_from = changes.pop("about", ""), changes.pop("send_from", None)
    outbox = changes.pop("outbox", Outbox(house.keyring, PANEL))
    values = {"values": NAMES, "path": "/invitation/secret-token", "lifetime": timedelta(days=7)}
    message = MailMessage("invitation", changes.pop("language", "en"), **(values | changes))
    return outbox.enqueue(
        tenant, address, message, house.clock(), house.entropy, about=about, send_from=send_from
    )


def rows() -> list[OutgoingMailTable]:
    with connected():
        return list(OutgoingMailTable.select().order_by(OutgoingMailTable.id))


def send(house: House, box: Mailbox) -> int:
    return delivery.send_due(house.services, box.server)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attributes) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name == "href"]


@pytest.mark.parametrize(
    ("language", "subject"),
    [
        ("en", "Boulangerie Martin invites you to its calls"),
        ("fr", "Boulangerie Martin vous invite à consulter ses appels"),
        ("nl", "Boulangerie Martin nodigt u uit voor zijn gesprekken"),
        ("de", "Boulangerie Martin lädt Sie zu seinen Gesprächen ein"),
        ("xx", "Boulangerie Martin invites you to its calls"),
    ],
)
def test_mail_arrives_in_text_and_html_from_the_provider(
    house: House, bakery: Customer, box: Mailbox, language: str, subject: str
) -> None:
    assert queue(house, bakery.id, language=language)
    assert send(house, box) == 1
    (mail,) = box.mails
    assert box.to == ["claire@example.com"]
    assert mail["Subject"] == subject
    (sender,) = mail["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("Provider & Sons", "calls@provider.example")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert link_in(mail) == f"{PANEL}/invitation/secret-token"
    html = mail.get_body(("html",)).get_content()
    page = _Links()
    page.feed(html)
    assert page.links == [f"{PANEL}/invitation/secret-token"]
    assert "Claire" in html
    assert "Claire" in text_of(mail)
    assert not re.search(r"src=|url\(|<link|<script", html)
    assert rows() == []
    assert send(house, box) == 0


@pytest.mark.parametrize(
    ("name", "safe_name"),
    [
        (
            "It is locked: https://www.evil.example/x",
            "It is locked: https www. evil. example/x",
        ),
        ("evil.example/@x", "evil. example/@x"),
        ("Jansen B.V.", "Jansen B.V."),
        ("Bakkerij St.-Anna", "Bakkerij St.-Anna"),
        ("claire@example.com", "claire@example.com"),
        ("a\r\nBcc: x@example.com", "a Bcc: x@example.com"),
        ("paul \u202egnp.exe", "paul gnp. exe"),
    ],
)
def test_names_in_a_mail_become_no_links_and_no_lines(name: str, safe_name: str) -> None:
    assert one_line(name) == safe_name


def test_catalogue_shows_neither_address_nor_link(house: House, bakery: Customer) -> None:
    queue(house, bakery.id)
    with connected():
        (found,) = database.execute_sql("SELECT * FROM outgoing_mail").fetchall()
    assert not [each for each in found if re.search("claire|secret|Martin", str(each), re.IGNORECASE)]


def test_nothing_is_queued_without_a_mail_server(house: House, bakery: Customer) -> None:
    assert not Outbox().sends
    assert not queue(house, bakery.id, outbox=Outbox())
    assert rows() == []


def test_mail_of_an_undone_transaction_is_not_sent(house: House, bakery: Customer, box: Mailbox) -> None:
    with writing(), database.atomic() as cause:
        queue(house, bakery.id)
        cause.rollback()
    assert send(house, box) == 0


def test_mail_is_sent_once_the_server_is_back(house: House, bakery: Customer, clock) -> None:
    box = Mailbox()
    queue(house, bakery.id)
    attempts = []
    for _ in range(3600 // 5):
        try:
            delivery.send_due(house.services, box.server)
        except MailError:
            attempts.append(clock())
        clock.forward(seconds=5)
    assert 5 <= len(attempts) <= 12, "the pauses grow to ten minutes"
    box.start()
    try:
        for _ in range(600 // 5):
            clock.forward(seconds=5)
            delivery.send_due(house.services, box.server)
    finally:
        box.stop()
    assert box.to == ["claire@example.com"]
    assert rows() == []


def test_server_that_never_answers_delays_the_mail(
    house: House, bakery: Customer, box: Mailbox, clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TIMEOUT_S", 0.3)
    queue(house, bakery.id)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = replace(box.server, port=silent.getsockname()[1])
        with pytest.raises(MailError):
            delivery.send_due(house.services, slow)
    assert [row.attempts for row in rows()] == [1]
    clock.forward(seconds=30)
    assert send(house, box) == 1


def test_turn_ends_in_time_and_the_rest_follows(house: House, bakery: Customer, box: Mailbox) -> None:
    for n in range(3):
        queue(house, bakery.id, f"claire{n}@example.com")
    ticks = iter((0.0, 1.0, 50.0))
    assert delivery.send_due(house.services, box.server, elapsed=lambda: next(ticks)) == 1
    assert send(house, box) == 2
    assert sorted(box.to) == [f"claire{n}@example.com" for n in range(3)]


def test_refused_address_is_shown_and_delays_no_other(
    house: House, bakery: Customer, box: Mailbox, clock
) -> None:
    box.replies = {"nobody@example.com": "550 no such user", "later@example.com": "451 greylisted"}
    for address, about in (
        ("nobody@example.com", "a"),
        ("later@example.com", "b"),
        ("claire@example.com", "c"),
    ):
        queue(house, bakery.id, address, about=about)
    assert delivery_states(bakery.id, "invitation") == {"a": "waiting", "b": "waiting", "c": "waiting"}
    assert send(house, box) == 1
    assert box.to == ["claire@example.com"]
    assert delivery_states(bakery.id, "invitation") == {"a": "refused", "b": "waiting"}
    assert count_mails(clock()) == {"waiting": 1, "refused": 1}
    assert [row.content for row in rows() if row.about == "a"] == [""]
    box.replies = {}
    clock.forward(seconds=30)
    assert send(house, box) == 1
    assert box.to[1:] == ["later@example.com"]
    clock.forward(days=8)
    assert send(house, box) == 0
    assert rows() == []


def test_mail_for_later_is_sent_then(house: House, bakery: Customer, box: Mailbox, clock) -> None:
    start = clock()
    queue(house, bakery.id, send_from=start + timedelta(days=4), lifetime=timedelta(days=3))
    clock.forward(days=4, seconds=-1)
    assert send(house, box) == 0
    assert count_mails(clock()) == {"waiting": 0, "refused": 0}
    assert delivery.oldest_waiting(clock()) is None
    clock.forward(seconds=1)
    assert count_mails(clock()) == {"waiting": 1, "refused": 0}
    assert delivery.oldest_waiting(clock()) == timedelta(0)
    (row,) = rows()
    assert row.until == start + timedelta(days=7)
    assert send(house, box) == 1
    assert box.to == ["claire@example.com"]


def test_server_that_refuses_a_mail_is_believed(house: House, bakery: Customer, box: Mailbox) -> None:
    queue(house, bakery.id, about="a")
    box.after_data = "554 looks like spam"
    assert send(house, box) == 0
    assert delivery_states(bakery.id, "invitation") == {"a": "refused"}


def test_mail_that_is_too_old_is_deleted(house: House, bakery: Customer, box: Mailbox, clock) -> None:
    queue(house, bakery.id, lifetime=timedelta(hours=1))
    queue(house, bakery.id, "paul@example.com", lifetime=timedelta(hours=1))
    with writing():
        OutgoingMailTable.update(until=clock() + timedelta(days=90)).where(
            OutgoingMailTable.id == rows()[0].id
        ).execute()
    clock.forward(hours=1)
    assert delivery.send_due(house.services, None) == 0
    assert len(rows()) == 1
    assert send(house, box) == 0
    assert rows() == []
    assert box.mails == []


def test_who_writes_to_the_catalogue_cannot_send_mail(
    house: House, bakery: Customer, box: Mailbox, entropy
) -> None:
    """Neither a mail of their own, nor one of another customer or about somebody else, nor to a new
    address."""
    other = house.customer("Garage Peeters", "+3225550101")
    queue(house, bakery.id, about="a")
    (row,) = rows()
    foreign = Outbox(Keyring(make_secret(entropy(32))), PANEL)
    queue(house, bakery.id, "victim@example.com", outbox=foreign)
    with writing():
        OutgoingMailTable.create(**(row.__data__ | {"id": "another"}))
        for n, content in enumerate(("", ":", "x:y", f"{house.keyring.current}:", row.content[:-8])):
            OutgoingMailTable.create(**(row.__data__ | {"id": f"forged-{n}", "content": content}))
        for change in ({"tenant_id": other.id}, {"about": "b"}, {"content": row.content[:-4] + "AAA="}):
            OutgoingMailTable.update(change).where(OutgoingMailTable.id == row.id).execute()
    assert send(house, box) == 0
    assert box.mails == []
    assert rows() == []


def test_later_mail_replaces_one_that_waits(house: House, bakery: Customer, box: Mailbox) -> None:
    queue(house, bakery.id, about="a")
    queue(house, bakery.id, about="a", path="/invitation/new")
    queue(house, bakery.id, about="b")
    assert send(house, box) == 2
    assert {link_in(mail).rpartition("/")[2] for mail in box.mails} == {"new", "secret-token"}


def test_mail_is_deleted_with_the_person(house: House, bakery: Customer, box: Mailbox) -> None:
    other = house.customer("Garage Peeters", "+3225550101")
    for tenant, about in ((bakery.id, "a"), (bakery.id, "b"), (other.id, "a")):
        queue(house, tenant, about=about)
    assert drop_mail(bakery.id, "a") == 1
    assert drop_mail(bakery.id) == 1
    assert [row.tenant_id for row in rows()] == [other.id]


def test_mail_survives_a_rotation_of_the_key(house: House, bakery: Customer, box: Mailbox, entropy) -> None:
    queue(house, bakery.id)
    new, old = make_secret(entropy(32)), house.keyring._current
    rotated = replace(house.services, keyring=Keyring(new, old))
    assert delivery.send_due(rotated, box.server) == 1


def test_one_worker_sends(house: House, bakery: Customer, box: Mailbox, clock) -> None:
    queue(house, bakery.id)
    assert lease.take(delivery.LEASE, "another worker", clock())
    assert send(house, box) == 0
    lease.release(delivery.LEASE, "another worker")
    assert send(house, box) == 1


@pytest.mark.parametrize(
    "name",
    [
        "Claire\r\nBcc: victim@example.com",
        "Claire\nSubject: other\n\nbody",
        "Claire\x0bBcc: victim@example.com",
        "Claire\u2028Bcc: victim@example.com",
        "\u202eeslaF",
        "Win at https://evil.example/prize",
        "{customer} %s $link {0} {path}",
        "<a href='https://evil.example'>Accept</a><script>",
        "A" * 5000,
    ],
)
def test_name_makes_no_header_no_link_and_no_markup(
    house: House, bakery: Customer, box: Mailbox, name: str
) -> None:
    queue(house, bakery.id, values={"name": name, "customer": name})
    assert send(house, box) == 1
    (mail,) = box.mails
    assert box.to == ["claire@example.com"]
    assert mail["Bcc"] is None
    assert mail.get_all("Subject") == [mail["Subject"]]
    assert len(mail["Subject"]) <= 200
    assert link_in(mail) == f"{PANEL}/invitation/secret-token"
    assert text_of(mail).count("://") == 1
    assert "\u202e" not in text_of(mail)
    page = _Links()
    page.feed(mail.get_body(("html",)).get_content())
    assert page.links == [f"{PANEL}/invitation/secret-token"]
    assert "script" not in page.tags


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (" Claire@Example.COM ", "claire@example.com"),
        ("claire+calls@example.co.uk", "claire+calls@example.co.uk"),
        ("info@Müller.example", "info@xn--mller-kva.example"),
        ("o'neill@example.com", "o'neill@example.com"),
    ],
)
def test_address_has_one_spelling(text: str, stored: str) -> None:
    assert normalize_address(text) == stored


@pytest.mark.parametrize(
    "text",
    ["", "claire", "claire@", "@example.com", "claire@localhost", "a b@example.com", "a@b@example.com",
     "claire@example..com", "claire@-a.example", "a..b@example.com", ".a@example.com", "élise@example.com",
     "claire@example.com\nBcc: x@example.com", "<claire@example.com>", "a@example.com,b@example.com",
     f"{'a' * 250}@example.com", "claire@" + "ü" * 80 + ".example"],
)  # fmt: skip
def test_other_address_is_refused(house: House, bakery: Customer, text: str) -> None:
    with expect_error(MailError, "mail.address"):
        queue(house, bakery.id, text)
    assert rows() == []
