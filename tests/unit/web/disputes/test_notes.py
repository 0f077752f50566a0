"""Passages, the outcome and its page, and somebody who helps, in the panel."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from recorder.domain.roles import OPERATOR, PROVIDER, SUPPORT
from recorder.features.disputes import queries
from recorder.features.disputes.duty import OutcomeDuty
from recorder.features.disputes.rules import Dispute
from recorder.features.tenants.registration import Registration
from recorder.mail.outbox import Outbox
from tests.house import Customer
from tests.unit.web.conftest import Browser
from web.text.disputes import parse_clock

from .conftest import accept, state

PART = {"X-Accord-Part": "1"}
TEXT = "The bread costs 12,50 euros, from Monday on."


def dispute_of(house, bakery) -> Dispute:
    (dispute,) = queries.dispute_ids(bakery.id)
    return queries.find_dispute(bakery.id, dispute, house.trust)


def mark(browser: Browser, page: str, call: str, **changes: str):
    entry = {"recording": call, "begin": "0:01", "end": "0:02.5", "text": "The price"} | changes
    return browser.send(f"{page}/passages", **entry)


@pytest.fixture
def sam(house, browser) -> Browser:
    """One of the provider's support people."""
    Registration(house.keyring).open_provider("Telvoip", "en", house.clock())
    provider = Customer(PROVIDER, None, None)  # type: ignore[arg-type]  # it has neither line nor announcement
    house.person(provider, "sam", "Sam", SUPPORT, "en")
    house.person(provider, "olga", "Olga", OPERATOR, "en")
    return browser("sam")


# --- passages


def test_one_marks_and_the_other_confirms(room, house, bakery, call) -> None:
    page, claire, guest = room
    assert mark(claire, page, call).status_code == 303
    (passage,) = dispute_of(house, bakery).passages
    assert (passage.begin_ms, passage.end_ms, passage.text) == (1000, 2500, "The price")
    own, other = claire.get(f"{page}/room").text, guest.get(f"{page}/room").text
    assert 'value="confirm"' not in own
    digest = re.search(rf'passages/{passage.id}"[^>]*>.*?name="digest" value="([0-9a-f]+)"', other, re.DOTALL)
    assert digest is not None
    answer = guest.send(f"{page}/passages/{passage.id}", action="confirm", digest=digest[1])
    assert (answer.status_code, answer.location) == (303, "/together/welcome#notes")
    agreed = dispute_of(house, bakery).passages[0]
    assert dispute_of(house, bakery).is_agreed((agreed.author, *agreed.confirmed_by))
    assert claire.send(f"{page}/passages/{passage.id}", action="shout").status_code == 400


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"begin": "soon"}, "mark-begin"),
        ({"begin": "0:02", "end": "0:01"}, "mark-begin"),
        ({"end": "99:00"}, "mark-begin"),
        ({"text": ""}, "mark-text"),
        ({"text": "a" * 301}, "mark-text"),
        ({"recording": "another"}, "mark-begin"),
    ],
)
def test_a_bad_passage_is_refused_beside_its_field(room, house, bakery, call, changes, field) -> None:
    page, _claire, guest = room
    answer = mark(guest, page, call, **changes)
    assert answer.status_code == 422
    assert f'id="{field}-wrong"' in answer.text
    if "text" not in changes:
        assert 'value="The price"' in answer.text, "what was written is kept"
    assert not dispute_of(house, bakery).passages


def test_the_room_gets_the_part_alone(room, call) -> None:
    page, claire, guest = room
    answer = claire.send(
        f"{page}/passages", headers=PART, recording=call, begin="1", end="2", text="The price"
    )
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert "The price" in answer.text
    assert "The price" in guest.get(f"{page}/notes", headers=PART).text
    assert state(guest, page)["version"] == state(claire, page)["version"]


@pytest.mark.parametrize(
    ("entry", "milliseconds"),
    [("42", 42000), ("0:42", 42000), ("1:02:03.5", 3723500), ("1:05,25", 65250), ("", None), ("1:60", None),
     ("soon", None), ("-1", None), ("1:2:3:4", None), ("٤٢", None)],
)  # fmt: skip
def test_places_are_read_as_people_write_them(entry: str, milliseconds: int | None) -> None:
    assert parse_clock(entry) == milliseconds


# --- the outcome


def agree(room, house, bakery) -> None:
    page, claire, guest = room
    answer = guest.send(f"{page}/outcome", action="write", outcome="anew", text=TEXT, keep_days="365")
    assert answer.status_code == 303
    digest = dispute_of(house, bakery).outcome.sha256
    assert digest in claire.get(page).text
    assert claire.send(f"{page}/outcome", action="confirm", digest=digest).status_code == 303


def test_both_confirm_the_same_text(room, house, bakery) -> None:
    page, claire, guest = room
    agree(room, house, bakery)
    outcome = dispute_of(house, bakery).outcome
    assert (outcome.statement.text, outcome.statement.keep_days) == (TEXT, 365)
    assert outcome.agreed_at == house.clock()
    assert 'value="retract"' in claire.get(page).text
    assert claire.send(f"{page}/close").status_code == 422, "it closes by itself"
    assert guest.send(f"{page}/outcome", action="retract").status_code == 303
    assert dispute_of(house, bakery).outcome.agreed_at is None


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"outcome": "", "text": TEXT}, "outcome-kind"),
        ({"outcome": "anew", "text": " "}, "outcome-text"),
        ({"outcome": "anew", "text": TEXT, "keep_days": "36500"}, "outcome-keep"),
    ],
)
def test_a_bad_outcome_is_refused_beside_its_field(room, house, bakery, entry, field) -> None:
    page, claire, _guest = room
    answer = claire.send(f"{page}/outcome", action="write", **entry)
    assert answer.status_code == 422
    assert f'id="{field}-wrong"' in answer.text
    assert TEXT in answer.text or entry["text"] == " "
    assert dispute_of(house, bakery).outcome is None


def test_another_text_is_confirmed_by_nobody(room, house, bakery) -> None:
    page, claire, guest = room
    guest.send(f"{page}/outcome", action="write", outcome="anew", text=TEXT)
    digest = dispute_of(house, bakery).outcome.sha256
    guest.send(f"{page}/outcome", action="write", outcome="anew", text="Something else")
    answer = claire.send(f"{page}/outcome", headers=PART, action="confirm", digest=digest)
    assert answer.status_code == 422
    assert "Something else" in answer.text
    assert dispute_of(house, bakery).outcome.agreed_at is None


def test_the_page_shows_it_to_whoever_has_its_address(room, house, bakery, browser) -> None:
    page, claire, guest = room
    agree(room, house, bakery)
    house.clock.forward(hours=24)
    assert OutcomeDuty(house.services, Outbox()).record_due(house.clock()) == 1
    claire.log_in("claire")
    found = re.search(r'href="(/together/outcome/[^"]+)"', claire.get(page).text)
    assert found is not None
    address, stranger = found[1], browser()
    text = stranger.get(address).text
    times = re.compile(r"20\d\d, (\d\d:\d\d)")
    assert times.findall(text) == times.findall(claire.get(address).text) != [], "whoever looks"
    assert "Central European" in text
    for each in (TEXT, "Claire Martin", "Jan Peeters", dispute_of(house, bakery).outcome.sha256):
        assert each in text
    assert text.count('class="is-good"') == 3
    assert 'class="is-wrong"' not in text
    token = stranger.token(address)
    same = stranger.send(address, token, text=TEXT.replace(" ", "  ")).text
    other = stranger.send(address, token, text=TEXT.replace("12", "13")).text
    assert "notice is-error" not in same
    assert "notice is-error" in other
    assert stranger.get(address[:-1] + ("A" if address[-1] != "A" else "B")).status_code == 410
    assert guest.get("/together/welcome").status_code in (302, 401), "the guest's session has ended"


# --- somebody who helps


def test_a_neutral_person_listens_once_the_other_person_agrees(room, house, bakery, browser, call) -> None:
    page, claire, guest = room
    assert f"{page}/help" in claire.get(page).text
    mark(claire, page, call)
    (passage,) = dispute_of(house, bakery).passages
    assert passage.id in claire.get(f"{page}/help").text
    entry = {"role": "neutral", "passages": passage.id, "name": "Nora", "language": "fr", "how": "link"}
    answer = claire.send(f"{page}/help", **entry)
    link = re.search(r">(http[^<]+/together/invitation/[^<]+)<", answer.text)
    code = re.search(r'<strong class="together-code">(\d{3} \d{3})</strong>', answer.text)
    assert link is not None
    assert code is not None
    nora = browser()
    accept(nora, urlsplit(link[1]).path, code[1])
    assert f"{page}/room" not in nora.get("/together/welcome").text
    assert nora.get(f"{page}/room").status_code == 404
    helper = dispute_of(house, bakery).guests[-1].id
    assert "The price" in guest.get("/together/welcome").text
    agreed = guest.send(f"{page}/guests/{helper}/agree", answer="accepted", passage=passage.id)
    assert agreed.status_code == 303
    text = nora.get(f"{page}/room").text
    assert 'id="notes"' not in text
    assert nora.get(f"{page}/notes").status_code == 404
    body = nora.send(f"{page}/listen", recording=call).json
    assert body["sounds"][0]["type"] == 'audio/webm; codecs="opus"'
    assert "audio.opus" not in str(body)
    assert nora.get(body["sounds"][0]["src"]).status_code == 200
    assert nora.get(body["sounds"][0]["src"].replace("audio.webm", "audio.opus")).status_code == 403


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"passages": ""}, "passages"), ({"name": ""}, "name"), ({"language": "es"}, "language")],
)
def test_bad_help_is_refused_beside_its_field(room, house, bakery, call, changes, field) -> None:
    page, claire, _guest = room
    mark(claire, page, call)
    (passage,) = dispute_of(house, bakery).passages
    entry = {"role": "neutral", "passages": passage.id, "name": "Nora", "language": "fr"} | changes
    if not entry["passages"]:
        del entry["passages"]
    answer = claire.send(f"{page}/help", **entry)
    assert answer.status_code == 422
    assert f'id="{field}-wrong"' in answer.text
    assert len(dispute_of(house, bakery).guests) == 1


def test_support_has_its_queue_and_says_why(room, house, bakery, sam, browser, call) -> None:
    page, claire, guest = room
    entrance = page.replace("/together/", "/differences/")
    mark(claire, page, call)
    claire.send(f"/recordings/{call}/contact", name="Jan Ghent")
    (passage,) = dispute_of(house, bakery).passages
    assert claire.send(f"{page}/help", role="support", passages=passage.id).status_code == 303
    assert bakery.id not in sam.get("/differences").text
    assert "Boulangerie" not in sam.get("/differences").text, "the other side has not agreed"
    assert sam.get(entrance).status_code == 404
    helper = dispute_of(house, bakery).guests[-1].id
    guest.send(f"{page}/guests/{helper}/agree", answer="accepted", passage=passage.id)
    assert entrance in sam.get("/differences").text
    assert sam.get(f"{page}/room").status_code == 404, "not before it said why"
    assert sam.send(entrance, reason=" ").status_code == 422
    assert sam.send(entrance, reason="They asked for help").location == f"{page}/room"
    assert sam.get(f"{page}/room").status_code == 200
    for path in ("/differences", f"{page}/room"):
        assert "Ghent" not in sam.get(path).text, "names of numbers are the customer's own"
    assert state(sam, page)["seq"] == 0
    body = sam.send(f"{page}/listen", recording=call).json
    assert sam.get(body["sounds"][0]["src"]).status_code == 200
    assert sam.send(f"{page}/presence", ready="yes").status_code == 204
    assert sam.send(urlsplit(body["report"]).path, play=body["play"], played="0-900").status_code == 204
    assert sam.send(urlsplit(body["close"]).path, play=body["play"], played="0-900").status_code == 204
    assert "They asked for help" in claire.get(page).text
    for path in (page, f"{page}/notes", "/together", f"/recordings/{call}"):
        assert sam.get(path).status_code in (403, 404), path
    claire.send(f"{page}/close")
    assert sam.get(f"{page}/room").status_code == 404
    assert entrance not in sam.get("/differences").text
    assert sam.get(body["sounds"][0]["src"]).status_code in (403, 410)


def test_an_operator_sees_no_difference(room, house, bakery, sam, browser, call) -> None:
    page, claire, guest = room
    mark(claire, page, call)
    (passage,) = dispute_of(house, bakery).passages
    claire.send(f"{page}/help", role="support", passages=passage.id)
    helper = dispute_of(house, bakery).guests[-1].id
    guest.send(f"{page}/guests/{helper}/agree", answer="accepted", passage=passage.id)
    olga = browser("olga")
    for path in ("/differences", page.replace("/together/", "/differences/"), f"{page}/room", page):
        assert olga.get(path).status_code in (403, 404), path
