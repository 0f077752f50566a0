"""What one side asks for while somebody takes part: shown to both, with its last day, in their language."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from recorder.features.disputes.queries import dispute_ids, find_dispute
from recorder.features.disputes.rules import Dispute
from recorder.seal.amendment_kinds import DeferralEnded, ErasureDeferred

from .conftest import accept, invite, open_difference


def dispute_of(house, bakery) -> Dispute:
    (dispute,) = dispute_ids(bakery.id)
    return find_dispute(bakery.id, dispute, house.trust)


def kinds(house, bakery, call) -> list[type]:
    return [type(each.data) for each in house.changes.look(bakery.id, call).chain.amendments]


def delete(paul, house, bakery, call) -> str:
    """An admin releases the recording and deletes it; the page that follows."""
    hold = house.changes.look(bakery.id, call).terms.holds[0].number
    assert paul.send(f"/recordings/{call}/retention/lift", hold=hold).status_code == 303
    answer = paul.send(f"/recordings/{call}/delete", reason="we do not want it")
    assert answer.status_code == 200
    return answer.text


def test_a_guest_is_told_the_last_day_before_they_answer(browser, claire, house, bakery, call) -> None:
    page = open_difference(claire, house, call)
    link, code = invite(claire, page)
    guest = browser()
    text = guest.get(link).text
    assert "kan geen van beide kanten de opname alleen laten wissen" in text
    accept(guest, link, code)
    waits = dispute_of(house, bakery).guests[0].erasure_waits_until
    assert waits > datetime.combine(dispute_of(house, bakery).settle_by, time(), UTC)
    text = guest.get("/together/welcome").text
    assert "kan geen van beide kanten de opname alleen laten wissen" in text
    assert "Schrijf dan vóór die dag naar Boulangerie Martin" in text


def test_both_see_what_was_asked_for_and_when_it_takes_effect(room, browser, house, bakery, call) -> None:
    page, claire, guest = room
    paul = browser("paul")
    assert "La personne invitée le voit" in paul.get(f"/recordings/{call}").text
    text = delete(paul, house, bakery, call)
    assert "prend effet une semaine après le scellement de la suite" in text
    assert "Suppression demandée</span>" in claire.get("/recordings").text
    for reader, address, request, effect in (
        (claire, page, "Paul Martin a demandé la suppression le", "au plus tard"),
        (paul, f"/recordings/{call}", "Paul Martin a demandé la suppression le", "au plus tard"),
        (guest, "/together/welcome", "Paul Martin heeft op", "uiterlijk op"),
    ):
        text = reader.get(address).text
        assert request in text, address
        assert effect in text, address


def test_a_guest_who_leaves_is_told_what_follows(room, browser, house, bakery, call) -> None:
    _page, _claire, guest = room
    delete(browser("paul"), house, bakery, call)
    assert "gebeurt dat meteen" in guest.get("/together/welcome").text
    assert guest.send("/together/welcome/leave", guest.token("/together/welcome")).status_code == 303
    assert kinds(house, bakery, call)[-1] is DeferralEnded


def test_a_guest_withdraws_their_consent_where_something_rests_on_it(browser, claire, house, bakery) -> None:
    call = house.call(bakery, mode="opt-out")
    page = open_difference(claire, house, call)
    link, code = invite(claire, page)
    guest = browser()
    accept(guest, link, code)
    assert "mijn toestemming intrekken" not in guest.get("/together/welcome").text, "not recognised yet"
    for login in ("claire", "paul"):
        browser(login).send(f"{page}/guests/{dispute_of(house, bakery).guests[0].id}/vouch", reason="voice")
    assert "mijn toestemming intrekken" in guest.get("/together/welcome").text
    answer = guest.send("/together/welcome/withdraw", guest.token("/together/welcome"))
    assert answer.status_code == 303
    assert "Uw toestemming is ingetrokken" in guest.get(answer.location).text
    assert kinds(house, bakery, call)[-1] is DeferralEnded


def test_nothing_rests_on_consent_in_a_call_that_was_only_announced(room) -> None:
    _page, _claire, guest = room
    assert "mijn toestemming intrekken" not in guest.get("/together/welcome").text


def test_an_order_takes_two_people_and_both_sides_see_it(room, browser, house, bakery, call) -> None:
    page, claire, guest = room
    paul = browser("paul")
    house.person(bakery, "eve", "Eve Martin", role="customer_admin")
    assert "Une autorité a ordonné" not in claire.get(page).text, "admins alone"
    assert "Une autorité a ordonné" in paul.get(page).text
    wrong = paul.send(f"{page}/order", authority=" ", reference="2026/1")
    assert (wrong.status_code, "Saisissez l’autorité" in wrong.text) == (422, True)
    assert paul.send(f"{page}/order", authority="APD", reference="2026/1").status_code == 303
    assert "/order/confirm" not in paul.get(page).text, "a second person"
    assert paul.send(f"{page}/order/confirm").status_code == 422
    assert "APD, 2026/1" in guest.get("/together/welcome").text
    eve = browser("eve")
    assert "/order/confirm" in eve.get(page).text
    assert eve.send(f"{page}/order/confirm").status_code == 303
    for reader, address in ((paul, page), (guest, "/together/welcome")):
        assert "Eve Martin" in reader.get(address).text
    assert kinds(house, bakery, call)[-2:] == [ErasureDeferred, DeferralEnded]


@pytest.mark.parametrize("route", ["order", "order/confirm"])
def test_colleagues_enter_and_confirm_no_order(room, route: str) -> None:
    page, claire, _guest = room
    assert claire.send(f"{page}/{route}", authority="APD", reference="1").status_code == 403


def test_a_deletion_changes_nothing_that_was_agreed(browser, claire, house, bakery) -> None:
    call = house.call(bakery, questions=[{"answer": "yes", "by": "external", "how": "key"}])
    page = open_difference(claire, house, call)
    accept(browser(), *invite(claire, page))
    paul = browser("paul")
    agreed = "Convenu de le garder jusqu’au 25 novembre 2027"
    assert agreed in paul.get(f"/recordings/{call}").text
    delete(paul, house, bakery, call)
    text = paul.get(f"/recordings/{call}").text
    assert agreed in text
    assert "Il sera détruit le" not in text, "at the latest"
