"""A customer that requires a second factor, and the reset of a lost one by two admins."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.identity import SessionTable, UserTable
from recorder.catalogue.tables.outgoing_mail import OutgoingMailTable
from recorder.catalogue.tables.second_factor import FactorResetTable, SignInRuleTable
from recorder.errors import SealError
from recorder.identity import factor_reset, sign_in_rule, users
from recorder.mail.outbox import Outbox, open_mail
from recorder.seal.amendment import By
from tests.house import PASSWORD
from tests.unit.web.test_second_factor import Person
from web.state import KEY


@pytest.fixture(autouse=True)
def staff(house, bakery):
    """Two more admins."""
    house.person(bakery, "nina@example.com", "Nina Admin", role="customer_admin")
    house.person(bakery, "omar", "Omar Admin", role="customer_admin")


def rule(browser, required: str = "yes", login: str = "paul"):
    return browser(login).send("/account/colleagues/rule", required=required)


def entered(visit) -> bool:
    return visit.get("/recordings").status_code == 200


def kinds() -> list[str]:
    with connected():
        return [row.kind for row in LeafTable.select().order_by(LeafTable.number)]


# --- a second factor is required


def test_person_without_a_second_factor_is_led_to_setting_one_up(browser, clock, rival):
    assert rule(browser).status_code == 303
    visit = browser("claire")
    for path in ("/recordings", "/live", "/numbers"):
        assert visit.get(path).location == "/account"
    assert visit.send("/logout").status_code == 303
    person = Person(browser, clock)
    assert entered(person.visit)
    assert entered(browser("dyck")), "another customer's people decide for themselves"


def test_changes_that_set_up_nothing_do_not_end_the_limit(browser, clock):
    rule(browser)
    visit = browser("claire")
    new = "seven quiet lanterns rowing north"
    assert visit.send("/account/password", current=PASSWORD, password=new).status_code == 303
    assert visit.get("/recordings").location == "/account"
    visit.send("/account/profile", name="Claire", language="fr")
    assert visit.get("/recordings").location == "/account"


def test_removing_the_last_factor_leads_back(browser, clock):
    rule(browser)
    person = Person(browser, clock)
    person.visit.send("/account/app/remove")
    assert person.visit.get("/recordings").location == "/account"


def test_sessions_go_on_and_the_rule_can_be_lifted(browser, clock):
    before = browser("claire")
    rule(browser)
    assert entered(before)
    admin = Person(browser, clock, "omar")
    assert admin.visit.send("/account/colleagues/rule", required="no").status_code == 303
    assert entered(browser("claire"))
    assert kinds().count(sign_in_rule.RULE_CHANGED) == 2


def test_limited_session_is_not_widened_by_its_row_or_cookie(browser, clock):
    rule(browser)
    visit = browser("claire")
    with writing():
        SessionTable.update(until=clock() + timedelta(days=1)).execute()
    assert not entered(visit)
    cookie = visit.client.get_cookie("accord-session").value
    token, mac = cookie.split(".")
    for forged in (f"{token}.", f"{token}.{mac[::-1]}", token):
        other = browser()
        other.client.set_cookie("accord-session", forged)
        assert not entered(other)


def test_rule_is_set_only_after_a_recent_log_in(browser, clock):
    visit = browser("paul")
    clock.forward(minutes=16)
    answer = visit.send("/account/colleagues/rule", token=visit.token("/account"), required="yes")
    assert answer.location.startswith("/login?again=1")
    assert sign_in_rule.RULE_CHANGED not in kinds()


def test_rule_cannot_be_lifted_by_its_row(browser, bakery, rival, clock):
    rule(browser, login="omar")
    with connected():
        required = SignInRuleTable.get().statement
    admin = Person(browser, clock, "paul")
    admin.visit.send("/account/colleagues/rule", required="no")
    with connected():
        lifted = SignInRuleTable.get().statement
    admin.visit.send("/account/colleagues/rule", required="yes")
    for columns in ({"statement": lifted, "number": 2}, {"statement": lifted}, {"statement": "{}"}, None):
        with writing():
            if columns is None:
                SignInRuleTable.delete().execute()
            else:
                SignInRuleTable.update(columns).execute()
        assert browser("claire").get("/recordings").location == "/account", columns
    assert required != lifted


# --- a lost second factor


@pytest.fixture
def person_without_factor(browser, clock) -> Person:
    """Claire, who has a second factor."""
    return Person(browser, clock)


def ask(browser, bakery, login: str = "paul"):
    return browser(login).send(f"/account/colleagues/{bakery.people['claire'].id}/reset")


def request_id() -> str:
    with connected():
        return FactorResetTable.select().order_by(FactorResetTable.id.desc()).get().id


def confirm(browser, login: str = "omar"):
    return browser(login).send(f"/account/resets/{request_id()}/confirm")


def test_two_admins_reset_a_lost_second_factor(browser, bakery, person_without_factor):
    assert ask(browser, bakery).status_code == 303
    assert browser().log_in("claire").location == "/login/code", "not yet"
    page = browser("omar").get("/account/colleagues").text
    assert "Claire Martin" in page
    assert "/confirm" in page
    assert confirm(browser).status_code == 303
    assert not entered(person_without_factor.visit), "sessions end"
    assert browser().log_in("claire").location == "/recordings"
    assert kinds()[-1] != factor_reset.REQUESTED
    assert {factor_reset.REQUESTED, factor_reset.ENDED} <= {*kinds()}


def test_one_admin_alone_resets_nothing(browser, bakery, person_without_factor):
    ask(browser, bakery)
    assert "/confirm" not in browser("paul").get("/account/colleagues").text
    assert confirm(browser, "paul").status_code == 403
    assert browser().log_in("claire").location == "/login/code"


def test_nobody_asks_or_confirms_for_themselves(browser, bakery, clock):
    admin = Person(browser, clock, "paul")
    own = admin.visit.send(f"/account/colleagues/{bakery.people['paul'].id}/reset")
    assert own.status_code == 403
    browser("omar").send(f"/account/colleagues/{bakery.people['paul'].id}/reset")
    assert admin.visit.send(f"/account/resets/{request_id()}/confirm").status_code == 403


def follow(browser, login: str) -> str:
    visit = browser(login)
    visit.send("/language", language="en")
    visit.send(f"/account/resets/{request_id()}/confirm")
    return visit.get("/account/colleagues").text


def test_request_ends_after_a_week_when_withdrawn_and_with_a_new_set(
    browser, bakery, person_without_factor, clock
):
    ask(browser, bakery)
    clock.forward(days=7)
    assert "no longer open" in follow(browser, "omar")
    ask(browser, bakery)
    assert browser("omar").send(f"/account/resets/{request_id()}/withdraw").status_code == 303
    assert "no longer open" in follow(browser, "omar")
    ask(browser, bakery)
    visit, _ = person_without_factor.log_in(person_without_factor.code())
    visit.send("/account/codes")
    assert "no longer open" in follow(browser, "omar"), "for another set of factors"
    assert browser().log_in("claire").location == "/login/code"


def test_person_is_told_by_mail(app, browser, house, bakery, clock):
    app.extensions[KEY] = replace(
        app.extensions[KEY], outbox=Outbox(house.keyring, "https://accord.example.com")
    )
    Person(browser, clock, "nina@example.com")
    nina = bakery.people["nina@example.com"]
    browser("paul").send(f"/account/colleagues/{nina.id}/reset")
    confirm(browser)
    with connected():
        rows = list(OutgoingMailTable.select())
    assert {row.kind for row in rows} >= {"factors_reset_requested", "factors_reset"}
    assert {open_mail(row, house.keyring).address for row in rows} == {"nina@example.com"}


def test_request_that_nobody_signed_confirms_nothing(browser, bakery, person_without_factor, house, clock):
    """Somebody writes a request in another admin's name, or changes one."""
    ask(browser, bakery)
    with connected():
        row = FactorResetTable.select().dicts().get()
    others = {"user_id": bakery.people["paul"].id, "requested_by": bakery.people["nina@example.com"].id}
    others |= {"statement": "{}", "requested_at": clock() + timedelta(seconds=1), "id": "made up"}
    for name, value in others.items():
        with writing():
            FactorResetTable.delete().execute()
            FactorResetTable.insert(row | {name: value}).execute()
        clock.forward(seconds=2)
        with pytest.raises(SealError):
            house.factors.confirm_reset(bakery.people["omar"], request_id())
    assert browser().log_in("claire").location == "/login/code"


def test_request_of_an_admin_who_is_none_any_more_confirms_nothing(
    browser, bakery, person_without_factor, house, clock
):
    """A signed request, and the admin's row as it was before."""
    ask(browser, bakery)
    paul = users.user(bakery.id, bakery.people["paul"].id)
    assert users.change_access(
        bakery.id, paul.id, role="customer", lines=None, now=clock(), entropy=house.entropy,
        signer=house.changes.signer, trust=house.trust, by=By("operator"),
    )  # fmt: skip
    with writing():
        UserTable.update(role=paul.role, credential=paul.credential).where(UserTable.id == paul.id).execute()
    with pytest.raises(SealError):
        house.factors.confirm_reset(bakery.people["omar"], request_id())
    assert browser().log_in("claire").location == "/login/code"


def test_ended_request_is_not_opened_again_by_its_row(browser, bakery, person_without_factor):
    ask(browser, bakery)
    browser("omar").send(f"/account/resets/{request_id()}/withdraw")
    with writing():
        FactorResetTable.update(ended_at=None).execute()
    assert "no longer open" in follow(browser, "omar")
    assert browser().log_in("claire").location == "/login/code"


def test_lost_password_does_not_get_around_the_second_step(browser, bakery, person_without_factor):
    page = browser("paul").send(f"/team/{bakery.people['claire'].id}/reset").text
    path = re.search(r"/reset/[\w.-]+", page)[0]
    guest, new = browser(), "seven quiet lanterns rowing north"
    assert guest.send(path, token=guest.token(path), password=new).status_code == 303
    assert not entered(guest)
    assert browser().log_in("claire", new).location == "/login/code"
