"""Runs a plan on an installation and reports violations."""

from __future__ import annotations

import json
import pickle
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from recorder.processes import object_store
from recorder.spool import layout
from tests.chaos import evidence, feature_codes, model, processes
from tests.chaos.board import Board
from tests.chaos.database import Database
from tests.chaos.facts import Catalogue, World
from tests.chaos.model import Violation
from tests.chaos.plan import Epoch, Fault, calls, epochs
from tests.chaos.plant import LOGINS, Plant
from tests.chaos.real_switch import RealBoard
from tests.chaos.visitor import FetchedSound, Visitor
from tests.processes import PASSWORD

TICK = 0.01
PATIENCE = 0.8
"""Seconds to wait for a moment; then the fault comes without it."""

LIVES_IN = 8.0
"""Seconds that a process has to run for as long as a fault wants it to have."""

SETTLES_IN = 150.0
READY_IN = 60.0
AT_MOST = 40
"""Calls at a time."""

HANDLES = {"daemon": 60, "worker": 90, "web": 60, "encoder": 30}
"""Files that an idle process may have open."""


class FailedRun(Exception):  # a run's violations
    """A rule was violated."""


@dataclass
class Run:
    """One run of a plan; ``folder`` keeps everything."""

    folder: Path
    seed: int
    faults: int
    database: Database | None = None
    real: bool = False
    hurry: float = 1.0
    """The share of the plan's pauses between faults."""
    goes_on: bool = False
    """Continue after a violation, and report all of them at the end."""
    found: list[Violation] = field(default_factory=list)
    faults_done: list[Fault] = field(default_factory=list)
    _fault: Fault | None = None
    _epoch: Epoch | None = None
    _before: Catalogue | None = None
    _checked: float = 0.0

    def __post_init__(self) -> None:
        self.plant = Plant(self.folder, self.database)
        self.plant.prepare()
        self.board: Board | RealBoard = RealBoard(self.plant) if self.real else Board(self.plant)
        self.catalogue = evidence.Database(self.plant.settings.catalogue_url)
        self.ears = evidence.Ears(self.plant, object_store.open_store(self.plant.settings))
        logs = self.folder / "logs"
        self.watch = evidence.Watch(logs / "daemon.log", logs / "supervisor.log")
        self.visitors = [
            Visitor(self.plant.ports.web, login, PASSWORD, f"visits/{self.seed}/{login}") for login in LOGINS
        ]
        self.start_time = time.time()

    def all(self) -> None:
        """Run the whole plan.  Raises :class:`FailedRun`."""
        for visitor in self.visitors:
            visitor.start()
        try:
            for epoch in epochs(self.seed, self.faults, self.database is not None):
                self._epoch = epoch
                self._run(epoch)
                self._settle(f"after epoch {epoch.number}")
        finally:
            for visitor in self.visitors:
                visitor.stop()
            self.plant.stop()
            self.board.stop()
        left = [f"{pid} {processes.command(pid)} is left" for pid in processes.of_folder(self.folder)]
        self._judge([Violation("process", what) for what in left])
        if self.found:
            raise FailedRun("\n  ".join(str(each) for each in self.found))

    # --- an epoch

    def _run(self, epoch: Epoch) -> None:
        self._say(f"epoch {epoch.number}, {epoch.mode}")
        self.plant.start(epoch.mode)
        self._until("everything is ready", self._ready, READY_IN)
        call_source = calls(self.seed, epoch.number)
        call = next(call_source)
        due = time.time()
        for fault in epoch.faults:
            self._fault = fault
            for now in self._strike(fault):
                if now >= due and len(self.board.open) < AT_MOST:
                    if self.board.place(call):
                        call = next(call_source)
                        self._signal("arriving", now)
                    due = now + call.after
            self.faults_done.append(fault)
            self._look_quickly()

    def _strike(self, fault: Fault) -> Iterator[float]:
        """Tick until the fault has happened."""
        begins = waits_from = time.time() + fault.after * self.hurry
        strikes: float | None = begins if fault.moment == "any" else None
        ran, given_up = fault.ran * self.hurry, False
        while True:
            now = self._tick()
            yield now
            if now < begins or (now < begins + LIVES_IN and self.plant.ran(fault.process, now) < ran):
                self.plant.signals.clear()
                waits_from = now
                continue
            if strikes is None:
                at = self._moment(fault, waits_from, now)
                patience = PATIENCE * (4 if fault.moment == "starting" else 1)
                if at is None and now > waits_from + patience:
                    at, given_up = now, True
                strikes = None if at is None else at + fault.delay
            if strikes is not None and now >= strikes:
                if self.plant.strike(fault, now):
                    self._say(f"{fault}{' (no such moment came)' if given_up else ''}")
                    return
                if now > strikes + PATIENCE and fault.process == "encoder":
                    # There is none: its worker instead.
                    fault = replace(fault, process="worker")

    def _moment(self, fault: Fault, begins: float, now: float) -> float | None:
        moment = f"starting {fault.process}" if fault.moment == "starting" else fault.moment
        if moment == "encoding" and self.plant.pid("encoder") is not None:
            return now
        if moment in ("storing", "cataloguing") and self._stage(moment):
            return now
        return next((at for name, at in self.plant.signals if name == moment and at >= begins - 0.05), None)

    def _stage(self, moment: str) -> bool:
        there = "manifest.json" if moment == "storing" else "stored.json"
        return any(True for _ in self.plant.spool.glob(f"*/{there}"))

    def _tick(self) -> float:
        time.sleep(TICK)
        now = time.time()
        self.plant.look(now)
        for phase, call in self.board.poll():
            first_phase = "bridged" if call.plan.outbound else "ringing"
            if phase == first_phase:
                self._signal("announced", call.phases[phase])
            self._signal(phase, call.phases[phase])
        return now

    def _signal(self, name: str, at: float) -> None:
        self.plant.signals.append((name, at))

    # --- checks

    def _ready(self) -> bool:
        self._tick()
        return self.plant.calm and self.board.ready and self.watch.up(self.plant.deaths) and self._web()

    def _web(self) -> bool:
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self.plant.ports.web, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _look_quickly(self) -> None:
        """Check the catalogue while calls continue."""
        now = time.time()
        if now - self._checked < 1.0 or self.plant.stopped("database"):
            return
        self._checked = now
        try:
            catalogue = self.catalogue.read()
        except (psycopg.OperationalError, sqlite3.OperationalError):
            return  # its server is down, or a stopped process holds the lock
        found = model.check_invariants(catalogue)
        if self._before is not None:
            found += model.check_growth(self._before, catalogue)
        self._before = catalogue
        self._judge(found)

    def _settle(self, when: str) -> None:
        """Let every call end, and check everything."""
        start = time.time()
        self._until("every call is over", self._all_over, 60)
        self._until("everything is ready", self._ready, READY_IN)
        self._until("the spool is worked off", self._worked_off, SETTLES_IN)
        # It may not have been needed since the fault.
        object_store.embedded(self.plant.settings).wait_ready(READY_IN)
        fetched, catalogue = evidence.fetched_sounds(self.visitors, self.catalogue)
        self._judge(model.check_growth(self._before, catalogue) if self._before else [])
        self._before = catalogue
        world = self.world(catalogue, fetched)
        (self.folder / "world.pickle").write_bytes(pickle.dumps(world))
        self._judge(model.check_settled(world))
        seconds = time.time() - start
        self._say(f"settled {when} in {seconds:.1f} s: {self.figures(world)}")

    def world(self, catalogue: Catalogue, fetched: list[FetchedSound]) -> World:
        """The facts up to now."""
        plant = self.plant
        sounds = self.ears.hear(catalogue.recordings)
        return World(
            calls=list(self.board.calls.values()),
            catalogue=catalogue,
            objects=frozenset(self.ears.names()),
            sounds=sounds,
            watch_spans=self.watch.spans(plant.deaths, time.time(), plant.stalled["daemon"]),
            stalled=list(plant.stalled["switch"]),
            deaths=list(plant.deaths),
            plays=self.ears.plays(fetched, catalogue.grants),
            left_in_spool=evidence.remaining_takes(plant.spool),
            quarantined=evidence.quarantined_takes(plant.spool),
            bound=self.board.bound,
            lists_after=self.board.lists_after,
            strangers=(*self._strangers(), *(f for v in self.visitors for f in v.failed)),
            handles=tuple(self._handles()),
        )

    def _all_over(self) -> bool:
        self._tick()
        return not self.board.open and self.plant.calm

    def _worked_off(self) -> bool:
        self._tick()
        folders = (e for e in self.plant.spool.iterdir() if e.is_dir() and e.name != layout.QUARANTINE)
        return not any(folders)

    def _strangers(self) -> Iterator[str]:
        counted = Counter(processes.kind(pid) for pid in processes.of_folder(self.folder))
        for kind, count in counted.items():
            ours = ("database", *self.plant.names(), "daemon", "worker", "web", "store", "encoder", "phones")
            if kind not in ours or count > 1:
                yield f"{count} of {kind} run"
        for unit in self.plant.units.values():
            # Without its catalogue at the start a process ends, and says why.
            yield from (end for end in unit.ends if "the catalogue cannot be used" not in end)

    def _handles(self) -> Iterator[str]:
        for name, most in HANDLES.items():
            pid = self.plant.pid(name)
            if pid is not None and (handle_count := processes.handles(pid)) > most:
                yield f"{name} holds {handle_count} files"

    def _until(self, what: str, condition: object, seconds: float) -> None:
        assert callable(condition)
        end = time.time() + seconds
        while not condition():
            if time.time() > end:
                left = [str(call) for call in self.board.open][:5], evidence.remaining_takes(self.plant.spool)
                ends = [end for unit in self.plant.units.values() for end in unit.ends][-3:]
                self._judge([Violation("settling", f"not within {seconds:.0f} s: {what}; {left}; {ends}")])
                return

    def _judge(self, found: list[Violation]) -> None:
        found = [each for each in found if each not in self.found]
        self.found += found
        if not found:
            return
        listed = "\n  ".join(str(each) for each in found)
        last = "\n  ".join(str(each) for each in self.faults_done[-5:])
        what = (
            f"seed {self.seed}, {len(self.faults_done)} faults done, "
            f"epoch {self._epoch and self._epoch.number}, at {self._fault}:\n  {listed}\nafter\n  {last}\n"
            f"kept in {self.folder}; again: TEST_CHAOS_SEED={self.seed} and as many faults"
        )
        if not self.goes_on:
            raise FailedRun(what)
        self._say(what)

    def figures(self, world: World) -> str:
        """The summary so far."""
        hit_counts = Counter(f"{process} {action}" for _, process, action in self.plant.hits)
        options = {
            "faults": len(self.plant.hits),
            "struck": dict(sorted(hit_counts.items())),
            "calls": len(world.calls),
            "outbound": sum(call.plan.outbound for call in world.calls),
            "transferred": sum("transferred" in call.phases for call in world.calls),
            "pauses": sum(
                len(list(feature_codes.pauses(call))) for call in world.calls if call.ended is not None
            ),
            "cut with their switch": sum(call.cut for call in world.calls),
            "recordings": len(world.catalogue.recordings),
            "answers": dict(Counter(each for sound in world.sounds.values() for each in sound.answers)),
            "not recorded": model.reasons(world),
            "set aside": len(world.quarantined),
            "leaves": len(world.catalogue.leaves),
            "plays": len(world.plays),
            "visits broken off": sum(visitor.broken_off for visitor in self.visitors),
            "minutes": round((time.time() - self.start_time) / 60, 1),
        }
        return json.dumps(options)

    def _say(self, what: str) -> None:
        print(f"{time.time() - self.start_time:7.1f} s  {what}", flush=True)
