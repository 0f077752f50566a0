"""Second factors without a browser: which codes count, what a change leaves, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest

from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import UserRow
from recorder.catalogue.tables.second_factor import FactorResetTable, SecondFactorTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain.roles import EXTERNAL_PARTY
from recorder.identity import factor_set
from recorder.identity.second_factors import CODES, STEP, SecondFactorService, hash_code
from tests.expected_errors import error_of

CODE = re.compile("(?:[0-9a-hjkmnp-tv-z]{6}-){3}[0-9a-hjkmnp-tv-z]{6}")


@pytest.fixture
def factors(house) -> SecondFactorService:
    return house.factors


@pytest.fixture
def ada(house) -> UserRow:
    return create(house, "ada")


@pytest.fixture
def bob(house) -> UserRow:
    return create(house, "bob")


def create(house, login: str, role: str = "customer_admin") -> UserRow:
    return house.user(house.tenant, login, role, name=login)


def code_of(house, user: UserRow, app_key: str, steps: int = 0) -> str:
    secret = house.factors.secret(user, app_key)
    return pyotp.TOTP(secret).at(house.clock() + timedelta(seconds=steps * STEP))


def add_app(house, user: UserRow) -> tuple[str, tuple[str, ...]]:
    """Add an app; its wrapped key, and the first recovery codes."""
    app_key = house.factors.new_app_key(user)
    codes = house.factors.add_app(user, app_key, code_of(house, user, app_key))
    assert codes is not None
    return app_key, codes


def test_an_app_counts_once_a_code_of_it_was_given(house, factors, ada, bob) -> None:
    app_key = factors.new_app_key(ada)
    assert factors.add_app(ada, app_key, "000000") is None
    assert factors.current(ada).app is None
    assert not factors.check_app_code(ada, factors.current(ada), code_of(house, ada, app_key))
    app_key, codes = add_app(house, ada)
    assert len(set(codes)) == CODES
    assert all(CODE.fullmatch(each) for each in codes)
    assert factors.current(ada).required
    assert not factors.current(bob).required
    assert error_of(lambda: factors.secret(bob, app_key)) == "seal.key_foreign"
    assert factors.uri(ada, app_key).startswith("otpauth://totp/Accord:ada?secret=")


def test_a_code_counts_once_within_half_a_minute(house, factors, ada) -> None:
    app_key, _ = add_app(house, ada)
    check = lambda code: factors.check_app_code(ada, factors.current(ada), code)  # noqa: E731
    assert not check(code_of(house, ada, app_key)), "it was added with this one"
    for steps, counts in ((10, None), (-2, False), (2, False), (-1, True), (0, True), (1, True), (1, False)):
        if counts is None:
            house.clock.forward(seconds=steps * STEP)
        else:
            assert check(code_of(house, ada, app_key, steps)) is counts, steps
    house.clock.forward(seconds=10 * STEP)
    code = code_of(house, ada, app_key)
    assert check(f" {code[:3]} {code[3:]} ")


def test_a_changed_app_key_is_refused(house, factors, ada) -> None:
    add_app(house, ada)
    other = factors.new_app_key(ada)
    current = factors.current(ada)
    factor_set.set_app_key(ada, factor_set.app_key(ada), other)
    assert error_of(lambda: factors.check_app_code(ada, current, "123456")) == "factors.differs"


def test_an_app_whose_key_is_gone_counts_no_more(house, factors, ada) -> None:
    app_key, _ = add_app(house, ada)
    house.clock.forward(seconds=10 * STEP)
    with writing():
        SecondFactorTable.update(app_key=None).execute()
    assert not factors.check_app_code(ada, factors.current(ada), code_of(house, ada, app_key))


def test_the_last_factor_takes_the_codes_with_it(house, factors, ada) -> None:
    app_key, _ = add_app(house, ada)
    assert factors.add_passkey(ada, b"one", b"a key", "Telephone") == (), "the codes stay"
    before = factors.current(ada).codes
    assert len(before) == CODES
    assert factors.remove_app(ada) == ()
    assert factors.current(ada).app is None
    assert factor_set.app_key(ada) is None
    assert factors.current(ada).codes == before
    factors.add_passkey(ada, b"two", b"a key", "Key")
    assert factors.remove_passkey(ada, b"one") == ()
    assert [each.id for each in factors.current(ada).passkeys] == [b"two"]
    assert factors.remove_passkey(ada, b"two") == ()
    assert factors.current(ada).codes == ()
    assert not factors.current(ada).required
    assert app_key not in (factor_set.app_key(ada) or "")


def test_a_change_keeps_the_apps_key(house, factors, ada) -> None:
    app_key, _ = add_app(house, ada)
    factors.add_passkey(ada, b"one", b"a key", "Telephone")
    factors.rename_passkey(ada, b"one", "Key")
    assert [each.name for each in factors.current(ada).passkeys] == ["Key"]
    number = factors.current(ada).number
    factors.rename_passkey(ada, b"one", "Key")
    factors.rename_passkey(ada, b"two", "Another")
    assert factors.current(ada).number == number, "nothing was changed"
    assert len(factors.make_codes(ada)) == CODES
    assert factor_set.app_key(ada) == app_key


def test_a_recovery_code_counts_once_and_for_its_user(house, factors, ada, bob) -> None:
    _, codes = add_app(house, ada)
    add_app(house, bob)
    current = factors.current(ada)
    assert not factors.use_code(bob, factors.current(bob), codes[0])
    assert not factors.use_code(ada, current, "no code")
    spelt = codes[0].replace("-", " ").upper().replace("0", "O").replace("1", "L")
    assert factors.use_code(ada, current, spelt)
    assert len(factors.current(ada).codes) == CODES - 1
    assert not factors.use_code(ada, factors.current(ada), codes[0])
    assert not factors.use_code(ada, current, codes[1]), "another request changed the set meanwhile"
    assert factor_set.app_key(ada) is not None
    assert hash_code(ada.id, codes[1]) in factors.current(ada).codes


def test_new_codes_come_when_all_are_used(house, factors, ada) -> None:
    _, codes = add_app(house, ada)
    factors.add_passkey(ada, b"one", b"a key", "Telephone")
    for code in codes:
        assert factors.use_code(ada, factors.current(ada), code)
    assert len(factors.remove_app(ada)) == CODES


def test_everybody_but_a_guest_must_enrol_where_it_is_required(house, factors, ada, bob) -> None:
    assert not factors.must_enrol(ada)
    factors.require_second_factor(ada, True)
    assert factors.requires_second_factor(house.tenant)
    assert factors.must_enrol(ada)
    assert not factors.must_enrol(replace(bob, role=EXTERNAL_PARTY))
    add_app(house, ada)
    assert not factors.must_enrol(ada)
    assert factors.must_enrol(bob)
    factors.require_second_factor(ada, False)
    assert not factors.must_enrol(bob)


def test_two_admins_reset_a_colleagues_factors(house, factors, ada, bob) -> None:
    claire = create(house, "claire", "customer")
    add_app(house, claire)
    factors.request_reset(claire, ada)
    (request,) = _requests()
    assert factors.withdraw_reset(ada, request)
    assert not factors.withdraw_reset(ada, request)
    assert factors.current(claire).required
    factors.request_reset(claire, ada)
    (request,) = _requests()
    assert factors.confirm_reset(bob, request) == claire
    assert not factors.current(claire).required


def _requests() -> list[str]:
    with connected():
        return [row.id for row in FactorResetTable.select().where(FactorResetTable.ended_at.is_null())]


def test_a_panel_without_a_key_changes_nothing(house, factors, ada) -> None:
    panel = SecondFactorService(
        house.store, house.keyring, house.trust, None, now=house.clock, entropy=house.entropy
    )
    app_key, codes = add_app(house, ada)
    house.clock.forward(seconds=10 * STEP)
    assert panel.check_app_code(ada, panel.current(ada), code_of(house, ada, app_key))
    for attempt in (
        lambda: panel.make_codes(ada),
        lambda: panel.remove_app(ada),
        lambda: panel.use_code(ada, panel.current(ada), codes[0]),
        lambda: panel.require_second_factor(ada, True),
    ):
        assert error_of(attempt) == "factors.no_key"
    with writing():
        TenantTable.update(wrapped_key="").execute()
    assert error_of(lambda: panel.new_app_key(ada)) == "seal.key_damaged"
