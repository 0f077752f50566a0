"""Tampering with catalogue and bucket alike, which a mailed checkpoint reveals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from recorder.auditlog import signed_note
from recorder.catalogue.database import writing
from recorder.catalogue.tables.audit_log import CheckpointTable, RecipientTable, SubtreeTable
from recorder.catalogue.tables.line import LineTable

from .conftest import World
from .tampered_log import write_anew
from .tampering import found_as


def mailed(world: World, number: int) -> signed_note.SignedNote:
    return signed_note.read(world.note(number).read_bytes())


def forget_checkpoints(world: World, first: int) -> None:
    """Delete the checkpoints from a number on, in catalogue and bucket."""
    for number in range(first, 4):
        world.note(number).unlink()
    with writing():
        CheckpointTable.delete().where(CheckpointTable.number >= first).execute()
        SubtreeTable.delete().execute()


def write_history_anew(world: World) -> None:
    """Delete every checkpoint, change a leaf and its row, and sign the result with the worker's key."""
    forget_checkpoints(world, 1)
    write_anew(world, world.leaf("line.changed").number, "at_pickup", "once_connected")
    with writing():
        LineTable.update(timing="once_connected").execute()
    assert world.sign() == 1
    assert world.audit() == [], "nothing that is here shows it"


@found_as("checkpoint.fork", "checkpoint 1")
def rewritten_history_with_mailed_first_checkpoint(world: World) -> dict[str, Any]:
    note = mailed(world, 1)
    write_history_anew(world)
    return {"external_notes": [note]}


@found_as("log.rewritten", "checkpoint 3")
def rewritten_history_with_mailed_last_checkpoint(world: World) -> dict[str, Any]:
    note = mailed(world, 3)
    write_history_anew(world)
    return {"external_notes": [note]}


@found_as("checkpoint.missing", "checkpoint 3")
def deleted_mailed_checkpoint(world: World) -> dict[str, Any]:
    note = mailed(world, 3)
    forget_checkpoints(world, 3)
    return {"external_notes": [note]}


@found_as("checkpoint.fork", "checkpoint 3")
def replaced_mailed_checkpoint(world: World) -> dict[str, Any]:
    note = mailed(world, 3)
    forget_checkpoints(world, 3)
    assert world.sign() == 1
    assert world.audit() == [], "nothing that is here shows it"
    return {"external_notes": [note]}


@found_as("checkpoint.missing", "checkpoint 3")
def deleted_checkpoint_with_mail_on_record(world: World) -> None:
    forget_checkpoints(world, 3)
    with writing():
        RecipientTable.update(sent_number=3, sent_at=world.house.clock()).execute()


@found_as("checkpoint.signature", "checkpoint 2")
def given_checkpoint_without_valid_signature(world: World) -> dict[str, Any]:
    """The audit reports it, and otherwise ignores it."""
    note = mailed(world, 2)
    return {"external_notes": [replace(note, head=replace(note.head, size=note.head.size + 1))]}
