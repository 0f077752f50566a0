"""The figures as Markdown, for docs/results/load.md."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.load.figures import OURS, Cost, Step, a_live_call, overdue, percentile, step, total, worked_off
from bench.load.installation import Mode
from bench.load.measure import Measured

PAGE: Final = Path(__file__).parents[2] / "docs" / "results" / "load.md"

_MODES: Final[dict[Mode, str]] = {
    "accord": "with Accord",
    "recorded": "recorded by the dialplan alone",
    "plain": "not recorded",
}


def hour(measured: Mapping[Mode, Measured], command: str) -> str:
    """The tables of a long run, beside the same calls without Accord."""
    cores = os.cpu_count() or 1
    steps: dict[Mode, Step] = {mode: step(one, 0, cores) for mode, one in measured.items()}
    ours = steps["accord"]
    one = measured["accord"]
    lines = [_machine(command), "", *_costs(steps), "", _shares(steps), "", *_outcomes(steps, measured), ""]
    lines += [_all(one, ours)]
    return "\n".join(lines) + "\n"


def ramp(measured: Mapping[Mode, Measured], command: str) -> str:
    """One row a step, with Accord and without."""
    cores = os.cpu_count() or 1
    lines = [_machine(command), ""]
    lines += _table(
        "Live calls", "", "Switch, cores", "Daemon", "Encoder", "Rest of Accord", "Machine busy",
        "Frames lost, per million", "Answered after, ms: median, 95 %, 99 %", "Event lag, 99 %",
        "Waiting in the spool: begin, end of the step", "Calls failed",
    )  # fmt: skip
    rows: list[tuple[float, str]] = []
    for mode, one in measured.items():
        for number in range(len(one.steps)):
            result = step(one, number, cores)
            rest = total(result.cost.get(name) for name in OURS if name not in ("daemon", "encoder"))
            cells = [
                f"{one.plan.steps[number][0]}", _MODES[mode], _cores(result.cost["switch"]),
                _cores(result.cost.get("daemon")), _cores(result.cost.get("encoder")),
                f"{rest:.2f}" if mode == "accord" else "", f"{result.busy:.0%}", _loss(result),
                _answers(result), _within(result.event_lag, "p99"),
                f"{result.spool[0]}, {result.spool[2]}" if mode == "accord" else "", f"{result.failed}",
            ]  # fmt: skip
            rows.append((one.plan.steps[number][0] + list(_MODES).index(mode) / 10, _row(*cells)))
    lines += [row for _, row in sorted(rows)]
    grows = a_live_call(measured["accord"]) if "accord" in measured else None
    if grows is not None:
        lines += [
            "",
            f"The daemon's memory over the last rise: {grows:.0f} KiB a live call (goal: at most 24).",
        ]
    return "\n".join(lines) + "\n"


def write(name: str, text: str) -> None:
    """Put a table between its marks in docs/results/load.md. Raises ``ValueError`` if they are missing."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->\n"
    before, rest = PAGE.read_text("utf-8").split(begin)
    PAGE.write_text(f"{before}{begin}{text}{end}{rest.split(end)[1]}", "utf-8")


def _machine(command: str) -> str:
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    what = f"{os.cpu_count()} cores ({model[1] if model else platform.machine()})"
    return f"`{command}`, {what}, Python {platform.python_version()}, {time.strftime('%d %B %Y')}."


def _costs(steps: Mapping[Mode, Step]) -> list[str]:
    lines = _table(
        "", "Cores in use", "CPU a live minute, ms", "CPU to come and go, ms a call", "CPU a call in all, ms",
        "Memory (PSS), MiB", "Memory (RSS) grows, MiB an hour", "Open files",
    )  # fmt: skip
    for mode, name in (("plain", "switch"), ("recorded", "switch"), ("accord", "switch")):
        if mode in steps:
            lines.append(_cost(f"switch, {_MODES[mode]}", steps[mode].cost[name]))  # type: ignore[index]
    ours = steps["accord"].cost
    lines += [_cost(name, ours[name]) for name in (*OURS, "phones") if name in ours]
    return lines


def _cost(name: str, cost: Cost) -> str:
    return _row(
        "sipp, both sides" if name == "phones" else name, f"{cost.cores:.3f}", _number(cost.a_minute),
        _number(cost.a_call), _number(cost.a_call_in_all), f"{cost.pss[0]:.0f} → {cost.pss[1]:.0f}",
        "" if cost.growth is None else f"{cost.growth:+.1f}", f"{cost.files[0]} → {cost.files[1]}",
    )  # fmt: skip


def _shares(steps: Mapping[Mode, Step]) -> str:
    cost = steps["accord"].cost
    switch = cost["switch"].cores
    parts = [f"The daemon takes {cost['daemon'].cores / switch:.1%} of the switch's CPU (goal: at most 5%)"]
    parts += [f"all of Accord {total(cost.get(name) for name in OURS) / switch:.0%}"]
    if "recorded" in steps:
        more = switch / steps["recorded"].cost["switch"].cores - 1
        parts += [f"and the switch {more:+.1%} beside what it takes to record the same calls by itself"]
    return ", ".join(parts) + "."


def _outcomes(steps: Mapping[Mode, Step], measured: Mapping[Mode, Measured]) -> list[str]:
    modes = [mode for mode in _MODES if mode in steps]
    lines = _table("", *(_MODES[mode] for mode in modes))

    def row(name: str, *cells: str) -> None:
        lines.append(_row(name, *cells))

    row("Live calls on average", *(f"{steps[mode].live:.0f}" for mode in modes))
    row("Minutes measured; calls begun in them", *(
        f"{steps[mode].seconds / 60:.0f}; {steps[mode].starts * steps[mode].seconds:.0f}" for mode in modes
    ))  # fmt: skip
    row("Calls that failed, of all", *(
        f"{measured[mode].counted.failed} of {measured[mode].counted.starts}" for mode in modes
    ))  # fmt: skip
    row("Frames (20 ms) lost while both speak, per million", *(_loss(steps[mode]) for mode in modes))
    row("INVITE to answer, ms: median, 95 %, 99 %", *(_answers(steps[mode]) for mode in modes))
    row("Machine busy", *(f"{steps[mode].busy:.0%}" for mode in modes))
    row("Somebody waits for a core", *(f"{steps[mode].pressure:.0%}" for mode in modes))
    row("Taken by the machine's host", *(f"{steps[mode].steal:.1%}" for mode in modes))
    return lines


def _all(measured: Measured, ours: Step) -> str:
    calls = measured.look_up
    if calls is None:
        return ""
    write_times = sorted(
        recording.write_delay for recording in measured.sounds if recording.write_delay is not None
    )
    drift = sorted(abs(value) for value in calls.drift_ms)
    drain = worked_off(measured, os.cpu_count() or 1)
    drained = "not in time" if drain is None else f"{drain[0]:.0f} s, {drain[1]:.0f} s"
    polite = [f"{name} {how}" for name, how in measured.policies.items() if how != "normal, nice 0"]
    priorities = "; ".join([*polite, "all others normal, nice 0"])
    failed = measured.counted.failed
    rows = [
        ("Calls begun; recordings in the catalogue", f"{measured.counted.starts}; {calls.recordings}"),
        ("Calls without a recording; with two; recordings of no call",
         f"{len(calls.missing)} ({failed} failed); {len(calls.twice)}; {len(calls.strange)}"),
        ("Recordings without their announcement in the sound", f"{calls.not_announced}"),
        ("Listed as not recorded",
         ", ".join(f"{n} {why}" for why, n in calls.not_recorded.items()) or "none"),
        ("Call's clock less sound (`drift_ms`): median, 99 %, most",
         f"{percentile(drift, 0.5):.0f}, {percentile(drift, 0.99):.0f}, {max(drift, default=0):.0f} ms"),
        ("Announcement begins in the sound at: median, 99 %, most",
         f"{percentile(calls.announcement_ms, 0.5):.0f}, {percentile(calls.announcement_ms, 0.99):.0f}, "
         f"{max(calls.announcement_ms, default=0):.0f} ms"),
        ("Announcement begins after the call's arrival at the daemon, within: median, 95 %, 99 %",
         _three(ours.announcement)),
        ("Event to the daemon's turn, within: median, 95 %, 99 %", _three(ours.event_lag)),
        ("The hub is late by, within: median, 95 %, 99 %", _three(ours.hub_lag)),
        ("Call's last event to its being on disk: median, 99 %, most",
         f"{percentile(write_times, 0.5) * 1000:.0f}, {percentile(write_times, 0.99) * 1000:.0f}, "
         f"{max(write_times, default=0) * 1000:.0f} ms"),
        ("Takes waiting in the spool: begin, most, end", ", ".join(map(str, ours.spool))),
        ("More of them, at the most, than had ended in the two minutes before (goal: 0 or fewer)",
         f"{overdue(measured)}"),
        ("Spool empty after the last call, and its work ÷ cores (goal: at most 1.2 times that)", drained),
        ("Scheduling", priorities),
    ]  # fmt: skip
    return "\n".join([*_table("All calls of the run", ""), *(_row(*row) for row in rows)])


def _table(*heads: str) -> list[str]:
    return [_row(*heads), "|" + "---|" * len(heads)]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"


def _cores(cost: Cost | None) -> str:
    if cost is None:
        return ""
    return f"{cost.cores:.3f}" if cost.cores >= 0 else "begun anew"  # its clock restarted from zero


def _loss(result: Step) -> str:
    return "" if result.loss is None else f"{result.loss:,.0f}"


def _answers(result: Step) -> str:
    return ", ".join(f"{percentile(result.answer, share):.0f}" for share in (0.5, 0.95, 0.99))


def _within(quantiles: Mapping[str, float], name: str) -> str:
    return f"{quantiles[name]:g} ms" if quantiles else ""


def _three(quantiles: Mapping[str, float]) -> str:
    names: Sequence[str] = ("p50", "p95", "p99")
    return ", ".join(f"{quantiles[name]:g}" for name in names) + " ms" if quantiles else ""
