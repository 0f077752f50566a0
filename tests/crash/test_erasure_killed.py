"""Erasure is killed at each boundary, and the next worker finishes it. If the catalogue is lost at that
moment and rebuilt from the bucket, erased recordings do not come back."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from recorder.catalogue import database, queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.domain.markers import Marker
from recorder.features.recovery import rebuild_queue
from recorder.features.recovery.rebuild import Rebuild
from recorder.seal.keyring import data_key_path
from recorder.seal.verification import verify
from recorder.spool import layout
from tests.catalogue_template import make_catalogue

from .conftest import step

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
    """Run a process that erases what is due a month from now, or writes the amendment in ``more``. Returns
    its exit status. Each run is an hour later, so that no lease of a killed one delays it."""
    house.clock.forward(hours=1)
    what, recording = more or ("destroy", "-")
    (ended,) = step(house, what, boundary, argument=recording, days=days, url=catalogue)
    return ended


def assert_gone(house, recording: str, why: str = "expired") -> None:
    """Check that catalogue and bucket have a tombstone, the log has it once, and nothing else is left."""
    row = queries.recording(house.tenant, recording)
    assert (row.erasure_reason, row.wrapped_key, row.external_party, row.internal_party) == (
        why,
        None,
        None,
        None,
    )
    left = [key.removeprefix(row.prefix) for key in house.objects() if recording in key]
    amendments = ["amendment-0001.json", *(["amendment-0002.json"] if why != "expired" else [])]
    assert left == [*amendments, "manifest.json"]
    report = verify(house.services.store, row.prefix, house.services.root)
    assert report.findings == []
    assert report.chain.erased.at == row.erased_at
    with connected():
        kinds = [leaf.kind for leaf in LeafTable.select().order_by(LeafTable.number)]
    assert kinds.count("recording.erased") <= 1


@pytest.mark.long  # each by itself; the next test kills at one after another
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_killed_at_any_boundary_it_finishes_once(house, boundary) -> None:
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
    """Rebuild a second catalogue from a copy of the bucket. Returns its URL."""
    copy = house.folder / "copy"
    subprocess.run(["cp", "-a", house.bucket, copy], check=True)
    url = f"sqlite:///{house.folder / name}"
    make_catalogue(url)
    own = database.database.obj
    opened = database.open_catalogue(url)
    try:
        means = house.services
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


def test_killed_at_every_boundary_it_finishes_once(house) -> None:
    folder = house.take(talk_ms=300)
    house.work(folder)
    exit_codes = [destroy(house, house.catalogue_url, boundary) for boundary in BOUNDARIES]
    assert exit_codes.count(-signal.SIGKILL) >= 4
    assert destroy(house, house.catalogue_url, "-") == 0
    assert_gone(house, folder.name)
    with connected():
        kinds = [leaf.kind for leaf in LeafTable.select()]
    assert kinds.count("recording.erased") == 1


WISHES = (("delete", "deleted"), ("withdraw", "withdrawn"))


def agreed_to(house) -> str:
    """A recording by opt-in."""
    folder = house.take(talk_ms=300, mode="opt-in")
    yes = {"question": "recording", "answer": "yes", "key": "1"}
    layout.append_marker(folder, Marker(house.clock(), "question_answered", yes))
    house.work(folder)
    house.clock.forward(minutes=2)
    return folder.name


@pytest.mark.long
@pytest.mark.parametrize(("wish", "why"), WISHES)
def test_killed_erasure_finishes(house, wish, why) -> None:
    """Before the expiry: first the deletion's amendment is killed at each boundary, then the erasure."""
    recording, url = agreed_to(house), house.catalogue_url
    mine = (wish, recording)
    assert destroy(house, url, "begun", *mine, days=0) == -signal.SIGKILL
    assert destroy(house, url, "-", days=0) == 0
    assert queries.recording(house.tenant, recording).erased_at is None, "nothing was stored"
    assert destroy(house, url, "put", *mine, days=0) == -signal.SIGKILL
    assert queries.recording(house.tenant, recording).keep_until > house.clock()
    with lost_and_found(house, "put.db") as again:
        house.confirm_holds()
        assert queries.recording(house.tenant, recording).keep_until <= house.clock()
        assert destroy(house, again, "-", days=0) == 0
        assert_gone(house, recording, why)
    exit_codes = [destroy(house, url, boundary, days=0) for boundary in BOUNDARIES]
    assert exit_codes.count(-signal.SIGKILL) >= 4
    assert destroy(house, url, "-", days=0) == 0
    assert_gone(house, recording, why)
    with lost_and_found(house, "gone.db"):
        assert_gone(house, recording, why)


def test_older_catalogue_restores_nothing(house) -> None:
    recording, url = agreed_to(house), house.catalogue_url
    file = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(f"{file}.old")) as copy:
        live.backup(copy)
    assert destroy(house, url, "listed", "delete", recording, days=0) == -signal.SIGKILL
    assert destroy(house, url, "-", days=0) == 0
    assert_gone(house, recording, "deleted")
    own = database.database.obj
    opened = database.open_catalogue(f"{url}.old")
    try:
        assert queries.recording(house.tenant, recording).erased_at is None
        means = house.services
        Rebuild(means.store, means.keyring, means.root, house.clock, house.entropy).run()
        rebuild_queue.finish()
        assert_gone(house, recording, "deleted")
    finally:
        opened.close()
        database.database.initialize(own)
