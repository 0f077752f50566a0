"""Deadlines and limits of subject requests, and the scope of their searches."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.auditlog import leaf_lookup
from recorder.catalogue import subject_request_queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.subject_request import SubjectRequestTable
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.domain.live_command import NO_ANSWER, UNKNOWN
from recorder.domain.roles import AUDITOR, CUSTOMER
from recorder.errors import AccordError
from recorder.features.subject_requests import reviews, rules, service, verification_code
from recorder.identity import tenants, users
from recorder.verification_calls import register
from recorder.verification_calls.policy import A_DAY, CallPolicy
from tests.identity_proof import colleague, vouch

NUMBER = "+32470123456"

find_erasure_request = partial(service.find_erasure_request, now=datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def tenant(catalogue, clock, entropy) -> str:
    tenants.create_tenant("t", name="Martin", wrapped_key="{}", now=clock(), entropy=entropy)
    unrecorded_call("t", NUMBER, "one", clock())
    return "t"


def unrecorded_call(tenant: str, number: str, ident: str, at: datetime, kind: str = "e164") -> str:
    """An unrecorded call with a number."""
    with writing():
        NotRecordedTable.create(
            id=ident, tenant=tenant, number="+3225550100",
            direction="inbound", node="n", external_kind=kind, external_value=number, started_at=at,
            ended_at=at, reason="declined", listed_at=at,
        )  # fmt: skip
    return ident


def recorded(tenant: str, number: str, ident: str, at: datetime, kind: str = "e164") -> str:
    with writing():
        RecordingTable.create(
            id=ident, tenant=tenant, line_id="l", number="+3225550100", direction="inbound",
            external_kind=kind, external_value=number, internal_kind="extension", internal_value="1001",
            started_at=at, duration_ms=1000, announcement_id="a", announcement_version=1, announced=1,
            purposes=["agreement"], restricted=[], keep_until=at, prefix=ident, manifest_sha256="0",
            objects=[], stored_bytes=0, stored_at=at,
        )  # fmt: skip
    return ident


@pytest.fixture
def request_(tenant, clock, entropy) -> str:
    return enter(clock, entropy).id


def enter(clock, entropy, received: date | None = None, number: str = "0470 12 34 56", tenant: str = "t"):
    return service.enter(
        tenant, number=number, wants="both", language="fr", received_on=received or clock().date(),
        by_kind="user", by="u", now=clock(), entropy=entropy,
    )  # fmt: skip


def refused(error_id: str):
    return pytest.raises(AccordError, check=lambda error: error.error_id == error_id)


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.integers(0, 30))
def test_months_later_keeps_the_day_or_takes_the_last(day: date, months: int) -> None:
    later = rules.months_later(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or (
        later.day < day.day and later.day == monthrange(later.year, later.month)[1]
    )


@pytest.mark.parametrize(
    ("received", "due", "extended"),
    [
        ("2026-11-25", "2026-12-25", "2027-02-25"),
        ("2026-10-31", "2026-11-30", "2027-01-31"),
        ("2026-11-01", "2026-12-01", "2027-02-01"),
    ],
)
def test_request_is_due_in_one_month_or_three_if_extended(
    tenant, clock, entropy, received, due, extended
) -> None:
    row = enter(clock, entropy, date.fromisoformat(received))
    assert row.due_on.isoformat() == due
    options = {"who": "u", "now": clock(), "entropy": entropy}
    with refused("subject_request.statement"):
        service.extend("t", row.id, why=" ", **options)
    service.extend("t", row.id, why="Forty recordings", **options)
    row = service.find_request("t", row.id)
    assert (row.due_on.isoformat(), row.extension_reason) == (extended, "Forty recordings")
    with refused("subject_request.extended"):
        service.extend("t", row.id, why="More", **options)
    assert not row.overdue(row.due_on)
    assert row.overdue(row.due_on + timedelta(days=1))


def test_overdue_request_cannot_be_extended(tenant, clock, entropy) -> None:
    row = enter(clock, entropy)
    clock.at += timedelta(days=32)
    with refused("subject_request.too_late"):
        service.extend("t", row.id, why="Forty", who="u", now=clock(), entropy=entropy)


def test_register_is_sorted_by_due_day_with_closed_requests_last(tenant, clock, entropy) -> None:
    rows = [enter(clock, entropy, clock().date() - timedelta(days=days)) for days in (3, 9, 6)]
    closure = {"how": "taken_back", "who": "u", "now": clock(), "entropy": entropy}
    service.close("t", rows[1].id, **closure)
    assert [row.id for row in subject_request_queries.requests("t")] == [rows[2].id, rows[0].id, rows[1].id]
    with refused("subject_request.closed"):
        service.close("t", rows[1].id, **closure)
    with refused("subject_request.unverified"):
        service.close("t", rows[0].id, **{**closure, "how": "answered"})


def leaf_bodies(kind: str, tenant: str = "t") -> list[dict[str, object]]:
    return [dict(leaf.body) for leaf in leaf_lookup.leaves_after(tenant, -1, kind)]


def test_a_request_is_received_within_the_last_year(tenant, clock, entropy) -> None:
    today = clock().date()
    for days in (0, 366):
        row = enter(clock, entropy, today - timedelta(days=days))
        assert row.received_on == today - timedelta(days=days)
    for days in (-1, 367):
        with refused("subject_request.day"):
            enter(clock, entropy, today - timedelta(days=days))
    with refused("subject_request.not_found"):
        enter(clock, entropy, tenant="nobody")
    assert len(subject_request_queries.requests("t")) == 2


@pytest.mark.parametrize(("field", "value"), [("wants", "more"), ("language", "it"), ("number", "1")])
def test_refuses_what_a_request_cannot_be(tenant, clock, entropy, field, value) -> None:
    values = {"number": NUMBER, "wants": "copy", "language": "fr", "received_on": clock().date(),
              "by_kind": "operator", "by": None, "now": clock(), "entropy": entropy}  # fmt: skip
    with refused(f"subject_request.{field}"):
        service.enter(tenant, **values | {field: value})
    row = service.enter(tenant, **values)
    (body,) = leaf_bodies(rules.RECEIVED)
    facts = {name: body[name] for name in ("request", "wants", "language", "by", "actor")}
    assert facts == {"request": row.id, "wants": "copy", "language": "fr", "by": "operator", "actor": ""}
    assert (body["received_on"], body["due_on"]) == (row.received_on.isoformat(), row.due_on.isoformat())


def test_a_request_is_its_customers_and_for_what_it_asks(request_, clock, entropy) -> None:
    tenants.create_tenant("rival", name="Rival", wrapped_key="{}", now=clock(), entropy=entropy)
    for find in (service.find_request, service.find_copy_request, find_erasure_request):
        with refused("subject_request.not_found"):
            find("rival", request_)
    for find in (service.find_copy_request, find_erasure_request):
        with refused("subject_request.unverified"):
            find("t", request_)
    with refused("subject_request.unverified"):
        service.note_export("t", request_, "u", clock(), entropy)
    vouch("t", request_, clock(), entropy)
    for find in (service.find_copy_request, find_erasure_request):
        verified = find("t", request_)
        assert (verified.tenant, verified.id, verified.number) == ("t", request_, NUMBER)
    clock.at += timedelta(minutes=1)
    service.note_export("t", request_, "u", clock(), entropy)
    assert service.find_request("t", request_).exported_at == clock()
    assert leaf_bodies(rules.EXPORTED) == [{"request": request_, "actor": "u"}]


@pytest.mark.parametrize(
    ("wants", "find"),
    [("copy", find_erasure_request), ("erasure", service.find_copy_request)],
)
def test_a_request_is_for_nothing_else(tenant, clock, entropy, wants, find) -> None:
    at = {"now": clock(), "entropy": entropy}
    request = service.enter(
        tenant, number=NUMBER, wants=wants, language="fr", received_on=clock().date(), by_kind="operator",
        by=None, **at,
    )  # fmt: skip
    vouch(tenant, request.id, **at)
    with refused("subject_request.not_asked"):
        find(tenant, request.id)


def test_two_of_the_customers_colleagues_vouch(request_, clock, entropy) -> None:
    tenants.create_tenant("rival", name="Rival", wrapped_key="{}", now=clock(), entropy=entropy)
    stranger, auditor = (
        colleague(tenant, clock(), entropy, role) for tenant, role in (("rival", CUSTOMER), ("t", AUDITOR))
    )
    former, first, second, third = (colleague("t", clock(), entropy) for _ in range(4))
    users.revoke_user("t", former, now=clock(), entropy=entropy)
    vouch_as = lambda who: service.vouch(  # noqa: E731
        "t", request_, how="  the   voice ", who=who, now=clock(), entropy=entropy
    )
    for who in (stranger, auditor, former, "nobody"):
        with refused("subject_request.may_not_vouch"):
            vouch_as(who)
    with refused("subject_request.statement"):
        service.vouch("t", request_, how=" ", who=first, now=clock(), entropy=entropy)
    vouch_as(first)
    found = service.find_request("t", request_)
    assert (found.vouched_by, found.vouched_statement, found.verified_at) == (first, "the voice", None)
    with refused("subject_request.vouched"):
        vouch_as(first)
    vouch_as(second)
    found = service.find_request("t", request_)
    assert (found.vouched_by, found.verified_by, found.verified_how) == (first, second, rules.PEOPLE)
    with refused("subject_request.verified"):
        vouch_as(third)
    digest = rules.digest("the voice")
    assert leaf_bodies(rules.VOUCHED) == [
        {"request": request_, "vouch": number, "actor": who, "how_sha256": digest}
        for number, who in ((1, first), (2, second))
    ]
    assert leaf_bodies(rules.PROVED) == [{"request": request_, "how": rules.PEOPLE, "actor": second}]


def test_a_request_is_closed_once_and_answered_only_if_it_is_verified(request_, clock, entropy) -> None:
    at = {"who": None, "now": clock(), "entropy": entropy}
    with refused("subject_request.how"):
        service.close("t", request_, how="forgotten", **at)
    with refused("subject_request.unverified"):
        service.close("t", request_, how="answered", **at)
    vouch("t", request_, clock(), entropy)
    service.close("t", request_, how="answered", **at)
    found = service.find_request("t", request_)
    assert (found.closed_at, found.closed_how) == (clock(), "answered")
    assert leaf_bodies(rules.CLOSED) == [{"request": request_, "how": "answered", "actor": ""}]
    for attempt in (
        lambda: service.extend("t", request_, why="Forty", **at),
        lambda: service.vouch("t", request_, how="the voice", **at | {"who": "u"}),
        lambda: service.find_copy_request("t", request_),
        lambda: find_erasure_request("t", request_),
        lambda: service.note_export("t", request_, "u", clock(), entropy),
    ):
        with refused("subject_request.closed"):
            attempt()


def test_an_extension_is_logged_without_its_words(request_, clock, entropy) -> None:
    clock.at += timedelta(days=30)
    service.extend("t", request_, why="Forty  recordings", who=None, now=clock(), entropy=entropy)
    assert leaf_bodies(rules.EXTENDED) == [
        {
            "request": request_, "due_on": service.find_request("t", request_).due_on.isoformat(),
            "actor": "", "reason_sha256": rules.digest("Forty recordings"),
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    "columns",
    [
        {"wants": "erasure"}, {"language": "nl"}, {"due_on": "2027-01-01"}, {"number": "+32470999999"},
        {"entered_kind": "operator"}, {"verified_how": "code"}, {"verified_by": "u"}, {"vouched_by": "u"},
        {"verified_at": None}, {"closed_at": "2026-11-25T09:00:00.000Z"}, {"leaves": []}, {"leaves": None},
        {"leaves": [10**6]}, {"exported_at": "2026-11-25T09:00:00.000Z"}, {"number_salt": "ab" * 32},
    ],
    ids=lambda columns: "-".join(map(str, *columns.items())),
)  # fmt: skip
def test_a_row_that_contradicts_its_leaves_is_none(request_, clock, entropy, columns) -> None:
    vouch("t", request_, clock(), entropy)
    service.find_request("t", request_)
    with writing():
        SubjectRequestTable.update(**columns).execute()
    with refused("subject_request.not_logged"):
        service.find_request("t", request_)


def test_a_row_rests_on_leaves_of_its_own(request_, clock, entropy) -> None:
    other = enter(clock, entropy).id
    with connected():
        rows = {row.id: row.leaves for row in SubjectRequestTable.select()}
        first = LeafTable.select().where(LeafTable.tenant == "t").order_by(LeafTable.number).first()
    for leaves in (rows[other], [*rows[request_], *rows[other]], [*rows[request_], first.number]):
        with writing():
            SubjectRequestTable.update(leaves=leaves).where(SubjectRequestTable.id == request_).execute()
        with refused("subject_request.not_logged"):
            service.find_request("t", request_)
    assert service.find_request("t", other).id == other


def order(request_id: str, clock, entropy, tenant: str = "t") -> register.VerificationCall:
    return verification_code.order_call(tenant, request_id, who="u", now=clock(), entropy=entropy)


def call(request_id: str, clock, entropy) -> str:
    """Order a call, and have a node make it; returns the code."""
    order(request_id, clock, entropy)
    claim = register.take("n", clock(), entropy)
    assert claim is not None
    register.answer("n", claim[0], "done", clock(), entropy)
    return claim[1]


def try_code(request_id: str, code: str, clock, entropy) -> bool:
    return verification_code.try_code("t", request_id, code, who="u", now=clock(), entropy=entropy)


def test_code_is_accepted_once_and_not_stored(request_, clock, entropy) -> None:
    code = call(request_, clock, entropy)
    assert len(code) == 6
    with connected():
        columns = [str(row.__data__) for row in VerificationCallTable.select()]
    assert not any(code in each for each in columns)
    for wrong in ("", f"{code}0", "１２３４５６", f"{(int(code) + 1) % 10**6:06}"):
        assert not try_code(request_, wrong, clock, entropy)
    assert try_code(request_, code, clock, entropy)
    with refused("subject_request.verified"):
        try_code(request_, code, clock, entropy)
    with refused("subject_request.verified"):
        order(request_, clock, entropy)
    assert service.find_request("t", request_).verified_how == "code"
    who = colleague("t", clock(), entropy)
    with refused("subject_request.verified"):
        service.vouch("t", request_, how="the voice", who=who, now=clock(), entropy=entropy)
    with writing(), refused("subject_request.verified"):
        row = SubjectRequestTable.get_by_id(request_)
        service.record_verification(row, "people", who, None, clock(), entropy)


def test_code_allows_five_attempts(request_, clock, entropy) -> None:
    code = call(request_, clock, entropy)
    for _ in range(register.TRIES):
        assert not try_code(request_, "000000" if code != "000000" else "111111", clock, entropy)
    with refused("call.tries_exhausted"):
        try_code(request_, code, clock, entropy)
    assert service.find_request("t", request_).verified_at is None
    clock.at += timedelta(minutes=1)
    assert try_code(request_, call(request_, clock, entropy), clock, entropy), "a new one is a new one"


def test_only_the_last_code_is_valid_for_a_quarter_of_an_hour(request_, clock, entropy) -> None:
    with refused("call.no_code"):
        try_code(request_, "123456", clock, entropy)
    first = call(request_, clock, entropy)
    clock.at += timedelta(seconds=5)
    second = call(request_, clock, entropy)
    assert first != second
    assert not try_code(request_, first, clock, entropy)
    clock.at += register.VALID
    with refused("call.no_code"):
        try_code(request_, second, clock, entropy)


def test_calls_to_a_number_are_limited_across_customers(request_, clock, entropy) -> None:
    tenants.create_tenant("rival", name="Rival", wrapped_key="{}", now=clock(), entropy=entropy)
    unrecorded_call("rival", NUMBER, "two", clock())
    theirs = enter(clock, entropy, tenant="rival").id
    for each in (request_, request_, theirs):
        order(each, clock, entropy, "rival" if each == theirs else "t")
        claim = register.take("n", clock(), entropy)
        assert claim is not None
        register.answer("n", claim[0], "unanswered", clock(), entropy)
        clock.at += timedelta(seconds=30)
    for each, tenant in ((request_, "t"), (theirs, "rival")):
        with refused("call.number_exhausted"):
            order(each, clock, entropy, tenant)
    clock.at += A_DAY
    order(request_, clock, entropy)
    with refused("call.pending"):
        order(request_, clock, entropy)


def test_calls_of_a_customer_are_limited(tenant, clock, entropy) -> None:
    for each in range(CallPolicy().calls_a_customer):
        number = f"+3247000{each:04}"
        unrecorded_call("t", number, number, clock())
        order(enter(clock, entropy, number=number).id, clock, entropy)
    with refused("call.customer_exhausted"):
        order(enter(clock, entropy).id, clock, entropy)


def test_number_without_calls_is_not_called(tenant, clock, entropy) -> None:
    with refused("subject_request.nothing"):
        order(enter(clock, entropy, number="+32470999999").id, clock, entropy)
    unrecorded_call("t", "+32470999999", "two", clock(), kind="extension")
    with refused("subject_request.nothing"):
        order(enter(clock, entropy, number="+32470999999").id, clock, entropy)


def test_expired_verification_call_is_not_made(request_, clock, entropy) -> None:
    order(request_, clock, entropy)
    clock.at += register.TAKEN_WITHIN
    assert register.take("n", clock(), entropy) is None
    assert register.refresh(verification_code.latest_call("t", request_), clock(), entropy).outcome is None
    clock.at += timedelta(seconds=1)
    assert (
        register.refresh(verification_code.latest_call("t", request_), clock(), entropy).outcome == NO_ANSWER
    )
    order(request_, clock, entropy)
    claim = register.take("n", clock(), entropy)
    assert claim is not None
    assert register.take("n", clock(), entropy) is None, "one of them has it"
    clock.at += register.TAKEN_WITHIN + register.SILENT + timedelta(seconds=1)
    assert register.refresh(verification_code.latest_call("t", request_), clock(), entropy).outcome == UNKNOWN
    register.answer("n", claim[0], "done", clock(), entropy)
    assert verification_code.latest_call("t", request_).outcome == UNKNOWN, "it is said once"


TENANTS, NUMBERS = ("a", "b"), ("+32470000001", "+32470000011", "+32470000002")
KINDS = ("e164", "extension", "sip", "withheld")


def test_search_finds_only_the_customers_and_numbers_own(catalogue, clock, entropy) -> None:
    """For every customer, number and kind of party, recorded or not: only their own calls are found, and can
    be reviewed."""
    call_facts = {}
    for tenant in TENANTS:
        tenants.create_tenant(tenant, name=tenant, wrapped_key="{}", now=clock(), entropy=entropy)
    with writing():
        for tenant, number, kind in product(TENANTS, (*NUMBERS, NUMBERS[0][1:], ""), KINDS):
            for make in (recorded, unrecorded_call):
                ident = f"{make.__name__}-{tenant}-{number}-{kind}"
                call_facts[make(tenant, number, ident, clock(), kind)] = (tenant, number, kind)
    for tenant, number in product(TENANTS, NUMBERS):
        expected = {ident for ident, what in call_facts.items() if what == (tenant, number, "e164")}
        found = {row.id for row in reviews.find_recordings(tenant, number)}
        missed = {row.id for row in reviews.find_unrecorded_calls(tenant, number)}
        assert found | missed == expected
        assert {ident for ident in expected if ident.startswith("recorded")} == found
        assert reviews.has_calls(tenant, number)
        row = enter(clock, entropy, number=number, tenant=tenant)
        vouch(tenant, row.id, clock(), entropy)
        for ident in call_facts if number == NUMBERS[0] else found:
            decision = {"decision": "own", "why": "", "who": "u", "now": clock(), "entropy": entropy}
            if ident in found:
                reviews.decide(tenant, row.id, ident, **decision)
                continue
            with refused("subject_request.not_theirs"):
                reviews.decide(tenant, row.id, ident, **decision)
        assert set(reviews.reviews_of(tenant, row.id)) == found
        with refused("subject_request.not_found"):
            service.find_request("b" if tenant == "a" else "a", row.id)
    assert not reviews.has_calls("a", "+32470000000")


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("+32903123456", "call.kind"),  # premium
        ("+3278151515", "call.kind"),  # one number for a company, at a rate of its own
        ("+32800123456", "call.kind"),
        ("+881612345678", "call.country"),  # satellite: no country's
        ("+33142685300", "call.country"),
        ("+447911123456", "call.country"),
    ],
)
def test_no_number_is_called_that_somebody_may_earn_from(
    tenant, clock, entropy, number: str, problem: str
) -> None:
    unrecorded_call("t", number, number, clock())
    with refused(problem):
        order(enter(clock, entropy, number=number).id, clock, entropy)
    with connected():
        assert not VerificationCallTable.select().exists()


def test_the_installation_has_a_budget_for_the_day(tenant, clock, entropy) -> None:
    policy = CallPolicy(("fr",), calls_a_day=2)
    requests = []
    for number in ("+33142685300", "+32470000001", "+32470000002"):
        unrecorded_call("t", number, number, clock())
        requests.append(enter(clock, entropy, number=number).id)
    when = {"who": "u", "now": clock(), "entropy": entropy, "policy": policy}
    for each in requests[:2]:
        verification_code.order_call("t", each, **when)
    with refused("call.day_exhausted"):
        verification_code.order_call("t", requests[2], **when)
    verification_code.order_call("t", requests[2], **when | {"now": clock() + A_DAY})
