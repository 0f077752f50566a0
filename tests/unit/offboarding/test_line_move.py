"""A number changes hands: the new customer sees nothing of the old one, whatever a node's snapshot says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.audio.encoded_take import write_encoded
from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.errors import CatalogueError
from recorder.features.live import queries as live_queries
from recorder.features.live import service
from recorder.features.live.queries import LiveRow
from recorder.features.tenants import lines
from recorder.ids import uuid7
from recorder.lifecycle import line_history
from recorder.pipeline import stages
from recorder.seal.sealing import NAME
from recorder.spool import layout
from recorder.spool.layout import CallEnd, CallStart
from tests.clock import since_boot
from tests.house import Customer
from tests.recovery.many import small

NUMBER = "+3225550100"


@dataclass
class Town:
    """Two customers and one number, which belongs to the owner of ``line``."""

    house: object
    spool: Path
    martin: Customer
    dyck: Customer

    def now(self) -> dict:
        return {"now": self.house.clock(), "entropy": self.house.entropy}

    def move(self, of: Customer, to: Customer) -> None:
        (line,) = queries.lines(of.id)
        move = lines.move_line(of.id, line.id, to.id, announcement=to.announcement.id, **self.now())
        assert move is not None

    def call(self, owner: Customer, external_party: str) -> CallStart:
        """A call that arrives on a node that believes that the number is a customer's."""
        line = owner.line if not queries.lines(owner.id) else queries.lines(owner.id)[0]
        at = self.house.clock()
        return CallStart(
            recording=str(uuid7(at, self.house.entropy)),
            tenant=owner.id,
            line=line.id,
            number=NUMBER,
            direction="inbound",
            node="node1",
            channel="a-channel",
            external_party=Party("e164", external_party),
            started_at=at,
            formats=("opus",),
            announcement=announcement_of(owner),
            uptime=since_boot(at),
        )

    def store(self, start: CallStart) -> None:
        """Every stage but encoding, which is made small."""
        folder = layout.open_take(self.spool, start)
        encoded = small(folder, start, self.house.entropy)
        for marker in encoded.take.markers:
            layout.append_marker(folder, marker)
        layout.append_marker(
            folder, Marker(start.started_at, "bridged", {"party": "extension", "value": "1"})
        )
        layout.close_take(folder, encoded.take.end)
        write_encoded(encoded)
        while stages.step(folder, self.house.clock(), self.house.services):
            pass

    def unrecorded(self, start: CallStart) -> None:
        folder = layout.open_take(self.spool, start)
        layout.close_take(folder, CallEnd("not_recorded", "never_connected", self.house.clock(), None))
        while stages.step(folder, self.house.clock(), self.house.services):
            pass

    def ids_seen(self, customer: Customer) -> set[str]:
        """All external numbers that a customer can find by the number that moved."""
        digits = NUMBER.removeprefix("+")
        rows = [
            *queries.recordings(customer.id, party=digits, limit=500).rows,
            *queries.not_recorded(customer.id, party=digits, limit=500).rows,
        ]
        return {row.external_party.value for row in rows}


def announcement_of(customer: Customer):
    from recorder.domain.line_policy import Announcement

    row = customer.announcement
    return Announcement(
        row.id, row.version, row.language, row.text, row.purposes, row.keep_days, row.sound, row.duration_ms
    )


def make_town(house) -> Town:
    martin = house.customer("Boulangerie Martin", NUMBER)
    dyck = house.customer("Van Dyck NV", "+3225550199", language="en")
    (other,) = queries.lines(dyck.id)
    line_history.end_line(dyck.id, other.id, now=house.clock(), entropy=house.entropy)
    folder = house.folder / "spool"
    folder.mkdir(exist_ok=True)
    return Town(house, folder, martin, dyck)


@pytest.fixture
def town(house) -> Town:
    return make_town(house)


def test_a_call_in_progress_stays_with_the_former_customer(town, clock) -> None:
    start = town.call(town.martin, "+32470000001")
    clock.forward(minutes=1)
    town.move(town.martin, town.dyck)
    clock.forward(minutes=5)
    town.store(start)
    assert town.ids_seen(town.martin) == {"+32470000001"}
    assert town.ids_seen(town.dyck) == set()
    row = queries.recording(town.martin.id, start.recording)
    assert row is not None
    assert queries.recording(town.dyck.id, start.recording) is None
    assert queries.line(town.dyck.id, row.line) is None


def test_a_call_under_an_outdated_snapshot_belongs_to_nobody(town, clock) -> None:
    """The old customer must not hear it, and the new one announced nothing."""
    for_martin, missed = town.call(town.martin, "+32470000002"), town.call(town.martin, "+32470000003")
    town.move(town.martin, town.dyck)
    clock.forward(minutes=1)
    for_martin, missed = (replace(each, started_at=clock(), uptime=None) for each in (for_martin, missed))
    clock.forward(minutes=2)
    town.store(for_martin)
    town.unrecorded(missed)
    assert town.ids_seen(town.martin) == set()
    assert town.ids_seen(town.dyck) == {"+32470000002", "+32470000003"}, "not recorded, and whose call it was"
    assert queries.recordings(town.dyck.id).rows == ()
    (aside,) = (town.spool / layout.QUARANTINE).iterdir()
    assert aside.name == for_martin.recording
    assert not (aside / NAME).exists(), "not sealed for anybody"


def test_live_calls_follow_the_same_rule(town, clock) -> None:
    def row(start: CallStart) -> LiveRow:
        return LiveRow(
            start.recording, start.tenant, "node1", start.line, NUMBER, "inbound", start.external_party,
            start.started_at, True, None, True,
        )  # fmt: skip

    before = town.call(town.martin, "+32470000004")
    clock.forward(seconds=1)
    town.move(town.martin, town.dyck)
    clock.forward(seconds=1)
    late = replace(town.call(town.martin, "+32470000005"), line=before.line)
    live_queries.put("node1", [row(before), row(late)], clock())
    assert [each.id for each in live_queries.live_calls(town.martin.id, clock())] == [before.recording]
    assert live_queries.live_call(town.martin.id, late.recording, clock()) is None
    options = {"by": "panel", "who": "x", "now": clock(), "entropy": town.house.entropy}
    assert service.request_command(town.martin.id, late.recording, "pause", **options) is None
    assert live_queries.live_calls(town.dyck.id, clock()) == ()


def test_neither_log_names_the_other_customer_and_a_move_is_atomic(town) -> None:
    (line,) = queries.lines(town.martin.id)
    options = {"announcement": town.martin.announcement.id, **town.now()}
    with pytest.raises(CatalogueError, match="no announcement"):
        lines.move_line(town.martin.id, line.id, town.dyck.id, **options)
    assert queries.lines(town.martin.id) == (line,), "nothing has changed"
    with pytest.raises(CatalogueError, match="already"):
        lines.move_line(town.martin.id, line.id, town.martin.id, **options)
    town.move(town.martin, town.dyck)
    (fresh,) = queries.lines(town.dyck.id)
    assert (fresh.number, fresh.label, fresh.announcement) == (NUMBER, "", town.dyck.announcement.id)
    assert queries.lines(town.martin.id) == ()
    with connected():
        for entry in LeafTable.select():
            other = town.dyck.id if entry.tenant_id == town.martin.id else town.martin.id
            assert other not in (entry.body or ""), entry.kind
    options = {"announcement": town.dyck.announcement.id, **town.now()}
    assert lines.move_line(town.martin.id, line.id, town.dyck.id, **options) is None


@dataclass
class Model:
    """Who owns the number, and which calls each customer may ever see."""

    owner: Customer
    ids_seen: dict[str, set[str]]


STEPS = st.lists(
    st.tuples(st.sampled_from(["move", "call", "stale", "end", "missed"]), st.integers(0, 3)), max_size=14
)


@pytest.mark.parametrize("examples", [3, pytest.param(120, marks=pytest.mark.long)])
def test_only_the_owner_at_the_start_of_a_call_sees_it(tmp_path_factory, clock, entropy, examples) -> None:
    from tests.house import House

    def live_through(steps: list[tuple[str, int]]) -> None:
        house = House(tmp_path_factory.mktemp("town"), clock, entropy)
        town = make_town(house)
        model = Model(town.martin, {town.martin.id: set(), town.dyck.id: set()})
        open_calls: list[tuple[CallStart, Customer, bool]] = []
        before: CallStart | None = None  # what a node with an old snapshot would begin a call with
        count = 0
        try:
            for what, which in steps:
                clock.forward(seconds=30)
                count += 1
                external_party = f"+3247{count:07}"
                if what == "move":
                    before = town.call(model.owner, "")
                    to = town.dyck if model.owner is town.martin else town.martin
                    town.move(model.owner, to)
                    model.owner = to
                elif what == "call":
                    open_calls.append((town.call(model.owner, external_party), model.owner, True))
                elif what == "stale" and before is not None:
                    fresh = town.call(model.owner, external_party)
                    mine = {"recording": fresh.recording, "external_party": fresh.external_party}
                    mine |= {"started_at": fresh.started_at, "uptime": fresh.uptime}
                    open_calls.append((replace(before, **mine), model.owner, False))
                elif what == "missed":
                    town.unrecorded(town.call(model.owner, external_party))
                    model.ids_seen[model.owner.id].add(external_party)
                elif what == "end" and open_calls:
                    end(town, model, open_calls.pop(which % len(open_calls)))
            clock.forward(minutes=2)
            for each in open_calls:
                end(town, model, each)
            for customer in (town.martin, town.dyck):
                assert town.ids_seen(customer) == model.ids_seen[customer.id]
            ids_listed = {
                row.id for each in model.ids_seen for row in queries.recordings(each, limit=500).rows
            }
            aside = town.spool / layout.QUARANTINE
            assert ids_listed.isdisjoint(path.name for path in (aside.iterdir() if aside.exists() else ()))
        finally:
            house.close()

    quiet = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    run: Callable[..., None] = given(STEPS)(live_through)
    settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=quiet)(run)()


def end(town: Town, model: Model, call: tuple[CallStart, Customer, bool]) -> None:
    """It is stored; one that began on an old snapshot is listed as not recorded, for whom it was."""
    start, owner, _ = call
    town.house.clock.forward(seconds=90)
    town.store(start)
    model.ids_seen[owner.id].add(start.external_party.value)
