"""A customer with a small plan in a browser: what it has, and what is not part of it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .test_pages import assert_accessible, stays_on_the_page

pytestmark = pytest.mark.long


def test_pages_say_what_is_not_part_of_the_plan(person):
    noel = person(width=320, reduced_motion="reduce").log_in("noel").go("/usage")
    page = noel.page
    expect(page.get_by_role("heading", name="Votre formule : Essentiel")).to_be_visible()
    expect(page.locator(".usage-plan")).to_contain_text("Sans limite")
    noel.go("/numbers")
    page.get_by_role("link", name="Modifier l’annonce").click()
    expect(page.locator("#stored")).to_contain_text("WAV")
    expect(page.locator("#stored")).to_contain_text("Ne fait pas partie de la formule")
    page.fill("#keep_days", "21")
    page.locator("main button.is-primary").click()
    expect(page.locator("#keep_days-wrong")).to_contain_text("Au plus 14 jours avec la formule")
    assert page.locator("#keep_days").input_value() == "21"
    noel.expect_refusal("422")
    for width in (320, 1100):
        page.set_viewport_size({"width": width, "height": 800})
        stays_on_the_page(noel)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert_accessible(noel)
