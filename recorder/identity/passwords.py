"""Refuses weak passwords: short ones, common ones, and those made of well-known names.

NIST SP 800-63B, section 3.1.1.2: a minimum length, no rule about character classes, and a comparison with
passwords that are commonly used, expected or compromised. The lists are zxcvbn's (MIT; 30,000 of the most
frequent passwords, English words, names, keyboard rows, dates, repetitions), which also recognises
combinations, reversed words and digits in place of letters. The operator may add a list of breached ones
(:mod:`recorder.identity.breached_passwords`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from recorder.errors import CatalogueError

SHORTEST: Final = 12
"""Characters."""

TRIES: Final = 10**8
"""Guesses that a password must withstand, in order of likelihood: the panel allows a few a minute."""

OF_ITS_OWN: Final = 8
"""Characters that must remain once all names are removed."""

PRODUCT: Final = ("accord", "recorder")
_WEIGHED: Final = 40
"""Characters that are examined: more take seconds, and a password this long is in no list."""


def check(password: str, names: Iterable[str]) -> None:
    """Raises :class:`CatalogueError` for a weak password: ``user.password`` (too short),
    ``user.password_named`` (made of ``names`` of the log-in, person or customer, or of the product's),
    ``user.password_common``."""
    if len(password) < SHORTEST:
        raise CatalogueError("user.password", "the password is too short", f"at least {SHORTEST} characters")
    known = _words(names)
    left = password.casefold()
    for word in known:
        left = left.replace(word, "")
    if left != password.casefold() and len(re.sub(r"\W|_", "", left)) < OF_ITS_OWN:
        raise CatalogueError(
            "user.password_named",
            "the password is made of a well-known name: the log-in, or the person's, the customer's or "
            "the product's name",
            "choose several unrelated words",
        )
    from zxcvbn import zxcvbn  # takes a tenth of a second to import

    if zxcvbn(password[:_WEIGHED], user_inputs=known)["guesses"] < TRIES:
        raise CatalogueError(
            "user.password_common",
            "the password is a common one, among the first to be tried",
            "choose several unrelated words",
        )


def _words(names: Iterable[str]) -> list[str]:
    """Names, and their parts of four letters or more, longest first."""
    found = {name.casefold() for name in names} | {*PRODUCT}
    found |= {part for name in found for part in re.split(r"[\W_]+", name)}
    found |= {re.sub(r"\W|_", "", name) for name in found}
    return sorted((each for each in found if len(each) >= 4), key=len, reverse=True)
