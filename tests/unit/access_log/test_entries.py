"""Entries say what was hashed, about one recording and in pages, and nothing of another tenant."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from recorder.catalogue.database import connected, database, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.grant import ListenTable
from recorder.catalogue.tables.identity import UserTable
from recorder.errors import AccessError
from recorder.features.access_log import queries, rules, service
from recorder.features.tenants import service as tenants
from recorder.lifecycle import expiry
from recorder.seal.amendment import By
from tests.amendments import amend


def listen(house, gate, who, recording, played: str | None = "0-4000,3000-6000", token: str = "p") -> None:
    grant = gate.grant(who, recording.id, "agreement")
    list(gate.open(who, grant.id, "audio.wav", token).read(0, 10))
    if played:
        gate.played(who, grant.id, token, played)
        gate.close(who, grant.id, token)
    house.clock.forward(seconds=30)


def kinds(entries) -> list[str]:
    return [each.kind for each in entries]


def change(number: int, **columns: object) -> None:
    """Change a leaf's row, as somebody with the database can."""
    with writing():
        assert LeafTable.update(**columns).where(LeafTable.number == number).execute() == 1


def one(tenant: str, recording: str, kind: str) -> rules.LogEntry:
    (found,) = [each for each in service.entries_about(tenant, recording) if each.kind == kind]
    return found


def test_listen_is_shown_with_person_purpose_and_what_was_heard(house, gate, ada, recording) -> None:
    listen(house, gate, ada, recording)
    opened, closed = (one(house.tenant, recording.id, f"listen.{how}") for how in ("opened", "closed"))
    for each in (opened, closed):
        assert each.who == rules.Person(ada.user, "user", "Ada", "customer")
        assert (each.purpose, each.heard_ms, each.finished) == ("agreement", 6000, True)
    assert kinds(service.entries_about(house.tenant, recording.id)) == [
        "listen.closed", "listen.opened", "grant.given", "recording.stored",
    ]  # fmt: skip


def test_listens_are_told_apart(house, gate, ada, somebody, recording) -> None:
    listen(house, gate, ada, recording, "0-1000", "a")
    listen(house, gate, somebody(), recording, "0-2000", "b")
    listen(house, gate, ada, recording, None, "c")
    opened = [each for each in service.entries_about(house.tenant, recording.id) if "opened" in each.kind]
    assert [(each.heard_ms, each.finished) for each in opened] == [(None, False), (2000, True), (1000, True)]
    assert [each.who.id == ada.user for each in opened] == [True, False, True]


def test_refusal_names_the_person(house, gate, ada, recording) -> None:
    with suppress(AccessError):
        gate.grant(ada, recording.id, "training")
    refused = one(house.tenant, recording.id, "access.refused")
    assert refused.who is not None
    assert (refused.who.name, refused.purpose, refused.body["reason"]) == (
        "Ada", "training", "access.purpose_not_announced",
    )  # fmt: skip


def test_erased_entry_keeps_its_kind_and_time_alone(house, gate, ada, recording) -> None:
    listen(house, gate, ada, recording)
    before = service.entries_about(house.tenant, recording.id)
    amend(house.office().delete, house.tenant, recording.id, By("user", ada.user), reason="Not needed.")
    assert expiry.destroy_due(house.services, house.clock.forward(minutes=5)) == 1
    erased, *rest = service.entries_about(house.tenant, recording.id)
    assert (erased.kind, erased.state, erased.body["reason"]) == ("recording.erased", rules.INTACT, "deleted")
    assert kinds(rest) == ["recording.amended", *kinds(before)]
    assert {(each.state, each.who, each.heard_ms, *each.body) for each in rest} == {
        (rules.ERASED, None, None)
    }
    assert [each.at for each in rest[1:]] == [each.at for each in before]


@pytest.mark.parametrize(
    "columns",
    [
        {"body": '{"name":"Somebody else"}'}, {"kind": "tenant.country_changed"}, {"body": None},
        {"salt": None}, {"body": None, "salt": None}, {"leaf": "{}"}, {"leaf": "no JSON"}, {"body": "{"},
        {"leaf_hash": "00"}, {"at": "2026-11-25T08:00:00.000Z"}, {"at": "yesterday"}, {"at": ""},
    ],
)  # fmt: skip
def test_changed_leaf_is_shown_as_changed_and_says_nothing(house, columns) -> None:
    tenants.set_tenant(house.tenant, name="Martin", language="fr", now=house.clock(), entropy=house.entropy)
    number = service.list_entries(house.tenant).entries[0].number
    change(number, **columns)
    found = {each.number: each for each in service.list_entries(house.tenant).entries}
    assert (found[number].state, found[number].body) == (rules.CHANGED, {})
    assert service.find_entry(house.tenant, number) == found[number]
    assert {each.state for each in found.values() if each.number != number} == {rules.INTACT}


def test_heard_time_of_another_listens_leaf_is_not_taken(house, gate, ada, recording) -> None:
    """The row of a listen says only where to look."""
    listen(house, gate, ada, recording, "0-1000", "a")
    listen(house, gate, ada, recording, None, "b")
    with connected():
        first, second = ListenTable.select().order_by(ListenTable.opened_at)
        ListenTable.update(closed_at=first.closed_at, leaf=first.leaf).where(
            ListenTable.id == second.id
        ).execute()
    opened = [each for each in service.entries_about(house.tenant, recording.id) if "opened" in each.kind]
    assert [each.heard_ms for each in opened] == [None, 1000]


def test_other_tenants_see_none_of_it(house, gate, ada, stranger, recording) -> None:
    listen(house, gate, ada, recording)
    assert service.entries_about(stranger.tenant, recording.id) == ()
    assert service.list_entries(stranger.tenant, rules.LogFilter(person=ada.user)).entries == ()
    number = service.list_entries(house.tenant).entries[0].number
    assert service.find_entry(house.tenant, number) is not None
    assert service.find_entry(stranger.tenant, number) is None
    theirs = {each.recording for each in service.list_entries(stranger.tenant).entries}
    assert theirs == {None}
    assert service.entries_about(house.tenant, "%") == ()


def test_names_come_from_the_tenants_own_users(house, gate, ada, stranger, recording) -> None:
    """A user of somebody else's is nobody here, even if a row claims so."""
    listen(house, gate, ada, recording)
    with connected():
        UserTable.update(tenant=stranger.tenant).where(UserTable.id == ada.user).execute()
    assert one(house.tenant, recording.id, "listen.opened").who == rules.Person(ada.user, "unknown")


def test_pages_have_every_entry_once(house, gate, ada, recording) -> None:
    for each in range(3):
        listen(house, gate, ada, recording, token=f"p{each}")
    for name in ("Martin", "Martin & fils", "Martin"):  # several leaves at one moment
        tenants.set_tenant(house.tenant, name=name, language="fr", now=house.clock(), entropy=house.entropy)
    whole = service.list_entries(house.tenant, limit=100)
    assert whole.more is None
    found, after = [], None
    while True:
        page = service.list_entries(house.tenant, after=after, limit=3)
        found += page.entries
        if page.more is None:
            break
        after = rules.LogPosition.decode(page.more.encode())
    assert found == list(whole.entries)
    assert [entry for some in service.all_entries(house.tenant) for entry in some] == found
    assert sorted((each.at, each.number) for each in found)[::-1] == [
        (each.at, each.number) for each in found
    ]


def test_filters_by_person_kind_and_time(house, gate, ada, somebody, recording) -> None:
    luc = somebody()
    listen(house, gate, ada, recording, token="a")
    between = house.clock()
    house.clock.forward(seconds=1)
    listen(house, gate, luc, recording, token="l")
    amend(house.office().hold, house.tenant, recording.id, By("user", luc.user),
        owner=luc.user, purposes=["agreement"],
        reason="A question.", review_at=house.clock() + timedelta(days=9),
    )  # fmt: skip

    def listed(**criteria) -> list[str]:
        return kinds(service.list_entries(house.tenant, rules.LogFilter(**criteria)).entries)

    # Who listened is not in the leaf that closes a listen.
    assert listed(person=luc.user) == ["recording.amended", "listen.opened", "grant.given", "user.created"]
    assert listed(person=ada.user) == ["listen.opened", "grant.given", "user.created"]
    assert listed(person=ada.user, kinds=["listen.opened", "access.refused"]) == ["listen.opened"]
    assert listed(person=ada.user, recording=recording.id) == ["listen.opened", "grant.given"]
    assert listed(person="%") == listed(person="nobody") == listed(kinds=[]) == []
    assert listed(kinds=["listen.opened"]) == ["listen.opened"] * 2
    assert listed(kinds=["listen.opened"], since=between) == ["listen.opened"]
    assert listed(kinds=["listen.opened"], until=between) == ["listen.opened"]
    assert listed(kinds=["listen.opened", "grant.given"], since=between) == ["listen.opened", "grant.given"]
    assert listed(recording=recording.id, kinds=["recording.stored"]) == ["recording.stored"]
    assert listed(person=ada.user, until=between, kinds=["user.created"]) == ["user.created"]


@pytest.mark.parametrize("text", ["", "x", "1_2", "2026-11-25T09:00:00Z", "2026-11-25T09:00:00Z_-1", "_"])
def test_position_of_others_is_refused(text) -> None:
    with pytest.raises(ValueError, match=r"position|isoformat|zone|string"):
        rules.LogPosition.decode(text)


@pytest.mark.parametrize("catalogue_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("criteria", "indexes"),
    [
        ({}, {"log_leaf_tenant_id_at_number"}),
        ({"since": datetime(2026, 11, 1, tzinfo=UTC)}, {"log_leaf_tenant_id_at_number"}),
        ({"kinds": ["listen.opened", "grant.given"]}, {"log_leaf_tenant_id_kind_at_number"}),
        ({"person": "x"}, {"log_leaf_actor", "log_leaf_tenant_id_kind_at_number"}),
        ({"person": "x", "kinds": ["grant.given"]}, {"log_leaf_actor", "log_leaf_tenant_id_kind_at_number"}),
        ({"recording": "x"}, {"log_leaf_recording_id"}),
        ({"recording": "x", "person": "y"}, {"log_leaf_recording_id"}),
    ],
)
def test_each_list_is_read_from_an_index(house, monkeypatch, criteria, indexes) -> None:
    """So that a page takes no longer with a hundred thousand leaves."""
    plans: list[str] = []

    def explain(condition: str, values: list[object]) -> list[object]:
        sql = f"EXPLAIN QUERY PLAN SELECT {queries._COLUMNS} FROM log_leaf WHERE {condition}"
        plans.extend(str(row[-1]) for row in database.execute_sql(sql, tuple(values)).fetchall())
        return []

    monkeypatch.setattr(queries, "_rows", explain)
    service.list_entries(house.tenant, rules.LogFilter(**criteria))
    found = {index for plan in plans for index in re.findall(r"USING (?:COVERING )?INDEX (\w+)", plan)}
    assert found == indexes, plans
    assert not [plan for plan in plans if plan.startswith("SCAN")]
