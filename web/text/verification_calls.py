"""Why a number is not called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import lazy_gettext as _l

ERRORS: Final[Mapping[str, object]] = {
    "call.kind": _l("Only ordinary fixed and mobile numbers are called."),
    "call.country": _l("Numbers of this country are not called."),
    "call.number_exhausted": _l("The number was called too often today. Try again tomorrow."),
    "call.caller_exhausted": _l("You requested too many calls today. Try again tomorrow."),
    "call.customer_exhausted": _l("Too many calls were requested today. Try again tomorrow."),
    "call.day_exhausted": _l("No more numbers can be called today. Try again tomorrow."),
}
"""By ``error_id``."""
