"""The form in which a company registers: every mistake is shown beside its field, and nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from flask import Request

from recorder.catalogue import country_check
from recorder.domain import names, time_zones
from recorder.errors import CatalogueError, MailError
from recorder.features.tenants.registration import Registration
from recorder.identity import users
from recorder.mail.address import normalize_address
from recorder.prompts.country_rules import STRICT
from recorder.prompts.purposes import LANGUAGES
from web.account.passwords import check_new_password
from web.text import registration as text

TEXTS: Final = ("code", "company", "country", "time_zone", "name", "login")


@dataclass
class RegistrationForm:
    """What was entered, besides the password; ``errors`` has a sentence by field."""

    code: str = ""
    company: str = ""
    country: str = STRICT
    time_zone: str = "Europe/Brussels"
    languages: tuple[str, ...] = ()
    name: str = ""
    login: str = ""
    errors: dict[str, str] = field(default_factory=dict)

    def refuse(self, error: CatalogueError) -> None:
        """Note an error beside its field.  Raises the error again if it concerns none."""
        found = text.ERRORS.get(error.error_id)
        if found is None:
            raise error
        self.errors.setdefault(found[0], str(found[1]))


def read_form(request: Request, registration: Registration) -> tuple[RegistrationForm, str]:
    """The form as it was sent, with its mistakes, and the password."""
    fields = request.form
    entered = {each: fields.get(each, "")[:300].strip() for each in TEXTS}
    form = RegistrationForm(
        entered["code"],
        entered["company"],
        entered["country"],
        entered["time_zone"],
        tuple(each for each in LANGUAGES if each in fields.getlist("languages")),
        entered["name"],
        entered["login"],
    )
    password = fields.get("password", "")
    try:
        registration.check_code(form.code)
    except CatalogueError as error:
        form.refuse(error)
        return form, password  # without the code, nobody learns which names and addresses are in use
    checks = (
        lambda: names.tidy(form.company, "the customer's name", "tenant.name_missing"),
        lambda: country_check.country_code(form.country),
        lambda: time_zones.require_zone(form.time_zone),
        lambda: names.tidy(form.name, "the name", "user.name"),
        lambda: _check_login(form.login),
        lambda: check_new_password(password, form.login, form.name, form.company),
    )
    for check in checks:
        try:
            check()
        except CatalogueError as error:
            form.refuse(error)
    if not form.languages:
        form.refuse(CatalogueError("line.languages", "no language"))
    return form, password


def _check_login(login: str) -> None:
    try:
        found = users.user_by_login(normalize_address(login))
    except MailError as error:
        raise CatalogueError("user.login", "the log-in is no e-mail address", "") from error
    if found is not None and found.revoked_at is None:
        raise CatalogueError("user.exists", "somebody logs in with that already", "")
