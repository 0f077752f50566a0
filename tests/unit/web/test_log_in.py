"""Logging in: sessions, uniform refusals, and limits that lock nobody else out."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
from datetime import timedelta

import pytest
from werkzeug.datastructures import MultiDict

from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.identity import SessionTable
from recorder.catalogue.tables.throttle import ThrottleTable
from recorder.identity import users
from tests.house import PASSWORD
from tests.unit.web.conftest import Browser
from web import create_app
from web.account import limits, passwords
from web.addresses import local_path
from web.state import KEY, PanelState

pytestmark = pytest.mark.usefixtures("bakery")


def cookie(answer, name: str) -> str:
    return next(line for line in answer.headers.getlist("Set-Cookie") if line.startswith(f"{name}="))


def test_login_stores_only_the_sessions_hash(browser):
    answer = browser().log_in("claire")
    assert (answer.status_code, answer.location) == (303, "/recordings")
    line = cookie(answer, "accord-session")
    assert "HttpOnly" in line
    assert "SameSite=Lax" in line
    token, mac = re.match(r"accord-session=([^;.]+)\.([0-9a-f]+)", line).groups()
    assert (len(token), len(mac)) == (43, 64)  # 32 bytes each
    with connected():
        hashes = [row.token_sha256 for row in SessionTable.select()]
    assert hashes == [hashlib.sha256(token.encode()).hexdigest()]


def test_login_ignores_case_and_blanks(browser):
    assert browser().log_in(" Claire ").status_code == 303


def test_each_login_replaces_the_session(browser, clock):
    person = browser("claire")
    before = person.client.get_cookie("accord-session").value
    clock.forward(seconds=1)
    assert person.log_in("claire").status_code == 303
    after = person.client.get_cookie("accord-session").value
    assert before != after
    planted = browser()
    planted.client.set_cookie("accord-session", before)
    assert planted.get("/recordings").status_code == 302


def test_planted_token_is_worthless_after_login(browser):
    person = browser()
    person.client.set_cookie("accord-session", "planted")
    person.log_in("claire")
    assert person.client.get_cookie("accord-session").value != "planted"


def plain(answer) -> str:
    """A page without the parts that differ in each response."""
    return re.sub(r'value="[^"]*"', "", answer.text)


def test_all_login_failures_look_and_cost_the_same(browser, house, bakery, clock, entropy, monkeypatch):
    house.person(bakery, "gone", "Somebody Gone")
    users.revoke_user(bakery.id, bakery.people["gone"].id, now=clock(), entropy=entropy)
    worked = []
    verify = passwords._verify

    def note_check(password_hash: str, password: str) -> bool:
        worked.append(password_hash.rsplit("$", 2)[0])
        return verify(password_hash, password)

    monkeypatch.setattr(passwords, "_verify", note_check)
    answers = [
        browser(address=f"192.0.2.{number}").log_in(login, password)
        for number, (login, password) in enumerate(
            [
                ("claire", "wrong"),
                ("nobody", PASSWORD),
                ("gone", PASSWORD),
                ("claire", "w" * 1000),
                ("claire", "\ud7ff" * 1000),  # longer than the maximum
            ]
        )
    ]
    assert {answer.status_code for answer in answers} == {422}
    assert len({plain(answer) for answer in answers}) == 1
    assert len(worked) == len(answers)
    assert len(set(worked)) == 1  # the same algorithm and parameters


def test_refusal_takes_equal_queries_for_unknown_logins(browser, house, bakery, clock, entropy, caplog):
    """Counts queries until the response, and until the connection is ready for the next request."""
    house.person(bakery, "gone", "Somebody Gone")
    users.revoke_user(bakery.id, bakery.people["gone"].id, now=clock(), entropy=entropy)
    caplog.set_level(logging.DEBUG, logger="peewee")
    queries_by_login = {}
    for number, login in enumerate(("claire", "nobody", "gone")):
        person = browser(address=f"192.0.2.{number}")
        token = person.token()
        caplog.clear()
        with person.send("/login", token=token, login=login, password="wrong") as answer:
            assert answer.status_code == 422
        queries_by_login[login] = [
            record.args[0] if record.args else record.msg[0] for record in caplog.records
        ]
    assert len(queries_by_login["nobody"]) > 3, "statements are seen"
    assert queries_by_login["claire"] == queries_by_login["nobody"] == queries_by_login["gone"]


def test_form_without_token_is_refused(browser):
    person = browser()
    person.token()
    answer = person.client.post("/login", data={"login": "claire", "password": PASSWORD})
    assert answer.status_code == 400
    assert "accord-session" not in answer.headers.get("Set-Cookie", "")


def test_form_token_of_another_browser_is_refused(browser):
    other = browser().token()
    person = browser()
    person.token()
    assert person.send("/login", token=other, login="claire", password=PASSWORD).status_code == 400


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_cross_site_form_with_token_is_refused(browser, site):
    person = browser()
    form = {"csrf_token": person.token(), "login": "claire", "password": PASSWORD}
    assert person.client.post("/login", data=form, headers={"Sec-Fetch-Site": site}).status_code == 400
    assert (
        person.client.post("/login", data=form, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303
    )


def test_address_limit_also_refuses_the_right_password(browser):
    guesser = browser()
    assert [guesser.log_in("claire", f"guess {n}").status_code for n in range(10)] == [422] * 10
    refused = guesser.log_in("claire")
    assert refused.status_code == 429
    assert "accord-session" not in refused.headers.get("Set-Cookie", "")
    assert guesser.log_in("nobody", "guess").status_code == 422  # other accounts have their own limit


def test_limit_does_not_reveal_accounts(browser):
    def codes(login: str, address: str) -> list[int]:
        guesser = browser(address=address)
        return [guesser.log_in(login, "guess").status_code for _ in range(12)]

    assert codes("claire", "192.0.2.1") == codes("nobody", "192.0.2.2")


def test_guessing_does_not_lock_the_owner_out(browser):
    owner = browser("claire")  # a known device
    owner.send("/logout")
    for n in range(45):  # from the owner's address: exhausts all limits of the address
        browser().log_in("claire" if n < 12 else f"other{n}", "guess")
    assert browser().log_in("claire").status_code == 429
    assert browser().log_in("somebody").status_code == 429
    assert owner.log_in("claire").status_code == 303


def test_distributed_guessing_is_limited_without_locking_the_owner_out(browser):
    owner = browser("claire")
    codes = [browser(address=f"198.51.{n}.1").log_in("claire", "guess").status_code for n in range(61)]
    assert codes[-1] == 429
    assert browser(address="198.51.200.1").log_in("claire").status_code == 429, "an unknown browser waits"
    assert owner.log_in("claire").status_code == 303


def test_owner_logs_in_from_known_address_during_an_attack(browser):
    """In another browser, without the known-device cookie."""
    assert browser(address="203.0.113.5").log_in("claire").status_code == 303
    for n in range(64):
        browser(address=f"198.51.100.{n % 8}").log_in("claire", "guess")
    assert browser(address="203.0.113.5").log_in("claire").status_code == 303


def test_strangers_delay_an_unknown_browser_by_a_minute_only(browser, clock):
    for n in range(64):
        browser(address=f"198.51.{n}.1").log_in("claire", "guess")
    owner = browser(address="203.0.113.5")
    refused = owner.log_in("claire")
    assert refused.status_code == 429
    wait = int(refused.headers["Retry-After"])
    assert 0 < wait <= 60
    assert "then try again" in refused.text
    clock.forward(seconds=wait)
    assert owner.log_in("claire").status_code == 303


def test_successful_logins_do_not_count_against_an_address(browser, house, bakery):
    people_ = [f"luc{n}" for n in range(4)]
    for login in people_:
        house.person(bakery, login, login)
    codes = [browser().log_in(login).status_code for login in people_ * 10]
    assert codes == [303] * 40
    assert browser().log_in("claire", "guess").status_code == 422


def test_success_clears_earlier_failures(browser):
    person = browser()
    for _ in range(3):
        codes = [person.log_in("claire", f"guess {n}").status_code for n in range(9)]
        assert codes == [422] * 9
        person = browser()
        assert person.log_in("claire").status_code == 303
        person = browser()


def test_limits_are_shared_and_outlast_processes(browser, house, clock, config):
    """Another panel process, or a restarted one: it shares only the catalogue."""
    for n in range(10):
        assert browser().log_in("claire", f"guess {n}").status_code == 422
    again = create_app(PanelState(config, gate=house.gate, now=clock))
    assert Browser(again.test_client()).log_in("claire").status_code == 429
    with connected():
        rows = list(ThrottleTable.select())
    assert rows
    assert not [row for row in rows if "claire" in row.key or "192" in row.key or len(row.key) != 64]


def test_ipv6_network_counts_as_one_address(browser):
    codes = [
        browser(address=f"2001:db8:1:2::{n:x}").log_in("claire", "guess").status_code for n in range(1, 12)
    ]
    assert codes == [422] * 10 + [429]


def test_known_device_is_bound_to_its_account(browser, house, bakery):
    house.person(bakery, "luc", "Luc")
    person = browser("claire")
    codes = [person.log_in("luc", "guess").status_code for _ in range(11)]
    assert codes[-1] == 429


def sent_in_json(person, body: bytes):
    """A log-in by a script: the form token is in a header, since JSON has no form fields."""
    return person.client.post(
        "/login",
        data=body,
        content_type="application/json",
        headers={"X-CSRFToken": person.token()},
        environ_base={"REMOTE_ADDR": person.address},
    )


def test_json_login_is_an_empty_form(browser):
    """Only form fields are counted; if other input were tried, guessing would be unlimited."""
    person = browser()
    right = json.dumps({"login": "claire", "password": PASSWORD}).encode()
    answer = sent_in_json(person, right)
    assert answer.status_code == 422
    assert "Write your log-in." in answer.text
    assert person.client.get_cookie("accord-session") is None
    assert person.client.get_cookie("accord-device") is None
    codes = [sent_in_json(person, right).status_code for _ in range(10)]
    assert codes == [422] * 9 + [429], "and it is counted all the same"


@pytest.mark.parametrize(
    "body",
    [
        b'{"login": 5, "password": 5}',
        b'{"login": ["claire"], "password": {"a": 1}}',
        b"[1]",
        b'"x"',
        b"null",
        b'{"login": "\\ud800", "password": "\\udfff"}',
        b'{"login": "a\\u0000b", "password": "x"}',
        b"[" * 3000,
        b"\xff",
        b"",
    ],
)
def test_malformed_json_is_no_server_error(browser, body):
    assert sent_in_json(browser(), body).status_code == 422


def test_multipart_form_is_read_without_its_files(browser):
    def send(person, **fields):
        form = {"csrf_token": person.token(), **fields}
        return person.client.post("/login", data=form, content_type="multipart/form-data")

    def a_file(content: str):
        return io.BytesIO(content.encode()), "claire"

    assert send(browser(), login="claire", password=PASSWORD).status_code == 303
    person = browser()
    assert send(person, login=a_file("claire"), password=PASSWORD).status_code == 422
    assert send(person, login="claire", password=a_file(PASSWORD)).status_code == 422
    both = MultiDict([("csrf_token", person.token()), ("login", "nobody"), ("password", PASSWORD)])
    both.add("login", a_file("claire"))
    assert person.client.post("/login", data=both, content_type="multipart/form-data").status_code == 422
    assert person.client.get_cookie("accord-session") is None


def test_device_cookie_without_account_exempts_from_nothing(app, browser):
    person = browser()
    with app.test_request_context("/login", method="POST"):
        nobody = {"account": limits.account_key(""), "device": "0" * 32}
        planted = limits._signer().dumps(nobody)
    person.client.set_cookie("accord-device", planted)
    assert [person.log_in("claire", "guess").status_code for _ in range(11)] == [422] * 10 + [429]
    assert [person.log_in(" ", "guess").status_code for _ in range(11)] == [422] * 10 + [429]


def test_session_ends_when_idle_and_after_its_maximum(browser, clock, config):
    person = browser("claire")
    for _ in range(12):  # active every hour
        assert person.get("/recordings").status_code == 200
        clock.forward(hours=1)
    assert person.get("/recordings").status_code == 302  # twelve hours have passed
    idle = browser("claire")
    clock.forward(hours=2, seconds=1)
    assert idle.get("/recordings").status_code == 302


def test_session_row_cannot_extend_the_maximum(browser, clock):
    """The row's expiry is unsigned; the start, to which the cookie is bound, bounds it."""
    person = browser("claire")
    with writing():
        SessionTable.update(until=clock() + timedelta(days=400)).execute()
    clock.forward(hours=11)
    with writing():
        SessionTable.update(seen_at=clock()).execute()
    assert person.get("/recordings").status_code == 200
    with writing():
        start = SessionTable.get().created_at
        SessionTable.update(created_at=clock()).execute()
    assert person.get("/recordings").status_code == 302
    clock.forward(hours=1)
    with writing():
        SessionTable.update(seen_at=clock(), created_at=start).execute()
    assert person.get("/recordings").status_code == 302


def test_logout_ends_the_session(browser):
    person = browser("claire")
    token = person.client.get_cookie("accord-session").value
    answer = person.send("/logout")
    assert answer.status_code == 303
    assert person.client.get_cookie("accord-session") is None
    copy = browser()
    copy.client.set_cookie("accord-session", token)
    assert copy.get("/recordings").status_code == 302


def test_revoked_user_is_logged_out_at_once(browser, bakery, clock, entropy):
    person = browser("claire")
    users.revoke_user(bakery.id, bakery.people["claire"].id, now=clock(), entropy=entropy)
    assert person.get("/recordings").status_code == 302


def test_login_returns_to_the_requested_page(browser):
    person = browser()
    first_answer = person.get("/recordings?number=470")
    assert first_answer.location == "/login?next=/recordings?number%3D470"
    assert 'value="/recordings?number=470"' in person.get(first_answer.location).text
    answer = person.send("/login", login="claire", password=PASSWORD, next="/recordings?number=470")
    assert answer.location == "/recordings?number=470"
    answer = person.send("/login", login="claire", password=PASSWORD, next="https://example.org/")
    assert answer.location == "/recordings"


@pytest.mark.parametrize(
    ("target", "is_local"),
    [
        ("/recordings?number=470", True),
        ("//example.org/", False),
        ("/\\example.org", False),
        ("/\t/example.org", False),
        ("https://example.org", False),
        ("recordings", False),
        ("", False),
        (None, False),
    ],
)
def test_redirects_only_within_the_panel(target, is_local):
    assert local_path(target) == (target if is_local else None)


def test_empty_form_names_missing_fields(browser):
    answer = browser().log_in("", "")
    assert answer.status_code == 422
    assert "Write your log-in." in answer.text


def test_passwords_use_argon2id_and_have_a_maximum(real_hasher):
    assert real_hasher.hash("x").startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.hash_password("x").startswith("$argon2id$")
    with pytest.raises(ValueError, match="1 to 1024 bytes"):
        passwords.hash_password("x" * 1025)
    with pytest.raises(ValueError, match="1 to 1024 bytes"):
        passwords.hash_password("")
    assert not passwords.verify_password("not a hash", "x")


def test_wrong_passwords_are_logged_once_in_five_minutes(app, browser, bakery, clock):
    """Guessing does not fill a customer's log, and unknown log-ins are never logged."""
    person = browser()
    refused = app.extensions[KEY].refused
    for login in ("claire", "claire", "nobody", "paul"):
        assert person.log_in(login, "wrong").status_code == 422
    with connected():
        assert not LeafTable.select().where(LeafTable.kind == "session.refused").count()
    refused.write()  # a few seconds later
    with connected():
        bodies = [json.loads(row.body) for row in LeafTable.select() if row.kind == "session.refused"]
    assert bodies == [{"user": bakery.people[name].id} for name in ("claire", "paul")]
    clock.forward(minutes=6)
    person.log_in("claire", "wrong")
    refused.write()
    with connected():
        assert LeafTable.select().where(LeafTable.kind == "session.refused").count() == 3
