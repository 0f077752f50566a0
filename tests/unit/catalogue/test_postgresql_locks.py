"""A change waits for another one of the same customer, and is then checked against what that one wrote.

On SQLite, transactions exclude each other anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest

from recorder.auditlog.append import lock_tenant
from recorder.catalogue.database import connected, database, writing
from recorder.catalogue.tables.subject_request import SubjectRequestTable
from recorder.domain.roles import ADMIN, CUSTOMER
from recorder.errors import AccordError
from recorder.features.subject_requests import service
from recorder.identity import factor_reset, users
from recorder.identity.tenants import create_tenant
from tests.identity_proof import colleague, vouch

pytestmark = [pytest.mark.postgresql, pytest.mark.parametrize("catalogue_kind", ["postgresql"])]

TENANT = "01930000-0000-7000-8000-00000000000a"


def outcome_after(first: Callable[[], object], work: Callable[[], object], tenant: str = TENANT) -> object:
    """The result or error of ``work``, which begins while another transaction has locked the customer, and
    goes on when that one has done ``first``."""
    with ThreadPoolExecutor(1) as pool:
        with writing():
            lock_tenant(tenant)
            later = pool.submit(work)
            until_something_waits()
            first()
        try:
            return later.result(30)
        except AccordError as error:
            return error.error_id


def until_something_waits() -> None:
    # (Unlike pg_stat_activity, this view is not frozen for the rest of a transaction.)
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    deadline = time.monotonic() + 20
    while database.execute_sql(query).fetchone()[0] == 0:
        assert time.monotonic() < deadline, "it waits for nobody"
        time.sleep(0.01)


@pytest.fixture
def request_id(catalogue, clock, entropy) -> str:
    create_tenant(TENANT, name="Martin", wrapped_key="{}", now=clock(), entropy=entropy)
    return service.enter(
        TENANT, number="0470 12 34 56", wants="both", language="fr", received_on=clock().date(),
        by_kind="user", by="u", now=clock(), entropy=entropy,
    ).id  # fmt: skip


@pytest.mark.parametrize("change", ["extend", "vouch", "close", "note_export"])
def test_closed_request_is_not_changed(request_id, clock, entropy, change: str) -> None:
    when = {"now": clock(), "entropy": entropy}
    vouch_of = "an identity card at the counter"
    if change == "note_export":
        vouch(TENANT, request_id, clock(), entropy)
    who = colleague(TENANT, clock(), entropy)
    works = {
        "extend": lambda: service.extend(TENANT, request_id, why="holidays", who=who, **when),
        "vouch": lambda: service.vouch(TENANT, request_id, how=vouch_of, who=who, **when),
        "close": lambda: service.close(TENANT, request_id, how="taken_back", who=who, **when),
        "note_export": lambda: service.note_export(TENANT, request_id, who, clock(), entropy),
    }

    def close() -> None:
        service.close(TENANT, request_id, how="taken_back", who=None, **when)

    assert outcome_after(close, works[change]) == "subject_request.closed"
    with connected():
        row = SubjectRequestTable.get_by_id(request_id)
    assert (row.closed_how, row.extension_reason, row.exported_at) == ("taken_back", None, None)


def test_withdrawn_reset_takes_nobodys_second_factor(house, clock) -> None:
    """One admin confirms the reset of a colleague's lost second factor while another one withdraws it."""
    claire, paul, omar = (
        users.user(house.tenant, colleague(house.tenant, clock(), house.entropy, role, house.services.signer))
        for role in (CUSTOMER, ADMIN, ADMIN)
    )
    factors = house.factors
    app = factors.new_app_key(claire)
    assert factors.add_app(claire, app, pyotp.TOTP(factors.secret(claire, app)).at(clock()))
    factors.request_reset(claire, paul)
    before = factors.current(claire)
    (request,) = factor_reset.open_requests(house.tenant, clock())

    def withdraw() -> None:
        assert factors.withdraw_reset(paul, request.id)

    assert outcome_after(withdraw, lambda: factors.confirm_reset(omar, request.id), house.tenant) is None
    assert factors.current(claire) == before
