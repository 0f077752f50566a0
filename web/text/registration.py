"""What the page of registration says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import lazy_gettext as _l

from web.text.errors import UNCHECKED

ERRORS: Final[Mapping[str, tuple[str, object]]] = {
    "registration.code": ("code", _l("This is not your provider’s code.")),
    "tenant.name": ("company", _l("There is a customer with this name. Add the place, for instance.")),
    "tenant.name_missing": ("company", _l("Write your company’s name, in up to 100 characters.")),
    "tenant.country": ("country", _l("Choose a country.")),
    "tenant.time_zone": ("time_zone", _l("There is no such time zone. Choose one from the list.")),
    "line.languages": ("languages", _l("Choose at least one language.")),
    "user.name": ("name", _l("Write your name.")),
    "user.login": ("login", _l("Write your e-mail address.")),
    "user.exists": ("login", _l("Somebody logs in with this address already.")),
    "user.password": ("password", _l("Too short: 12 characters or more.")),
    "user.password_long": ("password", _l("Too long.")),
    "user.password_named": ("password", _l("It is made of a known name. Choose several unrelated words.")),
    "user.password_common": ("password", _l("Too easy to guess. Choose several unrelated words.")),
    "user.password_breached": (
        "password",
        _l("It was published after a break-in elsewhere. Choose several unrelated words."),
    ),
    "user.password_unchecked": ("password", UNCHECKED),
}
"""The field and the sentence of an error, by ``error_id``."""
