"""The first day: three states a step, from nothing to a test call that was heard."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from recorder.catalogue import queries
from recorder.catalogue.records import KeepOptions
from recorder.domain.parties import Party
from recorder.features.live import queries as live
from recorder.features.live.queries import LiveRow
from recorder.features.tenants import setup
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.identity import tenants
from recorder.ids import uuid7
from recorder.lifecycle import line_history
from recorder.playback import grants
from tests.house import Customer
from tests.tombstones import bury_row


@pytest.fixture
def baker(house, clock, entropy) -> Customer:
    """A customer with a number that is not recorded yet."""
    new_customer = house.customer("Boulangerie Neuve", "+3225550155")
    time_and_entropy = {"now": clock(), "entropy": entropy}
    line_history.end_line(new_customer.id, new_customer.line.id, **time_and_entropy)
    line = house.add_line(new_customer.id, "+3225550155", new_customer.announcement.id, recorded=False)
    new_customer = Customer(new_customer.id, line, new_customer.announcement)
    house.person(new_customer, "nora", "Nora Neuve", role="customer_admin", language="en")
    house.person(new_customer, "noah", "Noah Neuve", language="en")
    return new_customer


def states(person) -> list[str]:
    page = person.get("/first-day")
    assert page.status_code == 200
    return re.findall(r'<li class="card step is-([a-z-]+?)(?: is-next)?"', page.text)


def finished_steps(person) -> list[str]:
    page = person.get("/first-day").text
    return re.findall(r'call-stage is-done">.*?<span>([^<]+)<', page, re.DOTALL)


def live_row(customer: Customer, clock, entropy, announced: bool) -> LiveRow:
    return LiveRow(
        id=str(uuid7(clock(), entropy)), tenant=customer.id, node="node1", line=customer.line.id,
        number=customer.line.number, direction="inbound", external_party=Party("e164", "+32470123456"),
        started_at=clock(), announced=announced, paused_until=None, deletable=False,
    )  # fmt: skip


def test_every_step_from_the_number_to_the_call_that_was_heard(browser, house, baker, clock, entropy) -> None:
    nora = browser("nora")
    assert nora.get("/").location == "/first-day"
    assert states(nora) == ["done", "done", *["not-begun"] * 5]
    path = f"/numbers/{baker.line.id}/setup"
    assert f'href="{path}"' in nora.get("/first-day").text
    form = {"purposes": "agreement", "mode": "notice", "keep_days": "30", "languages": "en", "first": "en"}
    assert nora.send(path, nora.token(path), **form).status_code == 303
    assert states(nora) == ["done", "done", "done", "begun", "begun", "not-begun", "not-begun"]
    page = nora.get(f"/numbers/{baker.line.id}/preview").text
    digest = re.search(r'name="digest" value="([0-9a-f]+)"', page)[1]
    assert nora.send(f"/numbers/{baker.line.id}/on", digest=digest).status_code == 303
    assert states(nora) == ["done"] * 5 + ["not-begun"] * 2
    assert 'data-live="yes"' in nora.get("/first-day").text

    for announced, count in ((False, 1), (True, 2)):
        live.put("node1", [live_row(baker, clock, entropy, announced)], clock())
        assert len(finished_steps(nora)) == count
        assert states(nora)[-1] == "begun"
    live.put("node1", [], clock())
    call = house.call(baker)
    assert finished_steps(nora) == [
        "The call has arrived",
        "The announcement was played",
        "The call was recorded",
    ]
    assert f"/recordings/{call}" in nora.get("/first-day").text
    listen_to(house, nora, call)
    assert finished_steps(nora)[-1] == "You have heard it"
    assert states(nora) == ["done"] * 5 + ["not-begun", "done"], (
        "nobody has to ask whether a call may be kept"
    )
    assert nora.get("/").location == "/recordings"
    assert "First day" in nora.get("/recordings").text, "it can be found again"


def test_the_test_call_goes_through_the_keep_question(browser, house, baker, clock, entropy) -> None:
    now = {"now": clock(), "entropy": entropy}
    assert change_line(baker.id, baker.line.id, LineChange(recorded=True, keep=KeepOptions(365)), **now)
    nora = browser("nora")
    assert states(nora)[5:] == ["done", "not-begun"]
    page = html.unescape(nora.get("/first-day").text)
    assert f"/numbers/{baker.line.id}/card" in page
    assert "Dial *5: both hear the question." in page
    house.call(baker, questions=[{"answer": "yes", "by": "external", "how": "key"}])
    question, answer, until = finished_steps(nora)[2:5]
    assert (question, answer) == ("The question was asked", "Answered: yes")
    assert until.startswith("Kept until ")
    assert until.endswith(str((clock() + timedelta(days=365)).year))


def listen_to(house, person, call: str) -> None:
    """As the player does: part of the sound, and what was played."""
    path = person.grant_for(call)
    address = html.unescape(
        re.search(r'src="([^"]*/audio\.opus[^"]*)"', person.get(f"/recordings/{call}").text)[1]
    )
    play = re.search(r"play=([A-Za-z0-9_-]{22})", address)[1]
    assert person.get(address, headers={"Range": "bytes=0-999"}).data
    assert person.send(f"{path}/listen-report", play=play, played="0-900").status_code == 204


def test_a_call_that_was_not_recorded_is_explained(browser, house, baker, clock, entropy) -> None:
    row = queries.line(baker.id, baker.line.id)
    digest = setup.preview(baker.id, row).digest
    assert setup.switch_on(baker.id, row.id, digest, now=clock(), entropy=entropy)
    house.not_recorded(baker, "never_connected")
    nora = browser("nora")
    assert states(nora)[-1] == "begun"
    assert "Nobody answered." in nora.get("/first-day").text


def test_without_a_number_the_page_names_that_step(browser, house, clock, entropy) -> None:
    identity = str(uuid7(clock(), entropy))
    key = house.keyring.new_tenant_key(identity, entropy).to_bytes().decode()
    tenants.create_tenant(identity, name="Rien SA", wrapped_key=key, now=clock(), entropy=entropy)
    nobody = Customer(identity, None, None)
    house.person(nobody, "remi", "Rémi Rien", role="customer_admin")
    remi = browser("remi")
    assert states(remi) == ["done", *["not-begun"] * 6]
    assert 'href="/numbers"' in remi.get("/first-day").text


def test_colleagues_and_customers_with_calls_start_with_their_calls(browser, house, baker, bakery) -> None:
    noah = browser("noah")
    assert noah.get("/").location == "/recordings"
    assert noah.get("/first-day").status_code == 403, "it shows the first number, whoever may see that"
    call, paul = house.call(bakery), browser("paul")
    assert paul.get("/").location == "/recordings"
    row = queries.recording(bakery.id, call)
    assert row is not None
    bury_row(row, "expired", now=house.clock(), entropy=house.entropy)
    assert paul.get("/").location == "/recordings", "also once the last recording has expired"
    text = paul.get("/recordings").text
    assert "Aucun appel pour l’instant" in text
    assert "Pas encore d’appel" not in text


@pytest.mark.parametrize("login", ["claire", "audit"])
def test_other_roles_are_refused(bakery, browser, login) -> None:
    person = browser(login)
    assert person.get("/first-day").status_code == 403
    assert "/first-day" not in person.get("/recordings").text


def test_nobody_logged_in_is_sent_to_the_log_in(bakery, browser) -> None:
    assert browser().get("/first-day").location == "/login?next=/first-day"


def test_other_customers_calls_are_not_heard(house, baker, bakery, browser) -> None:
    call = house.call(bakery)
    listen_to(house, browser("claire"), call)
    assert grants.find_heard_recording(bakery.id) == call
    assert grants.find_heard_recording(baker.id) is None
