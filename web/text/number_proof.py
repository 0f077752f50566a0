"""What the pages say on which a customer adds a number: how the call goes, and why a number is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.domain.live_command import DONE
from recorder.verification_calls.register import VerificationCall

_ASK: Final = _l("No call was made: numbers cannot be called from here right now. Ask your provider.")

CALL_RESULTS: Final[Mapping[str, object]] = {
    "line_busy": _l("The line was busy. Call again in a moment."),
    "unanswered": _l("Nobody answered. Call again when somebody is at the phone."),
    "no_switch": _l("No call was made: the telephone system cannot be reached right now. Try again later."),
    "unknown": _l("It is not known whether the number was called. Call again."),
}
"""By what came of a call (:mod:`recorder.domain.live_command`); any other outcome is the provider's."""


def number_call(call: VerificationCall, time: str) -> str:
    """How a call goes; ``time`` is until when its code is valid."""
    if call.outcome is None:
        return str(_("Your phone rings in a moment. Answer it, and write down the six digits."))
    if call.outcome == DONE:
        return str(_("The call was answered. The code is valid until %(time)s.", time=time))
    return str(CALL_RESULTS.get(call.outcome, _ASK))
