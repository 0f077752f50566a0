"""What the provider proposed to a customer and is not answered yet, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recorder.catalogue import queries
from recorder.catalogue.records import LineRow, TenantRow
from recorder.features.tenants import setup
from recorder.lifecycle.line_proposals import LineProposal, find_proposals
from web.text.proposals import SettingChange, proposed_changes


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A proposal that waits for the customer's answer."""

    line: LineRow
    proposal: LineProposal
    changes: Sequence[SettingChange]


def pending_changes(tenant: TenantRow) -> list[PendingChange]:
    """What was proposed to a customer and is not answered yet."""
    proposals = find_proposals(tenant.id)
    rows = {row.id: row for row in queries.announcements(tenant.id)} if proposals else {}
    found = []
    for line in queries.lines(tenant.id) if proposals else ():
        proposal = proposals.get(line.id)
        if proposal is not None and rows.keys() >= {*line.announcements, *proposal.announcements}:
            before = setup.settings_of([rows[each] for each in line.announcements])
            after = setup.settings_of([rows[each] for each in proposal.announcements])
            found.append(PendingChange(line, proposal, proposed_changes(line, proposal, before, after)))
    return found
