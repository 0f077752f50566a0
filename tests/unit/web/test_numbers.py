"""The page of numbers and their announcements."""

from __future__ import annotations

import html

from recorder.catalogue import queries
from recorder.catalogue.records import KeepOptions
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.lifecycle import line_history


def test_page_shows_the_announcement(browser, house, bakery):
    page = browser("claire").get("/numbers")
    (line,) = queries.lines(bakery.id)
    announcement = queries.announcement(bakery.id, line.announcement)
    assert page.status_code == 200
    assert announcement.text in html.unescape(page.text)
    assert f'lang="{announcement.language}"' in page.text
    for text in ("+32\u00a02\u00a0555\u00a001\u00a000", "30 jours", "avant la sonnerie", "*58"):
        assert text in page.text
    assert "Composez *5 :" not in page.text


def test_page_shows_consent_mode_and_timing(browser, house, bakery, clock, entropy):
    (line,) = queries.lines(bakery.id)
    now = {"now": clock(), "entropy": entropy}
    change_line(bakery.id, line.id, LineChange(timing="at_pickup"), **now)
    change_line(bakery.id, line.id, LineChange(keep=KeepOptions(365)), **now)
    page = browser("claire").get("/numbers")
    for text in ("dès que quelqu’un décroche", "365 jours", "Composez *5 : les deux entendent la question"):
        assert text in page.text


def test_page_explains_outbound_calls(browser, bakery, clock, entropy):
    (line,) = queries.lines(bakery.id)
    for how, text in (
        ("before_connected", "et avant la mise en relation"),
        ("once_connected", "les deux entendent l’annonce dès"),
    ):
        assert text not in browser("claire").get("/numbers").text
        change_line(bakery.id, line.id, LineChange(outbound=how), now=clock(), entropy=entropy)
        assert text in browser("claire").get("/numbers").text


def test_hides_ended_and_foreign_numbers(browser, rival, bakery, clock, entropy):
    person = browser("claire")
    assert "+32\u00a02\u00a0555\u00a001\u00a099" in browser("dyck").get("/numbers").text
    assert "+32\u00a02\u00a0555\u00a001\u00a099" not in person.get("/numbers").text
    (line,) = queries.lines(bakery.id)
    line_history.end_line(bakery.id, line.id, now=clock(), entropy=entropy)
    page = person.get("/numbers")
    assert "Vous n’avez pas encore de numéro" in page.text
    assert "<section" not in page.text
