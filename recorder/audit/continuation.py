"""Continues a log that was cut: after a restore or a rebuild, the catalogue knows less than was signed.

Nothing that was signed is undone: the bucket's checkpoints stay, the next one names the last of them and
starts another epoch, and the log itself records that and why. Every later audit reports it.
"""

from __future__ import annotations

from datetime import datetime

from recorder.audit.checkpoints import Signed
from recorder.auditlog import checkpoint
from recorder.auditlog.append import append, lock_tenant
from recorder.auditlog.checkpoint import place_of
from recorder.catalogue.database import writing
from recorder.catalogue.tables.audit_log import CheckpointTable, RecipientTable, SubtreeTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import LedgerError
from recorder.seal.signing import CHECKPOINT
from recorder.services import Services


def begin(tenant: str, because: str, services: Services, now: datetime) -> int:
    """Start the next epoch of a tenant's log, and sign it; returns the checkpoint's number.

    Raises :class:`LedgerError` (``audit_log.continuous``: there is no need; ``audit_log.untrusted``),
    ``SealError``, ``StoreError``, :class:`recorder.errors.CatalogueError`.
    """
    signed = Signed(tenant, services.root, now)
    signed.read(services.store)
    if _goes_on(tenant, services, now):
        raise LedgerError(
            "audit_log.continuous", "the log continues what was signed: there is nothing to restart", ""
        )
    last = signed.heads[-1] if signed.heads else None
    number, size = (last.number, last.size) if last else (0, 0)
    services.signer.endorsement.check(services.root, CHECKPOINT, now)
    if number != signed.newest or (last is not None and now <= last.at):
        raise LedgerError(
            "audit_log.untrusted",
            f"the newest checkpoint is number {signed.newest}, and it cannot be continued now",
            "`accord audit` says what is wrong with it; if a clock was ahead, wait until that time",
        )
    with writing():
        lock_tenant(tenant)
        for head in signed.heads:
            _as_signed(head.number, signed.notes[head.number], signed, now)
        epoch = 1 + (last.epoch if last else int(TenantTable.get_by_id(tenant).log_epoch))
        TenantTable.update(log_epoch=epoch).where(TenantTable.id == tenant).execute()
        SubtreeTable.delete().where(SubtreeTable.tenant_id == tenant).execute()
        mine = (RecipientTable.tenant_id == tenant) & (RecipientTable.sent_number > number)
        RecipientTable.update(sent_number=None).where(mine).execute()
        said = {
            "epoch": epoch,
            "checkpoint": number + 1,
            "reason": because,
            "size_before": size,
            "root_before": last.root.hex() if last else "",
        }
        append(tenant, "log.restarted", said, now, services.entropy)
    services.checkpoints_seen.pop(tenant, None)
    checkpoint.sign(tenant, services, now)
    checkpoint.publish(tenant, services, now)
    return number + 1


def _goes_on(tenant: str, services: Services, now: datetime) -> bool:
    try:
        checkpoint.check(tenant, services, now)
    except LedgerError as error:
        if error.error_id == "audit_log.clock":
            raise
        return False
    return True


def _as_signed(number: int, text: str, signed: Signed, now: datetime) -> None:
    """Copy a checkpoint from the bucket into the catalogue."""
    head = next(each for each in signed.heads if each.number == number)
    mine = (CheckpointTable.tenant_id == head.tenant) & (CheckpointTable.number == number)
    row = CheckpointTable.get_or_none(mine)
    if row is not None and row.note == text:
        return
    CheckpointTable.delete().where(mine).execute()
    CheckpointTable.create(
        id=f"{head.tenant}/{number}",
        tenant_id=head.tenant,
        number=number,
        epoch=head.epoch,
        size=head.size,
        root=head.root.hex(),
        at=head.at,
        note=text,
        place=place_of(head.tenant, number),
        stored_at=now,
    )
