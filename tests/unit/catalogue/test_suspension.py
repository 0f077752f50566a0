"""What the provider suspends is announced and recorded no longer, by the log alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.errors import CatalogueError
from recorder.features.tenants import line_policies, lines, snapshot
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.line_policies import PolicyCache
from recorder.lifecycle import suspension
from recorder.lifecycle.suspension import find_suspensions, resume, suspend
from recorder.spool.snapshot import INFO_PROMPTS, read_snapshot
from tests.expected_errors import expect_error
from tests.lost_sounds import lose_sound

pytestmark = pytest.mark.postgresql


@pytest.fixture
def at(clock, entropy) -> dict[str, object]:
    return {"now": clock(), "entropy": entropy}


@pytest.fixture
def pair(tenants, announce, at):
    """Two lines of the first customer, and one of the other."""
    mine, other = tenants
    announcement = announce(level=700)
    own = [lines.create_line(mine, number=each, announcement=announcement, **at) for each in ("100", "101")]
    theirs = announce(tenant=other)
    return (*own, lines.create_line(other, number="102", announcement=theirs, **at))


@pytest.fixture
def suspended(tmp_path, clock) -> Callable[[], dict[str, bool]]:
    """Writes the snapshot; whether each of its lines is suspended."""

    def read() -> dict[str, bool]:
        snapshot.write(tmp_path / "snapshot", tmp_path / "spool", [], clock())
        assert snapshot.is_current(tmp_path / "snapshot", [])
        return {number: each.suspended for number, each in read_snapshot(tmp_path / "snapshot").lines.items()}

    return read


def test_one_number_is_suspended_and_resumed(tenants, pair, suspended, clock, at) -> None:
    mine, first = tenants[0], pair[0]
    assert suspend(mine, first.id, reason="  Unpaid   since May ", **at)
    assert suspended() == {"100": True, "101": False, "102": False}
    found = find_suspensions(mine).of(first.id)
    assert found is not None
    assert (found.tenant, found.line, found.reason, found.since) == (
        mine,
        first.id,
        "Unpaid since May",
        clock(),
    )
    assert queries.line(mine, first.id) == first, "its settings stay"
    assert resume(mine, first.id, **at)
    assert suspended() == {"100": False, "101": False, "102": False}


def test_customer_is_suspended_with_all_its_numbers(tenants, pair, announce, suspended, at) -> None:
    mine = tenants[0]
    assert suspend(mine, reason="Unpaid", **at)
    assert suspended() == {"100": True, "101": True, "102": False}
    lines.create_line(mine, number="103", announcement=announce(), **at)
    assert suspended()["103"], "a number that is added later, too"
    assert suspend(mine, pair[0].id, reason="Wrong number", **at)
    assert resume(mine, **at)
    assert suspended() == {"100": True, "101": False, "102": False, "103": False}


def test_nothing_is_said_twice(tenants, pair, at) -> None:
    mine, first, other = tenants[0], pair[0], tenants[1]
    before = count(mine)
    assert not resume(mine, **at)
    assert not resume(mine, first.id, **at)
    for line in (None, first.id):
        assert suspend(mine, line, reason="Unpaid", **at)
        assert not suspend(mine, line, reason="Again", **at)
    assert not suspend(other, first.id, reason="Unpaid", **at), "another customer's line"
    assert not suspend(mine, "unknown", reason="Unpaid", **at)
    assert count(mine) == before + 2
    for wrong in ("", "  ", "x" * 201, "a\u200bb"):
        with expect_error(CatalogueError, "suspension.reason"):
            suspend(other, reason=wrong, **at)


def test_customer_cannot_switch_it_on(tenants, pair, suspended, at) -> None:
    mine, first = tenants[0], pair[0]
    assert suspend(mine, first.id, reason="Unpaid", **at)
    for recorded in (False, True):
        assert change_line(mine, first.id, LineChange(recorded=recorded), **at)
    assert suspended()["100"]


def test_moved_number_starts_afresh(tenants, pair, announce, suspended, at) -> None:
    mine, other = tenants
    assert suspend(mine, pair[0].id, reason="Unpaid", **at)
    theirs = announce(name="another", tenant=other)
    assert lines.move_line(mine, pair[0].id, other, announcement=theirs, **at)
    assert suspended() == {"100": False, "101": False, "102": False}


def test_node_follows_as_soon_as_it_is_suspended(tenants, pair, at) -> None:
    cache, mine = PolicyCache(), tenants[0]
    assert not any(each.suspended for each in cache.read().lines)
    assert suspend(mine, reason="Unpaid", **at)
    assert [each.suspended for each in cache.read().lines] == [True, True, False]
    assert resume(mine, **at)
    assert not any(each.suspended for each in cache.read().lines)


def test_leaf_that_was_changed_suspends_nobody(tenants, pair, suspended, at) -> None:
    mine = tenants[0]
    assert suspend(mine, reason="Unpaid", **at)
    with writing():
        kind = LeafTable.kind == suspension.TENANT_SUSPENDED
        leaf = LeafTable.get(kind)
        body = leaf.body.replace("Unpaid", "Nothing")
        LeafTable.update(body=body).where(kind).execute()
    assert suspended()["100"] is False


def test_line_that_lost_its_sound_stays_suspended(tenants, pair, suspended, tmp_path, at) -> None:
    """It may not go on as it was in the snapshot before."""
    assert suspended()["100"] is False
    assert suspend(tenants[0], reason="Unpaid", **at)
    lose_sound(queries.announcements(tenants[0])[0].sound)
    assert suspended() == {"100": True, "101": True, "102": False}
    for path in (tmp_path / "snapshot" / "prompts").iterdir():
        path.unlink()
    assert suspended() == {"102": False}, "nor is it recorded once the node has no sound of it"


def test_line_that_cannot_be_read_stays_suspended(tenants, pair, suspended, monkeypatch, at) -> None:
    assert suspended()["100"] is False
    assert suspend(tenants[0], pair[0].id, reason="Unpaid", **at)
    real = line_policies.line_row

    def unreadable(row):
        if row.id == pair[0].id:
            raise ValueError("a value that Accord never writes")
        return real(row)

    monkeypatch.setattr(line_policies, "line_row", unreadable)
    assert suspended() == {"100": True, "101": False, "102": False}


def test_info_prompt_says_nothing_of_a_suspended_number(tenants, pair, suspended, tmp_path, at) -> None:
    place = tmp_path / "snapshot" / INFO_PROMPTS
    suspended()
    assert (place / "100.wav").exists()
    assert suspend(tenants[0], pair[0].id, reason="Unpaid", **at)
    suspended()
    assert not (place / "100.wav").exists()
    assert (place / "101.wav").exists()


def count(tenant: str) -> int:
    with connected():
        return int(LeafTable.select().where(LeafTable.tenant == tenant).count())
