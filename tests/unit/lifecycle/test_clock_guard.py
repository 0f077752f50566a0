"""Which clock is trusted, and what a doubt prevents."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from recorder.clock import HIDDEN_BOOT_ID, SLACK, Uptime
from recorder.errors import ClockError, StoreError
from recorder.lifecycle.clock_guard import LONGEST_OFF, ClockGuard, Witness
from recorder.ops.doctor import kernel_clock
from tests.clock import Clock


class Machine:
    """A machine's two clocks: one that can be set, and the one since its start."""

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
def keeper(tmp_path: Path, machine: Machine) -> Callable[..., ClockGuard]:
    def make(**witnesses: Witness) -> ClockGuard:
        return ClockGuard(tmp_path / ".clock", witnesses, machine.clock, since_boot=machine.since_boot)

    return make


def doubts(keeper: ClockGuard) -> bool:
    try:
        keeper.check()
    except ClockError as error:
        return error.error_id == "clock.doubtful" and ".clock" in error.hint
    return False


@pytest.mark.parametrize("jump", [{"days": 3650}, {"days": -1}, {"minutes": 5}, {"seconds": 61}])
def test_doubts_a_clock_that_jumped_until_it_is_back(keeper, machine: Machine, jump) -> None:
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


def test_trusts_a_clock_that_is_corrected_in_small_steps(keeper, machine: Machine) -> None:
    one = keeper()
    for _ in range(100):
        machine.passes(minutes=1)
        machine.jumps(seconds=30)
        assert not doubts(one)


def test_trusts_the_time_that_passed_while_no_process_ran(keeper, machine: Machine) -> None:
    assert not doubts(keeper())
    machine.passes(days=40)
    assert not doubts(keeper())


@pytest.mark.parametrize(("off", "doubted"), [({"hours": 23}, False), ({"hours": 25}, True), ({"hours": -1}, True)])  # fmt: skip # noqa: E501
def test_trusts_a_plausible_time_after_a_restart_of_the_machine(
    keeper, machine: Machine, off, doubted: bool
) -> None:
    assert not doubts(keeper())
    machine.starts_again()
    machine.jumps(**off)
    assert doubts(keeper()) is doubted


def test_another_machines_clock_decides_either_way(keeper, machine: Machine) -> None:
    true = machine.clock()
    assert doubts(keeper(store=lambda: true + timedelta(days=1))), "even at the first look"
    assert not doubts(keeper(store=lambda: true))
    machine.jumps(days=300)
    assert doubts(keeper(store=lambda: true))
    assert not doubts(keeper(store=lambda: true + timedelta(days=300)))


def test_one_disagreeing_clock_is_a_doubt(keeper, machine: Machine) -> None:
    true = machine.clock()
    machine.jumps(days=3650)

    def wrong() -> datetime:
        return true + timedelta(days=3650)

    assert doubts(keeper(database=wrong, store=lambda: true)), "whoever is asked first"
    assert doubts(keeper(database=lambda: true, store=wrong))
    assert not doubts(keeper(database=wrong, store=wrong))


def test_ignores_that_the_kernel_calls_the_clock_synchronised(keeper, machine: Machine, monkeypatch) -> None:
    """A wrong or malicious time server sets the clock; the kernel then calls it synchronised."""
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


def test_ignores_an_unavailable_witness(keeper, machine: Machine) -> None:
    def away() -> datetime:
        raise StoreError("store.unreachable", "nobody there", "try again")

    one = keeper(store=away)
    assert not doubts(one)
    machine.jumps(days=2)
    assert doubts(one)


MOMENT = timedelta(milliseconds=1)


def test_clocks_may_differ_by_the_slack(keeper, machine: Machine) -> None:
    for sign in (1, -1):
        assert not doubts(keeper(store=lambda: machine.clock() + sign * SLACK))  # noqa: B023
        assert doubts(keeper(store=lambda: machine.clock() + sign * (SLACK + MOMENT)))  # noqa: B023
    machine.jumps(minutes=1)
    assert not doubts(keeper())
    machine.jumps(minutes=1, milliseconds=1)
    assert doubts(keeper())


def test_a_hidden_boot_id_leaves_the_uptime_to_tell_a_restart(keeper, machine: Machine) -> None:
    machine.boot = HIDDEN_BOOT_ID
    assert not doubts(keeper())
    machine.jumps(hours=2)
    assert doubts(keeper()), "the machine has not been restarted"
    machine.passes(hours=1)
    assert doubts(keeper())
    machine.up = 3.0
    assert not doubts(keeper()), "it was off meanwhile"


def test_another_boot_id_is_a_restart_however_long_the_machine_is_up(keeper, machine: Machine) -> None:
    assert not doubts(keeper())
    machine.starts_again()
    machine.up = 5000.0
    machine.jumps(hours=10)
    assert not doubts(keeper())


def test_a_doubt_names_each_clock_that_disagrees(keeper, machine: Machine) -> None:
    true = machine.clock()
    machine.jumps(days=3650)
    with pytest.raises(ClockError, match=r"database says 2026-11-25T.* and store says 2026-11-25T"):
        keeper(database=lambda: true, store=lambda: true).check()


@pytest.mark.parametrize("content", [b"{", b"{}", b"[]", b'{"boot": "x", "up": 1, "at": "soon"}'])
def test_a_damaged_file_is_reported_and_replaced(keeper, machine: Machine, tmp_path: Path, content) -> None:
    (tmp_path / ".clock").write_bytes(content)
    one = keeper()
    with capture_logs() as logs:
        assert not doubts(one)
        machine.passes(minutes=1)
        assert not doubts(one)
    assert [line["event"] for line in logs] == ["clock.file_damaged", "clock.recovered"]
    machine.jumps(days=2)
    assert doubts(one)


def test_a_time_that_cannot_be_written_is_reported_and_trusted(machine: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "away"
    guard = ClockGuard(folder / ".clock", {}, machine.clock, since_boot=machine.since_boot)
    with capture_logs() as logs:
        assert guard.check() == guard.check() == machine.clock()
        folder.mkdir()
        guard.check()
    assert [line["event"] for line in logs] == ["clock.write_failed", "clock.recovered"]


def test_an_unavailable_witness_is_reported_until_it_answers(machine: Machine, tmp_path: Path) -> None:
    answers = [OSError("no route"), machine.clock()]

    def witness() -> datetime:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    guard = ClockGuard(tmp_path / ".clock", {"store": witness}, machine.clock, since_boot=machine.since_boot)
    with capture_logs() as logs:
        guard.check()
        guard.check()
    assert [(line["event"], line["witness"]) for line in logs] == [
        ("clock.source_unreachable", "store"),
        ("clock.recovered", "store"),
    ]


def test_trusts_the_clock_once_the_operator_removes_the_file(
    keeper, machine: Machine, tmp_path: Path
) -> None:
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
def test_never_trusts_a_clock_too_far_ahead(moves: list[tuple[str, int]]) -> None:
    """Each check may be off by the slack, each restart of the machine by a day."""
    clock = Clock()
    machine, truth, ahead = Machine(clock), clock(), timedelta()
    with tempfile.TemporaryDirectory() as folder:
        keeper = ClockGuard(Path(folder) / ".clock", {}, clock, since_boot=machine.since_boot)
        keeper.check()
        for what, seconds in moves:
            if what == "jumps":
                machine.jumps(seconds=seconds)
            else:
                machine.passes(seconds=abs(seconds))
                truth += timedelta(seconds=abs(seconds))
            if what == "off":
                machine.starts_again()
                ahead += LONGEST_OFF
            try:
                trusted_time = keeper.check()
            except ClockError:
                continue
            ahead += SLACK
            assert trusted_time <= truth + ahead


def test_trusts_this_machines_clock(tmp_path: Path) -> None:
    one = ClockGuard(tmp_path / ".clock", {})
    one.check()
    one.check()


def test_a_doubt_erases_nothing_and_ends_with_the_correction(house, tmp_path: Path) -> None:
    from recorder.catalogue import queries
    from recorder.processes.checkpoint_witnesses import CheckpointWitnesses
    from recorder.processes.duties import Duties as Duties

    recording = house.take()
    house.work(recording)
    aside = house.take()
    (aside / "audio.wav").write_bytes(b"RIFF")
    house.work(aside)
    machine = Machine(house.clock)
    keeper = ClockGuard(house.spool / ".clock", {}, house.clock, since_boot=machine.since_boot)
    duties = Duties(house.services, CheckpointWitnesses(), keeper)

    def there() -> tuple[bool, bool]:
        row = queries.recording(house.tenant, recording.name)
        assert row is not None
        return row.erased_at is None, (house.spool / "quarantine" / aside.name).exists()

    duties.keep()
    machine.jumps(days=40)  # past the recording's day, not past the signing key's
    for _ in range(3):
        machine.passes(minutes=1)
        duties.keep()
    assert there() == (True, True)
    machine.jumps(days=-40)
    duties.keep()
    assert there() == (True, True)
    machine.passes(days=31)
    duties.keep()
    assert there() == (False, False), "what is over goes, once the clock is believed"
