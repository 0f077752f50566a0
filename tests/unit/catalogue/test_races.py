"""Several workers and panels write concurrently, each with its own connection. On SQLite they wait for each
other; on PostgreSQL they overlap."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.catalogue import change_counter, queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.announcement import SoundTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.grant import ListenTable
from recorder.catalogue.tables.identity import SessionTable
from recorder.errors import CatalogueError
from recorder.features.tenants import composition, lines, service
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.identity import users
from recorder.ids import uuid7
from recorder.lifecycle import line_history, line_rules, recordings
from recorder.playback import grants
from recorder.playback.interface import Grant
from tests.tombstones import bury_row

pytestmark = pytest.mark.postgresql

ROUNDS = 8


def at_once(*works: Callable[[], object]) -> list[object]:
    """The results or errors of functions that run concurrently."""
    together = threading.Barrier(len(works))

    def begin(work: Callable[[], object]) -> object:
        together.wait(30)
        try:
            return work()
        except CatalogueError as error:
            return error.error_id

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(begin, works))


@pytest.fixture
def numbered() -> Iterable[None]:
    """Check after the test that every tenant's log has neither gaps nor duplicates."""
    yield
    with connected():
        entries = list(LeafTable.select().order_by(LeafTable.tenant, LeafTable.number))
        for tenant, leaves in itertools.groupby(entries, key=lambda entry: entry.tenant_id):
            numbers = [leaf.number for leaf in leaves]
            assert numbers == list(range(len(numbers)))
            assert queries.tenant(tenant) is not None


@pytest.fixture
def grant(tenants, stored, clock, entropy) -> Callable[[], Grant]:
    """Gives a user a grant for a recording."""
    person = users.create_user(
        tenants[0],
        login="ada@example.be",
        name="Ada",
        role="customer",
        language="fr",
        password_hash="$argon2id$",
        now=clock(),
        entropy=entropy,
    )

    def make() -> Grant:
        row = stored()
        return grants.create_grant(
            grants.PermittedUse(
                tenant=row.tenant,
                user=person.id,
                session=None,
                recording=row.id,
                purpose="agreement",
                manifest_sha256=row.manifest_sha256,
                until=clock() + timedelta(minutes=15),
            ),
            now=clock(),
            entropy=entropy,
        )

    return make


def test_concurrent_workers_list_a_recording_once(tenants, stored, clock, entropy, numbered) -> None:
    like = stored()
    for _ in range(ROUNDS):
        identity = str(uuid7(clock(), entropy))
        row = replace(like, id=identity, prefix=f"{like.tenant}/2026/11/25/{identity}/")
        add = [lambda row=row: recordings.add_recording(row, now=clock(), entropy=entropy)] * 3
        assert sorted(at_once(*add)) == [False, False, True]


def test_concurrent_workers_list_an_unrecorded_call_once(
    tenants, unrecorded, clock, entropy, numbered
) -> None:
    like = unrecorded()
    for _ in range(ROUNDS):
        row = replace(like, id=str(uuid7(clock(), entropy)))
        add = [lambda row=row: recordings.add_not_recorded(row, now=clock(), entropy=entropy)] * 3
        assert sorted(at_once(*add)) == [False, False, True]


def test_concurrent_workers_erase_a_recording_once(tenants, stored, clock, entropy, numbered) -> None:
    for _ in range(ROUNDS):
        row = stored()
        destroy = [lambda row=row: bury_row(row, "expired", now=clock(), entropy=entropy)] * 3
        assert sorted(at_once(*destroy)) == [False, False, True]


def test_concurrent_announcements_get_distinct_versions(tenants, announce, numbered) -> None:
    mine, other = tenants
    for level in range(ROUNDS):
        versions = at_once(
            *[lambda level=level: announce(mine, level=level + 10)] * 2,
            *[lambda level=level: announce(other, level=level + 10)] * 2,
        )
        assert len(set(versions)) == 4
    assert [row.version for row in queries.announcements(mine)] == list(range(2 * ROUNDS, 0, -1))
    with connected():
        assert SoundTable.select().count() == ROUNDS


def test_concurrent_customers_cannot_share_a_number(tenants, announce, clock, entropy, numbered) -> None:
    announcements = {tenant: announce(tenant) for tenant in tenants}
    for number in range(100, 100 + ROUNDS):
        outcomes = at_once(
            *[
                lambda tenant=tenant, number=number: lines.create_line(
                    tenant,
                    number=str(number),
                    announcement=announcements[tenant],
                    now=clock(),
                    entropy=entropy,
                )
                for tenant in (*tenants, *tenants)
            ]
        )
        assert outcomes.count("line.taken") == 3
    assert change_counter.revision(change_counter.LINES) == ROUNDS
    assert sum(len(queries.lines(tenant)) for tenant in tenants) == ROUNDS


def test_concurrent_first_changes_are_counted(catalogue) -> None:
    def change(name: str) -> None:
        with writing():
            change_counter.increment(name)

    for round_ in range(ROUNDS):
        at_once(*[lambda name=f"r{round_}": change(name)] * 4)
        assert change_counter.revision(f"r{round_}") == 4


def test_concurrent_requests_of_a_player_are_one_listen(grant, clock, entropy, numbered) -> None:
    for _ in range(ROUNDS):
        grant_of_player = grant()

        def request(grant_of_player=grant_of_player) -> str:
            listen = grants.count_sent(grant_of_player, "p", "audio.opus", 1200, now=clock(), entropy=entropy)
            grants.take_back(listen, 200, clock())
            return listen.id

        assert len(set(at_once(*[request] * 4))) == 1
        with connected():
            (row,) = ListenTable.select().where(ListenTable.grant == grant_of_player.id)
        assert row.sent_bytes == 4000


def test_listen_is_closed_once(grant, clock, entropy, numbered) -> None:
    for _ in range(ROUNDS):
        listen = grants.count_sent(grant(), "p", "audio.opus", 10, now=clock(), entropy=entropy)
        close = [lambda listen=listen: grants.close_listen(listen, now=clock(), entropy=entropy)] * 3
        assert sorted(at_once(*close)) == [False, False, True]


def test_closed_listen_counts_no_more_bytes(grant, clock, entropy, numbered) -> None:
    """After all are closed, the leaves account for every byte, and no row differs from its leaf."""
    for _ in range(ROUNDS):
        open_grant = grant()
        time_and_entropy = {"now": clock(), "entropy": entropy}

        def request(open_grant=open_grant, time_and_entropy=time_and_entropy) -> None:
            for _ in range(5):
                assert grants.count_sent(open_grant, "p", "audio.opus", 1000, **time_and_entropy)

        def close(open_grant=open_grant, time_and_entropy=time_and_entropy) -> None:
            for _ in range(5):
                if listen := grants.listen_of(open_grant, "p"):
                    grants.close_listen(listen, **time_and_entropy)

        assert at_once(request, request, close, close) == [None] * 4
        close()
        with connected():
            rows = {
                row.id: row.sent_bytes
                for row in ListenTable.select().where(ListenTable.grant == open_grant.id)
            }
            leaves = LeafTable.select().where(
                (LeafTable.recording_id == open_grant.recording) & (LeafTable.kind == "listen.closed")
            )
            bodies = [json.loads(leaf.body) for leaf in leaves]
        assert {each["listen"]: each["sent_bytes"] for each in bodies} == rows
        assert sum(rows.values()) == 10_000


def test_closed_listen_stays_closed(grant, clock, entropy, numbered) -> None:
    when = {"now": clock(), "entropy": entropy}
    listen = grants.count_sent(grant(), "p", "audio.opus", 1000, **when)
    assert grants.is_open(listen)
    grants.close_listen(listen, **when)
    assert not grants.is_open(listen)
    grants.take_back(listen, 400, clock())
    with connected():
        assert ListenTable.get().sent_bytes == 1000


def test_erasure_ends_grants(grant, clock, entropy, numbered) -> None:
    """Even if renewed at the same moment, no grant is left, and no salt of its leaves."""
    for _ in range(ROUNDS):
        open_grant = grant()
        row = queries.recording(open_grant.tenant, open_grant.recording)
        at_once(
            lambda open_grant=open_grant: grants.renew(
                open_grant, clock() + timedelta(hours=1), now=clock(), entropy=entropy
            ),
            lambda row=row: bury_row(row, "expired", now=clock(), entropy=entropy),
        )
        assert grants.find_valid_grant(open_grant.tenant, open_grant.user, open_grant.id, clock()) is None
        with connected():
            leaves = LeafTable.select().where(LeafTable.recording_id == open_grant.recording)
            assert all(leaf.body is None and leaf.salt is None for leaf in leaves)


def test_concurrent_users_cannot_share_a_login(tenants, clock, entropy, numbered) -> None:
    for round_ in range(ROUNDS):
        outcomes = at_once(
            *[
                lambda tenant=tenant, round_=round_: users.create_user(
                    tenant,
                    login=f"ada{round_}@example.be",
                    name="Ada",
                    role="customer",
                    language="fr",
                    password_hash="$argon2id$",
                    now=clock(),
                    entropy=entropy,
                )
                for tenant in (*tenants, *tenants)
            ]
        )
        assert outcomes.count("user.exists") == 3


def test_line_creation_races_with_country_change(tenants, announce, clock, entropy, numbered) -> None:
    """The check still holds at the write: the customer is locked in between."""
    mine, _ = tenants
    when = {"now": clock(), "entropy": entropy}
    announcement = announce(mine)
    for number in range(100, 100 + ROUNDS):
        service.set_tenant_country(mine, "be", **when)
        outcomes = at_once(
            lambda number=number: lines.create_line(
                mine, number=str(number), announcement=announcement, mode="notice", **when
            ),
            lambda: service.set_tenant_country(mine, "de", **when),
        )
        assert ("country.mode" in outcomes) != ("country.lines" in outcomes)
        assert line_rules.find_misfits() == ()
        for line in queries.lines(mine):
            line_history.end_line(mine, line.id, **when)


def test_concurrent_writers_do_not_deadlock(
    tenants, announce, grant, stored, unrecorded, clock, entropy, numbered
) -> None:
    """All kinds of writes concurrently: the database aborts none of them."""
    mine, other = tenants
    when = {"now": clock(), "entropy": entropy}
    options = {"language": "fr", "mode": "notice", "purposes": ["agreement"], "keep_days": 30}
    announcement = composition.compose(mine, name="told", **options, **when).id
    line = lines.create_line(mine, number="555", announcement=announcement, **when)
    ada = users.user_by_login("ada@example.be")
    account = {"login": "eve@example.be", "name": "Eve", "language": "fr", "password_hash": "$argon2id$"}
    admin = users.create_user(tenants[0], role="customer_admin", now=clock(), entropy=entropy, **account)
    listen_grants = [grant() for _ in range(4)]
    counted = itertools.count(1000)
    tokens = itertools.count()

    def session() -> None:
        token = f"{next(tokens):064d}"
        opened = users.open_session(ada, token_sha256=token, until=clock() + timedelta(hours=1), **when)
        users.touch_session(ada, opened.id, now=clock(), until=clock() + timedelta(hours=2))
        users.end_session(ada, opened.id, now=clock(), entropy=entropy)

    def listen_to(which: int) -> None:
        listen = grants.count_sent(listen_grants[which], "p", "audio.opus", 10, **when)
        if listen is None:
            return  # destroyed before
        grants.take_back(listen, 1, clock())
        grants.renew(listen_grants[which], clock() + timedelta(minutes=30), **when)
        grants.close_listen(listen, **when)

    def work(what: int) -> None:
        if what == 0:
            stored(), stored(other)
        elif what == 1:
            unrecorded(), unrecorded(other)
        elif what == 2:
            session()
        elif what == 3:
            listen_to(0), listen_to(1)
        elif what == 4:
            listen_to(1), listen_to(0)
        elif what == 5:
            change_line(mine, line.id, LineChange(announcements=[announcement]), who=admin.id, **when)
            lines.create_line(mine, number=str(next(counted)), announcement=announcement, **when)
        elif what == 6:
            announce(other, level=7), announce(mine, level=7)
            ended = lines.create_line(mine, number=str(next(counted)), announcement=announcement, **when)
            line_history.end_line(mine, ended.id, **when)
        else:
            change_line(mine, line.id, LineChange(mode="opt-in"), **when)
            service.set_tenant_country(mine, "be", **when)
            users.set_password(mine, ada.id, f"$argon2id${next(tokens)}", **when)
            users.drop_old_sessions(clock() + timedelta(hours=3))

    for _ in range(4):
        assert at_once(*[lambda what=what: work(what) for what in range(8)]) == [None] * 8
    tombstones = [
        lambda each=each: bury_row(queries.recording(mine, each.recording), "expired", **when)
        for each in listen_grants
    ]
    assert at_once(*tombstones, lambda: listen_to(2), session) == [True] * 4 + [None] * 2
    with connected():
        assert SessionTable.select().count() >= 1


def test_lease_has_one_owner_until_it_ends_or_is_released(tenants, clock) -> None:
    for round_ in range(ROUNDS):
        name = f"recording:{round_}"
        take = [lambda who=who, name=name: lease.take(name, who, clock()) and who for who in "abc"]
        (owner,) = [who for who in at_once(*take) if who]
        others = [who for who in "abc" if who != owner]
        assert lease.take(name, owner, clock())
        lease.release(name, others[0])
        assert not lease.take(name, others[0], clock())
        lease.release(name, owner)
        assert lease.take(name, others[0], clock())


def test_lease_of_a_dead_worker_expires(tenants, clock) -> None:
    assert lease.take("x", "dead", clock())
    clock.forward(seconds=lease.DURATION.total_seconds() - 1)
    assert not lease.take("x", "b", clock())
    clock.forward(seconds=1)
    winners = [
        who
        for who in at_once(*[lambda who=who: lease.take("x", who, clock()) and who for who in "bcd"])
        if who
    ]
    assert len(winners) == 1


def test_lease_tolerates_small_clock_differences(tenants, clock) -> None:
    assert lease.take("x", "ahead", clock() + timedelta(seconds=2))
    assert not lease.take("x", "b", clock())
    assert lease.take("y", "behind", clock() - timedelta(seconds=2))
    assert not lease.take("y", "b", clock())


def test_lease_from_the_future_counts_as_expired(tenants, clock) -> None:
    ahead = clock() + timedelta(days=400)
    assert lease.take("x", "ahead", ahead)
    assert lease.take("x", "b", clock())
    assert not lease.take("x", "c", clock())
    assert lease.delete_expired(clock() + timedelta(hours=1)) == 1
