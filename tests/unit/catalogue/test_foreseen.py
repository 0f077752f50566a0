"""What a shorter keeping time would end is counted as it would come."""

from __future__ import annotations

from datetime import date, timedelta

from recorder.catalogue.foreseen import Foreseen, foresee
from recorder.catalogue.limits import set_limit

from .conftest import OTHER, TENANT


def test_what_a_shorter_time_would_end_is_counted_by_the_day(stored, clock, entropy) -> None:
    now = clock()  # 25 November 2026, 9:00
    for days in (20, 10, 10, 2, 40):  # the last one is over
        stored(started_at=now - timedelta(days=days))
    both = {"purposes": ("agreement", "quality"), "keep_until": now + timedelta(days=300)}
    stored(started_at=now - timedelta(days=3), **both)
    stored(purposes=("quality",))
    stored(OTHER)
    told = foresee(TENANT, "agreement", 12, now)
    at_once, soon, later = date(2026, 11, 25), date(2026, 11, 27), date(2026, 12, 5)
    assert told.ends == {at_once: 1, soon: 2, date(2026, 12, 4): 1, later: 1}
    assert list(told.ends) == sorted(told.ends)
    assert (told.there, told.earlier, told.alone) == (5, 5, 4)
    assert foresee(TENANT, "agreement", 30, now).ends == {date(2026, 12, 22): 1}, "the one that others keep"
    assert foresee(TENANT, "training", 1, now) == Foreseen(0, {}, 0)


def test_what_was_set_before_counts(stored, clock, entropy) -> None:
    stored(started_at=clock() - timedelta(days=2))
    stored(started_at=clock() - timedelta(days=2), line="another-line")
    said = {"purpose": "agreement", "now": clock(), "entropy": entropy}
    set_limit(TENANT, line=None, keep_days=12, **said)
    set_limit(TENANT, line=None, keep_days=None, **{**said, "now": clock() + timedelta(days=1)})
    assert foresee(TENANT, "agreement", 15, clock()).ends == {}, "lifted, it holds for these still"
    assert foresee(TENANT, "agreement", 11, clock()).ends == {date(2026, 12, 4): 2}
