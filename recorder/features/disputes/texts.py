"""The texts that people write in a dispute, tidied and bounded, and the hash that confirms one."""

from __future__ import annotations

import re
from typing import Final

from recorder.errors import DisputeError

LONGEST_SUBJECT: Final = 200
LONGEST_REASON: Final = 500
LONGEST_PASSAGE: Final = 300
LONGEST_OUTCOME: Final = 2000


def check_subject(text: str) -> str:
    """What the two sides see differently, in one sentence. Raises :class:`DisputeError`
    (``dispute.subject``)."""
    return _check_text(text, LONGEST_SUBJECT, "dispute.subject")


def check_reason(text: str) -> str:
    """How somebody recognised a person. Raises :class:`DisputeError` (``dispute.reason``)."""
    return _check_text(text, LONGEST_REASON, "dispute.reason")


def check_order(text: str) -> str:
    """An authority's name, or what it calls its order. Raises :class:`DisputeError` (``dispute.order``)."""
    return _check_text(text, LONGEST_SUBJECT, "dispute.order")


def check_passage(text: str) -> str:
    """What is agreed or said in a passage, in a sentence. Raises :class:`DisputeError`
    (``dispute.passage_text``)."""
    return _check_text(text, LONGEST_PASSAGE, "dispute.passage_text")


def check_outcome(text: str) -> str:
    """What comes of a dispute, in some lines. Raises :class:`DisputeError` (``dispute.outcome_text``)."""
    lines = [" ".join(line.split()) for line in text.strip().splitlines()]
    found = "\n".join(lines)
    if not found or len(found) > LONGEST_OUTCOME or not all(each.isprintable() for each in lines):
        raise DisputeError(
            "dispute.outcome_text",
            f"the text must have 1 to {LONGEST_OUTCOME} printable characters",
            "shorten or rewrite it",
        )
    return found


def check_hash(text: str) -> str:
    """A hash as a form sends it. Raises :class:`DisputeError` (``dispute.text_changed``)."""
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise DisputeError(
            "dispute.text_changed",
            "the form does not name the text that was confirmed",
            "reload the page and confirm again",
        )
    return text


def _check_text(text: str, longest: int, error_id: str) -> str:
    words = " ".join(text.split())
    if not words or len(words) > longest or not words.isprintable():
        raise DisputeError(
            error_id,
            f"the text must have 1 to {longest} printable characters",
            "shorten or rewrite it, in one line",
        )
    return words
