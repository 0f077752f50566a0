"""Sentences of the call page: who joined, who listened, and what the badges say."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.playback.call_history import (
    COPIED,
    DOWNLOADED,
    HANDED_OVER,
    WAS_REFUSED,
    HistoryEntry,
)
from web.text import errors, formats

JOINED: Mapping[tuple[str, str], object] = {
    ("participant_joined", "internal"): _l("A colleague joined the call."),
    ("participant_joined", "external"): _l("Somebody from outside joined the call."),
    ("participant_joined", ""): _l("Somebody joined the call."),
    ("participant_left", "internal"): _l("The colleague who had joined has left."),
    ("participant_left", "external"): _l("The person from outside who had joined has left."),
    ("participant_left", ""): _l("The person who had joined has left."),
}
"""By the marker's kind and the side of the person."""


def joined(kind: str, who: str) -> str:
    """That somebody joined or left the call."""
    return str(JOINED.get((kind, who)) or JOINED[kind, ""])


def history_entry(entry: HistoryEntry) -> str:
    """What somebody did with a recording."""
    if entry.how == WAS_REFUSED:
        return str(_("Was refused: %(why)s", why=errors.error(entry.reason)))
    if entry.how == DOWNLOADED:
        return str(_("Downloaded it"))
    if entry.how == COPIED:
        return str(_("Sent a copy to the person who was recorded"))
    if entry.how == HANDED_OVER:
        return str(_("Downloaded it with all of the company’s recordings"))
    if entry.heard_ms is not None:
        return str(_("Listened to %(length)s", length=formats.duration(entry.heard_ms)))
    return str(_("Is listening") if entry.open else _("Opened the sound"))


def no_agreement(answer: str | None) -> str:
    """The badge of a recording that nobody agreed to keep."""
    if answer == "no":
        return str(_("Agreed not to keep it longer"))
    return str(_("Asked, no answer") if answer == "none" else _("Not asked whether to keep it"))
