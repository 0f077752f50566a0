"""Calls in progress and live commands: tenants, nodes and deadlines."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.domain.live_command import DONE, NO_ANSWER, UNKNOWN
from recorder.domain.parties import Party
from recorder.features.live import queries, service
from recorder.features.live.queries import LiveRow
from tests.unit.catalogue.conftest import OTHER, TENANT

pytestmark = pytest.mark.postgresql

NODE = "node1"


@pytest.fixture
def call(tenants, clock) -> LiveRow:
    """A call of each customer; returns the first customer's."""
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
        return service.request_command(
            tenant, call_id, what, by="panel", who="somebody", now=clock(), entropy=entropy
        )

    return make


def leaves() -> list[tuple[str, dict]]:
    with connected():
        return [
            (row.kind, json.loads(row.body))
            for row in LeafTable.select()
            .where(LeafTable.kind.startswith("command."))
            .order_by(LeafTable.number)
        ]


def test_live_calls_of_another_customer_are_hidden(call, ask, clock, entropy) -> None:
    assert queries.live_calls(TENANT, clock()) == (call,)
    assert [row.tenant for row in queries.live_calls(OTHER, clock())] == [OTHER]
    assert queries.live_call(OTHER, call.id, clock()) is None
    assert ask(OTHER, call.id) is None
    request = ask(TENANT, call.id)
    assert service.find_command(OTHER, request.id, clock(), entropy) is None
    assert service.find_command(TENANT, request.id, clock(), entropy) == request
    assert len(queries.open_commands(NODE)) == 1
    assert queries.open_commands("node2") == ()


def test_command_is_taken_and_answered_once_and_logged(call, ask, clock, entropy) -> None:
    request = ask(TENANT, call.id)
    assert not queries.take("node2", request.id, clock(), entropy)
    assert not queries.answer(NODE, request.id, DONE, clock(), entropy), "nobody has taken it"
    assert queries.take(NODE, request.id, clock(), entropy)
    assert not queries.take(NODE, request.id, clock(), entropy)
    assert queries.open_commands(NODE) == ()
    assert [row.id for row in queries.unanswered_commands(NODE)] == [request.id]
    assert not queries.answer("node2", request.id, DONE, clock(), entropy)
    assert queries.answer(NODE, request.id, DONE, clock(), entropy)
    assert not queries.answer(NODE, request.id, UNKNOWN, clock(), entropy)
    assert service.find_command(TENANT, request.id, clock(), entropy).outcome == DONE
    about = {"command": request.id, "call": call.id, "action": "pause"}
    assert leaves() == [
        ("command.requested", {**about, "by": "panel", "actor": "somebody"}),
        ("command.answered", {**about, "outcome": DONE}),
    ]


def test_expired_command_is_never_done(call, ask, clock, entropy) -> None:
    looked_at, found = ask(TENANT, call.id), ask(TENANT, call.id, "mark")
    clock.forward(seconds=queries.DEADLINE.total_seconds())
    assert service.find_command(TENANT, looked_at.id, clock(), entropy).outcome == NO_ANSWER
    assert not queries.take(NODE, looked_at.id, clock(), entropy)
    # Whoever finds it first says so; nobody has to look.
    assert not queries.take(NODE, found.id, clock(), entropy)
    assert queries.open_commands(NODE) == ()
    assert service.find_command(TENANT, found.id, clock(), entropy).outcome == NO_ANSWER
    assert [kind for kind, _ in leaves()].count("command.answered") == 2


def test_unanswered_command_has_unknown_outcome(call, ask, clock, entropy) -> None:
    request = ask(TENANT, call.id)
    assert queries.take(NODE, request.id, clock(), entropy)
    clock.forward(seconds=5)
    assert service.find_command(TENANT, request.id, clock(), entropy).outcome is None
    clock.forward(seconds=10)
    assert service.find_command(TENANT, request.id, clock(), entropy).outcome == UNKNOWN
    # A worker that comes back may still know better.
    assert queries.answer(NODE, request.id, DONE, clock(), entropy)
    assert service.find_command(TENANT, request.id, clock(), entropy).outcome == DONE


def test_forbidden_and_unknown_commands_are_refused(call, ask) -> None:
    assert ask(TENANT, call.id, "delete") is None
    with pytest.raises(ValueError, match="no command"):
        ask(TENANT, call.id, "keep")
    assert ask(TENANT, "01930000-0000-7000-8000-0000000000c9") is None
    assert leaves() == []


def known(now: datetime) -> dict[str, LiveRow]:
    """Every call in the catalogue, by id."""
    return {row.id: row for tenant in (TENANT, OTHER) for row in queries.live_calls(tenant, now)}


def test_ended_calls_of_another_customer_or_line_are_hidden(call, ask, clock) -> None:
    ended = replace(call, id="01930000-0000-7000-8000-0000000000c5", ended_at=clock(), line="b-line")
    queries.put(NODE, [call, ended], clock())
    assert queries.live_calls(TENANT, clock()) == (call,)
    assert queries.ended_calls(TENANT, clock()) == (ended,)
    assert queries.ended_calls(TENANT, clock(), ["b-line"]) == (ended,)
    assert queries.ended_calls(TENANT, clock(), ["a-line"]) == ()
    assert queries.ended_calls(OTHER, clock()) == ()
    assert queries.ended_call(TENANT, ended.id, clock()) == ended
    assert queries.ended_call(TENANT, ended.id, clock(), ["a-line"]) is None
    assert queries.ended_call(OTHER, ended.id, clock()) is None
    assert queries.live_call(TENANT, ended.id, clock()) is None
    assert ask(TENANT, ended.id) is None


def test_calls_of_a_silent_node_expire(call, ask, clock) -> None:
    every = known(clock())
    clock.forward(seconds=19)
    assert queries.live_calls(TENANT, clock())
    clock.forward(seconds=2)
    assert queries.live_calls(TENANT, clock()) == ()
    assert ask(TENANT, call.id) is None
    queries.drop_old(clock())
    assert queries.change(NODE, [], [], clock(), every), "it was away for a moment only"
    clock.forward(minutes=11)
    queries.drop_old(clock())
    assert not queries.change(NODE, [], [], clock(), every), "a worker hears that its calls were forgotten"


def test_calls_from_the_future_are_ignored(call, clock) -> None:
    clock.at -= timedelta(hours=1)
    assert queries.live_calls(TENANT, clock()) == ()


def test_changed_call_replaces_its_row(call, clock) -> None:
    paused = replace(call, paused_until=clock() + timedelta(minutes=2))
    every = known(clock()) | {call.id: paused}
    assert queries.change(NODE, [], [paused], clock(), every)
    (row,) = queries.live_calls(TENANT, clock())
    assert row == paused
    assert row.paused(clock())
    assert not row.paused(clock() + timedelta(minutes=3))
    del every[call.id]
    assert queries.change(NODE, [call.id], [], clock(), every)
    assert queries.live_calls(TENANT, clock()) == ()
    assert len(queries.live_calls(OTHER, clock())) == 1
