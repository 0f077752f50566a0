"""The form in which an operator invites a customer's first admin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Request

from recorder.errors import CatalogueError
from recorder.lifecycle.plans import STARTER, find_plan
from web.registration.company import CompanyForm

MAIL: Final = "mail"
LINK: Final = "link"


@dataclass
class CustomerForm(CompanyForm):
    """A new customer, its plan, the language in which its admin is written to, and ``how`` they get the
    invitation (:data:`MAIL`, :data:`LINK`)."""

    plan: str = STARTER
    language: str = ""
    how: str = MAIL


def read_form(request: Request, languages: tuple[str, ...]) -> CustomerForm:
    """The form as it was sent, with its mistakes; ``languages`` are the panel's."""
    fields = request.form
    language = fields.get("language", "")
    form = CustomerForm.read(
        fields,
        plan=fields.get("plan", "")[:100],
        language=language if language in languages else languages[0],
        how=LINK if fields.get("how") == LINK else MAIL,
    )
    form.check()
    try:
        find_plan(form.plan)
    except CatalogueError as error:
        form.refuse(error)
    return form
