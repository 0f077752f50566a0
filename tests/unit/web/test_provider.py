"""The provider's own people: what they see of the customers, and that nothing else opens to them."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from dataclasses import replace
from datetime import date, timedelta

import pyotp
import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.identity import UserTable
from recorder.domain.roles import OPERATOR, PROVIDER, SUPPORT
from recorder.errors import AccessError, CatalogueError, SubjectRequestError
from recorder.features.fleet.doctor_reports import DoctorReport, report_findings
from recorder.features.fleet.service import NodeReport, report_node
from recorder.features.offboarding import service as offboarding
from recorder.features.subject_requests import service as subject_requests
from recorder.features.tenants import setup
from recorder.features.tenants.registration import CUSTOMER_CREATED, Registration
from recorder.features.usage import service as usage
from recorder.identity import users
from recorder.ops.doctor.checks import CHECKS
from recorder.playback.interface import Actor
from recorder.seal.amendment import By
from tests.expected_errors import expect_error
from tests.house import CALLER, Customer, House
from tests.identity_proof import vouch
from tests.unit.web.conftest import Browser, browsers, prepared
from tests.unit.web.page_text import text_of
from tests.unit.web.test_navigation import links
from web import WebConfig
from web.provider.months import last_day, months_since, parse_month, shift
from web.text.sentences import SENTENCES

NEW = {
    "company": "Reliure Adam", "country": "be", "time_zone": "Europe/Brussels", "languages": "fr",
    "plan": "starter", "name": "Ada Adam", "login": "ada@adam.example", "language": "fr", "how": "link",
}  # fmt: skip


@pytest.fixture
def provider(house: House) -> Customer:
    """The provider, with an operator and somebody of the support."""
    Registration(house.keyring).open_provider("Telvoip", "en", house.clock())
    owner = Customer(PROVIDER, None, None)  # type: ignore[arg-type]  # it has neither line nor announcement
    house.person(owner, "olga", "Olga Opera", role=OPERATOR, language="en")
    house.person(owner, "sam", "Sam Support", role=SUPPORT, language="en")
    return owner


def bodies(tenant: str, kind: str) -> list[dict[str, object]]:
    with connected():
        rows = LeafTable.select().where((LeafTable.tenant == tenant) & (LeafTable.kind == kind))
        return [json.loads(row.body) for row in rows.order_by(LeafTable.number)]


@pytest.mark.parametrize(("login", "start"), [("olga", "/customers"), ("sam", "/differences")])
def test_each_role_has_its_pages(provider, bakery, browser, login, start) -> None:
    somebody = browser()
    answer = somebody.log_in(login)
    assert somebody.get(answer.location).location == start
    page = somebody.get(start)
    others = {"/nodes": "", "/settings": ""} if start == "/customers" else {}
    assert {address: current for address, (_, current) in links(page.text).items()} == {
        start: "page"
    } | others
    menu = page.text.partition('class="menu-panel"')[2].partition("</details>")[0]
    assert re.findall(r'href="([^"]+)"', menu) == ["/account"]
    assert somebody.get("/login").location == "/"
    assert somebody.get("/account").status_code == 200


def test_support_is_told_where_differences_appear(provider, browser) -> None:
    found = text_of(browser("sam").get("/differences").text)
    assert "When a customer asks for your help with an open question, it appears here." in found


def test_refusal_names_nobody_of_a_customer(provider, bakery, browser) -> None:
    answer = browser("olga").get("/recordings")
    assert answer.status_code == 403
    assert "Only the customer’s own team can open this page." in text_of(answer.text)
    assert 'href="/recordings"' not in answer.text


def test_operator_sees_customers_and_their_months(house, provider, bakery, rival, browser) -> None:
    for _each in range(2):
        house.call(bakery)
        house.clock.forward(minutes=5)
    house.call(rival)
    house.clock.forward(days=1)
    for each in (bakery, rival):
        usage.count_due(queries.tenant(each.id), house.clock(), house.entropy)
    olga = browser("olga")
    found = text_of(olga.get("/customers").text)
    assert "Boulangerie Martin Active Starter Belgium – Boulangerie Martin 1 3 2 " in found
    assert "Van Dyck NV Active Starter Belgium – Van Dyck NV 1 1 1 " in found
    assert "Customers 2 Numbers 2 Nodes 0" in found
    assert "Calls 3 Recorded time" in found
    assert "Telvoip" not in found
    for secret in ("Magasin", "55 01 00", "470", "Claire", "Paul"):
        assert secret not in found
    house.clock.forward(days=5)
    assert "Boulangerie Martin Active Starter Belgium – Boulangerie Martin 1 3 0 0 0" in text_of(
        browser("olga").get("/customers").text
    )
    earlier = browser("olga").get("/customers?month=2026-11").text
    assert "Boulangerie Martin Active Starter Belgium – Boulangerie Martin 1 3 2 " in text_of(earlier)
    assert '<option value="2026-11" selected>' in earlier


def test_operator_sees_how_each_node_is(house, provider, browser) -> None:
    olga = browser("olga")
    assert "No node has reported yet" in text_of(olga.get("/nodes").text)
    north = NodeReport("north", house.clock(), house.clock(), "0.1.0", 5, 12, house.clock(), 0, 1000, 280)
    report_node(north)
    report_node(replace(north, node="south", watched_at=house.clock() - timedelta(minutes=3)))
    found = text_of(olga.get("/nodes").text)
    assert "north Records calls 0.1.0 5 12 72%" in found
    assert "south Does not record 0.1.0 5 12" in found
    assert "Nodes 2 Does not record" in text_of(olga.get("/customers").text)
    house.clock.forward(minutes=4)
    report_node(replace(north, reported_at=house.clock(), watched_at=house.clock(), oldest_at=None))
    found = text_of(olga.get("/nodes").text)
    assert "north Records calls" in found
    assert "south No report" in found
    assert browser("sam").get("/nodes").status_code == 403


def test_operator_sees_what_the_doctor_found_on_each_node(house, provider, browser) -> None:
    olga, at = browser("olga"), house.clock()
    north = NodeReport("north", at, at, "0.1.0", 5, 12, at, 0, 1000, 280)
    report_node(north)
    assert "north Never checked Is accord-doctor.timer running there?" in text_of(olga.get("/nodes").text)
    report_findings(DoctorReport("north", at))
    report_findings(DoctorReport("south", at, ("dialplan", "<b>", "everything-is-fine"), ("disk", "clock")))
    assert "north Checked 1 minute ago." in text_of(olga.get("/nodes").text)
    house.clock.forward(minutes=40)
    found = text_of(olga.get("/nodes").text)
    assert "north Checked 40 minutes ago. Everything works" in found
    south = "Does not work Dialplan · Another check Needs attention Disk · Clock"
    assert f"south Checked 40 minutes ago. {south}" in found
    assert "everything-is-fine" not in found, "a row has no words of its own"
    assert "3 faults" in text_of(olga.get("/customers").text)
    house.clock.forward(hours=3)
    assert "north Out of date Checked 4 hours ago." in text_of(browser("olga").get("/nodes").text)
    assert browser("sam").get("/nodes").status_code == 403


def test_every_check_has_a_name_for_operators() -> None:
    assert {*SENTENCES["node_check"]} == {*(check.__name__ for check in CHECKS), "otherwise"}


def test_usage_is_a_table_of_months(house, provider, bakery, rival, browser) -> None:
    for customer in (bakery, bakery, rival):
        house.call(customer)
        house.clock.forward(days=20)
        for each in (bakery, rival):
            usage.count_due(queries.tenant(each.id), house.clock(), house.entropy)
    house.clock.forward(days=3)
    answer = browser("olga").get("/customers.csv?month=2026-12")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="customers-2026-01-2026-12.csv"'
    rows = list(csv.reader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff"))))
    assert rows[0] == ["Month", "Customer’s id", "Customer", "Plan", "Calls", "Minutes", "Bytes"]
    assert [(row[0], row[1], row[2], row[4]) for row in rows[1:]] == [
        ("2026-11", bakery.id, "Boulangerie Martin", "1"),
        ("2026-12", bakery.id, "Boulangerie Martin", "1"),
    ]
    later = browser("olga").get("/customers.csv").get_data(as_text=True)
    assert "2027-01" in later
    assert "Van Dyck NV" in later


def test_state_of_a_customer(house, provider, bakery, rival, browser) -> None:
    registration = Registration(house.keyring, entropy=house.entropy)
    registration.create_customer(
        "Atelier Vide", language="fr", languages=("fr",), time_zone="Europe/Brussels", country="be",
        now=house.clock(),
    )  # fmt: skip
    offboarding.announce(house.office(), rival.id, house.clock() + timedelta(days=30))
    found = text_of(browser("olga").get("/customers").text)
    assert "Atelier Vide Nobody has access Starter Belgium – Atelier Vide 0 0 0 0 0" in found
    assert "Van Dyck NV Leaves on" in found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("boulang", ["Boulangerie Martin"]),
        ("  MARTIN ", ["Boulangerie Martin"]),
        ("02 555 01 00", ["Boulangerie Martin"]),
        ("+32 (0)2 555.01.00", ["Boulangerie Martin"]),
        ("0032-2-555-01-00", ["Boulangerie Martin"]),
        ("3225550199", ["Van Dyck NV"]),
        ("555 01 00", []),
        ("telvoip", []),
        ("nobody", []),
        ("%", []),
    ],
)
def test_customer_is_found_by_name_or_number(provider, bakery, rival, browser, query, found) -> None:
    page = text_of(browser("olga").get("/customers", query_string={"q": query}).text)
    assert [each for each in ("Boulangerie Martin", "Van Dyck NV") if each in page] == found
    assert ("No customer found" in page) == (not found)


def test_customer_is_found_by_id(provider, bakery, rival, browser) -> None:
    page = browser("olga").get("/customers", query_string={"q": rival.id}).text
    assert ("Van Dyck NV" in page, "Boulangerie Martin" in page) == (True, False)
    assert f'href="/customers/{rival.id}"' in page


def test_page_of_a_customer_has_what_support_is_asked(house, provider, bakery, browser) -> None:
    recording = house.call(bakery)
    paul, olga = bakery.people["paul"], browser("olga")
    key = house.factors.new_app_key(paul)
    secret = pyotp.TOTP(house.factors.secret(paul, key))
    assert house.factors.add_app(paul, key, secret.at(house.clock()))
    browser("claire")
    page = olga.get(f"/customers/{bakery.id}")
    found = text_of(page.text)
    for fact in (
        "Boulangerie Martin", "Active", "Starter", "Belgium", bakery.id,
        "+32 2 555 01 00 Magasin Recording is on",
        "Last call: 25 November 2026", "Claire Martin claire Colleague Two-step log-in is off Last log-in:",
        "Paul Martin paul Admin Two-step log-in is on No log-in in the last 30 days",
    ):  # fmt: skip
        assert fact in found
    assert "To look at" not in found
    for secret_word in (recording, CALLER.value, "470", "Telvoip NV"):
        assert secret_word not in page.text
    assert browser("sam").get(f"/customers/{bakery.id}").status_code == 403
    assert browser("claire").get(f"/customers/{bakery.id}").status_code == 403
    for unknown in (PROVIDER, "unknown"):
        assert olga.get(f"/customers/{unknown}").status_code == 404


def test_page_of_a_customer_says_what_to_look_at(house, provider, bakery, browser) -> None:
    olga, address = browser("olga"), f"/customers/{bakery.id}"
    house.clock.forward(days=15)
    olga = browser("olga")
    assert "+32 2 555 01 00 has had no call for more than 14 days" in text_of(olga.get(address).text)
    setup.switch_off(bakery.id, bakery.line.id, now=house.clock(), entropy=house.entropy)
    found = text_of(olga.get(address).text)
    assert "+32 2 555 01 00 is not recorded: the customer has not switched recording on." in found
    assert "Recording is off" in found
    paul = bakery.people["paul"]
    users.revoke_user(
        bakery.id, paul.id, now=house.clock(), entropy=house.entropy, by=By("operator"), last_admin=True
    )
    assert "No admin has access" in text_of(olga.get(address).text)


def test_page_of_a_new_customer_names_its_invitation(house, provider, office) -> None:
    office.send("/customers/invite", **NEW)
    (created,) = bodies(PROVIDER, CUSTOMER_CREATED)
    address = f"/customers/{created['customer']}"
    found = text_of(office.get(address).text)
    for fact in (
        "No admin has access", "An invitation has not been accepted yet. It is valid until",
        "There is no number yet", "Ada Adam ada@adam.example Admin Invited until", "Send again",
    ):  # fmt: skip
        assert fact in found
    house.clock.forward(days=8)
    assert office.log_in("olga").status_code == 303
    found = text_of(office.get(address).text)
    assert "An invitation expired on" in found
    assert "Invitation expired" in found


def test_operator_suspends_and_resumes_a_customer(house, provider, bakery, browser) -> None:
    olga, paul, address = browser("olga"), browser("paul"), f"/customers/{bakery.id}"
    paul.send("/language", language="en")
    recording = house.call(bakery)
    assert "Calls go on without" not in paul.get("/numbers").text
    form = text_of(olga.get(f"{address}/suspension").text)
    assert "All numbers of Boulangerie Martin" in form
    assert "Recordings stay" in form
    for wrong in ("", " ", "x" * 201):
        refused = olga.send(f"{address}/suspension", reason=wrong)
        assert refused.status_code == 422
        assert "Give the reason" in text_of(refused.text)
    assert bodies(bakery.id, "tenant.suspended") == []
    assert olga.send(f"{address}/suspension", reason="Two unpaid invoices").location == address
    assert bodies(bakery.id, "tenant.suspended") == [
        {"tenant": bakery.id, "reason": "Two unpaid invoices", "actor": "operator"}
    ]
    page = text_of(olga.get(address).text)
    assert "Boulangerie Martin Suspended since 25 November 2026" in page
    assert "Recording is suspended for all numbers since 25 November 2026: Two unpaid invoices" in page
    assert "Suspended since 25 November 2026" in text_of(olga.get("/customers").text)
    numbers = text_of(paul.get("/numbers").text)
    assert "Recording is suspended since 25 November 2026, 10:" in numbers
    assert "Reason: Two unpaid invoices" in numbers
    assert "Whom can I ask?" in numbers
    assert paul.get(f"/recordings/{recording}").status_code == 200
    log = text_of(paul.get("/access-log").text)
    assert "Your provider suspended recording for all numbers: calls go on without it." in log
    assert olga.send(f"{address}/resume").location == address
    assert "Suspended" not in text_of(olga.get(address).text)
    assert "Recording is on" in text_of(paul.get("/numbers").text)
    assert len(bodies(bakery.id, "tenant.resumed")) == 1
    assert olga.send(f"{address}/resume").status_code == 303, "repeating it changes nothing"
    assert len(bodies(bakery.id, "tenant.resumed")) == 1


def test_operator_suspends_one_number(house, provider, bakery, rival, browser) -> None:
    second = house.add_line(bakery.id, "+3225550155", bakery.announcement.id, label="Atelier")
    olga, paul, address = browser("olga"), browser("paul"), f"/customers/{bakery.id}"
    paul.send("/language", language="en")
    place = f"{address}/numbers/{second.id}/suspension"
    assert f'href="{place}"' in olga.get(address).text
    assert "+32 2 555 01 55 (Atelier)" in text_of(olga.get(place).text)
    assert olga.send(place, reason="A wrong number").location == address
    page = text_of(olga.get(address).text)
    assert "+32 2 555 01 55 is suspended since 25 November 2026: A wrong number" in page
    assert "+32 2 555 01 55 Atelier Recording is suspended" in page
    assert "+32 2 555 01 00 Magasin Recording is on" in page
    numbers = text_of(paul.get("/numbers").text)
    assert numbers.count("Your provider has suspended recording.") == 1
    assert olga.send(f"{address}/numbers/{second.id}/resume").location == address
    assert "suspended" not in text_of(olga.get(address).text)
    foreign = f"{address}/numbers/{rival.line.id}"
    for refused in (olga.get(f"{foreign}/suspension"), olga.send(f"{foreign}/resume")):
        assert refused.status_code == 404
    assert olga.send(f"{foreign}/suspension", reason="Unpaid").status_code == 404
    assert bodies(rival.id, "line.suspended") == []


def test_operator_renames_a_customer(house, provider, bakery, rival, browser) -> None:
    olga, paul, address = browser("olga"), browser("paul"), f"/customers/{bakery.id}"
    assert 'value="Boulangerie Martin"' in olga.get(f"{address}/name").text
    for wrong, sentence in (
        (" ", "Enter your company"),
        ("van dyck nv", "There is a customer with this name"),
        ("a\u200bb", "Enter"),
    ):
        refused = olga.send(f"{address}/name", company=wrong)
        assert refused.status_code == 422
        assert sentence in text_of(refused.text)
    assert bodies(bakery.id, "tenant.changed") == []
    assert olga.send(f"{address}/name", company="Boulangerie  Martin & Fille").location == address
    (leaf,) = bodies(bakery.id, "tenant.changed")
    assert (leaf["name"], leaf["name_was"]) == ("Boulangerie Martin & Fille", "Boulangerie Martin")
    row = queries.tenant(bakery.id)
    assert row is not None
    assert (row.name, row.language, row.time_zone) == ("Boulangerie Martin & Fille", "fr", "Europe/Brussels")
    paul.send("/language", language="en")
    assert "Boulangerie Martin &amp; Fille" in paul.get("/company").text
    assert "Your provider changed the company’s name" in text_of(paul.get("/access-log").text)
    olga.send(f"{address}/name", company="Boulangerie Martin & Fille")
    assert len(bodies(bakery.id, "tenant.changed")) == 1, "the same name changes nothing"


def test_operator_moves_a_number_which_starts_afresh(house, provider, bakery, rival, browser) -> None:
    recording = house.call(bakery)
    olga, place = browser("olga"), f"/customers/{bakery.id}/numbers/{bakery.line.id}/move"
    assert f'href="{place}"' in olga.get(f"/customers/{bakery.id}").text
    assert "Recordings stay with Boulangerie Martin" in text_of(olga.get(place).text)
    found = olga.get(place, query_string={"q": "dyck"}).text
    assert f'value="{rival.id}" id="to-1" checked' in found
    assert f'value="{bakery.id}"' not in olga.get(place, query_string={"q": "martin"}).text
    for wrong in ("", "unknown", bakery.id, PROVIDER):
        assert olga.send(place, to=wrong, q="dyck").status_code == 422
    assert olga.send(place, to=rival.id).location == f"/customers/{rival.id}"
    assert [line.number for line in queries.lines(bakery.id)] == []
    moved = next(line for line in queries.lines(rival.id) if line.number == bakery.line.number)
    assert (moved.recorded, moved.label, moved.keep) == (False, "", None)
    assert queries.announcement(rival.id, moved.announcement) is not None
    assert queries.recording(bakery.id, recording) is not None
    assert queries.recording(rival.id, recording) is None
    assert "+32 2 555 01 00 Recording is off" in text_of(olga.get(f"/customers/{rival.id}").text)
    assert olga.get(place).status_code == 404
    for leaf in (*bodies(bakery.id, "line.ended"), *bodies(rival.id, "line.created")):
        assert not {bakery.id, rival.id} & {str(value) for value in leaf.values()}, "neither names the other"


def test_number_does_not_move_to_a_customer_who_leaves(house, provider, bakery, rival, browser) -> None:
    offboarding.announce(house.office(), rival.id, house.clock() + timedelta(days=30))
    place = f"/customers/{bakery.id}/numbers/{bakery.line.id}/move"
    refused = browser("olga").send(place, to=rival.id, q="dyck")
    assert (refused.status_code, "This customer is leaving." in text_of(refused.text)) == (422, True)
    assert [line.id for line in queries.lines(bakery.id)] == [bakery.line.id]


def test_customers_come_in_pages(house, provider, bakery, rival, browser, monkeypatch) -> None:
    monkeypatch.setattr("web.provider.views.PAGE", 1)
    olga = browser("olga")
    first = olga.get("/customers").text
    assert ("Boulangerie Martin" in first, "Van Dyck NV" in first) == (True, False)
    next_page = html.unescape(re.search(r'href="(/customers\?[^"]+)" rel="next"', first).group(1))
    second = olga.get(next_page).text
    assert ("Boulangerie Martin" in second, "Van Dyck NV" in second) == (False, True)
    assert 'rel="next"' not in second


@pytest.fixture
def office(house, clock, entropy, provider) -> Browser:
    """The operator, in a panel that can create customers."""
    config = WebConfig(secret_key=b"k" * 32, secure_cookies=False)
    registration = Registration(house.keyring, house.changes.signer, entropy=entropy)
    return browsers(prepared(house.app(config, registration=registration)))("olga")


def test_operator_invites_a_customer(house, provider, office) -> None:
    answer = office.send("/customers/invite", **NEW)
    assert answer.status_code == 200
    link = re.search(r"https?://[^/]+(/invitation/[\w-]+)", answer.text).group(1)
    (created,) = bodies(PROVIDER, CUSTOMER_CREATED)
    operator = provider.people["olga"].id
    assert (created["by"], created["actor"]) == ("user", operator)
    tenant = str(created["customer"])
    listed = text_of(office.get("/customers").text)
    assert "Reliure Adam Invited Send again – Reliure Adam Starter Belgium – Reliure Adam 0 0" in listed
    (invited,) = bodies(tenant, "invitation.created")
    assert (invited["by"], invited["actor"]) == ("operator", ""), "the customer's log names nobody"
    ada = Browser(office.client.application.test_client())
    assert ada.send(link, token=ada.token(link), password="seven quiet lanterns").status_code == 303
    (person,) = users.users(tenant)
    assert (person.role, person.login) == ("customer_admin", "ada@adam.example")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"company": " "}, "Enter your company’s name"),
        ({"company": "boulangerie  MARTIN"}, "There is a customer with this name"),
        ({"login": "ada"}, "Enter an email address"),
        ({"login": "olga"}, "Enter an email address"),
        ({"plan": "gold"}, "Choose a plan"),
        ({"country": "atlantis"}, "Choose a country"),
        ({"languages": "klingon"}, "Choose at least one language"),
        ({"name": "Ada\u200bAdam"}, "Enter a name"),
    ],
)
def test_mistakes_stand_beside_their_fields(house, bakery, office, changed, sentence) -> None:
    answer = office.send("/customers/invite", **NEW | changed)
    assert answer.status_code == 422
    assert sentence in text_of(answer.text)
    others = {"company", "name", "login"} - {*changed}
    assert all(f'value="{NEW[each]}"' in answer.text for each in others)
    assert bodies(PROVIDER, CUSTOMER_CREATED) == []


def test_customer_is_not_created_without_its_admin(house, provider, office, monkeypatch) -> None:
    def fail(*_arguments: object, **_more: object) -> None:
        raise CatalogueError("user.exists", "taken meanwhile", "")

    monkeypatch.setattr("recorder.features.team.invitations.Invitations.invite", fail)
    assert office.send("/customers/invite", **NEW).status_code == 422
    assert bodies(PROVIDER, CUSTOMER_CREATED) == []
    assert "Reliure Adam" not in office.get("/customers").text


def test_invitation_is_sent_again_while_nobody_has_access(house, provider, bakery, office) -> None:
    first = re.search(r"(/invitation/[\w-]+)", office.send("/customers/invite", **NEW).text).group(1)
    (created,) = bodies(PROVIDER, CUSTOMER_CREATED)
    address = f"/customers/{created['customer']}/invitation"
    assert address in office.get("/customers").text
    again = re.search(r"(/invitation/[\w-]+)", office.send(address).text).group(1)
    ada = Browser(office.client.application.test_client())
    assert ada.get(first).status_code == 410
    assert ada.send(again, token=ada.token(again), password="seven quiet lanterns").status_code == 303
    assert address not in office.get("/customers").text
    for ended in (address, f"/customers/{bakery.id}/invitation", f"/customers/{PROVIDER}/invitation"):
        assert office.send(ended).location == "/customers"
        assert "This invitation has ended." in office.get("/customers").text
    assert len(bodies(str(created["customer"]), "invitation.renewed")) == 1


def test_later_invitations_are_the_customers_own_affair(house, provider, bakery, office) -> None:
    paul = Browser(office.client.application.test_client())
    assert paul.log_in("paul").status_code == 303
    invited = {"name": "Nora Nagels", "address": "nora@martin.example", "role": "customer", "how": "link"}
    assert "/invitation/" in paul.send("/team/invite", **invited, lines="all").text
    assert office.send(f"/customers/{bakery.id}/invitation").location == "/customers"
    for person in bakery.people.values():  # nor when nobody is left who had access
        users.revoke_user(
            bakery.id, person.id, now=house.clock(), entropy=house.entropy, by=By("operator"), last_admin=True
        )
    assert office.send(f"/customers/{bakery.id}/invitation").location == "/customers"
    assert bodies(bakery.id, "invitation.renewed") == []


@pytest.mark.parametrize("role", [OPERATOR, SUPPORT])
def test_gate_gives_them_nothing(house, provider, bakery, role) -> None:
    recording, gate = house.call(bakery), house.gate
    at = {"now": house.clock(), "entropy": house.entropy}
    entered = subject_requests.enter(
        bakery.id, number=CALLER.value, wants="copy", language="fr", received_on=house.clock().date(),
        by_kind="operator", by=None, **at,
    )  # fmt: skip
    vouch(bakery.id, entered.id, signer=house.services.signer, **at)
    request = subject_requests.find_copy_request(bakery.id, entered.id)
    claire = bakery.people["claire"]
    grant = gate.grant(Actor(claire.id, claire.tenant, claire.role, "fr"), recording, "agreement")
    somebody = next(each for each in provider.people.values() if each.role == role)
    own = Actor(somebody.id, PROVIDER, role, "en")
    for who in (own, replace(own, tenant=bakery.id), replace(own, tenant=bakery.id, role="customer_admin")):
        for refused in (
            lambda who=who: gate.facts(who, recording),
            lambda who=who: gate.purposes(who, recording),
            lambda who=who: gate.grant(who, recording, "agreement"),
            lambda who=who: gate.valid_grant(who, grant.id),
            lambda who=who: gate.open(who, grant.id, "audio.opus", "p" * 22),
            lambda who=who: gate.manifest(who, grant.id),
            lambda who=who: gate.download(who, recording, "agreement", "audio.opus"),
            lambda who=who: gate.copy(who, request, recording),
            lambda who=who: gate.handover(who),
        ):
            with pytest.raises((AccessError, SubjectRequestError)):
                refused()
    assert gate.why_no_download(own) == "access.download_role"


def test_changed_row_makes_nobody_an_operator(house, provider, bakery, browser) -> None:
    """Nor an operator a customer's admin: role and tenant are signed."""
    for login, change in (
        ("claire", {"role": OPERATOR}),
        ("paul", {"role": OPERATOR, "tenant": PROVIDER}),
        ("olga", {"role": "customer_admin", "tenant": bakery.id}),
    ):
        with writing():
            UserTable.update(**change).where(UserTable.login == login).execute()
        assert browser().log_in(login).status_code == 422, login


@pytest.mark.parametrize(("tenant", "role"), [("bakery", OPERATOR), ("provider", "customer_admin")])
def test_roles_of_the_other_side_cannot_be_given(house, provider, bakery, tenant, role) -> None:
    owner = {"bakery": bakery, "provider": provider}[tenant]
    with expect_error(CatalogueError, "user.role"):
        house.person(owner, "eve", "Eve", role=role)


def test_second_factor_works_as_for_others(house, clock, provider, bakery, browser) -> None:
    olga = provider.people["olga"]
    key = house.factors.new_app_key(olga)
    totp = pyotp.TOTP(house.factors.secret(olga, key))
    assert house.factors.add_app(olga, key, totp.at(clock()))
    clock.forward(minutes=1)
    somebody = browser()
    assert somebody.log_in("olga").location == "/login/code"
    assert somebody.get("/customers").location.startswith("/login")
    assert somebody.send("/login/code", code=totp.at(clock())).location == "/"
    assert somebody.get("/customers").status_code == 200
    with expect_error(CatalogueError, "factors.not_allowed"):  # no customer's admin takes it away
        house.factors.request_reset(olga, bakery.people["paul"])


def test_months_can_be_chosen_since_the_first_usage() -> None:
    today = date(2026, 11, 25)
    assert months_since(None, today) == [date(2026, 11, 1)]
    months = months_since(date(2026, 1, 31), today)
    assert (len(months), months[-1]) == (11, date(2026, 1, 1))
    assert parse_month("2026-03", months) == date(2026, 3, 1)
    for wrong in ("", "2025-12", "2026-13", "x"):
        assert parse_month(wrong, months) == date(2026, 11, 1)
    assert [last_day(shift(date(2026, 11, 1), by)) for by in (0, 1, -9)] == [
        date(2026, 11, 30), date(2026, 12, 31), date(2026, 2, 28),
    ]  # fmt: skip
