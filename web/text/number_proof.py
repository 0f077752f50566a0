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

ERRORS: Final[Mapping[str, tuple[str, object]]] = {
    "number.form": ("number", _l("Write the whole number, such as 02 555 01 00 or +32 2 555 01 00.")),
    "number.kind": (
        "number",
        _l("Only ordinary fixed and mobile numbers are called. Ask your provider to add this one."),
    ),
    "number.country": (
        "number",
        _l("Numbers of this country are not called. Ask your provider to add this one."),
    ),
    "number.added": ("number", _l("Your company has this number already.")),
    "number.taken": (
        "number",
        _l("This number is already in use. If it is your company’s, ask your provider."),
    ),
    "number.call_pending": ("number", _l("A number is being called right now. Wait for a moment.")),
    "number.number_exhausted": (
        "number",
        _l("This number was called too often today. Try again tomorrow, or ask your provider to add it."),
    ),
    "number.customer_exhausted": (
        "number",
        _l("Your company requested too many calls today. Try again tomorrow, or ask your provider."),
    ),
    "number.day_exhausted": (
        "number",
        _l("No more numbers can be called today. Try again tomorrow, or ask your provider to add yours."),
    ),
    "tenant.offboarding_announced": ("number", _l("Your company is leaving, so no number can be added.")),
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
