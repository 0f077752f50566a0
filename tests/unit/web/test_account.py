"""A person's own account: name, language, password and sessions."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.identity import SessionTable
from recorder.catalogue.tables.outgoing_mail import OutgoingMailTable
from recorder.identity import account_mail, users
from recorder.mail.message import MailMessage, render
from recorder.mail.outbox import Outbox, QueuedMail, open_mail
from recorder.playback.interface import TELEPHONE
from tests.house import PASSWORD
from tests.unit.web.conftest import Browser
from web import WebConfig, create_app
from web.account.devices import BROWSERS, SYSTEMS
from web.language import NAMES
from web.state import KEY, PanelState

NEW = "seven quiet lanterns rowing north"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1"
)
EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 "
    "Safari/537.36 Edg/130.0.0.0"
)

pytestmark = pytest.mark.usefixtures("bakery")


def with_agent(browser, agent: str, address: str = "192.0.2.7"):
    """Somebody who logs in with a browser of this name."""
    visit = browser(address=address)
    visit.client.environ_base["HTTP_USER_AGENT"] = agent
    assert visit.log_in("claire").status_code == 303
    return visit


def entered(visit) -> bool:
    return visit.get("/recordings").status_code == 200


def ids() -> list[str]:
    with connected():
        rows = SessionTable.select().where(SessionTable.ended_at.is_null()).order_by(SessionTable.created_at)
        return [row.id for row in rows]


def test_account_is_for_those_who_are_logged_in(browser):
    assert browser().get("/account").location == "/login?next=/account"


# --- name and language


def test_name_and_language_are_changed_and_logged_without_the_name(browser, house, bakery):
    visit = browser("claire")
    answer = visit.send("/account/profile", name="  Claire   Dubois ", language="nl")
    assert answer.status_code == 303
    page = visit.get("/account").text
    assert "Claire Dubois" in page
    assert '<html lang="nl">' in page
    with connected():
        (leaf,) = LeafTable.select().where(LeafTable.kind == "user.profile_changed")
    assert "Dubois" not in leaf.body
    assert entered(visit), "the session goes on"
    assert browser().log_in("claire").status_code == 303


def test_choice_of_a_language_in_the_browser_ends_with_the_persons_own(browser):
    visit = browser("claire")
    visit.send("/language", language="de")
    visit.send("/account/profile", name="Claire", language="en")
    assert '<html lang="en">' in visit.get("/account").text


def test_nobody_takes_a_colleagues_name(browser, bakery):
    answer = browser("claire").send("/account/profile", name="paul  MARTIN", language="fr")
    assert answer.status_code == 422
    assert "porte déjà ce nom" in answer.text
    assert users.user(bakery.id, bakery.people["claire"].id).name == "Claire Martin"


def test_same_name_again_writes_no_leaf(browser):
    visit = browser("claire")
    visit.send("/account/profile", name="Claire Martin", language="fr")
    with connected():
        assert not LeafTable.select().where(LeafTable.kind == "user.profile_changed").exists()


@pytest.mark.parametrize(
    ("name", "language"),
    [("", "fr"), (" ", "fr"), ("x" * 101, "fr"), ("Cl\u200baire", "fr"), ("Claire", "it")],
)
def test_bad_name_or_language_is_refused_and_kept_in_the_form(browser, bakery, name, language):
    visit = browser("claire")
    answer = visit.send("/account/profile", name=name, language=language)
    assert answer.status_code == 422
    assert re.search(r'id="(name|language)-wrong"', answer.text)
    assert f'value="{name}"' in answer.text
    assert users.user(bakery.id, bakery.people["claire"].id).name == "Claire Martin"


# --- password


def test_password_is_changed_with_the_current_one(browser, house):
    elsewhere, visit = browser("claire"), browser("claire")
    before = visit.client.get_cookie("accord-session").value
    assert visit.send("/account/password", current=PASSWORD, password=NEW).status_code == 303
    assert entered(visit)
    assert visit.client.get_cookie("accord-session").value != before, "the session is renewed"
    assert not entered(elsewhere)
    assert browser().log_in("claire").status_code == 422
    assert browser().log_in("claire", NEW).status_code == 303


def test_wrong_current_password_changes_nothing_and_is_limited(browser):
    visit = browser("claire")
    statuses = [
        visit.send("/account/password", current=f"guess {n}", password=NEW).status_code for n in range(21)
    ]
    assert statuses == [422] * 20 + [429]
    assert browser(address="203.0.113.9").log_in("claire").status_code == 303


@pytest.mark.parametrize("password", ["", "short", "1qaz2wsx3edc", "claire martin 1", "passwordpassword"])
def test_weak_password_is_refused_beside_its_field(browser, password):
    visit = browser("claire")
    answer = visit.send("/account/password", current=PASSWORD, password=password)
    assert answer.status_code == 422
    assert 'id="password-wrong"' in answer.text
    assert browser().log_in("claire").status_code == 303


def test_passwords_are_never_shown_again(browser):
    answer = browser("claire").send("/account/password", current="not this one", password=NEW)
    assert NEW not in answer.text
    assert "not this one" not in answer.text


# --- sessions


def test_sessions_are_listed_in_plain_words(browser, clock):
    with_agent(browser, FIREFOX)
    clock.forward(hours=1)
    visit = with_agent(browser, SAFARI, "203.0.113.77")
    page = visit.get("/account").text
    assert "Firefox sur Windows" in page
    assert "Safari sur iPhone" in page
    assert "192.0.2.0/24" in page
    assert "192.0.2.7" not in page
    assert "203.0.113.77" not in page
    assert "Gecko" not in page


def test_a_call_to_a_room_is_listed_and_can_be_ended(browser, clock, entropy):
    visit, claire = browser("claire"), users.user_by_login("claire")
    until = clock() + timedelta(hours=2)
    call = users.open_session(
        claire, token_sha256="ab" * 32, now=clock(), until=until, entropy=entropy, device=TELEPHONE
    )
    assert "<h3>Par téléphone</h3>" in visit.get("/account").text
    assert visit.send(f"/account/sessions/{call.id}/end").status_code == 303
    assert not users.is_session_valid(claire.tenant, claire.id, call.id, clock())


@pytest.mark.parametrize(
    ("agent", "stored"),
    [
        (FIREFOX, "Firefox/Windows"),
        (SAFARI, "Safari/iPhone"),
        (EDGE, "Edge/Windows"),
        ("curl/8", "/"),
        ("", "/"),
    ],
)
def test_device_is_stored_in_known_words_only(browser, agent, stored):
    with_agent(browser, agent)
    with connected():
        (row,) = SessionTable.select()
    assert row.device == stored
    assert {*row.device.split("/")} <= {"", *dict(BROWSERS).values(), *dict(SYSTEMS).values()}


def test_network_is_that_of_the_last_use(browser, clock):
    visit = with_agent(browser, FIREFOX)
    clock.forward(minutes=5)
    visit.address = "2001:db8:1:2:3:4:5:6"
    visit.get("/recordings")
    with connected():
        (row,) = SessionTable.select()
    assert row.network == "2001:db8:1::/48"


def test_another_device_is_logged_out(browser, clock):
    other_device = browser("claire")
    clock.forward(seconds=1)
    visit = browser("claire")
    assert visit.send(f"/account/sessions/{ids()[0]}/end").status_code == 303
    assert not entered(other_device)
    assert entered(visit)
    assert len(ids()) == 1


def test_all_other_devices_are_logged_out(browser):
    others = [browser("claire") for _ in range(3)]
    visit = browser("claire")
    assert visit.send("/account/sessions/end").status_code == 303
    assert [entered(other) for other in others] == [False] * 3
    assert entered(visit)


def test_nobody_sees_or_ends_the_sessions_of_others(browser, rival):
    colleague, stranger = browser("paul"), browser("dyck")
    visit = browser("claire")
    mine = ids()[-1]
    for other in (colleague, stranger):
        assert mine not in other.get("/account").text
        other.send(f"/account/sessions/{mine}/end")
        other.send("/account/sessions/end")
    assert entered(visit)
    assert entered(colleague)


def test_ended_sessions_are_not_listed(browser, clock, config):
    browser("claire")
    visit = browser("claire")
    browser("claire").send("/logout")
    with connected():
        assert len(ids()) == 2
    clock.forward(hours=1, minutes=59)
    visit.get("/recordings")
    clock.forward(minutes=2)
    assert len(users.sessions(users.user_by_login("claire"), clock())) == 1


def test_limits_of_a_session_are_settings(house, clock, browser):
    config = WebConfig(
        b"k" * 32, secure_cookies=False, idle=timedelta(minutes=10), longest=timedelta(minutes=25)
    )
    app = create_app(PanelState(config, gate=house.gate, now=clock, factors=house.factors))
    visit = Browser(app.test_client())
    visit.log_in("claire")
    clock.forward(minutes=9)
    assert entered(visit)
    clock.forward(minutes=11)
    assert not entered(visit)
    visit.log_in("claire")
    for _ in range(3):
        assert entered(visit)
        clock.forward(minutes=9)
    assert not entered(visit)


# --- mails about the account


@pytest.fixture
def mails(app, house, bakery):
    """Reads the mails that wait to be sent, to people whose log-ins are mail addresses."""
    state = app.extensions[KEY]
    app.extensions[KEY] = replace(state, outbox=Outbox(house.keyring, "https://accord.example.com"))
    for name in ("lea", "tim"):
        house.person(bakery, f"{name}@example.com", name, language="en")

    def queued_mails() -> list[QueuedMail]:
        with connected():
            rows = OutgoingMailTable.select().order_by(OutgoingMailTable.id)
            return [open_mail(row, house.keyring) for row in rows]

    return queued_mails


def test_log_in_from_a_new_device_is_told_by_mail(browser, mails, clock):
    first = browser()
    first.log_in("lea@example.com")
    assert not mails(), "the account was just made"
    clock.forward(days=1)
    first.log_in("lea@example.com")
    assert not mails(), "a known device"
    visit = browser(address="203.0.113.7")
    visit.client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    visit.log_in("lea@example.com")
    (mail,) = mails()
    assert mail.address == "lea@example.com"
    assert "Firefox on Windows" in mail.content.text
    assert "26 November 2026" in mail.content.text
    assert "10:00:00 CET" in mail.content.text
    assert "https://accord.example.com/account" in mail.content.text
    assert "203.0.113" not in mail.content.text


def test_new_password_is_told_by_mail(browser, mails):
    visit = browser("tim@example.com")
    visit.send("/account/password", current=PASSWORD, password=NEW)
    (mail,) = mails()
    assert "password" in mail.content.subject


def test_log_in_that_is_no_address_gets_no_mail(browser, mails, clock):
    clock.forward(days=1)
    assert browser("claire")
    assert not mails()


@pytest.mark.parametrize("kind", account_mail.KINDS)
def test_mails_are_written_in_every_language(kind):
    values = {"name": "Léa", "login": "lea@example.com", "device": "Firefox", "time": "now"}
    languages_seen = {
        render(MailMessage(kind, language, values, "/account"), "https://x", "Telvoip").text
        for language in NAMES
    }
    assert len(languages_seen) == len(NAMES)
    assert all("Léa" in text and "https://x/account" in text for text in languages_seen)
