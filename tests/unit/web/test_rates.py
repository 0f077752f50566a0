"""The page of how calls go: its table, its periods, and whose numbers it shows."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise

from tests.unit.web.page_text import english, text_of
from web.call_list.rates import MONTH, PERIODS, WEEK, periods


def test_table_says_how_many_and_of_which_calls(browser, house, bakery, rival) -> None:
    house.call(bakery)
    house.not_recorded(bakery, "declined")
    house.not_recorded(bakery, "never_connected")
    house.call(rival)
    answer = english(browser("claire")).get("/recordings/rates")
    text = text_of(answer.text)
    assert "Calls Announced Recording refused Asked to keep Agreed to keep Not recorded" in text
    assert re.search(r"Week of 23 Nov\S* 2026 2 2 100% 1 50% 0 0% 0 0% 1 50%", text), text
    assert "The caller chose not to be recorded. 1" in text
    assert answer.text.count('<rect class="rate-part" width="50.0"') == 2
    assert "November 2026 2 2 100%" in text_of(
        english(browser("claire")).get("/recordings/rates?step=month").text
    )
    assert "Claire" not in text.split("How calls go")[1]


def test_colleague_sees_the_numbers_that_they_may_hear(browser, luc) -> None:
    assert "The disk for new recordings was full" in english(browser("paul")).get("/recordings/rates").text
    for arguments in ("", "?line=another", "?step=nothing"):
        page = english(browser("luc")).get(f"/recordings/rates{arguments}").text
        assert "The disk for new recordings was full" not in page
        assert "1 1 100% 0 0% 0 0% 0 0% 0 0%" in text_of(page)


def test_nothing_to_count_says_so(browser, bakery) -> None:
    page = english(browser("audit")).get("/recordings/rates").text
    assert "Once your numbers take calls" in page


def test_periods_are_whole_and_follow_each_other() -> None:
    weeks = periods(date(2027, 1, 3), WEEK)
    assert weeks[0] == (date(2026, 12, 28), date(2027, 1, 4))
    months = periods(date(2027, 1, 31), MONTH)
    assert months[:2] == [(date(2027, 1, 1), date(2027, 2, 1)), (date(2026, 12, 1), date(2027, 1, 1))]
    for found in (weeks, months):
        assert len(found) == PERIODS
        assert all(later[0] == earlier[1] for later, earlier in pairwise(found))
