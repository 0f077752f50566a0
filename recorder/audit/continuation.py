"""Restarts a log after a restore or a rebuild, when the catalogue has fewer leaves than were signed.

No signature is undone: the bucket's checkpoints stay, the next one names the last of them and begins a new
epoch, and the log itself records that and the reason. Every later audit reports it.
"""

from __future__ import annotations

from datetime import datetime

from recorder.audit.checkpoints import CheckpointAudit
from recorder.auditlog import checkpoint
from recorder.auditlog.append import append, tenant_lock
from recorder.auditlog.signed_note import Head
from recorder.catalogue.tables.audit_log import CheckpointTable, RecipientTable, SubtreeTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import AuditLogError
from recorder.seal.signing import CHECKPOINT
from recorder.services import AuditLogServices


def restart_log(tenant: str, because: str, services: AuditLogServices, now: datetime) -> int:
    """Start the next epoch of a tenant's log, and sign it; returns the checkpoint's number. ``because`` is
    the operator's reason, which every later audit reports.

    Raises :class:`AuditLogError` (``audit_log.continuous``: there is no need; ``audit_log.untrusted``),
    ``SealError``, ``StoreError``, :class:`recorder.errors.CatalogueError`.
    """
    signed = CheckpointAudit(tenant, services.root, now)
    signed.read(services.store)
    if _is_continuous(tenant, services, now):
        raise AuditLogError(
            "audit_log.continuous",
            "the log continues its last checkpoint, so there is nothing to reopen",
            "run `accord audit run`; reopen a log only if it reports that signed leaves are missing",
        )
    last = signed.heads[-1] if signed.heads else None
    number, size = (last.number, last.size) if last else (0, 0)
    services.signer.endorsement.check(services.root, CHECKPOINT, now)
    if number != signed.newest or (last is not None and now <= last.at):
        raise AuditLogError(
            "audit_log.untrusted",
            f"the newest checkpoint is number {signed.newest}, and it cannot be continued now",
            "run `accord audit run` to see what is wrong with it; if a clock was ahead, wait until its time",
        )
    with tenant_lock(tenant):
        for head in signed.heads:
            _copy_checkpoint(head, signed.notes[head.number], now)
        epoch = 1 + (last.epoch if last else int(TenantTable.get_by_id(tenant).log_epoch))
        TenantTable.update(log_epoch=epoch).where(TenantTable.id == tenant).execute()
        SubtreeTable.delete().where(SubtreeTable.tenant_id == tenant).execute()
        mine = (RecipientTable.tenant_id == tenant) & (RecipientTable.sent_number > number)
        RecipientTable.update(sent_number=None).where(mine).execute()
        body = {
            "epoch": epoch,
            "checkpoint": number + 1,
            "reason": because,
            "size_before": size,
            "root_before": last.root.hex() if last else "",
        }
        append(tenant, "log.restarted", body, now, services.entropy)
    services.checkpoints_seen.pop(tenant, None)
    checkpoint.sign(tenant, services, now)
    checkpoint.publish(tenant, services, now)
    return number + 1


def _is_continuous(tenant: str, services: AuditLogServices, now: datetime) -> bool:
    try:
        checkpoint.check_continuity(tenant, services, now)
    except AuditLogError as error:
        if error.error_id == "audit_log.clock":
            raise
        return False
    return True


def _copy_checkpoint(head: Head, note: str, now: datetime) -> None:
    """Make the catalogue's row of a checkpoint what the bucket has."""
    mine = (CheckpointTable.tenant_id == head.tenant) & (CheckpointTable.number == head.number)
    row = CheckpointTable.get_or_none(mine)
    if row is not None and row.note == note:
        return
    CheckpointTable.delete().where(mine).execute()
    checkpoint.insert(head, note, stored_at=now)
