"""Whose clock is believed, and what a doubt keeps from being destroyed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.clock import SLACK, Uptime
from recorder.errors import ClockError, StoreError
from recorder.lifecycle import kernel_clock
from recorder.lifecycle.clock_guard import OFF, Timekeeper, Witness
from tests.clock import Clock


class Machine:
    """A machine's two clocks: one that somebody sets, and the one since its start."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.boot, self.up = "first", 100.0

    def passes(self, **time: float) -> None:
        self.clock.forward(**time)
        self.up += timedelta(**time).total_seconds()

    def jumps(self, **time: float) -> None:
        self.clock.forward(**time)

    def starts_again(self) -> None:
        self.boot, self.up = self.boot + "+", 3.0

    def since_boot(self) -> Uptime:
        return Uptime(self.boot, self.up)


@pytest.fixture
def machine(clock: Clock) -> Machine:
    return Machine(clock)


@pytest.fixture
def keeper(tmp_path: Path, machine: Machine) -> Callable[..., Timekeeper]:
    def make(**witnesses: Witness) -> Timekeeper:
        return Timekeeper(tmp_path / ".clock", witnesses, machine.clock, since_boot=machine.since_boot)

    return make


def doubts(keeper: Timekeeper) -> bool:
    try:
        keeper.check()
    except ClockError as error:
        return error.error_id == "clock.doubtful" and ".clock" in error.hint
    return False


@pytest.mark.parametrize("jump", [{"days": 3650}, {"days": -1}, {"minutes": 5}, {"seconds": 61}])
def test_a_clock_that_jumps_is_doubted_until_it_is_back(keeper, machine: Machine, jump) -> None:
    one = keeper()
    assert one.check() == machine.clock()
    machine.passes(minutes=1)
    assert not doubts(one)
    machine.jumps(**jump)
    assert doubts(one)
    machine.passes(hours=3)
    assert doubts(one), "time alone does not make it right"
    assert doubts(keeper()), "nor does a new process"
    machine.jumps(**{name: -value for name, value in jump.items()})
    assert not doubts(one)


def test_a_clock_that_is_corrected_a_little_at_a_time_is_believed(keeper, machine: Machine) -> None:
    one = keeper()
    for _ in range(100):
        machine.passes(minutes=1)
        machine.jumps(seconds=30)
        assert not doubts(one)


def test_the_time_that_a_process_was_away_has_passed(keeper, machine: Machine) -> None:
    assert not doubts(keeper())
    machine.passes(days=40)
    assert not doubts(keeper())


@pytest.mark.parametrize(("off", "doubted"), [({"hours": 23}, False), ({"hours": 25}, True), ({"hours": -1}, True)])  # fmt: skip # noqa: E501
def test_after_a_start_of_the_machine(keeper, machine: Machine, off, doubted: bool) -> None:
    assert not doubts(keeper())
    machine.starts_again()
    machine.jumps(**off)
    assert doubts(keeper()) is doubted


def test_another_machines_clock_settles_it_either_way(keeper, machine: Machine) -> None:
    true = machine.clock()
    assert doubts(keeper(store=lambda: true + timedelta(days=1))), "even at the first look"
    assert not doubts(keeper(store=lambda: true))
    machine.jumps(days=300)
    assert doubts(keeper(store=lambda: true))
    assert not doubts(keeper(store=lambda: true + timedelta(days=300)))


def test_one_that_disagrees_is_a_doubt_whoever_agrees(keeper, machine: Machine) -> None:
    true = machine.clock()
    machine.jumps(days=3650)

    def wrong() -> datetime:
        return true + timedelta(days=3650)

    assert doubts(keeper(database=wrong, store=lambda: true)), "whoever is asked first"
    assert doubts(keeper(database=lambda: true, store=wrong))
    assert not doubts(keeper(database=wrong, store=wrong))


def test_that_something_keeps_the_clock_is_no_word_for_it(keeper, machine: Machine, monkeypatch) -> None:
    """A time server that is wrong, or somebody who plays one, sets the clock; the kernel then says that it is
    synchronised, and says the time that was set."""
    monkeypatch.setattr(
        kernel_clock,
        "kernel_clock",
        lambda: kernel_clock.KernelClock(machine.clock(), True, timedelta(milliseconds=1)),
    )
    true = machine.clock()
    one = keeper()
    one.check()
    machine.jumps(days=3650)
    assert doubts(one), "where nobody else can say"
    assert doubts(keeper(store=lambda: true)), "nor where somebody says otherwise"


def test_a_witness_that_is_away_says_nothing(keeper, machine: Machine) -> None:
    def away() -> datetime:
        raise StoreError("store.unreachable", "nobody there")

    one = keeper(store=away)
    assert not doubts(one)
    machine.jumps(days=2)
    assert doubts(one)


def test_the_operator_says_that_it_is_right(keeper, machine: Machine, tmp_path: Path) -> None:
    one = keeper()
    one.check()
    machine.jumps(days=2)
    assert doubts(one)
    (tmp_path / ".clock").unlink()
    assert not doubts(one)
    machine.passes(minutes=1)
    assert not doubts(one)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["passes", "jumps", "off"]), st.integers(-400_000, 400_000))))
def test_no_clock_is_believed_further_ahead_than_is_allowed(moves: list[tuple[str, int]]) -> None:
    """Whatever a clock does: each look may be off by the slack, each start of the machine by a day."""
    clock = Clock()
    machine, truth, ahead = Machine(clock), clock(), timedelta()
    with tempfile.TemporaryDirectory() as folder:
        keeper = Timekeeper(Path(folder) / ".clock", {}, clock, since_boot=machine.since_boot)
        keeper.check()
        for what, seconds in moves:
            if what == "jumps":
                machine.jumps(seconds=seconds)
            else:
                machine.passes(seconds=abs(seconds))
                truth += timedelta(seconds=abs(seconds))
            if what == "off":
                machine.starts_again()
                ahead += OFF
            try:
                believed = keeper.check()
            except ClockError:
                continue
            ahead += SLACK
            assert believed <= truth + ahead


def test_the_real_clocks_agree(tmp_path: Path) -> None:
    one = Timekeeper(tmp_path / ".clock", {})
    one.check()
    one.check()


def test_a_doubt_destroys_nothing_and_is_over_when_the_clock_is(house, tmp_path: Path) -> None:
    from recorder.catalogue import queries
    from recorder.processes.checkpoint_witnesses import CheckpointWitnesses
    from recorder.processes.duties import Duties as Housekeeping

    recording = house.take()
    house.work(recording)
    aside = house.take()
    (aside / "audio.wav").write_bytes(b"RIFF")
    house.work(aside)
    machine = Machine(house.clock)
    keeper = Timekeeper(house.spool / ".clock", {}, house.clock, since_boot=machine.since_boot)
    keeping = Housekeeping(house.means, CheckpointWitnesses(), keeper)

    def there() -> tuple[bool, bool]:
        row = queries.recording(house.tenant, recording.name)
        assert row is not None
        return row.erased_at is None, (house.spool / "quarantine" / aside.name).exists()

    keeping.keep()
    machine.jumps(days=40)  # past the recording's day, not past the signing key's
    for _ in range(3):
        machine.passes(minutes=1)
        keeping.keep()
    assert there() == (True, True)
    machine.jumps(days=-40)
    keeping.keep()
    assert there() == (True, True)
    machine.passes(days=31)
    keeping.keep()
    assert there() == (False, False), "what is over goes, once the clock is believed"
