"""The API of live calls: tokens, commands, and error responses."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.domain.live_command import DONE
from recorder.features.live import queries
from recorder.features.live.queries import LiveRow
from recorder.identity import api_tokens
from tests.house import CALLER
from web import WebConfig

SECRET = "accord_secret"


@pytest.fixture
def config() -> WebConfig:
    return WebConfig(secret_key=b"k" * 32, secure_cookies=False, patience=0.0)


@pytest.fixture
def call(bakery, clock) -> LiveRow:
    row = LiveRow(
        id="01930000-0000-7000-8000-0000000000c1", tenant=bakery.id, node="node1", line=bakery.line.id,
        number=bakery.line.number, direction="inbound", external_party=CALLER, started_at=clock(),
        announced=True,
        paused_until=None, deletable=True,
    )  # fmt: skip
    queries.put("node1", [row], clock())
    return row


def make(house, tenant: str, secret: str) -> str:
    hashed = hashlib.sha256(secret.encode()).hexdigest()
    options = {"now": house.clock(), "entropy": house.entropy, "signer": house.services.signer}
    return api_tokens.create(tenant, name="till", token_sha256=hashed, **options).id


@pytest.fixture
def token(house, bakery) -> str:
    return make(house, bakery.id, SECRET)


@pytest.fixture
def ask(app):
    client = app.test_client()

    def send(path: str, method: str = "GET", secret: str = SECRET):
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        return client.open(f"/api/v1{path}", method=method, headers=headers)

    return send


def test_program_lists_its_customers_calls(ask, token, call, clock) -> None:
    options = {
        "id": call.id, "number": "+3225550100", "direction": "inbound",
        "external_party": {"kind": "e164", "value": "+32470123456"}, "since": "2026-11-25T09:00:00.000Z",
        "announced": True, "paused_until": None,
    }  # fmt: skip
    assert ask("/calls").json == {"calls": [options]}
    queries.put("node1", [replace(call, paused_until=clock() + timedelta(minutes=2))], clock())
    assert ask("/calls").json["calls"][0]["paused_until"] == "2026-11-25T09:02:00.000Z"


def test_returns_the_commands_outcome(ask, token, call, clock, entropy) -> None:
    for outcome, status in (
        (DONE, 200), ("not_announced", 409), ("ended", 409), ("no_answer", 503), ("no_switch", 503),
        ("unknown", 504), ("something new", 504),
    ):  # fmt: skip
        answer = ask(f"/calls/{call.id}/pause", "POST")
        assert answer.status_code == 202
        assert answer.json["outcome"] is None
        (row,) = queries.open_commands("node1")
        assert queries.take("node1", row.id, clock(), entropy)
        assert queries.answer("node1", row.id, outcome, clock(), entropy)
        found = ask(answer.location.removeprefix("/api/v1"))
        assert found.status_code == status, outcome
        if status == 200:
            assert found.json == {"id": row.id, "call": call.id, "action": "pause", "outcome": "done"}
        else:
            assert found.content_type == "application/problem+json"
            assert found.json["hint"]
            assert found.json["id"] == row.id


@pytest.mark.parametrize("secret", ["", "accord_wrong", " "])
def test_requires_a_token(ask, token, call, secret) -> None:
    for path, method in (("/calls", "GET"), (f"/calls/{call.id}/pause", "POST"), ("/nowhere", "GET")):
        answer = ask(path, method, secret)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json["type"] == "urn:accord:token.unknown"
    assert queries.open_commands("node1") == ()


def test_revoked_token_is_refused_at_once(ask, token, bakery, rival, clock, entropy) -> None:
    assert ask("/calls").status_code == 200
    assert not api_tokens.revoke(rival.id, token, now=clock(), entropy=entropy)
    assert ask("/calls").status_code == 200
    assert api_tokens.revoke(bakery.id, token, now=clock(), entropy=entropy)
    assert ask("/calls").status_code == 401
    assert not api_tokens.revoke(bakery.id, token, now=clock(), entropy=entropy)
    assert [row.revoked_at for row in api_tokens.tokens(bakery.id)] == [clock()]


def test_limits_wrong_tokens_but_not_valid_ones(ask, token) -> None:
    codes = [ask("/calls", secret=f"guess{n}").status_code for n in range(31)]
    assert codes == [401] * 30 + [429]
    slow = ask("/calls", secret="guess")
    assert slow.content_type == "application/problem+json"
    assert int(slow.headers["Retry-After"]) > 0
    assert ask("/calls").status_code == 200


@pytest.mark.parametrize("what", ["delete", "keep", "stop"])
def test_refuses_commands_reserved_for_users(ask, token, call, what) -> None:
    assert ask(f"/calls/{call.id}/{what}", "POST").status_code == 404
    assert ask(f"/calls/{call.id}/pause", "PUT").status_code == 404
    assert ask("/nowhere").json["type"] == "urn:accord:path.unknown"
    assert queries.open_commands("node1") == ()
