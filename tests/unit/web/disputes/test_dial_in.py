"""The number and the code with which guests listen by telephone, on pages and in mails."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from recorder.features.disputes.dial_in import DialIn
from recorder.mail.outbox import Outbox
from tests.mailbox import text_of
from tests.unit.web.account_mails import send
from tests.unit.web.conftest import Browser, browsers, prepared

from .conftest import accept, guest_of, invite, open_difference, vouch

CODE = re.compile("\\d{3}\u00a0\\d{3}\u00a0\\d{3}")
NUMBER = "+32 2 555 01 99".replace(" ", "\u00a0")


@pytest.fixture
def dial_in(house) -> DialIn:
    return DialIn("+3225550199", house.keyring, house.trust)


@pytest.fixture
def phone_panel(app, house, clock, config, dial_in) -> Callable[..., Browser]:
    """Makes browsers of a panel whose rooms have a telephone number."""
    outbox = Outbox(house.keyring, "https://accord.example.com")
    return browsers(prepared(house.app(config, outbox=outbox, dial_in=dial_in)))


def test_the_mail_and_its_page_say_how_to_call(house, bakery, call, phone_panel, box, dial_in) -> None:
    page = open_difference(claire := phone_panel("claire"), house, call)
    entry = {"name": "Jan Peeters", "language": "nl", "how": "mail", "address": "jan@example.com"}
    assert claire.send(f"{page}/invite", **entry).status_code == 303
    (path,) = send(house, box)
    mail = text_of(box.mails[0])
    (code,) = CODE.findall(mail)
    assert f"Of per telefoon: bel {NUMBER} en toets de code {code} in." in mail
    assert CODE.findall(phone_panel().get(path).text) == [code]
    found = dial_in.find(code.replace("\u00a0", ""), house.clock())
    assert found is not None
    assert found[1].id == guest_of(house, bakery)
    house.clock.forward(days=4)
    send(house, box)
    assert CODE.findall(text_of(box.mails[1])) == [code], "the reminder"


def test_whoever_has_the_link_alone_does_not_see_the_code(house, bakery, call, phone_panel, dial_in) -> None:
    claire, guest = phone_panel("claire"), phone_panel()
    page = open_difference(claire, house, call)
    link, typed = invite(claire, page)
    assert CODE.findall(guest.get(link).text) == []
    accept(guest, link, typed)
    assert CODE.findall(guest.get("/together/welcome").text) == []
    renewed = claire.send(f"{page}/guests/{guest_of(house, bakery)}/renew", how="link")
    (code,) = CODE.findall(renewed.text)
    assert dial_in.find(code.replace("\u00a0", ""), house.clock()) is not None, "read out with the link"


def test_who_may_hear_sees_their_code(house, bakery, call, phone_panel, dial_in) -> None:
    claire, guest = phone_panel("claire"), phone_panel()
    page = open_difference(claire, house, call)
    link, typed = invite(claire, page)
    accept(guest, link, typed)
    vouch(phone_panel, page, guest_of(house, bakery))
    assert len(CODE.findall(guest.get("/together/welcome").text)) == 1


def test_without_a_number_nothing_is_said(house, call, mail_panel, box) -> None:
    claire = mail_panel("claire")
    page = open_difference(claire, house, call)
    entry = {"name": "Jan Peeters", "language": "nl", "how": "mail", "address": "jan@example.com"}
    assert claire.send(f"{page}/invite", **entry).status_code == 303
    send(house, box)
    assert "telefoon:" not in text_of(box.mails[0])
