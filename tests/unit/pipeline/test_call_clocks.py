"""Clocks that are wrong or changed during a call: its recording is kept, playable, and not deleted too
early."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from recorder.catalogue import queries
from recorder.clock import HIDDEN_BOOT_ID, Uptime, from_iso, to_iso
from recorder.domain.markers import Marker
from recorder.lifecycle import expiry
from recorder.playback.interface import Actor
from recorder.processes.gate import PanelGate
from recorder.seal.manifest import Manifest, UncorrectedTimes
from recorder.seal.sealing import open_manifest
from recorder.seal.verification import verify
from recorder.services import Services
from recorder.spool import layout
from tests.clock import since_boot as uptime


def moved(folder: Path, by: timedelta, *kinds: str) -> None:
    """The take as written with a clock that was changed by this much before these markers and the end."""
    bodies = [json.loads(line) for line in (folder / layout.EVENTS).read_text().splitlines()]
    for body in bodies:
        if body["kind"] in kinds:
            body["at"] = to_iso(from_iso(body["at"]) + by)
    (folder / layout.EVENTS).write_text("".join(json.dumps(body) + "\n" for body in bodies))
    end = json.loads((folder / layout.END).read_text())
    end["ended_at"] = to_iso(from_iso(end["ended_at"]) + by)
    (folder / layout.END).write_text(json.dumps(end))


def to_milliseconds(at: datetime) -> datetime:
    """The take's files, unchanged."""
    return from_iso(to_iso(at))


def means_of(house) -> Services:
    means = house.services
    return means


def played(house, recording: str) -> None:
    """A person listens to the recording now."""
    means = house.services
    gate = PanelGate(means.store, means.keyring, means.root, now=house.clock, entropy=house.entropy)
    row = house.user(house.tenant, "ada@example.be")
    ada = Actor(row.id, row.tenant, row.role, row.language)
    grant = gate.grant(ada, recording, "agreement")
    opened = gate.open(ada, grant.id, "audio.opus", "play")
    assert b"".join(opened.read(0, opened.length)).startswith(b"OggS")


def stored(house, folder: Path) -> Manifest:
    """Run every stage, verify, and listen, all at one time. Returns the sealed take."""
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    assert row is not None, "it is listed as a recording"
    assert row.announced
    assert not (house.spool / layout.QUARANTINE).exists()
    store, means = house.services.store, house.services
    assert verify(store, row.prefix, means.root, means.keyring, house.clock()).findings == []
    played(house, folder.name)
    return open_manifest(store.read(row.prefix + "manifest.json"), means.root, house.clock())


def test_switch_clock_set_back_in_the_call(house) -> None:
    folder = house.take(talk_ms=18_000)
    moved(folder, timedelta(seconds=-20), "hangup", "recording_stopped")
    house.clock.forward(minutes=1)
    assert abs(stored(house, folder).drift_ms + 20_000) < 10


def test_daemon_absent_at_the_end_with_a_clock_behind(house) -> None:
    folder = house.take()
    start = layout.read_start(folder).started_at
    kinds = [marker.kind for marker in layout.read_markers(folder)]
    lines = (folder / layout.EVENTS).read_text().splitlines()
    lines_before = [
        line for line, kind in zip(lines, kinds, strict=True) if kind not in ("hangup", "recording_stopped")
    ]
    (folder / layout.EVENTS).write_text("\n".join(lines_before) + "\n")
    moved(folder, timedelta(minutes=10), *kinds)
    back = start + timedelta(seconds=40)
    for at, kind in ((start + timedelta(seconds=9), "unobserved_from"), (back, "unobserved_to")):
        layout.append_marker(folder, Marker(at, kind))
    end = json.loads((folder / layout.END).read_text())
    (folder / layout.END).write_text(json.dumps(end | {"ended_at": to_iso(back)}))
    house.clock.forward(minutes=1)
    manifest = stored(house, folder)
    assert manifest.drift_ms == -manifest.duration_ms
    assert manifest.gaps[-1].reason == "unobserved"


@pytest.mark.parametrize("ahead", [{"minutes": 10}, {"days": 3650}])
def test_switch_clock_ahead(house, ahead: dict[str, float]) -> None:
    """The call's end is by the switch's clock, its start by the machine's."""
    folder = house.take()
    start, ended = layout.read_start(folder), layout.read_end(folder).ended_at
    moved(folder, timedelta(**ahead), *(marker.kind for marker in layout.read_markers(folder)))
    house.clock.forward(minutes=1)
    manifest = stored(house, folder)
    assert manifest.sealed_at == house.clock()
    assert manifest.started_at == start.started_at
    assert manifest.started_at <= manifest.bridged_at <= manifest.ended_at <= manifest.sealed_at
    assert manifest.uncorrected == UncorrectedTimes(
        start.started_at, to_milliseconds(ended) + timedelta(**ahead)
    )
    assert manifest.keep_until == start.started_at + timedelta(days=30)


@pytest.mark.parametrize("since_boot", [True, False], ids=["noted", "unknown"])
@pytest.mark.parametrize("ahead", [{"minutes": 10}, {"days": 3650}])
def test_machine_clock_ahead_in_the_call(house, ahead: dict[str, float], since_boot: bool) -> None:
    start = house.clock()
    there = uptime(start) if since_boot else None
    folder = house.take(started_at=start + timedelta(**ahead), uptime=there)
    length = layout.read_end(folder).ended_at - layout.read_start(folder).started_at
    house.clock.forward(minutes=2)
    manifest = stored(house, folder)
    sealed = house.clock()
    assert manifest.sealed_at == sealed
    assert manifest.started_at == (start if since_boot else to_milliseconds(sealed - length))
    assert manifest.ended_at - manifest.started_at == to_milliseconds(sealed) - to_milliseconds(
        sealed - length
    )
    assert manifest.uncorrected is not None
    assert manifest.uncorrected.started_at == start + timedelta(**ahead)
    assert manifest.keep_until == sealed + timedelta(days=30)


def test_machine_clock_behind_in_the_call(house) -> None:
    """For example, a machine without a hardware clock; NTP corrects the clock before the take is sealed."""
    start = house.clock()
    folder = house.take(started_at=start - timedelta(days=40), uptime=uptime(start))
    house.clock.forward(minutes=2)
    manifest = stored(house, folder)
    assert manifest.started_at == start
    assert start < manifest.ended_at <= start + timedelta(minutes=1)
    assert manifest.uncorrected.started_at == start - timedelta(days=40)
    assert manifest.keep_until == start + timedelta(days=30)
    assert expiry.destroy_due(means_of(house), house.clock()) == 0
    house.clock.forward(days=30)
    assert expiry.destroy_due(means_of(house), house.clock()) == 1


@pytest.mark.parametrize(
    "there", [None, Uptime(HIDDEN_BOOT_ID, 5.0), Uptime("another start", 5.0), Uptime("this start", 1e11)]
)
def test_retention_counts_from_the_seal_if_the_time_is_unknown(house, there: Uptime | None) -> None:
    """A take without uptime, one that is sealed after a reboot, or a unit that hides the boot time."""
    folder = house.take(started_at=house.clock() - timedelta(days=40), uptime=there)
    manifest = stored(house, folder)
    assert manifest.uncorrected is None
    assert manifest.started_at == house.clock() - timedelta(days=40)
    assert manifest.keep_until == house.clock() + timedelta(days=30)
    assert expiry.destroy_due(means_of(house), house.clock()) == 0


def test_waiting_take_is_kept_no_longer_than_announced(house) -> None:
    folder = house.take()
    start = house.clock()
    house.clock.forward(days=3)
    manifest = stored(house, folder)
    assert (manifest.uncorrected, manifest.started_at) == (None, start)
    assert manifest.keep_until == start + timedelta(days=30)


def test_small_clock_correction_changes_nothing(house) -> None:
    folder = house.take(uptime=uptime(house.clock() + timedelta(seconds=59)))
    house.clock.forward(minutes=2)
    assert stored(house, folder).uncorrected is None


def test_unannounced_take_is_kept_thirty_days(house) -> None:
    start = house.clock()
    folder = house.take(announced=False, started_at=start - timedelta(days=40), uptime=uptime(start))
    house.clock.forward(minutes=2)
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    assert start + timedelta(days=30) <= row.keep_until <= house.clock() + timedelta(days=30)
