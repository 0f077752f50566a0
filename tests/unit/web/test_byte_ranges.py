"""Byte ranges of audio responses, by method."""

from __future__ import annotations

import pytest

from tests.unit.web.player import open_player


@pytest.fixture
def recording(house, bakery) -> str:
    return house.call(bakery)


@pytest.mark.parametrize("name", ["audio.opus", "audio.wav"])
@pytest.mark.parametrize("part", ["bytes=0-9", "bytes=-5", "bytes=99999999-", "bytes=-0"])
def test_range_applies_to_get_only(browser, recording, name, part):
    person = browser("claire")
    address = open_player(person, recording)[name]
    whole = person.get(address)
    answer = person.head(address, headers={"Range": part})
    assert (answer.status_code, answer.content_length) == (200, whole.content_length)
    assert "Content-Range" not in answer.headers
    assert answer.headers["Accept-Ranges"] == "bytes"
