"""What the pages of the provider's people say."""

from __future__ import annotations

from datetime import date
from typing import Final

from flask_babel import format_date

from recorder.features.fleet.service import BEHIND, DISK_FILLS, FINE, SILENT, UNWATCHED
from recorder.features.provider.service import ACTIVE, EMPTY, INVITED, LEAVING, LEFT, Customer
from recorder.lifecycle.plans import plans
from web.language import current_language
from web.text import formats
from web.text.sentences import sentence

KINDS: Final = {ACTIVE: "good", INVITED: "", EMPTY: "", LEAVING: "warn", LEFT: ""}
"""The kind of the badge of a state."""

NODE_KINDS: Final = {FINE: "good", SILENT: "wrong", UNWATCHED: "wrong", BEHIND: "warn", DISK_FILLS: "warn"}
"""The kind of the badge of a node's state."""


def state(customer: Customer) -> str:
    """A customer's state."""
    day = "" if customer.at is None else formats.date(customer.at)
    return sentence("customer_state", customer.state, day=day)


def plan(code: str) -> str:
    """A plan's name."""
    found = plans().get(code)
    return code if found is None else found.name(current_language())


def month(first: date) -> str:
    """A month with its year."""
    return str(format_date(first, "LLLL y"))
