"""An installation with two customers, made once per process and repaired after requests that change it."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import cache

from argon2 import PasswordHasher
from flask import Flask

from recorder.features.live import queries
from recorder.features.live.queries import LiveRow
from recorder.identity import api_tokens
from recorder.identity.throttle import RateLimit
from recorder.ids import uuid7
from recorder.lifecycle import amendments
from recorder.seal.keyring import Keyring
from tests.clock import Clock
from tests.fuzz.documents import repeatable_entropy, scratch
from tests.house import CALLER, PASSWORD, Customer, House, hash_with
from web import WebConfig
from web.config import LoginLimits

CATALOGUE = "TEST_FUZZ_CATALOGUE"
"""An environment variable with an empty catalogue's URL, to look at the panel over PostgreSQL."""

TOKEN = "accord_till"
"""The API token of the first customer's program."""

SECRETS = ("Van Dyck", "3225550199", "dyck", "+32499000111")
"""Words that only the second customer may see."""


@dataclass(eq=False)
class Panel:
    """``session`` and ``form`` are cookies of Claire, who works for the one customer, ``admin`` the
    session of Paul, its admin; ``mine`` and ``theirs`` recordings of the one and the other, ``calls`` calls
    that go on; ``command_id`` is what a program asked of one, by its token :data:`TOKEN`."""

    house: House
    ours: Customer
    app: Flask
    mine: str
    theirs: str
    grant: str
    their_grant: str
    calls: tuple[str, str]
    session: str = ""
    admin: str = ""
    form: str = ""
    token: str = ""
    command_id: str = ""
    amended: int = 0


_keyring: list[Keyring] = []


def keyring() -> Keyring:
    """The keyring of the installation's recordings and backups."""
    panel()
    return _keyring[0]


@cache
def panel() -> Panel:
    hash_with(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    clock, entropy = Clock(), repeatable_entropy("panel")
    house = House(scratch(), clock, entropy, url=os.environ.get(CATALOGUE, ""))
    ours = house.customer("Boulangerie Martin", "+3225550100", label="Magasin")
    house.person(ours, "claire", "Claire Martin")
    house.person(ours, "paul", "Paul Martin", role="customer_admin")
    rival = house.customer("Van Dyck NV", "+3225550199", language="en")
    house.person(rival, "dyck", "An Van Dyck", language="en")
    from recorder.domain.parties import Party

    mine = house.call(ours)
    _keyring.append(house.keyring)
    theirs = house.call(rival, external_party=Party("e164", "+32499000111"))
    house.not_recorded(ours, "full_disk")
    limits = LoginLimits(*[RateLimit(1_000_000, 1)] * 5)
    config = WebConfig(secret_key=b"k" * 32, secure_cookies=False, page=5, login_limits=limits, patience=0.0)
    app = house.app(config)
    from web.account.limits import limiter

    limiter.enabled = False
    hashed = hashlib.sha256(TOKEN.encode()).hexdigest()
    api_tokens.create(
        ours.id, name="till", token_sha256=hashed, now=clock(), entropy=entropy, signer=house.services.signer
    )
    fuzzed_panel = Panel(house, ours, app, mine, theirs, "", "", _live_calls(house, ours, rival))
    log_in(fuzzed_panel, "dyck")
    fuzzed_panel.their_grant = _grant(fuzzed_panel, theirs) or ""
    log_in(fuzzed_panel, "paul")
    fuzzed_panel.admin = fuzzed_panel.session
    log_in(fuzzed_panel)
    fuzzed_panel.grant = _grant(fuzzed_panel, mine) or ""
    return fuzzed_panel


def _live_calls(house: House, *customers: Customer) -> tuple[str, ...]:
    """A live call of each customer."""
    rows = [
        LiveRow(
            id=str(uuid7(house.clock(), house.entropy)), tenant=each.id, node=f"node{n}", line=each.line.id,
            number=each.line.number, direction="inbound", external_party=CALLER, started_at=house.clock(),
            announced=True,
            paused_until=None, deletable=True,
        )
        for n, each in enumerate(customers)
    ]  # fmt: skip
    for row in rows:
        queries.put(row.node, [row], house.clock())
    return tuple(row.id for row in rows)


def restore_panel(target_panel: Panel) -> None:
    """After a request that was taken: whoever was logged out is logged in, and where the recording was
    amended Claire gets a grant again, for another one where this one may no longer be heard."""
    for name in ("admin", "session"):
        if not alive(target_panel, getattr(target_panel, name)):
            session = target_panel.session
            log_in(target_panel, "paul" if name == "admin" else "claire")
            if name == "admin":
                target_panel.admin, target_panel.session = target_panel.session, session
    amended = len(amendments.listed_hashes(target_panel.ours.id, target_panel.mine))
    if amended != target_panel.amended:
        again = _grant(target_panel, target_panel.mine) if amended < 20 else None
        if again is None:
            target_panel.mine, amended = target_panel.house.call(target_panel.ours), 0
            again = _grant(target_panel, target_panel.mine)
        assert again is not None
        target_panel.grant, target_panel.amended = again, amended


def log_in(target_panel: Panel, login: str = "claire") -> None:
    client = target_panel.app.test_client(use_cookies=True)
    target_panel.token = _token(client.get("/login").text)
    answer = client.post(
        "/login", data={"csrf_token": target_panel.token, "login": login, "password": PASSWORD}
    )
    assert answer.status_code == 303, answer.text
    target_panel.session = client.get_cookie("accord-session").value
    target_panel.token = _token(client.get("/recordings").text)
    target_panel.form = client.get_cookie("accord-form").value


def alive(target_panel: Panel, session: str) -> bool:
    """Whether the session is still valid."""
    client = target_panel.app.test_client(use_cookies=False)
    return client.get("/recordings", headers={"Cookie": f"accord-session={session}"}).status_code == 200


def _token(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)
    assert found is not None
    return found.group(1)


def _grant(target_panel: Panel, recording: str) -> str | None:
    """A grant for Claire; ``None`` if it is refused."""
    cookies = {"Cookie": f"accord-session={target_panel.session}; accord-form={target_panel.form}"}
    answer = target_panel.app.test_client(use_cookies=False).post(
        f"/recordings/{recording}",
        data={"csrf_token": target_panel.token, "purpose": "agreement"},
        headers=cookies,
    )
    return answer.location.rpartition("/")[2] if answer.status_code == 303 else None
