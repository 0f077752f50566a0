"""A call between its end and its place in the list: shown as being stored, to those who see its line."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.features.live import queries
from recorder.features.live.queries import LiveRow
from recorder.identity import users
from recorder.seal.amendment import By
from tests.house import CALLER

ID = "01930000-0000-7000-8000-0000000000c7"
PAGE = f"/recordings/{ID}"
BADGE, NEW = "En cours de stockage", "/recordings/new?oldest=&shown=0"


@pytest.fixture
def ended(house, bakery, clock) -> LiveRow:
    """A call of 42 seconds that has just ended."""
    row = LiveRow(
        id=ID, tenant=bakery.id, node="node1", line=bakery.line.id, number=bakery.line.number,
        direction="inbound", external_party=CALLER, started_at=clock() - timedelta(seconds=42),
        announced=True, paused_until=None, deletable=False, ended_at=clock(),
    )  # fmt: skip
    queries.put("node1", [row], clock())
    return row


def test_list_shows_it_on_top_with_number_time_and_length(browser, ended) -> None:
    page = browser("claire").get("/recordings").text
    above = page.partition('id="ended-calls"')[2].partition("Aucun appel")[0]
    assert BADGE in above
    assert f'href="{PAGE}"' in above
    assert "+32\u00a0470\u00a012\u00a034\u00a056" in above
    assert ">0:42<" in above
    assert "09:59" in above


def test_its_page_says_that_it_is_being_stored(browser, ended) -> None:
    page = browser("claire").get(PAGE).text
    assert BADGE in page
    assert "42 secondes" in page
    assert 'data-live="yes"' in page
    assert "<audio" not in page
    assert "plus de temps que d’habitude" not in page


def test_its_page_says_when_it_takes_longer(browser, ended, clock) -> None:
    clock.forward(minutes=6)
    assert "plus de temps que d’habitude" in browser("claire").get(PAGE).text


def test_page_of_a_call_waits_from_the_call_on(browser, ended, clock) -> None:
    queries.put("node1", [replace(ended, ended_at=None)], clock())
    page = browser("claire").get(PAGE).text
    assert "Cet appel est en cours" in page
    assert 'data-live="yes"' in page


def test_it_becomes_the_page_of_the_call(house, bakery, browser, clock) -> None:
    folder, end = house.finished(bakery)
    row = LiveRow(
        id=folder.name, tenant=bakery.id, node="node1", line=bakery.line.id, number=bakery.line.number,
        direction="inbound", external_party=CALLER, started_at=clock(), announced=True, paused_until=None,
        deletable=False, ended_at=end,
    )  # fmt: skip
    queries.put("node1", [row], clock())
    claire = browser("claire")
    assert BADGE in claire.get(f"/recordings/{folder.name}").text
    house.work(folder, end)  # the worker has not looked into its spool since
    page = claire.get(f"/recordings/{folder.name}").text
    assert BADGE not in page
    assert 'id="player"' in page
    assert BADGE not in claire.get("/recordings").text


def test_call_that_was_not_recorded_says_so(house, bakery, browser, ended, clock) -> None:
    recording = house.not_recorded(bakery, "declined")
    queries.put("node1", [replace(ended, id=recording)], clock())
    page = browser("claire").get(f"/recordings/{recording}").text
    assert BADGE not in page
    assert "choisi de ne pas être enregistrée" in page


def test_answer_about_new_calls_brings_it_and_takes_it_away(browser, ended, clock) -> None:
    claire = browser("claire")
    answer = claire.get(NEW)
    assert (answer.status_code, BADGE in answer.text) == (200, True)
    assert "new-calls" not in answer.text
    queries.put("node1", [], clock())
    assert claire.get(NEW).status_code == 204


def test_filter_shows_only_what_is_stored(browser, ended) -> None:
    claire = browser("claire")
    assert BADGE not in claire.get("/recordings?q=470").text
    assert claire.get(NEW + "&q=470").status_code == 204


def test_other_customers_do_not_see_it(browser, rival, ended) -> None:
    somebody = browser("dyck")
    assert ID not in somebody.get("/recordings").text
    assert somebody.get(NEW).status_code == 204
    assert somebody.get(PAGE).status_code == 404


def test_colleague_of_another_number_does_not_see_it(house, bakery, browser, ended, clock, entropy) -> None:
    at = {"now": clock(), "entropy": entropy}
    other = house.add_line(bakery.id, "+3225550177", bakery.announcement.id, formats=("opus",))
    claire = bakery.people["claire"]
    assert users.change_access(
        bakery.id, claire.id, role="customer", lines=[other.id], signer=house.services.signer,
        trust=house.trust, by=By("operator"), **at,
    )  # fmt: skip
    somebody = browser("claire")
    assert ID not in somebody.get("/recordings").text
    assert somebody.get(NEW).status_code == 204
    assert somebody.get(PAGE).status_code == 404
    queries.put("node1", [replace(ended, line=other.id)], clock())
    assert BADGE in somebody.get(PAGE).text


def test_no_live_call_is_left_of_it(browser, ended) -> None:
    claire = browser("claire")
    assert ID not in claire.get("/live").text
    assert claire.send(f"/live/{ID}/pause").status_code == 404
    assert claire.get(f"/live/{ID}/delete").status_code == 404


def test_many_are_counted(browser, ended, clock) -> None:
    rows = [replace(ended, id=f"01930000-0000-7000-8000-{number:012}") for number in range(13)]
    queries.put("node1", rows, clock())
    page = browser("claire").get("/recordings").text
    assert page.count(BADGE) == 10
    assert "3 autres sont en cours de stockage." in page
