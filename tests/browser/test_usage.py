"""The usage page in a browser."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from recorder.clock import utc_now

from .test_pages import assert_accessible, stays_on_the_page

pytestmark = pytest.mark.long


def test_axe_finds_no_violations(person) -> None:
    somebody = person(width=320, reduced_motion="reduce", language="en-GB").log_in("paul")
    today = utc_now().date()
    somebody.go(f"/usage?from={today - timedelta(days=29)}&to={today + timedelta(days=1)}")
    expect(somebody.page.get_by_role("img", name="Recorded time per day")).to_be_visible()
    expect(somebody.page.get_by_role("heading", name="By number")).to_be_visible()
    stays_on_the_page(somebody)
    for width in (1600, 1100):
        somebody.page.set_viewport_size({"width": width, "height": 800})
        stays_on_the_page(somebody)
    for scheme in ("light", "dark"):
        somebody.page.emulate_media(color_scheme=scheme)
        assert_accessible(somebody)
