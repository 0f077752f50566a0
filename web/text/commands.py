"""Sentences about what was asked of a live call."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.domain.live_command import DONE
from recorder.features.live.queries import CommandRow

SUCCESSES: Mapping[str, object] = {
    "pause": _l("Paused: what is said now is not recorded."),
    "resume": _l("Recording again."),
    "mark": _l("Moment marked. You will find it in the recording."),
    "delete": _l("Stopped. The recording is destroyed, and both of you are told."),
}
"""By what was asked."""

FAILURES: Mapping[str, object] = {
    "no_answer": _l("That did not work: the recorder did not answer."),
    "no_switch": _l("That did not work: the telephone system cannot be reached right now."),
    "unknown": _l("The recorder did not answer, so it is unclear whether that worked. Check the call below."),
    "not_announced": _l("Not yet: the announcement is still playing."),
    "not_recorded": _l("That did not work: this call is no longer recorded."),
    "ended": _l("That did not work: this call is over."),
    "not_allowed": _l("That did not work: on this number, recordings cannot be destroyed during the call."),
    "busy": _l("Not now: a message is playing, or the call is on hold. Try again."),
    "not_paused": _l("That did not work: the recording was not paused."),
}
"""By what came of it (:mod:`recorder.domain.live_command`)."""


def command_result(row: CommandRow) -> str:
    """What came of what was asked of a live call."""
    if row.outcome is None:
        return str(_("Sent. Waiting for the answer."))
    if row.outcome == DONE:
        return str(SUCCESSES[row.action])
    return str(FAILURES.get(row.outcome, FAILURES["unknown"]))
