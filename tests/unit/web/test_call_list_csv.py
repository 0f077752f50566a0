"""The call list as a file: what it has, who gets which calls, and that it is logged."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

from recorder.domain.parties import Party
from recorder.features.call_list import service
from recorder.features.notes import service as notes
from recorder.features.team import extensions
from recorder.seal.amendment import By
from tests.unit.web.account_mails import kinds
from tests.unit.web.page_text import english


def rows_of(answer) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"))))


def test_file_has_what_the_list_shows(browser, house, bakery, clock) -> None:
    at = clock()
    recording = house.call(bakery, external_party=Party("e164", "+32470123456"), at=at)
    missing = house.not_recorded(
        bakery, "declined", external_party=Party("sip", "=cmd|'/c calc'!A1"), at=at - timedelta(hours=1)
    )
    notes.add_label(
        bakery.id, recording, bakery.people["claire"].id, text="@offer", now=at, entropy=house.entropy
    )
    paul = bakery.people["paul"].id
    extensions.set_extensions(bakery.id, paul, ["1001"], by=By("operator"), now=at, entropy=house.entropy)
    answer = english(browser("claire")).send("/recordings.csv")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="calls-{at:%Y-%m-%d}.csv"'
    recorded, unrecorded = rows_of(answer)
    assert recorded["Call"] == recording
    assert recorded["Other party"] == "'+32470123456"
    assert (recorded["Recorded"], recorded["Announced"], recorded["Agreement to keep"]) == (
        "Yes", "Yes", "Not asked",
    )  # fmt: skip
    assert (recorded["Number"], recorded["Label of the number"]) == ("'+3225550100", "Magasin")
    assert recorded["Labels"] == "'@offer"
    assert recorded["Colleague"] == "Paul Martin"
    assert int(recorded["Length in seconds"]) > 0
    assert (unrecorded["Call"], unrecorded["Recorded"]) == (missing, "No")
    assert unrecorded["Why not recorded"] == "The caller chose not to be recorded."
    assert unrecorded["Other party"].startswith("'=")
    assert kinds(bakery.id).count(service.DOWNLOADED) == 1


def test_file_has_all_pages_and_follows_the_filter(browser, house, bakery, monkeypatch, clock) -> None:
    monkeypatch.setattr(service, "BATCH", 3)
    at = clock()
    ids = [house.not_recorded(bakery, "never_connected", at=at - timedelta(hours=n)) for n in range(10)]
    other = house.not_recorded(bakery, "declined", at=at - timedelta(hours=11))
    person = english(browser("claire"))
    assert [each["Call"] for each in rows_of(person.send("/recordings.csv"))] == [*ids, other]
    assert [each["Call"] for each in rows_of(person.send("/recordings.csv", reason="declined"))] == [other]
    assert rows_of(person.send("/recordings.csv", q="nobody")) == []
    page = person.get("/recordings?reason=declined").text
    form = page.partition('action="/recordings.csv"')[2].partition("</form>")[0]
    assert re.findall(r'name="(?!csrf)(\w+)" value="([^"]*)"', form) == [
        ("show", "not-recorded"),
        ("reason", "declined"),
    ]


def test_file_has_no_call_of_others(browser, house, luc, rival) -> None:
    house.call(rival)
    assert [each["Call"] for each in rows_of(english(browser("luc")).send("/recordings.csv"))] == [luc]
    assert len(rows_of(english(browser("claire")).send("/recordings.csv"))) == 2
    assert len(rows_of(english(browser("dyck")).send("/recordings.csv"))) == 1


def test_plan_without_exports_has_no_file(browser, house, bakery, monkeypatch) -> None:
    house.not_recorded(bakery, "declined")
    monkeypatch.setattr("web.decorators.current_plan", lambda: type("Plan", (), {"features": ()})())
    assert browser("claire").send("/recordings.csv").status_code == 403
    assert kinds(bakery.id).count(service.DOWNLOADED) == 0
