"""Every page: accessible, in every language, at every width, light and dark."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.unit.web.test_route_access import LINES
from web import WebConfig, create_app
from web.state import PanelState

STATES = (
    "retention",
    "refused",
    "menu",
    "destroy",
    "log-in",
    "wrong",
    "app",
    "filtered",
    "none",
    "choose",
    "unannounced",
    "pack",
    "pack check",
    "listen",
    "agreed",
    "missing",
    "warned",
    "over",
)
"""Pages whose address says more than which page it is, and what a page shows once somebody did something."""

ALSO_IN_JOURNEYS = (
    "retention", "menu", "destroy", "app", "filtered", "warned", "access_log.show", "account.show",
    "numbers.show", "team.invite", "team.show", "usage.show",
)  # fmt: skip
"""States and pages that a journey in another file checks for accessibility, or that differ little from
another here."""

NO_PAGES = (
    "call_list.count_new_calls", "call_list.home", "offboarding.show", "retention.preview_limit",
)  # fmt: skip
"""A number for a page's script, the way to the list of calls, what only a customer who leaves has, and what
needs a query: it is among :data:`STATES`."""


def page_paths() -> dict[str, str]:
    """The path of each page that an admin opens by its address alone, by endpoint; files have a suffix."""
    admins = {line.endpoint for line in LINES if line.method == "GET" and line.who & {"admin", "people"}}
    rules = create_app(PanelState(WebConfig(secret_key=bytes(32)), gate=None)).url_map.iter_rules()
    return {
        rule.endpoint: rule.rule
        for rule in rules
        if rule.endpoint in admins - {*NO_PAGES} and "." not in rule.rule and not rule.arguments
    }


PAGES = page_paths()


def open_page(somebody, name: str) -> None:
    """Open a page by its endpoint, as the admin, or one in a state of :data:`STATES`."""
    if name in PAGES:
        somebody.log_in("paul").go(PAGES[name])
        expect(somebody.page.locator("main h1")).to_be_visible()
        return
    ids = somebody.panel.ids
    if name in ("log-in", "wrong"):
        somebody.go("/login")
        if name == "wrong":
            somebody.page.fill("#login", "nobody")
            somebody.page.fill("#password", "wrong")
            somebody.page.click("main button[type=submit]")
            expect(somebody.page.get_by_role("alert")).to_be_visible()
            somebody.expect_refusal("422")
        return
    somebody.log_in("paul" if name in ("retention", "pack") else "claire")
    if name in ("listen", "agreed", "warned", "over"):
        somebody.page.clock.install()
        somebody.listen("agreed" if name == "agreed" else "short")
        expect(somebody.page.locator("#wave canvas").first).to_be_attached()
        if name == "warned":
            somebody.page.clock.fast_forward("10:30")
            expect(somebody.page.locator("#go-on")).to_be_visible()
        if name == "over":
            somebody.page.clock.fast_forward("16:00")
            expect(somebody.page.locator("#trouble")).to_be_visible()
        return
    paths = {
        "retention": "/settings/retention/change?purpose=agreement&days=12",
        "refused": "/compliance",
        "menu": "/recordings",
        "filtered": "/recordings?q=470&from=2026-01-01&show=recorded",
        "none": "/recordings?q=999999",
        "choose": f"/recordings/{ids['short']}",
        "pack check": "/verify",
        "pack": f"/recordings/{ids['short']}/pack",
        "unannounced": f"/recordings/{ids['unannounced']}",
        "destroy": "/live",
        "missing": "/nowhere",
        "app": "/account",
    }
    somebody.go(paths[name])
    if name == "menu":
        somebody.page.locator("details.menu summary").click()
        expect(somebody.page.get_by_role("button", name="Se déconnecter")).to_be_visible()
    if name == "app":
        somebody.page.click(".factor-list button")
        expect(somebody.page.locator(".qr svg")).to_be_visible()
    if name == "destroy":
        somebody.page.get_by_role("link", name="Arrêter et détruire…").click()
        expect(somebody.page.get_by_role("heading", name="Arrêter et détruire ?")).to_be_visible()
    if name == "refused":
        expect(
            somebody.page.get_by_text("Un administrateur de votre entreprise peut vous aider")
        ).to_be_visible()
        somebody.expect_refusal("403")
    if name == "missing":
        somebody.expect_refusal("404")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each, marks=pytest.mark.long) if each in ALSO_IN_JOURNEYS else each
        for each in (*STATES, *PAGES)
    ],
)
def test_axe_finds_no_violations(person, name):
    """One visit for all of it: opening a page takes longer than checking it."""
    somebody = person(width=320, reduced_motion="reduce")  # no transition between the colours of two schemes
    open_page(somebody, name)
    check_look(somebody)


def check_look(somebody) -> None:
    """Check a page for overflow in the present width and wider ones, and with axe in light and dark."""
    stays_on_the_page(somebody)
    for width in (1600, 1100):
        somebody.page.set_viewport_size({"width": width, "height": 800})
        stays_on_the_page(somebody)
    for scheme in ("light", "dark"):
        somebody.page.emulate_media(color_scheme=scheme)
        assert_accessible(somebody)


def assert_accessible(somebody) -> None:
    before = list(somebody.console_errors)
    found = Axe().run(
        somebody.page,
        options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    )
    somebody.console_errors[:] = before  # axe adds a style to the page, which the content policy refuses
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.long
@pytest.mark.parametrize("width", [360, 768])
@pytest.mark.parametrize("name", [*STATES, *PAGES])
def test_pages_never_scroll_sideways(person, name, width):
    somebody = person(width=width)
    open_page(somebody, name)
    stays_on_the_page(somebody)


def stays_on_the_page(somebody) -> None:
    somebody.page.wait_for_load_state()
    beyond = somebody.page.evaluate(
        """() => [...document.querySelectorAll("body *")]
          .filter((one) => !one.matches(".visually-hidden, .skip-link"))
          .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5)
          .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert beyond == []
    assert somebody.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.long
@pytest.mark.parametrize("name", [*STATES, *PAGES])
def test_doubled_text_size_fits_the_page(person, name):
    somebody = person(width=1280)
    open_page(somebody, name)
    somebody.page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert somebody.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.long
@pytest.mark.parametrize(("language", "code"), [("Nederlands", "nl"), ("Deutsch", "de")])
@pytest.mark.parametrize(
    "name", ["log-in", "call_list.list_calls", "choose", "unannounced", "listen", "agreed"]
)
def test_longer_languages_fit_a_narrow_page(person, name, language, code):
    somebody = person(width=320)
    open_page(somebody, name)
    somebody.speak(language)
    expect(somebody.page.locator("html")).to_have_attribute("lang", code)
    stays_on_the_page(somebody)


def test_pages_are_shown_in_every_language(person):
    paul = person(language="en-GB").log_in("paul")
    page = paul.page
    expect(page.get_by_role("heading", name="Calls")).to_be_visible()
    paul.speak("Français")
    expect(page.get_by_role("heading", name="Appels")).to_be_visible()
    paul.go(f"/recordings/{paul.panel.ids['short']}")
    expect(page.get_by_role("button", name="Lecture")).to_be_visible()
    for language, play in (("Nederlands", "Afspelen"), ("Deutsch", "Abspielen"), ("English", "Play")):
        paul.speak(language)
        expect(page.get_by_role("button", name=play, exact=True)).to_be_visible()
    expect(page.get_by_text("The caller", exact=True).first).to_be_visible()
    page.get_by_text("Paul Martin").first.click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


@pytest.mark.long
def test_times_are_in_the_customers_time_zone(person):
    claire = person().log_in()  # this browser is in New York, the customer in Brussels
    time_element = claire.page.locator(".call-time time").first
    moment = time_element.get_attribute("datetime")
    brussels = claire.page.evaluate(
        """(at) => new Date(at).toLocaleTimeString("fr", {
          timeZone: "Europe/Brussels", hour: "2-digit", minute: "2-digit" })""",
        moment,
    )
    assert time_element.text_content() == brussels


@pytest.mark.long
def test_touch_targets_are_large_enough(person):
    """WCAG 2.2, 2.5.8: 24 by 24 CSS pixels, links in a line of text excepted."""
    claire = person(width=360).log_in().listen("short")
    small = claire.page.evaluate(
        """() => [...document.querySelectorAll("button, select, input:not([type=hidden]), a.button")]
          .map((one) => [one.outerHTML.slice(0, 60), one.getBoundingClientRect()])
          .filter(([, box]) => box.width && (box.width < 24 || box.height < 24))
          .map(([text]) => text)"""
    )
    assert small == []


@pytest.mark.long
@pytest.mark.parametrize(("login", "width"), [("claire", 1024), ("paul", 1100)])
@pytest.mark.parametrize("language", ["Français", "Nederlands", "Deutsch", "English"])
def test_header_fits_one_row_on_wide_pages(person, language, login, width):
    somebody = person(width=width).log_in(login)
    somebody.speak(language)
    middles = somebody.page.evaluate(
        """() => [...document.querySelectorAll(".site-header-inner > *")]
          .map((one) => one.getBoundingClientRect()).map((box) => (box.top + box.bottom) / 2)"""
    )
    assert max(middles) - min(middles) < 4


@pytest.mark.long
def test_pages_are_in_a_bar_at_the_bottom_of_a_phone(person):
    paul = person(width=320).log_in("paul")
    bar = paul.page.get_by_role("navigation", name="Pages").bounding_box()
    assert bar is not None
    assert round(bar["y"] + bar["height"]) == 800
    paul.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    last = paul.page.locator("main > :last-child").bounding_box()
    assert last is not None
    assert last["y"] + last["height"] <= bar["y"]
    for width, height in ((320, 256), (1100, 800)):  # 400 % zoom of 1280 × 1024, and a desktop
        paul.page.set_viewport_size({"width": width, "height": height})
        assert paul.page.get_by_role("navigation", name="Pages").bounding_box()["y"] < height - 100


@pytest.mark.long
def test_menu_closes_by_key_and_by_a_click_elsewhere(person):
    page = person(language="en-GB").log_in("paul").page
    menu = page.locator("details.menu summary")
    for _ in range(2):
        menu.press("Enter")
        expect(page.get_by_role("button", name="Log out")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Log out")).to_be_hidden()
        expect(menu).to_be_focused()
    menu.click()
    page.get_by_role("heading", name="Calls").click()
    expect(page.get_by_role("button", name="Log out")).to_be_hidden()


@pytest.mark.long
def test_dialog_opens_and_closes_without_a_script(person):
    page = person(java_script_enabled=False).log_in("paul").go("/design").page
    page.get_by_role("button", name="Open a dialog…").click()
    expect(page.get_by_role("dialog", name="Delete 3 recordings?")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
