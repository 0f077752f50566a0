"""The colleague who took a call, by the extension that is theirs: on list, page and search."""

from __future__ import annotations

import re

import pytest

from recorder.catalogue.database import connected
from recorder.catalogue.tables.recording import RecordingTable
from recorder.features.team import extensions
from recorder.seal.amendment import By


@pytest.fixture
def call(house, bakery) -> str:
    return house.call(bakery)


def test_extension_is_set_in_the_team_and_names_who_took_the_call(browser, bakery, rival, call):
    with connected():
        inside = RecordingTable.get_by_id(call).internal_value
    paul, claire = browser("paul"), bakery.people["claire"]
    assert f"avec le poste {inside}" in paul.get("/recordings").text
    assert f"avec le poste {inside}" in paul.get(f"/recordings/{call}").text
    answer = paul.send(f"/team/{claire.id}", role="customer", extensions=f"{inside}, 2999")
    assert answer.status_code == 303
    assert extensions.extensions_of(bakery.id) == {claire.id: tuple(sorted((inside, "2999")))}
    assert f"Postes : {inside}" in paul.get("/team").text
    assert "avec Claire Martin" in paul.get("/recordings").text
    assert "avec Claire Martin" in paul.get(f"/recordings/{call}").text
    assert call in paul.get("/recordings?q=claire+martin").text
    assert call not in paul.get("/recordings?q=paul+martin").text


def arrival(at_ms: int, kind: str, extension: str, **data: str) -> tuple[int, str, dict[str, str]]:
    return at_ms, kind, {"party": "extension", "value": extension, "leg": extension, **data}


def timeline(page: str) -> list[tuple[str, str]]:
    """The place and the sentence of each entry about a colleague."""
    entries = re.findall(r'data-jump="(\d+)".*?<p>(.*?)</p>', page, re.S)
    return [(int(at) // 1000, text) for at, text in entries if re.search("ici avec|rejoint|écouter", text)]


def test_each_colleague_of_a_transferred_call_is_on_its_page_in_order(house, browser, bakery):
    house.person(bakery, "zoe", "Zoé <Lambert>")
    now = {"now": house.clock(), "entropy": house.entropy, "by": By("operator")}
    for login, number in (("claire", "2001"), ("zoe", "2003"), ("paul", "2009")):
        extensions.set_extensions(bakery.id, bakery.people[login].id, [number], **now)
    events = [
        arrival(12_000, "bridged", "2001"),
        arrival(14_000, "unbridged", "2001"),
        arrival(15_000, "bridged", "2001"),  # after a hold
        arrival(20_000, "supervisor_joined", "2009"),
        arrival(25_000, "bridged", "2002"),
        arrival(30_000, "participant_joined", "2003", who="internal", how="conference"),
        arrival(32_000, "participant_joined", "0470999999", who="external", how="conference"),
        arrival(36_000, "bridged", "2001"),
    ]
    call = house.call(bakery, times=3, events=events)
    names = "avec Claire Martin, puis le poste 2002, puis Zoé &lt;Lambert&gt;"
    claire = browser("claire")
    page = claire.get(f"/recordings/{call}").text
    assert names in page
    assert names in claire.get("/recordings").text
    for searched, is_found in (("claire martin", True), ("lambert", True), ("2002", True), ("paul", False)):
        assert (call in claire.get(f"/recordings?q={searched}").text) is is_found
    assert timeline(page) == [
        (12, "À partir d’ici avec Claire Martin."),
        (20, "Quelqu’un s’est mis à écouter l’appel."),
        (25, "À partir d’ici avec le poste 2002."),
        (30, "Zoé &lt;Lambert&gt; a rejoint l’appel."),
        (32, "Une personne extérieure a rejoint l’appel."),
        (36, "À partir d’ici avec Claire Martin."),
    ]


def test_one_colleague_is_named_once(house, browser, bakery):
    call = house.call(bakery, events=[arrival(12_000, "bridged", "1001")])
    page = browser("claire").get(f"/recordings/{call}").text
    assert page.count("avec le poste 1001") == 1
    assert timeline(page) == []
