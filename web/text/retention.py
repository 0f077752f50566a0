"""What is said of keeping: why something ended, who may listen to what is held, what is not possible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Final

from babel.dates import format_skeleton
from flask_babel import format_date, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.prompts.purposes import standard
from web.language import current_language, current_locale

END_REASONS: Final[Mapping[str, object]] = {
    "expired": _l("Ended on %(date)s, as announced."),
    "shortened": _l("Ended on %(date)s: your company keeps recordings for a shorter time since."),
    "withdrawn": _l("Ended on %(date)s: it was withdrawn that they agreed."),
    "narrowed": _l("Ended on %(date)s, by your company's wish."),
    "deleted": _l("Ended on %(date)s: your company had the recording deleted."),
}
"""By ``why`` of a purpose's term (:mod:`recorder.seal.usage_terms`)."""

ERASURE_REASONS: Final[Mapping[str, object]] = {
    "expired": _l("Its time was over, as announced."),
    "not_announced": _l("Its announcement was not found in its sound."),
    "shortened": _l("Your company keeps recordings for a shorter time than was announced."),
    "withdrawn": _l("It was withdrawn that they agreed."),
    "narrowed": _l("Your company ended the last of its purposes."),
    "deleted": _l("Your company had it deleted."),
}
"""By ``reason`` of a tombstone (:data:`recorder.seal.amendment_kinds.WHYS`)."""

HELD: Final[object] = _l(
    "This recording is held for a dispute. Meanwhile it may be listened to only for that, by those who "
    "were named."
)

ERRORS: Final[Mapping[str, object]] = {
    "retention.held": _l("It is held. A recording that is held cannot be deleted; lift the hold first."),
    "retention.by_law": _l(
        "It was announced for a purpose that a law asks for. Until its time for that is over it cannot be "
        "deleted."
    ),
    "retention.deleted": _l("It has been deleted already, and is being destroyed."),
    "retention.being_erased": _l("It is being destroyed; it is too late to hold it."),
    "retention.not_for_disputes": _l("Choose what it is held for, out of what is offered."),
    "retention.reason": _l("Say why, in a sentence or two."),
    "retention.review": _l("Choose a day within a year on which it is looked at again."),
    "retention.not_yours": _l("Only an admin, or the person who is handling it, can release it."),
    "retention.no_hold": _l("That hold has been lifted already."),
    "retention.not_by_consent": _l("Nothing of this recording rests on their consent any more."),
    "retention.not_announced": _l(
        "It could not be found in this recording that everybody was told, so nothing can be agreed about it."
    ),
    "retention.over": _l("The time of this recording is over, or it is to be deleted."),
    "retention.past": _l("Counted from the call, that time would be over already. Choose a longer one."),
    "retention.purpose": _l("Choose what for, out of what is offered."),
    "retention.too_long": _l(
        "Your country's rules do not allow it to be kept so long. Choose a shorter time."
    ),
    "retention.agreed_on": _l("Choose the day on which it was agreed: from the day of the call up to today."),
    "retention.until": _l("Choose the day until which it is kept."),
    "retention.days": _l("Give a number of days, 1 or more."),
    "retention.no_limit": _l("That has been changed meanwhile."),
    "retention.not_erased": _l("It has not been destroyed: there is no receipt of that."),
    "retention.not_gone": _l(
        "Something of this recording is still there. It was reported; there is a receipt once it is gone."
    ),
    "retention.busy": _l("Somebody else is changing this recording just now. Try again in a minute."),
    "retention.no_key": _l(
        "The panel cannot write this down: your provider has not given it a key to sign with."
    ),
}
"""By ``error_id``."""


def end_reason(why: str, at: datetime) -> str:
    """That a purpose has ended, and why."""
    return str(END_REASONS.get(why, END_REASONS["expired"])) % {"date": format_date(at, "long")}


def erasure_reason(why: str) -> str:
    """On which ground a recording was destroyed."""
    return str(ERASURE_REASONS[why])


def hold_listeners(roles: Iterable[str]) -> str:
    """Who may listen to what is held."""
    if "customer" in roles:
        return str(_("Admins and colleagues whose role includes these purposes may listen."))
    return str(_("Only admins may listen."))


def purpose_list(codes: Iterable[str]) -> str:
    """Several purposes' labels."""
    known = standard()
    return ", ".join(known[code].label(current_language()) if code in known else code for code in codes)


def shortened_count(number: int, there: int) -> str:
    """For how many recordings of those that are there a purpose would end earlier."""
    text = ngettext(
        "For %(num)d recording that is there it ends earlier.",
        "For %(num)d recordings that are there it ends earlier.",
        number,
    )
    more = ngettext("%(num)d is kept for this now.", "%(num)d are kept for this now.", there)
    return f"{text} {more}"


def erased_count(number: int) -> str:
    """How many of these serve nothing else."""
    if not number:
        return str(_("They stay for their other purposes."))
    return str(
        ngettext(
            "%(num)d of them serves nothing else and is destroyed then. Nobody can bring it back.",
            "%(num)d of them serve nothing else and are destroyed then. Nobody can bring them back.",
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


def agreement_count(number: int) -> str:
    """How many of those that end earlier were agreed to be kept longer."""
    return str(
        ngettext(
            "%(num)d of them was agreed to be kept longer.",
            "%(num)d of them were agreed to be kept longer.",
            number,
        )
    )


def agreement_confirmation(number: int) -> str:
    """What somebody confirms."""
    return str(
        ngettext(
            "Yes, end %(num)d recording earlier than was agreed.",
            "Yes, end %(num)d recordings earlier than was agreed.",
            number,
        )
    )


def held_count(number: int) -> str:
    """How many of these are on legal hold."""
    return str(
        ngettext(
            "%(num)d of them is held and stays until its hold is lifted.",
            "%(num)d of them are held and stay until their hold is lifted.",
            number,
        )
    )


def date_of(day: date) -> str:
    """A day that is the customer's own already."""
    return str(format_date(day, "long", rebase=False))


def month(day: date) -> str:
    """A month with its year, as it stands by itself."""
    text = str(format_skeleton("yMMMM", day, locale=current_locale()))
    return text[:1].upper() + text[1:]
