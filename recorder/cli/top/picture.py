"""What ``accord top`` shows, read from the node's own files.

Nothing is asked of the daemon's hub for it: what a call's state is lies in its folder in the spool (that is
what the next daemon would take over from), the locks say who runs, and what daemon and worker think of
switch, store and catalogue is asked on their ``/readyz``, in a thread, apart from drawing.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from recorder.audio.encoded_take import ENCODED
from recorder.clock import Now
from recorder.config import Settings
from recorder.errors import TakeError
from recorder.pipeline.stages import Stage, next_stage
from recorder.processes.spool_holders import DAEMON, WORKER, Process, holder
from recorder.spool.disk_space import Disk, Room, look
from recorder.spool.layout import (
    AUDIO,
    END,
    QUARANTINE,
    CallStart,
    finished_takes,
    open_takes,
    read_marks,
    read_start,
)

FIRST: tuple[Stage, ...] = ("note", "encode")
STAGES: tuple[Stage, ...] = (*FIRST, "seal", "store", "catalogue")

NOBODY = "no customer"

UNWATCHED = 10.0
"""Seconds after which a daemon that runs does not watch the switch; it says so every second."""

ASK = 5.0
"""Seconds between two questions to daemon and worker, each of which may take as long."""

RATE_OVER = 60.0
MEASURED = 4.0
"""Seconds that rates are measured over, and that there must be before one is told."""


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call that is going on.  ``seconds`` since it arrived; ``size`` in bytes of its sound, ``grows`` since
    the picture before."""

    recording: str
    tenant: str
    number: str
    outside: str
    seconds: float
    state: str
    size: int
    grows: bool | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A tenant's finished calls in the spool, by stage; ``oldest`` in seconds."""

    tenant: str
    stages: Counter[str]
    oldest: float


@dataclass(frozen=True, slots=True)
class Picture:
    """The node at one moment."""

    at: datetime
    node: str
    daemon: Process | None
    watches: bool
    worker: Process | None
    calls: tuple[LiveCall, ...]
    waiting: tuple[Waiting, ...]
    quarantine: int
    disk: Disk | None
    room: Room
    arrived_a_minute: float | None
    done_a_minute: float | None
    said: dict[str, str]
    trouble: str = ""


@dataclass
class Watcher:
    """Looks again and again, and remembers what it takes to say what grows and how fast."""

    settings: Settings
    now: Now
    _starts: dict[str, CallStart] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)
    _stages: dict[str, Stage] = field(default_factory=dict)
    _times: list[tuple[float, int, int]] = field(default_factory=list)
    _before: set[str] | None = None
    _total: list[int] = field(default_factory=lambda: [0, 0])
    _said: dict[str, str] = field(default_factory=dict)

    def listen(self) -> None:
        """Begin to ask daemon and worker what they think."""
        threading.Thread(target=self._keep_asking, name="ask", daemon=True).start()

    def ask(self) -> None:
        """Ask both once."""
        metrics = self.settings.metrics
        self._said = {
            **_readiness("daemon", metrics.host, metrics.daemon_port),
            **_readiness("worker", metrics.host, metrics.worker_port),
        }

    def look(self) -> Picture:
        """The node now.  What cannot be read is said in ``trouble``; nothing is raised."""
        node = self.settings.node
        spool = node.spool_folder
        trouble, disk = "", None
        calls: list[LiveCall] = []
        waiting: dict[str, Waiting] = {}
        try:
            disk = look(spool)
            live = list(open_takes(spool))
            calls = [call for each in live if (call := self._call(each)) is not None]
            waiting = self._waiting(spool, {each.name for each in live})
        except OSError as error:
            trouble = str(error)
        daemon = holder(spool / DAEMON)
        aside = spool / QUARANTINE
        arrived, done = self._rates()
        return Picture(
            at=self.now(),
            node=node.name,
            daemon=daemon,
            watches=daemon is not None and _fresh(spool / DAEMON),
            worker=holder(spool / WORKER),
            calls=tuple(calls),
            waiting=tuple(sorted(waiting.values(), key=lambda each: -each.oldest)),
            quarantine=len(list(aside.iterdir())) if aside.is_dir() else 0,
            disk=disk,
            room=disk.room(node.warn_at, node.full_at) if disk else Room.OK,
            arrived_a_minute=arrived,
            done_a_minute=done,
            said=dict(self._said),
            trouble=trouble,
        )

    def _call(self, folder: Path) -> LiveCall | None:
        try:
            start = self._start(folder)
            state = _state(folder, start)
            size = _size(folder / AUDIO)
        except (TakeError, OSError):
            return None  # it began or ended just now
        before = self._sizes.get(folder.name)
        self._sizes[folder.name] = size
        return LiveCall(
            recording=start.recording,
            tenant=start.tenant or NOBODY,
            number=start.number,
            outside=start.outside.value,
            seconds=(self.now() - start.started_at).total_seconds(),
            state=state,
            size=size,
            grows=None if before is None else size > before,
        )

    def _start(self, folder: Path) -> CallStart:
        found = self._starts.get(folder.name)
        if found is None:
            found = self._starts[folder.name] = read_start(folder)  # it is never changed
        return found

    def _waiting(self, spool: Path, live: set[str]) -> dict[str, Waiting]:
        found: dict[str, Waiting] = {}
        names: set[str] = set()
        for folder in finished_takes(spool):
            with suppress(OSError, TakeError):
                stage = self._stage(folder)
                if stage is None:
                    continue  # the worker was faster
                names.add(folder.name)
                tenant = self._start(folder).tenant or NOBODY
                age = self.now().timestamp() - (folder / END).stat().st_mtime
                one = found.setdefault(tenant, Waiting(tenant, Counter(), age))
                one.stages[stage] += 1
                found[tenant] = Waiting(tenant, one.stages, max(one.oldest, age))
        self._count(names)
        for name in set(self._starts) - names - live:
            self._starts.pop(name)
            self._sizes.pop(name, None)
            self._stages.pop(name, None)
        return found

    def _stage(self, folder: Path) -> Stage | None:
        """As the pipeline says, whose look into what is not encoded yet is taken once: thousands may wait."""
        known = self._stages.get(folder.name)
        if known in FIRST and not (folder / ENCODED).exists():
            return known
        found = next_stage(folder)
        if found is not None:
            self._stages[folder.name] = found
        return found

    def _count(self, names: set[str]) -> None:
        if self._before is not None:
            self._total[0] += len(names - self._before)
            self._total[1] += len(self._before - names)
        self._before = names
        moment = time.monotonic()
        self._times.append((moment, self._total[0], self._total[1]))
        while self._times[-1][0] - self._times[0][0] > RATE_OVER:
            self._times.pop(0)

    def _rates(self) -> tuple[float | None, float | None]:
        """Finished calls that came into the spool and that left it, a minute."""
        if len(self._times) < 2 or self._times[-1][0] - self._times[0][0] < MEASURED:
            return None, None
        (began, came, went), (ended, now_came, now_went) = self._times[0], self._times[-1]
        minutes = (ended - began) / 60
        return (now_came - came) / minutes, (now_went - went) / minutes

    def _keep_asking(self) -> None:
        while True:
            self.ask()
            time.sleep(ASK)


def _state(folder: Path, start: CallStart) -> str:
    """In one word, from what was written down of it."""
    if start.announcement is None:
        return "no line"
    kinds = [mark.kind for mark in read_marks(folder)]
    held = [kind for kind in kinds if kind in {"hold", "unhold"}][-1:] == ["hold"]
    bridged = [kind for kind in kinds if kind in {"bridged", "unbridged"}][-1:] == ["bridged"]
    bridged = bridged or kinds.count("joined_room") > kinds.count("left_room")
    if "announcement_finished" not in kinds:
        if start.at_pickup and not bridged:
            return "ringing"
        return "announcing" if "recording_started" in kinds else "arriving"
    if "recording_stopped" in kinds:
        return "stopped"
    if held:
        return "on hold"
    return "connected" if bridged else "ringing"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _fresh(path: Path) -> bool:
    try:
        return datetime.now(UTC).timestamp() - path.stat().st_mtime < UNWATCHED
    except OSError:
        return False


def _readiness(process: str, host: str, port: int) -> dict[str, str]:
    """What a process says of each thing that it needs; nothing where it is away."""
    if not port:
        return {}
    connection = http.client.HTTPConnection(host, port, timeout=ASK)
    try:
        connection.request("GET", "/readyz")
        checks = json.loads(connection.getresponse().read(1 << 20))["checks"]
        return {
            f"{process}'s {name}" if name == "disk" else name: "" if each["ok"] else str(each["what"])
            for name, each in checks.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, http.client.HTTPException):
        return {}
    finally:
        connection.close()
