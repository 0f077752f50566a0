"""Numbers as people of each country write them, and what is understood."""

from __future__ import annotations

import re
from pathlib import Path

import phonenumbers
import pytest

from recorder.domain.phone_numbers import NumberKind, read_line_number, read_number
from recorder.errors import CatalogueError
from recorder.prompts.country_file import shipped_packs
from tests.expected_errors import expect_error

SPELLINGS = {
    ("be", "+3225550177"): (
        "02 555 01 77", "02/555.01.77", "02-555-01-77", "(02) 555 01 77", "02\u00a0555\u202f01\u00a077",
        "+32 (0)2 555 01 77", "+32 ( 0 ) 2 555 01 77", "+32 02 555 01 77", "0032 2 555 01 77", "003225550177",
        "+3225550177", "3225550177", "tel:+32-2-555-01-77", "\uff10\uff12 \uff15\uff15\uff15 01 77",
        "\uff0b32 2 555 01 77", "02\u2013555\u2013" "01\u201377", "02\u00b7555\u00b701\u00b777",
        " 02.555.01.77\n",
    ),
    ("be", "+32470123456"): ("0470 12 34 56", "0470/12.34.56", "+32 (0) 470 12 34 56", "0032470123456"),
    ("fr", "+33123456789"): ("01 23 45 67 89", "01.23.45.67.89", "+33 (0)1 23 45 67 89", "0033 123456789"),
    ("nl", "+31207940123"): ("020-794 0123", "(020) 794 01 23", "+31 (0)20 794 0123", "0031 20 7940123"),
    ("nl", "+31612345678"): ("06-12345678", "06 12 34 56 78", "+31 6 1234 5678"),
    ("de", "+4930123456"): ("030 / 123456", "(030) 123456", "030-123456", "+49 (0)30 123456", "004930123456"),
    ("lu", "+35227123456"): ("27 12 34 56", "27.12.34.56", "+352 27 12 34 56", "00352 27 12 34 56"),
    ("ch", "+41446681800"): ("044 668 18 00", "044\u2019668\u201918\u201900", "+41 (0)44 668 18 00"),
    ("gb", "+442079460958"): ("020 7946 0958", "(020) 7946 0958", "+44 (0)20 7946 0958", "0044 20 7946 0958"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("country", "number", "text"),
    [(*which, text) for which, texts in SPELLINGS.items() for text in texts],
)
def test_every_usual_spelling_is_understood(country: str, number: str, text: str) -> None:
    found = read_number(text, country)
    assert found is not None
    assert (found.kind, found.value) == (NumberKind.COMPLETE, number)


@pytest.mark.parametrize(
    ("country", "text", "kind", "value"),
    [
        ("be", "1001", NumberKind.EXTENSION, "1001"),
        ("be", "555 01 77", NumberKind.EXTENSION, "5550177"),
        ("strict", "02 555 01 77", NumberKind.EXTENSION, "025550177"),
        ("be", "2 555 01 77", NumberKind.ASSUMED, "+3225550177"),
        ("fr", "00 33 0 00 00 00 00", NumberKind.ASSUMED, "+33000000000"),
        ("be", "0900 12 345", NumberKind.PREMIUM, "+3290012345"),
        ("be", "0800 12 345", NumberKind.COMPLETE, "+3280012345"),
        ("be", "02 555 01", NumberKind.TOO_SHORT, "0255501"),
        ("be", "0032255", NumberKind.TOO_SHORT, "0032255"),
        ("be", "+32255", NumberKind.TOO_SHORT, "+32255"),
        ("be", "02 555 01 77 01", NumberKind.TOO_LONG, "02555017701"),
        ("be", "112", NumberKind.EMERGENCY, "112"),
        ("strict", "112", NumberKind.EMERGENCY, "112"),
        ("fr", "15", NumberKind.EMERGENCY, "15"),
        ("be", "15", NumberKind.EXTENSION, "15"),
        ("ch", "144", NumberKind.EMERGENCY, "144"),
        ("gb", "999", NumberKind.EMERGENCY, "999"),
    ],
)
def test_what_else_is_written(country: str, text: str, kind: NumberKind, value: str) -> None:
    found = read_number(text, country)
    assert found is not None
    assert (found.kind, found.value) == (kind, value)


@pytest.mark.parametrize(
    "text", ["", "+", "our number", "02 555 01 7x", "02 555 01 77" + " " * 60 + "1", "*58"]
)
def test_other_text_is_no_number(text: str) -> None:
    assert read_number(text, "be") is None


@pytest.mark.parametrize(
    ("text", "as_routed", "error_id"),
    [
        ("our number", False, "line.number"),
        ("1", False, "line.number"),
        ("+999 123 456", False, "line.number"),
        ("02 555", True, "line.number"),
        ("+32255", False, "line.number_length"),
        ("02555017701", False, "line.number_length"),
        ("112", False, "line.emergency"),
        ("112", True, "line.emergency"),
        ("02 555 01 99", False, "line.never_record"),
        ("025550199", True, "line.never_record"),
    ],
)
def test_what_is_never_a_line(text: str, as_routed: bool, error_id: str) -> None:
    with expect_error(CatalogueError, error_id):
        read_line_number(text, "be", ["0032 2 555 01 99"], as_routed=as_routed)


def test_dialplan_leaves_every_emergency_number_of_the_packs_alone() -> None:
    variables = Path(__file__).parents[2] / "freeswitch_conf" / "accord" / "vars.xml"
    pattern = re.search(r'data="accord_emergency=([^"]+)"', variables.read_text("utf-8"))
    assert pattern is not None
    regions = [code.upper() for code in shipped_packs() if len(code) == 2]
    numbers = [
        digits
        for digits in map(str, range(10_000))
        if any(phonenumbers.is_emergency_number(digits, region) for region in regions)
    ]
    assert "112" in numbers
    assert [digits for digits in numbers if not re.fullmatch(pattern[1], digits)] == []
