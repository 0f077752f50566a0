"""Clocks that are wrong, or set, in a call: its recording is kept, played, and not destroyed too early."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from recorder.catalogue import queries
from recorder.clock import from_iso, to_iso
from recorder.seal.contents import Manifest
from recorder.seal.manifest import open_manifest
from recorder.seal.verify import verify
from recorder.take import spool


def moved(folder: Path, by: timedelta, *kinds: str) -> None:
    """The take as a clock would have written it that was set by so much before these marks and its end."""
    bodies = [json.loads(line) for line in (folder / spool.EVENTS).read_text().splitlines()]
    for body in bodies:
        if body["kind"] in kinds:
            body["at"] = to_iso(from_iso(body["at"]) + by)
    (folder / spool.EVENTS).write_text("".join(json.dumps(body) + "\n" for body in bodies))
    end = json.loads((folder / spool.END).read_text())
    end["ended_at"] = to_iso(from_iso(end["ended_at"]) + by)
    (folder / spool.END).write_text(json.dumps(end))


def stored(house, folder: Path) -> Manifest:
    """Every stage; what was sealed, verified as whoever plays it does."""
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    assert row is not None, "it is a recording"
    assert row.announced
    assert not (house.spool / spool.QUARANTINE).exists()
    store, means = house.means.store, house.means
    assert verify(store, row.prefix, means.root_public, means.keyring, house.clock()).findings == []
    return open_manifest(store.read(row.prefix + "manifest.json"), means.root_public, house.clock())


def test_the_switchs_clock_is_set_back_in_the_call(house) -> None:
    folder = house.take(talk_ms=12_000)
    moved(folder, timedelta(seconds=-20), "hangup", "recording_stopped")
    house.clock.forward(minutes=1)
    assert abs(stored(house, folder).drift_ms + 20_000) < 10


def test_the_daemon_was_away_at_the_end_and_the_machines_clock_is_behind_the_switchs(house) -> None:
    folder = house.take()
    start = spool.read_start(folder).started_at
    kinds = [mark.kind for mark in spool.read_marks(folder)]
    lines = (folder / spool.EVENTS).read_text().splitlines()
    kept = [
        line for line, kind in zip(lines, kinds, strict=True) if kind not in ("hangup", "recording_stopped")
    ]
    (folder / spool.EVENTS).write_text("\n".join(kept) + "\n")
    moved(folder, timedelta(minutes=10), *kinds)
    back = start + timedelta(seconds=40)
    for at, kind in ((start + timedelta(seconds=9), "unobserved_from"), (back, "unobserved_to")):
        spool.append_mark(folder, spool.Mark(at, kind, {}))
    end = json.loads((folder / spool.END).read_text())
    (folder / spool.END).write_text(json.dumps(end | {"ended_at": to_iso(back)}))
    house.clock.forward(minutes=1)
    manifest = stored(house, folder)
    assert manifest.drift_ms == -manifest.duration_ms
    assert manifest.gaps[-1].reason == "unobserved"
