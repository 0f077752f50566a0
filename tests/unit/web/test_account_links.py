"""Links that set a lost password or change an address: who gets one, and what it proves."""

from __future__ import annotations

import re
from base64 import b64encode

import pytest

from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.identity import AccountLinkTable, UserTable
from recorder.features.team.account_links import AccountLinks
from recorder.mail import delivery
from recorder.mail.outbox import Outbox
from web.team import account_links

from .account_mails import EVA, OWN, send, shown_link


@pytest.fixture
def eva(house, bakery):
    return house.person(bakery, "eva@example.com", "Eva Maes", language="nl")


def test_lost_password_is_set_by_a_link(house, eva, mail_panel, box, clock) -> None:
    visit, guest = mail_panel("eva@example.com"), mail_panel()
    assert guest.send("/lost-password", address=" Eva@example.com").status_code == 200
    guest.send("/lost-password", address="eva@example.com")
    paths = send(house, box)
    assert len(paths) == 1, "a newer mail replaces one that waits"
    guest.send("/lost-password", address="eva@example.com")
    older, path = send(house, box)
    assert guest.get(older).status_code == 410
    for _ in range(2):
        assert guest.get(path).status_code == 200
    assert guest.send(path, guest.token(path), password="short").status_code == 422
    assert guest.send(path, guest.token(path), password=OWN).status_code == 303
    assert visit.get("/recordings").status_code == 302, "the sessions end"
    assert mail_panel().log_in("eva@example.com", OWN).status_code == 303
    for answer in (guest.get(path), guest.send(path, password="another long password")):
        assert answer.status_code == 410
    delivery.send_due(house.services, box.server)
    assert box.mails[-1]["Subject"] == "Uw wachtwoord is gewijzigd"
    guest.send("/lost-password", address="eva@example.com")
    late = send(house, box)[-1]
    clock.forward(hours=1)
    assert guest.get(late).status_code == 410
    assert guest.send(late, password=OWN).status_code == 410


def test_unknown_address_gets_the_same_answer(house, eva, bakery, mail_panel, box) -> None:
    answers = []
    for n, address in enumerate(("eva@example.com", "nobody@example.com", "claire@example.com")):
        guest = mail_panel(address=f"192.0.2.{n + 10}")
        answer = guest.send("/lost-password", address=address)
        answers.append((answer.status_code, answer.text.replace(address, "…")))
    assert len({code for code, _ in answers}) == 1
    texts = {re.sub(r'value="[^"]+"', "", text) for _, text in answers}
    assert len(texts) == 1
    send(house, box)
    assert box.to == ["eva@example.com"]


def test_answer_takes_as_long_for_every_address(eva, mail_panel, monkeypatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(account_links, "RESPONSE_S", 5.0)
    monkeypatch.setattr(account_links.time, "monotonic", lambda: 100.0)
    monkeypatch.setattr(account_links.time, "sleep", pauses.append)
    for address in ("eva@example.com", "nobody@example.com"):
        mail_panel().send("/lost-password", address=address)
    assert pauses == [5.0, 5.0]


def test_lost_invitation_is_sent_again(house, bakery, mail_panel, box) -> None:
    mail_panel("paul").send("/team/invite", **EVA, how="mail")
    (first,) = send(house, box)
    guest = mail_panel()
    guest.send("/lost-password", address="eva@example.com")
    _, path = send(house, box)
    assert path.startswith("/invitation/")
    assert guest.get(first).status_code == 410
    assert guest.send(path, guest.token(path), password=OWN).status_code == 303


def test_requests_for_links_are_limited(eva, mail_panel) -> None:
    codes = [mail_panel().send("/lost-password", address="eva@example.com").status_code for _ in range(7)]
    assert codes == [200] * 5 + [429] * 2
    assert mail_panel().send("/lost-password", address="other@example.com").status_code == 200


def test_lost_password_without_mail_names_who_helps(bakery, browser) -> None:
    page = browser().get("/lost-password").text
    assert "<form class=" not in page.split("<main")[1]
    admin = browser("paul")
    path = shown_link(admin.send(f"/team/{bakery.people['claire'].id}/reset"))
    guest = browser()
    assert guest.send(path, guest.token(path), password=OWN).status_code == 303
    assert browser().log_in("claire", OWN).status_code == 303


def test_row_alone_makes_no_link(house, eva, bakery, clock, entropy, browser, config) -> None:
    """Neither a changed token, another user's, nor a row for a token of one's own."""
    arguments = (house.changes.signer, house.trust, Outbox(), clock, entropy)
    mine = AccountLinks(b"x" * 32, *arguments)
    for links in (mine, AccountLinks(config.secret_key, *arguments)):
        path = links.issue_reset(eva, None).path
        guest = browser()
        assert guest.get(path).status_code == (410 if links is mine else 200)
    paul = bakery.people["paul"]
    token = path.rpartition("/")[2]
    with writing():
        AccountLinkTable.update(id=f"{paul.id}/password").execute()
    assert guest.get(path).status_code == 410
    with writing():
        AccountLinkTable.update(id=f"{eva.id}/password").execute()
    assert guest.get(path).status_code == 200
    for wrong in (
        token[:-1],
        f"{token}A",
        f"{token.partition('.')[0]}.",
        f".{token.partition('.')[2]}",
        "e30.",
        b64encode(b"[" * 5000).decode(),
    ):
        assert guest.get(f"/reset/{wrong}").status_code == 410
        assert guest.get(f"/address/{token}").status_code == 410
    # A link is bound to the credential: a row put back as it was before gives it no second use.
    with connected():
        before = UserTable.get_by_id(eva.id).__data__
        row = AccountLinkTable.get().__data__
    assert guest.send(path, guest.token(path), password=OWN).status_code == 303
    with writing():
        UserTable.update(before).where(UserTable.id == eva.id).execute()
        AccountLinkTable.create(**row)
    assert guest.get(path).status_code == 410


def test_address_is_changed_by_a_link_to_the_new_one(house, eva, mail_panel, box) -> None:
    visit = mail_panel("eva@example.com")
    assert visit.send("/account/address", address="eva@maes.example", password="wrong").status_code == 422
    assert (
        visit.send("/account/address", address="eva", password="two voices, one agreement").status_code == 422
    )
    answer = visit.send("/account/address", address="Eva@Maes.example", password="two voices, one agreement")
    assert answer.status_code == 200
    (path,) = send(house, box)
    assert box.to == ["eva@maes.example"]
    guest = mail_panel()
    assert guest.get(path).status_code == 200
    assert mail_panel().log_in("eva@example.com").status_code == 303, "until it is confirmed"
    assert guest.send(path, guest.token(path)).status_code == 303
    assert guest.get(path).status_code == 410
    assert visit.get("/recordings").status_code == 302
    assert mail_panel().log_in("eva@maes.example").status_code == 303
    assert mail_panel().log_in("eva@example.com").status_code == 422
    delivery.send_due(house.services, box.server)
    assert (box.to[-1], box.mails[-1]["Subject"]) == ("eva@example.com", "Uw adres is gewijzigd")


def test_address_of_somebody_else_is_refused(house, eva, bakery, mail_panel) -> None:
    house.person(bakery, "tom@example.com", "Tom")
    visit = mail_panel("eva@example.com")
    answer = visit.send("/account/address", address="tom@example.com", password="two voices, one agreement")
    assert answer.status_code == 422
    assert 'id="address-wrong"' in answer.text


def test_address_elsewhere_is_shown_to_its_owner_alone(house, eva, rival, mail_panel, box) -> None:
    house.person(rival, "tom@example.com", "Tom")
    visit, password = mail_panel("eva@example.com"), "two voices, one agreement"
    answers = [
        visit.send("/account/address", address=each, password=password).text.replace(each, "…")
        for each in ("tom@example.com", "nobody@example.com", "tom@example.com")
    ]
    assert len({re.sub(r'value="[^"]+"', "", each) for each in answers}) == 1
    path = send(house, box)[-1]
    guest = mail_panel()
    answer = guest.send(path, guest.token(path))
    assert answer.status_code == 410
    assert "Iemand logt al in met dit adres." in answer.text
    assert mail_panel().log_in("eva@example.com").status_code == 303


def test_mails_that_confirm_addresses_are_limited(eva, mail_panel) -> None:
    visit = mail_panel("eva@example.com")
    password = "two voices, one agreement"
    codes = [
        visit.send("/account/address", address=f"stranger{n}@example.com", password=password).status_code
        for n in range(21)
    ]
    assert codes == [200] * 20 + [429]
    other = [
        mail_panel().send("/lost-password", address="stranger0@example.com").status_code for _ in range(5)
    ]
    assert other == [200] * 4 + [429], "also to one address, whoever asks"
