"""Rows of a CSV file that a customer may open in a spreadsheet: no value is taken for a formula.

A caller chooses what they are called, and a spreadsheet runs a cell that begins with one of ``=+-@``. So an
apostrophe goes before it: a number is ``'+32470123456``. The same after a ``;``, a tab and the end of a line
inside a value, where a spreadsheet of another language begins the next cell.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Final

_FORMULA: Final = re.compile(r"(^|[;\t\r\n])(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])")
"""Where one would begin: by the ASCII signs or their full-width forms, or by white space that is dropped."""


def row(values: Iterable[object]) -> str:
    """A line, with its end."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([_cell(each) for each in values])
    return out.getvalue()


def _cell(value: object) -> object:
    return _FORMULA.sub(r"\1'", value) if isinstance(value, str) else value
