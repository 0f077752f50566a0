"""An installation with real processes for faults to hit: keys, catalogue, SeaweedFS, daemon, worker, web."""

from __future__ import annotations

import io
import os
import signal
import time
import wave
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from demo.people import make_user
from recorder import config
from recorder.catalogue.database import open_catalogue
from recorder.catalogue.records import KeepOptions, LineRow
from recorder.catalogue.schema import migrate
from recorder.cli.tenant_creation import make_tenant
from recorder.clock import utc_now
from recorder.features.tenants import announcements, lines, snapshot
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.transfer_options import NoticeChoice
from recorder.processes import object_store, run
from recorder.processes.services import Context
from recorder.seal import signing
from tests.chaos.database import Database
from tests.chaos.facts import ProcessDeath, Span
from tests.chaos.plan import AT_PICKUP, BUSY, DELETABLE, NUMBERS, ONCE_CONNECTED, SILENT, Fault, Mode
from tests.chaos.processes import Unit, children, is_running, kind, send, start_of
from tests.freeswitch.sound import RATE, chirp
from tests.processes import ACCORD, PASSWORD, Ports, environment

OURS = ("switch", "supervisor", "database")
"""The processes that the harness starts even under ``accord run``."""

LOGINS = ("claire@example.com", "dyck@example.com")

ENDS_IN = {"store": 25.0, "daemon": 30.0, "worker": 30.0, "web": 20.0, "switch": 20.0, "supervisor": 45.0}


@dataclass
class StoppedProcess:
    """A stopped process, and when it is continued or killed."""

    pid: int
    start_id: str
    fault: Fault
    stopped: float
    at: float


@dataclass
class Plant:
    """One installation in ``folder``; the caller makes the ``switch``."""

    folder: Path
    database: Database | None = None
    mode: Mode = "units"
    deaths: list[ProcessDeath] = field(default_factory=list)
    stalled: dict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))
    """When each process was stopped."""
    signals: list[tuple[str, float]] = field(default_factory=list)
    hits: list[tuple[float, str, str]] = field(default_factory=list)
    on_switch_gone: Callable[[float], None] = lambda at: None
    units: dict[str, Unit] = field(default_factory=dict)
    _released: list[StoppedProcess] = field(default_factory=list)
    _killed: set[tuple[int, str]] = field(default_factory=set)
    """Processes that were killed, and are perhaps there for another moment: no further fault strikes them."""
    _pids: dict[str, tuple[int, float]] = field(default_factory=dict)
    _last_look: float = 0.0

    def __post_init__(self) -> None:
        self.ports = Ports.reserve(spare=4)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.environment = environment(
            self.folder,
            self.ports.settings,
            {
                "ACCORD_NODE_REGION": "BE",
                "ACCORD_STORE_KIND": "s3",
                "ACCORD_STORE_EMBEDDED": "true",
                "ACCORD_WORKER_NICE": "5",
            },
        )
        if self.database is not None:
            self.environment["ACCORD_CATALOGUE_URL"] = self.database.url
            self.units["database"] = self.database
        self.settings = config.load(None, self.environment)
        self.context = Context(self.settings, None)
        self.spool = self.settings.node.spool_folder

    # --- before anything runs

    def prepare(self) -> None:
        """Create keys, catalogue, two customers with two lines each, and the phones' voices."""
        signing.init(self.settings.keys_folder, utc_now())
        migrate(self.settings.catalogue_url)
        database = open_catalogue(self.settings.catalogue_url)
        self.prompt = chirp()
        both = (("Dubois", LOGINS[0], (*NUMBERS[:2], BUSY)), ("Van Dyck", LOGINS[1], (*NUMBERS[2:], SILENT)))
        for name, login, numbers in both:
            owner = make_tenant(self.context, name, language="fr", time_zone="Europe/Brussels", country="be")
            make_user(
                owner,
                login,
                self.context.signer(),
                name=name,
                role="customer_admin",
                language="en",
                password=PASSWORD,
            )
            announcement = announcements.create_announcement(
                owner.id, name="chirp", language="en", text="a chirp", purposes=["agreement"], keep_days=30,
                wav=sound(self.prompt), now=utc_now(), entropy=os.urandom,
            )  # fmt: skip
            for number in numbers:
                line = lines.create_line(
                    owner.id, number=number, announcement=announcement.id, label=number,
                    formats=("opus", "wav") if number.endswith("02") else ("wav",),
                    timing="at_pickup" if number in AT_PICKUP else "before_ringing",
                    now=utc_now(), entropy=os.urandom,
                )  # fmt: skip
                self._allow(line)
        node = self.settings.node
        snapshot.write(node.snapshot_folder, node.spool_folder, (), utc_now())
        database.close()
        seconds = np.arange(RATE * 30) / RATE
        for name, pitch in (("caller", 440), ("callee", 1000)):
            (self.folder / f"{name}.wav").write_bytes(sound(0.3 * np.sin(2 * np.pi * pitch * seconds)))
        (store,) = run.store_programs(self.context)
        (self.folder / "logs").mkdir()
        for name in ("daemon", "worker", "web", "run"):
            self._unit("supervisor" if name == "run" else name, [*ACCORD, name])
        assert store.environment is not None
        self.units["store"] = Unit(
            "store", list(store.argv), store.environment, self.folder / "seaweedfs" / "seaweedfs.log"
        )

    def _allow(self, line: LineRow) -> None:
        """What its colleagues may do: call out, ask whether a recording may be kept, tell who joins, and on
        some have it destroyed."""
        which, now = (line.tenant, line.id), {"now": utc_now(), "entropy": os.urandom}
        out = "once_connected" if line.number in ONCE_CONNECTED else "before_connected"
        change_line(*which, LineChange(outbound=out), **now)
        change_line(*which, LineChange(keep=KeepOptions(keep_days=60, purpose="agreement")), **now)
        change_line(
            *which,
            LineChange(notice=NoticeChoice("alone" if line.number in NUMBERS[:2] else "both")),
            **now,
        )
        change_line(*which, LineChange(deletable=line.number in DELETABLE), **now)

    def _unit(self, name: str, argv: list[str]) -> None:
        self.units[name] = Unit(name, argv, self.environment, self.folder / "logs" / f"{name}.log")

    # --- life

    def names(self) -> list[str]:
        """The processes that the harness starts in this mode."""
        own = ["supervisor"] if self.mode == "run" else ["store", "daemon", "worker", "web"]
        return ["switch", *own, *(["database"] if self.database is not None else [])]

    def start(self, mode: Mode) -> None:
        """Change the mode: processes of the other mode end in order."""
        before = set(self.names())
        self.mode = mode
        for name in before - set(self.names()):
            self._stop(name)
        now = time.time()
        for name in self.names():
            unit = self.units[name]
            if unit.process is None:
                unit.start()
                self.signals.append((f"starting {name}", now))
        if mode == "units":
            object_store.embedded(self.settings).wait_ready(60)

    def stop(self) -> None:
        """End every process in order."""
        for one in self._released:
            send(one.pid, signal.SIGCONT)
        for name in ("web", "daemon", "worker", "supervisor", "switch", "store", "database"):
            if name in self.units:
                self._stop(name)

    def _stop(self, name: str) -> None:
        if (pid := self.units[name].pid) is not None:
            if name == "store":
                send(pid, signal.SIGKILL)  # it would take up to 16 s, and loses nothing
            if name in ("daemon", "supervisor"):
                self.deaths.append(ProcessDeath("daemon", time.time()))
            self.units[name].end(ENDS_IN.get(name, 25.0))

    def pid(self, process: str) -> int | None:
        """The process id of a running process."""
        if process == "encoder":
            worker = self.pid("worker")
            found = [] if worker is None else [p for p in children(worker) if kind(p) == "encoder"]
            return found[0] if found else None
        if self.mode == "units" or process in OURS:
            return self.units[process].pid
        supervisor = self.units["supervisor"].pid
        for child in () if supervisor is None else children(supervisor):
            if kind(child) == process:
                return child
        return None

    def ran(self, process: str, now: float) -> float:
        """Seconds for which a process has run; an encoder, its worker."""
        process = {"encoder": "worker"}.get(process, process)
        if self.mode == "units" or process in OURS:
            unit = self.units[process]
            return now - unit.started if unit.process is not None else 0.0
        return now - self._pids.get(process, (0, now))[1]

    # --- faults

    def strike(self, fault: Fault, now: float) -> bool:
        """Carry out a fault if the process is there; :meth:`look` does the rest."""
        pid = self.pid(fault.process)
        if pid is None or any(one.pid == pid for one in self._released):
            return False
        start = start_of(pid)
        if (pid, start) in self._killed:
            return False
        unit = self._own(fault.process)
        # At SIGTERM a database server would wait for its clients.
        ends = signal.SIGINT if fault.process == "database" else signal.SIGTERM
        number = {"kill": signal.SIGKILL, "restart": ends}.get(fault.action, signal.SIGSTOP)
        if not is_running(pid) or not send(pid, number):
            return False
        if number == signal.SIGKILL:
            self._killed.add((pid, start))
        self.hits.append((now, fault.process, fault.action))
        if "stall" in fault.action:
            self._released.append(StoppedProcess(pid, start, fault, now, now + fault.lasts))
            return True
        if unit is not None:
            unit.is_hit, unit.due = True, now + fault.lasts
        self._dead(fault.process, now)
        return True

    def look(self, now: float) -> None:
        """Continue or kill processes that were stopped long enough; restart those that have ended."""
        for one in [each for each in self._released if now >= each.at]:
            self._released.remove(one)
            self._release(one, now)
        for name in self.names():
            if self.units[name].look(now):
                self.signals.append((f"starting {name}", now))
        if self.mode == "run" and now > self._last_look + 0.1:
            self._last_look = now
            for name in ("store", "daemon", "worker", "web"):
                pid = self.pid(name)
                if pid is None:
                    self._pids.pop(name, None)
                elif self._pids.get(name, (0, 0.0))[0] != pid:
                    self._pids[name] = (pid, now)
                    self.signals.append((f"starting {name}", now))

    def _release(self, one: StoppedProcess, now: float) -> None:
        process = one.fault.process
        there = start_of(one.pid) == one.start_id and is_running(one.pid)
        self.stalled[process].append((one.stopped, now))
        if not there:  # its supervisor has killed it meanwhile, or it died with its worker
            self._dead(process, one.stopped)
            return
        if one.fault.action == "stall":
            send(one.pid, signal.SIGCONT)
            return
        unit = self._own(process)
        if unit is not None:
            unit.is_hit, unit.due = True, now + min(one.fault.lasts, 1.0)
        self._killed.add((one.pid, one.start_id))
        send(one.pid, signal.SIGKILL)
        self._dead(process, one.stopped, now)

    def _dead(self, process: str, at: float, switch_end: float | None = None) -> None:
        self.deaths.append(ProcessDeath(process, at))
        if process == "supervisor":
            self.deaths.append(ProcessDeath("daemon", at))  # it ends with it
        if process == "switch":
            self.on_switch_gone(switch_end or at)

    def _own(self, process: str) -> Unit | None:
        """The unit of a process that the harness restarts, rather than its supervisor."""
        if process == "encoder" or (self.mode == "run" and process not in OURS):
            return None
        return self.units[process]

    def stopped(self, process: str) -> bool:
        """Whether it is stopped."""
        return any(one.fault.process == process for one in self._released)

    @property
    def calm(self) -> bool:
        """Whether nothing is stopped, and every process of the harness runs."""
        return not self._released and all(self.units[name].process is not None for name in self.names())


def sound(samples: np.ndarray) -> bytes:
    """A WAV of samples between -1 and 1."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return out.getvalue()
