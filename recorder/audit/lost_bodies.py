"""Decides which leaves may lack body and salt: only those that an erasure lists, of the kinds and the objects
that its statement covers.

A leaf about an erasure is in the signed tree, but whoever writes the catalogue can append one and have it
signed. So it excuses nothing by itself:

- ``recording.erased``, and ``recording.rebuilt`` of a tombstone: only leaves about that recording, which must
  have a signed tombstone in the bucket (:mod:`recordings` reports a row without one)
- ``calls.erased``: only leaves about calls that the signed record ``call-erasures/…`` names; without a
  record, a signed statement must say that the customer's data is erased
- ``disputes.erased``: only ``dispute.stated`` of the disputes that it names, of whose recordings none is
  left, and no copy in the bucket

The row of a leaf without a body says whom it is about, and a row can be changed, so only the first erasure of
each object counts: nothing is added to its list afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from recorder.auditlog.append import OWNER_FIELDS, REBUILT
from recorder.auditlog.leaf_erasure import CALL_KINDS
from recorder.lifecycle.statements import CALLS_FORGOTTEN, DISPUTES_ERASED

DESTROYED: Final = "recording.erased"
STATED: Final = "dispute.stated"

ERASURES: Final = frozenset({DESTROYED, REBUILT, CALLS_FORGOTTEN, DISPUTES_ERASED})
"""Kinds whose bodies say which bodies may be missing."""


@dataclass(frozen=True, slots=True)
class SignedErasures:
    """What the bucket's signed statements cover: the ``calls`` of each record by its id, whether all of the
    customer's data is erased (``all_data``), and the disputes of which there still is a copy."""

    calls: Mapping[str, Collection[str]] = field(default_factory=dict)
    all_data: bool = False
    copied_disputes: Collection[str] = ()


@dataclass(slots=True)
class LostBodies:
    """One tenant's leaves without a body, and the erasures that may excuse them, in the order of the log."""

    leaves: dict[int, tuple[str, str | None]] = field(default_factory=dict)
    """By number: the kind, and whom the row says that the leaf is about."""
    erased: set[str] = field(default_factory=set)
    """Recordings whose erasure is in the log."""
    _of_recording: dict[str, frozenset[int]] = field(default_factory=dict)
    _of_record: dict[str, frozenset[int]] = field(default_factory=dict)
    _of_dispute: dict[str, tuple[frozenset[int], frozenset[str]]] = field(default_factory=dict)
    """By dispute: the leaves, and the recordings that must be gone."""
    _of_customer: set[int] = field(default_factory=set)

    def collect(self, kind: str, body: Mapping[str, Any]) -> None:
        """Collect the body of a leaf of one of the :data:`ERASURES`."""
        leaves = frozenset[int](body.get("leaves", ()))
        if kind == CALLS_FORGOTTEN:
            if "note" in body:
                self._of_record.setdefault(str(body["note"]), leaves)
            else:
                self._of_customer |= leaves
        elif kind == DISPUTES_ERASED:
            recordings = frozenset[str](body["recording_ids"])
            for dispute in body["dispute_ids"]:
                self._of_dispute.setdefault(dispute, (leaves, recordings))
        elif kind == DESTROYED or body.get("erased") is True:
            recording = str(body["recording"])
            self.erased.add(recording)
            self._of_recording.setdefault(recording, leaves)

    def unexcused(self, signed: SignedErasures) -> Iterator[tuple[int, str]]:
        """The numbers of leaves whose body no signed erasure covers, each with the reason."""
        for number, (kind, owner) in self.leaves.items():
            if kind not in OWNER_FIELDS:
                yield number, f"its body and salt are missing, but {kind} is not about a recording"
            elif owner is None or not self._is_covered(number, kind, owner, signed):
                yield number, "its body and salt are missing, but no signed erasure covers it"

    def _is_covered(self, number: int, kind: str, owner: str, signed: SignedErasures) -> bool:
        if kind == STATED:
            leaves, recordings = self._of_dispute.get(owner, (frozenset(), frozenset()))
            is_over = signed.all_data or (bool(recordings) and recordings <= self.erased)
            return number in leaves and is_over and owner not in signed.copied_disputes
        if number in self._of_recording.get(owner, ()):
            return True
        if kind not in CALL_KINDS:
            return False
        if signed.all_data and number in self._of_customer:
            return True
        return any(
            owner in calls and number in self._of_record.get(note, ()) for note, calls in signed.calls.items()
        )
