"""The form in which an admin chooses how a number's keep question is asked. It is sent as a query, because
hearing a choice changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from recorder.catalogue.records import KeepOptions, LineRow
from recorder.errors import AccordError
from recorder.lifecycle.plans import CustomerPlan
from recorder.prompts.country_rules import Pack
from recorder.prompts.sentences import SHORT, WORDINGS, named_days
from web.text import formats
from web.text import numbers as text
from web.text.plans import plan_limit
from web.text.sentences import plural, sentence

QUESTION, OWN_WORDS = "question", "own_words"
WAYS: Final = (QUESTION, OWN_WORDS)
KEEP, DESTROY = "keep", "destroy"
WITHOUT_YES: Final = (KEEP, DESTROY)
USUAL_DAYS: Final = 365
FIELDS: Final = ("keep_days",)
"""The fields that can be wrong."""


@dataclass(frozen=True, slots=True)
class KeepForm:
    """What was chosen; ``days`` is what was entered for the retention, ``periods`` are the retentions that
    can be chosen (days), and ``errors`` has a sentence by field (empty: the whole form)."""

    keep: KeepOptions
    days: str
    periods: tuple[int, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def query(self) -> dict[str, str]:
        """The choice as the fields of the form."""
        return {
            "way": OWN_WORDS if self.keep.own_words else QUESTION,
            "keep_days": self.days,
            "without_yes": DESTROY if self.keep.destroy else KEEP,
            "at_start": "yes" if self.keep.at_start else "",
            "wording": self.keep.wording,
        }

    def refuse(self, error: AccordError) -> None:
        """Note an error, unless its field has one already."""
        name, reason = text.setup_error(error, FIELDS)
        self.errors.setdefault(name, reason)


def read_keep_form(
    fields: Mapping[str, str], line: LineRow, announced_days: int, pack: Pack, plan: CustomerPlan
) -> KeepForm:
    """The form as it was sent; without fields, what the line does now, or what is usual. A recording is kept
    ``announced_days`` without a yes."""
    purpose = line.keep.purpose if line.keep else KeepOptions(0).purpose
    longest = _longest_days(purpose, pack, plan)
    offered_days = [each for each in named_days() if announced_days <= each <= longest] or [announced_days]
    if "way" not in fields:
        present = line.keep or KeepOptions(
            max(each for each in offered_days if each <= USUAL_DAYS or each == offered_days[0])
        )
        periods = tuple(sorted({*offered_days, present.keep_days}))
        return KeepForm(present, str(present.keep_days), periods)
    entered = fields.get("keep_days", "").strip()[:12]
    days = int(entered) if entered.isascii() and entered.isdecimal() and len(entered) < 7 else 0
    keep = KeepOptions(
        days,
        purpose,
        own_words=fields["way"] == OWN_WORDS,
        destroy=fields.get("without_yes") == DESTROY,
        at_start=fields.get("at_start") == "yes",
        wording=next((each for each in WORDINGS if each == fields.get("wording")), SHORT),
    )
    wrong = _wrong_days(keep, announced_days, pack, plan)
    periods = tuple(sorted({*offered_days, *(() if wrong else (days,))}))
    return KeepForm(keep, entered, periods, {"keep_days": wrong} if wrong else {})


def _longest_days(purpose: str, pack: Pack, plan: CustomerPlan) -> int:
    """The longest retention that country, purpose and plan allow."""
    by_law = text.longest_days(purpose, pack.rule(purpose).longest_keep_days)
    return by_law if plan.longest_keep_days is None else min(by_law, plan.longest_keep_days)


def _wrong_days(keep: KeepOptions, announced_days: int, pack: Pack, plan: CustomerPlan) -> str:
    """Why the retention after a yes cannot be that; empty if it can."""
    for each in pack.objections([keep.purpose], keep_days=keep.keep_days):
        return text.objection(each, pack.code)
    most = text.longest_days(keep.purpose, pack.rule(keep.purpose).longest_keep_days)
    if keep.keep_days < 1:
        return sentence("setup", "retention_range", most=str(most))
    if keep.keep_days > most:
        return plural("days_at_most", most)
    if plan.longest_keep_days is not None and keep.keep_days > plan.longest_keep_days:
        return plan_limit(plan.longest_keep_days)
    if keep.keep_days < announced_days:
        return sentence("setup", "shorter_than_announced", time=formats.days(announced_days))
    return ""
