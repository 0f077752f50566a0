"""What a user may do, by which log-in and under which name: signed, in the log, and within a customer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from recorder.auditlog import leaf_lookup
from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import UserRow
from recorder.catalogue.tables.identity import SessionTable, UserTable
from recorder.catalogue.tables.outgoing_mail import OutgoingMailTable
from recorder.clock import SLACK
from recorder.domain.roles import EXTERNAL_PARTY
from recorder.errors import CatalogueError
from recorder.identity import users
from recorder.identity.users import ACCESS_CHANGED, CHANGED, LOGIN_CHANGED, PROFILE, REVOKED
from recorder.ids import uuid7
from recorder.seal.amendment import By
from tests.expected_errors import error_of
from tests.house import Customer

OPERATOR = By("operator")


@pytest.fixture
def other(house) -> Customer:
    return house.customer("Reliure Adam", "+3225550177")


@pytest.fixture
def create(house) -> Callable[..., UserRow]:
    def create(login: str, role: str = "customer", **more) -> UserRow:
        values = {"name": login, "language": "fr", "password_hash": "$argon2id$"} | more
        tenant = values.pop("tenant", house.tenant)
        return users.create_user(tenant, login=login, role=role, **values, **at(house), **signed(house))

    return create


@pytest.fixture
def paul(create) -> UserRow:
    return create("paul", "customer_admin")


@pytest.fixture
def ada(create) -> UserRow:
    return create("ada")


def at(house) -> dict[str, object]:
    return {"now": house.clock(), "entropy": house.entropy}


def signed(house) -> dict[str, object]:
    return {"signer": house.services.signer}


def authority(house) -> dict[str, object]:
    return at(house) | signed(house) | {"trust": house.trust}


def change_access(house, person: UserRow, role: str, lines=None, by: By = OPERATOR) -> bool:
    return users.change_access(person.tenant, person.id, role=role, lines=lines, by=by, **authority(house))


def now_of(person: UserRow) -> UserRow:
    found = users.user(person.tenant, person.id)
    assert found is not None
    return found


def bodies(person: UserRow, *kinds: str) -> list[dict[str, object]]:
    """The bodies of the leaves about a user, in order."""
    leaves = [leaf for kind in kinds for leaf in leaf_lookup.leaves_after(person.tenant, -1, kind)]
    leaves.sort(key=lambda leaf: leaf.number)
    return [dict(leaf.body) for leaf in leaves if leaf.body["user"] == person.id]


def open_session(house, person: UserRow, token: str) -> str:
    until = house.clock() + timedelta(hours=8)
    return users.open_session(person, token_sha256=token, until=until, **at(house)).id


def write_row(person: UserRow, **columns) -> None:
    """Write a user's row as somebody with write access to the catalogue can."""
    with writing():
        UserTable.update(**columns).where(UserTable.id == person.id).execute()


def test_a_change_of_role_and_lines_is_signed_and_logged_and_ends_sessions(house, paul, ada) -> None:
    session, pauls = open_session(house, ada, "a"), open_session(house, paul, "p")
    by = By("user", paul.id)
    assert change_access(house, ada, "customer", [house.line.id, house.line.id], by)
    assert now_of(ada).lines == (house.line.id,)
    users.require_signed(now_of(ada), house.trust)
    assert not users.is_session_valid(ada.tenant, ada.id, session, house.clock())
    assert users.is_session_valid(paul.tenant, paul.id, pauls, house.clock())
    assert not change_access(house, ada, "customer", [house.line.id]), "it is the same"
    assert change_access(house, ada, "auditor", [house.line.id])
    assert (now_of(ada).role, now_of(ada).lines) == ("auditor", None)
    assert bodies(ada, ACCESS_CHANGED) == [
        {
            "user": ada.id, "role": "customer", "all_lines": False, "lines": [house.line.id],
            "by": "user", "actor": paul.id,
        },
        {
            "user": ada.id, "role": "auditor", "all_lines": True, "lines": [], "by": "operator", "actor": "",
        },
    ]  # fmt: skip


def test_changes_the_access_of_a_customers_active_user_alone(house, other, ada, paul) -> None:
    stranger = replace(ada, tenant=other.id)
    assert not change_access(house, stranger, "customer_admin")
    users.revoke_user(ada.tenant, ada.id, **at(house))
    assert not change_access(house, ada, "customer_admin")
    assert now_of(ada).role == "customer"
    assert bodies(ada, ACCESS_CHANGED) == []


def test_signs_no_row_that_somebody_has_widened(house, ada, paul) -> None:
    """The new credential repeats what the row says."""
    write_row(ada, role="customer_admin")
    who = ada.tenant, ada.id
    for attempt in (
        lambda: users.set_password(*who, "$argon2id$new", **authority(house)),
        lambda: users.change_login(*who, "eve", **authority(house)),
        lambda: change_access(house, ada, "auditor"),
    ):
        assert error_of(attempt) == "credential.differs"
    write_row(ada, role="customer")
    assert users.set_password(*who, "$argon2id$new", **authority(house))
    users.require_signed(now_of(ada), house.trust)


def test_signs_no_row_of_before(house, ada) -> None:
    """A restored backup has it, with the credential of then."""
    before = now_of(ada)
    assert change_access(house, ada, "auditor")
    write_row(ada, role=before.role, credential=before.credential)
    users.check_user(now_of(ada), house.root_public, {})
    attempt = lambda: users.set_password(ada.tenant, ada.id, "$argon2id$new", **authority(house))  # noqa: E731
    assert error_of(attempt) == "credential.superseded"


def test_a_customer_keeps_an_admin_who_can_log_in(house, other, create, paul) -> None:
    create("theirs", "customer_admin", tenant=other.id)
    revoked = create("former", "customer_admin")
    users.revoke_user(revoked.tenant, revoked.id, **at(house))
    create("clerk")
    assert [each.id for each in users.active_admins(house.tenant)] == [paul.id]
    assert error_of(lambda: change_access(house, paul, "customer")) == "user.last_admin"
    assert error_of(lambda: users.revoke_user(paul.tenant, paul.id, **at(house))) == "user.last_admin"
    second = create("second", "customer_admin")
    assert change_access(house, paul, "customer")
    assert error_of(lambda: change_access(house, second, "auditor")) == "user.last_admin"
    assert users.revoke_user(paul.tenant, paul.id, **at(house)), "paul is none any more"


def test_revocation_drops_the_mail_about_a_user(house, paul, ada) -> None:
    now = house.clock()
    with writing():
        for person in (paul, ada):
            OutgoingMailTable.create(
                id=person.id, tenant_id=person.tenant, about=person.id, kind="invitation", content="{}",
                created_at=now, until=now, attempts=0, next_at=now,
            )  # fmt: skip
    users.revoke_user(ada.tenant, ada.id, **at(house))
    with connected():
        assert [row.about for row in OutgoingMailTable.select()] == [paul.id]


def test_revocation_is_logged_once_with_who_said_so(house, paul, ada) -> None:
    session = open_session(house, ada, "a")
    assert users.revoke_user(ada.tenant, ada.id, by=By("user", paul.id), **at(house))
    revoked_at = house.clock()
    house.clock.forward(seconds=1)
    assert not users.revoke_user(ada.tenant, ada.id, **at(house))
    assert (now_of(ada).revoked_at, now_of(ada).credential) == (revoked_at, None)
    assert bodies(ada, REVOKED) == [{"user": ada.id, "by": "user", "actor": paul.id}]
    assert bodies(ada, "session.closed") == [{"user": ada.id, "session": session}]


@pytest.mark.parametrize(("count", "message"), [(1, "no line 0"), (500, "no line 0"), (501, "more than 500")])
def test_assigns_only_the_customers_lines(house, other, ada, count, message) -> None:
    with pytest.raises(CatalogueError, match=message) as failure:
        change_access(house, ada, "customer", [f"{number}" for number in range(count)])
    assert failure.value.error_id == "user.lines"
    assert error_of(lambda: change_access(house, ada, "customer", [other.line.id])) == "user.lines"
    assert error_of(lambda: change_access(house, ada, "operator")) == "user.role"
    assert users.check_access(house.tenant, "customer", None) is None
    assert users.check_access(house.tenant, "customer", []) == []


def test_a_new_log_in_is_signed_and_logged_and_ends_sessions(house, paul, ada) -> None:
    session = open_session(house, ada, "a")
    change = lambda login: users.change_login(ada.tenant, ada.id, login, **authority(house))  # noqa: E731
    assert change(" Ada.L@Example.be ")
    assert users.user_by_login("ada.l@example.be") == now_of(ada)
    users.require_signed(now_of(ada), house.trust)
    assert not users.is_session_valid(ada.tenant, ada.id, session, house.clock())
    (body,) = bodies(ada, LOGIN_CHANGED)
    assert body["login_sha256"] == users.login_hash("ada.l@example.be", ada.password_hash)
    assert error_of(lambda: change("PAUL")) == "user.exists"
    assert error_of(lambda: change(" ")) == "user.login"


def test_changes_the_log_in_of_a_customers_active_user_alone(house, other, ada) -> None:
    assert not users.change_login(other.id, ada.id, "eve", **authority(house))
    users.revoke_user(ada.tenant, ada.id, **at(house))
    assert not users.change_login(ada.tenant, ada.id, "eve", **authority(house))
    assert now_of(ada).login == "ada"


def test_the_log_in_of_a_revoked_user_is_free_again(house, create, paul, ada) -> None:
    assert error_of(lambda: create("ada")) == "user.exists"
    former = create("former")
    for each in (former, ada):
        users.revoke_user(each.tenant, each.id, **at(house))
    again = create("ada")
    assert users.user_by_login("ada") == again
    assert now_of(ada).login == ada.id
    (body,) = bodies(ada, LOGIN_CHANGED)
    assert body["login_sha256"] == users.login_hash(ada.id, ada.password_hash)
    assert bodies(paul, LOGIN_CHANGED) == bodies(former, LOGIN_CHANGED) == []
    assert users.change_login(paul.tenant, paul.id, "former", **authority(house))
    assert users.user_by_login("former") == now_of(paul)
    assert now_of(former).login == former.id


def test_the_log_supersedes_older_rows(house, paul, ada) -> None:
    """A restored backup has the row as it was once signed."""
    users.check_latest(ada)
    users.change_access(
        paul.tenant, paul.id, role="customer_admin", lines=None, by=OPERATOR, **authority(house)
    )
    for change in (
        lambda: users.set_password(ada.tenant, ada.id, "$argon2id$new", **authority(house)),
        lambda: users.change_login(ada.tenant, ada.id, "ada.l", **authority(house)),
        lambda: change_access(house, ada, "customer", [house.line.id]),
        lambda: change_access(house, ada, "auditor"),
        lambda: users.revoke_user(ada.tenant, ada.id, **at(house)),
    ):
        before = now_of(ada)
        users.check_latest(before)
        users.check_latest(paul)
        assert change()
        assert error_of(lambda before=before: users.check_latest(before)) == "credential.superseded"
    assert error_of(lambda: users.check_latest(now_of(ada))) == "credential.superseded", "revoked"


def test_a_profile_is_logged_where_it_changes(house, other, create, paul, ada) -> None:
    def change(name: str, language: str = "fr", tenant: str = "") -> bool:
        return users.set_profile(tenant or ada.tenant, ada.id, name=name, language=language, **at(house))

    create("theirs", name="Eva", tenant=other.id)
    former = create("former", name="Jan")
    users.revoke_user(former.tenant, former.id, **at(house))
    assert change(ada.name)
    assert bodies(ada, PROFILE) == []
    for name, language in (("ADA", "fr"), ("ADA", "nl"), ("Eva", "nl"), ("Jan", "nl")):
        assert change(f" {name} ", language)
        assert (now_of(ada).name, now_of(ada).language) == (name, language)
    assert len(bodies(ada, PROFILE)) == 4
    assert bodies(ada, PROFILE)[-1]["profile_sha256"] == users.display_hash(ada.password_hash, "Jan", "nl")
    assert error_of(lambda: change("Paul")) == "user.name_exists"
    assert error_of(lambda: change(" ")) == "user.name"
    assert not change("Eva", tenant=other.id)
    assert now_of(ada).name == "Jan"


def test_a_new_password_is_logged(house, ada) -> None:
    assert users.set_password(ada.tenant, ada.id, "$argon2id$new", **at(house), **signed(house))
    (body,) = bodies(ada, CHANGED)
    assert body == {
        "user": ada.id,
        "login_sha256": users.login_hash("ada", "$argon2id$new"),
        "profile_sha256": users.display_hash("$argon2id$new", ada.name, "fr"),
    }
    assert users.display_hash("a hash", "Ada", "fr") == hashlib.sha256(b"a hash\nAda\nfr").hexdigest()
    assert not users.set_password(ada.tenant, "nobody", "$argon2id$new", **authority(house))


def test_a_new_user_is_logged_with_role_and_lines(house, create) -> None:
    limited, free = create("a", lines=[house.line.id]), create("b")
    facts = [(each["role"], each.get("lines", "all")) for person in (limited, free)
             for each in bodies(person, "user.created")]  # fmt: skip
    assert facts == [("customer", [house.line.id]), ("customer", "all")]
    users.require_signed(limited, house.trust)
    other_id = str(uuid7(house.clock(), house.entropy))
    assert create("c", identity=other_id).id == other_id
    for login, name, error_id in (("", "C", "user.login"), ("x" * 255, "C", "user.login"),
                                  ("d", "", "user.name")):  # fmt: skip
        assert error_of(lambda login=login, name=name: create(login, name=name)) == error_id
    assert error_of(lambda: create("d", lines=["no line"])) == "user.lines"


def test_a_guest_is_no_colleague_and_has_no_password(house, paul) -> None:
    def guest(role: str) -> UserRow:
        identity = str(uuid7(house.clock(), house.entropy))
        options = {"name": "Jan", "role": role, "language": "nl"}
        with writing():
            return users.create_guest(house.tenant, identity, **options, **at(house), **signed(house))

    jan, another = guest(EXTERNAL_PARTY), guest(EXTERNAL_PARTY)
    assert jan == users.user(house.tenant, jan.id)
    assert jan.login == jan.id
    assert jan.password_hash.startswith(users.NO_PASSWORD)
    assert jan.password_hash != another.password_hash
    users.require_signed(jan, house.trust)
    assert [each.id for each in users.users(house.tenant)] == [paul.id]
    assert error_of(lambda: guest("customer")) == "user.role"


def test_a_session_is_its_users_and_lasts_until_it_ends(house, paul, ada) -> None:
    mine, second, pauls = (
        open_session(house, *each) for each in ((ada, "a"), (ada, "b"), (paul, "p"))
    )  # fmt: skip
    later = house.clock() + timedelta(hours=9)
    users.touch_session(paul, mine, now=house.clock(), until=later)
    house.clock.forward(minutes=1)
    users.touch_session(ada, second, now=house.clock(), until=later, network="192.0.2.0/24")
    listed = users.sessions(ada, house.clock())
    assert [(each.id, each.network) for each in listed] == [(second, "192.0.2.0/24"), (mine, "")]
    assert not users.is_session_valid(paul.tenant, paul.id, mine, house.clock())
    assert not users.end_session(paul, mine, **at(house))
    assert users.end_session(ada, mine, **at(house))
    assert users.end_session(ada, mine, **at(house)), "again"
    assert bodies(ada, "session.closed") == [{"user": ada.id, "session": mine}]
    users.touch_session(ada, mine, now=house.clock(), until=later)
    third = open_session(house, ada, "c")
    users.end_sessions(ada, keep=third, **at(house))
    assert [each.id for each in users.sessions(ada, house.clock())] == [third]
    assert [each.id for each in users.sessions(paul, house.clock())] == [pauls]
    assert len(bodies(ada, "session.closed")) == 2
    house.clock.at = later - timedelta(hours=1) + timedelta(minutes=1)
    assert users.sessions(ada, house.clock()) == ()
    assert not users.is_session_valid(ada.tenant, ada.id, third, house.clock())


def test_a_token_opens_the_session_of_its_user_until_either_ends(house, paul, ada) -> None:
    sessions = {person.id: open_session(house, person, token) for person, token in ((paul, "p"), (ada, "a"))}

    def opened(token: str) -> tuple[str, str] | None:
        found = users.session_by_token(token, house.clock())
        return None if found is None else (found[0].id, found[1].id)

    assert opened("a") == (sessions[ada.id], ada.id)
    assert opened("p") == (sessions[paul.id], paul.id)
    assert opened("none") is None
    assert users.is_session_valid(house.tenant, ada.id, None, house.clock())
    assert not users.is_session_valid(house.tenant, "nobody", None, house.clock())
    write_row(ada, revoked_at=house.clock())
    assert opened("a") is None
    assert opened("p") == (sessions[paul.id], paul.id)


def test_a_session_is_valid_within_the_slack_of_clocks(house, ada) -> None:
    session = open_session(house, ada, "a")
    house.clock.at -= SLACK
    assert users.is_session_valid(ada.tenant, ada.id, session, house.clock())
    house.clock.forward(milliseconds=-1)
    assert not users.is_session_valid(ada.tenant, ada.id, session, house.clock())


def test_only_its_user_prolongs_a_session_that_lasts(house, paul, ada) -> None:
    session, later = open_session(house, ada, "a"), house.clock() + timedelta(days=9)

    def until() -> datetime:
        with connected():
            return SessionTable.get_by_id(session).until

    first = until()
    users.touch_session(paul, session, now=house.clock(), until=later)
    assert until() == first
    users.touch_session(ada, session, now=house.clock(), until=later)
    assert until() == later
    users.end_session(ada, session, **at(house))
    users.touch_session(ada, session, now=house.clock(), until=first)
    assert until() == later
    assert users.drop_old_sessions(later) == 0
    assert users.drop_old_sessions(later + timedelta(milliseconds=1)) == 1


def test_a_wrong_password_is_logged_once_in_five_minutes(house, paul, ada) -> None:
    note = lambda person: users.note_refused_log_in(person, **at(house))  # noqa: E731
    assert note(ada)
    assert not note(ada)
    assert note(paul)
    house.clock.forward(minutes=5)
    assert note(ada)
    assert len(bodies(ada, "session.refused")) == 2


def test_a_session_is_logged_with_its_second_factor(house, ada) -> None:
    open_session(house, ada, "a")
    until = house.clock() + timedelta(hours=1)
    users.open_session(ada, token_sha256="b", until=until, factor="passkey", **at(house))
    factors = [each.get("factor") for each in bodies(ada, "session.opened")]
    assert factors == [None, "passkey"]
