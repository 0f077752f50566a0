"""What the provider proposes for a number: admins see it in words, hear it, and answer."""

from __future__ import annotations

import html
import re

import pytest

from recorder.catalogue import queries
from recorder.catalogue.records import KeepOptions
from recorder.features.tenants import composition
from recorder.features.tenants.line_change import LineChange
from recorder.features.tenants.line_proposals import change_or_propose
from recorder.lifecycle.line_proposals import find_proposals
from tests.lost_sounds import lose_sound
from tests.unit.web.page_text import text_of
from tests.unit.web.test_setup import leaves

NOTICE = "Your provider proposes to change what callers hear."


@pytest.fixture
def line(house, bakery):
    house.person(bakery, "zoe", "Zoé Lambert", language="en")
    house.person(bakery, "ada", "Ada Martin", role="customer_admin", language="en")
    house.call(bakery)
    (row,) = queries.lines(bakery.id)
    return row


def propose(house, line, *, keep_days: int, purposes=("agreement",)) -> None:
    at = {"now": house.clock(), "entropy": house.entropy}
    announcement = composition.compose(
        line.tenant, name="it", language="fr", mode="notice", purposes=purposes, keep_days=keep_days, **at
    )
    outcome = change_or_propose(
        queries.line(line.tenant, line.id), LineChange(announcements=[announcement.id]), **at
    )
    assert outcome.code == "proposed", outcome


def answer(person, line, path: str = "") -> tuple[int, str]:
    """Send the form that the page shows."""
    page = person.get(f"/numbers/{line.id}/proposal").text
    fields = {name: re.search(rf'name="{name}" value="(\w+)"', page)[1] for name in ("digest", "number")}
    response = person.send(f"/numbers/{line.id}/proposal{path}", **fields)
    return response.status_code, fields["digest"]


def announced_days(line) -> int:
    current = queries.line(line.tenant, line.id)
    return queries.announcement(line.tenant, current.announcement).keep_days


def test_admin_sees_hears_and_accepts(house, bakery, line, browser) -> None:
    ada = browser("ada")
    assert NOTICE not in text_of(ada.get("/numbers").text)
    propose(house, line, keep_days=90, purposes=["agreement", "legal-duty"])
    assert NOTICE in text_of(ada.get("/numbers").text)
    page = ada.get(f"/numbers/{line.id}/proposal").text
    found = text_of(page)
    assert "Kept for more than now Now: 30 days → Then: 90 days" in found
    assert "Recorded for more than now Now:" in found
    assert "Proposed by your provider on 25 November 2026" in found
    sounds = re.findall(r'<audio[^>]* src="([^"]+)"', page)
    assert len(sounds) >= 2
    for each in sounds:
        assert ada.get(html.unescape(each)).status_code == 200
    before = announced_days(line)
    assert answer(ada, line)[0] == 303
    assert (before, announced_days(line)) == (30, 90)
    assert leaves("line.changed")[-1]["actor"] != "operator"
    assert NOTICE not in text_of(ada.get("/numbers").text)
    assert ada.get(f"/numbers/{line.id}/proposal").location == f"/numbers#line-{line.id}"


def test_admin_hears_and_accepts_a_keep_question(house, line, browser) -> None:
    at = {"now": house.clock(), "entropy": house.entropy}
    change = LineChange(keep=KeepOptions(365, at_start=True))
    assert change_or_propose(line, change, **at).code == "proposed"
    ada = browser("ada")
    page = ada.get(f"/numbers/{line.id}/proposal").text
    found = text_of(page)
    assert "After a yes more than now Now: – → Then: Kept for 365 days · Record of what was agreed" in found
    assert "Ask automatically when the conversation begins Now: No → Then: Yes" in found
    assert "Wording" not in found, "it had none"
    assert "What callers would hear" not in found
    sounds = re.findall(r'<audio[^>]* src="([^"]+)"', page)
    assert len(sounds) == 4
    for each in sounds:
        assert ada.get(html.unescape(each)).data.startswith(b"RIFF")
    assert ada.get(f"/numbers/{line.id}/proposal/4.wav").status_code == 404
    assert answer(ada, line)[0] == 303
    assert queries.line(line.tenant, line.id).keep == KeepOptions(365, at_start=True)
    assert ada.get(f"/numbers/{line.id}/proposal/0.wav").status_code == 404


def test_admin_declines(house, bakery, line, browser) -> None:
    propose(house, line, keep_days=90)
    ada = browser("ada")
    assert answer(ada, line, "/no")[0] == 303
    assert (announced_days(line), find_proposals(bakery.id)) == (30, {})


def test_yes_to_what_was_replaced_meanwhile_changes_nothing(house, line, browser) -> None:
    propose(house, line, keep_days=90)
    ada = browser("ada")
    path = f"/numbers/{line.id}/proposal"
    page = ada.get(path).text
    propose(house, line, keep_days=365)
    digest = re.search(r'name="digest" value="(\w+)"', page)[1]
    refused = ada.send(path, digest=digest)
    assert refused.status_code == 409
    assert "Please look at it again." in text_of(refused.text)
    assert ada.send(f"{path}/no", number="1").status_code == 409
    assert announced_days(line) == 30


def test_colleagues_see_and_answer_nothing(house, bakery, line, browser) -> None:
    propose(house, line, keep_days=90)
    zoe = browser("zoe")
    assert NOTICE not in text_of(zoe.get("/numbers").text)
    assert zoe.get(f"/numbers/{line.id}/proposal").status_code == 403
    for path in ("", "/no"):
        assert zoe.send(f"/numbers/{line.id}/proposal{path}", digest="0" * 64, number="0").status_code == 403
    assert len(find_proposals(bakery.id)) == 1


def test_proposal_that_can_no_longer_be_announced_says_why(house, line, browser) -> None:
    propose(house, line, keep_days=90)
    (proposal,) = find_proposals(line.tenant).values()
    lose_sound(queries.announcement(line.tenant, proposal.announcements[0]).sound)
    page = browser("ada").get(f"/numbers/{line.id}/proposal")
    assert page.status_code == 422, page.text
