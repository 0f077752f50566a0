"""The colleague who took a call, by the extension that is theirs: on list, page and search."""

from __future__ import annotations

import pytest

from recorder.catalogue.database import connected
from recorder.catalogue.tables.recording import RecordingTable
from recorder.features.team import extensions


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
