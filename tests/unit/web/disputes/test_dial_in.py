"""The number and the code with which guests listen by telephone, on pages and in mails."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from recorder.features.disputes.dial_in import DialIn
from recorder.features.fleet.service import report_node
from recorder.mail.outbox import Outbox
from recorder.verification_calls import register
from tests.mailbox import text_of
from tests.unit.web.account_mails import send
from tests.unit.web.conftest import Browser, browsers, prepared

from .conftest import accept, guest_of, invite, open_difference, vouch

WELCOME, CALL = "/together/welcome", "/together/welcome/room-call"
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
    assert found.id == guest_of(house, bakery)
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


def test_whoever_handles_the_call_sees_a_code_of_their_own(house, bakery, call, phone_panel, dial_in) -> None:
    claire, paul = phone_panel("claire"), phone_panel("paul")
    page = open_difference(claire, house, call)
    codes = [CODE.findall(each.get(page).text) for each in (claire, paul)]
    for (code,), login in zip(codes, ("claire", "paul"), strict=True):
        found = dial_in.find(code.replace("\u00a0", ""), house.clock())
        assert found is not None
        assert found.id == bakery.people[login].id
    assert CODE.findall(claire.get(f"{page}/room").text) == codes[0]
    claire.send(f"{page}/close", how="unsettled")
    assert CODE.findall(claire.get(page).text) == []


def test_a_new_code_is_shown_to_who_handles_the_question(house, bakery, call, phone_panel, dial_in) -> None:
    claire = phone_panel("claire")
    page = open_difference(claire, house, call)
    link, _typed = invite(claire, page)
    path = f"{page}/guests/{guest_of(house, bakery)}/dial-code"
    assert f'action="{path}"' in claire.get(page).text
    (code,) = CODE.findall(claire.send(path).text)
    found = dial_in.find(code.replace("\u00a0", ""), house.clock())
    assert found is not None
    assert found.id == guest_of(house, bakery)
    assert phone_panel().get(link).status_code == 200


def test_a_guest_is_called_at_the_number_of_the_call_and_sees_how_it_went(
    house, bakery, call, phone_panel
) -> None:
    claire, guest = phone_panel("claire"), phone_panel()
    page = open_difference(claire, house, call)
    link, typed = invite(claire, page)
    accept(guest, link, typed)
    assert guest.send(CALL).status_code == 404, "nobody knows who they are"
    vouch(phone_panel, page, guest_of(house, bakery))
    assert "Bel mij" in guest.get(WELCOME).text
    for left, outcome, sentence in (
        (2, "unanswered", "We konden u niet bereiken."),
        (1, "done", "De oproep is opgenomen."),
        (0, "line_busy", "We konden u niet bereiken."),
    ):
        assert guest.send(CALL, number="+32470999999").status_code == 303
        ringing = guest.get(WELCOME).text
        assert "Uw telefoon gaat zo meteen over." in ringing
        assert f'action="{CALL}"' not in ringing
        claim = register.take("node1", house.clock(), house.entropy)
        assert claim is not None
        assert claim[0].number == "+32470123456"
        register.answer("node1", claim[0], outcome, house.clock(), house.entropy)
        text = guest.get(WELCOME).text
        assert sentence in text
        assert ("nog 1 keer" in text, "nog 2 keer" in text) == (left == 1, left == 2)
        assert ("vandaag niet meer bellen" in text) == (left == 0)
    assert guest.send(CALL).status_code == 422
    house.clock.forward(minutes=20)
    assert "niet bereiken" not in guest.get(WELCOME).text, "an old call is no news"


def test_an_order_that_no_node_takes_was_no_call(house, bakery, call, phone_panel) -> None:
    claire, guest = phone_panel("claire"), phone_panel()
    page = open_difference(claire, house, call)
    accept(guest, *invite(claire, page))
    vouch(phone_panel, page, guest_of(house, bakery))
    assert guest.send(CALL).status_code == 303
    house.clock.forward(seconds=11)
    assert "We konden u niet bereiken." in guest.get(WELCOME).text


def test_a_guest_is_offered_no_call_that_no_node_makes(
    house, bakery, call, phone_panel, calling_node
) -> None:
    claire, guest = phone_panel("claire"), phone_panel()
    page = open_difference(claire, house, call)
    accept(guest, *invite(claire, page))
    with_code = f'action="{WELCOME}/call"'
    for calls, offered in ((register.OPENINGS, True), ((), False)):
        report_node(replace(calling_node, calls=tuple(calls)))
        assert (with_code in guest.get(WELCOME).text) is offered
        assert ("peut se faire appeler" in claire.get(page).text) is offered
    vouch(phone_panel, page, guest_of(house, bakery))
    for calls, offered in (((), False), (register.OPENINGS, False), (register.USES, True)):
        report_node(replace(calling_node, calls=tuple(calls)))
        assert (f'action="{CALL}"' in guest.get(WELCOME).text) is offered
    report_node(replace(calling_node, calls=()))
    assert guest.send(CALL).status_code == 404


def test_without_a_number_nothing_is_said(house, call, mail_panel, box) -> None:
    claire = mail_panel("claire")
    page = open_difference(claire, house, call)
    entry = {"name": "Jan Peeters", "language": "nl", "how": "mail", "address": "jan@example.com"}
    assert claire.send(f"{page}/invite", **entry).status_code == 303
    send(house, box)
    assert "telefoon:" not in text_of(box.mails[0])
