"""The page of registration suggests where the company is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from .conftest import Person


@pytest.mark.parametrize(
    ("zone", "country", "expected"),
    [
        ("Europe/Brussels", "be", "Europe/Brussels"),
        ("Europe/Amsterdam", "nl", "Europe/Amsterdam"),
        ("Europe/Madrid", "strict", "Europe/Madrid"),
        ("America/New_York", "fr", "Europe/Paris"),
    ],
)
def test_country_is_suggested_by_the_devices_time_zone(
    person: Callable[..., Person], zone: str, country: str, expected: str
) -> None:
    somebody = person(360, "fr-FR", timezone_id=zone)
    somebody.go("/register")
    expect(somebody.page.locator("#country")).to_have_value(country)
    expect(somebody.page.locator("#time_zone")).to_have_value(expected)
    somebody.page.locator("#country").select_option("lu")
    somebody.page.locator("button[type=submit].is-primary").click()
    expect(somebody.page.locator(".field-error").first).to_be_visible()
    expect(somebody.page.locator("#country")).to_have_value("lu")
    somebody.console_errors.clear()  # Chromium notes the 422
