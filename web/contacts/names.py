"""The names of numbers and colleagues on a page, for the customer's own people alone: no guest and nobody of
the provider's sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from flask import Flask, g
from flask_babel import gettext as _

from recorder.domain.parties import E164, EXTENSION, Party
from recorder.features.contacts import service
from recorder.features.team import extensions
from web.state import visitor
from web.text import formats


def load_names(parties: Iterable[Party | None]) -> None:
    """Read the names of the parties of a page, in one query."""
    person, known = visitor(), _known()
    values = {each.value for each in parties if each is not None and each.value} - known.keys()
    if values and person is not None and not person.is_guest and not person.is_provider:
        known |= dict.fromkeys(values, "") | service.names_of(person.tenant.id, values)


def contact_name(party: Party | None) -> str:
    """The name that the customer gave a party's number; empty if it has none."""
    load_names([party])
    return "" if party is None else _known().get(party.value, "")


def number_name(number: str) -> str:
    """The name that the customer gave a whole number; empty if it has none."""
    return contact_name(Party(E164, number))


def party_name(party: Party | None) -> str:
    """Who is on a leg: the name of the number, or else the number."""
    return contact_name(party) or formats.party(party)


def load_colleagues(parties: Iterable[Party | None]) -> None:
    """Read the names of the colleagues whose extensions these are, in one query."""
    person, known = visitor(), _colleagues()
    values = {each.value for each in parties if each is not None and each.value} - known.keys()
    if values and person is not None and not person.is_guest and not person.is_provider:
        known |= dict.fromkeys(values, "") | extensions.names_at(person.tenant.id, values)


def colleague_name(party: Party | None) -> str:
    """The name of the colleague who has a party's extension today; empty if nobody has."""
    load_colleagues([party])
    return "" if party is None else _colleagues().get(party.value, "")


def with_colleague(party: Party | None, number: str) -> str:
    """With whom a call on a line's ``number`` was: a colleague, or else the extension; empty where nothing
    more than the line is known."""
    return with_colleagues([party], number)


def with_colleagues(parties: Sequence[Party | None], number: str) -> str:
    """The same of all who took part, in order."""
    load_colleagues(parties)
    first, *others = dict.fromkeys(filter(None, (_on_our_side(each, number) for each in parties))) or [""]
    name = first
    for other in others:
        name = str(_("%(names)s, then %(name)s", names=name, name=other))
    return str(_("with %(name)s", name=name)) if name else ""


def _on_our_side(party: Party | None, number: str) -> str:
    if name := colleague_name(party):
        return name
    if party is None or not party.value or party.value.lstrip("+") == number.lstrip("+"):
        return ""
    if party.kind == EXTENSION:
        return str(_("extension %(number)s", number=party.value))
    return party_name(party)


def _known() -> dict[str, str]:
    if "contact_names" not in g:
        g.contact_names = {}
    return cast(dict[str, str], g.contact_names)


def _colleagues() -> dict[str, str]:
    if "colleague_names" not in g:
        g.colleague_names = {}
    return cast(dict[str, str], g.colleague_names)


def init_app(app: Flask) -> None:
    for function in (
        contact_name, number_name, party_name, colleague_name, with_colleague, with_colleagues,
    ):  # fmt: skip
        app.jinja_env.globals[function.__name__] = function
