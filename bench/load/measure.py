"""One measurement: start everything, make calls, sample every few seconds, let it end, analyse."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.load import recorded_calls, usage
from bench.load.installation import CUSTOMER, NUMBER, Installation, Mode
from bench.load.phones import RATE, Count, Phones
from bench.load.take_links import Keeper
from bench.load.usage import Machine, Use

LOOK: Final = 5.0
"""Seconds between two samples."""

SETTLE: Final = 10.0
"""Seconds that processes have to settle after their start."""

IDLE: Final = 15.0
"""Seconds without any call after that."""

SETTING_UP: Final = 15.0
"""Seconds after which a new call is connected: the announcement, the ringing."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The state ``at`` so many seconds since the first call."""

    at: float
    count: Count
    backlog: int
    uses: dict[str, Use]
    machine: Machine


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure. ``steps``: live calls, and for how many seconds each."""

    mode: Mode
    steps: tuple[tuple[int, float], ...]
    shortest: float
    longest: float
    store: str = "s3"
    more: dict[str, str] = field(default_factory=dict)
    sound_format: str = "opus"

    @property
    def begin_s(self) -> float:
        """Seconds in which the first calls begin: as fast as the telephones can, or, where all calls are
        equally long, in the time of one. Otherwise all of them would end, and others begin, at once."""
        calls, _ = self.steps[0]
        return self.longest if self.shortest == self.longest else calls / RATE


@dataclass
class Measured:
    """The raw measurements; :mod:`bench.load.figures` makes the tables from them.

    ``idle``, ``still`` (all calls connected, none starting or ending) and ``steps`` are the indexes of the
    first and the last sample of each window. ``answers``: of each call, when it was answered and after how
    many milliseconds. ``metrics``: the daemon's, at the start and at the end of each step.
    """

    plan: Plan
    samples: list[Sample] = field(default_factory=list)
    idle: tuple[int, int] = (0, 0)
    still: tuple[int, int] | None = None
    steps: list[tuple[int, int]] = field(default_factory=list)
    metrics: list[tuple[str, str]] = field(default_factory=list)
    policies: dict[str, str] = field(default_factory=dict)
    start: float = 0.0
    """When the first call was made (Unix time): the samples' 0."""
    counted: Count = field(default_factory=lambda: Count(0, 0, 0, 0))
    answers: list[tuple[float, float]] = field(default_factory=list)
    worked_off: float | None = None
    """Seconds after the last call until the spool was empty; ``None`` if it was not in time."""
    sounds: list[recorded_calls.RecordedCall] = field(default_factory=list)
    look_up: recorded_calls.LookUp | None = None


class Run:
    """Carries out a :class:`Plan` in a folder of its own, which is removed unless ``keep``."""

    def __init__(self, plan: Plan, folder: Path, keep: bool = False) -> None:
        self._keep = keep
        self._folder = folder
        self._plan = plan
        self._installation = Installation(folder, plan.mode, plan.store, plan.more, plan.sound_format)
        self._phones = Phones(
            folder / "phones", self._installation.phones, self._installation.sip_port,
            plan.shortest, plan.longest,
        )  # fmt: skip
        self._keeper: Keeper | None = None
        self._start = 0.0
        self.measured = Measured(plan)

    def run(self) -> Measured:
        """Start everything, make the calls, and analyse them."""
        try:
            self._say("starting")
            self._installation.start()
            self._phones.prepare()
            if self._plan.mode == "accord":
                self._keeper = Keeper(self._installation.spool, self._installation.sound)
                self._keeper.start()
            self._live()
            self._end()
        finally:
            self._phones.kill()
            self._installation.stop()
        self._say("analysing the recordings")
        self._listen()
        if not self._keep:
            shutil.rmtree(self._folder, ignore_errors=True)
        return self.measured

    # --- calls

    def _live(self) -> None:
        self._start = time.monotonic()
        time.sleep(SETTLE)
        self.measured.idle = self._for(IDLE)
        first, _ = self._plan.steps[0]
        self._phones.begin(NUMBER, first, self._plan.begin_s)
        self._start, self.measured.start = time.monotonic(), time.time()
        connected = self._plan.begin_s + SETTING_UP
        self._for(connected)
        if self._plan.shortest - connected >= 2 * LOOK:
            self.measured.still = self._for(self._plan.shortest - connected - 2)
        # After the first wave has ended, calls come and go evenly.
        self._for(self._plan.longest - (time.monotonic() - self._start))
        for number, (calls, seconds) in enumerate(self._plan.steps):
            if number:
                self._phones.limit(calls)
                self._for(max(0.0, calls - self._plan.steps[number - 1][0]) / RATE + SETTING_UP)
            self._say(f"{calls} live calls for {seconds:.0f} s")
            before = self._installation.metrics()
            self.measured.steps.append(self._for(seconds))
            self.measured.metrics.append((before, self._installation.metrics()))

    def _for(self, seconds: float) -> tuple[int, int]:
        """Sample repeatedly for so long; returns the indexes of the first and last sample."""
        self._look(shared=True)
        begin = len(self.measured.samples) - 1
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(LOOK, left))
            self._phones.check()
            self._look(shared=left <= LOOK)
        return begin, len(self.measured.samples) - 1

    def _look(self, shared: bool) -> None:
        pids = {**self._installation.pids(), "phones": self._phones.pids}
        if not self.measured.policies or "encoder" in pids:
            self.measured.policies = usage.policies(pids)
        sample = Sample(
            time.monotonic() - self._start,
            self._phones.count(),
            self._keeper.backlog if self._keeper else 0,
            {name: usage.use(some, shared) for name, some in pids.items()},
            usage.machine(),
        )
        self.measured.samples.append(sample)
        if len(self.measured.samples) % 12 == 0:
            count = sample.count
            self._say(
                f"{sample.at:.0f} s: {count.live} live, {count.starts} begun, {count.ended} ended, "
                f"{count.failed} failed, {sample.backlog} wait in the spool"
            )

    def _end(self) -> None:
        self._say("no more calls; the last ones end")
        self.measured.counted = self._phones.stop(self._plan.longest + 60)
        self.measured.answers = self._phones.answered()
        if self._keeper is None:
            return
        end = time.monotonic()
        limit = 120 + 2 * self.measured.counted.starts  # seconds
        time.sleep(3)
        while self._keeper.backlog and time.monotonic() < end + limit:
            self._look(shared=False)
            time.sleep(1)
        if not self._keeper.backlog:
            self.measured.worked_off = time.monotonic() - end
        self._keeper.stop()
        self._say("comparing the catalogue and the store")
        self.measured.look_up = recorded_calls.look_up(
            self._installation.context, CUSTOMER, self.measured.counted.starts
        )

    def _listen(self) -> None:
        if self._plan.mode != "plain":
            self.measured.sounds = recorded_calls.listen(self._installation.sound, self._folder / "phones")

    def _say(self, what: str) -> None:
        print(f"… {time.strftime('%H:%M:%S')} {self._plan.mode}: {what}", file=sys.stderr, flush=True)
