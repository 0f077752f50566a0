"""Breached passwords are refused wherever somebody chooses one, by a list on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from recorder.features.team.account_links import AccountLinks
from recorder.features.team.invitations import Invitations
from recorder.features.tenants.registration import Registration
from recorder.mail.outbox import Outbox
from recorder.seal.amendment import By
from tests.house import PASSWORD
from tests.unit.web.conftest import Browser
from web import WebConfig
from web.state import KEY

BREACHED = "seven quiet lanterns rowing north"
OTHER = "a lamp beside seven rivers"
Choose = Callable[[str], TestResponse]


@pytest.fixture
def config(config: WebConfig, tmp_path: Path) -> WebConfig:
    random, path = Random(2), tmp_path / "pwned.txt"
    listed = [hashlib.sha1(BREACHED.encode(), usedforsecurity=False).hexdigest().upper()]
    listed += [f"{random.getrandbits(160):040X}" for _ in range(2_000)]
    path.write_bytes(b"".join(f"{each}:{random.randrange(1, 10**6)}\r\n".encode() for each in sorted(listed)))
    return replace(config, breached_passwords=path)


@pytest.fixture(params=["account", "invitation", "reset", "registration"])
def choose(request, house, bakery, app, browser, clock, entropy, config) -> Choose:
    """Sends a form in which somebody chooses a password."""
    services = (house.changes.signer, house.trust, Outbox(), clock, entropy)
    if request.param == "account":
        visit: Browser = browser("claire")
        return lambda password: visit.send("/account/password", current=PASSWORD, password=password)
    visit = browser()
    if request.param == "registration":
        open_registration = Registration(house.keyring, house.changes.signer, "open", entropy=entropy)
        app.extensions[KEY] = replace(app.extensions[KEY], registration=open_registration)
        fields = {
            "company": "Fromagerie Dubois", "country": "be", "time_zone": "Europe/Brussels",
            "languages": "fr", "name": "Denise Dubois", "login": "denise@dubois.example",
        }  # fmt: skip
        return lambda password: visit.send("/register", password=password, **fields)
    if request.param == "reset":
        path = AccountLinks(config.secret_key, *services).issue_reset(bakery.people["claire"], None).path
    else:
        path = (
            Invitations(*services)
            .invite(
                bakery.id, address="eva@example.com", name="Eva", role="customer", lines=None, language="fr",
                by=By("operator"),
            ).path
        )  # fmt: skip
    return lambda password: visit.send(path, password=password)


def test_breached_password_is_refused_beside_its_field(choose: Choose) -> None:
    answer = choose(BREACHED)
    assert answer.status_code == 422
    assert 'id="password-wrong"' in answer.text
    assert BREACHED not in answer.text
    assert choose(OTHER).status_code == 303


def test_no_password_is_chosen_while_the_list_cannot_be_used(choose: Choose, config: WebConfig) -> None:
    assert config.breached_passwords is not None
    config.breached_passwords.write_text("no list\n")
    with capture_logs() as logs:
        answer = choose(OTHER)
    assert answer.status_code == 422
    assert 'id="password-wrong"' in answer.text
    (line,) = [each for each in logs if each["event"] == "breached_passwords.malformed"]
    assert line["log_level"] == "error"
    assert "haveibeenpwned.com" in line["hint"]


def test_too_long_password_is_refused_by_its_bytes(choose: Choose) -> None:
    answer = choose("é" * 600)
    assert answer.status_code == 422
    assert 'id="password-wrong"' in answer.text
