"""What a page leaves out because its data cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import lazy_gettext as _l

from recorder.fault_log import FaultLog

LEFT_OUT: Final[Mapping[str, object]] = {
    "line.unreadable": _l("The data of a number is damaged: it is not shown. Ask your provider."),
    "announcement.unreadable": _l(
        "The data of an announcement is damaged: it is not shown. Ask your provider."
    ),
    "invitation.unreadable": _l("The data of an invitation is damaged: it is not shown. Ask your provider."),
    "call.unreadable": _l("The data of a call is damaged: it is not shown. Ask your provider."),
    "hold.unreadable": _l(
        "The data of a call that is kept for a difference is damaged: "
        "it is not shown here. Ask your provider."
    ),
    "dispute.unreadable": _l("The data of a difference is damaged: it is not shown. Ask your provider."),
}
"""By the event that the fault is reported as."""


def left_out(faults: FaultLog) -> list[str]:
    """A sentence for each kind of thing that a page leaves out."""
    return [str(sentence) for event, sentence in LEFT_OUT.items() if faults.lasts(event)]
