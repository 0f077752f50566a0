"""A new customer and its first admin, as they enter themselves or one of the provider's people does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Self
from zoneinfo import available_timezones

from babel.core import get_global
from flask import request
from werkzeug.datastructures import MultiDict

from recorder.catalogue import country_check
from recorder.domain import names, time_zones
from recorder.errors import CatalogueError, MailError
from recorder.identity import users
from recorder.mail.address import normalize_address
from recorder.prompts.country_file import pack_for, shipped_packs
from recorder.prompts.country_rules import STRICT
from recorder.prompts.purposes import LANGUAGES
from web.text import errors

TEXTS: Final = ("company", "country", "time_zone", "name", "login")


FIELDS: Final = (
    "code", "company", "country", "time_zone", "languages", "plan", "name", "address", "password",
)  # fmt: skip
"""The fields of the forms that can be wrong."""


@dataclass
class CompanyForm:
    """What was entered; ``errors`` has a sentence by field."""

    company: str = ""
    country: str = STRICT
    time_zone: str = "Europe/Brussels"
    languages: tuple[str, ...] = ()
    name: str = ""
    login: str = ""
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, fields: MultiDict[str, str], **more: Any) -> Self:
        """The form as it was sent, unchecked."""
        entered: dict[str, Any] = {each: fields.get(each, "")[:300].strip() for each in TEXTS}
        languages = tuple(each for each in LANGUAGES if each in fields.getlist("languages"))
        return cls(languages=languages, **entered, **more)

    def check(self) -> None:
        """Note every mistake beside its field."""
        checks = (
            lambda: names.tidy(self.company, "the customer's name", "tenant.name_missing"),
            lambda: country_check.country_code(self.country),
            lambda: time_zones.require_zone(self.time_zone),
            lambda: names.tidy(self.name, "the name", "user.name"),
            lambda: _check_login(self.login),
        )
        for check in checks:
            try:
                check()
            except CatalogueError as error:
                self.refuse(error)
        if not self.languages:
            self.refuse(
                CatalogueError("line.languages", "no language was chosen", "choose at least one language")
            )

    def refuse(self, error: CatalogueError) -> None:
        """Note an error beside its field.  Raises the error again if it concerns none."""
        name = errors.field(error.error_id, FIELDS)
        if name is None:
            raise error
        # Here, the address is what the person logs in with.
        self.errors.setdefault("login" if name == "address" else name, errors.error(error.error_id))


def suggest_place(default: str) -> dict[str, Any]:
    """The country and the time zone of a new form: those of the browser's first language with a country that
    has rules here (``fr-BE``), or else of the ``default`` country. The page's script knows better: the
    device's time zone."""
    regions = (tag.partition("-")[2].casefold() for tag, _quality in request.accept_languages)
    country = next((each for each in regions if each in shipped_packs()), default)
    zones = get_global("territory_zones").get(country.upper())
    return {"country": country} | ({"time_zone": zones[0]} if zones else {})


def form_choices() -> dict[str, object]:
    """What the form offers, for its template; each time zone with its country."""
    territories = get_global("zone_territories")
    return {
        "countries": [*shipped_packs()],
        "languages": LANGUAGES,
        "zones": [(zone, pack_for(territories.get(zone, "")).code) for zone in zone_choices()],
    }


def zone_choices() -> list[str]:
    """The time zones that are suggested."""
    return sorted(each for each in available_timezones() if each.startswith("Europe/"))


def _check_login(login: str) -> None:
    try:
        found = users.user_by_login(normalize_address(login))
    except MailError as error:
        raise CatalogueError(
            "user.login", "the log-in is not an e-mail address", "enter an e-mail address"
        ) from error
    if found is not None and found.revoked_at is None:
        raise CatalogueError("user.exists", "another user has that log-in", "log in, or use another address")
