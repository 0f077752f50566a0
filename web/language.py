"""The visitor's language and time zone.

To add a language: a folder in ``translations/`` with its ``messages.po`` (see the README there), its name in
:data:`NAMES`, and its code in the settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from babel import Locale
from babel.dates import get_timezone, get_timezone_name
from flask import Blueprint, Flask, g, redirect, request, url_for
from flask_babel import get_locale, refresh
from werkzeug.datastructures import Accept
from werkzeug.wrappers import Response

from recorder.catalogue.records import TenantRow
from recorder.domain import time_zones
from web.addresses import local_path
from web.cookies import YEAR, cookie_name
from web.state import panel_state, visitor

T = TypeVar("T")

NAMES = {"fr": "Français", "nl": "Nederlands", "de": "Deutsch", "en": "English"}
"""Each language's own name, since somebody looking for it may not read the current one.  Languages are
offered in this order, as wherever they stand side by side."""

LOCALES = {"en": "en_GB"}
"""Locales that differ from the bare language code (``en`` alone means the United States)."""

blueprint = Blueprint("language", __name__)


@blueprint.post("/language")
def set_language() -> Response:
    """Change the language of this browser."""
    config = panel_state().config
    response = redirect(local_path(request.form.get("next")) or url_for("call_list.home"), 303)
    language = request.form.get("language", "")
    if language in config.languages:
        response.set_cookie(
            cookie_name("language", config),
            language,
            max_age=YEAR,
            secure=config.secure_cookies,
            httponly=True,
            samesite="Lax",
            path="/",
        )
    return response


def current_language() -> str:
    """The language chosen in this browser, else the user's own, else the one that the browser requests."""
    config = panel_state().config
    found = visitor()
    for choice in (
        request.cookies.get(cookie_name("language", config)),
        found.user.language if found else None,
        g.get("guest_language"),  # of the person whom a link in a mail was sent to
    ):
        if choice in config.languages:
            return str(choice)
    # Without the region: "de-AT, en;q=0.5" prefers German.
    accepted = Accept([(tag.partition("-")[0], quality) for tag, quality in request.accept_languages])
    return accepted.best_match(config.languages) or config.languages[0]


def current_locale() -> str:
    """The locale in which dates and numbers are written."""
    return LOCALES.get(current_language(), current_language())


def reader_locale() -> Locale:
    """The locale of the visitor, or of whom a mail or a file is written for."""
    return get_locale() or Locale.parse(LOCALES["en"])


def in_language(words: Mapping[str, T]) -> T:
    """Words by language, in the reader's; in English if there are none in it."""
    return words.get(reader_locale().language, words["en"])


def time_zone() -> str:
    """The customer's time zone, wherever the user is; UTC if this machine does not know it."""
    if page_zone := g.get("page_zone"):
        return str(page_zone)
    found = visitor()
    return time_zones.display_zone(found.tenant.time_zone).key if found else time_zones.FALLBACK


def use_zone_of(customer: TenantRow) -> None:
    """Show the page's times in the zone of the customer whose call it is about: for a page that people
    without a session open, or that is printed."""
    g.page_zone = time_zones.display_zone(customer.time_zone).key
    refresh()  # a time may have been written already


def zone_name(locale: str | None = None) -> str:
    """The time zone of the page by its usual name, in the visitor's language or another locale."""
    name = time_zone()
    if name == time_zones.FALLBACK:
        return name  # Unicode's name for it is "unknown region"
    return str(get_timezone_name(get_timezone(name), locale=locale or current_locale()))


def return_path() -> str:
    """The current page, as the address to return to; the call list if the page answers a form."""
    return request.full_path.rstrip("?") if request.method == "GET" else "/"


def check_translations(app: Flask, languages: tuple[str, ...]) -> None:
    """Raises ``ValueError`` if a language has no name or no translation (English is in the code)."""
    for language in languages:
        translated = Path(app.root_path) / "translations" / language / "LC_MESSAGES" / "messages.mo"
        if language not in NAMES or (language != "en" and not translated.exists()):
            raise ValueError(f"the panel is not translated into {language!r}")
    app.jinja_env.globals.update(
        here_again=return_path,
        zone_name=zone_name,
        language=current_language,
        language_names={code: name for code, name in NAMES.items() if code in languages},
    )
