"""Several workers and panels write at once, each with a connection of its own.  On SQLite one waits for the
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

from recorder.catalogue import change_counter, country_check, queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.announcement import SoundTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.grant import ListenTable
from recorder.catalogue.tables.identity import SessionTable
from recorder.errors import CatalogueError
from recorder.features.tenants import composition, lines, service
from recorder.identity import users
from recorder.ids import uuid7
from recorder.lifecycle import line_history, recordings
from recorder.playback import grants

pytestmark = pytest.mark.postgresql

ROUNDS = 8


def at_once(*works: Callable[[], object]) -> list[object]:
    """What each returned, or the error that it raised; all begin together."""
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
    """After the test, every tenant's log is numbered without gap or fork."""
    yield
    with connected():
        entries = list(LeafTable.select().order_by(LeafTable.tenant, LeafTable.number))
        for tenant, leaves in itertools.groupby(entries, key=lambda entry: entry.tenant_id):
            numbers = [leaf.number for leaf in leaves]
            assert numbers == list(range(len(numbers)))
            assert queries.tenant(tenant) is not None


@pytest.fixture
def grant(tenants, stored, clock, entropy) -> Callable[[], grants.GrantRow]:
    """Gives somebody a grant for a recording."""
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

    def make() -> grants.GrantRow:
        row = stored()
        return grants.create_grant(
            tenant=row.tenant,
            user=person.id,
            session=None,
            recording=row.id,
            purpose="agreement",
            manifest_sha256=row.manifest_sha256,
            until=clock() + timedelta(minutes=15),
            now=clock(),
            entropy=entropy,
        )

    return make


def test_a_recording_is_catalogued_once(tenants, stored, clock, entropy, numbered) -> None:
    like = stored()
    for _ in range(ROUNDS):
        identity = str(uuid7(clock(), entropy))
        row = replace(like, id=identity, prefix=f"{like.tenant}/2026/11/25/{identity}/")
        add = [lambda row=row: recordings.add_recording(row, now=clock(), entropy=entropy)] * 3
        assert sorted(at_once(*add)) == [False, False, True]


def test_a_call_that_was_not_recorded_is_listed_once(tenants, unrecorded, clock, entropy, numbered) -> None:
    like = unrecorded()
    for _ in range(ROUNDS):
        row = replace(like, id=str(uuid7(clock(), entropy)))
        add = [lambda row=row: recordings.add_not_recorded(row, now=clock(), entropy=entropy)] * 3
        assert sorted(at_once(*add)) == [False, False, True]


def test_a_recording_is_destroyed_once(tenants, stored, clock, entropy, numbered) -> None:
    for _ in range(ROUNDS):
        row = stored()
        destroy = [
            lambda row=row: recordings.make_tombstone(row, "expired", now=clock(), entropy=entropy)
        ] * 3
        assert sorted(at_once(*destroy)) == [False, False, True]


def test_two_customers_are_given_the_same_sound_and_two_versions_their_numbers(
    tenants, announce, numbered
) -> None:
    mine, other = tenants
    for level in range(ROUNDS):
        made = at_once(
            *[lambda level=level: announce(mine, level=level + 10)] * 2,
            *[lambda level=level: announce(other, level=level + 10)] * 2,
        )
        assert len(set(made)) == 4
    assert [row.version for row in queries.announcements(mine)] == list(range(2 * ROUNDS, 0, -1))
    with connected():
        assert SoundTable.select().count() == ROUNDS


def test_a_number_has_one_owner_and_every_change_is_counted(
    tenants, announce, clock, entropy, numbered
) -> None:
    saying = {tenant: announce(tenant) for tenant in tenants}
    for number in range(100, 100 + ROUNDS):
        made = at_once(
            *[
                lambda tenant=tenant, number=number: lines.create_line(
                    tenant,
                    number=str(number),
                    announcement=saying[tenant],
                    now=clock(),
                    entropy=entropy,
                )
                for tenant in (*tenants, *tenants)
            ]
        )
        assert made.count("line.taken") == 3
    assert change_counter.revision(change_counter.LINES) == ROUNDS
    assert sum(len(queries.lines(tenant)) for tenant in tenants) == ROUNDS


def test_the_first_changes_of_all_are_counted(catalogue) -> None:
    def change(name: str) -> None:
        with writing():
            change_counter.count_up(name)

    for round_ in range(ROUNDS):
        at_once(*[lambda name=f"r{round_}": change(name)] * 4)
        assert change_counter.revision(f"r{round_}") == 4


def test_the_requests_of_a_play_are_one_listen_and_every_byte_counts(grant, clock, entropy, numbered) -> None:
    for _ in range(ROUNDS):
        given = grant()

        def request(given=given) -> str:
            listen = grants.count_sent(given, "p", "audio.opus", 1200, now=clock(), entropy=entropy)
            grants.take_back(listen, 200, clock())
            return listen.id

        assert len(set(at_once(*[request] * 4))) == 1
        with connected():
            (row,) = ListenTable.select().where(ListenTable.grant == given.id)
        assert row.sent_bytes == 4000


def test_a_listen_is_closed_once_and_says_what_was_sent(grant, clock, entropy, numbered) -> None:
    for _ in range(ROUNDS):
        listen = grants.count_sent(grant(), "p", "audio.opus", 10, now=clock(), entropy=entropy)
        close = [lambda listen=listen: grants.close_listen(listen, now=clock(), entropy=entropy)] * 3
        assert sorted(at_once(*close)) == [False, False, True]


def test_nothing_is_counted_on_a_listen_that_is_closed_meanwhile(grant, clock, entropy, numbered) -> None:
    """Every byte is in a leaf when all are closed, and no leaf was overtaken by its row."""
    for _ in range(ROUNDS):
        given = grant()
        said = {"now": clock(), "entropy": entropy}

        def request(given=given, said=said) -> None:
            for _ in range(5):
                assert grants.count_sent(given, "p", "audio.opus", 1000, **said)

        def close(given=given, said=said) -> None:
            for _ in range(5):
                if listen := grants.listen_of(given, "p"):
                    grants.close_listen(listen, **said)

        assert at_once(request, request, close, close) == [None] * 4
        close()
        with connected():
            rows = {
                row.id: row.sent_bytes for row in ListenTable.select().where(ListenTable.grant == given.id)
            }
            leaves = LeafTable.select().where(
                (LeafTable.recording_id == given.recording) & (LeafTable.kind == "listen.closed")
            )
            bodies = [json.loads(leaf.body) for leaf in leaves]
        assert {each["listen"]: each["sent_bytes"] for each in bodies} == rows
        assert sum(rows.values()) == 10_000


def test_what_was_closed_is_not_taken_back(grant, clock, entropy, numbered) -> None:
    said = {"now": clock(), "entropy": entropy}
    listen = grants.count_sent(grant(), "p", "audio.opus", 1000, **said)
    assert grants.is_open(listen)
    grants.close_listen(listen, **said)
    assert not grants.is_open(listen)
    grants.take_back(listen, 400, clock())
    with connected():
        assert ListenTable.get().sent_bytes == 1000


def test_a_grant_of_what_is_destroyed_is_over(grant, clock, entropy, numbered) -> None:
    """Renewed at the same moment or not, nothing that lasts is left, nor what its leaves open with."""
    for _ in range(ROUNDS):
        given = grant()
        row = queries.recording(given.tenant, given.recording)
        at_once(
            lambda given=given: grants.renew(
                given, clock() + timedelta(hours=1), now=clock(), entropy=entropy
            ),
            lambda row=row: recordings.make_tombstone(row, "expired", now=clock(), entropy=entropy),
        )
        assert grants.find_valid_grant(given.tenant, given.user, given.id, clock()) is None
        with connected():
            leaves = LeafTable.select().where(LeafTable.recording_id == given.recording)
            assert all(leaf.body is None and leaf.salt is None for leaf in leaves)


def test_somebody_is_made_once(tenants, clock, entropy, numbered) -> None:
    for round_ in range(ROUNDS):
        made = at_once(
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
        assert made.count("user.exists") == 3


def test_no_line_slips_past_a_country_that_changes(tenants, announce, clock, entropy, numbered) -> None:
    """What was checked still holds when it is written: the customer is held in between."""
    mine, _ = tenants
    said = {"now": clock(), "entropy": entropy}
    saying = announce(mine)
    for number in range(100, 100 + ROUNDS):
        service.set_tenant_country(mine, "be", **said)
        outcomes = at_once(
            lambda number=number: lines.create_line(
                mine, number=str(number), announcement=saying, mode="notice", **said
            ),
            lambda: service.set_tenant_country(mine, "de", **said),
        )
        assert ("country.mode" in outcomes) != ("country.lines" in outcomes)
        assert country_check.misfits() == ()
        for line in queries.lines(mine):
            line_history.end_line(mine, line.id, **said)


def test_everything_at_once_waits_in_no_circle(
    tenants, announce, grant, stored, unrecorded, clock, entropy, numbered
) -> None:
    """All that is ever written, by many at a time: nobody is broken off for another's sake."""
    mine, other = tenants
    said = {"now": clock(), "entropy": entropy}
    told = {"language": "fr", "mode": "notice", "purposes": ["agreement"], "keep_days": 30}
    saying = composition.compose(mine, name="told", **told, **said).id
    line = lines.create_line(mine, number="555", announcement=saying, **said)
    ada = users.user_by_login("ada@example.be")
    given = [grant() for _ in range(4)]
    counted = itertools.count(1000)
    tokens = itertools.count()

    def session() -> None:
        token = f"{next(tokens):064d}"
        opened = users.open_session(ada, token_sha256=token, until=clock() + timedelta(hours=1), **said)
        users.touch_session(ada, opened.id, now=clock(), until=clock() + timedelta(hours=2))
        users.end_session(ada, opened.id, now=clock(), entropy=entropy)

    def listening(which: int) -> None:
        listen = grants.count_sent(given[which], "p", "audio.opus", 10, **said)
        if listen is None:
            return  # destroyed before
        grants.take_back(listen, 1, clock())
        grants.renew(given[which], clock() + timedelta(minutes=30), **said)
        grants.close_listen(listen, **said)

    def work(what: int) -> None:
        if what == 0:
            stored(), stored(other)
        elif what == 1:
            unrecorded(), unrecorded(other)
        elif what == 2:
            session()
        elif what == 3:
            listening(0), listening(1)
        elif what == 4:
            listening(1), listening(0)
        elif what == 5:
            lines.set_line_announcement(mine, line.id, saying, **said)
            lines.create_line(mine, number=str(next(counted)), announcement=saying, **said)
        elif what == 6:
            announce(other, level=7), announce(mine, level=7)
            ended = lines.create_line(mine, number=str(next(counted)), announcement=saying, **said)
            line_history.end_line(mine, ended.id, **said)
        else:
            composition.set_line_mode(mine, line.id, "opt-in", **said)
            service.set_tenant_country(mine, "be", **said)
            users.set_password(mine, ada.id, f"$argon2id${next(tokens)}", **said)
            users.drop_old_sessions(clock() + timedelta(hours=3))

    for _ in range(4):
        assert at_once(*[lambda what=what: work(what) for what in range(8)]) == [None] * 8
    tombstones = [
        lambda each=each: recordings.make_tombstone(
            queries.recording(mine, each.recording), "expired", **said
        )
        for each in given
    ]
    assert at_once(*tombstones, lambda: listening(2), session) == [True] * 4 + [None] * 2
    with connected():
        assert SessionTable.select().count() >= 1


def test_a_claim_has_one_owner_until_it_ends_or_is_given_back(tenants, clock) -> None:
    for round_ in range(ROUNDS):
        name = f"recording:{round_}"
        take = [lambda who=who, name=name: lease.take(name, who, clock()) and who for who in "abc"]
        (owner,) = [who for who in at_once(*take) if who]
        others = [who for who in "abc" if who != owner]
        assert lease.take(name, owner, clock())
        lease.give_back(name, others[0])
        assert not lease.take(name, others[0], clock())
        lease.give_back(name, owner)
        assert lease.take(name, others[0], clock())


def test_the_claim_of_a_worker_that_died_ends(tenants, clock) -> None:
    assert lease.take("x", "dead", clock())
    clock.forward(seconds=lease.LASTS.total_seconds() - 1)
    assert not lease.take("x", "b", clock())
    clock.forward(seconds=1)
    won = [
        who
        for who in at_once(*[lambda who=who: lease.take("x", who, clock()) and who for who in "bcd"])
        if who
    ]
    assert len(won) == 1


def test_a_claim_holds_whichever_clock_is_a_little_ahead(tenants, clock) -> None:
    assert lease.take("x", "ahead", clock() + timedelta(seconds=2))
    assert not lease.take("x", "b", clock())
    assert lease.take("y", "behind", clock() - timedelta(seconds=2))
    assert not lease.take("y", "b", clock())


def test_a_claim_by_a_clock_that_had_jumped_ahead_ends_at_once(tenants, clock) -> None:
    ahead = clock() + timedelta(days=400)
    assert lease.take("x", "ahead", ahead)
    assert lease.take("x", "b", clock())
    assert not lease.take("x", "c", clock())
    assert lease.drop_old(clock() + timedelta(hours=1)) == 1
