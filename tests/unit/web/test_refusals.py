"""Refusals: they are logged, rate-limited, and tell how long to wait."""

from __future__ import annotations

import re

import pytest

from recorder.catalogue import queries
from recorder.lifecycle import expiry
from recorder.lifecycle.amendment_store import chain_of
from recorder.lifecycle.expired_recording import ExpiredRecording
from recorder.seal.amendment_kinds import EXPIRED
from recorder.store.contract import Unreachable
from tests.unit.web.player import leaves, open_player

NOBODYS = "01930000-0000-7000-8000-000000000000"
OFTEN = 60
"""Refusals a minute."""


@pytest.fixture
def recording(house, bakery) -> str:
    return house.call(bakery)


def test_access_to_foreign_recordings_is_logged_on_every_route(browser, rival, recording):
    stranger = browser("dyck")
    for number, recording_id in enumerate((recording, NOBODYS), 1):
        assert stranger.get(f"/recordings/{recording_id}").status_code == 404
        (*_, leaf) = refusals = leaves("access.refused")
        assert len(refusals) == number
        assert (leaf["user"], leaf["recording"]) == (rival.people["dyck"].id, recording_id)
        assert leaf["reason"] == "access.not_found"


def test_access_to_erased_recordings_is_logged(browser, house, bakery, recording):
    row = queries.recording(bakery.id, recording)
    means = house.services
    chain = chain_of(house.store, row.prefix, house.root_public)
    expiry.destroy(ExpiredRecording(row, chain, EXPIRED), means, house.clock())
    answer = browser("claire").get(f"/recordings/{recording}")
    assert answer.status_code == 410
    assert "a été détruit" in answer.text
    assert 'href="/recordings"' in answer.text
    assert [leaf["reason"] for leaf in leaves("access.refused")] == ["access.erased"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/recordings/{id}"),
        ("get", "/listen/{id}"),
        ("get", "/listen/{id}/audio.opus?play=" + "x" * 22),
        ("post", "/listen/{id}/renew"),
        ("post", "/listen/{id}/close"),
    ],
)
def test_refusals_are_rate_limited(browser, house, bakery, recording, method, path):
    house.person(bakery, "luc", "Luc")
    person = browser("claire")
    mine = open_player(person, recording)["audio.opus"]
    token = person.token(f"/recordings/{recording}")

    def ask(number: int) -> int:
        address = path.format(id=f"{number:08}-0000-7000-8000-000000000000")
        if method == "post":
            return person.send(address, token=token, play="x" * 22).status_code
        return person.get(address).status_code

    codes = [ask(number) for number in range(OFTEN + 20)]
    assert codes == [404] * OFTEN + [429] * 20
    assert len(leaves("access.refused")) == OFTEN
    assert person.get(mine).status_code == 429, "one limit for all that may be refused"
    assert browser("luc").get(f"/recordings/{recording}").status_code == 200, "and each has their own"


def test_successful_requests_are_not_rate_limited(browser, recording):
    person = browser("claire")
    found = open_player(person, recording)
    token = person.token(f"/recordings/{recording}")
    grant = found["audio.wav"].rpartition("/")[0]
    for number in range(240):
        headers = {"Range": f"bytes={number * 100}-{number * 100 + 99}"}
        assert person.get(found["audio.wav"], headers=headers).status_code == 206, number
        if number % 20 == 0:
            assert person.get(found["peaks"]).status_code == 200
            assert person.get(grant, follow_redirects=True).status_code == 200
            assert person.send(f"{grant}/renew", token=token).status_code == 200
    assert leaves("access.refused") == []


def test_store_failures_do_not_count_as_refusals(browser, house, recording, monkeypatch):
    person = browser("claire")
    found = open_player(person, recording)

    def away(*_: object) -> bytes:
        raise Unreachable("store.unreachable", "the store is away", "")

    with monkeypatch.context() as patched:
        patched.setattr(house.store, "read", away)
        codes = {person.get(found["audio.opus"]).status_code for _ in range(OFTEN + 5)}
    assert codes == {503}
    assert person.get(found["audio.opus"]).status_code == 200


@pytest.mark.parametrize(
    ("language", "minute", "next_turn"),
    [("en", r"Wait (1 minute|[0-9]+ seconds?),", r"Wait 1 minute( [0-9]+ seconds?)?,"),
     ("fr", r"Attendez (1 minute|[0-9]+ secondes?),", r"Attendez 1 minute( [0-9]+ secondes?)?,")],
)  # fmt: skip
def test_retry_after_is_that_of_the_reached_limit(browser, bakery, recording, language, minute, next_turn):
    headers = {"Accept-Language": language}

    def check_wait(answer, sentence: str, seconds: int) -> None:
        assert answer.status_code == 429
        assert re.search(sentence, answer.text.replace("\u00a0", " ")), answer.text
        assert seconds - 50 < int(answer.headers["Retry-After"]) <= seconds

    def guess(address: str):
        person = browser(address=address)
        form = {"csrf_token": person.token(), "login": "claire", "password": "guess"}
        return person.client.post("/login", data=form, environ_base={"REMOTE_ADDR": address}, headers=headers)

    person = browser("claire")
    person.send("/language", language=language)
    for _ in range(OFTEN):
        person.get(f"/listen/{NOBODYS}")
    check_wait(person.get(f"/listen/{NOBODYS}"), minute, 60)
    json_answer = person.get(f"/listen/{NOBODYS}", headers={"Accept": "application/json"})
    assert re.search(minute, json_answer.json["message"].replace("\u00a0", " "))
    for _ in range(10):
        guess("192.0.2.1")
    check_wait(guess("192.0.2.1"), next_turn, 90)


def test_retry_after_counts_down_to_the_next_success(browser, bakery, clock):
    person = browser()
    for _ in range(10):
        person.log_in("claire", "guess")
    assert 60 < int(person.log_in("claire").headers["Retry-After"]) <= 90
    clock.forward(seconds=60)
    answer = person.log_in("claire")
    seconds = int(answer.headers["Retry-After"])
    assert 1 <= seconds <= 31
    assert re.search(r"Wait [0-9]+ seconds, then", answer.text)
    clock.forward(seconds=seconds)
    assert person.log_in("claire").status_code == 303
