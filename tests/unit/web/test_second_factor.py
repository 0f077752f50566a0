"""Logging in with a second factor: authenticator app and recovery codes."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pyotp
import pytest
import rfc8785

from recorder.auditlog.append import append
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.second_factor import FactorUseTable, SecondFactorTable
from recorder.errors import SealError
from recorder.identity import factor_set, users
from recorder.identity.second_factors import hash_code
from recorder.lifecycle.key_rotation import KeyRotation
from recorder.seal.amendment import By
from recorder.seal.revocation import Trust
from tests.expected_errors import expect_error
from tests.house import PASSWORD
from tests.unit.web.conftest import Browser
from web import create_app
from web.account.passwords import hash_password
from web.state import KEY, PanelState

pytestmark = pytest.mark.usefixtures("bakery")

LETTERS = "[0-9a-hjkmnp-tv-z]"
CODE = re.compile(rf"<code>((?:{LETTERS}{{6}}-){{3}}{LETTERS}{{6}})</code>")


def set_password(house, bakery) -> None:
    users.set_password(
        bakery.id, bakery.people["claire"].id, hash_password("quite another one"), now=house.clock(),
        entropy=house.entropy, signer=house.services.signer,
    )  # fmt: skip


class Person:
    """Somebody with an authenticator app, on which the test reads the code of any time."""

    def __init__(self, browser, clock, login: str = "claire") -> None:
        self.browser, self.clock, self.login = browser, clock, login
        self.visit = browser(login)
        page = self.visit.send("/account/app")
        assert page.status_code == 200, page.text
        self.secret = re.search(r"<code>([A-Z2-7 ]{39})</code>", page.text)[1].replace(" ", "")
        self.app_key = re.search(r'name="app_key"[^>]* value="([^"]+)"', page.text)[1].replace("&#34;", '"')
        self.app = pyotp.TOTP(self.secret)
        self.page = self.visit.send("/account/app/confirm", code=self.code(), app_key=self.app_key)
        self.codes = CODE.findall(self.page.text)

    def code(self, **later: float) -> str:
        return self.app.at(self.clock() + timedelta(**later))

    def begin(self, address: str = "192.0.2.7"):
        """A new browser, after the password."""
        visit = self.browser(address=address)
        answer = visit.log_in(self.login)
        assert (answer.status_code, answer.location) == (303, "/login/code")
        return visit

    def log_in(self, code: str, address: str = "192.0.2.7"):
        visit = self.begin(address)
        return visit, visit.send("/login/code", token=visit.token("/login/code"), code=code)


@pytest.fixture
def claire(browser, clock) -> Person:
    return Person(browser, clock)


def entered(visit) -> bool:
    return visit.get("/recordings").status_code == 200


def bodies(kind: str) -> list[str]:
    with connected():
        rows = LeafTable.select().where(LeafTable.kind == kind).order_by(LeafTable.number)
        return [row.body for row in rows]


def test_app_is_added_with_a_code_and_gives_ten_recovery_codes(claire):
    assert claire.page.status_code == 200
    assert len(set(claire.codes)) == 10
    page = claire.visit.get("/account").text
    assert "10 codes" in page
    assert claire.secret not in page, "shown once"


def test_wrong_code_adds_nothing_and_keeps_the_secret(browser, clock, house, bakery):
    visit = browser("claire")
    key = re.search(r'name="app_key"[^>]* value="([^"]+)"', visit.send("/account/app").text)[1]
    key = key.replace("&#34;", '"')
    secret = house.factors.secret(bakery.people["claire"], key)
    right = pyotp.TOTP(secret).at(clock())
    answer = visit.send("/account/app/confirm", code=f"{(int(right) + 1) % 10**6:06}", app_key=key)
    assert answer.status_code == 422
    assert 'id="code-wrong"' in answer.text
    assert secret[:4] in answer.text
    assert not house.factors.current(bakery.people["claire"]).required
    assert CODE.search(visit.send("/account/app/confirm", code=right, app_key=key).text)


def test_key_of_somebody_else_is_refused(browser, clock, claire, bakery):
    other = browser("paul")
    assert other.send("/account/app/confirm", code=claire.code(), app_key=claire.app_key).status_code == 400
    assert other.send("/account/app/confirm", code=claire.code(), app_key="{}").status_code == 400


def test_log_in_takes_both_steps(claire, clock):
    clock.forward(minutes=1)
    visit = claire.begin()
    assert not entered(visit)
    assert visit.client.get_cookie("accord-session") is None
    answer = visit.send("/login/code", token=visit.token("/login/code"), code=claire.code())
    assert (answer.status_code, answer.location) == (303, "/recordings")
    assert entered(visit)
    assert '"factor":"app"' in bodies("session.opened")[-1]


def test_page_that_was_asked_for_is_opened_after_both_steps(claire, clock, browser):
    clock.forward(minutes=1)
    visit = browser()
    visit.send("/login", login="claire", password=PASSWORD, next="/numbers")
    answer = visit.send("/login/code", token=visit.token("/login/code"), code=claire.code())
    assert answer.location == "/numbers"


def test_code_of_the_app_works_once(claire, clock):
    clock.forward(minutes=1)
    code = claire.code()
    visit, _ = claire.log_in(code)
    assert entered(visit)
    visit, answer = claire.log_in(code)
    assert answer.status_code == 422
    assert not entered(visit)


def test_code_with_which_the_app_was_added_is_used_up(claire):
    assert claire.log_in(claire.code())[1].status_code == 422


def test_earlier_code_is_refused_after_a_later_one(claire, clock):
    clock.forward(minutes=5)
    assert claire.log_in(claire.code(seconds=30))[1].status_code == 303
    assert claire.log_in(claire.code())[1].status_code == 422


@pytest.mark.parametrize(("seconds", "status"), [(-60, 422), (-30, 303), (0, 303), (30, 303), (60, 422)])
def test_clock_of_the_phone_may_be_half_a_minute_off(claire, clock, seconds, status):
    clock.forward(minutes=5)
    assert claire.log_in(claire.code(seconds=seconds))[1].status_code == status


def test_recovery_code_works_once_in_any_spelling(claire):
    misspelt = claire.codes[3].upper().replace("-", " ").replace("0", "O").replace("1", "l")
    visit, answer = claire.log_in(misspelt)
    assert answer.location == "/account"
    assert "9 codes" in visit.get("/account").text
    assert claire.log_in(claire.codes[3])[1].status_code == 422
    assert claire.log_in(claire.codes[4])[1].status_code == 303


def test_new_recovery_codes_end_the_former_ones(claire):
    page = claire.visit.send("/account/codes")
    assert len(set(CODE.findall(page.text)) - set(claire.codes)) == 10
    assert claire.log_in(claire.codes[0])[1].status_code == 422
    assert claire.log_in(CODE.findall(page.text)[0])[1].status_code == 303


@pytest.mark.parametrize("catalogue_kind", ["sqlite"])
def test_nothing_secret_is_in_the_catalogue(claire, house):
    content = (house.folder / "catalogue.db").read_bytes() + (house.folder / "catalogue.db-wal").read_bytes()
    assert claire.secret.encode() not in content
    for code in claire.codes:
        assert code.encode() not in content
        assert code.replace("-", "").encode() not in content


def test_second_step_needs_the_first(browser, claire):
    visit = browser()
    answer = visit.send("/login/code", code=claire.codes[0])
    assert (answer.status_code, answer.location) == (303, "/login")
    assert not entered(visit)


def test_second_step_ends_after_ten_minutes_and_with_the_password(claire, clock, house, bakery, entropy):
    late = claire.begin()
    clock.forward(minutes=10)
    assert late.send("/login/code", token=late.token("/login"), code=claire.code()).location == "/login"
    visitor = claire.begin()
    set_password(house, bakery)
    assert visitor.send("/login/code", token=visitor.token("/login"), code=claire.code()).location == "/login"


def test_new_password_keeps_the_second_factor(claire, clock, house, bakery, browser, entropy):
    """Whoever sets a password, for instance after it was lost, does not get around the second step."""
    set_password(house, bakery)
    answer = browser().log_in("claire", "quite another one")
    assert answer.location == "/login/code"


def test_wrong_codes_are_limited_without_locking_the_owner_out(claire, clock, browser):
    """Somebody has the password, and guesses from many addresses."""
    clock.forward(minutes=1)
    wrong = f"{(int(claire.code()) + 1) % 10**6:06}"
    statuses = [claire.log_in(wrong, f"198.51.{n // 4}.1")[1].status_code for n in range(24)]
    assert statuses == [422] * 20 + [429] * 4
    assert claire.log_in(wrong, "198.51.0.1")[1].status_code == 429
    assert claire.log_in(claire.code(), "203.0.113.5")[1].status_code == 429, "an unknown browser waits"
    claire.visit.send("/logout")  # the owner's own browser
    assert claire.visit.log_in("claire").location == "/login/code"
    answer = claire.visit.send("/login/code", token=claire.visit.token("/login/code"), code=claire.code())
    assert answer.status_code == 303


def test_strangers_without_the_password_use_up_nothing_of_the_second_step(claire, clock, browser):
    clock.forward(minutes=1)
    for n in range(30):
        browser(address=f"198.51.{n}.1").send("/login/code", code="123456")
    assert claire.log_in(claire.code(), "203.0.113.5")[1].status_code == 303


def test_right_passwords_do_not_count_as_failures(claire):
    for _ in range(15):
        claire.begin(address="198.51.100.9")


def test_address_is_not_known_before_both_steps(claire, house, clock, browser):
    """Otherwise somebody with the password alone would get the limits of the owner's places."""
    claire.begin("198.51.100.9")
    for n in range(60):
        browser(address=f"198.51.{n}.1").log_in("claire", "guess")
    assert browser(address="198.51.100.9").log_in("claire").status_code == 429


def test_change_ends_other_sessions_and_renews_this_one(browser, clock):
    elsewhere = browser("claire")
    person = Person(browser, clock)
    assert not entered(elsewhere)
    assert entered(person.visit)
    before = person.visit.client.get_cookie("accord-session").value
    person.visit.send("/account/codes")
    assert person.visit.client.get_cookie("accord-session").value != before
    planted = browser()
    planted.client.set_cookie("accord-session", before)
    assert not entered(planted)


def test_factors_are_changed_only_after_a_recent_log_in(claire, clock):
    clock.forward(minutes=16)
    for path in ("/account/app", "/account/app/confirm", "/account/app/remove", "/account/codes"):
        answer = claire.visit.send(path, token=claire.visit.token("/account"))
        assert (answer.status_code, answer.location) == (303, "/login?again=1&next=/account")
    page = claire.visit.get("/login?again=1&next=/account")
    assert page.status_code == 200
    assert 'value="claire"' in page.text
    assert claire.visit.log_in("claire").location == "/login/code"


def test_removed_app_leaves_the_password_alone(claire, browser):
    assert claire.visit.send("/account/app/remove").status_code == 303
    assert browser().log_in("claire").location == "/recordings"
    assert claire.visit.send("/account/codes").location == "/account", "no codes without a factor"


def test_leaves_have_no_secret_and_no_name(claire):
    claire.visit.send("/account/codes")
    claire.visit.send("/account/app/remove")
    leaves = bodies(factor_set.CHANGED)
    assert [re.search(r'"change":"(\w+)"', each)[1] for each in leaves] == [
        "app_added",
        "codes_made",
        "app_removed",
    ]
    for each in leaves:
        assert set(re.findall(r'"(\w+)":', each)) == {
            "actor",
            "by",
            "change",
            "number",
            "statement_sha256",
            "user",
        }


def test_refused_code_is_in_the_log(claire, app):
    claire.log_in("000000")
    app.extensions[KEY].refused.write()
    assert len(bodies("session.refused")) == 1


def test_app_survives_a_change_of_the_customers_key(claire, clock, house, bakery):
    with connected():
        before = SecondFactorTable.get().app_key
    rotation = KeyRotation(house.store, house.keyring, clock, house.entropy, "this test")
    rotation.begin(bakery.id)
    rotation.all()
    clock.forward(minutes=1)
    assert claire.log_in(claire.code())[1].status_code == 303
    with connected():
        after = SecondFactorTable.get().app_key
    assert after != before, "wrapped by the new key"
    clock.forward(minutes=1)
    assert claire.log_in(claire.code())[1].status_code == 303


def test_panel_without_the_service_lets_nobody_past_the_second_step(claire, config, house, clock, browser):
    other = create_app(PanelState(config, gate=house.gate, now=clock))
    assert Browser(other.test_client()).log_in("claire").status_code == 422
    assert Browser(other.test_client()).log_in("paul").status_code == 303


# --- what somebody could gain who can write to the catalogue, but has no key


def rows() -> list[dict]:
    with connected():
        return list(SecondFactorTable.select().dicts())


def put_back(saved: list[dict]) -> None:
    with writing():
        SecondFactorTable.delete().execute()
        SecondFactorTable.insert_many(saved).execute()


def test_deleted_row_does_not_remove_the_second_factor(claire, browser):
    with writing():
        SecondFactorTable.delete().execute()
    assert browser().log_in("claire").status_code == 422


def test_changed_and_foreign_statements_are_refused(claire, browser, clock, bakery):
    saved = rows()
    paul = Person(browser, clock, "paul")
    other = next(row for row in rows() if row["id"] != saved[0]["id"])
    assert paul.codes
    for columns in (
        {"statement": other["statement"]},
        {"statement": saved[0]["statement"].replace('"app":{', '"app":null,"x":{')},
        {"statement": "{}"},
        {"number": 0},
        {"number": 2},
        {"tenant_id": "somebody"},
    ):
        put_back([saved[0] | columns, other])
        assert browser().log_in("claire").status_code == 422, columns
    put_back([*saved, other])
    assert browser().log_in("claire").location == "/login/code"


def test_added_recovery_code_is_refused(claire, browser, bakery):
    (saved,) = rows()
    document = json.loads(saved["statement"])
    document["body"]["codes"][0] = hash_code(bakery.people["claire"].id, "aaaaaa-aaaaaa-aaaaaa-aaaaaa")
    put_back([saved | {"statement": rfc8785.dumps(document).decode()}])
    assert browser().log_in("claire").status_code == 422


def test_older_set_is_refused(claire, browser, clock):
    """A used code, a removed app, or no factor at all: whatever was signed before."""
    states = [rows()]
    claire.visit.send("/account/app/remove")
    states.append(rows())
    clock.forward(minutes=1)
    newest = Person(browser, clock)
    newest.log_in(newest.codes[0])
    states.append(rows())
    newest.log_in(newest.codes[1])
    for saved in states:
        put_back(saved)
        assert browser().log_in("claire").status_code == 422


def test_older_set_is_refused_even_with_a_leaf_of_its_own(claire, browser, clock, bakery, entropy):
    """Somebody appends a leaf that repeats what an older one says."""
    older, entries = rows(), json.loads(bodies(factor_set.CHANGED)[-1])
    claire.visit.send("/account/codes")
    put_back(older)
    with writing():
        append(bakery.id, factor_set.CHANGED, entries, clock(), entropy)
    assert browser().log_in("claire").status_code == 422


def test_exchanged_key_of_the_app_is_refused(claire, browser, clock):
    """The app of an accomplice, whose key is put into the victim's row."""
    paul = Person(browser, clock, "paul")
    owner = users.user_by_login("claire").id
    mine, theirs = sorted(rows(), key=lambda row: row["id"] != owner)
    put_back([mine | {"app_key": theirs["app_key"]}, theirs])
    clock.forward(minutes=1)
    assert claire.log_in(paul.code())[1].status_code == 422
    assert claire.log_in(claire.code())[1].status_code == 422


def test_set_signed_by_a_revoked_key_is_refused(claire, house, bakery, clock):
    person = bakery.people["claire"]
    key = house.changes.signer.key_id
    later = Trust(house.root_public, lambda: {key: clock() + timedelta(seconds=1)})
    assert factor_set.current(person, later).required
    with expect_error(SealError, "seal.key_revoked"):
        factor_set.current(person, Trust(house.root_public, lambda: {key: clock()}))


def test_forgotten_use_lets_a_code_in_only_while_it_is_shown(claire, clock):
    clock.forward(minutes=1)
    code = claire.code()
    claire.log_in(code)
    clock.forward(minutes=2)
    with writing():
        FactorUseTable.delete().execute()
    assert claire.log_in(code)[1].status_code == 422


# --- reset by the operator


def reset(house, bakery, login: str = "claire") -> bool:
    return factor_set.reset(
        bakery.people[login], By("operator"), reason="Lost her phone", signer=house.services.signer,
        now=house.clock(), entropy=house.entropy,
    )  # fmt: skip


def test_reset_leaves_the_password_alone_and_the_reason_out_of_the_log(claire, house, bakery, browser):
    assert reset(house, bakery)
    assert browser().log_in("claire").location == "/recordings"
    assert "phone" not in bodies(factor_set.CHANGED)[-1]
    assert '"by":"operator"' in bodies(factor_set.CHANGED)[-1]
    assert not reset(house, bakery, "paul"), "never had any"


def test_reset_mends_whatever_somebody_did_to_the_row(claire, house, bakery, browser, clock):
    saved = rows()
    for bad_rows in ([], [saved[0] | {"statement": "{}"}], [saved[0] | {"number": 7}]):
        with writing():
            SecondFactorTable.delete().execute()
        if bad_rows:
            put_back(bad_rows)
        assert browser().log_in("claire").status_code == 422
        assert reset(house, bakery)
        assert browser().log_in("claire").location == "/recordings"
    clock.forward(minutes=1)
    assert Person(browser, clock).codes
