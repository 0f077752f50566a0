"""An operator changes what several of a customer's numbers announce, and sees the consequences first."""

from __future__ import annotations

import html
import re

import pytest

from recorder.catalogue import queries
from recorder.domain.roles import OPERATOR, PROVIDER
from recorder.features.tenants import composition
from recorder.features.tenants.registration import Registration
from recorder.lifecycle.line_proposals import find_proposals
from tests.house import Customer
from tests.unit.web.page_text import text_of
from tests.unit.web.test_setup import leaves


@pytest.fixture
def olga(house, browser):
    Registration(house.keyring).open_provider("Telvoip", "en", house.clock())
    owner = Customer(PROVIDER, None, None)  # type: ignore[arg-type]  # it has neither line nor announcement
    house.person(owner, "olga", "Olga Opera", role=OPERATOR, language="en")
    return browser("olga")


@pytest.fixture
def numbers(house, bakery):
    """Three numbers: of the customer's own sound, of a composed announcement, and of a longer one."""
    house.person(bakery, "ada", "Ada Martin", role="customer_admin", language="en")
    at = {"now": house.clock(), "entropy": house.entropy}
    promise = {"language": "fr", "mode": "notice", "purposes": ["agreement"]}
    for number, keep_days in (("+3225550101", 30), ("+3225550102", 365)):
        row = composition.compose(bakery.id, name=number, keep_days=keep_days, **promise, **at)
        house.add_line(bakery.id, number, row.id, label=f"Kept {keep_days}")
    house.call(bakery)
    return {line.number: line for line in queries.lines(bakery.id)}


def forms(page: str) -> dict[str, list[str]]:
    """The hidden fields of the page's last form but for its token."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page):
        if name != "csrf_token":
            found.setdefault(name, []).append(html.unescape(value))
    return found


def keep_days(numbers) -> list[int]:
    lines = [queries.line(each.tenant, each.id) for each in numbers.values()]
    return [queries.announcement(line.tenant, line.announcement).keep_days for line in lines]


def test_consequences_are_shown_then_carried_out(olga, bakery, numbers) -> None:
    path, before = f"/customers/{bakery.id}/announcements", len(leaves("line.changed"))
    page = text_of(olga.get(path).text)
    assert "+32 2 555 01 02 · Kept 365" in page
    form = {"lines": [each.id for each in numbers.values()], "keep_days": "90"}
    preview = olga.send(f"{path}/preview", **form)
    found = text_of(preview.text)
    assert "Nothing has changed yet." in found
    parts = re.split(r"(Changes at once|Is proposed to the customer|Not possible)", found)
    groups = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert "+32 2 555 01 02" in groups["Changes at once"]
    assert "Now: 365 days → Then: 90 days" in groups["Changes at once"], groups
    assert "+32 2 555 01 01" in groups["Is proposed to the customer"]
    assert "more than now Now: 30 days → Then: 90 days" in groups["Is proposed to the customer"]
    assert "The customer’s own sound is played" in groups["Not possible"]
    assert (find_proposals(bakery.id), len(leaves("line.changed"))) == ({}, before)

    answer = olga.send(path, **forms(preview.text))
    assert answer.status_code == 303
    assert keep_days(numbers) == [30, 30, 90]
    page = olga.get(answer.location).text
    assert "1 number is changed. 1 change is proposed to the customer. 1 number could not be changed." in page
    assert "Waiting for the customer’s answer" in page
    assert "Proposed by Olga Opera on 25 November 2026" in page


def test_the_customer_reads_who_proposed_it(olga, bakery, numbers, browser) -> None:
    line = numbers["+3225550101"]
    olga.send(f"/customers/{bakery.id}/announcements", lines=line.id, keep_days="90")
    found = text_of(browser("ada").get(f"/numbers/{line.id}/proposal").text)
    assert "Proposed by Olga Opera, for your provider, on 25 November 2026" in found


@pytest.mark.parametrize(("path", "days"), [("", [30, 90, 90, 365]), ("/no", [30, 30, 30, 365])])
@pytest.mark.parametrize("for_all", [True, False])
def test_one_answer_is_for_all_with_the_same_proposal(
    olga, house, bakery, numbers, browser, path, days, for_all
) -> None:
    first = numbers["+3225550101"]
    house.add_line(bakery.id, "+3225550103", first.announcement)
    house.call(bakery)
    numbers = {line.number: line for line in queries.lines(bakery.id)}
    several = [numbers[each].id for each in ("+3225550101", "+3225550103")]
    olga.send(f"/customers/{bakery.id}/announcements", lines=several, keep_days="90")
    ada, address = browser("ada"), f"/numbers/{first.id}/proposal"
    page = ada.get(address).text
    assert "+32 2 555 01 03" in text_of(page)
    form = {**forms(page), **({"all": "yes"} if for_all else {})}
    wrong = [f"{numbers['+3225550102'].id}:1"]
    assert ada.send(address + path, **{**form, "all": "yes", "others": wrong}).status_code == 409
    assert sorted(keep_days(numbers)) == [30, 30, 30, 365]
    assert ada.send(address + path, **form).status_code == 303
    assert len(find_proposals(bakery.id)) == (0 if for_all else 1)
    assert sorted(keep_days(numbers)) == (days if for_all or path else [30, 30, 90, 365])


def test_a_proposal_is_withdrawn(olga, bakery, numbers) -> None:
    line = numbers["+3225550101"]
    olga.send(f"/customers/{bakery.id}/announcements", lines=line.id, keep_days="90")
    number = forms(olga.get(f"/customers/{bakery.id}").text)["number"][0]
    path = f"/customers/{bakery.id}/numbers/{line.id}/proposal/withdraw"
    assert olga.send(path, number=number).status_code == 303
    assert find_proposals(bakery.id) == {}
    page = olga.get(f"/customers/{bakery.id}").text
    assert "The proposal is withdrawn." in page
    assert "Waiting for" not in page
    assert olga.send(path, number=number).status_code == 303
    assert "answered or replaced meanwhile" in olga.get(f"/customers/{bakery.id}").text
    assert [leaf["actor"] for leaf in leaves("line.proposal_dropped")] == ["operator"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keep_days": "90"}, "Choose at least one number."),
        ({"lines": "", "keep_days": "90"}, "Choose at least one number."),
        ({"lines": "own", "keep_days": "soon"}, "Write a number of days."),
        ({"lines": "own", "keep_days": "0"}, "Write a number of days."),
        ({"lines": "own"}, "Choose what is to change"),
    ],
)
@pytest.mark.parametrize("path", ["", "/preview"])
def test_mistakes_are_shown_beside_their_fields(olga, bakery, numbers, rival, fields, message, path) -> None:
    (foreign,) = queries.lines(rival.id)
    own = {"own": numbers["+3225550101"].id, "": foreign.id}
    if "lines" in fields:
        fields = {**fields, "lines": own[fields["lines"]]}
    answer = olga.send(f"/customers/{bakery.id}/announcements{path}", **fields)
    assert answer.status_code == 422
    assert message in text_of(answer.text)


def test_all_numbers_are_chosen_at_once(olga, bakery, numbers) -> None:
    page = olga.get(f"/customers/{bakery.id}/announcements").text
    (address,) = re.findall(r'href="([^"]+)">Choose all', page)
    assert olga.get(html.unescape(address)).text.count(" checked") == len(numbers)


def test_the_way_back_keeps_what_was_chosen(olga, bakery, numbers) -> None:
    line = numbers["+3225550101"]
    preview = olga.send(
        f"/customers/{bakery.id}/announcements/preview", lines=line.id, mode="opt-in", keep_days="7"
    )
    (back,) = re.findall(r'href="(/customers/[^"]+/announcements\?[^"]+)"', preview.text)
    page = olga.get(html.unescape(back)).text
    assert page.count(" checked") == 1
    assert '<option value="opt-in" selected>' in page
    assert 'value="7"' in page


def test_languages_change_at_once(olga, bakery, numbers) -> None:
    """A further language promises nothing more: the same use case as the command line's asks nobody."""
    line, path = numbers["+3225550101"], f"/customers/{bakery.id}/announcements"
    form = {"lines": line.id, "languages": ["fr", "de"], "first": "de"}
    preview = olga.send(f"{path}/preview", **form)
    assert "Changes at once" in text_of(preview.text)
    assert "Now: French → Then: German, French" in text_of(preview.text)
    (back,) = re.findall(r'href="(/customers/[^"]+/announcements\?[^"]+)"', preview.text)
    page = olga.get(html.unescape(back)).text
    assert page.count(" checked") == 3, "the number and its languages"
    assert '<option value="de" selected>' in page
    assert queries.line(bakery.id, line.id) == line, "nothing changes before"

    assert olga.send(path, **forms(preview.text)).status_code == 303
    changed = queries.line(bakery.id, line.id)
    rows = [queries.announcement(bakery.id, each) for each in changed.announcements]
    assert [(row.language, row.mode, row.keep_days) for row in rows] == [
        ("de", "notice", 30), ("fr", "notice", 30),
    ]  # fmt: skip
    assert changed.menu is not None
    assert find_proposals(bakery.id) == {}
    (leaf,) = leaves("line.changed")[-1:]
    assert leaf["actor"] == "operator"


def test_languages_with_a_longer_retention_are_proposed(olga, bakery, numbers) -> None:
    line = numbers["+3225550101"]
    olga.send(
        f"/customers/{bakery.id}/announcements",
        lines=line.id, languages=["nl"], keep_days="90",
    )  # fmt: skip
    assert queries.line(bakery.id, line.id) == line
    assert [*find_proposals(bakery.id)] == [line.id]


@pytest.mark.parametrize(
    "fields", [{"languages": ["fr", "de"]}, {"languages": ["fr"], "first": "de"}, {"first": "de"}]
)
def test_first_language_is_one_of_them(olga, bakery, numbers, fields) -> None:
    line = numbers["+3225550101"]
    answer = olga.send(f"/customers/{bakery.id}/announcements/preview", lines=line.id, **fields)
    assert answer.status_code == 422
    assert "Choose the first of these languages." in text_of(answer.text)
