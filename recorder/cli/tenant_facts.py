"""What `accord tenant show` says about a tenant besides its settings."""

from __future__ import annotations

from recorder.catalogue.records import TenantRow
from recorder.cli.output import Record, fields_of
from recorder.clock import utc_now
from recorder.features.provider.customer_facts import read_facts
from recorder.seal.revocation import Trust


def facts_record(row: TenantRow, trust: Trust) -> Record:
    """Numbers, people, invitations, the last call, and what does not work, as the provider's console has
    them."""
    facts = read_facts(row, trust, utc_now())
    return {
        "last_call_at": facts.last_call_at,
        "numbers": [
            {
                **fields_of(each.line, "number", "label"),
                "recorded": each.line.recorded,
                "suspended": each.suspension is not None,
                "last_call_at": each.last_call_at,
            }
            for each in facts.numbers
        ],
        "members": [
            fields_of(each, "name", "address", "role", "logged_in_at", "second_factor")
            for each in facts.people
        ],
        "invitations": [fields_of(each, "name", "address", "role", "until") for each in facts.invited],
        "problems": [fields_of(each, "code", "number", "at", "cause", "reason") for each in facts.problems],
    }
