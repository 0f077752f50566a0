"""What is said of keeping: why something ended, who may listen to what is held, what is not possible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Final

from babel.dates import format_skeleton
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from recorder.prompts.purposes import standard
from recorder.seal.amendment_kinds import BOTH_SIDES, STATED, VOUCHED
from web.language import current_language, current_locale
from web.text import formats

END_REASONS: Final[Mapping[str, object]] = {
    "expired": _l("Ended on %(date)s, as announced."),
    "shortened": _l("Ended on %(date)s: your company now keeps recordings for a shorter time."),
    "withdrawn": _l("Ended on %(date)s: consent withdrawn."),
    "narrowed": _l("Ended on %(date)s by your company."),
    "deleted": _l("Ended on %(date)s: your company deleted the recording."),
}
"""By ``why`` of a purpose's term (:mod:`recorder.seal.usage_terms`)."""

ERASURE_REASONS: Final[Mapping[str, object]] = {
    "expired": _l("Its announced retention was over."),
    "not_announced": _l("The announcement was not found in the audio."),
    "shortened": _l("Your company keeps recordings for a shorter time than was announced."),
    "withdrawn": _l("Consent withdrawn."),
    "narrowed": _l("Your company ended its last purpose."),
    "deleted": _l("Your company deleted it."),
}
"""By ``reason`` of a tombstone (:data:`recorder.seal.amendment_kinds.ERASURE_REASONS`)."""


def end_reason(why: str, at: datetime) -> str:
    """That a purpose has ended, and why."""
    return str(END_REASONS.get(why, END_REASONS["expired"])) % {"date": formats.date(at)}


def erasure_reason(why: str) -> str:
    """On which ground a recording was destroyed."""
    return str(ERASURE_REASONS[why])


BASES: Final[Mapping[str, object]] = {
    STATED: _l("This rests on one person’s word."),
    VOUCHED: _l(
        "Two people of the company vouch for the invited person, so it does not count as agreed by both."
    ),
    BOTH_SIDES: _l("Both sides confirmed it."),
}
"""What a later agreement rests on."""


def basis(code: str) -> str:
    """What a later agreement rests on."""
    return str(BASES[code])


def purpose_list(codes: Iterable[str]) -> str:
    """Several purposes' labels."""
    known = standard()
    return ", ".join(known[code].label(current_language()) if code in known else code for code in codes)


def shortened_count(number: int, there: int) -> str:
    """For how many recordings of those that are there a purpose would end earlier."""
    text = ngettext(
        "%(num)d recording ends earlier.",
        "%(num)d recordings end earlier.",
        number,
    )
    more = ngettext("%(num)d is kept for this purpose now.", "%(num)d are kept for this purpose now.", there)
    return f"{text} {more}"


def erased_count(number: int) -> str:
    """How many of these serve nothing else."""
    if not number:
        return str(_("They stay for their other purposes."))
    return str(
        ngettext(
            "%(num)d of them has no other purpose and is destroyed then, for good.",
            "%(num)d of them have no other purpose and are destroyed then, for good.",
            number,
        )
    )


def unaffected_agreements(number: int) -> str:
    """How many were agreed to be kept longer, and stay."""
    return str(
        ngettext(
            "%(num)d recording was agreed to be kept longer: it stays until the day that was agreed.",
            "%(num)d recordings were agreed to be kept longer: they stay until the day that was agreed.",
            number,
        )
    )


def limit_confirmation(ends: int, agreed: int) -> str:
    """What somebody confirms: how many recordings end earlier, and how many of them although it was agreed to
    keep them longer."""
    text = ngettext(
        "Yes, %(num)d recording ends earlier.", "Yes, %(num)d recordings end earlier.", ends + agreed
    )
    if not agreed:
        return str(text)
    also = ngettext(
        "%(num)d of them had been agreed to be kept.", "%(num)d of them had been agreed to be kept.", agreed
    )
    return f"{text} {also}"


def more_recordings(number: int) -> str:
    """How many more there are than a list names."""
    return str(ngettext("And %(num)d more.", "And %(num)d more.", number))


def kept_for_differences(number: int) -> str:
    """How many recordings are on legal hold."""
    if not number:
        return str(_("No recording is kept for a difference."))
    return str(
        ngettext(
            "%(num)d recording is kept until the difference is settled.",
            "%(num)d recordings are kept until their differences are settled.",
            number,
        )
    )


def exempt_holds(number: int) -> str:
    """That a retention setting does not touch what is on legal hold."""
    return str(
        ngettext(
            "%(num)d recording is kept for a difference: no setting here shortens that.",
            "%(num)d recordings are kept for a difference: no setting here shortens that.",
            number,
        )
    )


def held_count(number: int) -> str:
    """How many of these are on legal hold."""
    return str(
        ngettext(
            "%(num)d of them is kept for a difference and stays until it is released.",
            "%(num)d of them are kept for a difference and stay until they are released.",
            number,
        )
    )


def date_of(day: date) -> str:
    """A day that is the customer's own already."""
    return formats.date(day)


def month(day: date) -> str:
    """A month with its year, as it stands by itself."""
    text = str(format_skeleton("yMMMM", day, locale=current_locale()))
    return text[:1].upper() + text[1:]
