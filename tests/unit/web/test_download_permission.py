"""A colleague downloads where their company's admin allows it, by a signed and numbered permission."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import rfc8785

from recorder.auditlog.append import append
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.download_permission import DownloadPermissionTable
from recorder.errors import AccessError, SealError
from recorder.identity import download_permission
from recorder.playback.interface import Actor
from recorder.seal.amendment import By
from recorder.seal.revocation import Trust
from tests.expected_errors import expect_error
from tests.unit.web.test_download import fetch
from tests.unit.web.test_playback import leaves, plain_sound


@pytest.fixture
def recording(house, bakery) -> str:
    return house.call(bakery)


@pytest.fixture
def decide(browser, bakery):
    """What the admin saves on the page of a colleague."""

    def save(downloads: bool, login: str = "claire", **more: str):
        form = {"role": "customer", "sees": "all", **({"downloads": "yes"} if downloads else {}), **more}
        return browser("paul").send(f"/team/{bakery.people[login].id}", **form)

    return save


def rows() -> list[dict]:
    with connected():
        return list(DownloadPermissionTable.select().order_by(DownloadPermissionTable.id).dicts())


def put_back(saved: list[dict]) -> None:
    with writing():
        DownloadPermissionTable.delete().execute()
        DownloadPermissionTable.insert_many(saved).execute()


def refused(browser, recording: str, login: str = "claire") -> bool:
    """Whether somebody's download is refused; the team page says the same."""
    status = fetch(browser(login), recording).status_code
    assert status in (200, 403)
    people = browser("paul").get("/team").text.split('<li class="team-person">')
    (person,) = (each for each in people if f">{login}<" in each)
    assert ("Peut télécharger des enregistrements" in person) == (status == 200)
    return status == 403


# --- the admin decides


@pytest.mark.parametrize("name", ["audio.opus", "audio.wav"])
def test_colleague_downloads_once_the_admin_allows_it(browser, house, bakery, decide, recording, name):
    claire = browser("claire")
    assert f"/recordings/{recording}/download" not in claire.get(f"/recordings/{recording}").text
    assert decide(True).status_code == 303
    assert f"/recordings/{recording}/download" in claire.get(f"/recordings/{recording}").text, (
        "still logged in"
    )
    answer = fetch(claire, recording, name)
    assert (answer.status_code, answer.data) == (200, plain_sound(house, recording, name))
    (leaf,) = leaves("recording.downloaded")
    assert leaf["user"] == bakery.people["claire"].id
    decide(False)
    assert refused(browser, recording)
    assert leaves("access.refused")[-1]["reason"] == "access.download_role"


def test_each_decision_is_logged_and_read_in_plain_words(browser, bakery, decide):
    decide(True)
    decide(True)
    decide(False)
    notices = [
        (each["number"], each["downloads"], each["actor"]) for each in leaves(download_permission.CHANGED)
    ]
    paul = bakery.people["paul"].id
    assert notices == [(1, True, paul), (2, False, paul)], "what changes nothing is no change"
    page = browser("audit")
    page.send("/language", language="en")
    log = page.get("/access-log").text
    assert "Paul Martin changed whether Claire Martin may download recordings." in log


def test_team_page_shows_who_may_download(browser, decide):
    paul = browser("paul")
    assert "Peut télécharger des enregistrements" not in paul.get("/team").text
    decide(True)
    assert paul.get("/team").text.count("Peut télécharger des enregistrements") == 1


def test_permission_ends_with_another_role(browser, decide, recording):
    decide(True)
    assert decide(True, role="auditor").status_code == 303
    assert refused(browser, recording), "an auditor hears nothing either"
    decide(False, role="customer")
    assert refused(browser, recording)
    assert [each["downloads"] for each in leaves(download_permission.CHANGED)] == [True, False]


def test_only_the_customers_admins_decide(browser, bakery, rival, house):
    house.person(rival, "rick", "Rick", role="customer_admin")
    claire = bakery.people["claire"].id
    for login, status in (("claire", 403), ("audit", 403), ("rick", 404)):
        answer = browser(login).send(f"/team/{claire}", role="customer", sees="all", downloads="yes")
        assert answer.status_code == status
    assert rows() == []


def test_download_that_goes_on_ends_with_the_permission(house, bakery, browser, decide, clock):
    decide(True)
    call, person = house.call(bakery, times=3), bakery.people["claire"]
    sound = house.gate.download(
        Actor(person.id, person.tenant, person.role, "fr"), call, "agreement", "audio.wav"
    )
    pieces = sound.read(0, sound.length)
    next(pieces)
    decide(False)
    clock.forward(seconds=6)
    with expect_error(AccessError, "access.download_role"):
        list(pieces)


# --- somebody writes rows


def test_permission_that_nobody_signed_allows_nothing(browser, bakery, recording):
    row = {"id": bakery.people["claire"].id, "tenant_id": bakery.id, "number": 1, "statement": "{}"}
    put_back([row])
    assert refused(browser, recording)
    with writing():
        DownloadPermissionTable.delete().execute()
    assert refused(browser, recording)


def test_changed_and_foreign_permissions_allow_nothing(browser, house, bakery, decide, recording):
    house.person(bakery, "luc", "Luc")
    decide(True, "luc")
    (other,) = rows()
    decide(True)
    decide(False)
    mine = next(row for row in rows() if row["id"] == bakery.people["claire"].id)
    document = json.loads(mine["statement"])
    document["body"]["allowed"] = True
    for columns in (
        {"statement": rfc8785.dumps(document).decode()},
        {"statement": other["statement"]},
        {"statement": other["statement"], "number": 1},
        {"number": 3},
        {"tenant_id": "somebody"},
    ):
        put_back([mine | columns, other])
        assert refused(browser, recording), columns
    put_back([mine, other])
    assert not refused(browser, recording, "luc")


def test_older_permission_allows_nothing(browser, bakery, decide, recording, clock, entropy):
    """Brought back with its row, and with a leaf that repeats what an older one says."""
    decide(True)
    saved, last_leaf = rows(), leaves(download_permission.CHANGED)[-1]
    assert not refused(browser, recording)
    decide(False)
    put_back(saved)
    assert refused(browser, recording)
    with writing():
        append(bakery.id, download_permission.CHANGED, last_leaf, clock(), entropy)
    assert refused(browser, recording)


def test_permission_without_its_leaf_allows_nothing(browser, decide, recording):
    decide(True)
    with writing():
        LeafTable.update(body=None).where(LeafTable.kind == download_permission.CHANGED).execute()
    assert refused(browser, recording)


def test_another_customers_permission_allows_nothing(browser, house, bakery, rival, decide, recording):
    """Signed for a colleague of another customer, whose id somebody gives to a colleague of this one."""
    permission = {
        "signer": house.changes.signer,
        "trust": house.trust,
        "now": house.clock(),
        "entropy": house.entropy,
    }
    admin = By("operator")
    claire = bakery.people["claire"].id
    download_permission.set_permission(rival.id, claire, True, admin, **permission)
    assert refused(browser, recording)
    with writing():
        DownloadPermissionTable.update(tenant_id=bakery.id).execute()
    assert refused(browser, recording)


def test_permission_signed_by_a_revoked_key_is_refused(house, bakery, decide, clock):
    decide(True)
    person = bakery.people["claire"]
    permission, key = (person.tenant, person.id), house.changes.signer.key_id
    assert download_permission.is_allowed(
        *permission, Trust(house.root_public, lambda: {key: clock() + timedelta(1)})
    )
    revoked = Trust(house.root_public, lambda: {key: clock()})
    assert not download_permission.is_allowed(*permission, revoked)
    with connected():
        row = DownloadPermissionTable.get()
    with expect_error(SealError, "seal.key_revoked"):
        download_permission.check(row, download_permission.changes(*permission), revoked)


def test_decision_heals_what_somebody_wrote(browser, bakery, decide, recording):
    decide(True)
    put_back([rows()[0] | {"statement": "{}"}])
    assert refused(browser, recording)
    decide(True)
    assert not refused(browser, recording)
