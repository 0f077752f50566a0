"""What cannot be kept of a note or a label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import lazy_gettext as _l

ERRORS: Final[Mapping[str, object]] = {
    "note.text": _l("Write something."),
    "note.too_long": _l("A note has at most 2,000 characters. Shorten it, or write two."),
    "note.place": _l("Enter a moment of this recording, such as 1:23, or leave it empty."),
    "note.too_many": _l("This call already has the maximum number. Deleted ones count, too."),
    "note.not_yours": _l("Only its author can change it. An admin can delete it."),
    "note.gone": _l("It has been deleted in the meantime."),
    "label.text": _l("A label has 1 to 40 characters."),
}
"""By ``error_id``."""
