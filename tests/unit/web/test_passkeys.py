"""Logging in with passkeys, alone or after the password."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace

import pytest
import rfc8785

from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.second_factor import SecondFactorTable
from recorder.identity import factor_set, users
from tests.authenticator import Authenticator
from web import WebConfig
from web.account.passkey_views import relying_party
from web.state import KEY

ORIGIN = "https://accord.example.com"

pytestmark = pytest.mark.usefixtures("bakery")


@pytest.fixture
def config() -> WebConfig:
    return WebConfig(secret_key=b"k" * 32, secure_cookies=False, page=5, address=ORIGIN)


def entered(visit) -> bool:
    return visit.get("/recordings").status_code == 200


def add(visit, device: Authenticator, name: str = "My phone"):
    token = visit.token("/account")
    options = visit.send("/account/passkeys/options", token=token).text
    return visit.send("/account/passkeys", token=token, credential=device.make(options), name=name)


def options_for(visit, token: str, **fields: str) -> str:
    answer = visit.send("/login/passkey/options", token=token, **fields)
    assert answer.content_type == "application/json"
    return answer.text


def log_in(browser, device: Authenticator, **more: str):
    """A new browser, with a passkey alone."""
    visit = browser()
    token = visit.token()
    return visit, visit.send(
        "/login/passkey", token=token, credential=device.use(options_for(visit, token)), **more
    )


@pytest.fixture
def device() -> Authenticator:
    return Authenticator(ORIGIN)


@pytest.fixture
def claire(browser, device):
    visit = browser("claire")
    answer = add(visit, device)
    assert answer.status_code == 200, answer.text
    assert len(re.findall("<code>", answer.text)) == 10
    return visit


def test_passkey_is_listed_with_its_name(claire):
    page = claire.get("/account").text
    assert "My phone" in page
    assert "10 codes" in page


def test_passkey_alone_logs_in(claire, browser, device):
    visit, answer = log_in(browser, device, next="/numbers")
    assert (answer.status_code, answer.location) == (303, "/numbers")
    assert entered(visit)
    with connected():
        leaf = (
            LeafTable.select()
            .where(LeafTable.kind == "session.opened")
            .order_by(LeafTable.number.desc())
            .get()
        )
    assert '"factor":"passkey"' in leaf.body


def test_password_asks_for_the_passkey(claire, browser, device):
    visit = browser()
    assert visit.log_in("claire").location == "/login/code"
    token = visit.token("/login/code")
    options = options_for(visit, token, step="second")
    assert [each["id"] for each in json.loads(options)["allowCredentials"]] == [*device.keys]
    answer = visit.send("/login/passkey", token=token, step="second", credential=device.use(options))
    assert answer.status_code == 303
    assert entered(visit)


def test_second_passkey_of_the_same_account(claire, browser, device):
    other = Authenticator(ORIGIN)
    assert add(claire, other, "Key ring").location == "/account"
    for each in (device, other):
        assert log_in(browser, each)[1].status_code == 303


def test_removed_passkey_logs_nobody_in(claire, browser, device):
    other = Authenticator(ORIGIN)
    add(claire, other)
    assert claire.send("/account/passkeys/remove", passkey=next(iter(device.keys))).status_code == 303
    assert log_in(browser, device)[1].status_code == 422
    assert log_in(browser, other)[1].status_code == 303
    claire.send("/account/passkeys/remove", passkey=next(iter(other.keys)))
    assert browser().log_in("claire").location == "/recordings", "it was the last one"


def test_ten_passkeys_are_enough(claire):
    for _ in range(9):
        add(claire, Authenticator(ORIGIN))
    assert 'data-passkey="add"' not in claire.get("/account").text
    add(claire, Authenticator(ORIGIN), "The eleventh")
    assert "The eleventh" not in claire.get("/account").text


def test_name_is_tidied_or_the_devices(claire):
    add(claire, Authenticator(ORIGIN), "  \u200b ")
    assert "Appareil inconnu" in claire.get("/account").text


def changes_in_the_log() -> list[str]:
    with connected():
        rows = LeafTable.select().where(LeafTable.kind == factor_set.CHANGED).order_by(LeafTable.number)
        return [json.loads(row.body)["change"] for row in rows]


def rename(visit, device: Authenticator, name: str):
    return visit.send("/account/passkeys/rename", passkey=next(iter(device.keys)), name=name)


def test_passkey_is_renamed_and_still_logs_in(claire, browser, device, clock):
    clock.forward(minutes=16)  # names can be changed without another log-in
    elsewhere = log_in(browser, device)[0]
    assert rename(claire, device, "  Clé   bleue ").location == "/account"
    page = claire.get("/account").text
    assert "Clé bleue" in page
    assert "My phone" not in page
    assert "10 codes" in page
    assert log_in(browser, device)[1].status_code == 303
    assert changes_in_the_log() == ["passkey_added", "passkey_renamed"]
    rename(claire, device, "Clé bleue")
    assert len(changes_in_the_log()) == 2, "the same name is no change"
    assert entered(elsewhere), "a name is no reason to log anybody out"


@pytest.mark.parametrize("name", ["", " \u2003 ", "x" * 61, "My\u200bphone", "two\nlines"])
def test_unusable_name_is_refused_beside_its_field(claire, device, name):
    answer = rename(claire, device, name)
    assert answer.status_code == 422
    assert 'id="passkey-name-1-wrong"' in answer.text
    assert "en 60 caractères au plus" in answer.text
    assert html.escape(name) in answer.text, "what was typed is kept"
    assert "My phone" in claire.get("/account").text
    assert changes_in_the_log() == ["passkey_added"]


# --- refused


def test_passkey_of_a_colleague_is_not_renamed(claire, browser, device):
    paul = browser("paul")
    assert rename(paul, device, "Mine now").location == "/account"
    assert "ne se trouve plus" in paul.get("/account").text
    assert paul.send("/account/passkeys/rename", passkey="%%", name="Mine now").location == "/account"
    assert "My phone" in claire.get("/account").text
    assert changes_in_the_log() == ["passkey_added"]


def test_answer_works_in_its_own_browser_only(claire, browser, device):
    visit, other = browser(), browser()
    token = visit.token()
    answer = device.use(options_for(visit, token))
    assert other.send("/login/passkey", credential=answer).status_code == 422
    assert visit.send("/login/passkey", token=token, credential=answer).status_code == 303


def test_same_answer_in_the_same_form_is_refused(claire, browser, device):
    visit = browser()
    token = visit.token()
    cookie = visit.client.get_cookie("accord-form").value
    answer = device.use(options_for(visit, token))
    assert visit.send("/login/passkey", token=token, credential=answer).status_code == 303
    again = browser()
    again.client.set_cookie("accord-form", cookie)
    assert again.send("/login/passkey", token=token, credential=answer).status_code == 422


def test_challenge_ends_after_five_minutes(claire, browser, device, clock):
    visit = browser()
    token = visit.token()
    answer = device.use(options_for(visit, token))
    clock.forward(minutes=5)
    assert visit.send("/login/passkey", token=token, credential=answer).status_code == 422


@pytest.mark.parametrize(
    "change",
    [{"origin": "https://evil.example"}, {"origin": "http://accord.example.com"}, {"verifies": False}],
    ids=str,
)
def test_other_origins_and_unverified_users_are_refused(claire, browser, device, change):
    assert log_in(browser, replace(device, **change))[1].status_code == 422
    visit = browser("paul")
    assert add(visit, Authenticator(**{"origin": ORIGIN} | change)).location == "/account"
    assert not has_codes(visit)


def has_codes(visit) -> bool:
    return "10 codes" in visit.get("/account").text


def test_passkey_for_another_party_is_refused(claire, browser, device):
    visit = browser()
    token = visit.token()
    options = json.loads(options_for(visit, token)) | {"rpId": "example.com"}
    assert (
        visit.send("/login/passkey", token=token, credential=device.use(json.dumps(options))).status_code
        == 422
    )


def test_passkey_of_somebody_else_is_refused(claire, browser, device, bakery):
    """An own passkey, with the victim's name on it; and as the second step of somebody else's log-in."""
    mine = Authenticator(ORIGIN)
    add(browser("paul"), mine)
    mine.handles[next(iter(mine.keys))] = device.handles[next(iter(device.keys))]
    assert log_in(browser, mine)[1].status_code == 422
    visit = browser()
    visit.log_in("claire")
    token = visit.token("/login/code")
    answer = mine.use(options_for(visit, token, step="second"))
    assert visit.send("/login/passkey", token=token, step="second", credential=answer).status_code == 422
    assert not entered(visit)


def test_challenge_for_one_thing_is_none_for_another(claire, browser, device):
    """One for a log-in is not accepted as a second step, nor one for adding as a log-in."""
    visit = browser()
    visit.log_in("claire")
    token = visit.token("/login/code")
    answer = device.use(options_for(visit, token))
    assert visit.send("/login/passkey", token=token, step="second", credential=answer).status_code == 422
    token = claire.token("/account")
    challenge = json.loads(claire.send("/account/passkeys/options", token=token).text)
    answer = device.use(json.dumps({"challenge": challenge["challenge"], "rpId": challenge["rp"]["id"]}))
    assert claire.send("/login/passkey", token=token, credential=answer).status_code == 422


def test_counter_that_goes_back_is_refused(browser):
    """A copied authenticator."""
    device = Authenticator(ORIGIN, counter=5)
    add(browser("claire"), device)
    assert log_in(browser, device)[1].status_code == 303
    device.counter = 5
    assert log_in(browser, device)[1].status_code == 422
    device.counter = 9
    assert log_in(browser, device)[1].status_code == 303
    device.counter = 0
    assert log_in(browser, device)[1].status_code == 422, "it counted before"


def test_revoked_person_and_broken_answers_are_refused(claire, browser, device, bakery, clock, entropy):
    visit = browser()
    token = visit.token()
    good = device.use(options_for(visit, token))
    for answer in ("", "{}", "[]", "null", "x" * 20000, good[:-9], good.replace('"rawId"', '"raw"')):
        assert visit.send("/login/passkey", token=token, credential=answer).status_code == 422
    users.revoke_user(bakery.id, bakery.people["claire"].id, now=clock(), entropy=entropy)
    assert visit.send("/login/passkey", token=token, credential=good).status_code == 422


def test_passkey_added_to_the_row_is_refused(claire, browser, device):
    """Somebody who can write to the catalogue adds a key of their own."""
    mine = Authenticator(ORIGIN)
    add(browser("paul"), mine)
    with writing():
        rows = {row.id: row for row in SecondFactorTable.select()}
    victim = users.user_by_login("claire").id
    theirs = next(row for identity, row in rows.items() if identity != victim)
    document, other = json.loads(rows[victim].statement), json.loads(theirs.statement)
    document["body"]["passkeys"].append(other["body"]["passkeys"][0])
    mine.handles[next(iter(mine.keys))] = device.handles[next(iter(device.keys))]
    for statement in (rfc8785.dumps(document).decode(), theirs.statement):
        with writing():
            SecondFactorTable.update(statement=statement).where(SecondFactorTable.id == victim).execute()
        assert log_in(browser, mine)[1].status_code == 422
        assert log_in(browser, device)[1].status_code == 422


def test_removed_passkey_does_not_come_back_with_an_older_row(claire, browser, device):
    with connected():
        older = list(SecondFactorTable.select().dicts())
    claire.send("/account/passkeys/remove", passkey=next(iter(device.keys)))
    with writing():
        SecondFactorTable.delete().execute()
        SecondFactorTable.insert_many(older).execute()
    assert log_in(browser, device)[1].status_code == 422


@pytest.mark.parametrize(
    ("address", "possible"),
    [
        ("https://accord.example.com", True),
        ("http://localhost:8080", True),
        ("https://localhost", True),
        ("", False),
        ("http://accord.example.com", False),
        ("https://192.0.2.7", False),
        ("https://[2001:db8::1]", False),
    ],
)
def test_passkeys_need_an_address_that_browsers_allow(app, browser, address, possible):
    state = app.extensions[KEY]
    app.extensions[KEY] = replace(state, config=replace(state.config, address=address))
    with app.test_request_context():
        assert (relying_party() is not None) == possible
    assert ("/login/passkey" in browser().get("/login").text) == possible
    status = browser().send("/login/passkey/options").status_code
    assert status == (200 if possible else 404)


def test_passkeys_take_a_recent_log_in(claire, clock, device):
    clock.forward(minutes=16)
    for path in ("/account/passkeys/options", "/account/passkeys", "/account/passkeys/remove"):
        assert claire.send(path, token=claire.token("/account")).location.startswith("/login?again=1")
