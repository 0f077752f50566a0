"""Rows of a CSV file that are safe to open in a spreadsheet: no value is taken for a formula.

Callers choose their own names, and a spreadsheet evaluates a cell that begins with one of ``=+-@``. So an
apostrophe precedes such a sign: a number becomes ``'+32470123456``. This also applies after a ``;``, a tab or
a line break within a value, where a spreadsheet in another language begins a new cell.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Final

_FORMULA: Final = re.compile(r"(^|[;\t\r\n])(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])")
"""The beginning of a formula: an ASCII sign, its full-width form, or leading white space that spreadsheets
drop."""


def row(values: Iterable[object]) -> str:
    """A CSV line, with its line break."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([_cell(each) for each in values])
    return out.getvalue()


def _cell(value: object) -> object:
    return _FORMULA.sub(r"\1'", value) if isinstance(value, str) else value
