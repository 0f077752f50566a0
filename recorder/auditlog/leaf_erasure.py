"""Erases the bodies of leaves, by verified erasures alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar, Final

from recorder.auditlog.append import OWNER_FIELDS, LockedTenant, owning_recording
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.verified_state import VerifiedState

BATCH = 500
"""Leaves whose bodies one statement erases."""

DISPUTE_KINDS: Final = frozenset(kind for kind, field in OWNER_FIELDS.items() if field == "dispute")
"""Kinds of leaves whose bodies go with a dispute."""

RECORDING_KINDS: Final = frozenset(OWNER_FIELDS) - DISPUTE_KINDS
"""Kinds of leaves whose bodies go with a recording: also those from before it was one."""

CALL_KINDS: Final = frozenset(
    {"call.not_recorded", "quarantine.erased", "command.requested", "command.answered"}
)
"""Kinds of leaves whose bodies go with a call that was not recorded."""


@dataclass(frozen=True, slots=True)
class Erasure(VerifiedState):
    """``objects`` (ids) of a customer of which it is verified that they are erased, while the customer is
    locked. Each kind has a class of its own, which its verifier makes. ``kinds`` are those of the leaves that
    lose their bodies with it."""

    locked: LockedTenant
    objects: tuple[str, ...]
    kinds: ClassVar[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class RecordingErasure(Erasure):
    """The erasure of recordings."""

    kinds: ClassVar[frozenset[str]] = RECORDING_KINDS


@dataclass(frozen=True, slots=True)
class CallErasure(Erasure):
    """The erasure of calls that were not recorded."""

    kinds: ClassVar[frozenset[str]] = CALL_KINDS


@dataclass(frozen=True, slots=True)
class DisputeErasure(Erasure):
    """The erasure of disputes, and the ``recordings`` (ids) that they were about."""

    recordings: tuple[str, ...]
    kinds: ClassVar[frozenset[str]] = DISPUTE_KINDS


def drop_bodies(erasure: Erasure) -> list[int]:
    """Erase bodies and salts of a tenant's leaves about what was erased. Returns their numbers, which the
    leaf about the erasure must list: an audit reports any other missing body. The leaves stay, and reveal no
    personal data. Raises ``RuntimeError`` once the erasure's transaction has ended.

    The body decides what it is about: whatever its row says, a body about anything else stays, and an audit
    reports the row.
    """
    erasure.locked.check()
    numbers = [number for each in erasure.objects for number in _drop_bodies(erasure, each)]
    return sorted(numbers)


def _drop_bodies(erasure: Erasure, owner: str) -> list[int]:
    mine = (LeafTable.tenant == erasure.locked.tenant) & (LeafTable.recording_id == owner)
    there = LeafTable.select(LeafTable.number, LeafTable.kind, LeafTable.body)
    rows = there.where(mine & LeafTable.body.is_null(False))
    numbers = [
        row.number for row in rows if row.kind in erasure.kinds and _is_about(row.kind, row.body, owner)
    ]
    for begin in range(0, len(numbers), BATCH):
        some = LeafTable.number.in_(numbers[begin : begin + BATCH])
        LeafTable.update(body=None, salt=None).where(mine & some).execute()
    return numbers


def _is_about(kind: str, body: str | None, owner: str) -> bool:
    try:
        return body is not None and owning_recording(kind, json.loads(body)) == owner
    except (ValueError, AttributeError):  # a tampered body
        return False
