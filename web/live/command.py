"""Sends a command to a live call and waits for its outcome; shared by the panel and the API."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final

from recorder.call.remote_commands import COMMANDS
from recorder.domain.roles import ADMIN, CUSTOMER
from recorder.features.live import service
from recorder.features.live.queries import CommandRow
from web.state import changes, now, panel_state, release_connection

CONTROL_ROLES: Final = frozenset({ADMIN, CUSTOMER})
"""Roles that may send commands to calls; permission to view and listen is not enough."""

POLL_INTERVAL: Final = 0.1
"""Seconds between two checks for an outcome."""


def run_command(
    tenant: str,
    call_id: str,
    command: str,
    *,
    by: str,
    who: str,
    scope: Collection[str] | None = None,
) -> CommandRow | None:
    """Send a command and wait up to ``patience`` seconds (:class:`web.config.WebConfig`) for its outcome,
    which is still ``None`` after that.  Returns ``None`` if the tenant has no such call or the command is
    unknown."""
    if command not in COMMANDS:
        return None
    entropy = panel_state().entropy
    signer = changes().signer
    row = service.request_command(
        tenant,
        call_id,
        command,
        by=by,
        who=who,
        now=now(),
        entropy=entropy,
        signer=signer,
        scope=scope,
    )
    if row is None:
        return None
    release_connection()
    until = time.monotonic() + panel_state().config.patience
    while row.outcome is None and time.monotonic() < until:
        time.sleep(POLL_INTERVAL)
        row = service.find_command(tenant, row.id, now(), entropy) or row
    return row
