"""What is not part of a customer's plan: each page says so, and nothing gets around it."""

from __future__ import annotations

import hashlib
import html
import re

import pytest

from recorder.catalogue import queries
from recorder.identity import api_tokens
from recorder.lifecycle import plans
from tests.unit.web.test_download import fetch
from tests.unit.web.test_playback import leaves

pytestmark = pytest.mark.usefixtures("plan_file")

NOT_PART = "Not part of the plan “Basic”. Your provider can change it."


@pytest.fixture
def paul(browser, bakery):
    """The customer's admin, in English."""
    person = browser("paul")
    person.send("/language", language="en")
    return person


@pytest.fixture
def basic(bakery, clock, entropy) -> None:
    assert plans.change_plan(bakery.id, "basic", now=clock(), entropy=entropy)


def text_of(person, path: str) -> str:
    main = person.get(path).text.partition("<main")[2]
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", main)).split())


def test_customer_sees_the_plan(paul, bakery, clock, entropy) -> None:
    usage_text = text_of(paul, "/usage")
    assert "Your plan: starter" in usage_text
    assert "Numbers, calls and their length No limit" in usage_text
    assert "Formats of new recordings Opus, WAV" in usage_text
    assert "As long as your country’s rules allow" in usage_text
    assert usage_text.count("Included") == 3
    plans.change_plan(bakery.id, "basic", now=clock(), entropy=entropy)
    usage_text = text_of(paul, "/usage")
    assert "Your plan: Basic" in usage_text
    assert "Numbers, calls and their length No limit" in usage_text
    assert "Retention that you can choose At most 14 days" in usage_text
    assert usage_text.count("Not included") == 3
    log = paul.get("/access-log").text
    assert "Your provider changed the company’s plan." in log


def test_download_is_not_part_of_the_plan(paul, house, bakery, basic) -> None:
    call = house.call(bakery)
    assert NOT_PART in text_of(paul, f"/recordings/{call}")
    assert f"/recordings/{call}/download" not in paul.get(f"/recordings/{call}").text
    assert fetch(paul, call).status_code == 403
    assert leaves("access.refused")[-1]["reason"] == "access.download_plan"
    claire = f"/team/{bakery.people['claire'].id}"
    assert NOT_PART in text_of(paul, claire)
    assert paul.send(claire, role="customer", sees="all", downloads="yes").status_code == 303
    assert leaves("user.download_changed") == [], "nothing that cannot be used"


def test_csv_is_not_part_of_the_plan(paul, basic) -> None:
    for page, file in (("/usage", "/usage.csv"), ("/access-log", "/access-log.csv")):
        assert NOT_PART in text_of(paul, page)
        assert f'href="{file}' not in paul.get(page).text
        refused = paul.get(file)
        assert refused.status_code == 403
        assert "Not part of the plan" in refused.text


def test_programs_are_not_part_of_the_plan(app, house, bakery, clock, entropy) -> None:
    secret = "accord_till"
    hashed = hashlib.sha256(secret.encode()).hexdigest()
    signing_args = {"now": clock(), "entropy": entropy, "signer": house.services.signer}
    api_tokens.create(bakery.id, name="till", token_sha256=hashed, **signing_args)

    def ask(path: str):
        return app.test_client().get(f"/api/v1{path}", headers={"Authorization": f"Bearer {secret}"})

    assert ask("/calls").status_code == 200
    plans.change_plan(bakery.id, "basic", now=clock(), entropy=entropy)
    refused = ask("/calls")
    assert (refused.status_code, refused.json["type"]) == (403, "urn:accord:plan.feature")


def test_tokens_are_not_part_of_the_plan(paul, bakery, basic) -> None:
    assert NOT_PART in text_of(paul, "/api-tokens")
    assert paul.send("/api-tokens", name="till").status_code == 403
    assert api_tokens.tokens(bakery.id) == ()
    assert "/api-tokens" not in paul.get("/company").text


def test_retention_of_a_number_fits_the_plan(paul, bakery, basic) -> None:
    page = f"/numbers/{bakery.line.id}/setup"
    assert "At most 14 days in the plan “Basic”. Your provider can change it." in text_of(paul, page)
    form = {"purposes": "agreement", "mode": "notice", "languages": "fr", "first": "fr", "wording": "short"}
    refused = paul.send(page, **form, keep_days="15")
    assert refused.status_code == 422
    assert 'id="keep_days-wrong">At most 14 days in the plan “Basic”' in refused.text
    assert 'value="15"' in refused.text, "what was entered stays"
    assert paul.send(page, **form, keep_days="14").status_code == 303


def test_formats_of_a_number(paul, bakery, clock, entropy) -> None:
    page, path = f"/numbers/{bakery.line.id}/setup", f"/numbers/{bakery.line.id}/formats"

    def choices() -> list[str]:
        return re.findall(r'name="formats" value="(\w+)"[^>]*checked', paul.get(page).text)

    assert choices() == ["both"]
    assert paul.send(path, formats="opus").status_code == 303
    assert choices() == ["opus"]
    row = queries.line(bakery.id, bakery.line.id)
    assert row is not None
    assert row.formats == ("opus",)
    (leaf,) = leaves("line.changed")
    assert (leaf["formats"], leaf["formats_was"]) == (["opus"], ["opus", "wav"])
    assert leaf["actor"] == bakery.people["paul"].id
    plans.change_plan(bakery.id, "basic", now=clock(), entropy=entropy)
    assert choices() == ["wav"], "what is stored from now on"
    assert f"Opus – {NOT_PART}" in text_of(paul, page)
    for wrong in ("opus", "both", "mp3", ""):
        refused = paul.send(path, formats=wrong)
        assert refused.status_code == 422
        assert 'id="formats-wrong"' in refused.text


def test_only_admins_choose_formats(browser, bakery, rival) -> None:
    path = f"/numbers/{bakery.line.id}/formats"
    assert browser("claire").send(path, formats="wav").status_code == 403
    assert browser("dyck").send(path, formats="wav").status_code in (403, 404)


def test_later_agreement_fits_the_plan(paul, house, bakery, basic) -> None:
    call = house.call(bakery)
    page = f"/recordings/{call}"
    assert "Your plan allows 9 December 2026 at most. Your provider can change it." in text_of(paul, page)
    form = {"on": "2026-11-25", "until": "2027-01-15", "reason": "By e-mail"}
    refused = paul.send(f"{page}/retention/agreement", **form)
    assert "Your company’s plan has a shorter retention." in refused.text
