"""An admin adds a number of the company by the code of a call to it."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from recorder.auditlog import leaf_lookup
from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.domain.live_command import NO_ANSWER, NO_WAY_OUT
from recorder.errors import AccordError
from recorder.features.subject_requests import service, verification_code
from recorder.features.tenants import number_proof
from recorder.features.tenants.number_proof import NumberProofs
from recorder.lifecycle import line_history
from recorder.verification_calls import register
from recorder.verification_calls.code import hash_code
from recorder.verification_calls.policy import CallPolicy
from recorder.verification_calls.register import NOT_LOGGED, TAKEN_WITHIN, TRIES, VALID
from tests.expected_errors import expect_error
from web.state import KEY

NUMBER = "+3225550177"
FIELD = re.compile(r'<p class="field-error" id="([a-z]+)-wrong">([^<]+)</p>')


@pytest.fixture
def proofs(app, clock, entropy) -> NumberProofs:
    """Numbers of two countries are called, thirteen times a day."""
    new_proofs = NumberProofs(
        CallPolicy(("fr",), calls_a_customer=10, calls_a_day=13),
        now=clock,
        entropy=entropy,
        never_record=("+3225550166",),
    )
    app.extensions[KEY] = replace(app.extensions[KEY], number_proofs=new_proofs)
    return new_proofs


@pytest.fixture
def hear(clock, entropy):
    """A node makes the call that was ordered; returns the code that is heard."""

    def take(outcome: str = "done") -> str:
        claim = register.take("node1", clock(), entropy)
        assert claim is not None
        register.answer("node1", claim[0], outcome, clock(), entropy)
        return claim[1]

    return take


def order(person, entry: str = "02 555 01 77") -> str:
    """The address of the ordered call's page."""
    answer = person.send("/numbers/new", number=entry)
    assert answer.status_code == 303, errors(answer)
    return str(answer.location)


def errors(answer) -> dict[str, str]:
    return {name: html.unescape(text) for name, text in FIELD.findall(answer.text)}


def numbers(tenant: str) -> list[str]:
    return [row.number for row in queries.lines(tenant)]


def another(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def leaves(tenant: str) -> int:
    with connected():
        return LeafTable.select().where(LeafTable.tenant == tenant).count()


def test_number_is_called_and_added_for_its_code(browser, bakery, proofs, hear) -> None:
    paul = browser("paul")
    assert 'href="/numbers/new"' in paul.get("/numbers").text
    page = order(paul)
    before = leaves(bakery.id)
    assert 'data-live="yes"' in paul.get(page).text
    assert leaves(bakery.id) == before, "looking changes nothing"
    code = hear()
    assert 'data-live="no"' in paul.get(page).text
    wrong = paul.send(page, code=another(code))
    assert wrong.status_code == 422
    assert list(errors(wrong)) == ["code"]
    assert f'value="{another(code)}"' in wrong.text
    answer = paul.send(page, code=f" {code[:3]} {code[3:]} ")
    (line,) = (row for row in queries.lines(bakery.id) if row.number == NUMBER)
    assert (answer.status_code, answer.location) == (303, f"/numbers/{line.id}/setup")
    assert not line.recorded, "its customer sets it up first"
    creations = leaf_lookup.find_decisions(bakery.id, [line_history.CREATED])
    assert (line.id, NUMBER) in line_history.lines_in(creations)
    (leaf,) = leaf_lookup.leaves_after(bakery.id, 0, number_proof.PROVED)
    assert (leaf.body["line"], leaf.body["actor"]) == (line.id, bakery.people["paul"].id)
    assert NUMBER not in str(leaf.body)
    assert paul.send(page, code=code).location == "/numbers", "sent twice"
    assert numbers(bakery.id).count(NUMBER) == 1


def test_code_is_told_by_the_prompt_and_stored_nowhere(bakery, browser, proofs, hear) -> None:
    order(browser("paul"))
    code = hear()
    with connected():
        stored = [str(row.__data__) for row in VerificationCallTable.select()]
        stored += [str(row.__data__) for row in LeafTable.select()]
    assert not any(code in each for each in stored)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("", "line.number"),
        ("1001", "line.number"),
        ("our number", "line.number"),
        ("112", "line.emergency"),
        ("+32 2 555", "line.number_length"),
        ("02 555 01", "line.number_length"),
        ("+32 2 555 01 66", "line.never_record"),
        ("0900 12 345", "call.kind"),
        ("0800 12 345", "call.kind"),
        ("+882 16 123 4567", "call.country"),
        ("+44 20 7946 0000", "call.country"),
        ("02 555 01 00", "number.added"),
        ("0032 (0)2/555.01.00", "number.added"),
    ],
)
def test_number_that_is_not_called(browser, bakery, rival, proofs, entry, problem) -> None:
    with expect_error(AccordError, problem):
        proofs.order_call(queries.tenant(bakery.id), entry, who="u")
    answer = browser("paul").send("/numbers/new", number=entry)
    assert answer.status_code == 422
    assert list(errors(answer)) == ["number"]
    assert f'value="{html.escape(entry)}"' in answer.text
    assert "Van Dyck" not in answer.text
    with connected():
        assert not VerificationCallTable.select().exists()


def refused(proofs, tenant: str, entry: str) -> str:
    with pytest.raises(AccordError) as error:
        proofs.order_call(queries.tenant(tenant), entry, who="u")
    return error.value.error_id


def test_calls_are_limited(browser, bakery, rival, proofs, hear, clock, entropy) -> None:
    mine, theirs = (queries.tenant(each.id) for each in (bakery, rival))
    with writing():
        NotRecordedTable.create(
            id="n", tenant=rival.id, number="+3225550199", direction="inbound", node="n",
            external_kind="e164", external_value=NUMBER, started_at=clock(), ended_at=clock(),
            reason="declined", listed_at=clock(),
        )  # fmt: skip
    request = service.enter(
        rival.id, number=NUMBER, wants="copy", language="en", received_on=clock().date(), by_kind="operator",
        by=None, now=clock(), entropy=entropy,
    )  # fmt: skip
    verification_code.order_call(rival.id, request.id, who="u", now=clock(), entropy=entropy)
    hear("unanswered")
    for owner in (mine, theirs):
        proofs.order_call(owner, NUMBER, who="u")
        if owner is mine:
            assert refused(proofs, mine.id, "02 555 01 78") == "call.pending"
        hear("unanswered")
    for owner in (mine, theirs):
        assert refused(proofs, owner.id, "02/555 01 77") == "call.number_exhausted"
    for last in range(9):
        proofs.order_call(mine, f"+32255501{80 + last}", who="u")
        hear("unanswered")
    assert refused(proofs, mine.id, "02 555 01 70") == "call.customer_exhausted"
    proofs.order_call(theirs, "02 555 01 71", who="u")
    hear("unanswered")
    assert refused(proofs, theirs.id, "02 555 01 72") == "call.day_exhausted"
    paul = browser("paul")
    assert list(errors(paul.send("/numbers/new", number="02 555 01 70"))) == ["number"]
    clock.forward(days=1, seconds=1)
    order(browser("paul"), NUMBER)


def test_code_is_valid_for_minutes_and_five_attempts(browser, bakery, proofs, hear, clock) -> None:
    paul = browser("paul")
    first = order(paul)
    old = hear()
    clock.forward(seconds=5)
    second = order(paul)
    code = hear()
    assert "code" in errors(paul.send(first, code=old)), "a later call replaces it"
    assert "code" in errors(paul.send(second, code=old))
    for _ in range(TRIES - 1):
        assert "code" in errors(paul.send(second, code=another(code)))
    assert "code" in errors(paul.send(second, code=code))
    clock.forward(seconds=5)
    third = order(paul)
    code = hear()
    clock.at += VALID
    assert "code" in errors(paul.send(third, code=code))
    assert numbers(bakery.id) == ["+3225550100"]


def test_number_that_another_customer_took_meanwhile(
    browser, house, bakery, rival, proofs, hear, clock, entropy
) -> None:
    paul = browser("paul")
    page, code = order(paul), hear()
    theirs = queries.tenant(rival.id)
    call = proofs.order_call(theirs, NUMBER, who="u")
    assert proofs.prove(theirs, call.id, hear(), who="u") is not None
    answer = paul.send(page, code=code)
    assert answer.status_code == 422
    assert "fournisseur" in errors(answer)["code"]
    assert numbers(bakery.id) == ["+3225550100"]


def test_nobody_learns_which_numbers_others_have(browser, bakery, rival, proofs, hear) -> None:
    """A number of another customer is called as any other one; who answers it is referred to the provider."""
    paul, theirs, free = browser("paul"), "+32 2 555 01 99", "+32 2 555 01 98"

    def answers(entry: str) -> tuple[list[object], str, str]:
        page, code = order(paul, entry), hear()
        wrong = paul.send(page, code="1" * 6 if code != "1" * 6 else "2" * 6)
        notices = re.findall(r'<p class="notice[^>]*>([^<]+)', paul.get(page).text)
        return [wrong.status_code, errors(wrong), notices], page, code

    (theirs_told, page, code), (free_told, _page, _code) = answers(theirs), answers(free)
    assert theirs_told == free_told
    with capture_logs() as logs:
        answer = paul.send(page, code=code)
    assert answer.status_code == 422
    assert list(errors(answer)) == ["code"]
    assert "Van Dyck" not in answer.text
    (line,) = [line for line in logs if line["event"] == "number.claimed"]
    assert (line["tenant"], line["other_tenant"]) == (bakery.id, rival.id)
    assert numbers(bakery.id) == ["+3225550100"]


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [("line_busy", "occupée"), ("unanswered", "répondu"), (NO_WAY_OUT, "fournisseur")],
)
def test_page_says_why_nobody_was_reached(browser, bakery, proofs, hear, outcome, sentence) -> None:
    paul = browser("paul")
    page = order(paul)
    hear(outcome)
    assert sentence in paul.get(page).text


def test_order_that_no_node_takes_expires(browser, bakery, proofs, clock, entropy) -> None:
    paul = browser("paul")
    page = order(paul)
    clock.at += TAKEN_WITHIN + timedelta(seconds=1)
    assert register.take("node1", clock(), entropy) is None
    call = proofs.find_call(bakery.id, page.rpartition("/")[2])
    assert call.outcome == NO_ANSWER
    assert "is-error" in paul.get(page).text
    order(paul)


def test_forged_rows_call_nobody_and_add_nothing(
    browser, house, bakery, proofs, hear, clock, entropy
) -> None:
    paul = browser("paul")
    page = order(paul)
    identity = page.rpartition("/")[2]

    def forge(**columns: object) -> None:
        with writing():
            VerificationCallTable.update(columns).where(VerificationCallTable.id == identity).execute()

    forge(number="+3225550188")
    assert register.take("node1", clock(), entropy) is None
    with connected():
        assert VerificationCallTable.get_by_id(identity).outcome == NOT_LOGGED
    forge(number=NUMBER, outcome=None)
    code = hear()
    with connected():
        real = VerificationCallTable.get_by_id(identity).code_hash
    forge(code_hash=hash_code(identity, "123456", entropy))
    assert "code" in errors(paul.send(page, code="123456"))
    forge(code_hash=real, number="+3225550188")
    assert "code" in errors(paul.send(page, code=code)), "another number than was called"
    assert numbers(bakery.id) == ["+3225550100"]
    forge(number=NUMBER)
    assert paul.send(page, code=code).status_code == 303


def test_only_admins_of_the_customer_where_numbers_are_called(
    browser, house, bakery, rival, proofs, app
) -> None:
    page = order(browser("paul"))
    for login in ("claire", "audit"):
        person = browser(login)
        assert 'href="/numbers/new"' not in person.get("/numbers").text
        for path in ("/numbers/new", page):
            assert person.get(path).status_code == 403
            assert person.send(path, number=NUMBER, code="123456").status_code == 403
    house.person(rival, "boss", "An Boss", role="customer_admin")
    boss = browser("boss")
    assert boss.get(page).status_code == 404
    assert boss.send(page, code="123456").status_code == 404
    app.extensions[KEY] = replace(app.extensions[KEY], number_proofs=None)
    paul = browser("paul")
    assert 'href="/numbers/new"' not in paul.get("/numbers").text
    assert paul.get("/numbers/new").status_code == 404
    assert paul.send("/numbers/new", number=NUMBER).status_code == 404
