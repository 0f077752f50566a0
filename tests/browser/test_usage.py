"""The usage page in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .test_pages import assert_accessible, stays_on_the_page


@pytest.mark.parametrize("address", ["/usage", "/usage?from=x"])
def test_axe_finds_no_violations(person, address) -> None:
    somebody = person(width=320, reduced_motion="reduce", language="en-GB").log_in("paul")
    somebody.go(address)
    expect(somebody.page.get_by_role("img", name="Recorded time per day")).to_be_visible()
    expect(somebody.page.get_by_role("heading", name="By number")).to_be_visible()
    stays_on_the_page(somebody)
    for width in (1600, 1100):
        somebody.page.set_viewport_size({"width": width, "height": 800})
        stays_on_the_page(somebody)
    for scheme in ("light", "dark"):
        somebody.page.emulate_media(color_scheme=scheme)
        assert_accessible(somebody)
