"""A spool full of calls after a long outage, stored fairly while new calls arrive."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorder.audio import encoding
from recorder.catalogue.database import connected
from recorder.catalogue.tables.recording import RecordingTable
from recorder.domain.line_policy import Announcement
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.features.tenants import announcements, lines
from recorder.identity import tenants
from recorder.ids import uuid7
from recorder.spool import layout
from recorder.spool.layout import CallEnd, CallStart
from recorder.store.seaweedfs import PORTS, SeaweedFS
from tests.house import wav_of
from tests.ports import free_ports
from tests.processes import Installation, Process, stored_in
from tests.waiting import until

RATE = 8000
ANNOUNCEMENT = 2 * RATE
TALK = 2 * RATE


def _prompt() -> np.ndarray:
    """Two seconds of unique sound: reproducible noise."""
    return np.random.default_rng(7).integers(-6000, 6000, ANNOUNCEMENT).astype("<i2")


def _wav(samples: np.ndarray) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(samples.tobytes())
    return out.getvalue()


@dataclass
class Customer:
    """A customer; ``calls`` are the ids of its calls, in the order in which they were made."""

    tenant: str
    template: CallStart
    calls: list[str] = field(default_factory=list)


class Crowd:
    """Makes customers of an installation, and their calls in its spool."""

    def __init__(self, house: Any) -> None:
        self._house = house
        self._sound = house.folder / "crowd.wav"
        self._take_count = 0
        audio = np.concatenate([_prompt(), np.zeros(TALK, "<i2")])
        caller = (5000 * np.sin(np.arange(ANNOUNCEMENT + TALK) * 0.5)).astype("<i2")
        self._sound.write_bytes(wav_of(np.stack([caller, audio], axis=1)))

    def customer(self, name: str) -> Customer:
        house = self._house
        tenant = str(uuid7(house.clock(), house.entropy))
        common = {"now": house.clock(), "entropy": house.entropy}
        key = house.services.keyring.new_tenant_key(tenant, house.entropy)
        tenants.create_tenant(tenant, name=name, wrapped_key=key.to_bytes().decode(), **common)
        row = announcements.create_announcement(
            tenant,
            name="short",
            language="en",
            text="This call is recorded.",
            purposes=("agreement",),
            keep_days=30,
            wav=_wav(_prompt()),
            **common,
        )
        self._take_count += 1
        number = f"+32255502{self._take_count:02}"
        line = lines.create_line(tenant, number=number, announcement=row.id, **common)
        announcement = Announcement(
            row.id, row.version, row.language, row.text, row.purposes, row.keep_days, row.sound,
            row.duration_ms,
        )  # fmt: skip
        start = CallStart(
            "", tenant, line.id, number, "inbound", "node1", "channel", Party("e164", "+32470123456"),
            house.clock(), ("opus",), announcement,
        )  # fmt: skip
        return Customer(tenant, start)

    def call(self, customer: Customer, encoded: bool = False) -> str:
        """Put a call that has just ended into the spool, or one that was encoded before the store became
        unavailable."""
        house = self._house
        house.clock.forward(milliseconds=7)
        at = house.clock()
        recording = str(uuid7(at, house.entropy))
        body = layout.start_body(customer.template) | {"recording": recording}
        # Made elsewhere first, so that a worker sees no partial folder.
        folder = house.spool / f".making-{recording}"
        folder.mkdir(mode=0o2770)
        self._fill(folder, body, customer.template)
        if encoded:
            for path in self._encoded(customer).iterdir():
                self._link(path, folder / path.name)
        folder.rename(house.spool / recording)
        customer.calls.append(recording)
        return recording

    def _encoded(self, customer: Customer) -> Path:
        """The encoder's output for this sound, the same for all calls."""
        encoded = self._house.folder / "encoded"
        if not encoded.exists():
            work = self._house.folder / "encoding"
            work.mkdir()
            self._fill(
                work, layout.start_body(customer.template) | {"recording": "template"}, customer.template
            )
            prompt = self._house.folder / "prompt.wav"
            prompt.write_bytes(_wav(_prompt()))
            encoding.encode_take(work, prompt)
            for name in (layout.CALL, layout.EVENTS, layout.AUDIO, layout.END):
                (work / name).unlink()
            work.rename(encoded)
        return encoded

    def _fill(self, folder: Path, body: dict[str, Any], template: CallStart) -> None:
        start = template.started_at
        ended = start + timedelta(seconds=(ANNOUNCEMENT + TALK) / RATE)
        (folder / layout.CALL).write_text(json.dumps(body))
        markers = [
            Marker(start, "recording_started", {}),
            Marker(start, "announcement_started", {}),
            Marker(start + timedelta(seconds=ANNOUNCEMENT / RATE), "announcement_finished", {}),
            Marker(
                start + timedelta(seconds=ANNOUNCEMENT / RATE),
                "bridged",
                {"party": "extension", "value": "1"},
            ),
            Marker(ended, "hangup", {"cause": "NORMAL_CLEARING"}),
            Marker(ended, "recording_stopped", {}),
        ]
        with open(folder / layout.EVENTS, "w") as events:
            for marker in markers:
                at_ = marker.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
                events.write(json.dumps({"at": at_, "kind": marker.kind, **marker.data}) + "\n")
        self._link(self._sound, folder / layout.AUDIO)
        end = CallEnd("recorded", None, ended, Party("extension", "1"))
        (folder / layout.END).write_text(json.dumps(layout.end_body(end)))

    def _link(self, path: Path, name: Path) -> None:
        try:
            os.link(path, name)
        except OSError:  # the file system's limit of links to one file is reached
            shutil.copy(path, path.with_suffix(".new"))
            path.with_suffix(".new").rename(path)
            os.link(path, name)


SHARES = {"crowd": 0.90, "middle": 0.07, "small": 0.02, "tiny": 0.01}


def count_stored(*customers: Customer) -> list[int]:
    """The number of listed recordings of each customer."""
    with connected():
        return [
            RecordingTable.select().where(RecordingTable.tenant == each.tenant).count() for each in customers
        ]


def processor_seconds(process: Process) -> float:
    """The worker's own CPU time in seconds, without its encoders."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def highest_memory(process: Process) -> int:
    """The highest memory use of the process, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def work_off(
    house,
    processes: Installation,
    *,
    count: int,
    bound: float,
    every: float,
    limit: float,
    encoded: bool = False,
) -> dict:
    """Let ``count`` calls wait, of customers with very uneven shares. Every so many seconds a new call of
    another customer arrives, which must be stored within ``bound`` seconds. Returns the measurements."""
    crowd = Crowd(house)
    customers = {name: crowd.customer(name) for name in SHARES}
    newcomer = crowd.customer("newcomer")
    for name, share in SHARES.items():  # the large customer's calls are the oldest
        for _ in range(max(2, round(count * share))):
            crowd.call(customers[name], encoded)
    start = time.monotonic()
    process = processes.start("worker")
    until("a worker", lambda: process.log("worker.started"))
    waits: list[float] = []
    arrivals: dict[str, float] = {}
    when_tiny_was_done: list[int] = []
    due = time.monotonic() + every
    while True:
        now = time.monotonic()
        assert now - start < limit, count_stored(*customers.values())
        stored_names = [each for each in arrivals if not (house.spool / each).exists()]
        waits += [now - arrivals.pop(each) for each in stored_names]
        late = [each for each, since in arrivals.items() if now - since > bound]
        assert not late, f"new calls wait for more than {bound} s"
        counts = count_stored(*customers.values())
        if not when_tiny_was_done and counts[3] == len(customers["tiny"].calls):
            when_tiny_was_done = counts
        if sum(counts) == sum(len(each.calls) for each in customers.values()):
            break
        if now >= due:
            due = now + every
            arrivals[crowd.call(newcomer)] = now
        time.sleep(0.2)
    seconds = time.monotonic() - start
    until("an empty spool", lambda: not list(layout.finished_takes(house.spool)))
    total = sum(len(each.calls) for each in (*customers.values(), newcomer))
    assert sum(count_stored(*customers.values(), newcomer)) == total
    tiny = len(customers["tiny"].calls)
    assert max(when_tiny_was_done) <= 3 * tiny + 4, "every customer had its turn"
    cpu, memory = processor_seconds(process), highest_memory(process)
    assert process.stop() == 0
    return {
        "takes": total,
        "seconds": round(seconds, 1),
        "takes_per_second": round(total / seconds, 2),
        "processor_ms_per_take_without_encoding": round(1000 * cpu / total, 1),
        "memory_mb": round(memory / 1e6, 1),
        "new_calls": len(newcomer.calls),
        "longest_wait_of_a_new_call_s": round(max(waits, default=0.0), 1),
        "when_tiny_was_done": when_tiny_was_done,
        "waits": len(process.log("take.delayed")),
    }


@pytest.mark.long
def test_tenants_take_turns_after_an_outage(house, processes: Installation) -> None:
    measured = work_off(house, processes, count=26, bound=60, every=1, limit=200)
    assert measured["waits"] == 0
    assert measured["new_calls"] > 0


@pytest.fixture
def seaweedfs(tmp_path: Path) -> Iterator[SeaweedFS]:
    server = SeaweedFS(tmp_path / "seaweedfs", free_ports(PORTS))
    server.start()
    yield server
    server.stop(seconds=0)


@pytest.mark.long
@pytest.mark.timeout(15000)
def test_many_takes(house, processes: Installation, seaweedfs: SeaweedFS) -> None:
    """After a long outage of the store: waiting takes are encoded already, new ones are not. ``TEST_TAKES``
    sets their number."""
    processes.settings |= stored_in(seaweedfs.bucket())
    processes.settings["ACCORD_WORKER_PROCESSES"] = "2"
    count = int(os.environ.get("TEST_TAKES", "300"))
    measured = work_off(house, processes, count=count, bound=120, every=5, limit=14000, encoded=True)
    print(measured)
    assert measured["memory_mb"] < 400
