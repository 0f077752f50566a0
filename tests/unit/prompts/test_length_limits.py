"""No prompt is longer than its limit, in any language, for any purpose and shipped keeping time."""

from __future__ import annotations

from itertools import combinations

import pytest

from recorder.prompts import composer
from recorder.prompts.composer import SHIPPED, Rendered
from recorder.prompts.purposes import LANGUAGES, standard
from recorder.prompts.sentences import SHORT, clip_text
from tests.unit.prompts.lengths import PAGES, RETENTION_DAYS, announced, limits, opt_in, rows, table_in

PURPOSES = tuple(standard())


def slowest(language: str, most: int = RETENTION_DAYS[-1]) -> int:
    """The retention period, up to so many days, that takes longest to speak."""
    times = [days for days in RETENTION_DAYS if days <= most]
    return max(
        times,
        key=lambda days: len(SHIPPED.clip(clip_text("it-is-kept", language, keep_days=days)).samples),
    )


def seconds(prompt: Rendered) -> float:
    return prompt.duration_ms / 1000


@pytest.mark.parametrize("language", LANGUAGES)
def test_announcement_keeps_its_length_limit(language: str) -> None:
    limit = limits()
    for purpose in PURPOSES:
        days = slowest(language, standard()[purpose].longest_keep_days)
        prompt = announced("notice", purpose, days=days)(language, SHORT)
        assert seconds(prompt) <= limit.announcement_s, prompt.text
        refusable = announced("opt-out", purpose, days=days)(language, SHORT)
        assert seconds(refusable) <= limit.announcement_s + limit.refusal_s, refusable.text
        assert opt_in(language, SHORT, purpose, days) <= limit.opt_in_s, prompt.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_further_purpose_adds_no_more_than_its_limit(language: str) -> None:
    for purposes in combinations(PURPOSES, 2):
        first = seconds(announced("notice", purposes[0])(language, SHORT))
        prompt = announced("notice", *purposes)(language, SHORT)
        assert seconds(prompt) - first <= limits().further_purpose_s, prompt.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_keep_question_and_outcomes_keep_their_limits(language: str) -> None:
    assert seconds(composer.keep_question(language)) <= limits().keep_question_s
    results = [composer.agreed(language, keep_days=slowest(language))]
    for destroyed in (False, True):
        results.append(composer.declined(language, destroyed=destroyed))
        results.append(composer.unanswered(language, destroyed=destroyed))
    for prompt in results:
        assert seconds(prompt) <= limits().keep_result_s, prompt.text


@pytest.mark.long
def test_every_listed_prompt_keeps_its_limit() -> None:
    for row in rows():
        for language in LANGUAGES:
            if row.limit is not None:
                assert seconds(row.make(language, SHORT)) <= row.limit, (row.name, language)


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES)
def test_documented_tables_are_current(page: str) -> None:
    assert table_in(page) == PAGES[page][2](), "python -m tests.unit.prompts.lengths"
