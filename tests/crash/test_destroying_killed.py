"""Destroying is killed at each boundary.  The next worker finishes it; and where the catalogue is lost at
that moment and made again from the bucket, what was destroyed does not come back."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

import recorder
from recorder.catalogue import database, queries, schema
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.features.recovery import rebuild_queue
from recorder.features.recovery.rebuild import Rebuild
from recorder.seal.keyring import data_key_path
from recorder.seal.verification import verify
from recorder.spool import layout
from recorder.spool.layout import Mark

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


def destroy(house, catalogue: str, boundary: str, *more: str, days: int = 31) -> int:
    """A process that destroys what is over a month from now, or writes down what ``more`` says; its exit
    status.  Each time it is an hour later, so that nobody waits for the claim of the one that died."""
    house.clock.forward(hours=1)
    now = house.clock() + timedelta(days=days)
    argv = [sys.executable, str(DESTROY), str(house.folder), catalogue, now.isoformat(), boundary, *more]
    return subprocess.run(argv, env={**os.environ, "PYTHONPATH": SOURCE}, timeout=60).returncode


def assert_gone(house, recording: str, why: str = "expired") -> None:
    """A tombstone in catalogue and bucket, in the log once, and nothing else of it anywhere."""
    row = queries.recording(house.tenant, recording)
    assert (row.erasure_reason, row.wrapped_key, row.external_party, row.internal_party) == (
        why,
        None,
        None,
        None,
    )
    left = [key.removeprefix(row.prefix) for key in house.objects() if recording in key]
    said = ["amendment-0001.json", *(["amendment-0002.json"] if why != "expired" else [])]
    assert left == [*said, "manifest.json"]
    report = verify(house.means.store, row.prefix, house.means.root)
    assert report.findings == []
    assert report.chain.erased.at == row.erased_at
    with connected():
        kinds = [leaf.kind for leaf in LeafTable.select().order_by(LeafTable.number)]
    assert kinds.count("recording.erased") <= 1


@pytest.mark.long  # at each by itself; one after another below, each time
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


@contextmanager
def lost_and_found(house, name: str) -> Iterator[str]:
    """A second catalogue, made from a copy of the bucket as it is at this moment; its URL."""
    copy = house.folder / "copy"
    subprocess.run(["cp", "-a", house.bucket, copy], check=True)
    url = f"sqlite:///{house.folder / name}"
    schema.migrate(url)
    own = database.database.obj
    opened = database.open_catalogue(url)
    try:
        means = house.means
        Rebuild(means.store, means.keyring, means.root, house.clock, house.entropy).run()
        rebuild_queue.finish()
        yield url
    finally:
        opened.close()
        database.database.initialize(own)
        subprocess.run(["rm", "-rf", house.bucket], check=True)
        copy.rename(house.bucket)


def lost_and_made_again(house, recording: str, boundary: str) -> None:
    with lost_and_found(house, "again.db") as url:
        row = queries.recording(house.tenant, recording)
        assert (row.wrapped_key, row.external_party, row.internal_party) == (None, None, None)
        assert (row.erased_at is not None) == (boundary in ("buried", "destroyed"))
        house.confirm_holds()
        assert destroy(house, url, "-") == 0
        assert_gone(house, recording)


def test_killed_at_every_boundary_one_after_another_it_ends_once(house) -> None:
    folder = house.take(talk_ms=300)
    house.work(folder)
    died = [destroy(house, house.catalogue_url, boundary) for boundary in BOUNDARIES]
    assert died.count(-signal.SIGKILL) >= 4
    assert destroy(house, house.catalogue_url, "-") == 0
    assert_gone(house, folder.name)
    with connected():
        kinds = [leaf.kind for leaf in LeafTable.select()]
    assert kinds.count("recording.erased") == 1


WISHES = (("delete", "deleted"), ("withdraw", "withdrawn"))


def agreed_to(house) -> str:
    """A recording that was begun on a yes."""
    folder = house.take(talk_ms=300, mode="opt-in")
    yes = {"question": "recording", "answer": "yes", "key": "1"}
    layout.append_mark(folder, Mark(house.clock(), "question_answered", yes))
    house.work(folder)
    house.clock.forward(minutes=2)
    return folder.name


@pytest.mark.long
@pytest.mark.parametrize(("wish", "why"), WISHES)
def test_erasing_at_a_wish_is_finished_wherever_it_dies(house, wish, why) -> None:
    """Nobody waits for its day; the wish itself is killed at each boundary, then the destroying."""
    recording, url = agreed_to(house), house.catalogue_url
    mine = (wish, house.tenant, recording)
    assert destroy(house, url, "begun", *mine, days=0) == -signal.SIGKILL
    assert destroy(house, url, "-", days=0) == 0
    assert queries.recording(house.tenant, recording).erased_at is None, "nothing was put"
    assert destroy(house, url, "put", *mine, days=0) == -signal.SIGKILL
    assert queries.recording(house.tenant, recording).keep_until > house.clock()
    with lost_and_found(house, "put.db") as again:
        house.confirm_holds()
        assert queries.recording(house.tenant, recording).keep_until <= house.clock()
        assert destroy(house, again, "-", days=0) == 0
        assert_gone(house, recording, why)
    died = [destroy(house, url, boundary, days=0) for boundary in BOUNDARIES]
    assert died.count(-signal.SIGKILL) >= 4
    assert destroy(house, url, "-", days=0) == 0
    assert_gone(house, recording, why)
    with lost_and_found(house, "gone.db"):
        assert_gone(house, recording, why)


def test_a_copy_of_the_catalogue_of_before_brings_nothing_back(house) -> None:
    recording, url = agreed_to(house), house.catalogue_url
    file = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(f"{file}.old")) as copy:
        live.backup(copy)
    assert destroy(house, url, "listed", "delete", house.tenant, recording, days=0) == -signal.SIGKILL
    assert destroy(house, url, "-", days=0) == 0
    assert_gone(house, recording, "deleted")
    own = database.database.obj
    opened = database.open_catalogue(f"{url}.old")
    try:
        assert queries.recording(house.tenant, recording).erased_at is None
        means = house.means
        Rebuild(means.store, means.keyring, means.root, house.clock, house.entropy).run()
        rebuild_queue.finish()
        assert_gone(house, recording, "deleted")
    finally:
        opened.close()
        database.database.initialize(own)
