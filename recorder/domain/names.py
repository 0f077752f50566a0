"""Names of people and things: one spelling for one name, without invisible characters."""

from __future__ import annotations

import unicodedata

from recorder.errors import CatalogueError

LONGEST = 100
"""Maximum length of a name or label, in characters."""

LONGEST_LOGIN = 254
"""Maximum length of a log-in, which is an e-mail address, in characters."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def tidy(text: str, what: str, error_id: str, *, longest: int = LONGEST, empty: bool = False) -> str:
    """Return a name as it is stored: in composed form (NFC), trimmed, with single blanks. ``what`` is what
    it names. Raises :class:`CatalogueError` (``error_id``) for a name that is empty (unless that is
    allowed), too long, or has invisible characters."""
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


def fold(text: str) -> str:
    """Return the form in which two names that people take for the same are equal."""
    return unicodedata.normalize("NFC", " ".join(unicodedata.normalize("NFC", text).split()).casefold())


def fold_name(text: str) -> str:
    """Return a name in small letters, without accents and with single blanks: ``Élodie`` is found as
    ``elodie``."""
    letters = " ".join(text.split()).casefold()
    if letters.isascii():
        return letters
    letters = unicodedata.normalize("NFKD", letters)
    return "".join(each for each in letters if not unicodedata.combining(each))
