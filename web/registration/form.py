"""The form in which a company registers: every mistake is shown beside its field, and nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Request

from recorder.errors import CatalogueError
from recorder.features.tenants.registration import Registration
from web.account.passwords import check_new_password
from web.registration.company import CompanyForm


@dataclass
class RegistrationForm(CompanyForm):
    """What was entered, besides the password."""

    code: str = ""


def read_form(request: Request, registration: Registration) -> tuple[RegistrationForm, str]:
    """The form as it was sent, with its mistakes, and the password."""
    fields = request.form
    form = RegistrationForm.read(fields, code=fields.get("code", "")[:300].strip())
    password = fields.get("password", "")
    try:
        registration.check_code(form.code)
    except CatalogueError as error:
        form.refuse(error)
        return form, password  # without the code, nobody learns which names and addresses are in use
    form.check()
    try:
        check_new_password(password, form.login, form.name, form.company)
    except CatalogueError as error:
        form.refuse(error)
    return form, password
