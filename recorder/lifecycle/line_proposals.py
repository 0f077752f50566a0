"""What the provider proposes that a number announces, or asks as its keep question, where that promises more
than its customer agreed to: pending until one of the customer's admins says yes or no, by the log alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from recorder.auditlog.leaf_lookup import line_leaves
from recorder.catalogue.records import KeepOptions
from recorder.lifecycle.line_history import CHANGED, ENDED

PROPOSED: Final = "line.proposed"
DROPPED: Final = "line.proposal_dropped"


class Unchanged(Enum):
    """Stands for a setting that stays as it is, where ``None`` switches it off."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True)
class LineProposal:
    """What a line is proposed to announce, by the leaf of that ``number``: ids of announcements, the first
    language first; and the ``keep`` question that it would ask. ``person`` is the id of the one of the
    provider's people who proposed it in the panel."""

    line: str
    number: int
    at: datetime
    announcements: tuple[str, ...]
    person: str | None
    keep: KeepOptions | Unchanged | None = UNCHANGED


def find_proposals(tenant: str) -> Mapping[str, LineProposal]:
    """A customer's pending proposals by line: of each the latest one, unless what it would change was
    changed, recording switched, or the line ended since."""
    found: dict[str, LineProposal] = {}
    for leaf in line_leaves(tenant):
        line = str(leaf.body["line"])
        if leaf.kind == PROPOSED:
            ids = tuple(map(str, leaf.body["announcements"]))
            keep = _keep(leaf.body["keep"]) if "keep" in leaf.body else UNCHANGED
            found[line] = LineProposal(line, leaf.number, leaf.at, ids, leaf.body.get("person"), keep)
        elif leaf.kind in (DROPPED, ENDED) or (leaf.kind == CHANGED and _ends(leaf.body, found.get(line))):
            found.pop(line, None)
    return found


def _keep(data: Mapping[str, Any] | None) -> KeepOptions | None:
    return None if data is None else KeepOptions(**data)


def _ends(change: Mapping[str, Any], proposal: LineProposal | None) -> bool:
    """Whether a change of a line leaves nothing of a proposal to decide."""
    if change.keys() & {"announcement", "others", "mode"}:
        return True
    return "keep" in change and proposal is not None and proposal.keep is not UNCHANGED
