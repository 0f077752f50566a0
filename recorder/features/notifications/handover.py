"""Tells a colleague that somebody asked them to handle what recordings are kept for: one mail, however many
they are."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog

from recorder.catalogue.records import TenantRow, UserRow
from recorder.errors import MailError, SealError
from recorder.identity import users
from recorder.ids import Entropy
from recorder.mail.message import MailMessage
from recorder.mail.outbox import Outbox
from recorder.seal.revocation import Trust

KIND: Final = "handed_over"

PATH: Final = "/recordings?handed=yes"

log = structlog.get_logger()


def tell_handler(
    person: UserRow,
    by: UserRow,
    tenant: TenantRow,
    number: int,
    outbox: Outbox,
    trust: Trust,
    now: datetime,
    entropy: Entropy,
) -> bool:
    """Queue a mail to whom a number of recordings was handed; it names no call and nobody who called. False
    where none is sent, or if the person's row is not as it was signed."""
    values = {"name": person.name, "colleague": by.name, "customer": tenant.name, "count": str(number)}
    message = MailMessage(KIND, person.language, values, PATH)
    try:
        users.require_signed(person, trust)
        return outbox.enqueue(
            person.tenant, person.login, message, now, entropy, about=person.id, replaces=False
        )
    except SealError as error:
        log.error("notification.recipient_refused", user=person.id, error_id=error.error_id)
    except MailError as error:  # a log-in that is no address
        log.info("notification.mail_failed", user=person.id, error_id=error.error_id)
    return False
