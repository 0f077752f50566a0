"""One look at this node: its processes, live calls, spool, disk and last failure.

It reads the node's own files and what the processes serve on ``/readyz``.  It asks neither the daemon's hub
nor the switch, the catalogue or the store, so it answers while any of them is down, and costs a call nothing.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recorder.clock import from_iso, to_iso
from recorder.errors import TakeError
from recorder.ops.doctor import machine, node
from recorder.ops.doctor.findings import OK, WARNING, Check, DoctorFinding, Patient, examine, ok, wrong
from recorder.pipeline import queue_depth
from recorder.pipeline.queue_depth import CALL, QueueDepth
from recorder.spool.disk_space import Disk, measure_disk
from recorder.spool.layout import AUDIO, open_takes, read_markers, read_start

SILENT = timedelta(seconds=10)
"""A recording whose file has not grown for so long is not being written: the switch writes several times a
second."""

RECORDED = frozenset({"announcing", "ringing", "connected"})
"""The states of a call in which its recording grows."""

RECENT = timedelta(minutes=10)
"""A failure in the log that is older is shown, and no longer a warning."""

TAIL = 256 * 1024
"""Bytes at the end of the log that are searched for the last failure."""


@dataclass(frozen=True, slots=True)
class LogFailure:
    """A line of level *error* in the log."""

    at: datetime
    event: str
    error: str


@dataclass
class NodeStatus:
    """The checks of this node, and the figures that they leave: ``live`` calls by state, the spool's
    ``depth``, ``disk_space`` and the log's last ``failure``; ``None`` where there is none, or it could not be
    read."""

    patient: Patient
    live: Counter[str] | None = None
    depth: QueueDepth | None = None
    disk_space: Disk | None = None
    failure: LogFailure | None = None

    def look(self) -> Iterator[tuple[str, DoctorFinding]]:
        """Every finding with its check's name, as it is found."""
        checks: tuple[Check, ...] = (
            machine.daemon,
            machine.worker,
            machine.panel,
            self.calls,
            self.spool,
            node.quarantine,
            self.disk,
            machine.readiness,
            self.log,
        )
        for check in checks:
            for finding in examine(check, self.patient):
                yield check.__name__, finding

    def figures(self) -> dict[str, object]:
        """The figures as JSON."""
        depth, disk, failure = self.depth, self.disk_space, self.failure
        return {
            "calls": self.live,
            "spool": None
            if depth is None
            else {
                "waiting": {stage: count for stage, count in depth.counts.items() if stage != CALL},
                "oldest_seconds": round(_age(depth, self.patient.now()).total_seconds(), 1),
                "delays": depth.delays,
                "bytes": depth.size,
                "quarantine": depth.aside,
            },
            "disk": None if disk is None else {"used": round(disk.share_used, 4), "free_bytes": disk.free},
            "last_failure": None
            if failure is None
            else {"at": to_iso(failure.at), "event": failure.event, "error": failure.error},
        }

    def calls(self, patient: Patient) -> Iterator[DoctorFinding]:
        """Which calls go on, and whether each recording grows."""
        states: Counter[str] = Counter()
        silent = []
        for folder in open_takes(patient.settings.node.spool_folder):
            with suppress(TakeError, OSError):  # it began or ended just now
                state = call_state(folder)
                states[state] += 1
                if state in RECORDED and _is_silent(folder, state):
                    silent.append(folder.name)
        self.live = states
        each = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        yield ok(f"calls: {states.total()} live" + (f": {each}" if each else ""))
        if silent:
            yield wrong(
                f"calls: {len(silent)} recordings have stopped growing: "
                f"{', '.join(silent[: node.MAX_NAMES])}",
                "the switch does not write them: see its log; `accord doctor` checks the spool's permissions",
            )

    def spool(self, patient: Patient) -> Iterator[DoctorFinding]:
        """How many finished calls wait for the worker, at which stage and for how long."""
        depth = self.depth = queue_depth.measure(patient.settings.node.spool_folder)
        each = ", ".join(
            f"{count} to {stage}" for stage, count in depth.counts.items() if count and stage != CALL
        )
        age = _age(depth, patient.now())
        late = age > node.WAITS_LONG
        yield DoctorFinding(
            WARNING if late or depth.delays else OK,
            f"spool: {depth.finished} finished calls, {depth.size / 1e6:.1f} MB"
            + (f": {each}, the oldest for {format_duration(age)}" if each else "")
            + (f"; {depth.delays} fail" if depth.delays else ""),
            "`accord take list` shows the reason of each that fails" if late or depth.delays else "",
        )
        if depth.closed:
            yield wrong(f"spool: {depth.closed} folders cannot be opened", node.GROUP)

    def disk(self, patient: Patient) -> Iterator[DoctorFinding]:
        """The spool's disk has room."""
        self.disk_space = measure_disk(patient.settings.node.spool_folder)
        yield from node.disk(patient)

    def log(self, patient: Patient) -> Iterator[DoctorFinding]:
        """The last failure that daemon, worker or panel logged, where ``[log] path`` names a file."""
        path = patient.settings.log.path
        failure = self.failure = None if path is None else last_failure(path)
        if failure is not None:
            recent = patient.now() - failure.at < RECENT
            yield DoctorFinding(
                WARNING if recent else OK,
                f"log: last failure at {failure.at:%Y-%m-%d %H:%M:%S} UTC: {failure.event}"
                + (f": {failure.error}" if failure.error else ""),
                f"see {path}" if recent else "",
            )


def call_state(folder: Path) -> str:
    """The state of a live call in a word or two, from the events in its folder.  Raises :class:`TakeError`,
    ``OSError``."""
    start = read_start(folder)
    if start.announcement is None:
        return "no line"
    kinds = [marker.kind for marker in read_markers(folder)]
    hold_markers = [kind for kind in kinds if kind in {"hold", "unhold"}][-1:] == ["hold"]
    bridged = [kind for kind in kinds if kind in {"bridged", "unbridged"}][-1:] == ["bridged"]
    bridged = bridged or kinds.count("participant_joined") > kinds.count("participant_left")
    if "announcement_finished" not in kinds:
        if start.at_pickup and not bridged:
            return "ringing"
        return "announcing" if "recording_started" in kinds else "arriving"
    if "recording_stopped" in kinds:
        return "stopped"
    if hold_markers:
        return "on hold"
    return "connected" if bridged else "ringing"


def last_failure(log: Path) -> LogFailure | None:
    """The last line of level *error* in the end of a log file.  Raises ``OSError``."""
    with open(log, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
        lines = file.read().splitlines()
    for line in reversed(lines):
        with suppress(ValueError, KeyError, TypeError):
            body = json.loads(line)
            if body["level"] == "error":
                return LogFailure(from_iso(body["timestamp"]), str(body["event"]), str(body.get("error", "")))
    return None


def format_duration(time: timedelta) -> str:
    """``1:02:03`` or ``02:03``."""
    minutes, seconds = divmod(max(0, int(time.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"


def _age(depth: QueueDepth, now: datetime) -> timedelta:
    """How long the oldest take has waited; zero where none waits."""
    return timedelta() if depth.oldest is None else now - depth.oldest


def _is_silent(folder: Path, state: str) -> bool:
    sound = folder / AUDIO
    if state == "announcing" and not sound.exists():
        sound = folder  # the switch said that it records, and has written nothing since
    # As the kernel times it: it is the age of a file.
    return datetime.now(UTC).timestamp() - sound.stat().st_mtime > SILENT.total_seconds()
