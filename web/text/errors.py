"""What is not possible, in the reader's language (``errors.toml``); no code ever reaches a page."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from flask_babel import gettext as _

from web.language import in_language
from web.text.sentences import load

ERRORS: Final[Mapping[str, Mapping[str, str]]] = load("errors.toml")
"""The sentences by language, by ``error_id`` or its area."""

_AREAS: Final = {
    "seal": "access.seal_broken",
    "amendment": "access.seal_broken",
    "manifest": "access.seal_broken",
    "store": "store.unreachable",
}
"""Areas for which another error's sentence stands."""


def field(error_id: str, form: Collection[str]) -> str | None:
    """The field that an error stands beside, if the ``form`` has it: beside another, nobody would see it."""
    found = ERRORS.get(error_id, {}).get("field")
    return found if found in form else None


def error(error_id: str, otherwise: str = "") -> str:
    """The sentence of an ``error_id``, or else of the one that stands for it on a page, or of its area."""
    area = error_id.partition(".")[0]
    for code in (error_id, otherwise, area, _AREAS.get(area, "")):
        if code in ERRORS:
            return in_language(ERRORS[code])
    return str(_("Something went wrong. It has been reported; try again later."))
