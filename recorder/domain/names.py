"""What people and things are called: one spelling for one name, and nothing in it that cannot be seen."""

from __future__ import annotations

import unicodedata

from recorder.errors import CatalogueError

LONGEST = 100
"""Characters of a name or label."""

LONGEST_LOGIN = 254
"""Characters of a log-in: of an e-mail address."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def tidy(text: str, what: str, error_id: str, *, longest: int = LONGEST, empty: bool = False) -> str:
    """A name as it is kept: in Unicode's composed form, blanks at its ends left away, and one between words.
    ``what`` is what it names.  Raises :class:`CatalogueError` (``error_id``) for one that is empty (unless
    that is allowed), too long, or has characters that cannot be seen."""
    text = unicodedata.normalize("NFC", text)
    if any(unicodedata.category(each) in _UNSEEN for each in text):
        raise CatalogueError(
            error_id,
            f"{what} has a character that cannot be seen: {text!r}",
            "write it in one line, in plain text",
        )
    text = " ".join(text.split())
    if not text and not empty:
        raise CatalogueError(error_id, f"{what} is empty", f"1 to {longest} characters")
    if len(text) > longest:
        raise CatalogueError(error_id, f"{what} has {len(text)} characters", f"at most {longest}")
    return text


def folded(text: str) -> str:
    """What two names have in common that people take for the same."""
    return unicodedata.normalize("NFC", " ".join(unicodedata.normalize("NFC", text).split()).casefold())
