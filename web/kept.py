"""What is said of keeping: why something ended, who may listen to what is held, what is not possible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from flask_babel import format_date
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.prompts.purposes import standard
from web.language import current

ENDED: Final[Mapping[str, object]] = {
    "expired": _l("Ended on %(date)s, as announced."),
    "shortened": _l("Ended on %(date)s: your company keeps recordings for a shorter time since."),
    "withdrawn": _l("Ended on %(date)s: it was withdrawn that they agreed."),
    "narrowed": _l("Ended on %(date)s, by your company's wish."),
    "deleted": _l("Ended on %(date)s: your company had the recording deleted."),
}
"""By ``why`` of a purpose's term (:mod:`recorder.seal.terms`)."""

HELD: Final[object] = _l(
    "This recording is held for a dispute. Meanwhile it may be listened to only for that, by those who "
    "were named."
)

ERRORS: Final[Mapping[str, object]] = {
    "keeping.held": _l("It is held. A recording that is held cannot be deleted; lift the hold first."),
    "keeping.by_law": _l(
        "It was announced for a purpose that a law asks for. Until its time for that is over it cannot be "
        "deleted."
    ),
    "keeping.deleted": _l("It has been deleted already, and is being destroyed."),
    "keeping.being_destroyed": _l("It is being destroyed; it is too late to hold it."),
    "keeping.not_for_disputes": _l("Choose what it is held for, out of what is offered."),
    "keeping.reason": _l("Say why, in a sentence or two."),
    "keeping.review": _l("Choose a day within a year on which it is looked at again."),
    "keeping.no_hold": _l("That hold has been lifted already."),
    "keeping.not_by_consent": _l("Nothing of this recording rests on their consent any more."),
    "keeping.not_announced": _l("Nothing was announced in it, so it may be used for nothing."),
    "keeping.over": _l("Counted from the call that time would be over already, or its day has come."),
    "keeping.purpose": _l("Choose what it may be used for, out of what is offered."),
    "keeping.too_long": _l("Your country does not allow that it is kept so long for that."),
    "keeping.busy": _l("Somebody else is changing this recording just now. Try again in a minute."),
    "keeping.no_key": _l(
        "The panel cannot write this down: your provider has not given it a key to sign with."
    ),
}
"""By ``error_id``."""


def ended(why: str, at: datetime) -> str:
    """That a purpose has ended, and why."""
    return str(ENDED.get(why, ENDED["expired"])) % {"date": format_date(at, "long")}


def held_for_roles(roles: Iterable[str]) -> str:
    """Who may listen to what is held."""
    if "customer" in roles:
        return str(_("Admins and colleagues whose role includes these purposes may listen."))
    return str(_("Only admins may listen."))


def purposes(codes: Iterable[str]) -> str:
    """Several purposes' labels."""
    known = standard()
    return ", ".join(known[code].label(current()) if code in known else code for code in codes)
