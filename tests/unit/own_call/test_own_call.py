"""People open their own call with the customer's code and one that is spoken to their number; nothing else
opens it, whatever the rows say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.auditlog.append import append
from recorder.catalogue.database import writing
from recorder.catalogue.subject_request_queries import RequestRow
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.own_call import OwnCallTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.subject_request import SubjectRequestTable
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.domain.roles import EXTERNAL_PARTY, NEUTRAL
from recorder.errors import (
    AccessError,
    AuditLogError,
    OwnCallError,
    SubjectRequestError,
    VerificationCallError,
)
from recorder.features.own_call import codes, tenant_rule
from recorder.features.own_call.admissions import verify_number
from recorder.features.own_call.duty import revoke_ended
from recorder.features.subject_requests import erasure, reviews
from recorder.features.subject_requests import service as requests
from recorder.features.subject_requests.withdrawals import WithdrawalDuty
from recorder.identity import users
from recorder.lifecycle import expiry
from recorder.seal.own_call import KIND
from recorder.verification_calls.policy import CallPolicy
from recorder.verification_calls.verified_number import VerifiedNumber
from tests.expected_errors import expect_error

PHONE = "+32470999999"


def refusal(scene, user, recording: str | None = None, **changes) -> str | None:
    who = replace(scene.actor(user), **changes)
    try:
        scene.house.gate.facts(who, recording or scene.call)
    except AccessError as error:
        return error.error_id
    return None


def test_it_is_off_until_the_customer_switches_it_on(scene) -> None:
    assert not tenant_rule.rule_of(scene.customer.id).on
    with expect_error(OwnCallError, "own_call.off"):
        scene.give()
    assert scene.switch()
    assert not scene.switch(), "nothing changes"
    mac = scene.give()
    scene.switch(False)
    with expect_error(OwnCallError, "own_call.closed"):
        scene.calls.order_call(mac, "fr")


@pytest.mark.parametrize("days", [0, 91])
def test_a_code_works_for_a_bounded_time(scene, days: int) -> None:
    with expect_error(OwnCallError, "own_call.days"):
        scene.switch(days=days)


def test_both_codes_open_one_recording_through_the_gate(scene) -> None:
    other = scene.house.call(scene.customer)
    scene.switch()
    mac = scene.give()
    assert scene.hear(mac)[0] == scene.facts().parties.external_party.value
    scene.house.clock.forward(minutes=1)
    guest = scene.open(mac)
    assert (guest.role, guest.name) == (EXTERNAL_PARTY, "Personne enregistrée")
    assert refusal(scene, guest) is None
    assert refusal(scene, guest, other) == "access.not_admitted", "one recording per code"
    assert refusal(scene, guest, role=NEUTRAL) == "access.not_admitted"
    assert scene.open(mac).id == guest.id, "from another browser, too"
    kinds = [leaf.kind for leaf in _leaves(scene)]
    assert kinds.count("own_call.opened") == 2


def _leaves(scene) -> list[LeafTable]:
    return list(LeafTable.select().where(LeafTable.tenant == scene.customer.id).order_by(LeafTable.number))


def test_a_wrong_spoken_code_opens_nothing_and_counts(scene) -> None:
    scene.switch()
    mac = scene.give()
    _number, digits = scene.hear(mac)
    wrong = f"{(int(digits) + 1) % 10**6:06}"
    for _ in range(5):
        with expect_error(VerificationCallError, "call.wrong_code"):
            scene.calls.open(mac, wrong, name="x", language="fr")
    with expect_error(VerificationCallError, "call.tries_exhausted"):
        scene.calls.open(mac, digits, name="x", language="fr")


@pytest.mark.parametrize("ended", ["withdrawn", "replaced", "over", "off"])
def test_it_closes_with_the_code(scene, ended: str) -> None:
    scene.switch(days=3)
    mac = scene.give()
    guest = scene.open(mac)
    match ended:
        case "withdrawn":
            assert scene.withdraw()
            assert not scene.withdraw()
        case "replaced":
            assert scene.give() != mac
        case "over":
            scene.house.clock.forward(days=3)
        case "off":
            scene.switch(False)
    assert refusal(scene, guest) in ("access.not_admitted", "access.revoked")
    with expect_error(OwnCallError, "own_call.closed"):
        scene.calls.order_call(mac, "fr")


def test_whoever_opened_a_call_is_no_user_once_the_code_is_over(scene) -> None:
    scene.switch(days=3)
    guest = scene.open(scene.give())
    services, clock = scene.house.services, scene.house.clock
    clock.forward(days=2, hours=23)
    assert revoke_ended(services, clock()) == 0
    clock.forward(hours=1)
    claire = scene.customer.people["claire"]
    with writing():  # a row does not name who is revoked
        OwnCallTable.update(guest_id=claire.id).execute()
    assert revoke_ended(services, clock()) == 1
    assert users.user(guest.tenant, guest.id).revoked_at is not None
    assert users.user(claire.tenant, claire.id).revoked_at is None
    assert revoke_ended(services, clock()) == 0


def test_only_a_number_that_is_called_gets_a_code(scene) -> None:
    facts = scene.facts()
    assert codes.why_not(facts, CallPolicy()) is None
    nameless = replace(facts, parties=replace(facts.parties, external_party=None))
    assert codes.why_not(nameless, CallPolicy()) == "own_call.no_number"


@pytest.mark.parametrize("change", [{"guest_id": "another"}, {"number": 7}, {"statement": "{}"}])
def test_a_row_opens_nothing(scene, change) -> None:
    """Nor does one that was put back, once the log names a later one."""
    scene.switch()
    mac = scene.give()
    guest = scene.open(mac)
    with writing():
        OwnCallTable.update(change).execute()
    assert refusal(scene, guest) == "access.not_admitted"


def test_a_withdrawn_code_is_not_put_back(scene) -> None:
    scene.switch()
    mac = scene.give()
    before = OwnCallTable.get().__data__.copy()
    scene.withdraw()
    with writing():
        OwnCallTable.update(before).execute()
    with expect_error(OwnCallError, "own_call.closed"):
        scene.calls.order_call(mac, "fr")


def test_the_number_that_is_called_is_the_sealed_one(scene) -> None:
    """A row that names another telephone redirects no call."""
    scene.switch()
    mac = scene.give()
    with writing():
        RecordingTable.update(external_value=PHONE).execute()
    assert scene.hear(mac)[0] != PHONE
    row = OwnCallTable.get()
    code = KIND.read(row.statement.encode(), scene.house.root_public).value
    forged = KIND.write(replace(code, phone=PHONE), scene.house.changes.signer, scene.house.clock())
    with writing():
        OwnCallTable.update(statement=forged.decode()).execute()
    with expect_error(OwnCallError, "own_call.closed"):
        scene.calls.order_call(mac, "fr")


def test_a_shortened_log_opens_nothing(scene) -> None:
    scene.switch()
    mac = scene.give()
    _number, digits = scene.hear(mac)
    with writing():
        LeafTable.delete().where(LeafTable.number == 1).execute()
    with expect_error(AuditLogError, "audit_log.incomplete"):
        scene.calls.open(mac, digits, name="x", language="fr")


def test_an_erased_recording_takes_its_code_and_calls_along(scene) -> None:
    scene.switch(days=90)
    guest = scene.open(scene.give())
    scene.house.clock.forward(days=60)
    scene.house.confirm_holds()
    assert expiry.destroy_due(scene.house.services, scene.house.clock()) == 1
    assert not OwnCallTable.select().exists()
    assert not VerificationCallTable.select().exists()
    assert refusal(scene, guest) is not None
    assert users.user(scene.customer.id, guest.id) is not None
    bodies = [leaf.body for leaf in _leaves(scene) if leaf.kind.startswith("own_call.")]
    assert [each is None for each in bodies] == [False, *[True] * (len(bodies) - 1)]


def test_who_switches_it_on_is_in_the_log(scene) -> None:
    scene.switch(names=True)
    found = tenant_rule.rule_of(scene.customer.id)
    assert (found.by, found.names) == (scene.by.id, True)
    with writing():
        append(scene.customer.id, "own_call.set_up", {
            "own_call": False, "own_call_days": 3, "own_call_names": False, "by": "user", "actor": "x",
        }, scene.house.clock() + timedelta(seconds=1), scene.house.entropy)  # fmt: skip
    assert tenant_rule.rule_of(scene.customer.id).days == 3


def test_a_person_asks_about_their_call_alone(scene) -> None:
    """An erasure waits three days, can be taken back meanwhile, and concerns no other call of theirs."""
    other = scene.house.call(scene.customer)
    scene.switch()
    guest = scene.open(scene.give())
    person = verify_number(scene.actor(guest), scene.call, scene.house.trust, scene.house.clock())
    entry = requests.enter_own(person, wants="erasure", language="fr", **scene.when)
    assert (entry.recording, entry.verified_how, entry.number) == (scene.call, "code", person.number)
    with expect_error(SubjectRequestError, "subject_request.asked"):
        requests.enter_own(person, wants="erasure", language="fr", **scene.when)
    tenant, clock = scene.customer.id, scene.house.clock
    with expect_error(SubjectRequestError, "subject_request.waits"):
        requests.find_erasure_request(tenant, entry.id, clock())
    requests.take_back(person, entry.id, **scene.when)
    with expect_error(SubjectRequestError, "subject_request.closed"):
        requests.take_back(person, entry.id, **scene.when)
    again = requests.enter_own(person, wants="erasure", language="fr", **scene.when)
    clock.forward(days=3)
    verified = requests.find_erasure_request(tenant, again.id, clock())
    assert [each.id for each in reviews.recordings_of(verified.row)] == [scene.call]
    assert reviews.unrecorded_calls_of(verified.row) == ()
    with expect_error(SubjectRequestError, "subject_request.not_theirs"):
        erasure.erase_recording(scene.house.changes, verified, other, scene.by.id)
    assert erasure.erase_recording(scene.house.changes, verified, scene.call, scene.by.id) is None


@pytest.mark.parametrize("change", [{"recording_id": None}, {"entered_at": None}])
def test_a_row_neither_widens_nor_hastens_a_request(scene, change) -> None:
    scene.switch()
    guest = scene.open(scene.give())
    person = verify_number(scene.actor(guest), scene.call, scene.house.trust, scene.house.clock())
    entry = requests.enter_own(person, wants="erasure", language="fr", **scene.when)
    if "entered_at" in change:
        change = {"entered_at": scene.house.clock() - timedelta(days=9)}
    with writing():
        SubjectRequestTable.update(change).execute()
    with expect_error(SubjectRequestError, "subject_request.not_logged"):
        requests.find_erasure_request(scene.customer.id, entry.id, scene.house.clock())


def test_only_who_opened_a_call_asks_about_it(scene) -> None:
    scene.switch()
    guest = scene.open(scene.give())
    claire = scene.actor(scene.customer.people["claire"])
    when = (scene.house.trust, scene.house.clock())
    with expect_error(OwnCallError, "own_call.closed"):
        verify_number(claire, scene.call, *when)
    other = scene.house.call(scene.customer)
    with expect_error(OwnCallError, "own_call.closed"):
        verify_number(scene.actor(guest), other, *when)
    person = verify_number(scene.actor(guest), scene.call, *when)
    other_request = requests.enter(
        scene.customer.id, number=person.number, wants="copy", language="fr",
        received_on=scene.house.clock().date(), by_kind="operator", by=None, **scene.when,
    )  # fmt: skip
    with expect_error(SubjectRequestError, "subject_request.not_found"):
        requests.take_back(person, other_request.id, **scene.when)
    scene.withdraw()
    with expect_error(OwnCallError, "own_call.closed"):
        verify_number(scene.actor(guest), scene.call, *when)


def withdrawal(scene) -> tuple[VerifiedNumber, RequestRow]:
    """A call that was agreed to, whose person withdraws their consent."""
    scene.call = scene.house.call(scene.customer, mode="opt-in")
    scene.switch()
    guest = scene.open(scene.give())
    person = verify_number(scene.actor(guest), scene.call, scene.house.trust, scene.house.clock())
    return person, requests.enter_own(person, wants="withdrawal", language="fr", **scene.when)


def test_a_withdrawal_takes_effect_after_three_days(scene) -> None:
    person, entry = withdrawal(scene)
    duty, clock = WithdrawalDuty(scene.house.services), scene.house.clock
    assert scene.facts().status.may_withdraw()
    clock.forward(days=2, hours=23)
    assert duty.record_due(clock()) == 0
    with expect_error(SubjectRequestError, "subject_request.waits"):
        requests.find_withdrawal_request(scene.customer.id, entry.id, clock())
    clock.forward(hours=1)
    assert duty.record_due(clock()) == 1
    assert not scene.facts().status.may_withdraw()
    amendment = scene.facts().status.chain.amendments[-1]
    assert (amendment.kind, amendment.by.id) == ("consent_withdrawn", person.guest)
    assert requests.find_request(scene.customer.id, entry.id).closed_how == "answered"
    assert duty.record_due(clock()) == 0


def test_a_withdrawal_that_was_taken_back_has_no_effect(scene) -> None:
    person, entry = withdrawal(scene)
    requests.take_back(person, entry.id, **scene.when)
    scene.house.clock.forward(days=4)
    assert WithdrawalDuty(scene.house.services).record_due(scene.house.clock()) == 0
    assert scene.facts().status.may_withdraw()


def test_a_withdrawal_goes_on_after_an_interruption(scene) -> None:
    """Consent has ended, and the request is still open."""
    _person, entry = withdrawal(scene)
    scene.house.clock.forward(days=3)
    status = scene.house.changes.look(scene.customer.id, scene.call)
    scene.house.changes.withdraw(status, scene.by, reason="as before")
    assert WithdrawalDuty(scene.house.services).record_due(scene.house.clock()) == 1
    assert requests.find_request(scene.customer.id, entry.id).closed_how == "answered"


def test_a_forged_row_withdraws_nothing(scene) -> None:
    _person, entry = withdrawal(scene)
    other = scene.house.call(scene.customer, mode="opt-in")
    with writing():
        changes = {"entered_at": scene.house.clock() - timedelta(days=9), "recording_id": other}
        SubjectRequestTable.update(changes).where(SubjectRequestTable.id == entry.id).execute()
    assert WithdrawalDuty(scene.house.services).record_due(scene.house.clock()) == 0
    assert scene.house.changes.look(scene.customer.id, other).may_withdraw()
    assert scene.facts().status.may_withdraw()
