"""What the provider's settings page says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import format_decimal
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.colour_contrast import LEGIBLE, lowest_contrast
from recorder.errors import CatalogueError

ERRORS: Final[Mapping[str, object]] = {
    "branding.name": _l("Write a name of at most 40 characters, in one line."),
    "branding.logo": _l("Choose a PNG file of at most 50 kB, and 2,000 pixels wide and high."),
    "branding.colour": _l("Write a colour as # and six digits or letters a to f, for example #003366."),
    "branding.sender": _l("Write an email address, such as calls@example.com."),
    "branding.sender_domain": _l(
        "Use an address of the domain shown: the mail server sends for no other one."
    ),
    "branding.sender_name": _l("Write a name of at most 100 characters, in one line."),
    "branding.help_address": _l("Write an email address, or a link that starts with https://."),
}
"""By ``error_id``."""


def error(refusal: CatalogueError, entry: str) -> str:
    """The sentence beside the field of a refused ``entry``."""
    if refusal.error_id == "branding.contrast":
        return _contrast(entry.strip().lower(), is_dark="lighter" in refusal.hint)
    return str(ERRORS[refusal.error_id])


def choose_again() -> str:
    """Beside the logo, where another field is wrong."""
    return str(_("Choose the logo again: it was not saved, because another field needs a change."))


def _contrast(colour: str, *, is_dark: bool) -> str:
    found = lowest_contrast(colour, dark=is_dark).ratio
    values = {"ratio": format_decimal(found, "0.0"), "least": format_decimal(LEGIBLE)}
    if is_dark:
        return str(
            _("The contrast is %(ratio)s:1, and text needs %(least)s:1. Choose a lighter colour.", **values)
        )
    return str(
        _("The contrast is %(ratio)s:1, and text needs %(least)s:1. Choose a darker colour.", **values)
    )
