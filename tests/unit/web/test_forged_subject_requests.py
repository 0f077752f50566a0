"""Rows forged in the catalogue give and erase nothing, and an audit reports them.

Only rows are changed here, not the audit log, whose checkpoints reveal changes.
"""

from __future__ import annotations

import pytest

from recorder.audit.service import Audit
from recorder.auditlog.append import append
from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.subject_request import ReviewTable, SubjectRequestTable
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.clock import to_iso
from recorder.errors import VerificationCallError
from recorder.features.subject_requests import reviews, service, verification_code
from recorder.verification_calls import register
from recorder.verification_calls.code import hash_code
from recorder.verification_calls.register import NOT_LOGGED, TRIES, VALID
from tests.expected_errors import expect_error
from tests.unit.web.test_subject_requests import OTHER, decide, enter, kinds, known


@pytest.fixture
def call(house, bakery) -> str:
    return house.call(bakery)


def change(model, **columns) -> None:
    with writing():
        assert model.update(**columns).execute()


def found(house, tenant: str) -> set[tuple[str, str]]:
    audit = Audit(house.store, house.root_public, house.clock(), house.keyring)
    return {(each.code, each.where.split()[1]) for each in audit.tenant(tenant)}


def refused_everywhere(person, page: str, recording: str) -> None:
    """Nothing is revealed, given or erased, and the page gives the reason."""
    answers = [person.get(page)]
    for what, form in (
        ("review", {f"given-{recording}": "both"}), ("copy", {}), ("erase", {"sure": "yes"}),
        ("close", {"how": "answered"}), ("vouch", {"how": "seen"}),
    ):  # fmt: skip
        answers.append(person.send(f"{page}/{what}", **form))
    for answer in answers:
        assert answer.status_code == 403
        assert "diffèrent du journal" in answer.text


FORGED = {
    "shown by a code": {"verified_at": "2026-11-25T09:00:00.000Z", "verified_how": "code",
                        "verified_by": "u"},
    "vouched for by two": {
        "vouched_at": "2026-11-25T09:00:00.000Z", "vouched_by": "v", "vouched_statement": "seen",
        "verified_at": "2026-11-25T09:00:00.000Z", "verified_how": "people", "verified_by": "u",
    },
    "vouched for by one": {
        "vouched_at": "2026-11-25T09:00:00.000Z", "vouched_by": "v", "vouched_statement": "seen",
    },
}  # fmt: skip


@pytest.mark.parametrize("how", FORGED)
def test_forged_row_does_not_verify_a_number(house, browser, bakery, call, how) -> None:
    paul = browser("paul")
    page = enter(paul)
    change(SubjectRequestTable, **FORGED[how])
    refused_everywhere(paul, page, call)
    assert kinds(bakery.id) == ["subject_request.received"]
    assert found(house, bakery.id) == {("row.changed", "subject_request")}


@pytest.mark.parametrize(
    "columns",
    [
        {"number": OTHER.value},
        {"wants": "erasure"},
        {"number_salt": "00" * 32},
        {"exported_at": "2026-11-25T09:00:00.000Z"},
        {"closed_at": "2026-11-25T09:00:00.000Z", "closed_how": "answered"},
        {"verified_by": "u"},
        {"verified_how": "code"},
        {"vouched_by": "u"},
        {"language": "de"},
    ],
)
def test_forged_fields_of_a_verified_request_do_not_count(house, browser, bakery, columns) -> None:
    theirs = house.call(bakery, external_party=OTHER)
    call = house.call(bakery)
    paul = browser("paul")
    page = enter(paul)
    known(paul, page)
    decide(paul, page, **{call: "both"})
    before = kinds(bakery.id, "")
    change(SubjectRequestTable, **columns)
    refused_everywhere(paul, page, call)
    assert kinds(bakery.id, "") == before
    assert queries.recording(bakery.id, theirs).erased_at is None
    assert found(house, bakery.id) == {("row.changed", "subject_request")}


def test_request_rests_on_its_own_leaves(house, browser, bakery, call) -> None:
    """Not on the leaves of another, verified request."""
    paul = browser("paul")
    request_page = enter(paul)
    known(paul, request_page)
    page = enter(paul)
    with writing():
        row = SubjectRequestTable.get_by_id(request_page.rpartition("/")[2])
        columns = {
            "verified_at": row.verified_at,
            "verified_how": row.verified_how,
            "verified_by": row.verified_by,
        }
        columns |= {"vouched_at": row.vouched_at, "vouched_by": row.vouched_by, "leaves": row.leaves}
        SubjectRequestTable.update(**columns).where(
            SubjectRequestTable.id == page.rpartition("/")[2]
        ).execute()
    refused_everywhere(paul, page, call)
    assert found(house, bakery.id) == {("row.changed", "subject_request")}


@pytest.mark.parametrize(
    "columns",
    [
        {"given": "both", "withheld_reason": None},
        {"given": "both"},
        {"erased_at": "2026-11-25T09:00:00.000Z"},
    ],
)
def test_forged_review_row_gives_nothing(house, browser, bakery, call, columns) -> None:
    paul = browser("paul")
    page = enter(paul)
    known(paul, page)
    decide(paul, page, **{call: "withheld:Un tiers y parle"})
    change(ReviewTable, **columns)
    for answer in (paul.send(f"{page}/copy"), paul.get(page), paul.send(f"{page}/erase", sure="yes")):
        assert answer.status_code == 403
        assert "diffèrent du journal" in answer.text
    assert "recording.exported" not in kinds(bakery.id, "recording.")
    assert found(house, bakery.id) == {("row.changed", "request_review")}


def test_unsigned_review_row_and_leaf_give_nothing(house, browser, bakery, call) -> None:
    """Write access to the catalogue is enough for a matching leaf, but not for a signature."""
    paul = browser("paul")
    page = enter(paul)
    known(paul, page)
    decide(paul, page, **{call: "own"})
    with connected():
        before = ReviewTable.get()
    body = {
        "request": before.request_id,
        "recording": call,
        "given": "both",
        "reason": "",
        "actor": before.decided_by,
    }
    with writing():
        append(bakery.id, reviews.REVIEWED, body, house.clock(), house.entropy, recording=call)
    change(ReviewTable, given="both", decided_at=house.clock())
    assert paul.send(f"{page}/copy").status_code == 403
    assert "recording.exported" not in kinds(bakery.id, "recording.")
    assert ("row.changed", "request_review") in found(house, bakery.id)
    decide(paul, page, **{call: "own"})
    assert paul.send(f"{page}/copy").status_code == 200


def test_replaced_review_row_does_not_count_again(house, browser, bakery, call) -> None:
    """The latest review counts; restoring an older row does not restore its effect."""
    paul = browser("paul")
    page = enter(paul)
    known(paul, page)
    decide(paul, page, **{call: "both"})
    with writing():
        (before,) = ReviewTable.select().dicts()
    decide(paul, page, **{call: "withheld:Un tiers y parle"})
    change(ReviewTable, **before)
    assert paul.send(f"{page}/copy").status_code == 403
    assert found(house, bakery.id) == {("row.changed", "request_review")}


def test_review_without_a_leaf_gives_nothing(house, browser, bakery, call) -> None:
    paul = browser("paul")
    page = enter(paul)
    known(paul, page)
    request = page.rpartition("/")[2]
    with writing():
        ReviewTable.create(id=f"{request}/{call}", request=request, recording_id=call, given="both")
    assert paul.send(f"{page}/copy").status_code == 403
    assert paul.send(f"{page}/review", **{f"given-{call}": "own"}).status_code == 403
    findings = {("row.unlogged", "request_review"), ("row.changed", "request_review")}
    assert found(house, bakery.id) == findings, "no leaf speaks of it, and nobody signed it"


def test_sealed_number_decides_whose_recording_it_is(house, browser, bakery) -> None:
    """The person's number is written into the row of somebody else's recording."""
    theirs = house.call(bakery, external_party=OTHER)
    paul = browser("paul")
    page = enter(paul, wants="erasure")
    known(paul, page)
    change(RecordingTable, external_value="+32470123456")
    assert paul.send(f"{page}/erase", sure="yes").status_code == 409
    assert "recording.amended" not in kinds(bakery.id, "recording.")
    page = enter(paul, wants="copy")
    known(paul, page)
    decide(paul, page, **{theirs: "both"})
    assert paul.send(f"{page}/copy").status_code == 409
    assert "recording.exported" not in kinds(bakery.id, "recording.")


def order_call(tenant: str, request: str, clock, entropy) -> str:
    verification_code.order_call(tenant, request, who="u", now=clock(), entropy=entropy)
    claim = register.take("n", clock(), entropy)
    assert claim is not None
    register.answer("n", claim[0], "done", clock(), entropy)
    return claim[1]


def test_only_the_announced_code_verifies(house, browser, bakery, call, clock, entropy) -> None:
    request = enter(browser("paul")).rpartition("/")[2]
    right = order_call(bakery.id, request, clock, entropy)
    with writing():
        row = VerificationCallTable.select().get()
        mine = hash_code(row.id, "123456", entropy)
        VerificationCallTable.update(code_hash=mine).execute()

    def try_code(code: str) -> str:
        with pytest.raises(VerificationCallError) as error:
            verification_code.try_code(bakery.id, request, code, who="u", now=clock(), entropy=entropy)
        return error.value.error_id

    assert try_code("123456") == "call.not_logged"
    change(
        VerificationCallTable,
        code_hash=row.code_hash,
        valid_until=to_iso(clock.forward(hours=1) + VALID),
    )
    assert try_code(right) == "call.not_logged"
    assert found(house, bakery.id) == {("row.changed", "verification_call")}
    assert service.find_request(bakery.id, request).verified_at is None


def test_code_has_five_tries_whatever_its_row_counts(browser, bakery, call, clock, entropy) -> None:
    request = enter(browser("paul")).rpartition("/")[2]
    right = order_call(bakery.id, request, clock, entropy)
    options = {"who": "u", "now": clock(), "entropy": entropy}
    for _ in range(TRIES):
        assert not verification_code.try_code(bakery.id, request, f"{(int(right) + 1) % 10**6:06}", **options)
        change(VerificationCallTable, tries=0)
    with expect_error(VerificationCallError, "call.tries_exhausted"):
        verification_code.try_code(bakery.id, request, right, **options)


@pytest.mark.parametrize("columns", [{"number": OTHER.value}, {"leaves": "[0]"}, {"leaves": None}])
def test_no_other_number_is_called_with_a_code(browser, bakery, call, clock, entropy, columns) -> None:
    request = enter(browser("paul")).rpartition("/")[2]
    verification_code.order_call(bakery.id, request, who="u", now=clock(), entropy=entropy)
    if columns.get("leaves") == "[0]":
        columns = {"leaves": [0]}
    change(VerificationCallTable, **columns)
    assert register.take("n", clock(), entropy) is None
    assert verification_code.latest_call(bakery.id, request).outcome == NOT_LOGGED
    assert "subject_request.code_created" not in kinds(bakery.id)


def test_forged_number_of_a_request_is_not_called(browser, bakery, call, clock, entropy) -> None:
    request = enter(browser("paul")).rpartition("/")[2]
    verification_code.order_call(bakery.id, request, who="u", now=clock(), entropy=entropy)
    change(VerificationCallTable, number=OTHER.value)
    change(SubjectRequestTable, number=OTHER.value)
    assert register.take("n", clock(), entropy) is None
