"""Asking something of a live call, and waiting for what comes of it: for the panel and for programs."""

from __future__ import annotations

import time
from typing import Final

from recorder.call.remote_commands import COMMANDS
from recorder.domain.roles import ADMIN, CUSTOMER
from recorder.features.live import queries
from recorder.features.live.queries import AskedRow
from web.state import changes, here, let_go, now

CONTROLLING: Final = frozenset({ADMIN, CUSTOMER})
"""Roles that may ask something of a call: who may look and listen is not thereby one of them."""

LOOK: Final = 0.1
"""Seconds between two looks whether there is an answer."""


def ask(tenant: str, call_id: str, what: str, *, by: str, who: str) -> AskedRow | None:
    """Ask, and wait as long as the settings say; still open where there is no answer then, ``None`` where
    there is no such call of theirs, or that cannot be asked of it."""
    if what not in COMMANDS:
        return None
    entropy = here().entropy
    signer = changes().signer
    row = queries.ask(tenant, call_id, what, by=by, who=who, now=now(), entropy=entropy, signer=signer)
    if row is None:
        return None
    let_go()
    until = time.monotonic() + here().config.patience
    while row.outcome is None and time.monotonic() < until:
        time.sleep(LOOK)
        row = queries.asked(tenant, row.id, now(), entropy) or row
    return row
