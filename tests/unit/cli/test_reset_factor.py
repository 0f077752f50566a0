"""``accord user reset-second-factor``: for somebody who lost phone and recovery codes."""

from __future__ import annotations

import pyotp

from recorder.identity import users
from tests.clock import Clock
from tests.house import Bakery
from tests.unit.cli.shell import Shell


def test_reset_takes_all_factors_and_ends_sessions(shell: Shell, house: Bakery, clock: Clock) -> None:
    when = {"now": clock(), "entropy": house.entropy}
    person = house.user(house.tenant, "claire")
    words = ("user", "reset-second-factor", "--tenant", "Boulangerie Martin", "claire")
    assert shell(*words).exit_code == 2, "it takes a reason"
    assert "claire has no second factor" in shell.bad(*words, "--reason", "Lost her phone")
    key = house.factors.new_app_key(person)
    assert house.factors.add_app(person, key, pyotp.TOTP(house.factors.secret(person, key)).at(clock()))
    token = "12" * 32
    users.open_session(person, token_sha256=token, until=clock.forward(hours=1), **when)
    shell.good(*words, "--reason", "Lost her phone")
    house.open_catalogue()
    assert not house.factors.current(person).required
    assert users.session_by_token(token, when["now"]) is None
