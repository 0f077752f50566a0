"""What is said of somebody who listened to a call while it went on: a supervisor, who may also have been
heard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.domain.markers import SealedName

KINDS: Final = ("supervisor_joined", "supervisor_left", "supervisor_heard")

HEARD_BY: Mapping[tuple[str, str], object] = {
    ("internal", ""): _l(
        "From here on, the colleague could also hear the person listening in. That is not in this recording."
    ),
    ("internal", "left"): _l(
        "From here on, the colleague could also hear the person listening in. That voice is in "
        "the other side’s channel."
    ),
    ("external", ""): _l(
        "From here on, the other side could also hear the person listening in. That is not in this recording."
    ),
    ("external", "right"): _l("From here on, the other side could also hear the person listening in."),
    ("both", "left"): _l(
        "From here on, both sides could also hear the person listening in. That voice is in the "
        "other side’s channel."
    ),
    ("both", "right"): _l("From here on, both sides could also hear the person listening in."),
    ("nobody", ""): _l("From here on, the person listening in could no longer be heard."),
}
"""By who heard them, and the channel that they are in then (docs/reference/formats.md)."""


def heard_by(data: Mapping[SealedName, str]) -> str:
    """What :func:`eavesdropping` needs to know of a marker's data, in a word."""
    return f"{data.get('heard_by', '')} {data.get('channel', '')}".strip()


def eavesdropping(kind: str, how: str) -> str:
    """That somebody listened, did so no more, or was heard."""
    if kind == "supervisor_joined":
        return str(_("Somebody started listening in."))
    if kind == "supervisor_left":
        return str(_("The person listening in stopped."))
    who, _between, lane = how.partition(" ")
    return str(HEARD_BY.get((who, lane)) or _("From here on, the person listening in could also be heard."))
