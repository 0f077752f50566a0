"""The erasure of an offboarded customer is killed at each step. It continues later and finishes once, and a
catalogue that is rebuilt from the bucket meanwhile restores nothing."""

from __future__ import annotations

import signal
from datetime import timedelta

import pytest

from recorder.audit import continuation
from recorder.catalogue import offboarding_progress, queries, tenant_queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.features.offboarding import queries as offboarding_queries
from recorder.features.offboarding import service
from recorder.lifecycle.key_rotation import KeyRotation
from recorder.seal.offboarding import place_of, read_receipt

from .conftest import step
from .test_erasure_killed import lost_and_found

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
    """Run a process that erases the rest. Each run is an hour later."""
    house.clock.forward(hours=1)
    (ended,) = step(house, "erase", boundary, url=catalogue)
    return ended


def left(house, recordings: int = 1) -> list[str]:
    """An installation whose customer was offboarded, before the erasure; its recordings."""
    folders = [house.take(talk_ms=300, formats=("wav",)) for _ in range(recordings)]
    for folder in (*folders, house.unrecorded()):
        house.work(folder)
    house.clock.forward(minutes=2)
    keys = KeyRotation(house.services.store, house.services.keyring, house.clock, house.entropy, "rotate")
    keys.begin(house.tenant)
    keys.all()
    office = house.office()
    service.announce(office, house.tenant, house.clock() + timedelta(days=1))
    service.order_erasure(office, house.tenant, early="By letter")
    return [folder.name for folder in folders]


def assert_all_gone(house, recordings: list[str]) -> None:
    assert all(queries.recording(house.tenant, each).erasure_reason == "deleted" for each in recordings)
    stays = ("manifest.json", "amendment-0001.json", "amendment-0002.json", "receipt.json")
    stays += ("statement-0001.json", "statement-0002.json")
    mine = [key for key in house.objects() if not key.startswith("checkpoints/")]
    assert [key for key in mine if not key.endswith(stays)] == []
    receipt = offboarding_queries.require_departure(house.tenant).receipt
    assert house.services.store.read(place_of(house.tenant)) == receipt.encode()
    receipt_body = read_receipt(receipt.encode(), house.services.root).body
    assert receipt_body.recordings_erased == {"deleted": len(recordings)}
    assert len(receipt_body.keys.destroyed) == 2, "also the one before a rotation"
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
def test_killed_at_a_step_it_continues(house, boundary) -> None:
    recordings, url = left(house), house.catalogue_url
    assert leave(house, url, boundary) == -signal.SIGKILL
    with lost_and_found(house, "again.db"):  # nothing of it can be played
        row = queries.recording(house.tenant, recordings[0])
        house.confirm_holds()
        assert boundary == "begun" or row.erased_at is not None or row.keep_until <= house.clock()
    assert leave(house, url, "-") == 0
    assert_all_gone(house, recordings)


@pytest.mark.long
def test_killed_at_every_step_it_finishes_once(house) -> None:
    recordings, url = left(house, recordings=2), house.catalogue_url
    exit_codes = [leave(house, url, boundary) for boundary in (*RECORDINGS, *REST)]
    assert exit_codes.count(-signal.SIGKILL) >= len(REST) + 6
    assert exit_codes[-len(REST) :] == [-signal.SIGKILL] * len(REST), "each remaining step"
    assert leave(house, url, "-") == 0
    assert_all_gone(house, recordings)
    with lost_and_found(house, "gone.db"):
        assert queries.recording(house.tenant, recordings[0]).erasure_reason == "deleted"
        assert offboarding_progress.find_offboarding(house.tenant) is not None, (
            "nothing of theirs is recorded"
        )
        house.confirm_holds()
        continuation.restart_log(house.tenant, "the disk broke", house.services, house.clock())
        service.complete_erasure(house.office(), house.tenant)
        assert offboarding_progress.is_being_erased(house.tenant)
