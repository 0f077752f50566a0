"""What the provider's settings page says."""

from __future__ import annotations

from flask_babel import format_decimal
from flask_babel import gettext as _

from recorder.colour_contrast import LEGIBLE, lowest_contrast
from recorder.errors import CatalogueError
from web.text import errors
from web.text.sentences import sentence


def error(refusal: CatalogueError, entry: str) -> str:
    """The sentence beside the field of a refused ``entry``."""
    if refusal.error_id == "branding.contrast":
        return _contrast(entry.strip().lower(), is_dark="lighter" in refusal.hint)
    return errors.error(refusal.error_id)


def choose_again() -> str:
    """Beside the logo, where another field is wrong."""
    return str(_("Choose the logo again: it was not saved, because another field needs a change."))


def _contrast(colour: str, *, is_dark: bool) -> str:
    found = lowest_contrast(colour, dark=is_dark).ratio
    return sentence(
        "contrast", "lighter" if is_dark else "darker",
        ratio=format_decimal(found, "0.0"), least=format_decimal(LEGIBLE),
    )  # fmt: skip
