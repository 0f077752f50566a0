"""What the pages of the provider's people say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, tzinfo
from typing import Final

from flask_babel import format_date
from flask_babel import gettext as _

from recorder.catalogue.records import TenantRow
from recorder.features.fleet.service import BEHIND, DISK_FILLS, FINE, SILENT, UNWATCHED
from recorder.features.notifications.sentences import explain_cause
from recorder.features.provider.customer_facts import (
    NOT_RECORDED,
    QUIET_AFTER,
    CustomerProblem,
    NumberFacts,
    PersonFacts,
)
from recorder.features.provider.service import (
    ACTIVE,
    EMPTY,
    INVITED,
    LEAVING,
    LEFT,
    SUSPENDED,
    Customer,
)
from recorder.features.tenants.line_proposals import CHANGE_MADE, NO_CHANGE, PENDING, REFUSED
from recorder.lifecycle.line_rules import CountryDecision
from recorder.lifecycle.plans import plans
from web.language import current_language
from web.text import formats
from web.text.numbers import country
from web.text.sentences import plural, sentence

KINDS: Final = {ACTIVE: "good", SUSPENDED: "warn", INVITED: "", EMPTY: "", LEAVING: "warn", LEFT: ""}
"""The kind of the badge of a state."""

NODE_KINDS: Final = {FINE: "good", SILENT: "wrong", UNWATCHED: "wrong", BEHIND: "warn", DISK_FILLS: "warn"}
"""The kind of the badge of a node's state."""


def checks(codes: Iterable[str]) -> str:
    """What some of the doctor's checks are about."""
    return " · ".join(dict.fromkeys(sentence("node_check", code) for code in codes))


def state(customer: Customer) -> str:
    """A customer's state."""
    day = "" if customer.at is None else formats.date(customer.at)
    return sentence("customer_state", customer.state, day=day)


def problem(one: CustomerProblem, tenant: TenantRow, zone: tzinfo) -> str:
    """What does not work at a customer's."""
    if one.code == NOT_RECORDED:
        why = explain_cause(one.cause, {}, current_language(), tenant.time_zone).why
        return formats.titled(formats.number(one.number), why)
    day = "" if one.at is None else formats.date(one.at.astimezone(zone))
    values = {
        "number": formats.number(one.number),
        "day": day,
        "days": formats.days(QUIET_AFTER.days),
        "reason": one.reason,
    }
    return sentence("customer_problem", one.code, **values)


def number_state(one: NumberFacts) -> tuple[str, str]:
    """How a number stands, and the kind of its badge."""
    if one.suspension is not None:
        return _("Recording is suspended"), "warn"
    return (_("Recording is on"), "good") if one.line.recorded else (_("Recording is off"), "")


def change_counts(counts: Mapping[str, int]) -> str:
    """What became of a change of several numbers; ``counts`` are those of each outcome."""
    parts = (
        (counts[CHANGE_MADE], plural("change_changed", counts[CHANGE_MADE])),
        (counts[PENDING], plural("change_proposed", counts[PENDING])),
        (counts[NO_CHANGE], plural("change_unchanged", counts[NO_CHANGE])),
        (counts[REFUSED], plural("change_refused", counts[REFUSED])),
    )
    return " ".join(text for number, text in parts if number)


def second_factor(one: PersonFacts) -> str:
    """Whether somebody logs in with two steps."""
    if one.second_factor is None:
        return str(_("Two-step log-in: cannot be read"))
    return str(_("Two-step log-in is on") if one.second_factor else _("Two-step log-in is off"))


def country_decision(decision: CountryDecision, names: Mapping[str, str], zone: tzinfo) -> str:
    """What the provider decided about numbers from other countries, when, and who did."""
    rules = (
        _("Numbers from other countries: only the rules of %(country)s.", country=country(decision.country))
        if decision.alone
        else _("Numbers from other countries: the stricter rules of both.")
    )
    day = formats.date(decision.at.astimezone(zone))
    if (name := names.get(decision.person)) is not None:
        return f"{rules} {_('Decided by %(name)s on %(date)s.', name=name, date=day)}"
    return f"{rules} {_('Decided on %(date)s.', date=day)}"


def plan(code: str) -> str:
    """A plan's name."""
    found = plans().get(code)
    return code if found is None else found.name(current_language())


def month(first: date) -> str:
    """A month with its year."""
    return str(format_date(first, "LLLL y"))
