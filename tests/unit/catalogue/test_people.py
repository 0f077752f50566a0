from __future__ import annotations

from datetime import timedelta

import pytest

from recorder.catalogue import people
from recorder.catalogue.rows import UserRow
from recorder.errors import CatalogueError


@pytest.fixture
def person(tenants, clock, entropy) -> UserRow:
    return people.create_user(
        tenants[0],
        login=" Ada@Example.be ",
        name="Ada",
        role="customer_admin",
        language="fr",
        password_hash="$argon2id$one",
        now=clock(),
        entropy=entropy,
    )


def test_a_log_in_is_found_without_regard_to_case(person) -> None:
    assert people.user_by_login("ADA@example.be") == person
    assert people.user_by_login("eve@example.be") is None


def test_a_log_in_is_somebodys_alone(person, tenants, clock, entropy) -> None:
    again = {"name": "B", "language": "fr", "password_hash": "x", "now": clock(), "entropy": entropy}
    for tenant in tenants:
        with pytest.raises(CatalogueError) as refused:
            people.create_user(tenant, login="ada@example.BE", role="customer", **again)
        assert refused.value.error_id == "user.exists"
    with pytest.raises(CatalogueError) as refused:
        people.create_user(tenants[0], login="b", role="root", **again)
    assert refused.value.error_id == "user.role"
    with pytest.raises(CatalogueError) as refused:
        people.create_user("nobody", login="b", role="customer", **again)
    assert refused.value.error_id == "tenant.unknown"


def test_another_tenants_person_does_not_exist(person, tenants, clock, entropy) -> None:
    mine, other = tenants
    assert people.user(mine, person.id) == person
    assert people.user(other, person.id) is None
    assert people.users(other) == ()
    assert not people.set_password(other, person.id, "x", now=clock(), entropy=entropy)
    assert not people.revoke_user(other, person.id, now=clock(), entropy=entropy)
    assert people.user(mine, person.id) == person


def test_a_session_ends_by_time_by_log_out_and_with_its_person(person, tenants, clock, entropy) -> None:
    def begin(token: str):
        until = clock() + timedelta(hours=8)
        return people.open_session(person, token_sha256=token, now=clock(), until=until, entropy=entropy)

    begin("late")
    clock.forward(hours=9)
    assert people.session_by_token("late", clock()) is None

    out = begin("out")
    assert people.session_by_token("out", clock()) == (out, person)
    people.end_session(person, out.id, now=clock(), entropy=entropy)
    assert people.session_by_token("out", clock()) is None
    assert not people.session_lives(tenants[0], person.id, out.id, clock())

    two = begin("two")
    people.touch_session(person, two.id, now=clock(), until=clock() + timedelta(hours=20))
    clock.forward(hours=15)
    assert people.session_lives(tenants[0], person.id, two.id, clock())
    assert not people.session_lives(tenants[1], person.id, two.id, clock())
    people.revoke_user(tenants[0], person.id, now=clock(), entropy=entropy)
    assert people.session_by_token("two", clock()) is None
    assert not people.session_lives(tenants[0], person.id, None, clock())
    assert people.user_by_login("ada@example.be").revoked_at == clock()


def test_another_password_ends_every_session(person, tenants, clock, entropy) -> None:
    session = people.open_session(
        person, token_sha256="t", now=clock(), until=clock() + timedelta(hours=1), entropy=entropy
    )
    assert people.set_password(tenants[0], person.id, "$argon2id$two", now=clock(), entropy=entropy)
    assert people.session_by_token("t", clock()) is None
    assert not people.session_lives(tenants[0], person.id, session.id, clock())
    assert people.user(tenants[0], person.id).password_hash == "$argon2id$two"


def test_old_sessions_are_forgotten(person, clock, entropy) -> None:
    people.open_session(
        person, token_sha256="t", now=clock(), until=clock() + timedelta(hours=1), entropy=entropy
    )
    assert people.drop_old_sessions(clock()) == 0
    assert people.drop_old_sessions(clock() + timedelta(hours=2)) == 1


def test_a_password_is_not_shown(person) -> None:
    assert "argon2" not in repr(person)


def test_a_session_from_the_future_is_none(person, tenants, clock, entropy) -> None:
    """A clock that was ten years ahead for a while makes nobody's session last ten years."""
    clock.forward(days=3650)
    ahead = people.open_session(
        person, token_sha256="t", now=clock(), until=clock() + timedelta(hours=8), entropy=entropy
    )
    assert people.session_by_token("t", clock()) is not None
    clock.forward(days=-3650)
    assert people.session_by_token("t", clock()) is None
    assert not people.session_lives(tenants[0], person.id, ahead.id, clock())
    now = people.open_session(
        person, token_sha256="n", now=clock(), until=clock() + timedelta(hours=8), entropy=entropy
    )
    clock.forward(seconds=-50)
    assert people.session_lives(tenants[0], person.id, now.id, clock()), "clocks differ a little"
    clock.forward(days=3650)
    people.touch_session(person, now.id, now=clock(), until=clock() + timedelta(hours=8))
    clock.forward(days=-3650)
    assert people.session_by_token("n", clock()) is None, "renewed by a clock that was ahead"
