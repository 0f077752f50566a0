"""The clock guard: which clocks are trusted, and how a doubt prevents deletion."""

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
    """A machine's two clocks: the settable one, and the uptime."""

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
def test_doubts_a_clock_until_it_returns(keeper, machine: Machine, jump) -> None:
    one = keeper()
    assert one.check() == machine.clock()
    machine.passes(minutes=1)
    assert not doubts(one)
    machine.jumps(**jump)
    assert doubts(one)
    machine.passes(hours=3)
    assert doubts(one), "time alone resolves no doubt"
    assert doubts(keeper()), "nor does a new process"
    machine.jumps(**{name: -value for name, value in jump.items()})
    assert not doubts(one)


def test_trusts_a_gradually_corrected_clock(keeper, machine: Machine) -> None:
    one = keeper()
    for _ in range(100):
        machine.passes(minutes=1)
        machine.jumps(seconds=30)
        assert not doubts(one)


def test_time_passes_while_the_process_is_stopped(keeper, machine: Machine) -> None:
    assert not doubts(keeper())
    machine.passes(days=40)
    assert not doubts(keeper())


@pytest.mark.parametrize(("off", "doubted"), [({"hours": 23}, False), ({"hours": 25}, True), ({"hours": -1}, True)])  # fmt: skip # noqa: E501
def test_trusts_the_clock_after_a_reboot(keeper, machine: Machine, off, doubted: bool) -> None:
    assert not doubts(keeper())
    machine.starts_again()
    machine.jumps(**off)
    assert doubts(keeper()) is doubted


def test_another_clock_decides(keeper, machine: Machine) -> None:
    true = machine.clock()
    assert doubts(keeper(store=lambda: true + timedelta(days=1))), "even at the first check"
    assert not doubts(keeper(store=lambda: true))
    machine.jumps(days=300)
    assert doubts(keeper(store=lambda: true))
    assert not doubts(keeper(store=lambda: true + timedelta(days=300)))


def test_one_disagreeing_clock_is_a_doubt(keeper, machine: Machine) -> None:
    true = machine.clock()
    machine.jumps(days=3650)

    def wrong() -> datetime:
        return true + timedelta(days=3650)

    assert doubts(keeper(database=wrong, store=lambda: true)), "in any order"
    assert doubts(keeper(database=lambda: true, store=wrong))
    assert not doubts(keeper(database=wrong, store=wrong))


def test_ntp_status_is_no_evidence(keeper, machine: Machine, monkeypatch) -> None:
    """A wrong or forged time server sets the clock, and the kernel then reports it as synchronised."""
    monkeypatch.setattr(
        kernel_clock,
        "kernel_clock",
        lambda: kernel_clock.KernelClock(machine.clock(), True, timedelta(milliseconds=1)),
    )
    true = machine.clock()
    one = keeper()
    one.check()
    machine.jumps(days=3650)
    assert doubts(one), "without another clock"
    assert doubts(keeper(store=lambda: true)), "nor with one that disagrees"


def test_ignores_an_unavailable_clock(keeper, machine: Machine) -> None:
    def away() -> datetime:
        raise StoreError("store.unreachable", "nobody there")

    one = keeper(store=away)
    assert not doubts(one)
    machine.jumps(days=2)
    assert doubts(one)


def test_operator_confirms_the_clock(keeper, machine: Machine, tmp_path: Path) -> None:
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
def test_limits_how_far_a_clock_may_be_ahead(moves: list[tuple[str, int]]) -> None:
    """For any clock: each check may be off by the slack, each reboot by a day."""
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


def test_real_clocks_agree(tmp_path: Path) -> None:
    one = Timekeeper(tmp_path / ".clock", {})
    one.check()
    one.check()


def test_doubt_delays_deletion_until_the_clock_is_right(house, tmp_path: Path) -> None:
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
        return row.destroyed_at is None, (house.spool / "quarantine" / aside.name).exists()

    keeping.keep()
    machine.jumps(days=40)  # after the recording's expiry, before the signing key's
    for _ in range(3):
        machine.passes(minutes=1)
        keeping.keep()
    assert there() == (True, True)
    machine.jumps(days=-40)
    keeping.keep()
    assert there() == (True, True)
    machine.passes(days=31)
    keeping.keep()
    assert there() == (False, False), "expired recordings are deleted once the clock is trusted"
