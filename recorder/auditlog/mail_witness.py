"""Mails checkpoints to recipients, whose mailboxes no operator can change.

A recipient gets a log's newest checkpoint once a day. The delivery is recorded after the mail server accepted
the mail: a worker that dies in between sends it twice, but never drops it.
"""

from __future__ import annotations

import re
import tomllib
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from functools import cache
from pathlib import Path
from smtplib import SMTPRecipientsRefused

import structlog
from peewee import Expression

from recorder.auditlog.append import append, tenant_lock
from recorder.auditlog.checkpoint import newest
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.audit_log import CheckpointTable, RecipientTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import to_iso
from recorder.errors import MailError
from recorder.ids import Entropy, uuid7
from recorder.isolation import isolate_object
from recorder.mail.server import MailServer
from recorder.services import AuditLogServices

INTERVAL = timedelta(hours=23)
_ADDRESS = re.compile(r"[^\s@<>,;:\"]+@[^\s@<>,;:\"]+")

log = structlog.get_logger()


def add(tenant: str, address: str, now: datetime, entropy: Entropy) -> None:
    """Add a recipient of a tenant's checkpoints; repeating it has no effect. Raises :class:`MailError`
    (``mail.address``), :class:`recorder.errors.CatalogueError`."""
    if not _ADDRESS.fullmatch(address):
        raise MailError(
            "mail.address", f"{address!r} is not a mail address", "use one such as claire@example.com"
        )
    with tenant_lock(tenant):
        if RecipientTable.select().where(_wants(tenant) & (RecipientTable.address == address)).exists():
            return
        identity = str(uuid7(now, entropy))
        RecipientTable.create(id=identity, tenant_id=tenant, address=address, since=now)
        append(tenant, "recipient.added", {"recipient": identity, "address": address}, now, entropy)


def remove(tenant: str, address: str, now: datetime, entropy: Entropy) -> bool:
    """Remove a recipient; false if there was none."""
    with tenant_lock(tenant):
        mine = _wants(tenant) & (RecipientTable.address == address)
        row = RecipientTable.get_or_none(mine)
        if row is None:
            return False
        RecipientTable.update(until=now).where(RecipientTable.id == row.id).execute()
        append(tenant, "recipient.removed", {"recipient": row.id}, now, entropy)
    return True


def recipients(tenant: str) -> list[tuple[str, datetime | None]]:
    """The recipients of a tenant's checkpoints, each with the time of the last mail."""
    with connected():
        return [(row.address, row.sent_at) for row in RecipientTable.select().where(_wants(tenant))]


def send_due(services: AuditLogServices, server: MailServer | None, now: datetime) -> int:
    """Send new checkpoints to every recipient whose last mail is :data:`INTERVAL` old; returns the number of
    mails. A recipient whom the server refuses is reported and delays no other. Raises :class:`MailError`
    (``mail.unreachable``); the next call retries."""
    if server is None:
        return 0
    with connected():
        over = RecipientTable.sent_at.is_null() | (RecipientTable.sent_at <= now - INTERVAL)
        query = RecipientTable.select(RecipientTable.id).where(RecipientTable.until.is_null() & over)
        due = [row.id for row in query.order_by(RecipientTable.id)]
    count = 0
    for recipient in due:
        with isolate_object(services.faults, "checkpoint.mail_failed", recipient, recipient=recipient):
            count += _send_newest(recipient, services, server, now)
    return count


def _send_newest(recipient: str, services: AuditLogServices, server: MailServer, now: datetime) -> bool:
    with connected():
        row = RecipientTable.get_by_id(recipient)
    last, claim = newest(row.tenant_id), f"mail:{recipient}"
    if last is None or last.stored_at is None or last.number == row.sent_number:
        return False
    if not lease.take(claim, services.owner, now):
        return False
    try:
        _send(row, last, server, now)
    finally:
        lease.release(claim, services.owner)
    return True


def compose_mail(
    name: str, language: str, last: CheckpointTable, sender: str, address: str, now: datetime
) -> EmailMessage:
    """The mail with a checkpoint to one recipient, in the tenant's language; ``name`` is the tenant's."""
    values = {"number": last.number, "size": last.size, "at": to_iso(last.at), "name": name}
    words = _words().get(language) or _words()["en"]
    message = EmailMessage()
    message["From"], message["To"] = sender, address
    message["Subject"] = " ".join(words["subject"].format(**values).split())
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid("accord", sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(words["text"].format(**values).lstrip())
    file = f"checkpoint-{last.number}.note"
    message.add_attachment(last.note.encode(), maintype="application", subtype="octet-stream", filename=file)
    return message


def _send(row: RecipientTable, last: CheckpointTable, server: MailServer, now: datetime) -> None:
    with connected():
        tenant = TenantTable.get_by_id(row.tenant_id)
    message = compose_mail(tenant.name, tenant.language, last, server.sender, row.address, now)
    with server.open() as session:
        try:
            session.send_message(message)
        except SMTPRecipientsRefused as error:
            raise MailError(
                "mail.recipient_refused",
                f"the mail server {server.host} refuses {row.address}: {error}",
                "correct the address: `accord audit mail --help`",
            ) from error
    with writing():
        RecipientTable.update(sent_at=now, sent_number=last.number).where(
            RecipientTable.id == row.id
        ).execute()
    log.info("checkpoint.mailed", tenant=row.tenant_id, number=last.number)


def _wants(tenant: str) -> Expression:
    return (RecipientTable.tenant_id == tenant) & RecipientTable.until.is_null()


@cache
def _words() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name("mail.toml").read_text("utf-8"))
