"""How many recordings a small disk has room for, and which stops first."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event

from recorder.call.state import Phase
from recorder.capture import Daemon, DaemonSettings
from recorder.capture.headroom import Headroom
from recorder.domain.parties import Party
from recorder.ids import uuid7
from recorder.spool import disk_space, layout
from recorder.spool.disk_space import HEADROOM_SECONDS, Disk, GrowingFile, bytes_needed, bytes_to_finish
from recorder.spool.layout import CallEnd, CallStart
from recorder.switch.outbound_socket import Arrival
from tests.clock import Clock
from tests.unit.capture.test_config_cache import write

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
MIB = 1024 * 1024
SMALL = 24 * MIB


@dataclass
class FakeCalls:
    """A spool and the current calls of its daemon."""

    root: Path
    calls: dict[str, SimpleNamespace] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.headroom = Headroom(self.root, self.calls)  # type: ignore[arg-type]

    def call(
        self,
        sound: int | None = None,
        phase: Phase = Phase.ANNOUNCED,
        *,
        rate: int = 8000,
        captures: bool = True,
    ) -> SimpleNamespace:
        start = CallStart(
            str(uuid7(AT)), "t", "l", "32", "inbound", "n", "c", Party("sip", "x"), AT, ("opus",), None
        )
        folder = layout.open_take(self.root, start)
        if sound is not None:
            with open(folder / layout.AUDIO, "wb") as file:
                file.write(b"RIFF\x08\0\0\0WAVEfmt " + struct.pack("<IHHI", 16, 1, 2, rate))
                file.truncate(sound)
        writer = SimpleNamespace(audio=folder / layout.AUDIO)
        state = SimpleNamespace(phase=phase, recording=SimpleNamespace(capturing=captures))
        self.calls[start.recording] = SimpleNamespace(start=start, writer=writer, state=state)
        return self.calls[start.recording]

    def measure(self, free: int) -> Headroom:
        self.headroom._due = 0.0
        self.headroom.measure(Disk(SMALL, free))
        return self.headroom


@pytest.fixture
def site(tmp_path: Path) -> FakeCalls:
    return FakeCalls(tmp_path)


def test_admits_recordings_while_all_can_be_finished(site: FakeCalls) -> None:
    headroom = site.measure(SMALL)
    count = 0
    while headroom.admits(("opus",)):
        site.call(phase=Phase.ANNOUNCING)
        count += 1
        assert count < 50
    assert count == 6
    files = [GrowingFile(0, disk_space.DEFAULT_RATE, ("opus",))] * count
    assert (
        SMALL - 2 * HEADROOM_SECONDS * disk_space.DEFAULT_RATE
        < bytes_needed(SMALL, files, 0, HEADROOM_SECONDS)
        < SMALL
    )
    assert not headroom.excess()
    next(iter(site.calls.values())).state.phase = Phase.UNRECORDED
    assert headroom.admits(("opus",)), "an unrecorded call needs no room"


def test_wav_and_wideband_need_more_room(site: FakeCalls) -> None:
    need = round(disk_space.DEFAULT_RATE * HEADROOM_SECONDS)
    headroom = site.measure(2 * need)
    assert headroom.admits(("opus",))
    assert not headroom.admits(("opus", "wav"))
    site.call(sound=1000, rate=48000)
    assert not site.measure(4 * need).admits(("opus",)), "six times as fast"
    assert site.measure(10 * need).admits(("opus",))


def test_reserves_room_for_the_largest_finished_take(site: FakeCalls) -> None:
    """The largest of the waiting takes, until the worker has removed it."""
    call = site.call(sound=6 * MIB)
    layout.close_take(site.root / call.start.recording, CallEnd("recorded", None, AT, None))
    site.calls.clear()
    free = bytes_needed(SMALL, [GrowingFile(0, disk_space.DEFAULT_RATE, ("opus",))], 0, HEADROOM_SECONDS)
    assert not site.measure(free).admits(("opus",))
    assert site.measure(free + bytes_to_finish(6 * MIB, ("opus",))).admits(("opus",))
    layout.remove_take(layout.RemovableTake(site.root / call.start.recording))
    assert site.measure(free).admits(("opus",))


def test_stops_the_longest_recordings_first(site: FakeCalls) -> None:
    long, short = site.call(sound=5 * MIB), site.call(sound=MIB)
    unannounced = site.call(sound=100_000, phase=Phase.ANNOUNCING)
    files = [site.headroom._growing_file(each) for each in (long, short, unannounced)]
    enough = bytes_needed(SMALL, files, 0, 5.0)
    assert site.measure(enough + 2 * MIB).excess() == []
    needs = bytes_to_finish(5 * MIB, ("opus",))
    assert site.measure(needs + 700_000).excess() == [long]
    assert site.measure(needs).excess() == [long, short], "a call during its announcement is not cut"
    long.state.recording.capturing = False
    assert site.measure(needs + 700_000).excess() == []


def test_assumes_the_usual_rate_without_audio(site: FakeCalls) -> None:
    site.call(sound=None)
    site.call(sound=10)
    site.measure(SMALL)
    assert {rate for _, rate in site.headroom._sounds.values()} == {disk_space.DEFAULT_RATE}


class SilentSocket:
    """A call's own socket that accepts every command."""

    def __init__(self) -> None:
        self.closed = Event()

    def __getattr__(self, name: str) -> object:
        return lambda *_: None


def test_simultaneous_arrivals_share_the_room(tmp_path: Path, clock: Clock) -> None:
    write(tmp_path / "snapshot", "3225550100")
    settings = DaemonSettings(
        node="n", spool=tmp_path / "spool", snapshot=tmp_path / "snapshot", password="x" * 12
    )
    daemon = Daemon(settings, now=clock)
    assert daemon.config.claim()
    daemon.config.start()
    daemon.config._greenlet.kill()  # type: ignore[union-attr]  # it never ends
    daemon.headroom._disk = Disk(SMALL, SMALL)
    heads = [
        {
            "Unique-ID": f"7d890c2c-f075-48a5-b2e1-{number:012}",
            "Call-Direction": "inbound",
            "Caller-Caller-ID-Number": f"+3247000{number:04}",
            "variable_accord_line": "3225550100",
            "variable_accord_state": "waiting",
        }
        for number in range(20)
    ]
    arrivals = [gevent.spawn(daemon.intake.arrive, Arrival.of(head), SilentSocket()) for head in heads]
    with gevent.Timeout(20):
        while len(daemon.calls) < len(heads):
            gevent.sleep(0.01)
    gevent.killall(arrivals)
    refused = [call.start.refused for call in daemon.calls.values()]
    assert sorted(filter(None, refused)) == ["full_disk"] * 14
    daemon.config.stop()
