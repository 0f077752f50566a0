"""Numbers as pages print them are understood wherever a number is typed."""

from __future__ import annotations

import phonenumbers
import pytest
from flask import Flask
from flask_babel import force_locale
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.config import load
from recorder.domain import phone_numbers
from recorder.domain.parties import Party
from recorder.domain.written_dates import write_first
from recorder.features.call_list.rules import parse_text
from recorder.features.subject_requests.rules import normalise_number
from web.call_list import filters
from web.text import formats

REGIONS = ("BE", "FR", "NL", "DE", "LU", "CH", "GB", "IT", "ES", "US", "PL", "AT")
KINDS = (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE)
EXAMPLES = [
    phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
    for region in REGIONS
    for kind in KINDS
    if (found := phonenumbers.example_number_for_type(region, kind)) is not None
]
AROUND = ("", " ", "\u00a0", "\u200e", "\u202a", "\n")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    number=st.sampled_from(EXAMPLES),
    reader=st.sampled_from(("en_GB", "fr", "nl", "de")),
    country=st.sampled_from(REGIONS),
    before=st.sampled_from(AROUND),
    after=st.sampled_from(AROUND),
)
def test_printed_number_is_parsed_again(app: Flask, number, reader, country, before, after) -> None:
    with app.test_request_context(), force_locale(reader):
        text = before + formats.number(number) + after
        text_with_number = before + formats.party(Party("e164", number)) + after
    assert phone_numbers.to_canonical(text, country) == number
    assert normalise_number(text, country) == number
    for each in (text, text_with_number):
        parsed = filters.parse_filter({"q": each})
        assert not parsed.wrong
        searched = parse_text(parsed.typed)
        assert searched
        assert searched in number
    assert load(None, {"ACCORD_NODE_NEVER_RECORD": text}).node.never_record == (number,)


@pytest.mark.parametrize("reader", ["en_GB", "fr", "nl", "de"])
@pytest.mark.parametrize(("kind", "value"), [("extension", "2001"), ("sip", "sip:anna@example.org")])
def test_party_without_number_is_found_by_its_label(app: Flask, reader, kind, value) -> None:
    with app.test_request_context(), force_locale(reader):
        parsed = filters.parse_filter({"q": formats.party(Party(kind, value))})
    assert not parsed.wrong
    assert parse_text(parsed.typed) == value


@pytest.mark.parametrize(
    "text",
    ["+32 2 555 01 00", "0032 2 555 01 00", "02 555 01 00", "02/555.01.00", "(02) 555-01-00",
     "tel:+32-2-555-01-00", "+32 (0)2 555 01 00", "+32\u00a02\u00a0555\u00a001\u00a000",
     "\uff10\uff12 555 01 00", "\u202a+32 2 555 01 00\u202c"],
)  # fmt: skip
def test_all_notations_of_a_number_are_equal(text: str) -> None:
    assert phone_numbers.to_canonical(text, "be") == "+3225550100"
    searched = parse_text(filters.parse_filter({"q": text}).typed)
    assert searched
    assert searched in "+3225550100"


@pytest.mark.parametrize("text", ["100", "112", "5550100", "2001"])
def test_extensions_and_short_numbers_are_unchanged(text: str) -> None:
    assert phone_numbers.to_canonical(text, "be") == text


@pytest.mark.parametrize("text", ["", "none", "+", "12a4", "sip:anna@example.org"])
def test_invalid_number_has_no_canonical_form(text: str) -> None:
    assert phone_numbers.to_canonical(text, "be") is None


@pytest.mark.parametrize(
    ("language", "text", "result"),
    [
        ("fr", "mardi 1 décembre 2026", "mardi 1er décembre 2026"),
        ("fr_BE", "1 déc. 2026, 21:18", "1er déc. 2026, 21:18"),
        ("fr", "21 décembre 2026", "21 décembre 2026"),
        ("fr", "11 août 2026", "11 août 2026"),
        ("nl", "1 december 2026", "1 december 2026"),
    ],
)
def test_first_day_of_a_month_in_french(language: str, text: str, result: str) -> None:
    assert write_first(text, language) == result
