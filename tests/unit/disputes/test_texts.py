"""What people write in a dispute is tidied, and bounded."""

from __future__ import annotations

import pytest

from recorder.errors import DisputeError
from recorder.features.disputes import texts
from recorder.features.disputes.rules import text_sha256
from tests.expected_errors import expect_error

SHA256 = text_sha256("The price is 12 euros")


def test_texts_are_tidied_and_bounded() -> None:
    assert texts.check_outcome(" One  line \r\n\r\n another ") == "One line\n\nanother"
    for text in ("", " \n ", "a" * 2001, "one\u202etwo"):
        with pytest.raises(DisputeError):
            texts.check_outcome(text)
    for text in ("", "a" * 301, "one\u202etwo"):
        with pytest.raises(DisputeError):
            texts.check_passage(text)


@pytest.mark.parametrize("text", ["", "  \n ", "a" * 201, "one\u202etwo"])
def test_a_subject_is_one_short_sentence(text: str) -> None:
    with expect_error(DisputeError, "dispute.subject"):
        texts.check_subject(text)
    assert texts.check_subject("  The price \n of the bread ") == "The price of the bread"
    assert texts.check_subject("a" * 200) == "a" * 200


@pytest.mark.parametrize(
    ("check", "longest"),
    [
        (texts.check_subject, 200),
        (texts.check_reason, 500),
        (texts.check_order, 200),
        (texts.check_passage, 300),
        (texts.check_outcome, 2000),
    ],
)
def test_each_text_has_its_own_length(check, longest: int) -> None:
    assert check("a" * longest) == "a" * longest
    for text in ("a" * (longest + 1), " ", "one\u202etwo"):
        with pytest.raises(DisputeError):
            check(text)


def test_a_form_names_the_text_that_it_confirms() -> None:
    assert texts.check_hash(SHA256) == SHA256
    for text in ("", SHA256[:-1], SHA256 + "0", SHA256.upper(), f"{SHA256}\n"):
        with expect_error(DisputeError, "dispute.text_changed"):
            texts.check_hash(text)
