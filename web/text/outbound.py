"""What is said of a call that a colleague made, where it differs: the external party did not call, they were
called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

OUTBOUND: Final = "outbound"

NOT_RECORDED: Mapping[str, object] = {
    "hung_up_in_announcement": _l("One of the two hung up during the announcement."),
    "hung_up_in_question": _l("One of the two hung up before a question was answered."),
    "declined": _l("The person called chose not to be recorded."),
    "no_answer": _l("The person called was asked whether the call may be recorded, and did not answer."),
    "unclear": _l(
        "The person called was asked whether the call may be recorded, and pressed keys that "
        "mean neither yes nor no."
    ),
}

GAPS: Mapping[str, object] = {
    "before_announcement_end": _l(
        "What the person called said is not kept: they had not yet heard the whole announcement."
    ),
    "ringing": _l("What the person called said is not kept: there was no connection yet."),
    "waiting": _l("The person called was waiting and not connected to anybody. None of that is kept."),
}

ANSWERED: Mapping[str, object] = {
    "yes": _l("Yes: the person called pressed the key at %(time)s."),
    "no": _l("No: the person called pressed the key at %(time)s."),
}

NUMBERS: Mapping[str, object] = {
    "before_connected": _l(
        "Outgoing calls from this number are recorded too. After answering and before being "
        "connected, the person called is informed and, where required, asked."
    ),
    "once_connected": _l(
        "Outgoing calls from this number are recorded too: both hear the announcement as soon as "
        "they are connected."
    ),
}
"""By what a line does with its outbound calls; nothing is said of a line that records none."""


def lane(channel: str) -> str:
    """Whose sound a gap concerns."""
    both = _("Both")
    return str({"left": _("The person called"), "right": _("You and announcements")}.get(channel, both))


def consent(mode: str, key: str | None, time: str | None) -> str:
    """How it was agreed to record a call of which that was asked."""
    if mode == "opt-in" and key and time is not None:
        return str(
            _(
                "The person called was asked before anything was recorded, and agreed with key %(key)s "
                "at %(time)s.",
                key=key,
                time=time,
            )
        )
    if mode == "opt-in":
        return str(_("The person called was asked before anything was recorded, and agreed."))
    return str(_("The person called was told how to refuse the recording with a key, and did not refuse."))
