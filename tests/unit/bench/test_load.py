"""The counting of the load benchmark: every lost frame is counted, and no complete one."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.load import figures, phones, sound, tables
from bench.load.installation import Mode
from bench.load.measure import Measured, Plan, Sample
from bench.load.phones import Count
from bench.load.recorded_calls import LookUp, RecordedCall
from bench.load.sound import FRAME, RATE, Speech
from bench.load.usage import Machine, Use


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> tuple[Speech, sound.Samples]:
    """The worst case: a minute of silence, with only noise."""
    folder = tmp_path_factory.mktemp("sound")
    soundfile.write(folder / "said.wav", np.zeros(RATE * 4, np.int16), RATE)
    sound.write_speech(folder / "said.wav", folder / "said.ulaw", 1)
    once = sound.linear(np.frombuffer((folder / "said.ulaw").read_bytes(), np.uint8))
    return Speech(folder / "said.ulaw"), np.tile(once, 15)


def test_complete_sound_has_no_lost_frames(speech: tuple[Speech, sound.Samples]) -> None:
    known, samples = speech
    counted = known.count(np.concatenate([np.zeros(777, np.int16), samples, np.zeros(5000, np.int16)]))
    assert (counted.frames, counted.lost_frames, counted.breaks, counted.first) == (
        len(samples) // FRAME,
        0,
        (),
        777,
    )


@pytest.mark.parametrize("instead", ["nothing", "silence", "less silence than a frame", "the frame before"])
def test_every_lost_frame_is_counted(speech: tuple[Speech, sound.Samples], instead: str) -> None:
    known, samples = speech
    lost_frames = sorted(random.Random(instead).sample(range(50, len(samples) // FRAME - 50, 2), 40))
    parts, before = [], 0
    for frame in lost_frames:
        parts.append(samples[before : frame * FRAME])
        replacement = {
            "nothing": samples[:0],
            "silence": np.zeros(FRAME, np.int16),
            "less silence than a frame": np.zeros(FRAME // 3, np.int16),
            "the frame before": samples[(frame - 1) * FRAME : frame * FRAME],
        }
        parts.append(replacement[instead])
        before = (frame + 1) * FRAME
    audio = np.concatenate([*parts, samples[before:]])
    counted = known.count(audio)
    assert [count for _, count in counted.breaks if count] == [1] * len(lost_frames)
    assert counted.lost_frames == len(lost_frames)


def test_other_speech_is_not_recognised(
    speech: tuple[Speech, sound.Samples],
) -> None:
    other = np.random.default_rng(9).integers(-40, 41, RATE * 30).astype(np.int16)
    assert speech[0].count(other).frames == 0


def test_quantiles_cover_one_interval() -> None:
    def exposition(*counts: int) -> str:
        bounds = ("0.01", "0.1", "+Inf")
        lines = [f'a_seconds_bucket{{le="{le}"}} {n}' for le, n in zip(bounds, counts, strict=True)]
        return "# TYPE a_seconds histogram\n" + "\n".join(lines) + "\n"

    before, after = exposition(1000, 1000, 1000), exposition(1060, 1098, 1100)
    assert figures._quantiles("a_seconds", before, after) == {"p50": 10.0, "p95": 100.0, "p99": float("inf")}
    assert figures._quantiles("a_seconds", before, before) == {}


def test_the_page_has_a_place_for_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_bytes(tables.PAGE.read_bytes())
    monkeypatch.setattr(tables, "PAGE", page)
    for name in ("load-wav", "load-opus", "load-ramp"):
        tables.write(name, f"the tables of {name}\n")
        tables.write(name, f"the new tables of {name}\n")
        text = page.read_text("utf-8")
        assert f"<!-- {name}:begin -->\nthe new tables of {name}\n<!-- {name}:end -->" in text


def test_calls_of_one_length_begin_evenly() -> None:
    assert Plan("accord", ((200, 3600.0),), 180, 180).begin_s == 180
    assert Plan("accord", ((200, 3600.0),), 90, 180).begin_s == 200 / phones.RATE


def measured(mode: Mode, a_minute: float, a_call: float, idle: float = 0.01) -> Measured:
    """Thirty calls: none for 20 s, then all of them for a minute, then one starts and one ends each second.

    The daemon uses ``a_minute`` seconds for a minute of a call, ``a_call`` for a call, ``idle`` a second."""
    measurement = Measured(Plan(mode, ((30, 60.0),), 60, 90), idle=(0, 1), still=(2, 3), steps=[(3, 4)])
    cpu = 5.0
    for at, live, starts in ((-20, 0, 0), (0, 0, 0), (20, 30, 30), (80, 30, 30), (140, 30, 90)):
        if measurement.samples:
            last = measurement.samples[-1]
            minutes = (at - last.at) * (live + last.count.live) / 2 / 60
            cpu += idle * (at - last.at) + a_minute * minutes + a_call * (starts - last.count.starts)
        use = Use(cpu=cpu, rss=100 << 20, pss=50 << 20, files=10, processes=1)
        machine = Machine(idle=float(at), steal=0.0, pressure=0.0)
        uses = dict.fromkeys(("switch", "daemon", "encoder", "phones"), use)
        measurement.samples.append(Sample(at, Count(starts, live, 0, 0), 3, uses, machine))
    measurement.metrics = [("", "")]
    measurement.answers = [(float(second), 20.0 + second) for second in range(81, 140)]
    measurement.sounds = [
        RecordedCall("a", 60.0, 3000, 2, 3000, 1, 9, 120.0, ((100.0, 2), (110.0, 1), (30.0, 500)), 0.02)
    ]  # the last was lost before the minute that is measured
    return measurement


def test_cost_of_a_minute_and_of_a_call_are_separated() -> None:
    step = figures.step(measured("accord", a_minute=0.3, a_call=0.05), 0, 2)
    cost = step.cost["daemon"]
    assert cost.a_minute == pytest.approx(300)
    assert cost.a_call == pytest.approx(50)
    assert cost.cores == pytest.approx((60 * 0.01 + 30 * 0.3 + 60 * 0.05) / 60)
    assert step.live == 30
    assert step.starts == pytest.approx(1)
    assert step.loss == pytest.approx(3e6 / (30 * 60 * 50 * 2))
    assert figures.percentile(step.answer, 0.5) == pytest.approx(130, abs=1)


def test_report_has_both_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = LookUp(90, ("+32470000007",), (), (), 0, {"never_connected": 1}, [0, 20], [20])
    ours = measured("accord", 0.3, 0.05)
    ours.look_up, ours.counted, ours.worked_off = look_up, Count(91, 0, 91, 0), 12.0
    beside = measured("recorded", 0.2, 0.04)
    text = tables.hour({"accord": ours, "recorded": beside}, "the command")
    assert "| daemon | 0.210 | 300 | 50.0 |" in text
    assert "The daemon takes 100.0% of the switch's CPU" in text
    assert "| Calls begun; recordings in the catalogue | 91; 90 |" in text
    steps = tables.ramp({"accord": ours, "recorded": beside}, "the command")
    assert [line.split(" | ")[1] for line in steps.splitlines()[4:]] == [
        "with Accord",
        "recorded by the dialplan alone",
    ]


def sample(
    at: float, *, live: int = 0, ended: int = 0, backlog: int = 0, rss: int = 0, cpu: float = 0.0
) -> Sample:
    uses = {"daemon": Use(rss=rss << 10), "encoder": Use(cpu=cpu)}
    return Sample(at, Count(live + ended, live, ended, 0), backlog, uses, Machine(0.0, 0.0, 0.0))


def test_waiting_takes_are_compared_with_recently_ended_calls() -> None:
    measurement = Measured(Plan("accord", ((10, 600.0),), 60, 90), idle=(0, 0))
    measurement.samples = [
        sample(-10),
        *(sample(at, live=10, ended=at, backlog=min(at, 110)) for at in range(0, 301, 10)),
    ]
    assert figures.overdue(measurement) == 0, (
        "at first all that has ended waits; then ten fewer than ended of late"
    )
    measurement.samples += [sample(310, live=10, ended=310, backlog=125)]
    assert figures.overdue(measurement) == 5


def test_backlog_time_is_compared_with_its_cpu_on_all_cores() -> None:
    measurement = Measured(Plan("accord", ((10, 600.0),), 60, 90), worked_off=44.0)
    measurement.samples = [
        sample(0, live=10, cpu=5),
        sample(10, live=1, cpu=20),
        sample(20, cpu=30),
        sample(50, cpu=90),
    ]
    assert figures.worked_off(measurement, 2) == (44.0, 35.0)
    measurement.worked_off = None
    assert figures.worked_off(measurement, 2) is None


def test_memory_of_a_live_call_is_the_last_rise_of_a_ramp() -> None:
    live = (50, 200, 50, 100, 200)
    measurement = Measured(Plan("accord", tuple((calls, 60.0) for calls in live), 60, 90))
    measurement.samples = [sample(at, live=calls, rss=1000 + 20 * calls) for at, calls in enumerate(live)]
    measurement.samples[0] = sample(0, live=50, rss=0)
    measurement.steps = [(at, at) for at in range(len(live))]
    assert figures.a_live_call(measurement) == pytest.approx(20), "the first rise does not count"
    measurement.steps = measurement.steps[:1]
    assert figures.a_live_call(measurement) is None
