"""The worker's duty for people whose code for their own call has ended: they are users no longer."""

from __future__ import annotations

from datetime import datetime

import structlog

from recorder.catalogue.database import connected
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.own_call import OwnCallTable
from recorder.features.own_call import codes
from recorder.identity import users
from recorder.isolation import isolate_object
from recorder.seal.amendment import SYSTEM
from recorder.services import Services

log = structlog.get_logger()


def revoke_ended(services: Services, now: datetime) -> int:
    """Revoke the guests whose code is over; returns how many. Rows only lead to a code: who is revoked, and
    when, is in the signed one. Raises what the catalogue raises."""
    count = 0
    for row in _opened():
        tenant, recording = row.tenant_id, row.id
        with isolate_object(
            services.faults, "own_call.not_revoked", recording, tenant=tenant, recording=recording
        ):
            code = codes.check(row, codes.changes(tenant, recording), services.trust)
            if now >= code.until:
                count += users.revoke_user(tenant, code.guest, now=now, entropy=services.entropy, by=SYSTEM)
    if count:
        log.info("own_call.guests_revoked", count=count)
    return count


def _opened() -> list[OwnCallTable]:
    """The codes whose person is a user now, by their rows."""
    with connected():
        rows = (
            OwnCallTable.select()
            .join(UserTable, on=(UserTable.id == OwnCallTable.guest_id))
            .where(UserTable.revoked_at.is_null())
            .order_by(OwnCallTable.id)
        )
        return list(rows)
