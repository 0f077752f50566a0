"""Destroying is killed at each boundary.  The next worker finishes it; and where the catalogue is lost at
that moment and made again from the bucket, what was destroyed does not come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import recorder
from recorder.catalogue import models, places, queries, recovering, schema
from recorder.catalogue.models import LedgerEntry, connected
from recorder.recover.rebuild import Rebuild
from recorder.seal.keys import data_key_path
from recorder.seal.verify import verify

SOURCE = str(Path(recorder.__file__).parents[1])
DESTROY = Path(__file__).with_name("destroy.py")
BOUNDARIES = (
    "key deleted",
    "key forgotten",
    "deleted audio.opus",
    "deleted audio.wav",
    "deleted peaks",
    "looked",
    "buried",
    "destroyed",
)


def destroy(house, catalogue: str, boundary: str) -> int:
    """A process that destroys what is over a month from now; its exit status.  Each time it is an hour
    later, so that nobody waits for the claim of the one that died."""
    house.clock.forward(hours=1)
    now = house.clock() + timedelta(days=31)
    argv = [sys.executable, str(DESTROY), str(house.root), catalogue, now.isoformat(), boundary]
    return subprocess.run(argv, env={**os.environ, "PYTHONPATH": SOURCE}, timeout=60).returncode


def assert_gone(house, recording: str) -> None:
    """A tombstone in catalogue and bucket, in the log once, and nothing else of it anywhere."""
    row = queries.recording(house.tenant, recording)
    assert (row.destroyed_why, row.wrapped_key, row.outside, row.inside) == ("expired", None, None, None)
    left = [key.removeprefix(row.prefix) for key in house.objects() if recording in key]
    assert left == ["amendment-0001.json", "manifest.json"]
    report = verify(house.means.store, row.prefix, house.means.root_public)
    assert report.findings == []
    assert report.chain.erased.at == row.destroyed_at
    with connected():
        kinds = [leaf.kind for leaf in LedgerEntry.select().order_by(LedgerEntry.number)]
    assert kinds.count("recording.destroyed") <= 1


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_whatever_boundary_it_dies_at_it_is_finished_once(house, boundary) -> None:
    folder = house.take(talk_ms=300)
    house.work(folder)
    url = house.catalogue_url
    assert destroy(house, url, boundary) == -signal.SIGKILL
    assert data_key_path(house.tenant, folder.name) not in house.objects()
    lost_and_made_again(house, folder.name, boundary)
    assert destroy(house, url, "-") == 0
    assert_gone(house, folder.name)


def lost_and_made_again(house, recording: str, boundary: str) -> None:
    """A second catalogue, made from a copy of the bucket as it is at this moment."""
    copy = house.root / "copy"
    subprocess.run(["cp", "-a", house.bucket, copy], check=True)
    url = f"sqlite:///{house.root / 'again.db'}"
    schema.migrate(url)
    own = models.database.obj
    opened = models.open_catalogue(url)
    try:
        means = house.means
        Rebuild(means.store, means.keyring, means.root_public, house.clock, house.entropy).run()
        places.finish()
        row = queries.recording(house.tenant, recording)
        assert (row.wrapped_key, row.outside, row.inside) == (None, None, None)
        assert (row.destroyed_at is not None) == (boundary in ("buried", "destroyed"))
        recovering.confirm_holds(house.clock(), house.entropy)
        assert destroy(house, url, "-") == 0
        assert_gone(house, recording)
    finally:
        opened.close()
        models.database.initialize(own)
        subprocess.run(["rm", "-rf", house.bucket], check=True)
        copy.rename(house.bucket)


def test_killed_at_every_boundary_one_after_another_it_ends_once(house) -> None:
    folder = house.take(talk_ms=300)
    house.work(folder)
    died = [destroy(house, house.catalogue_url, boundary) for boundary in BOUNDARIES]
    assert died.count(-signal.SIGKILL) >= 4
    assert destroy(house, house.catalogue_url, "-") == 0
    assert_gone(house, folder.name)
    with connected():
        kinds = [leaf.kind for leaf in LedgerEntry.select()]
    assert kinds.count("recording.destroyed") == 1
