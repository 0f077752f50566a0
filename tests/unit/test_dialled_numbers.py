"""What a dialled number may mean."""

from __future__ import annotations

import pytest

from recorder.domain.phone_numbers import dialled_numbers, shared_country

INTERNATIONAL = ["3225550101", "+3225550101", "003225550101", "+32-2-555.01.01", "+32(0)25550101"]


@pytest.mark.parametrize("country", ["be", None])
@pytest.mark.parametrize("text", INTERNATIONAL)
def test_international_spellings_need_no_country(text: str, country: str | None) -> None:
    assert "3225550101" in dialled_numbers(text, country)


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        ("025550101", "be", "3225550101"),
        ("02 555 01 01", "be", "3225550101"),
        ("0123456789", "fr", "33123456789"),
        ("912345678", "es", "34912345678"),
    ],
)
def test_national_spellings_are_those_of_the_country(text: str, country: str, expected: str) -> None:
    assert expected in dialled_numbers(text, country)
    assert dialled_numbers(text, None) == (text.replace(" ", ""),)


@pytest.mark.parametrize("text", ["491234567", "101", "112", "25550101"])
def test_number_without_a_trunk_prefix_is_not_completed(text: str) -> None:
    assert dialled_numbers(text, "be") == (text,)


@pytest.mark.parametrize("text", ["", "alice", "+", "*58", "1;DROP", "3225550101\n", "32\t25550101"])
def test_anything_else_is_no_number(text: str) -> None:
    assert dialled_numbers(text, "be") == ()


def test_country_of_lines() -> None:
    assert shared_country(["+3225550101", "32470123456", "201"]) == "be"
    assert shared_country(["+3225550101", "+33123456789"]) is None
    assert shared_country(["201"]) is None
