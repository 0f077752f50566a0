"""Tells people by mail what happens to their own account."""

from __future__ import annotations

from flask_babel import force_locale

from recorder.catalogue.records import UserRow
from recorder.identity import account_mail
from web.account import devices
from web.state import load_tenant, now, panel_state


def tell(user: UserRow, kind: str, device: str = "") -> None:
    """Queue a mail of a kind (:mod:`recorder.identity.account_mail`) to a user; ``device`` is in the form
    that sessions have."""
    state = panel_state()
    with force_locale(account_mail.LOCALES.get(user.language, user.language)):
        words = devices.describe(device)
    account_mail.tell(
        state.outbox, user, load_tenant(user), kind, now=now(), entropy=state.entropy, device=words
    )
