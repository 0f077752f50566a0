"""What the provider proposes that a number announces, where that promises more than its customer agreed to:
pending until one of the customer's admins says yes or no, by the log alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recorder.auditlog.leaf_lookup import line_leaves
from recorder.lifecycle.line_history import CHANGED, ENDED

PROPOSED: Final = "line.proposed"
DROPPED: Final = "line.proposal_dropped"


@dataclass(frozen=True, slots=True)
class LineProposal:
    """What a line is proposed to announce, by the leaf of that ``number``: ids of announcements, the first
    language first. ``person`` is the id of the one of the provider's people who proposed it in the panel."""

    line: str
    number: int
    at: datetime
    announcements: tuple[str, ...]
    person: str | None


def find_proposals(tenant: str) -> Mapping[str, LineProposal]:
    """A customer's pending proposals by line: of each the latest one, unless the announcement was changed,
    recording switched, or the line ended since."""
    found: dict[str, LineProposal] = {}
    for leaf in line_leaves(tenant):
        line = str(leaf.body["line"])
        if leaf.kind == PROPOSED:
            ids = tuple(map(str, leaf.body["announcements"]))
            found[line] = LineProposal(line, leaf.number, leaf.at, ids, leaf.body.get("person"))
        elif leaf.kind in (DROPPED, ENDED) or (
            leaf.kind == CHANGED and leaf.body.keys() & {"announcement", "others", "mode"}
        ):
            found.pop(line, None)
    return found
