"""A company registers by itself, where the provider lets it."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest

from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.identity import UserTable
from recorder.errors import CatalogueError
from recorder.features.tenants.registration import Registration
from recorder.identity import users
from tests.expected_errors import expect_error
from web.state import KEY

PASSWORD = "a lamp beside seven rivers"
FORM = {
    "code": "welcome aboard",
    "company": "Fromagerie Dubois",
    "country": "be",
    "time_zone": "Europe/Brussels",
    "languages": ["fr", "en"],
    "name": "Denise Dubois",
    "login": "denise@dubois.example",
    "password": PASSWORD,
}


@pytest.fixture
def opened(app, house, entropy) -> Registration:
    """The provider gives out a code."""
    service = Registration(house.keyring, house.changes.signer, "code", "welcome aboard", entropy=entropy)
    app.extensions[KEY] = replace(app.extensions[KEY], registration=service)
    return service


def send(person, **changes):
    form = {"csrf_token": person.token("/register"), **FORM, **changes}
    return person.client.post("/register", data=form, environ_base={"REMOTE_ADDR": person.address})


def errors(page: str) -> dict[str, str]:
    found = re.findall(r'<p class="field-error" id="([a-z_]+)-wrong">([^<]+)</p>', page)
    return {name: html.unescape(sentence) for name, sentence in found}


def customers() -> list[str]:
    return [row.name for row in tenant_queries.all_tenants()]


def test_company_registers_and_begins_its_first_day(browser, house, opened) -> None:
    person = browser()
    assert "/register" in person.get("/login").text
    answer = send(person)
    assert (answer.status_code, answer.location) == (303, "/")
    assert person.get("/").location == "/first-day"
    user = users.user_by_login("denise@dubois.example")
    assert user.role == "customer_admin"
    tenant = queries.tenant(user.tenant)
    assert (tenant.name, tenant.country, tenant.languages, tenant.time_zone, tenant.plan) == (
        "Fromagerie Dubois",
        "be",
        ("fr", "en"),
        "Europe/Brussels",
        "starter",
    )
    assert {row.language for row in queries.announcements(tenant.id)} == {"fr", "en"}
    again = browser()
    assert again.log_in("denise@dubois.example", PASSWORD).status_code == 303


@pytest.mark.parametrize(
    ("languages", "country", "zone"),
    [
        ("fr-BE,fr;q=0.9,en;q=0.8", "be", "Europe/Brussels"),
        ("en,nl-NL;q=0.9", "nl", "Europe/Amsterdam"),
        ("en-US", "de", "Europe/Berlin"),
        ("", "de", "Europe/Berlin"),
    ],
)
def test_country_is_suggested_by_the_browsers_languages(
    browser, app, opened, languages, country, zone
) -> None:
    """Without a script: in the browser's, the device's time zone counts (tests/browser)."""
    state = app.extensions[KEY]
    app.extensions[KEY] = replace(state, registration=replace(opened, country="de"))
    page = browser().get("/register", headers={"Accept-Language": languages}).text
    assert re.findall(r'<option value="([a-z]+)" selected>', page) == [country]
    assert f'name="time_zone" type="text" value="{zone}"' in page
    assert "data-suggested" in page
    assert 'value="Europe/Madrid" data-country="strict"' in page
    answer = send(browser(), name="", country="fr")
    assert "data-suggested" not in answer.text, "what was chosen stays"
    assert re.findall(r'<option value="([a-z]+)" selected>', answer.text) == ["fr"]


def test_closed_by_default(browser, app, house, opened) -> None:
    state = app.extensions[KEY]
    for registration in (None, Registration(house.keyring, house.changes.signer)):
        app.extensions[KEY] = replace(state, registration=registration)
        assert browser().get("/register").status_code == 404
        assert "/register" not in browser().get("/login").text
    assert not Registration(house.keyring, house.changes.signer, "code").is_open, "there is no code"
    assert not Registration(house.keyring, None, "open").is_open, "there is no key to sign with"


def test_open_needs_no_code(browser, app, house, opened) -> None:
    app.extensions[KEY] = replace(
        app.extensions[KEY], registration=replace(opened, admission="open", code="")
    )
    person = browser()
    assert 'name="code"' not in person.get("/register").text
    assert send(person, code="").status_code == 303


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"code": "guess"}, "code"),
        ({"company": " "}, "company"),
        ({"company": "Boulangerie  MARTIN"}, "company"),
        ({"company": "x" * 101}, "company"),
        ({"company": "Mar\u200btin"}, "company"),
        ({"country": "atlantis"}, "country"),
        ({"time_zone": "Europe/Nowhere"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"languages": []}, "languages"),
        ({"name": ""}, "name"),
        ({"login": "denise"}, "login"),
        ({"login": "denise @dubois.example"}, "login"),
        ({"login": "CLAIRE@example.com"}, "login"),
        ({"password": "short"}, "password"),
        ({"password": "password12345"}, "password"),
        ({"password": "Fromagerie Dubois"}, "password"),
        ({"password": "x" * 1100}, "password"),
    ],
)
def test_mistakes_are_shown_beside_the_field(browser, house, bakery, opened, changes, field) -> None:
    house.person(bakery, "claire@example.com", "Claire")
    before = customers()
    answer = send(browser(), **changes)
    assert answer.status_code == 422
    assert list(errors(answer.text)) == [field]
    assert customers() == before
    for other_field in ("name", "login"):
        if field != other_field:
            assert FORM[other_field] in html.unescape(answer.text)
    assert PASSWORD not in answer.text


def test_address_is_stored_as_mail_is_sent_to_it(browser, house, opened) -> None:
    assert send(browser(), login="Denise@Fromagerie-Müller.example").status_code == 303
    assert users.user_by_login("denise@xn--fromagerie-mller-uzb.example") is not None


def test_without_the_code_nobody_learns_who_is_a_customer(browser, house, bakery, opened) -> None:
    house.person(bakery, "claire@example.com", "Claire")
    answer = send(browser(), code="guess", login="claire@example.com", company="Boulangerie Martin")
    assert list(errors(answer.text)) == ["code"]


def test_guessing_the_code_is_limited(browser, opened) -> None:
    person = browser()
    token = person.token("/register")
    answers = [
        person.client.post(
            "/register",
            data={"csrf_token": token, **FORM, "code": str(number)},
            environ_base={"REMOTE_ADDR": person.address},
        ).status_code
        for number in range(21)
    ]
    assert set(answers[:20]) == {422}
    assert answers[20] == 429


def test_customer_and_admin_are_made_together(house, bakery, opened, clock) -> None:
    house.person(bakery, "claire@example.com", "Claire")
    before = customers()
    from recorder.features.tenants.registration import NewAdmin

    admin = NewAdmin("claire@example.com", "Claire", "fr", "$argon2id$1")
    place = {"languages": ["fr"], "time_zone": "Europe/Brussels", "country": "be"}
    with expect_error(CatalogueError, "user.exists"):
        opened.register("Nouveau SA", admin, **place, now=clock())
    assert customers() == before
    with connected():
        assert UserTable.select().where(UserTable.name == "Claire").count() == 1
