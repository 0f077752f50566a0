"""Tampering with leaves' bodies, excused by made-up leaves about erasures: whoever can write the catalogue
can do all of it, and the worker signs the log afterwards."""

from __future__ import annotations

from typing import Any

from recorder.auditlog.append import append
from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.features.notes import service as notes
from recorder.lifecycle.statements import CALLS_FORGOTTEN, DISPUTES_ERASED
from tests.tombstones import bury_row

from .conftest import World
from .tampering import found_as


def wipe(world: World, kind: str, erasure: str, body: dict[str, Any], owner: str | None = None) -> None:
    """Wipe the body of the newest leaf of a kind, and append a leaf that lists it. ``owner``: whom the row
    says from now on that it is about."""
    leaf = next(each for at in (-1, -2) if (each := world.leaf(kind, at)).body is not None)
    world.change(leaf.number, body=None, salt=None, recording_id=owner or leaf.recording_id)
    with writing():
        append(
            world.tenant, erasure, body | {"leaves": [leaf.number]}, world.house.clock(), world.house.entropy
        )
    world.sign()


def wipe_by_calls(world: World, kind: str, **body: Any) -> None:
    wipe(world, kind, CALLS_FORGOTTEN, {"calls": 1} | body)


def wipe_by_dispute(world: World, kind: str, dispute: str = "made-up", owner: str | None = None) -> None:
    body = {"disputes": 1, "dispute_ids": [dispute], "recording_ids": [world.erased]}
    wipe(world, kind, DISPUTES_ERASED, body, owner)


@found_as("body.missing")
def grant_wiped_by_calls_erased(world: World) -> None:
    wipe_by_calls(world, "grant.given")


@found_as("body.missing")
def listen_wiped_by_calls_erased(world: World) -> None:
    wipe_by_calls(world, "listen.opened")


@found_as("body.missing")
def listen_wiped_by_calls_erased_with_a_note(world: World) -> None:
    wipe_by_calls(world, "listen.opened", request="r", note="n", actor="")


@found_as("body.missing")
def storing_wiped_by_calls_erased(world: World) -> None:
    wipe_by_calls(world, "recording.stored")


@found_as("body.missing")
def unrecorded_call_wiped_by_calls_erased(world: World) -> None:
    wipe_by_calls(world, "call.not_recorded")


@found_as("body.missing")
def download_wiped_by_disputes_erased(world: World) -> None:
    when = {"now": world.house.clock(), "entropy": world.house.entropy}
    body = {
        "user": world.user,
        "recording": world.live_recording,
        "purpose": "agreement",
        "name": "audio.opus",
    }
    with writing():
        append(world.tenant, "recording.downloaded", body, **when, recording=world.live_recording)
    wipe_by_dispute(world, "recording.downloaded")


@found_as("body.missing")
def note_wiped_by_disputes_erased(world: World) -> None:
    when = {"now": world.house.clock(), "entropy": world.house.entropy}
    notes.add_note(world.tenant, world.live_recording, world.user, text="Call back", at_ms=1000, **when)
    wipe_by_dispute(world, "note.added", owner="made-up")


@found_as("body.missing")
def grant_wiped_by_another_erasure_of_an_erased_recording(world: World) -> None:
    body = {"recording": world.erased, "reason": "expired"}
    wipe(world, "grant.given", "recording.erased", body, world.erased)


@found_as("body.missing")
def grant_wiped_by_a_rebuilt_tombstone(world: World) -> None:
    body = {"recording": world.erased, "erased": True, "manifest_sha256": "00" * 32}
    wipe(world, "grant.given", "recording.rebuilt", body, world.erased)


@found_as("body.missing")
def grant_assigned_to_an_erased_recording(world: World) -> None:
    leaf = world.leaf("grant.given", 0)
    world.change(leaf.number, body=None, salt=None, recording_id=world.erased)


@found_as("body.missing")
def erasure_without_a_list(world: World) -> None:
    leaf = world.leaf("grant.given")
    world.change(leaf.number, body=None, salt=None, recording_id="made-up")
    with writing():
        body = {"recording": "made-up", "reason": "expired"}
        append(world.tenant, "recording.erased", body, world.house.clock(), world.house.entropy)


@found_as("row.erased")
def erased_in_the_catalogue_alone(world: World) -> None:
    row = queries.recording(world.tenant, world.live_recording)
    assert row is not None
    assert bury_row(row, "expired", now=world.house.clock(), entropy=world.house.entropy)
