"""What notifications are called, and how they stand."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _

from recorder.features.notifications.rules import (
    DISPUTE_NEWS,
    HANDOVER,
    LINE_STOPPED,
    NOT_RECORDED,
    RECORDED_AGAIN,
    SWITCHED_ON,
    WORK,
    Notification,
)
from recorder.features.notifications.sentences import CauseSentences
from web.text import formats
from web.text.sentences import plural, sentence


def notification_title(row: Notification, lines: Mapping[str, tuple[str, str]]) -> str:
    """What a notification is about: a number, or the name of the work."""
    if row.line is not None:
        return formats.line_name(*lines.get(row.line, ("–", "")))
    return sentence("notification_title", row.cause)


def explain_handover(row: Notification) -> CauseSentences:
    """What others asked the reader to handle, and what to do."""
    why = plural("handed_to_you", int(row.data["number"]))
    return CauseSentences(why, _("Listen, and release what is no longer needed: it then leaves this list."))


def notification_state(row: Notification) -> tuple[str, str]:
    """How it stands, and the kind of its badge."""
    if row.kind == HANDOVER:
        return _("To do"), "warn"
    if row.kind == DISPUTE_NEWS:
        return sentence("notification_title", DISPUTE_NEWS), ""
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
    if row.kind == DISPUTE_NEWS:
        return since
    if row.ended_at is None:
        return str(_("Since %(time)s", time=since))
    if row.outcome is None:
        return since
    return str(_("From %(time)s to %(end)s", time=since, end=formats.moment(row.ended_at)))
