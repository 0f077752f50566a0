"""The navigation shows what the visitor's role may use, and marks the page that is shown."""

from __future__ import annotations

import re

import pytest

from web.navigation import MENU, PAGES

LINKS = re.compile(r'<a href="([^"]+)"( aria-current="(\w+)")?><svg.*?</svg><span>([^<]+)</span>', re.DOTALL)


def links(page: str) -> dict[str, tuple[str, str]]:
    """Name and ``aria-current`` by address."""
    nav = page.partition('<nav class="site-nav"')[2].partition("</nav>")[0]
    return {found[0]: (found[3], found[2]) for found in LINKS.findall(nav)}


def test_no_navigation_before_the_log_in(app, browser):
    assert links(browser().get("/login").text) == {}


def test_every_page_of_the_navigation_opens(bakery, browser):
    paul = browser("paul")
    found = links(paul.get("/recordings").text)
    assert found["/recordings"][1] == "page"
    for address in found:
        opened = paul.get(address)
        assert opened.status_code == 200
        assert {each for each, (_, current) in links(opened.text).items() if current} == {address}


@pytest.mark.parametrize("login", ["claire", "audit"])
def test_no_page_is_offered_that_refuses(bakery, browser, login):
    somebody = browser(login)
    found = links(somebody.get("/recordings").text)
    assert found
    assert [address for address in found if somebody.get(address).status_code != 200] == []
    assert "/subject-requests" not in found


def test_entries_are_named_and_drawn(app):
    icons = app.jinja_env.get_template("icons.html").module.PATHS
    assert {each.icon for each in (*PAGES, *MENU)} <= set(icons)
