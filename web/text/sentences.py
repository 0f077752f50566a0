"""What pages say of a code, in the reader's language (``sentences.toml``); no code ever reaches a page."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from web.language import in_language, reader_locale


def load(name: str) -> Mapping[str, Any]:
    """A file of sentences in this folder."""
    return tomllib.loads(Path(__file__).with_name(name).read_text("utf-8"))


_DATA: Final = load("sentences.toml")

COUNTS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = _DATA["counts"]
"""By code and language: one thing, and several."""

SENTENCES: Final[Mapping[str, Mapping[str, Mapping[str, str]]]] = {
    table: codes for table, codes in _DATA.items() if table != "counts"
}
"""By table, code and language."""

OTHERWISE: Final = "otherwise"
"""Stands for the codes that a table does not have."""


def sentence(table: str, code: str | None, **values: str) -> str:
    """What a ``table`` says of a ``code``, with ``values``. Raises ``KeyError`` if it says nothing of it."""
    codes = SENTENCES[table]
    words = codes.get(code or "") or codes.get(OTHERWISE)
    if words is None:
        raise KeyError(table, code)
    text = in_language(words)
    return text % values if values else text


def variant(table: str, code: str, which: str, **values: str) -> str:
    """The same, where a table may say something else of one kind of it, as of an ``outbound`` call."""
    special = f"{code} {which}"
    return sentence(table, special if special in SENTENCES[table] else code, **values)


def labels(table: str) -> dict[str, str]:
    """Everything that a table says, by code, in its order."""
    return {code: in_language(words) for code, words in SENTENCES[table].items()}


def plural(code: str, number: int, **values: str) -> str:
    """How many things, as the language's grammar has it."""
    one, several = in_language(COUNTS[code])
    text = one if reader_locale().plural_form(number) == "one" else several
    return text % {"num": number, **values}
