"""From measurements to the numbers that are shown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from bench.load.measure import Measured, Sample

OURS: Final = ("daemon", "worker", "encoder", "store", "supervisor", "web")
FRAMES_A_SECOND: Final = 50
MIB: Final = 1 << 20

RECENT: Final = 120.0
"""Seconds: calls that ended within them may still wait in the spool."""

GROWTH_SECONDS: Final = 600.0
"""A shorter measurement has no growth: what fills up at first is not a leak."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of the processes with one name in one step: ``cores`` in use on average; CPU milliseconds ``a_minute``
    of a live call and ``a_call`` for its set-up and end (both ``None`` if they cannot be separated),
    ``a_call_in_all``; memory in MiB and open files at the start and at the end; ``growth`` in MiB an hour,
    ``None`` if the time was too short to tell."""

    cores: float
    a_minute: float | None
    a_call: float | None
    a_call_in_all: float
    rss: tuple[float, float]
    pss: tuple[float, float]
    files: tuple[int, int]
    growth: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step: ``live`` calls on average and ``starts`` ones a second for ``seconds``; frames of both
    telephones that are in no recording, per million, ``None`` if nothing was recorded; ``answer`` in
    milliseconds from INVITE to answer; ``busy``: the share of the machine's cores, ``steal``: what its host
    took, ``pressure``: the share of the time in which some task had no core; ``spool``: takes waiting at the
    start, at most, and at the end."""

    live: float
    starts: float
    seconds: float
    failed: int
    loss: float | None
    answer: list[float]
    busy: float
    steal: float
    pressure: float
    spool: tuple[int, int, int]
    cost: dict[str, Cost]
    announcement: dict[str, float]
    event_lag: dict[str, float]
    hub_lag: dict[str, float]


def step(measured: Measured, number: int, cores: int) -> Step:
    """The figures of one step."""
    samples = _window(measured, measured.steps[number])
    first, last = samples[0], samples[-1]
    seconds = last.at - first.at
    before, after = measured.metrics[number]
    steal = last.machine.steal - first.machine.steal
    waits = [sample.backlog for sample in samples]
    answers = [latency for when, latency in measured.answers if first.at <= when < last.at]
    live = _minutes(samples) * 60 / seconds
    return Step(
        live=live,
        starts=(last.count.starts - first.count.starts) / seconds,
        seconds=seconds,
        failed=last.count.failed - first.count.failed,
        loss=_loss(measured, first.at, last.at, live) if measured.sounds else None,
        answer=sorted(answers),
        busy=1 - (last.machine.idle - first.machine.idle + steal) / seconds / cores,
        steal=steal / seconds / cores,
        pressure=(last.machine.pressure - first.machine.pressure) / seconds,
        spool=(waits[0], max(waits), waits[-1]),
        cost={name: _cost(measured, samples, name) for name in last.uses if name in first.uses},
        announcement=_quantiles("accord_announcement_delay_seconds", before, after),
        event_lag=_quantiles("accord_switch_event_lag_seconds", before, after),
        hub_lag=_quantiles("accord_hub_lag_seconds", before, after),
    )


def overdue(measured: Measured) -> int:
    """By how many takes, at most, the spool exceeded the calls that ended in the two minutes before; below 0
    if it never did."""
    samples = measured.samples[measured.idle[1] + 1 :]
    found, first = [], 0
    for sample in samples:
        while samples[first].at < sample.at - RECENT:
            first += 1
        # The first sample inside the window stands for its start, so that the number overdue is not
        # underestimated.
        found.append(sample.backlog - (sample.count.ended - samples[first].count.ended))
    return max(found, default=0)


def worked_off(measured: Measured, cores: int) -> tuple[float, float] | None:
    """Seconds after the last call until the spool was empty, and the CPU seconds that the waiting takes
    needed; ``None`` if it was not empty in time."""
    samples = measured.samples
    if measured.worked_off is None:
        return None
    last = max(number for number, sample in enumerate(samples) if sample.count.live)
    cpu = sum(_cpu(samples[last:], name) for name in ("encoder", "worker", "store"))
    return measured.worked_off, cpu / cores


def a_live_call(measured: Measured) -> float | None:
    """KiB of daemon memory per additional live call, over the last increase of a ramp; ``None`` if there is
    none."""
    steps = [
        (measured.plan.steps[number][0], measured.samples[end].uses["daemon"].rss / 1024)
        for number, (_, end) in enumerate(measured.steps)
        if "daemon" in measured.samples[end].uses
    ]
    rise = steps[-1:]
    for one in reversed(steps[:-1]):
        if one[0] >= rise[0][0]:
            break
        rise.insert(0, one)
    return statistics.linear_regression(*zip(*rise, strict=True)).slope if len(rise) > 1 else None


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of a sorted list does not exceed; 0 for an empty list."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def _window(measured: Measured, window: tuple[int, int]) -> list[Sample]:
    return measured.samples[window[0] : window[1] + 1]


def _minutes(samples: Sequence[Sample]) -> float:
    """Minutes of live calls."""
    return sum((b.at - a.at) * (a.count.live + b.count.live) / 2 for a, b in pairwise(samples)) / 60


def _loss(measured: Measured, begin: float, end: float, live: float) -> float:
    loss = sum(
        loss
        for recording in measured.sounds
        for when, loss in recording.breaks
        if begin <= when - measured.start < end
    )
    return loss * 1e6 / (live * (end - begin) * FRAMES_A_SECOND * 2)


def _cpu(samples: Sequence[Sample], name: str) -> float:
    first, last = samples[0].uses.get(name), samples[-1].uses.get(name)
    return last.cpu - first.cpu if first and last else 0.0


def _cost(measured: Measured, samples: Sequence[Sample], name: str) -> Cost:
    seconds, minutes = samples[-1].at - samples[0].at, _minutes(samples)
    calls = samples[-1].count.starts - samples[0].count.starts
    cpu = _cpu(samples, name)
    a_minute = a_call = None
    if measured.still is not None:
        quiet, still = _window(measured, measured.idle), _window(measured, measured.still)
        idle = _cpu(quiet, name) / (quiet[-1].at - quiet[0].at)
        a_minute = (_cpu(still, name) - idle * (still[-1].at - still[0].at)) / _minutes(still)
        a_call = (cpu - idle * seconds - a_minute * minutes) / max(1, calls)
    first, last = samples[0].uses[name], samples[-1].uses[name]
    return Cost(
        cores=cpu / seconds,
        a_minute=None if a_minute is None else a_minute * 1000,
        a_call=None if a_call is None else a_call * 1000,
        a_call_in_all=cpu * 1000 / max(1, calls),
        rss=(first.rss / MIB, last.rss / MIB),
        pss=(first.pss / MIB, last.pss / MIB),
        files=(first.files, last.files),
        growth=_slope(
            [(sample.at, sample.uses[name].rss / MIB) for sample in samples if name in sample.uses]
        ),
    )


def _slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Increase per hour, by the second half of the points: what fills up at first is not a leak."""
    if points[-1][0] - points[0][0] < GROWTH_SECONDS:
        return None
    points = points[len(points) // 2 :]
    return statistics.linear_regression(*zip(*points, strict=True)).slope * 3600


def _quantiles(name: str, before: str, after: str) -> dict[str, float]:
    """Of a histogram's growth, in milliseconds: the buckets that contain the 50th, 95th and 99th
    percentile."""
    increase, earlier = _buckets(name, after), _buckets(name, before)
    if not increase or set(increase) != set(earlier):
        return {}  # it did not expose its metrics at that moment
    for bound, count in earlier.items():
        increase[bound] -= count
    whole = increase.get(float("inf"), 0.0)
    if not whole:
        return {}
    return {
        label: 1000 * next(bound for bound in sorted(increase) if increase[bound] >= share * whole)
        for label, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }


def _buckets(name: str, text: str) -> dict[float, float]:
    families = text_string_to_metric_families(text)
    return {
        float(sample.labels["le"]): sample.value
        for family in families
        if family.name == name
        for sample in family.samples
        if sample.name == f"{name}_bucket"
    }


def total(costs: Iterable[Cost | None]) -> float:
    """Cores of several together."""
    return sum(cost.cores for cost in costs if cost is not None)
