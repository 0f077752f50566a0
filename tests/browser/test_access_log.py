"""The access log in a browser: a listen appears with what was heard, and an entry is checked."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .test_pages import check_look

pytestmark = pytest.mark.long


@pytest.mark.parametrize("address", ["/access-log", "/access-log?kind=settings&from=x", "/access-log/1"])
def test_axe_finds_no_violations(person, address) -> None:
    somebody = person(width=320, reduced_motion="reduce").log_in("paul")
    somebody.go(address)
    for details in somebody.page.locator("main details").all():
        details.evaluate("(one) => one.open = true")
    check_look(somebody)


def test_listen_is_found_with_what_was_heard(person) -> None:
    claire = person().log_in("claire").listen("short")
    claire.page.get_by_role("button", name="Lecture").click()
    claire.plays_past(1)
    claire.go("/recordings")
    paul = person(language="en-GB").log_in("paul")
    paul.go("/access-log")
    paul.page.get_by_label("Person").select_option(label="Claire Martin")
    paul.page.get_by_label("Kind").select_option(label="Listening")
    paul.page.get_by_role("button", name="Find").click()
    entry = paul.page.get_by_role("listitem").filter(has_text="Claire Martin listened to a recording.").first
    expect(entry).to_contain_text("Heard")
    entry.get_by_role("link", name=re.compile("^Check")).click()
    expect(paul.page.get_by_text("This entry is not signed yet.")).to_be_visible()


def test_signed_entry_is_checked_and_downloaded(person) -> None:
    paul = person(language="en-GB").log_in("paul")
    paul.go("/access-log/1")
    expect(paul.page.get_by_text("Checked just now: this entry is in checkpoint 1")).to_be_visible()
    with paul.page.expect_download() as download:
        paul.page.get_by_role("link", name="Download entry-1.json").click()
    assert download.value.suggested_filename == "entry-1.json"
    paul.go("/access-log")
    with paul.page.expect_download() as download:
        paul.page.get_by_role("link", name="Download all entries as CSV").click()
    assert "saved an announcement" in download.value.path().read_text("utf-8-sig")
