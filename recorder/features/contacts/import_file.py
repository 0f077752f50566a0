"""Reads names and numbers from files of other address books: CSV, as spreadsheets, Google and Outlook save
it, and vCard, as telephones do."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from recorder.domain import names
from recorder.errors import AccordError, CatalogueError
from recorder.features.contacts.service import MOST, read_number

LONGEST_EXCERPT: Final = 80

_BEGIN: Final = re.compile(r"\s*BEGIN\s*:\s*VCARD\s*", re.IGNORECASE)
_END: Final = re.compile(r"\s*END\s*:\s*VCARD\s*", re.IGNORECASE)
_TEXT_SIGN: Final = re.compile(r"'(?=[=+\-@])")
"""With it, spreadsheets mark a text that is no formula."""
_SEPARATORS: Final = re.compile(r"\s*(?::::|[;,])\s*")
"""Between several numbers in one cell."""

_FULL: Final = re.compile(
    r"((full|display|formatted) )?(name|nom|naam)( complet)?|volledige naam|vollständiger name"
    r"|contact|client|customer|klant|kunde",
    re.I,
)
_FIRST: Final = re.compile(r"(first|given) name|prénom|voornaam|vorname", re.I)
_LAST: Final = re.compile(r"(last|family) name|surname|nom de famille|achternaam|nachname|familienname", re.I)
_COMPANY: Final = re.compile(r"company|organi[sz]ation( name)?|société|entreprise|bedrijf|firma", re.I)
_NUMBER: Final = re.compile(
    r"phone|tel|télé|mobil|gsm|handy|portable|number|num[ée]ro|nummer|rufnummer", re.I
)
_LIKE_A_NUMBER: Final = re.compile(r"[+(]?[\d\s()./\-]{3,}")
_NO_NUMBER: Final = re.compile(r"label|type|fax|e-?mail|kunden|client|customer", re.I)


@dataclass(frozen=True, slots=True)
class ImportMistake:
    """What is wrong in a line, or a card that begins there; ``text`` is as it was written, or the beginning
    of it."""

    line: int
    text: str
    error: AccordError


@dataclass(frozen=True, slots=True)
class ReadNames:
    """Names by number, and what could not be read."""

    names: dict[str, str]
    mistakes: tuple[ImportMistake, ...]


def read_file(content: bytes, country: str) -> ReadNames:
    """The names in a file, whose numbers are as written in a ``country`` (``be``). Of a number that is there
    twice, the last name counts. Raises :class:`CatalogueError` (``contact.file``) for what is neither CSV nor
    vCard, or has more than :data:`MOST` lines or cards."""
    text = _decode(content)
    entries = _cards(text) if _BEGIN.match(text) else _rows(text)
    found: dict[str, str] = {}
    mistakes: list[ImportMistake] = []
    for count, (line, excerpt, name, numbers) in enumerate(entries):
        if count >= MOST:
            raise CatalogueError("contact.file", f"the file has more than {MOST} entries", "split it")
        try:
            if isinstance(name, AccordError):
                raise name
            name = names.tidy(name, "the name", "contact.name")
            if not numbers:
                raise CatalogueError("contact.number", "there is no number", "add one, or leave it out")
            found |= {read_number(number, country): name for number in numbers}
        except CatalogueError as error:
            mistakes.append(ImportMistake(line, excerpt, error))
    return ReadNames(found, tuple(mistakes))


_Entry = tuple[int, str, str | AccordError, Sequence[str]]
"""Its line, an excerpt of it, the name (or why it cannot be read), and the numbers."""


def _decode(content: bytes) -> str:
    if b"\0" in content and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _no_file("it is not text")
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")  # as older spreadsheets save it


def _rows(text: str) -> Iterator[_Entry]:
    first, _, _ = text.lstrip().partition("\n")
    delimiter = max(";,\t", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns: _Columns | None = None
    try:
        begin = 1
        for cells in lines:
            line, begin = begin, lines.line_num + 1
            cells = [_TEXT_SIGN.sub("", cell.strip(), count=1) for cell in cells]
            if not any(cells):
                continue
            if columns is None:
                columns = _columns(cells)
                if columns != _Columns():
                    continue
            name, numbers = columns.read(cells)
            yield line, delimiter.join(cells), name, numbers
    except csv.Error as error:
        raise _no_file(f"line {lines.line_num}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Columns:
    """The places of the columns, by what their headings say; none for a table without headings."""

    full: tuple[int, ...] = ()
    parts: tuple[int, ...] = ()
    company: tuple[int, ...] = ()
    number: tuple[int, ...] = ()

    def read(self, cells: Sequence[str]) -> tuple[str, list[str]]:
        """The name and the numbers of a row."""
        if not self.number:  # without headings: what looks like a number is one
            is_number = [_LIKE_A_NUMBER.fullmatch(cell) is not None for cell in cells]
            name = next((cell for cell, number in zip(cells, is_number, strict=True) if not number), "")
            return name, [cell for cell, number in zip(cells, is_number, strict=True) if number]
        texts = (
            " ".join(filter(None, (cells[place] for place in places if place < len(cells))))
            for places in (self.full, self.parts, self.company)
        )
        filled = [cells[place] for place in self.number if place < len(cells) and cells[place]]
        return next(filter(None, texts), ""), [
            number for cell in filled for number in _SEPARATORS.split(cell) if number
        ]


def _columns(headings: Sequence[str]) -> _Columns:
    def places(*patterns: re.Pattern[str]) -> tuple[int, ...]:
        return tuple(
            place for each in patterns for place, text in enumerate(headings) if each.fullmatch(text)
        )

    number = tuple(
        place for place, text in enumerate(headings) if _NUMBER.search(text) and not _NO_NUMBER.search(text)
    )
    full, first, last, company = places(_FULL), places(_FIRST), places(_LAST), places(_COMPANY)
    if not number or not (full or first or last or company) or any(map(_LIKE_A_NUMBER.fullmatch, headings)):
        return _Columns()
    if first and not last:  # "Prénom" and "Nom": the latter is the last name alone
        return _Columns((), (*first, *full), company, number)
    return _Columns(full, (*first, *last), company, number)


def _cards(text: str) -> Iterator[_Entry]:
    begin = 0
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if _BEGIN.fullmatch(line):
            if lines:
                yield _card(begin, lines, closed=False)
            begin, lines = number, []
        if begin or line.strip():
            lines.append(line)
            begin = begin or number
        if _END.fullmatch(line):
            yield _card(begin, lines, closed=True)
            begin, lines = 0, []
    if lines:
        yield _card(begin, lines, closed=False)


def _card(begin: int, lines: list[str], *, closed: bool) -> _Entry:
    import vobject

    excerpt = next((line.partition(":")[2] for line in lines if line.upper().startswith("FN")), lines[0])
    excerpt = excerpt[:LONGEST_EXCERPT]
    try:
        if not closed:
            raise ValueError("the card does not end")
        card = vobject.readOne("\r\n".join(lines), allowQP=True)
        numbers = [str(each.value) for each in card.contents.get("tel", ())]
        return begin, excerpt, _card_name(card), [number.removeprefix("tel:") for number in numbers]
    except Exception as error:  # a stranger's file can lead the library to any
        return begin, excerpt, _no_file(str(error)[:LONGEST_EXCERPT]), ()


def _card_name(card: object) -> str:
    contents = card.contents  # type: ignore[attr-defined]
    for kind in ("fn", "n", "org"):
        for each in contents.get(kind, ()):
            value = each.value
            if kind == "n":
                value = " ".join(filter(None, (str(value.given).strip(), str(value.family).strip())))
            elif kind == "org" and not isinstance(value, str):
                value = " ".join(value)
            if str(value).strip():
                return str(value)
    return ""


def _no_file(why: str) -> CatalogueError:
    return CatalogueError("contact.file", f"this cannot be read: {why}", "save it as CSV (UTF-8) or vCard")
