"""The help page: for every role, in every language, with the people whom the reader can ask."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from recorder import config as settings
from recorder.errors import ConfigError
from web.config import Brand, SupportContact
from web.state import KEY


def text_of(page: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", page.partition("<main")[2]).split())


@pytest.mark.parametrize(
    ("login", "purposes", "writes"),
    [
        ("paul", "Mémoire de ce qui a été convenu, Qualité du service", True),
        ("claire", "Mémoire de ce qui a été convenu.", True),
        ("audit", "Obligation légale.", False),
    ],
)
def test_answers_fit_the_role(bakery, browser, login, purposes, writes) -> None:
    person = browser(login)
    assert 'href="/help"' in person.get("/recordings").text
    answer = person.get("/help")
    assert answer.status_code == 200
    assert f"Votre rôle permet d’écouter pour : {purposes}" in text_of(answer.text)
    assert ('id="keep"' in answer.text) == writes
    assert ("<kbd>N</kbd>" in answer.text) == writes


def test_people_are_sent_to_an_admin_of_their_company(bakery, rival, browser, house) -> None:
    assert "Paul Martin" in text_of(browser("claire").get("/help").text)
    assert "n’a qu’un administrateur" in text_of(browser("paul").get("/help").text)
    assert "Your company has no admin" in text_of(browser("dyck").get("/help").text)
    house.person(rival, "boss", "Bart Baas", role="customer_admin", language="en")
    assert "Bart Baas" in text_of(browser("dyck").get("/help").text)
    assert "Bart Baas" not in browser("claire").get("/help").text


def test_providers_contact_is_shown_where_it_is_set(bakery, app, browser) -> None:
    person, state = browser("claire"), app.extensions[KEY]
    assert "votre fournisseur de téléphonie" in text_of(person.get("/help").text)
    assert "mailto:" not in person.get("/help").text

    def page(**contact: str) -> str:
        brand = Brand("Telco", support=SupportContact(**contact))
        app.extensions[KEY] = replace(state, config=replace(state.config, brand=brand))
        return person.get("/help").text

    found = page(name="Désk <Nord>", mail="help@telco.example", phone="+32 (0)2 555-01.00")
    assert "Désk &lt;Nord&gt;" in found
    assert 'href="mailto:help@telco.example"' in found
    assert 'href="tel:+32025550100"' in found
    assert "+32 (0)2 555-01.00</a>" in found
    assert "mailto:" not in page(phone="0800 123 45")
    assert 'href="tel:080012345"' in page(phone="0800 123 45")


def test_nobody_logged_in_is_sent_to_the_log_in(bakery, browser) -> None:
    assert browser().get("/help").location == "/login?next=/help"


@pytest.mark.parametrize(
    "line",
    [
        'support_mail = "Help <help@telco.example>"',
        'support_mail = "telco.example"',
        'support_phone = "call us"',
        'support_phone = "+32 2 555 01 00\\" onclick"',
        'support_name = "Two\\nlines"',
    ],
)
def test_unusable_contact_is_refused(tmp_path, line) -> None:
    (tmp_path / "accord.toml").write_text(f"[brand]\n{line}\n")
    with pytest.raises(ConfigError, match=r"brand\.support_"):
        settings.load(tmp_path / "accord.toml", {})


def test_usable_contact_is_read(tmp_path) -> None:
    lines = (
        'support_name = "Service clients"',
        'support_mail = "a@b.example"',
        'support_phone = "02/555.01.00"',
    )
    (tmp_path / "accord.toml").write_text("\n".join(["[brand]", *lines]))
    brand = settings.load(tmp_path / "accord.toml", {}).brand
    assert (brand.support_name, brand.support_mail, brand.support_phone) == (
        "Service clients",
        "a@b.example",
        "02/555.01.00",
    )
