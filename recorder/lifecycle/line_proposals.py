"""What the provider proposes that a number announces, or asks as its keep question, where that promises more
than its customer agreed to: pending until one of the customer's admins says yes or no, by the log alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

import structlog

from recorder.auditlog.leaf_lookup import LoggedLeaf, line_leaves
from recorder.catalogue.records import KeepOptions
from recorder.lifecycle.line_history import CHANGED, ENDED
from recorder.prompts.sentences import WORDINGS

log = structlog.get_logger()

PROPOSED: Final = "line.proposed"
DROPPED: Final = "line.proposal_dropped"

_KEEP_TYPES: Final = {"keep_days": int, "purpose": str, "own_words": bool, "destroy": bool, "at_start": bool}


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
    changed, recording switched, or the line ended since. One whose leaf says what Accord never writes is
    logged as ``line.proposal_unreadable``: nobody can accept it, nor what it replaced."""
    found: dict[str, LineProposal] = {}
    for leaf in line_leaves(tenant):
        line = str(leaf.body["line"])
        if leaf.kind == PROPOSED:
            found.pop(line, None)
            try:
                found[line] = _proposal(line, leaf)
            except (KeyError, TypeError, ValueError) as error:
                about = {"tenant": tenant, "line": line, "leaf": leaf.number}
                log.error("line.proposal_unreadable", **about, error=f"{type(error).__name__}: {error}")
        elif leaf.kind in (DROPPED, ENDED) or (leaf.kind == CHANGED and _ends(leaf.body, found.get(line))):
            found.pop(line, None)
    return found


def _proposal(line: str, leaf: LoggedLeaf) -> LineProposal:
    """What a leaf proposes. Raises ``KeyError``, ``TypeError`` or ``ValueError`` for a body that Accord never
    writes."""
    ids = tuple(map(str, leaf.body["announcements"]))
    keep = _keep(leaf.body["keep"]) if "keep" in leaf.body else UNCHANGED
    return LineProposal(line, leaf.number, leaf.at, ids, leaf.body.get("person"), keep)


def _keep(data: Mapping[str, Any] | None) -> KeepOptions | None:
    """A proposed keep question. Raises ``TypeError`` or ``ValueError`` for what is none: what reads it later
    relies on the types."""
    if data is None:
        return None
    keep = KeepOptions(**data)
    for name, kind in _KEEP_TYPES.items():
        if type(getattr(keep, name)) is not kind:
            raise TypeError(f"keep.{name} is {getattr(keep, name)!r}")
    if keep.wording not in WORDINGS:
        raise ValueError(f"keep.wording is {keep.wording!r}")
    return keep


def _ends(change: Mapping[str, Any], proposal: LineProposal | None) -> bool:
    """Whether a change of a line leaves nothing of a proposal to decide."""
    if change.keys() & {"announcement", "others", "mode"}:
        return True
    return "keep" in change and proposal is not None and proposal.keep is not UNCHANGED
