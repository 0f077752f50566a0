from __future__ import annotations

from datetime import timedelta

import pytest

from recorder.catalogue.records import UserRow
from recorder.errors import CatalogueError
from recorder.identity import users
from tests.expected_errors import expect_error

pytestmark = pytest.mark.postgresql


@pytest.fixture
def person(tenants, clock, entropy) -> UserRow:
    return users.create_user(
        tenants[0],
        login=" Ada@Example.be ",
        name="Ada",
        role="customer_admin",
        language="fr",
        password_hash="$argon2id$one",
        now=clock(),
        entropy=entropy,
    )


def test_login_is_found_ignoring_case(person) -> None:
    assert users.user_by_login("ADA@example.be") == person
    assert users.user_by_login("eve@example.be") is None


def test_login_is_unique(person, tenants, clock, entropy) -> None:
    again = {"name": "B", "language": "fr", "password_hash": "x", "now": clock(), "entropy": entropy}
    for tenant in tenants:
        with expect_error(CatalogueError, "user.exists"):
            users.create_user(tenant, login="ada@example.BE", role="customer", **again)
    with expect_error(CatalogueError, "user.role"):
        users.create_user(tenants[0], login="b", role="root", **again)
    with expect_error(CatalogueError, "tenant.unknown"):
        users.create_user("nobody", login="b", role="customer", **again)


def test_user_of_another_tenant_is_not_found(person, tenants, clock, entropy) -> None:
    mine, other = tenants
    assert users.user(mine, person.id) == person
    assert users.user(other, person.id) is None
    assert users.users(other) == ()
    assert not users.set_password(other, person.id, "x", now=clock(), entropy=entropy)
    assert not users.revoke_user(other, person.id, now=clock(), entropy=entropy)
    assert users.user(mine, person.id) == person


def test_session_ends_by_time_logout_and_revocation(person, tenants, clock, entropy) -> None:
    def begin(token: str):
        until = clock() + timedelta(hours=8)
        return users.open_session(person, token_sha256=token, now=clock(), until=until, entropy=entropy)

    begin("late")
    clock.forward(hours=9)
    assert users.session_by_token("late", clock()) is None

    out = begin("out")
    assert users.session_by_token("out", clock()) == (out, person)
    users.end_session(person, out.id, now=clock(), entropy=entropy)
    assert users.session_by_token("out", clock()) is None
    assert not users.is_session_valid(tenants[0], person.id, out.id, clock())

    two = begin("two")
    users.touch_session(person, two.id, now=clock(), until=clock() + timedelta(hours=20))
    clock.forward(hours=15)
    assert users.is_session_valid(tenants[0], person.id, two.id, clock())
    assert not users.is_session_valid(tenants[1], person.id, two.id, clock())
    with expect_error(CatalogueError, "user.last_admin"):
        users.revoke_user(tenants[0], person.id, now=clock(), entropy=entropy)
    users.revoke_user(tenants[0], person.id, now=clock(), entropy=entropy, last_admin=True)
    assert users.session_by_token("two", clock()) is None
    assert not users.is_session_valid(tenants[0], person.id, None, clock())
    assert users.user_by_login("ada@example.be").revoked_at == clock()


def test_new_password_ends_every_session(person, tenants, clock, entropy) -> None:
    session = users.open_session(
        person, token_sha256="t", now=clock(), until=clock() + timedelta(hours=1), entropy=entropy
    )
    assert users.set_password(tenants[0], person.id, "$argon2id$two", now=clock(), entropy=entropy)
    assert users.session_by_token("t", clock()) is None
    assert not users.is_session_valid(tenants[0], person.id, session.id, clock())
    assert users.user(tenants[0], person.id).password_hash == "$argon2id$two"


def test_old_sessions_are_deleted(person, clock, entropy) -> None:
    users.open_session(
        person, token_sha256="t", now=clock(), until=clock() + timedelta(hours=1), entropy=entropy
    )
    assert users.drop_old_sessions(clock()) == 0
    assert users.drop_old_sessions(clock() + timedelta(hours=2)) == 1


def test_password_hash_is_not_shown(person) -> None:
    assert "argon2" not in repr(person)


def test_session_from_the_future_is_refused(person, tenants, clock, entropy) -> None:
    """A clock that was ten years ahead for a while gives no session of ten years."""
    clock.forward(days=3650)
    ahead = users.open_session(
        person, token_sha256="t", now=clock(), until=clock() + timedelta(hours=8), entropy=entropy
    )
    assert users.session_by_token("t", clock()) is not None
    clock.forward(days=-3650)
    assert users.session_by_token("t", clock()) is None
    assert not users.is_session_valid(tenants[0], person.id, ahead.id, clock())
    now = users.open_session(
        person, token_sha256="n", now=clock(), until=clock() + timedelta(hours=8), entropy=entropy
    )
    clock.forward(seconds=-50)
    assert users.is_session_valid(tenants[0], person.id, now.id, clock()), "clocks differ a little"
    clock.forward(days=3650)
    users.touch_session(person, now.id, now=clock(), until=clock() + timedelta(hours=8))
    clock.forward(days=-3650)
    assert users.session_by_token("n", clock()) is None, "renewed by a clock that was ahead"
