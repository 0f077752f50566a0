"""A spool's disk that is too small for its calls, with the practice switch, a real daemon and a real
worker."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from demo.practice.party import PracticeParty, dialogue
from demo.practice.session import PracticeCall
from demo.practice.switch import PracticeSwitch
from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.seal.sealing import open_manifest
from recorder.spool import layout
from tests.faults.disks import MIB, SmallDisk
from tests.processes import PASSWORD, Installation, Ports, Process
from tests.waiting import until

CALLS = 50


class SmallSpoolNode:
    """One node with its processes."""

    def __init__(self, house, processes: Installation, switch: PracticeSwitch) -> None:
        self.house, self.processes, self.switch, self.call_count = house, processes, switch, 0

    def calls(self, count: int) -> list[PracticeCall]:
        speaks, answers = dialogue("fr")
        calls = []
        for _ in range(count):
            self.call_count += 1
            number = f"+3247000{self.call_count:04}"
            party = PracticeParty(number=number, speaks=speaks, answers_with=answers, rings=0.1)
            calls.append(self.switch.call(self.house.line.number, party))
        return calls

    def stored(self) -> set[str]:
        return {row.id for row in queries.recordings(self.house.tenant, limit=200).rows}

    def reasons(self) -> Counter[str]:
        with connected():
            return Counter(row.reason for row in NotRecordedTable.select())

    def folders(self) -> list[Path]:
        return [path.parent for path in self.house.spool.glob(f"*/{layout.CALL}")]

    def check_purposes(self) -> list[tuple[str, ...]]:
        """Check that every recording was announced. Returns the gaps of each, with their reasons."""
        gaps = []
        for key in self.house.objects():
            if key.endswith("/manifest.json"):
                content = (self.house.bucket / key).read_bytes()
                manifest = open_manifest(content, self.house.services.root)
                assert [each.code for each in manifest.purposes] == ["agreement"], manifest.unannounced
                gaps.append(tuple(gap.reason for gap in manifest.gaps if gap.end_ms > manifest.duration_ms))
        return gaps


@pytest.fixture
def disk(house, small_disk: Callable[..., SmallDisk]) -> SmallDisk:
    return small_disk("spool", "tmpfs", 24 * MIB)


@pytest.fixture
def site(house, disk: SmallDisk, processes: Installation):
    ports = Ports.reserve()
    worker = processes.start("worker")
    until("a worker", lambda: worker.log("snapshot.written"))
    daemon = processes.start("daemon", **ports.switch)
    with PracticeSwitch(
        password=PASSWORD,
        daemon=f"127.0.0.1:{ports.calls}",
        event_port=ports.event_socket,
        environment=os.environ,
    ) as switch:
        until("a daemon that watches", lambda: daemon.log("switch.up"))
        yield SmallSpoolNode(house, processes, switch), daemon


@pytest.mark.long
@pytest.mark.timeout(900)
def test_fifty_calls_without_a_worker(site: tuple[SmallSpoolNode, Process], disk: SmallDisk) -> None:
    """As many calls are recorded as have space to continue; the others are listed with the reason. Then
    something else fills the disk: each recording is ended while it can still be finished, all are stored, and
    so is the next call."""
    place, daemon = site
    calls = place.calls(CALLS)
    until("all are connected", lambda: all(call.phase_events["bridged"].is_set() for call in calls))
    recorded = [call for call in calls if call.leg.variables.get("accord_state") == "announced"]
    assert 3 <= len(recorded) <= 8, len(recorded)
    gevent.sleep(5)
    assert disk.left() > 10 * MIB
    assert len([call for call in recorded if call.media.tapes]) == len(recorded), "none was cut"
    recorded[0].hang_up()
    until("what ends is stored at once", lambda: len(place.stored()) == 1)
    disk.fill(leave=MIB)
    until("all others are ended in time", lambda: len(daemon.log("call.recording_cut")) == len(recorded) - 1)
    assert not any(call.leg.cause for call in calls if call is not recorded[0]), "calls continue"
    gevent.sleep(3)
    for call in calls:
        call.hang_up()
    until("all of them, with the disk as it is", lambda: len(place.stored()) == len(recorded), 300)
    until("an empty spool", lambda: not place.folders(), 300)
    assert place.reasons() == {"full_disk": CALLS - len(recorded)}
    assert sorted(place.check_purposes()) == [(), *[("write_error",)] * (len(recorded) - 1)]
    assert not (place.house.spool / layout.QUARANTINE).exists()
    assert not daemon.log("spool.write_failed")
    disk.free()
    until("there is room again", lambda: daemon.log("disk.recovered"))
    (last,) = place.calls(1)
    until("another one", lambda: last.phase_events["bridged"].is_set())
    assert last.leg.variables["accord_state"] == "announced"
    last.hang_up()
    until("it is stored", lambda: len(place.stored()) == len(recorded) + 1)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_ends_recordings_before_the_disk_is_full(
    site: tuple[SmallSpoolNode, Process], disk: SmallDisk
) -> None:
    """The calls last for minutes: the longest recording is ended first, the others continue as long as
    possible."""
    place, daemon = site
    calls = place.calls(12)
    until("all are connected", lambda: all(call.phase_events["bridged"].is_set() for call in calls))
    recorded = [call for call in calls if call.leg.variables.get("accord_state") == "announced"]
    until("all are ended", lambda: len(daemon.log("call.recording_cut")) >= len(recorded), 300)
    first, last = (daemon.log("call.recording_cut")[at]["timestamp"] for at in (0, -1))
    assert first < last, "not all at once"
    assert disk.left() > MIB, "there is space to finish"
    assert not any(call.leg.cause for call in calls)
    gevent.sleep(3)  # they continue, so that there is something missing at the end of the last one, too
    for call in calls:
        call.hang_up()
    until("an empty spool", lambda: not place.folders(), 300)
    assert len(place.stored()) == len(recorded)
    assert place.check_purposes() == [("write_error",)] * len(recorded)
    assert place.reasons() == {"full_disk": len(calls) - len(recorded)}
    assert not daemon.log("spool.write_failed")
