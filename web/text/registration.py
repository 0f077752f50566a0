"""What the page of registration says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import lazy_gettext as _l

from web.text import team

ERRORS: Final[Mapping[str, tuple[str, object]]] = {
    "registration.code": ("code", _l("This is not your provider’s code.")),
    "tenant.name": ("company", _l("There is a customer with this name. Add the place, for instance.")),
    "tenant.name_missing": ("company", _l("Enter your company’s name, up to 100 characters.")),
    "tenant.plan": ("plan", _l("Choose a plan.")),
    "tenant.country": ("country", _l("Choose a country.")),
    "tenant.time_zone": ("time_zone", _l("There is no such time zone. Choose one from the list.")),
    "line.languages": ("languages", _l("Choose at least one language.")),
    "user.login": ("login", team.ERRORS["user.login"][1]),
    "user.exists": ("login", team.ERRORS["user.exists"][1]),
    **{
        error_id: found
        for error_id, found in team.ERRORS.items()
        if error_id == "user.name" or error_id.startswith("user.password")
    },
}
"""The field and the sentence of an error, by ``error_id``."""
