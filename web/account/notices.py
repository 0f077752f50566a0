"""Mails to a person about their own account, so that they notice what somebody else does with it."""

from __future__ import annotations

import structlog
from babel.dates import format_datetime
from flask_babel import force_locale

from recorder.catalogue.records import UserRow
from recorder.domain import time_zones
from recorder.errors import MailError
from recorder.mail.message import MailMessage
from web.account import devices
from web.language import LOCALES
from web.state import load_tenant, now, panel_state

NEW_DEVICE = "new_device"
PASSWORD_CHANGED = "password_changed"  # noqa: S105, a kind
FACTORS_CHANGED = "factors_changed"

log = structlog.get_logger()


def tell(user: UserRow, kind: str, device: str = "") -> None:
    """Queue a mail of a kind to a user, in their language; none where no mail is sent, or where the log-in is
    no mail address. ``device`` is in the form that sessions have."""
    state, language = panel_state(), user.language
    locale = LOCALES.get(language, language)
    zone = time_zones.display_zone(load_tenant(user).time_zone)
    with force_locale(locale):
        said = {"name": user.name, "login": user.login, "device": devices.describe(device)}
    said["time"] = format_datetime(now(), "long", tzinfo=zone, locale=locale)
    try:
        message = MailMessage(kind, language, said, "/account")
        state.outbox.enqueue(user.tenant, user.login, message, now(), state.entropy, about=user.id)
    except MailError as error:
        log.info("account.not_told", user=user.id, kind=kind, error_id=error.error_id)
