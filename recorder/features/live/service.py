"""Commands that people give for live calls, and their outcomes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from recorder.auditlog.append import append
from recorder.call.remote_commands import COMMANDS
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.live_call import LiveCommandTable
from recorder.clock import truncate
from recorder.domain.call_events import DELETE
from recorder.domain.live_command import UNKNOWN
from recorder.features.live import queries
from recorder.ids import Entropy, uuid7
from recorder.seal.command import SignedCommand, write
from recorder.seal.signing import Signer


def request_command(
    tenant: str,
    call_id: str,
    what: str,
    *,
    by: str,
    who: str,
    now: datetime,
    entropy: Entropy,
    signer: Signer | None = None,
    scope: Collection[str] | None = None,
) -> queries.CommandRow | None:
    """Request a command for a tenant's call: ``by`` (panel, api) is the origin, ``who`` the user's or token's
    id. ``signer`` signs the command; no worker carries out an unsigned one. ``scope`` are
    the only lines whose calls they may command. ``None`` if the tenant has no such live call, or its line
    does not allow the command. Raises ``ValueError`` for an unknown command,
    :class:`recorder.errors.SealError` for a key that is not endorsed for commands."""
    if what not in COMMANDS:
        raise ValueError(f"{what!r} is no command for a call")
    with writing():
        call = queries.live_call(tenant, call_id, now, scope)
        if call is None or (what == DELETE and not call.deletable):
            return None
        until = truncate(now + queries.DEADLINE)
        command = SignedCommand(tenant, str(uuid7(now, entropy)), call_id, what, by, who, until)
        row = LiveCommandTable.create(
            id=command.id, tenant_id=tenant, call_id=call_id, node=call.node, action=what, by_kind=by,
            by_id=who, requested_at=now, until=until,
            command=None if signer is None else write(command, signer, now),
        )  # fmt: skip
        body = {"command": row.id, "call": call_id, "action": what, "by": by, "actor": who}
        append(tenant, "command.requested", body, now, entropy, recording=call_id)
    return queries.command_row(row)


def find_command(tenant: str, command_id: str, now: datetime, entropy: Entropy) -> queries.CommandRow | None:
    """A tenant's command and its outcome so far. A command that no node has taken in time expires."""
    with connected():
        row = LiveCommandTable.get_or_none(
            (LiveCommandTable.tenant_id == tenant) & (LiveCommandTable.id == command_id)
        )
        if row is not None and row.outcome is None and row.taken_at is None and row.until <= now:
            queries.expire_command(row, now, entropy)
            row = LiveCommandTable.get_or_none(
                (LiveCommandTable.tenant_id == tenant) & (LiveCommandTable.id == command_id)
            )
    if row is None:
        return None
    found = queries.command_row(row)
    if found.outcome is None and now > found.until + queries.SILENT:
        return replace(found, outcome=UNKNOWN)
    return found
