"""Sends queued mail, one worker at a time.

A mail is deleted from the queue after the mail server accepted it: a worker that dies in between sends it
twice, with the same Message-ID, but never drops it.
"""

from __future__ import annotations

import smtplib
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

import structlog

from recorder.catalogue.database import connected, writing
from recorder.catalogue.row_reader import read_rows
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.outgoing_mail import OutgoingMailTable
from recorder.errors import MailError, SealError
from recorder.fault_log import FaultLog
from recorder.mail.message import LOGO
from recorder.mail.outbox import QueuedMail, is_for_now, open_mail
from recorder.mail.server import MailServer
from recorder.services import Services

PAGE: Final = 100
"""Mails sent in one turn at most."""

LEASE: Final = "outgoing mail"

FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(minutes=10)

_LOGO_ID: Final = "logo@accord"

_LOGO_PICTURE: Final = (
    f'<img src="cid:{_LOGO_ID}" alt="" height="32" style="height:32px;max-width:160px;vertical-align:middle;'
    'margin:0 12px 0 0">'
)
"""Beside the provider's name, so that it needs no text of its own."""

log = structlog.get_logger()


def send_due(
    services: Services,
    server: MailServer | None,
    seconds: float = 45.0,
    elapsed: Callable[[], float] = time.monotonic,
) -> int:
    """Send what is due, and delete what is too old; stop after ``seconds``. Returns the number of mails sent.
    Raises :class:`MailError` (``mail.unreachable``): each mail is tried again after a growing pause."""
    now, end = services.now(), elapsed() + seconds
    _drop_old(now)
    if server is None or not _due(now, 1, services.faults) or not lease.take(LEASE, services.owner, now):
        return 0
    pending, count = _due(now, PAGE, services.faults), 0
    try:
        with server.open() as session:
            while pending and elapsed() < end:
                count += _send(pending[0], session, server, services, now)
                pending.pop(0)
    except MailError:
        for row in pending:
            _postpone(row, now)
        raise
    finally:
        lease.release(LEASE, services.owner)
    return count


def oldest_waiting(now: datetime) -> timedelta | None:
    """How long the oldest mail that is neither sent nor refused has waited; ``None`` if none waits."""
    with connected():
        query = OutgoingMailTable.select(OutgoingMailTable.created_at, OutgoingMailTable.send_from)
        rows = list(query.where(OutgoingMailTable.refused.is_null() & is_for_now(now)))
    return max((now - (row.send_from or row.created_at) for row in rows), default=None)


def compose(mail: QueuedMail, identity: str, server: MailServer, now: datetime) -> EmailMessage:
    """The mail as it is sent: plain text, with HTML as the alternative. The logo is a part of it (RFC 2387):
    mail programs do not load pictures from elsewhere before they are asked to."""
    local, _, domain = server.sender.rpartition("@")
    message = EmailMessage()
    message["From"] = Address(server.sender_name, local, domain)
    message["To"] = mail.address
    message["Subject"] = mail.content.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{identity}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.content.text)
    if not server.logo:
        message.add_alternative(mail.content.html, subtype="html")
        return message
    page = EmailMessage()
    page.set_content(mail.content.html.replace(LOGO, _LOGO_PICTURE), subtype="html")
    page.add_related(server.logo, "image", "png", cid=f"<{_LOGO_ID}>", disposition="inline")
    message.make_alternative()
    message.attach(page)
    return message


def _send(
    row: OutgoingMailTable, session: smtplib.SMTP, server: MailServer, services: Services, now: datetime
) -> bool:
    """Send a mail; whether the server accepted it. Errors that concern the server, not this mail, are
    raised."""
    try:
        mail = open_mail(row, services.keyring)
    except SealError as error:
        log.error("mail.forged", mail=row.id, error=error.message, hint=error.hint)
        _drop(row)
        return False
    if mail.until <= now:
        _drop(row)
        return False
    try:
        session.send_message(compose(mail, row.id, server, now))
    except smtplib.SMTPRecipientsRefused as error:
        _refuse(row, next(iter(error.recipients.values()))[0], now)
        return False
    except smtplib.SMTPDataError as error:
        _refuse(row, error.smtp_code, now)
        return False
    _drop(row)
    log.info("mail.sent", mail=row.id, kind=row.kind, tenant=row.tenant_id)
    return True


def _refuse(row: OutgoingMailTable, code: int, now: datetime) -> None:
    """The server refused this mail: for good (5xx), so that it stays in the queue, empty, until it would be
    too old, and pages can say so; or for now (greylisting, a full mailbox)."""
    if code < 500:
        _postpone(row, now)
        return
    with writing():
        change = {"refused": str(code), "content": ""}
        OutgoingMailTable.update(change).where(OutgoingMailTable.id == row.id).execute()
    log.warning("mail.refused", mail=row.id, kind=row.kind, tenant=row.tenant_id, code=code)


def _postpone(row: OutgoingMailTable, now: datetime) -> None:
    pause = min(FIRST_PAUSE * 2 ** min(row.attempts, 10), LONGEST_PAUSE)
    with writing():
        change = {"attempts": OutgoingMailTable.attempts + 1, "next_at": now + pause}
        OutgoingMailTable.update(change).where(OutgoingMailTable.id == row.id).execute()


def _due(now: datetime, limit: int, faults: FaultLog) -> list[OutgoingMailTable]:
    """Mails to send, in order. One that is postponed by more than a pause, and not to be sent later, was
    written by a clock that had jumped ahead."""
    jumped = (OutgoingMailTable.next_at > now + 2 * LONGEST_PAUSE) & is_for_now(now)
    early = (OutgoingMailTable.next_at <= now) | jumped
    with connected():
        query = OutgoingMailTable.select().where(OutgoingMailTable.refused.is_null() & early)
        query = query.order_by(OutgoingMailTable.next_at, OutgoingMailTable.id).limit(limit)
        return read_rows(query, lambda row: row, faults, "mail.unreadable")


def _drop(row: OutgoingMailTable) -> None:
    with writing():
        OutgoingMailTable.delete().where(OutgoingMailTable.id == row.id).execute()


def _drop_old(now: datetime) -> None:
    old = OutgoingMailTable.until <= now
    with connected():
        if not OutgoingMailTable.select().where(old).exists():
            return
    with writing():
        OutgoingMailTable.delete().where(old).execute()
    log.warning("mail.expired")
