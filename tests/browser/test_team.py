"""The team in a browser: an admin invites a colleague, who accepts, sees one number's calls, and is let
go."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.test_pages import assert_accessible, stays_on_the_page

pytestmark = pytest.mark.long

OWN = "seven quiet rivers bend"
WORDS = {
    "fr-BE": ("Inviter quelqu’un", "Afficher un lien à la place", "Accepter et se connecter", "Enregistrer"),
    "en-GB": ("Invite somebody", "Show a link instead", "Accept and log in", "Save"),
}


@pytest.mark.parametrize(
    ("login", "width", "language"),
    [("lea", 360, "fr-BE"), pytest.param("anne", 1280, "en-GB", marks=pytest.mark.long)],
)
def test_colleague_is_invited_limited_and_let_go(person, login, width, language):
    admin = person(width=width, language=language, reduced_motion="reduce").log_in(login)
    if language == "en-GB":
        admin.speak("English")
    page, (start, link, accept, save) = admin.page, WORDS[language]

    def look(somebody, name: str) -> None:
        stays_on_the_page(somebody)
        for scheme in ("light", "dark"):
            somebody.page.emulate_media(color_scheme=scheme)
            assert_accessible(somebody)
        somebody.page.emulate_media(color_scheme="light")
        if folder := os.environ.get("TEST_SCREENSHOTS"):
            somebody.page.screenshot(path=str(Path(folder) / f"team-{name}-{width}.png"), full_page=True)

    admin.go("/team")
    page.get_by_role("link", name=start).click()
    page.fill("#name", "")
    page.fill("#address", f"eva.{login}@example")
    page.get_by_role("button", name=link).click()
    expect(page.locator("#address-wrong")).to_be_visible()
    admin.expect_refusal("422")
    assert page.locator("#address").input_value() == f"eva.{login}@example"
    look(admin, "invite")
    page.fill("#name", "Eva Maes")
    page.select_option("#language", language[:2])
    page.fill("#address", f"eva.{login}@example.com")
    page.get_by_role("button", name=link).click()
    invitation = urlsplit(page.locator("#link").input_value()).path
    look(admin, "link")
    admin.go("/team")
    look(admin, "show")

    eva = person(width=width, language=language, reduced_motion="reduce").go(invitation)
    eva.page.fill("#password", "password1234")
    eva.page.get_by_role("button", name=accept).click()
    expect(eva.page.locator("#password-wrong")).to_be_visible()
    eva.expect_refusal("422")
    look(eva, "invitation")
    eva.page.fill("#password", OWN)
    eva.page.get_by_role("button", name=accept).click()
    expect(eva.page.locator(".calls").first).to_be_visible()
    eva.go(invitation)
    eva.expect_refusal("410")
    look(eva, "ended")

    admin.go("/team")
    page.locator(".team-person", has_text="Eva Maes").get_by_role("link").click()
    page.check("#sees-some")
    page.check("#line-1")
    look(admin, "person")
    page.get_by_role("button", name=save, exact=True).click()
    expect(page.get_by_text("Eva Maes").first).to_be_visible()
    eva.go("/recordings")
    expect(eva.page.locator("#login")).to_be_visible()

    admin.go("/team")
    page.locator(".team-person", has_text="Eva Maes").get_by_role("link").click()
    page.locator("a[href$='/end']").click()
    expect(page).to_have_url(re.compile("/end$"))
    look(admin, "end")
    page.locator("main button[type=submit]").click()
    expect(page.locator(".team-person", has_text="Eva Maes")).to_have_count(0)


def test_colleague_downloads_once_the_admin_allows_it(person):
    rik = person(width=320, reduced_motion="reduce").log_in("rik").go("/team")
    rik.page.locator(".team-person", has_text="An Van Dyck").get_by_role("link").click()
    rik.page.get_by_label("Peut télécharger des enregistrements").check()
    stays_on_the_page(rik)
    assert_accessible(rik)
    rik.page.get_by_role("button", name="Enregistrer", exact=True).click()
    colleague = rik.page.locator(".team-person", has_text="An Van Dyck")
    expect(colleague).to_contain_text("Peut télécharger des enregistrements")
    dyck = person(language="en-GB").log_in("dyck")
    dyck.go(f"/recordings/{dyck.panel.ids['rival']}")
    dyck.page.locator("#download summary").click()
    dyck.page.locator("#download-format").select_option(label="WAV")
    with dyck.page.expect_download() as download:
        dyck.page.locator("#download button").click()
    content = Path(download.value.path()).read_bytes()
    assert (content[:4], content[8:12]) == (b"RIFF", b"WAVE")


@pytest.mark.parametrize(
    ("width", "language"), [(320, "fr-BE"), pytest.param(1280, "en-GB", marks=pytest.mark.long)]
)
def test_lost_password_and_address_pages(person, width, language):
    guest = person(width=width, language=language, reduced_motion="reduce").go("/login")
    guest.page.locator("a[href='/lost-password']").click()
    guest.page.fill("#address", "nobody")
    guest.page.locator("main button[type=submit]").click()
    expect(guest.page.locator("#address-wrong")).to_be_visible()
    guest.expect_refusal("422")
    for somebody, name in ((guest, "lost"),):
        stays_on_the_page(somebody)
        assert_accessible(somebody)
        if folder := os.environ.get("TEST_SCREENSHOTS"):
            somebody.page.screenshot(path=str(Path(folder) / f"team-{name}-{width}.png"))
    guest.page.fill("#address", "nobody@example.com")
    guest.page.locator("main button[type=submit]").click()
    expect(guest.page.get_by_role("status").first).to_contain_text("nobody@example.com")
    marc = (
        person(width=width, language=language, reduced_motion="reduce").log_in("marc").go("/account/address")
    )
    stays_on_the_page(marc)
    assert_accessible(marc)
