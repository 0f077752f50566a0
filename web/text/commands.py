"""Sentences about what was asked of a live call."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.domain.live_command import DONE
from recorder.features.live.queries import CommandRow

SUCCESSES: Mapping[str, object] = {
    "pause": _l("Paused: what is said now is not recorded."),
    "resume": _l("It is recorded again."),
    "note": _l("The moment is noted. You find it in the recording."),
    "delete": _l("Stopped: the recording is destroyed, and both hear that."),
}
"""By what was asked."""

FAILURES: Mapping[str, object] = {
    "no_answer": _l("Not done: the recorder beside this call did not answer."),
    "no_switch": _l("Not done: the telephone system cannot be reached just now."),
    "unknown": _l(
        "It is not known whether it was done: the recorder beside this call did not answer. Look below."
    ),
    "not_announced": _l("Not done: the announcement has not come to its end yet."),
    "not_recorded": _l("Not done: this call is not recorded any more."),
    "ended": _l("Not done: this call is over."),
    "not_allowed": _l("Not done: recordings of this number are not destroyed in the call."),
    "busy": _l("Not done: something is being said in the call just now, or it is on hold. Try again."),
    "not_paused": _l("Not done: it was not paused."),
}
"""By what came of it (:mod:`recorder.domain.live_command`)."""


def command_result(row: CommandRow) -> str:
    """What came of what was asked of a live call."""
    if row.outcome is None:
        return str(_("Asked. The answer is still to come."))
    if row.outcome == DONE:
        return str(SUCCESSES[row.action])
    return str(FAILURES.get(row.outcome, FAILURES["unknown"]))
