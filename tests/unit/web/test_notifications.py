"""The page of notifications, its bell, and each admin's choice."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from recorder.catalogue.tables.notification import NotificationTable
from recorder.errors import CatalogueError
from recorder.features.notifications import service
from recorder.features.notifications.rules import CAUSES
from recorder.ids import uuid7
from recorder.lifecycle import amendments
from tests.unit.web.page_text import english, text_of


@pytest.fixture
def failing_line(house, bakery) -> str:
    """A number of which calls are not recorded."""
    house.not_recorded(bakery, "daemon_away", at=house.clock() - timedelta(hours=1))
    service.update(bakery.id, house.clock(), house.entropy)
    return bakery.id


def count(page) -> str | None:
    found = re.search(r'class="bell-count">.*?</span>(\d+\+?)<', page.get("/recordings").text, re.DOTALL)
    return found.group(1) if found else None


def until(page) -> str:
    found = re.search('name="until" value="([^"]+)"', page.get("/notifications").text)
    assert found is not None
    return found.group(1)


def test_page_says_why_since_when_and_what_to_do(browser, failing_line):
    page = english(browser("paul"))
    notice_text = text_of(page.get("/notifications").text)
    assert "Not recorded New +32 2 555 01 00 (Magasin) Since 25 November 2026, 09:00" in notice_text
    assert "The recorder was not running, so calls went on without it. It usually comes back" in notice_text
    (link,) = re.findall('href="(/recordings[^"]*reason=daemon_away[^"]*)"', page.get("/notifications").text)
    assert page.get(html.unescape(link)).status_code == 200
    assert count(page) == "1"


def test_colleague_is_told_only_what_was_handed_to_them(house, browser, failing_line, bakery):
    """It is open as long as they handle it, whatever they have read; another colleague is told nothing."""
    recording = house.call(bakery)
    paul, claire = english(browser("paul")), english(browser("claire"))
    assert 'class="bell"' not in claire.get("/recordings").text
    form = {"recording": [recording], "action": "keep", "review": "2026-12-20", "why": "Order 12"}
    assert paul.send("/recordings/selection", **form, handler=bakery.people["claire"].id).status_code == 303
    assert count(claire) == "1"
    page = claire.get("/notifications").text
    assert "To do New Handed to you" in text_of(page)
    assert "You have been asked to look after 1 recording." in text_of(page)
    assert "Not recorded" not in text_of(page)
    assert 'href="/recordings?handed=yes"' in page
    assert f'href="/recordings/{recording}"' in claire.get("/recordings?handed=yes").text
    assert f'href="/recordings/{recording}"' not in paul.get("/recordings?handed=yes").text
    foreign = re.search(r'action="/notifications/([-0-9a-f]{36})/read"', paul.get("/notifications").text)
    assert claire.send(f"/notifications/{foreign[1]}/read", change=until(paul), read="yes").status_code == 404
    assert claire.send("/notifications/handover/read", change=until(claire), read="yes").status_code == 303
    assert count(claire) is None
    assert "To do Handed to you" in text_of(claire.get("/notifications").text), "reading does not finish it"
    (hold,) = amendments.holds(bakery.id)
    assert claire.send(f"/recordings/{recording}/retention/lift", hold=str(hold.number)).status_code == 303
    assert "Handed to you" not in text_of(claire.get("/notifications").text)
    assert f'href="/recordings/{recording}"' not in claire.get("/recordings?handed=yes").text


@pytest.mark.parametrize("login", ["audit", None])
def test_admins_and_colleagues_alone_have_it(browser, failing_line, login):
    somebody = browser(login)
    expected = 302 if login is None else 403
    assert somebody.get("/notifications").status_code == expected
    assert somebody.send("/notifications/read", until="2026-11-25T09:00:00Z").status_code == expected
    assert 'class="bell"' not in somebody.get("/recordings", follow_redirects=True).text
    assert 'id="notifications"' not in somebody.get("/account", follow_redirects=True).text


def test_another_customer_sees_nothing(house, browser, failing_line, rival):
    house.person(rival, "ans", "Ans", role="customer_admin", language="en")
    page = browser("ans")
    assert "Nothing to report" in text_of(page.get("/notifications").text)
    assert count(page) is None


def test_reading_marks_what_was_shown_and_only_on_request(house, browser, failing_line, bakery):
    page = english(browser("paul"))
    page_text = until(page)
    assert count(page) == "1", "showing it changes nothing"
    house.clock.forward(minutes=1)
    house.not_recorded(bakery, "full_disk")
    service.update(bakery.id, house.clock(), house.entropy)
    assert page.send("/notifications/read", until=page_text).status_code == 303
    assert count(page) == "1", "what came meanwhile is unread"
    notice_text = text_of(page.get("/notifications").text)
    assert notice_text.count("New") == 1
    assert page.send("/notifications/read", until=until(page)).status_code == 303
    assert count(page) is None
    assert "Mark all as read" not in page.get("/notifications").text
    house.clock.forward(minutes=10)
    house.call(bakery)
    service.update(bakery.id, house.clock(), house.entropy)
    assert count(page) == "2", "the end is news"
    assert text_of(page.get("/notifications").text).count("Recorded again New") == 2


def marks(page) -> list[tuple[str, dict[str, str]]]:
    """The address and the fields of each notification's form, with the text of its button."""
    found = []
    for form in re.findall(r'<form method="post" action="(/notifications/[^"]+/read)">(.*?)</form>',
                           page.get("/notifications").text, re.DOTALL):  # fmt: skip
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[1]))
        fields.pop("csrf_token")
        (fields["button"],) = re.findall(r'type="submit">([^<]+)<', form[1])
        found.append((form[0], fields))
    return found


def press(page, mark: tuple[str, dict[str, str]]) -> None:
    path, fields = mark
    answer = page.send(path, **{name: value for name, value in fields.items() if name != "button"})
    assert answer.location.startswith("/notifications#n-")


def test_single_notification_is_read_and_unread_again(house, browser, failing_line, bakery):
    house.person(bakery, "marie", "Marie", role="customer_admin")
    house.clock.forward(minutes=1)
    house.not_recorded(bakery, "full_disk")
    service.update(bakery.id, house.clock(), house.entropy)
    page, marie = english(browser("paul")), browser("marie")
    disk, daemon = marks(page)
    assert (disk[1]["button"], daemon[1]["button"]) == ("Mark as read", "Mark as read")
    press(page, daemon)
    assert (count(page), count(marie)) == ("1", "2"), "the other admin has not read it"
    disk, daemon = marks(page)
    assert (disk[1]["button"], daemon[1]["button"]) == ("Mark as read", "Mark as unread")
    press(page, daemon)
    assert count(page) == "2"
    press(page, marks(page)[0])
    assert count(page) == "1"
    assert page.send("/notifications/read", until=until(page)).status_code == 303
    assert count(page) is None
    press(page, marks(page)[1])
    assert count(page) == "1", "one of those that were read is unread again"
    assert text_of(page.get("/notifications").text).count("New") == 1
    assert page.send("/notifications/read", until=until(page)).status_code == 303
    assert count(page) is None


def test_notification_that_changes_is_unread_again(house, browser, failing_line, bakery):
    page = english(browser("paul"))
    (first_mark,) = marks(page)
    house.clock.forward(minutes=10)
    house.call(bakery)
    service.update(bakery.id, house.clock(), house.entropy)
    press(page, first_mark)
    assert count(page) == "1", "the page did not show its end yet"
    press(page, marks(page)[0])
    assert count(page) is None


def test_notification_of_somebody_else_or_none_is_not_marked(house, browser, failing_line, rival):
    house.person(rival, "ans", "Ans", role="customer_admin", language="en")
    ((path, fields),) = marks(browser("paul"))
    for who, address in (("ans", path), ("paul", "/notifications/nowhere/read")):
        assert browser(who).send(address, change=fields["change"], read="yes").status_code == 404
    for wrong in ("", "soon"):
        assert browser("paul").send(path, change=wrong).status_code == 400
    assert browser("claire").send(path, change=fields["change"]).status_code == 404


def test_time_to_come_reads_nothing_in_advance(house, browser, failing_line, bakery):
    page = browser("paul")
    assert page.send("/notifications/read", until="2100-01-01T00:00:00Z").status_code == 303
    house.clock.forward(minutes=1)
    house.not_recorded(bakery, "full_disk")
    service.update(bakery.id, house.clock(), house.entropy)
    assert count(page) == "1"
    for wrong in ("", "soon", "2026-11-25"):
        assert page.send("/notifications/read", until=wrong).status_code == 400


def test_choice_is_each_persons_own(house, browser, failing_line, bakery):
    house.person(bakery, "marie", "Marie", role="customer_admin")
    paul, marie = english(browser("paul")), browser("marie")
    assert 'value="mail" selected' in paul.get("/account").text
    answer = paul.send(
        "/notifications/choices", dispute_news="mail", not_recorded="none", work="page", review="mail"
    )
    assert answer.location == "/account#notifications"
    assert 'value="none" selected' in paul.get("/account").text
    assert (count(paul), count(marie)) == (None, "1")
    assert "Nothing to report" in text_of(paul.get("/notifications").text)
    choices = dict.fromkeys(("dispute_news", "not_recorded", "work", "review"), "mail")
    for wrong in (choices | {"not_recorded": "pigeon"}, {"not_recorded": "mail"}):
        assert paul.send("/notifications/choices", **wrong).status_code == 400


def test_every_cause_has_a_place_on_the_page(house, browser, bakery):
    at = house.clock()
    for kind, causes in CAUSES.items():
        for cause in causes:
            values = {"line_id": bakery.line.id} if kind == "not_recorded" else {"recording_id": "r"}
            NotificationTable.create(
                id=str(uuid7(at, house.entropy)), tenant=bakery.id, kind=kind, cause=cause, key=cause,
                data={"request": "q", "until": at.isoformat()}, since=at, changed_at=at, **values,
            )  # fmt: skip
    for language in ("en", "fr", "nl", "de"):
        page = browser("paul")
        page.send("/language", language=language)
        answer = page.get("/notifications")
        assert answer.status_code == 200
        assert answer.text.count('class="card notification') == sum(map(len, CAUSES.values()))


def test_bell_does_not_stop_the_page_that_says_what_is_wrong(browser, failing_line, monkeypatch):
    page = browser("paul")

    def away(*_arguments, **_options):
        raise CatalogueError("catalogue.away", "away", "")

    monkeypatch.setattr(service, "count_unread", away)
    assert page.get("/nowhere").status_code == 404
