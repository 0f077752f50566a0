"""What notifications are called, and how they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.features.notifications.rules import (
    ARCHIVE,
    BY_MAIL,
    HOLD,
    IMPORT,
    LEGAL_DUTY,
    LINE_STOPPED,
    NOT_AT_ALL,
    NOT_RECORDED,
    ON_PAGE,
    RECORDED_AGAIN,
    REQUEST,
    REVIEW,
    SWITCHED_ON,
    WORK,
    Notification,
)
from web.text import formats

KINDS: Final[Mapping[str, object]] = {
    NOT_RECORDED: _l("A number is not recorded"),
    WORK: _l("An import or export ends"),
    REVIEW: _l("A review is due"),
}
"""What an admin can be told of, on their account page."""

CHANNELS: Final[Mapping[str, object]] = {
    BY_MAIL: _l("By mail and on the page"),
    ON_PAGE: _l("Only on the page"),
    NOT_AT_ALL: _l("Not at all"),
}

TITLES: Final[Mapping[str, object]] = {
    IMPORT: _l("Import"),
    ARCHIVE: _l("Archive of your recordings"),
    HOLD: _l("Kept for a difference"),
    REQUEST: _l("Privacy request"),
    LEGAL_DUTY: _l("Privacy request"),
}
"""By cause, where it is about no number."""

ACTIONS: Final[Mapping[str, object]] = {
    ARCHIVE: _l("Go to the download"),
    HOLD: _l("Open the call"),
    REQUEST: _l("Open the request"),
    LEGAL_DUTY: _l("Open the request"),
}
"""What the link of a notification says, by cause; those about a number lead to its calls or settings."""


def notification_title(row: Notification, lines: Mapping[str, tuple[str, str]]) -> str:
    """What a notification is about: a number, or the name of the work."""
    if row.line is not None:
        return formats.line_name(*lines.get(row.line, ("–", "")))
    return str(TITLES[row.cause])


def notification_state(row: Notification) -> tuple[str, str]:
    """How it stands, and the kind of its badge."""
    if row.kind == NOT_RECORDED:
        ends: Mapping[str | None, tuple[str, str]] = {
            RECORDED_AGAIN: (_("Recorded again"), "good"),
            SWITCHED_ON: (_("Switched on again"), "good"),
            LINE_STOPPED: (_("No longer to be recorded"), ""),
        }
        return ends.get(row.outcome, (_("Not recorded"), "wrong"))
    if row.ended_at is None:
        return _("To review"), "warn"
    return (_("Finished") if row.kind == WORK else _("Done")), "good"


def notification_time(row: Notification) -> str:
    """When it was, or since when it is, in the customer's time zone."""
    since = formats.moment(row.since)
    if row.ended_at is None:
        return str(_("Since %(time)s", time=since))
    if row.outcome is None:
        return since
    return str(_("From %(time)s to %(end)s", time=since, end=formats.moment(row.ended_at)))
