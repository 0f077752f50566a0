"""Destroying everything of a customer who left is killed at each step; it goes on later, ends once, and a
catalogue that is lost in the middle and made again from the bucket brings nothing back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import recorder
from recorder.catalogue import departures, queries, tenant_queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.features.offboarding import completion, service
from recorder.features.offboarding import queries as offboarding_queries
from recorder.lifecycle.key_rotation import Rewrapping
from recorder.seal.offboarding import place_of, read_receipt

from .test_destroying_killed import lost_and_found

SOURCE = str(Path(recorder.__file__).parents[1])
LEAVE = Path(__file__).with_name("leave.py")
RECORDINGS = (
    "begun",
    "put",
    "listed",
    "key deleted",
    "key forgotten",
    "deleted audio.wav",
    "deleted peaks",
    "looked",
    "buried",
    "destroyed",
)
REST = (
    "recordings gone",
    "calls forgotten",
    "people forgotten",
    "customer's key forgotten",
    "customer's keys deleted",
    "signed",
    "published",
    "receipt put",
    "left",
)
ALWAYS = ("looked", "customer's keys deleted")
EACH = [pytest.param(each, marks=() if each in ALWAYS else pytest.mark.long) for each in (*RECORDINGS, *REST)]


def leave(house, catalogue: str, boundary: str) -> int:
    """A process that destroys what is left; each time it is an hour later."""
    house.clock.forward(hours=1)
    argv = [sys.executable, str(LEAVE), str(house.folder), catalogue, house.clock().isoformat(), boundary]
    return subprocess.run(argv, env={**os.environ, "PYTHONPATH": SOURCE}, timeout=60).returncode


def left(house, recordings: int = 1) -> list[str]:
    """A house whose customer has left, and nothing is destroyed yet; its recordings."""
    folders = [house.take(talk_ms=300, formats=("wav",)) for _ in range(recordings)]
    for folder in (*folders, house.unrecorded()):
        house.work(folder)
    house.clock.forward(minutes=2)
    keys = Rewrapping(house.means.store, house.means.keyring, house.clock, house.entropy, "rotate")
    keys.begin(house.tenant)
    keys.all()
    office = house.office()
    service.announce(office, house.tenant, house.clock() + timedelta(days=1))
    service.decide(office, house.tenant, early="By letter")
    return [folder.name for folder in folders]


def assert_all_gone(house, recordings: list[str]) -> None:
    assert all(queries.recording(house.tenant, each).erasure_reason == "deleted" for each in recordings)
    stays = ("manifest.json", "amendment-0001.json", "amendment-0002.json", "receipt.json")
    stays += ("statement-0001.json", "statement-0002.json")
    mine = [key for key in house.objects() if not key.startswith("checkpoints/")]
    assert [key for key in mine if not key.endswith(stays)] == []
    receipt = offboarding_queries.standing(house.tenant).receipt
    assert house.means.store.read(place_of(house.tenant)) == receipt.encode()
    said = read_receipt(receipt.encode(), house.means.root).body
    assert said.recordings_erased == {"deleted": len(recordings)}
    assert len(said.keys.destroyed) == 2, "the one of before a change, too"
    assert tenant_queries.tenant_wrapped_key(house.tenant) is None
    with connected():
        kinds = [leaf.kind for leaf in LeafTable.select().order_by(LeafTable.number)]
        assert not NotRecordedTable.select().exists()
    assert kinds.count("recording.erased") == len(recordings)
    assert [kinds.count(f"tenant.{kind}") for kind in ("erasure_started", "key_destroyed", "offboarded")] == [
        1,
        1,
        1,
    ]


@pytest.mark.parametrize("boundary", EACH)
def test_killed_at_a_step_it_goes_on(house, boundary) -> None:
    recordings, url = left(house), house.catalogue_url
    assert leave(house, url, boundary) == -signal.SIGKILL
    with lost_and_found(house, "again.db"):  # nothing of it can be heard once more
        row = queries.recording(house.tenant, recordings[0])
        house.confirm_holds()
        assert boundary == "begun" or row.erased_at is not None or row.keep_until <= house.clock()
    assert leave(house, url, "-") == 0
    assert_all_gone(house, recordings)


@pytest.mark.long
def test_killed_at_every_step_one_after_another_it_ends_once(house) -> None:
    recordings, url = left(house, recordings=2), house.catalogue_url
    died = [leave(house, url, boundary) for boundary in (*RECORDINGS, *REST)]
    assert died.count(-signal.SIGKILL) >= len(REST) + 6
    assert died[-len(REST) :] == [-signal.SIGKILL] * len(REST), "each step of the rest"
    assert leave(house, url, "-") == 0
    assert_all_gone(house, recordings)
    with lost_and_found(house, "gone.db"):
        assert queries.recording(house.tenant, recordings[0]).erasure_reason == "deleted"
        assert departures.departure(house.tenant) is not None, "nothing of theirs is recorded"
        house.confirm_holds()
        completion.complete(house.office(), house.tenant)
        assert departures.being_erased(house.tenant)
