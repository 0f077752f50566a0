"""A person's account in a browser: authenticator app, recovery codes, logging in with both."""

from __future__ import annotations

import time
from dataclasses import replace

import pyotp
import pytest
from playwright.sync_api import expect

from tests.browser.test_pages import assert_accessible, stays_on_the_page
from tests.house import PASSWORD

pytestmark = pytest.mark.long


def begin(somebody, login: str, path: str = "/login") -> None:
    """The password, which leads to the second step; from the log-in page, or another one that leads to it."""
    somebody.go(path)
    somebody.page.fill("#login", login)
    somebody.page.fill("#password", PASSWORD)
    somebody.page.click("main button[type=submit]")
    expect(somebody.page.locator("#code")).to_be_visible()


@pytest.mark.parametrize(
    ("login", "width", "language"),
    [("zoe", 360, "fr-BE"), pytest.param("tom", 1280, "en-GB", marks=pytest.mark.long)],
)
def test_app_is_set_up_and_used(person, login, width, language, tmp_path):
    somebody = person(width=width, language=language, reduced_motion="reduce")
    page = somebody.page
    somebody.log_in(login)

    def look(name: str) -> None:
        stays_on_the_page(somebody)
        assert_accessible(somebody)
        page.screenshot(path=tmp_path / f"{name}.png", full_page=True)

    somebody.go("/account")
    look("off")
    page.click(".factor-list button")
    page.click(".steps summary")
    secret = page.locator(".secret-key code").inner_text().replace(" ", "")
    look("app")
    app = pyotp.TOTP(secret)
    page.fill("#code", "000 000")
    page.click("main button[type=submit]")
    somebody.expect_refusal("422")
    expect(page.locator("#code-wrong")).to_be_visible()
    look("wrong")
    code = app.now()
    page.fill("#code", code)
    page.click("main button[type=submit]")
    expect(page.locator(".recovery-codes li")).to_have_count(10)
    codes = page.locator(".recovery-codes code").all_inner_texts()
    look("codes")
    page.click("main .button")
    expect(page.locator("#two-step")).to_be_visible()
    look("on")
    page.emulate_media(color_scheme="dark")
    assert_accessible(somebody)
    page.emulate_media(color_scheme="light")

    other = person(width=width, language=language, reduced_motion="reduce")
    begin(other, login, "/account#t=1:23")
    stays_on_the_page(other)
    assert_accessible(other)
    other.page.screenshot(path=tmp_path / "second-step.png", full_page=True)
    other.page.fill("#code", code)
    other.page.click("main button[type=submit]")
    other.expect_refusal("422")
    expect(other.page.locator("#code-wrong")).to_be_visible()
    other.page.fill("#code", app.at(time.time() + 30))
    other.page.click("main button[type=submit]")
    expect(other.page.locator("#two-step")).to_be_visible()
    assert other.page.url.endswith("/account#t=1:23"), "the moment of a link stays, through a wrong code, too"

    other_device = person(width=width, language=language)
    begin(other_device, login)
    other_device.page.fill("#code", codes[0].upper())
    other_device.page.click("main button[type=submit]")
    expect(other_device.page.locator("#two-step")).to_be_visible()
    expect(other_device.page.get_by_text("9 codes")).to_be_visible()


def virtual_authenticator(somebody, **options: object) -> object:
    """Chromium's own authenticator, which verifies its user."""
    session = somebody.page.context.new_cdp_session(somebody.page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
                "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
            }
            | options
        },
    )  # fmt: skip
    return session


@pytest.mark.parametrize(
    ("login", "width", "language"),
    [("norah", 360, "fr-BE"), pytest.param("ben", 1280, "en-GB", marks=pytest.mark.long)],
)
def test_passkey_is_added_and_used(person, login, width, language, tmp_path):
    """At the panel's public name: an address is none that browsers allow."""
    somebody = person(width=width, language=language, reduced_motion="reduce")
    somebody.panel = replace(somebody.panel, address=somebody.panel.address.replace("127.0.0.1", "localhost"))
    page = somebody.page
    virtual_authenticator(somebody)
    somebody.log_in(login)
    somebody.go("/account")
    page.locator("[data-passkey-part] summary").click()
    page.fill("#passkey-name", "Laptop")
    stays_on_the_page(somebody)
    assert_accessible(somebody)
    page.screenshot(path=tmp_path / "add.png", full_page=True)
    page.locator("[data-passkey=add] button").click()
    expect(page.locator(".recovery-codes li")).to_have_count(10)
    page.click("main .button")
    page.locator("details", has=page.locator("[action$='/rename']")).locator("summary").click()
    page.locator("#passkey-name-1").fill("Work laptop")
    stays_on_the_page(somebody)
    assert_accessible(somebody)
    page.screenshot(path=tmp_path / "added.png", full_page=True)
    page.locator("[action$='/rename'] button").click()
    expect(page.get_by_role("heading", name="Work laptop")).to_be_visible()

    def log_out() -> None:
        somebody.go("/recordings")
        page.locator(".menu > summary").click()
        page.locator(".menu form[action='/logout'] button").click()
        expect(page.locator("#login")).to_be_visible()

    log_out()
    stays_on_the_page(somebody)
    assert_accessible(somebody)
    page.screenshot(path=tmp_path / "log-in.png", full_page=True)
    page.locator("[data-passkey=use] button").click()
    expect(page.locator(".calls").first).to_be_visible()
    log_out()
    page.fill("#login", login)
    page.fill("#password", PASSWORD)
    page.click("main form button[type=submit]")
    expect(page.locator("#code")).to_be_visible()
    page.screenshot(path=tmp_path / "second-step.png", full_page=True)
    page.locator("[data-passkey=use] button").click()
    expect(page.locator(".calls").first).to_be_visible()


def test_device_without_a_passkey_is_told_so(person):
    somebody = person(language="en-GB")
    somebody.panel = replace(somebody.panel, address=somebody.panel.address.replace("127.0.0.1", "localhost"))
    virtual_authenticator(somebody, isUserVerified=False)
    somebody.go("/login")
    somebody.page.locator("[data-passkey=use] button").click()
    expect(somebody.page.get_by_role("status").filter(has_text="No passkey was used")).to_be_visible()
    expect(somebody.page.locator("#login")).to_be_visible()


def test_company_requires_two_steps_and_resets_a_lost_one(person, tmp_path):
    """Eva requires it, Ida sets it up and loses her phone, Eva and Max reset it."""

    def look(somebody, name: str) -> None:
        stays_on_the_page(somebody)
        assert_accessible(somebody)
        somebody.page.screenshot(path=tmp_path / f"{name}.png", full_page=True)

    def enter(login: str, width: int, language: str):
        somebody = person(width=width, language=language, reduced_motion="reduce")
        somebody.go("/login")
        somebody.page.fill("#login", login)
        somebody.page.fill("#password", PASSWORD)
        somebody.page.click("main button[type=submit]")
        return somebody

    eva, max_ = enter("eva", 360, "fr-BE"), enter("max", 1280, "en-GB")
    expect(max_.page.locator("#login")).to_have_count(0)
    eva.go("/account/colleagues")
    look(eva, "not-required")
    eva.page.click("section:first-of-type button")
    expect(eva.page.get_by_text("Obligatoire")).to_be_visible()

    ida = enter("ida", 360, "fr-BE")
    expect(ida.page.locator(".notice")).to_be_visible()
    look(ida, "led-to-enrolment")
    ida.page.click(".factor-list button")
    ida.page.click(".steps summary")
    app = pyotp.TOTP(ida.page.locator(".secret-key code").inner_text().replace(" ", ""))
    ida.page.fill("#code", app.now())
    ida.page.click("main button[type=submit]")
    expect(ida.page.locator(".recovery-codes")).to_be_visible()
    ida.go("/recordings")
    expect(ida.page.get_by_role("heading", level=1)).to_be_visible()
    assert ida.page.url.endswith("/recordings")

    eva.go("/account/colleagues")
    eva.page.locator("details", has_text="Ida").locator("summary").click()
    eva.page.locator("details[open] button").click()
    expect(eva.page.locator("#waiting")).to_be_visible()
    look(eva, "requested")
    max_.go("/account/colleagues")
    look(max_, "to-confirm")
    max_.page.locator("form[action$='/confirm'] button").click()
    expect(max_.page.locator("#waiting")).to_have_count(0)
    look(max_, "confirmed")
    ida.go("/recordings")
    expect(ida.page.locator("#login")).to_be_visible()
