"""An admin switches a number's keep question on in the panel: heard first, then asked, tried out, and
counted."""

from __future__ import annotations

import html
import re

import pytest

from recorder.catalogue import queries
from recorder.catalogue.records import KeepOptions
from recorder.features.tenants import line_policies
from recorder.features.tenants.line_change import LineChange, change_line
from tests.unit.web.page_text import text_of

USUAL = {"way": "question", "keep_days": "365", "without_yes": "keep", "at_start": "", "wording": "short"}


@pytest.fixture
def line(bakery):
    (row,) = queries.lines(bakery.id)
    return row


@pytest.fixture
def paul(browser, bakery):
    return browser("paul")


def address(line, rest: str = "") -> str:
    return f"/numbers/{line.id}/keep-question{rest}"


def errors_in(page: str) -> list[str]:
    return re.findall(
        r'class="field-error"[^>]*>([^<]+)<|class="notice is-error" role="alert"><p>([^<]+)<', page
    )


def page_of(person, line, **choice: str) -> str:
    """The page, in French, with a choice."""
    answer = person.get(address(line), query_string=choice)
    assert answer.status_code == 200, errors_in(answer.text)
    return html.unescape(answer.text)


def switch_on(person, line, **choice: str):
    choice = {**USUAL, **choice}
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', page_of(person, line, **choice))[1]
    return person.send(address(line, "/on"), digest=digest, **choice)


def keep_policy(line):
    (policy,) = line_policies.policies().lines
    return policy.keep


def test_what_was_heard_is_what_is_asked(paul, bakery, line, clock) -> None:
    page = page_of(paul, line)
    assert keep_policy(line) is None, "a page switches nothing on"
    sounds = re.findall(r'<audio controls preload="none" src="([^"]+)"', page)
    texts = re.findall(r'<blockquote lang="fr">([^<]+)</blockquote>', page)
    assert len(sounds) == len(texts) == 4, "the question, and what follows each answer"
    first_sounds = [paul.get(each) for each in sounds]
    assert {(each.status_code, each.mimetype) for each in first_sounds} == {(200, "audio/wav")}

    clock.forward(hours=1)
    assert switch_on(paul, line).status_code == 303
    keep = keep_policy(line)
    assert (keep.keep_days, keep.purpose, keep.destroy, keep.at_start) == (365, "agreement", False, False)
    assert [each.text for each in (keep.question, keep.yes, keep.no, keep.none)] == texts
    page = page_of(paul, line)
    assert 'name="digest"' not in page
    assert "Question activée" in page
    assert "Modifié par Paul Martin" in text_of(page)
    again = re.findall(r'<audio controls preload="none" src="([^"]+)"', page)
    assert [paul.get(each).data for each in again] == [each.data for each in first_sounds], "byte for byte"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"way": "own_words"}, KeepOptions(365, own_words=True)),
        ({"without_yes": "destroy", "at_start": "yes"}, KeepOptions(365, destroy=True, at_start=True)),
        ({"keep_days": "90", "wording": "long"}, KeepOptions(90, wording="long")),
    ],
)
def test_it_is_asked_as_chosen(paul, bakery, line, choice, expected) -> None:
    assert switch_on(paul, line, **choice).status_code == 303
    assert queries.line(bakery.id, line.id).keep == expected
    assert (keep_policy(line).question is None) == expected.own_words
    assert 'name="digest"' not in page_of(paul, line), "the page begins with what is on"
    assert 'name="digest"' in page_of(paul, line, **{**USUAL, "keep_days": "180"}), "another choice"


@pytest.mark.parametrize(
    ("days", "sentence"),
    [
        ("4000", "Belgique : pour"),
        ("", "Indiquez un nombre de jours"),
        ("20", "déjà gardés 30 jours"),
        ("²", "Indiquez un nombre de jours"),
    ],
)
def test_a_retention_that_cannot_be_is_refused_beside_its_field(paul, bakery, line, days, sentence) -> None:
    for answer in (
        paul.get(address(line), query_string={**USUAL, "keep_days": days}),
        paul.send(address(line, "/on"), digest="0" * 64, **{**USUAL, "keep_days": days}),
    ):
        assert answer.status_code == 422
        wrong = re.search(r'id="keep_days-wrong">([^<]+)<', answer.text)[1]
        assert sentence in html.unescape(wrong)
        assert 'id="way-question" checked' in answer.text, "nothing has to be chosen twice"
    assert keep_policy(line) is None
    assert paul.get(address(line, "/0.wav"), query_string={**USUAL, "keep_days": days}).status_code == 404


def test_nothing_is_switched_on_that_was_not_heard(paul, bakery, line, clock, entropy) -> None:
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', page_of(paul, line))[1]
    answer = paul.send(address(line, "/on"), digest=digest, **{**USUAL, "keep_days": "180"})
    assert answer.status_code == 409
    change = LineChange(languages=["fr", "en"])
    assert change_line(bakery.id, line.id, change, now=clock(), entropy=entropy)
    assert paul.send(address(line, "/on"), digest=digest, **USUAL).status_code == 409
    assert keep_policy(line) is None


def test_a_retention_is_chosen_among_those_that_can_be_said(paul, line) -> None:
    page = page_of(paul, line)
    options = re.findall(r'<option value="(\d+)"( selected)?>([^<]+)<', page)
    assert [days for days, _, _ in options][:4] == ["30", "60", "90", "180"], "from the announced one on"
    assert [name for _, is_selected, name in options if is_selected] == ["Un an"]
    assert options[-1][2] == "Dix ans", "as long as the country allows"
    answer = paul.send(address(line, "/on"), digest="0" * 64, **{**USUAL, "keep_days": "200"})
    assert answer.status_code == 422, "nothing here can say it"


def test_it_is_heard_in_each_language(paul, bakery, line, clock, entropy) -> None:
    change = LineChange(languages=["fr", "nl"])
    assert change_line(bakery.id, line.id, change, now=clock(), entropy=entropy)
    page = page_of(paul, line)
    assert [page.count(f'<blockquote lang="{each}">') for each in ("fr", "nl")] == [4, 4]
    assert switch_on(paul, line).status_code == 303
    assert page_of(paul, line).count("<blockquote") == 8


def test_it_is_switched_off(paul, bakery, line) -> None:
    switch_on(paul, line)
    assert paul.send(address(line, "/off")).status_code == 303
    assert keep_policy(line) is None
    assert 'name="digest"' in page_of(paul, line)


def test_answers_of_the_last_thirty_days_are_counted(browser, paul, house, bakery, line, clock) -> None:
    switch_on(paul, line)
    answers = [
        {"answer": "yes", "by": "external", "how": "key"},
        {"answer": "no", "by": "external", "how": "key"},
        {"answer": "none"},
    ]
    house.call(bakery, questions=[answers[0]])
    clock.forward(days=31)
    for each in answers:
        house.call(bakery, questions=[each])
    house.call(bakery)
    house.not_recorded(bakery, "not_kept")
    counts = re.findall(r"<dt>([^<]+)</dt><dd>(\d+)</dd>", page_of(browser("paul"), line))
    assert dict(counts) == {
        "Demandé": "4",
        "Oui": "1",
        "Non": "1",
        "Sans réponse": "1",
        "Détruits faute d’un oui": "1",
    }


def stages(page: str) -> list[str]:
    return re.findall(r'call-stage is-done">.*?<span>([^<]+)<', page, re.DOTALL)


def test_a_test_call_goes_through_it(paul, house, bakery, line, clock) -> None:
    """Only calls since it was switched on: an older one cannot have been asked."""
    house.call(bakery)
    clock.forward(minutes=10)
    switch_on(paul, line)
    page = page_of(paul, line)
    assert stages(page) == []
    assert 'data-live="yes"' in page
    clock.forward(minutes=10)
    house.call(bakery)
    assert stages(page_of(paul, line)) == ["L’appel est arrivé", "L’annonce a été entendue"]
    assert "n’a pas été posée dans votre dernier appel" in page_of(paul, line)
    clock.forward(minutes=10)
    call = house.call(bakery, questions=[{"answer": "yes", "by": "external", "how": "key"}])
    page = page_of(paul, line)
    assert stages(page)[2:4] == ["La question a été posée", "Réponse : oui"]
    assert stages(page)[4].startswith("Conservé jusqu’au")
    assert f"/recordings/{call}" in page
    assert 'data-live="no"' in page


def test_the_card_has_the_codes_that_are_on(browser, bakery, line, clock, entropy) -> None:
    """For colleagues, too."""
    claire = browser("claire")

    def codes() -> list[str]:
        return re.findall(r"<kbd>(\*\d)</kbd>", claire.get(f"/numbers/{line.id}/card").text)

    assert codes() == ["*6", "*7", "*8"]
    change = LineChange(keep=KeepOptions(365, own_words=True), deletable=True)
    assert change_line(bakery.id, line.id, change, now=clock(), entropy=entropy)
    assert codes() == ["*5", "*6", "*7", "*8", "*9"]
    page = text_of(claire.get(f"/numbers/{line.id}/card").text)
    assert "Accord" in page
    assert "Demandez, puis appuyez sur 1 (oui) ou 2 (non)." in page
    assert claire.get(address(line)).status_code == 403
