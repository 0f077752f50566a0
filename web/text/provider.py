"""What the pages of the provider's people say."""

from __future__ import annotations

from datetime import date
from typing import Final

from flask_babel import format_date
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.features.fleet.service import BEHIND, DISK_FILLS, FINE, SILENT, UNWATCHED
from recorder.features.provider.service import ACTIVE, EMPTY, INVITED, LEAVING, LEFT, Customer
from recorder.lifecycle.plans import plans
from web.language import current_language
from web.text import formats

KINDS: Final = {ACTIVE: "good", INVITED: "", EMPTY: "", LEAVING: "warn", LEFT: ""}
"""The kind of the badge of a state."""

NODE_STATES: Final = {
    FINE: (_l("Records calls"), "good"),
    SILENT: (_l("No report"), "wrong"),
    UNWATCHED: (_l("Does not record"), "wrong"),
    BEHIND: (_l("Falling behind"), "warn"),
    DISK_FILLS: (_l("Disk almost full"), "warn"),
}
"""What is said of a node in a state, and the kind of its badge."""

_STATES: Final = {
    ACTIVE: _l("Active"),
    INVITED: _l("Invited"),
    EMPTY: _l("Nobody has access"),
}


def state(customer: Customer) -> str:
    """A customer's state."""
    if customer.at is None:
        return str(_STATES[customer.state])
    day = formats.date(customer.at)
    return str(_("Left on %(day)s", day=day) if customer.state == LEFT else _("Leaves on %(day)s", day=day))


def plan(code: str) -> str:
    """A plan's name."""
    found = plans().get(code)
    return code if found is None else found.name(current_language())


def month(first: date) -> str:
    """A month with its year."""
    return str(format_date(first, "LLLL y"))
