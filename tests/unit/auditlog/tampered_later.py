"""Tampering with amendments, and with the recording that a leaf belongs to."""

from __future__ import annotations

import json
from datetime import timedelta

from recorder.auditlog.append import append
from recorder.catalogue import queries
from recorder.catalogue.database import database, writing
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.lifecycle import amendments, expiry
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.amendment_store import chain_of, put
from recorder.lifecycle.expired_recording import ExpiredRecording
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import ConsentWithdrawn
from tests.amendments import amend

from .conftest import World
from .tampering import change_recording, found_as, object_of


def changes(world: World) -> Changes:
    means = world.house.services
    return Changes(means.store, means.root, means.signer, world.house.clock, world.house.entropy)


def hold(world: World) -> None:
    """Put the recording on legal hold, and sign the log."""
    clock = world.house.clock
    amend(
        changes(world).hold, world.tenant, world.live_recording, By("user", world.user),
        owner="Claire", purposes=["agreement"],
        reason="a quarrel", review_at=clock() + timedelta(days=30),
    )  # fmt: skip
    signed(world)


def hold_and_lift(world: World) -> None:
    hold(world)
    changes(world).lift(
        changes(world).look(world.tenant, world.live_recording),
        By("user", world.user),
        hold=1,
        reason="settled",
    )
    signed(world)


def signed(world: World) -> None:
    world.sign()
    assert world.audit() == []


def take_away(world: World, number: int) -> None:
    """Delete an amendment from bucket and catalogue."""
    object_of(world, f"amendment-{number:04}.json").unlink()
    change_amendment(world, number, None)


def change_amendment(world: World, number: int, columns: dict | None) -> None:
    mine = (AmendmentTable.recording == world.live_recording) & (AmendmentTable.number == number)
    with writing():
        each = AmendmentTable.delete() if columns is None else AmendmentTable.update(**columns)
        assert each.where(mine).execute() == 1


def destroy_what_is_over(world: World) -> int:
    means = world.house.services
    world.house.clock.forward(days=40)
    count = expiry.destroy_due(means, world.house.clock())
    world.sign()
    return count


# --- amendments


@found_as("row.deleted", "amendment")
def deleted_hold(world: World) -> None:
    hold(world)
    take_away(world, 1)


@found_as("row.deleted", "amendment")
def deleted_hold_of_expired_recording(world: World) -> None:
    """The recording stays: its leaves are checked before anything is erased."""
    hold(world)
    take_away(world, 1)
    assert destroy_what_is_over(world) == 0


@found_as("row.deleted", "amendment")
def deleted_hold_of_erased_recording(world: World) -> None:
    """By an attacker with all of the worker's access; the hold's body in the log is erased, too."""
    hold(world)
    take_away(world, 1)
    means, row = world.house.services, queries.recording(world.tenant, world.live_recording)
    assert row is not None
    world.house.clock.forward(days=40)
    chain = chain_of(means.store, row.prefix, means.root)
    expiry.destroy(ExpiredRecording(row, chain, "expired"), means, world.house.clock())
    world.sign()
    assert world.leaf("recording.amended").body is None


@found_as("row.deleted", "amendment")
def deleted_end_of_hold(world: World) -> None:
    hold_and_lift(world)
    take_away(world, 2)
    change_amendment(world, 1, {"ended_by": None})


@found_as("row.deleted", "amendment")
def deleted_withdrawal(world: World) -> None:
    before, means = RecordingTable.get_by_id(world.live_recording), world.house.services
    row = queries.recording(world.tenant, world.live_recording)
    assert row is not None
    now, by = world.house.clock(), By("user", world.user)
    chain = chain_of(means.store, row.prefix, means.root)
    put(
        means.store, chain, ConsentWithdrawn(("agreement",), "by letter"), by, means.signer,
        means.root, now,
    )  # fmt: skip
    again = chain_of(means.store, row.prefix, means.root)
    assert amendments.list_amendments(again, world.house.trust, now=now, entropy=world.house.entropy) == 1
    signed(world)
    take_away(world, 1)
    change_recording(world, purposes=before.purposes, keep_until=before.keep_until)


@found_as("row.deleted", "amendment")
def deleted_restriction(world: World) -> None:
    before = RecordingTable.get_by_id(world.live_recording)
    amend(
        changes(world).narrow,
        world.tenant,
        world.live_recording,
        By("user", world.user),
        purposes=["agreement"],
        reason="not needed",
    )
    signed(world)
    take_away(world, 1)
    change_recording(world, purposes=before.purposes, keep_until=before.keep_until)


@found_as("row.changed", "amendment")
def replaced_amendment(world: World) -> None:
    hold(world)
    take_away(world, 1)
    amend(changes(world).delete, world.tenant, world.live_recording, By("user", world.user), reason="forged")


@found_as("amendment.row_differs")
def row_of_lifted_hold_without_end(world: World) -> None:
    hold_and_lift(world)
    change_amendment(world, 1, {"ended_by": None})


@found_as("amendment.row_differs")
def row_of_hold_with_end(world: World) -> None:
    hold(world)
    change_amendment(world, 1, {"ended_by": 2})


@found_as("amendment.row_differs")
def row_of_hold_with_other_roles(world: World) -> None:
    hold(world)
    row = AmendmentTable.get_by_id(f"{world.live_recording}/1")
    change_amendment(world, 1, {"data": row.data | {"roles": ["customer"]}})


@found_as("amendment.row_differs")
def row_of_hold_with_other_author(world: World) -> None:
    hold(world)
    change_amendment(world, 1, {"by_id": "somebody else"})


@found_as("amendment.row_differs")
def row_of_hold_with_other_time(world: World) -> None:
    hold(world)
    change_amendment(world, 1, {"at": world.house.clock() - timedelta(days=300)})


@found_as("row.changed", "amendment")
def row_of_hold_with_other_kind(world: World) -> None:
    hold(world)
    change_amendment(world, 1, {"kind": "deletion_requested"})


@found_as("amendment.row_differs")
def unreadable_row_of_hold(world: World) -> None:
    hold(world)
    with writing():
        database.execute_sql(f"UPDATE amendment SET data = 'x' WHERE id = '{world.live_recording}/1'")


# --- which recording takes a leaf's body with it


def refused_log_in(world: World) -> int:
    with writing():
        append(
            world.tenant, "session.refused", {"user": world.user}, world.house.clock(), world.house.entropy
        )
    signed(world)
    return world.leaf("session.refused").number


@found_as("leaf.row_differs")
def leaf_assigned_to_a_recording(world: World) -> None:
    world.change(refused_log_in(world), recording_id=world.live_recording)


@found_as("leaf.row_differs")
def leaf_assigned_to_an_erased_recording(world: World) -> None:
    number = refused_log_in(world)
    world.change(number, recording_id=world.live_recording)
    assert destroy_what_is_over(world) == 1
    assert world.leaf("session.refused").body is not None, "it went with what it does not speak of"


@found_as("leaf.row_differs")
def erasure_leaf_assigned_to_another_erased_recording(world: World) -> None:
    number = world.leaf("recording.erased").number
    world.change(number, recording_id=world.live_recording)
    assert destroy_what_is_over(world) == 1
    assert world.leaf("recording.erased").body is not None


@found_as("leaf.row_differs")
def leaf_detached_from_an_erased_recording(world: World) -> None:
    world.change(world.leaf("recording.stored", 1).number, recording_id=None)
    assert destroy_what_is_over(world) == 1
    assert json.loads(world.leaf("recording.stored", 1).body)["recording"] == world.live_recording


@found_as("body.missing")
def erased_login_leaf_listed_by_an_erasure(world: World) -> None:
    number = refused_log_in(world)
    world.change(number, recording_id=world.live_recording, body=None, salt=None)
    options = {"recording": world.live_recording, "reason": "expired", "leaves": [number]}
    with writing():
        append(world.tenant, "recording.erased", options, world.house.clock(), world.house.entropy)
        assert LeafTable.get_by_id(world.leaf("session.refused").id).body is None
