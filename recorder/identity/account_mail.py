"""Mails to a person about their own account, so that they notice what somebody else does with it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog
from babel.dates import format_datetime

from recorder.catalogue.records import TenantRow, UserRow
from recorder.domain import time_zones
from recorder.domain.written_dates import write_first
from recorder.errors import MailError
from recorder.ids import Entropy
from recorder.mail.message import MailMessage
from recorder.mail.outbox import Outbox

NEW_DEVICE: Final = "new_device"
PASSWORD_CHANGED: Final = "password_changed"  # noqa: S105, a kind
FACTORS_CHANGED: Final = "factors_changed"
FACTORS_RESET_REQUESTED: Final = "factors_reset_requested"
FACTORS_RESET: Final = "factors_reset"

KINDS: Final = (NEW_DEVICE, PASSWORD_CHANGED, FACTORS_CHANGED, FACTORS_RESET_REQUESTED, FACTORS_RESET)

LOCALES: Final = {"en": "en_GB"}
"""Locales that differ from the bare language code."""

log = structlog.get_logger()


def tell(
    outbox: Outbox,
    user: UserRow,
    tenant: TenantRow,
    kind: str,
    *,
    now: datetime,
    entropy: Entropy,
    device: str = "",
) -> bool:
    """Queue a mail of a kind to a user, in their language; false where no mail is sent, or where the log-in
    is no mail address. ``device`` is in words."""
    zone, locale = time_zones.display_zone(tenant.time_zone), LOCALES.get(user.language, user.language)
    values = {"name": user.name, "login": user.login, "device": device}
    values["time"] = write_first(format_datetime(now, "long", tzinfo=zone, locale=locale), user.language)
    message = MailMessage(kind, user.language, values, "/account")
    try:
        return outbox.enqueue(user.tenant, user.login, message, now, entropy, about=user.id)
    except MailError as error:
        log.info("account.notice_failed", user=user.id, kind=kind, error_id=error.error_id)
        return False
