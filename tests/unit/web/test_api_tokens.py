"""An admin creates and revokes the API tokens of the company's own programs."""

from __future__ import annotations

import re

import pytest

from recorder.identity import api_tokens
from tests.unit.web.page_text import english, text_of


@pytest.fixture
def paul(browser, bakery):
    return english(browser("paul"))


def test_token_is_shown_once_and_works_until_it_is_revoked(paul, browser, bakery, app) -> None:
    answer = paul.send("/api-tokens", name="  Till  1 ")
    secret = re.search(r">(accord_[\w-]{43})<", answer.text)
    assert answer.status_code == 200
    assert secret is not None
    page = paul.get("/api-tokens").text
    assert "Till 1" in text_of(page)
    assert secret[1] not in page
    program, headers = app.test_client(), {"Authorization": f"Bearer {secret[1]}"}
    assert program.get("/api/v1/calls", headers=headers).status_code == 200
    (row,) = api_tokens.tokens(bakery.id)
    assert paul.send(f"/api-tokens/{row.id}/revoke").status_code == 303
    assert program.get("/api/v1/calls", headers=headers).status_code == 401
    assert "No program has access." in text_of(paul.get("/api-tokens").text)
    log = text_of(paul.get("/access-log").text)
    assert "Paul Martin gave a program access." in log
    assert "Paul Martin ended a program’s access." in log


@pytest.mark.parametrize("name", ["", "x" * 101, "till\u202e"])
def test_nameless_program_gets_no_token(paul, bakery, name) -> None:
    answer = paul.send("/api-tokens", name=name)
    assert answer.status_code == 422
    assert "Enter the program’s name" in text_of(answer.text)
    assert api_tokens.tokens(bakery.id) == ()


def test_number_of_tokens_is_limited(paul, bakery, monkeypatch) -> None:
    monkeypatch.setattr(api_tokens, "MOST", 1)
    assert paul.send("/api-tokens", name="till").status_code == 200
    answer = paul.send("/api-tokens", name="other till")
    assert answer.status_code == 422
    assert 'value="other till"' in answer.text
    assert len(api_tokens.tokens(bakery.id)) == 1


def test_revoked_token_cannot_be_revoked_again(paul, bakery) -> None:
    paul.send("/api-tokens", name="till")
    (row,) = api_tokens.tokens(bakery.id)
    paul.send(f"/api-tokens/{row.id}/revoke")
    assert paul.send(f"/api-tokens/{row.id}/revoke").status_code == 404
