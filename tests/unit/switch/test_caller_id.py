"""Parties read from headers that the caller controls."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.domain.parties import LONGEST, LONGEST_NAME, NOBODY, Party, clean, clean_name, parse_party
from recorder.switch.caller_id import caller, caller_name, calling_numbers


@pytest.mark.parametrize(
    ("user", "host", "region", "expected"),
    [
        ("+3225550100", "", None, Party("e164", "+3225550100")),
        ("003225550100", "", None, Party("e164", "+3225550100")),
        ("+32 2 555.01-00", "", None, Party("e164", "+3225550100")),
        ("025550100", "gw.example", "BE", Party("e164", "+3225550100")),
        ("025550100", "gw.example", None, Party("extension", "025550100")),
        ("1001", "pbx.example", None, Party("extension", "1001")),
        ("1001", "pbx.example", "BE", Party("extension", "1001")),
        ("+1", "", None, Party("extension", "+1")),
        ("9" * 20, "h", "BE", Party("extension", "9" * 20)),
        ("9" * 21, "h", "BE", Party("sip", f"sip:{'9' * 21}@h")),
        ("alice", "", None, Party("extension", "alice")),
        ("alice", "example.org", None, Party("sip", "sip:alice@example.org")),
        ("al ice", "", None, Party("sip", "sip:al ice")),
        ("anonymous", "anonymous.invalid", None, NOBODY),
        ("Anonymous", "", None, NOBODY),
        ("", "", None, NOBODY),
        ("0000000000", "", None, NOBODY),
        ("\n\r\0", "", None, NOBODY),
        ("evil\nUnique-ID: x", "h", None, Party("sip", "sip:evilUnique-ID: x@h")),
    ],
)
def test_kinds_of_party(user: str, host: str, region: str | None, expected: Party) -> None:
    assert parse_party(user, host, region) == expected


def test_withholds_a_hidden_number() -> None:
    headers = {"Caller-Caller-ID-Number": "+3225550100", "Caller-Privacy-Hide-Number": "true"}
    assert caller(headers) == NOBODY
    assert caller({**headers, "Caller-Privacy-Hide-Number": "false"}) == Party("e164", "+3225550100")


@pytest.mark.parametrize(
    ("number", "region", "expected"),
    [
        ("+32 2 555 01 00", None, {"+3225550100"}),
        ("025550100", "BE", {"025550100", "+3225550100"}),
        ("025550100", None, {"025550100"}),
        ("003225550100", None, {"003225550100", "+3225550100"}),
        ("112", "BE", {"112"}),
        ("", "BE", set()),
    ],
)
@pytest.mark.parametrize("is_withheld", ["true", "false"])
def test_calling_numbers_include_withheld_numbers(
    number: str, region: str | None, expected: set[str], is_withheld: str
) -> None:
    headers = {"Caller-Caller-ID-Number": number, "Caller-Privacy-Hide-Number": is_withheld}
    assert calling_numbers(headers, region) == expected


@settings(deadline=None)  # phonenumbers loads its metadata at the first call
@given(st.text(), st.text(), st.sampled_from([None, "BE", "FR", "XX"]))
def test_any_input_gives_a_short_printable_party(user: str, host: str, region: str | None) -> None:
    party = parse_party(user, host, region)
    assert party.kind in {"e164", "sip", "extension", "withheld"}
    assert len(party.value) <= LONGEST
    assert party.value.isprintable()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Jan Peeters", "Jan Peeters"),
        ("  Jan\t\n Peeters\r", "Jan Peeters"),
        ("Ele\u0301onore", "El\u00e9onore"),
        ("\u202eJan\u200b \u2067Peeters\u2069\x00\x1b[31m\ufffd", "Jan Peeters[31m"),
        ("\u05d3\u05e0\u05d4", "\u05d3\u05e0\u05d4"),
        ("x" * 500, "x" * LONGEST_NAME),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),  # pages escape it
        ("+32470123456", ""),
        ("0470 12 34 56", ""),
        ("-- 12 --", ""),
        ("\u202e\u2028", ""),
        ("Anonymous", ""),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_name_that_a_caller_states_is_cleaned_or_left_out(text: str, name: str) -> None:
    headers = {"Caller-Caller-ID-Name": text, "Caller-Caller-ID-Number": "+32470123456"}
    assert caller_name(headers) == name
    for private in ("Caller-Privacy-Hide-Name", "Caller-Privacy-Hide-Number"):
        assert caller_name({**headers, private: "true"}) == ""
    assert caller_name({**headers, "Caller-Caller-ID-Number": "anonymous"}) == ""


def test_name_of_an_address_that_is_the_address_again_names_nobody() -> None:
    headers = {"Caller-Caller-ID-Name": "Alice", "Caller-Caller-ID-Number": "alice"}
    assert caller_name(headers) == ""
    assert caller_name({}) == ""


@given(st.text(), st.text())
def test_any_name_is_short_and_printable(text: str, number: str) -> None:
    name = clean_name(text, number)
    assert len(name) <= LONGEST_NAME
    assert name.isprintable()
    assert name == " ".join(name.split())


def test_removes_bidirectional_controls() -> None:
    assert clean("a\u202eb\u200b\ufffdc\x7f", 10) == "abc"
    assert clean("x" * 50, 10) == "x" * 10
