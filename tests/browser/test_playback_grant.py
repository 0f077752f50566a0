"""A grant in a real browser: it is renewed, it ends, and a listen is closed with what was played."""

from __future__ import annotations

import json
import sqlite3
import time
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.long


def test_grant_is_renewed_only_while_playing(person):
    claire = person().log_in()
    claire.page.clock.install()
    claire.listen("long")
    page = claire.page
    page.get_by_role("button", name="Lecture").click()
    claire.plays_past(0.2)
    with page.expect_response("**/renew") as renewed:
        page.clock.fast_forward("11:00")
    assert renewed.value.status == 200
    page.get_by_role("button", name="Pause").click()
    page.clock.fast_forward("16:00")
    expect(page.get_by_role("alert")).to_contain_text("Votre temps d’écoute est écoulé")


@pytest.mark.parametrize("wrong", [timedelta(days=1), timedelta(days=-1)])
def test_grant_does_not_depend_on_the_browsers_clock(person, wrong):
    claire = person().log_in()
    claire.page.clock.install(time=datetime.now(UTC) + wrong)
    claire.listen("long")
    page = claire.page
    page.clock.fast_forward("09:30")
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.get_by_role("button", name="Continuer l’écoute")).to_be_hidden()
    page.clock.fast_forward("06:00")
    expect(page.get_by_role("alert")).to_contain_text("Votre temps d’écoute est écoulé")


def test_paused_listener_is_warned_and_renews_with_a_button(person):
    claire = person().log_in()
    claire.page.clock.install()
    claire.listen("long")
    page = claire.page
    expect(page.locator("#soon")).to_have_text("")
    page.clock.fast_forward("10:30")
    expect(page.locator("#soon")).to_contain_text("Votre temps d’écoute se termine à")
    with page.expect_response("**/renew") as renewed:
        page.get_by_role("button", name="Continuer l’écoute").click()
    assert renewed.value.status == 200
    expect(page.get_by_role("button", name="Continuer l’écoute")).to_be_hidden()
    expect(page.locator("#soon")).to_have_text("")
    expect(page.get_by_role("button", name="Lecture")).to_be_focused()
    page.clock.fast_forward("09:00")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_unreachable_server_is_reported_and_the_button_stays(person):
    claire = person().log_in()
    claire.page.clock.install()
    claire.listen("long")
    page = claire.page
    page.clock.fast_forward("10:30")
    page.route("**/renew", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    page.get_by_role("button", name="Continuer l’écoute").click()
    expect(page.get_by_role("alert")).to_contain_text("Le serveur ne répond pas pour l’instant")
    expect(page.get_by_role("button", name="Continuer l’écoute")).to_be_visible()
    claire.expect_refusal("502")


def test_ended_grant_stops_playback_and_a_new_one_resumes_it(person):
    claire = person().log_in()
    claire.page.clock.install()
    claire.listen("long")
    page = claire.page
    page.get_by_role("slider", name="Position dans l’enregistrement").fill("95")
    page.get_by_role("button", name="Lecture").click()
    claire.plays_past(95.3)
    page.get_by_role("button", name="Pause").click()
    page.clock.fast_forward("16:00")
    expect(page.get_by_role("alert")).to_contain_text("Votre temps d’écoute est écoulé")
    page.evaluate("void document.getElementById('audio').play().catch(() => {})")
    page.wait_for_timeout(1000)
    assert claire.audio("readyState") == 0, "nothing that had arrived is left"
    assert page.locator("#now").text_content() == "1:35", "the place is still shown"
    page.get_by_role("button", name="Lecture").click()
    claire.plays_past(95.6)
    assert claire.audio("currentTime") < 100


def break_off(claire, *, status: int, **response) -> None:
    """Press Play when the audio will be refused."""
    claire.page.route("**/audio.*", lambda route: route.fulfill(status=status, **response))
    claire.page.evaluate("document.getElementById('audio').load()")
    expect(claire.page.get_by_role("alert")).to_be_visible(timeout=15_000)
    assert claire.console_errors
    assert all(str(status) in text for text in claire.console_errors), claire.console_errors
    claire.console_errors.clear()


def test_logged_out_listener_is_sent_to_the_login(person):
    claire = person().log_in()
    claire.go(f"/recordings/{claire.panel.ids['long']}")
    page = claire.page
    page.context.clear_cookies(name="accord-session")
    page.get_by_role("slider", name="Position dans l’enregistrement").fill("600")
    page.get_by_role("button", name="Lecture").click()
    expect(page.get_by_role("alert")).to_contain_text("Votre session a pris fin", timeout=15_000)
    assert claire.console_errors
    assert all("401" in text for text in claire.console_errors), claire.console_errors
    page.get_by_role("link", name="Continuer à 10:00").click()
    expect(page.get_by_role("heading", name="Se connecter")).to_be_visible()
    claire.console_errors.clear()


def test_ended_playback_is_shown_as_paused(person):
    claire = person().log_in()
    claire.page.clock.install()
    claire.listen("long")
    page = claire.page
    page.get_by_role("button", name="Lecture").click()
    claire.plays_past(0.2)
    page.context.clear_cookies(name="accord-session")
    page.clock.fast_forward("11:00")
    expect(page.get_by_role("alert")).to_contain_text("Votre session a pris fin", timeout=15_000)
    expect(page.get_by_role("button", name="Lecture")).to_be_visible()
    page.goto("about:blank")  # its remaining requests are refused, too, and log nothing after this
    assert claire.console_errors
    assert all("401" in text for text in claire.console_errors), claire.console_errors
    claire.console_errors.clear()


def test_refusal_without_message_is_not_blamed_on_the_connection(person):
    claire = person().log_in().listen("long")
    break_off(claire, status=502, content_type="text/html", body="<h1>Bad gateway</h1>")
    expect(claire.page.get_by_role("alert")).to_have_text(
        "Le son n’arrive pas pour l’instant. Réessayez dans une minute."
    )


def test_leaving_the_page_closes_the_listen(person):
    claire = person().log_in().listen("short")
    page = claire.page
    grant = page.evaluate("document.getElementById('audio').src").split("/")[-2]
    page.get_by_role("button", name="Lecture").click()
    claire.plays_past(0.3)
    assert closed(claire.panel, grant) == [False]
    page.locator("#main").get_by_role("link", name="Appels", exact=True).click()
    expect(page.locator(".calls").first).to_be_visible()
    deadline = time.monotonic() + 10
    while closed(claire.panel, grant) != [True]:
        assert time.monotonic() < deadline, "the listen was never closed"
        page.wait_for_timeout(50)
    (report,) = played(claire.panel, grant)
    ((begin, end),) = json.loads(report)
    assert begin == 0
    assert 300 <= end < 10_000, "as far as it was played, not as far as it was sent"


def played(panel, grant: str) -> list[str]:
    """The listen report of each listen under a grant."""
    with sqlite3.connect(panel.folder / "catalogue.db") as catalogue:
        rows = catalogue.execute("SELECT listen_report FROM listen WHERE grant_id = ?", (grant,))
        return [row[0] for row in rows]


def closed(panel, grant: str) -> list[bool]:
    """Whether each listen under a grant is closed."""
    with sqlite3.connect(panel.folder / "catalogue.db") as catalogue:
        rows = catalogue.execute("SELECT closed_at FROM listen WHERE grant_id = ?", (grant,))
        return [row[0] is not None for row in rows]
