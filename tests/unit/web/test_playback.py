"""Choosing a purpose, the page of a call and its grant: who gets what, and what is logged."""

from __future__ import annotations

import re

import pytest

from recorder.catalogue.database import connected
from recorder.catalogue.tables.grant import GrantTable
from recorder.catalogue.tables.identity import SessionTable
from recorder.domain import parties
from recorder.spool import layout
from recorder.store.contract import Unreachable
from tests.lost_frames import lose_frames

from .player import leaves, open_player, plain_sound, sounds


@pytest.fixture
def recording(house, bakery) -> str:
    return house.call(bakery)


def test_purposes_page_offers_announced_purposes(browser, bakery, recording):
    page = browser("claire").get(f"/recordings/{recording}").text
    assert bakery.announcement.text.replace("'", "&#39;") in page
    assert "Mémoire de ce qui a été convenu" in page
    assert re.findall(r'name="purpose"[^>]*value="([^"]+)"', page) == ["agreement"]
    assert "25 décembre 2026" in page


def test_player_reports_duration_mismatch(house, bakery, browser):
    """Shortened by lost frames; a complete recording shows no mismatch."""
    folder, end = house.finished(bakery)
    lose_frames(folder / layout.AUDIO, 1900)
    house.work(folder, end)
    whole = house.call(bakery)
    person = browser("claire")
    page = person.get(person.listen_to(folder.name)).text
    assert "de l’appel dans cet enregistrement" in page
    assert "Rien ne manque" not in page
    assert "out-of-time" not in person.get(person.listen_to(whole)).text


def test_purpose_outside_the_role_is_disabled_and_refused(browser, recording):
    auditor = browser("audit")
    page = auditor.get(f"/recordings/{recording}").text
    assert "votre rôle ne le comprend pas" in page
    assert 'id="player"' not in page, "no button that refuses"
    assert 'class="timeline"' in page, "but what the call was like"
    refused = auditor.send(f"/recordings/{recording}", purpose="agreement")
    assert refused.status_code == 403
    assert "votre rôle ne le comprend pas" in refused.text
    assert leaves("access.refused")[-1]["reason"] == "access.purpose_not_for_role"


def test_unannounced_purpose_is_refused_and_logged(browser, recording):
    refused = browser("claire").send(f"/recordings/{recording}", purpose="training")
    assert refused.status_code == 403
    assert "n’a pas été annoncé pour cet usage" in refused.text
    assert f'href="/recordings/{recording}"' in refused.text
    assert leaves("access.refused")[-1]["purpose"] == "training"
    assert leaves("grant.given") == []


def test_missing_purpose_gives_no_grant(browser, recording):
    answer = browser("claire").send(f"/recordings/{recording}")
    assert answer.status_code == 400
    assert 'aria-describedby="purpose-missing"' in answer.text, "beside the field"
    assert leaves("grant.given") == []


def test_opening_the_page_gives_nothing(browser, recording):
    person = browser("claire")
    page = person.get(f"/recordings/{recording}")
    assert sounds(page) == {}
    assert "Pour : Mémoire de ce qui a été convenu" in page.text
    assert leaves("grant.given") == leaves("listen.opened") == []


def test_only_purpose_is_preselected_and_logged_as_such(browser, recording):
    person = browser("claire")
    page = person.get(f"/recordings/{recording}").text
    assert re.search(r'value="agreement"[^>]* checked', page)
    person.listen_to(recording)
    assert leaves("grant.given")[-1]["preselected"] is True


def test_each_purposes_own_button_plays_without_scripts(browser, house):
    """Another purpose may be chosen beside it: the button says for which one it plays."""
    customer = house.customer("Notaire", "+3225550177", purposes=("agreement", "quality"))
    house.person(customer, "anne", "Anne", role="customer_admin")
    anne, recording = browser("anne"), house.call(customer)
    assert re.findall(r'name="listen_for" value="([a-z]+)"', anne.get(f"/recordings/{recording}").text) == [
        "agreement", "quality",
    ]  # fmt: skip
    answer = anne.send(f"/recordings/{recording}", purpose="agreement", listen_for="quality")
    assert answer.status_code == 303
    assert leaves("grant.given")[-1]["purpose"] == "quality"


def test_purpose_is_asked_once_and_remembered_for_a_quarter_of_an_hour(browser, house, clock):
    customer = house.customer("Notaire", "+3225550177", purposes=("agreement", "quality"))
    house.person(customer, "anne", "Anne", role="customer_admin")
    house.person(customer, "olga", "Olga", role="customer_admin")
    first, second = house.call(customer), house.call(customer)
    anne, preselected_value = browser("anne"), re.compile(r'value="([a-z]+)"[^>]* checked')
    assert preselected_value.findall(anne.get(f"/recordings/{first}").text) == []
    anne.listen_to(first, "quality")
    assert "preselected" not in leaves("grant.given")[-1]
    assert preselected_value.findall(anne.get(f"/recordings/{second}").text) == ["quality"]
    assert preselected_value.findall(browser("olga").get(f"/recordings/{second}").text) == [], (
        "each person's own"
    )
    anne.listen_to(second, "quality")
    assert leaves("grant.given")[-1]["preselected"] is True
    anne.listen_to(second, "agreement")
    assert "preselected" not in leaves("grant.given")[-1]
    clock.forward(minutes=16)
    assert preselected_value.findall(anne.get(f"/recordings/{second}").text) == []


def test_player_gets_its_grant_as_json(browser, house, recording):
    person = browser("claire")
    headers = {"Accept": "application/json"}
    token = person.token(f"/recordings/{recording}")
    form = {"csrf_token": token, "purpose": "agreement"}
    grant = person.client.post(f"/recordings/{recording}", data=form, headers=headers).json
    assert (grant["left"], grant["purpose"]) == (900, "Mémoire de ce qui a été convenu")
    assert person.get(grant["sounds"][0]["src"]).data == plain_sound(house, recording)
    refused = person.client.post(f"/recordings/{recording}", data=form | {"purpose": "x"}, headers=headers)
    assert (refused.status_code, refused.json["error"]) == (403, "access.purpose_not_announced")
    missing = person.client.post(f"/recordings/{recording}", data={"csrf_token": token}, headers=headers)
    assert missing.status_code == 400
    person.send("/logout")
    late = person.client.post(f"/recordings/{recording}", data=form, headers=headers)
    assert late.status_code in (400, 401)


def test_forged_grant_is_not_offered(browser, recording):
    """A row alone gives nothing: it is neither shown nor played."""
    person = browser("claire")
    grant = person.grant_for(recording).rpartition("/")[2]
    with connected():
        row = GrantTable.get_by_id(grant)
        GrantTable.update(ended_at=row.granted_at).execute()
        forged = {name: getattr(row, name) for name in ("user", "session", "recording", "purpose", "tenant")}
        GrantTable.create(
            id="01930000-0000-7000-8000-00000000000f",
            manifest_sha256=row.manifest_sha256,
            granted_at=row.granted_at,
            until=row.until,
            leaf=row.leaf,
            renewals=0,
            **forged,
        )
    assert sounds(person.get(f"/recordings/{recording}")) == {}


def test_calls_without_a_recording_have_a_page(browser, house, bakery, rival):
    call = house.not_recorded(bakery, "never_connected")
    page = browser("claire").get(f"/recordings/{call}")
    assert (page.status_code, "Personne n’a répondu" in page.text) == (200, True)
    assert browser("dyck").get(f"/recordings/{call}").status_code == 404


def test_unreachable_store_keeps_the_page(browser, house, recording, monkeypatch):
    def away(*_: object) -> bytes:
        raise Unreachable("store.unreachable", "the store is away", "")

    person = browser("claire")
    monkeypatch.setattr(house.store, "read", away)
    page = person.get(f"/recordings/{recording}")
    assert page.status_code == 503
    assert "32 470 12 34 56".replace(" ", "\u00a0") in page.text
    assert "Réessayer" in page.text


def test_history_shows_what_was_heard_and_refused(browser, house, bakery, recording):
    claire = browser("claire")
    path = claire.grant_for(recording)
    page = f"/recordings/{recording}"
    address = sounds(claire.get(page))["audio.opus"]
    claire.get(address)
    play = address.partition("play=")[2]
    claire.send(f"{path}/close", play=play, played="0-4000,6000-9000")
    claire.send(page, purpose="training")
    history = browser("paul").get(page).text
    assert "Claire Martin" in history
    assert "A écouté 7 secondes" in history
    assert "n’a pas été annoncé pour cet usage" in history
    assert "Claire Martin" in browser("audit").get(page).text
    house.person(bakery, "luc", "Luc")
    own = browser("luc").get(page).text
    assert "A écouté" not in own, "colleagues see their own part"
    assert "A écouté 7 secondes" in claire.get(page).text


def test_grant_belongs_to_one_user(browser, house, bakery, recording):
    address = open_player(browser("claire"), recording)["audio.opus"]
    house.person(bakery, "luc", "Luc")
    assert browser("luc").get(address).status_code == 404


def test_logged_out_player_gets_a_message(browser, recording):
    address = open_player(browser("claire"), recording)["audio.opus"]
    answer = browser().get(address, headers={"Accept": "application/json", "Accept-Language": "fr"})
    assert answer.status_code == 401
    assert answer.json["error"] == "access.revoked"
    assert answer.json["message"].startswith("Votre session a pris fin")


def test_player_shows_the_remaining_seconds(browser, recording, clock):
    person = browser("claire")
    page = person.listen_to(recording)
    clock.forward(minutes=4, seconds=10)
    assert 'data-left="650"' in person.get(page).text


def test_renewal_extends_the_grant(browser, recording, clock):
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    renew = f"{address.rpartition('/')[0]}/renew"
    clock.forward(minutes=14)
    answer = person.send(renew)
    assert answer.json == {"left": 900, "until_words": "10:29"}
    clock.forward(minutes=14)
    assert person.get(address, headers={"Range": "bytes=0-9"}).status_code == 206
    clock.forward(minutes=2)
    assert person.get(address).status_code == 404
    late = person.send(renew)
    assert late.status_code == 404
    assert "temps d’écoute est écoulé" in late.text


def test_logout_ends_playback(browser, recording):
    person = browser("claire")
    address = open_player(person, recording)["audio.opus"]
    token = person.client.get_cookie("accord-session").value
    person.send("/logout")
    person.client.set_cookie("accord-session", token)
    assert person.get(address).status_code == 401
    with connected():
        assert all(row.ended_at for row in SessionTable.select())


def test_unannounced_recording_is_refused_with_a_reason(browser, house, bakery):
    silent = house.call(bakery, announced=False)
    person = browser("claire")
    page = person.get(f"/recordings/{silent}")
    assert page.status_code == 200
    assert "L’enregistrement ne permet pas d’établir que chacun a été informé" in page.text
    assert 'name="purpose"' not in page.text
    refused = person.send(f"/recordings/{silent}", purpose="agreement")
    assert refused.status_code == 403
    assert leaves("grant.given") == []


def test_player_shows_gaps_and_expiry(browser, bakery, recording):
    person = browser("claire")
    page = person.get(person.listen_to(recording)).text
    assert "elle n’avait pas encore entendu toute l’annonce" in page
    assert "Personne n’avait encore répondu" in page
    assert "Conservé jusqu’au 25 décembre 2026." in page
    assert "a été scellé le 25 novembre 2026, 10:00" in page
    assert bakery.announcement.text.replace("'", "&#39;") in page


def test_caller_is_escaped(browser, house, bakery):
    rude = house.call(bakery, external_party=parties.Party("sip", '"><script>alert(1)</script>@example.org'))
    person = browser("claire")
    for page in (
        person.get("/recordings"),
        person.get(f"/recordings/{rude}"),
        person.get(person.listen_to(rude)),
    ):
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert" in page.text
