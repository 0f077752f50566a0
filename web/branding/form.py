"""The form in which an operator sets how the panel presents the provider: every mistake is shown beside its
field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from flask import Request

from recorder.errors import CatalogueError
from recorder.features.branding import rules
from recorder.features.branding.logo import check_logo
from recorder.seal.branding import LONGEST_LOGO, Branding
from web.text import branding as text


@dataclass
class SettingsForm:
    """What was entered; ``errors`` has a sentence by field."""

    branding: Branding
    errors: dict[str, str] = field(default_factory=dict)

    def set(self, name: str, check: Callable[[str], str], entry: str) -> None:
        """Set a value as it is stored, or as it was entered if it is refused."""
        try:
            entry = check(entry)
        except CatalogueError as error:
            self.errors[name] = text.error(error, entry)
        values: dict[str, Any] = {name: entry}
        self.branding = replace(self.branding, **values)

    def set_logo(self, content: bytes) -> None:
        try:
            self.branding = replace(self.branding, logo=check_logo(content))
        except CatalogueError as error:
            self.errors["logo"] = text.error(error, "")


def read_form(request: Request, before: Branding, mail_sender: str) -> SettingsForm:
    """The form as it was sent, with its mistakes. ``mail_sender`` is the configured address; empty without a
    mail server, and then the fields of the sender stay as they were ``before``."""
    form = SettingsForm(before)
    fields = request.form
    checks: dict[str, Callable[[str], str]] = {
        "name": rules.check_name,
        "colour": partial(rules.check_colour, dark=False),
        "colour_dark": partial(rules.check_colour, dark=True),
        "help_address": rules.check_help_address,
    }
    if mail_sender:
        checks["sender_name"] = rules.check_sender_name
        checks["sender"] = partial(rules.check_sender, configured=mail_sender)
    for name, check in checks.items():
        form.set(name, check, fields.get(name, "")[:300].strip())
    file = request.files.get("logo")
    if file is not None and file.filename:
        form.set_logo(file.read(LONGEST_LOGO + 1))
        if form.errors and "logo" not in form.errors:
            form.errors["logo"] = text.choose_again()
            form.branding = replace(form.branding, logo=before.logo)
    elif fields.get("no_logo"):
        form.branding = replace(form.branding, logo=b"")
    return form
