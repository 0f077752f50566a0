"""What the pages say on which a customer adds a number: how the call goes, and why a number is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.domain.live_command import DONE
from recorder.verification_calls.register import VerificationCall
from web.text import verification_calls

_ASK: Final = _l("No call was made: numbers cannot be called from here right now. Ask your provider.")

CALL_RESULTS: Final[Mapping[str, object]] = {
    "line_busy": _l("The line was busy. Call again in a moment."),
    "unanswered": _l("Nobody answered. Call again when somebody is at the phone."),
    "no_switch": _l("No call was made: the telephone system cannot be reached right now. Try again later."),
    "unknown": _l("It is not known whether the number was called. Call again."),
}
"""By what came of a call (:mod:`recorder.domain.live_command`); any other outcome is the provider's."""

ERRORS: Final[Mapping[str, tuple[str, object]]] = {
    "number.form": ("number", _l("Write the whole number, such as 02 555 01 00 or +32 2 555 01 00.")),
    "number.added": ("number", _l("Your company has this number already.")),
    "number.call_pending": ("number", _l("A number is being called right now. Wait for a moment.")),
    **{error_id: ("number", text) for error_id, text in verification_calls.ERRORS.items()},
    "tenant.offboarding_announced": ("number", _l("Your company is leaving, so no number can be added.")),
    "number.with_provider": (
        "code",
        _l("The code is right. Your provider has been told, and adds this number for you."),
    ),
    "number.no_code": ("code", _l("There is no valid code. Call the number again.")),
    "number.tries_exhausted": ("code", _l("That code was tried too often. Call the number again.")),
    "number.wrong_code": ("code", _l("That is not the right code. Check each digit, or call again.")),
    "number.not_logged": (
        "code",
        _l("The stored data of this call differ from the log, so no number is added. Tell your provider."),
    ),
}
"""The field and the sentence of an error, by ``error_id``."""


def number_call(call: VerificationCall, time: str) -> str:
    """How a call goes; ``time`` is until when its code is valid."""
    if call.outcome is None:
        return str(_("Your phone rings in a moment. Answer it, and write down the six digits."))
    if call.outcome == DONE:
        return str(_("The call was answered. The code is valid until %(time)s.", time=time))
    return str(CALL_RESULTS.get(call.outcome, _ASK))
