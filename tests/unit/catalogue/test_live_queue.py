"""Calls that go on now, and what is asked of them: whose it is, who does it, and until when."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.domain.live_command import DONE, NO_ANSWER, UNKNOWN
from recorder.domain.parties import Party
from recorder.features.live import queries
from recorder.features.live.queries import LiveRow
from tests.unit.catalogue.conftest import OTHER, TENANT

pytestmark = pytest.mark.postgresql

NODE = "node1"


@pytest.fixture
def call(tenants, clock) -> LiveRow:
    """A call of the first customer, and one of the other's."""
    row = LiveRow(
        id="01930000-0000-7000-8000-0000000000c1", tenant=TENANT, node=NODE, line="a-line",
        number="+3225550100", direction="inbound", external_party=Party("e164", "+32470123456"),
        started_at=clock(), announced=True, paused_until=None, deletable=False,
    )  # fmt: skip
    queries.put(NODE, [row, replace(row, id="01930000-0000-7000-8000-0000000000c2", tenant=OTHER)], clock())
    return row


@pytest.fixture
def ask(clock, entropy):
    def make(tenant: str = TENANT, call_id: str = "", what: str = "pause"):
        return queries.ask(tenant, call_id, what, by="panel", who="somebody", now=clock(), entropy=entropy)

    return make


def leaves() -> list[tuple[str, dict]]:
    with connected():
        return [
            (row.kind, json.loads(row.body))
            for row in LeafTable.select()
            .where(LeafTable.kind.startswith("command."))
            .order_by(LeafTable.number)
        ]


def test_nobody_sees_another_ones_calls_nor_asks_anything_of_them(call, ask, clock, entropy) -> None:
    assert queries.calls(TENANT, clock()) == (call,)
    assert [row.tenant for row in queries.calls(OTHER, clock())] == [OTHER]
    assert queries.call(OTHER, call.id, clock()) is None
    assert ask(OTHER, call.id) is None
    asked = ask(TENANT, call.id)
    assert queries.asked(OTHER, asked.id, clock(), entropy) is None
    assert queries.asked(TENANT, asked.id, clock(), entropy) == asked
    assert len(queries.open_of(NODE)) == 1
    assert queries.open_of("node2") == ()


def test_it_is_taken_once_by_its_node_and_answered_once_and_both_are_in_the_log(
    call, ask, clock, entropy
) -> None:
    asked = ask(TENANT, call.id)
    assert not queries.take("node2", asked.id, clock(), entropy)
    assert not queries.answer(NODE, asked.id, DONE, clock(), entropy), "nobody has taken it"
    assert queries.take(NODE, asked.id, clock(), entropy)
    assert not queries.take(NODE, asked.id, clock(), entropy)
    assert queries.open_of(NODE) == ()
    assert [row.id for row in queries.unanswered_of(NODE)] == [asked.id]
    assert not queries.answer("node2", asked.id, DONE, clock(), entropy)
    assert queries.answer(NODE, asked.id, DONE, clock(), entropy)
    assert not queries.answer(NODE, asked.id, UNKNOWN, clock(), entropy)
    assert queries.asked(TENANT, asked.id, clock(), entropy).outcome == DONE
    about = {"command": asked.id, "call": call.id, "action": "pause"}
    assert leaves() == [
        ("command.requested", {**about, "by": "panel", "actor": "somebody"}),
        ("command.answered", {**about, "outcome": DONE}),
    ]


def test_what_nobody_took_in_time_is_not_done_and_will_not_be(call, ask, clock, entropy) -> None:
    looked_at, found = ask(TENANT, call.id), ask(TENANT, call.id, "note")
    clock.forward(seconds=queries.DEADLINE.total_seconds())
    assert queries.asked(TENANT, looked_at.id, clock(), entropy).outcome == NO_ANSWER
    assert not queries.take(NODE, looked_at.id, clock(), entropy)
    # Whoever finds it first says so; nobody has to look.
    assert not queries.take(NODE, found.id, clock(), entropy)
    assert queries.open_of(NODE) == ()
    assert queries.asked(TENANT, found.id, clock(), entropy).outcome == NO_ANSWER
    assert [kind for kind, _ in leaves()].count("command.answered") == 2


def test_what_was_taken_and_never_answered_is_not_known(call, ask, clock, entropy) -> None:
    asked = ask(TENANT, call.id)
    assert queries.take(NODE, asked.id, clock(), entropy)
    clock.forward(seconds=5)
    assert queries.asked(TENANT, asked.id, clock(), entropy).outcome is None
    clock.forward(seconds=10)
    assert queries.asked(TENANT, asked.id, clock(), entropy).outcome == UNKNOWN
    # A worker that comes back may still know better.
    assert queries.answer(NODE, asked.id, DONE, clock(), entropy)
    assert queries.asked(TENANT, asked.id, clock(), entropy).outcome == DONE


def test_only_what_the_line_allows_and_what_there_is(call, ask) -> None:
    assert ask(TENANT, call.id, "delete") is None
    with pytest.raises(ValueError, match="nobody can ask"):
        ask(TENANT, call.id, "keep")
    assert ask(TENANT, "01930000-0000-7000-8000-0000000000c9") is None
    assert leaves() == []


def known(now: datetime) -> dict[str, LiveRow]:
    """What the catalogue has of every call."""
    return {row.id: row for tenant in (TENANT, OTHER) for row in queries.calls(tenant, now)}


def test_a_silent_nodes_calls_do_not_go_on_for_ever(call, ask, clock) -> None:
    every = known(clock())
    clock.forward(seconds=19)
    assert queries.calls(TENANT, clock())
    clock.forward(seconds=2)
    assert queries.calls(TENANT, clock()) == ()
    assert ask(TENANT, call.id) is None
    queries.drop_old(clock())
    assert queries.change(NODE, [], [], clock(), every), "it was away for a moment only"
    clock.forward(minutes=11)
    queries.drop_old(clock())
    assert not queries.change(NODE, [], [], clock(), every), "a worker hears that its calls were forgotten"


def test_of_a_clock_that_had_jumped_ahead_nothing_goes_on(call, clock) -> None:
    clock.at -= timedelta(hours=1)
    assert queries.calls(TENANT, clock()) == ()


def test_what_changes_takes_the_place_of_what_was(call, clock) -> None:
    paused = replace(call, paused_until=clock() + timedelta(minutes=2))
    every = known(clock()) | {call.id: paused}
    assert queries.change(NODE, [], [paused], clock(), every)
    (row,) = queries.calls(TENANT, clock())
    assert row == paused
    assert row.paused(clock())
    assert not row.paused(clock() + timedelta(minutes=3))
    del every[call.id]
    assert queries.change(NODE, [call.id], [], clock(), every)
    assert queries.calls(TENANT, clock()) == ()
    assert len(queries.calls(OTHER, clock())) == 1
