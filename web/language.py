"""In which language and time zone somebody reads.

To add a language: a folder in ``translations/`` with its ``messages.po`` (see the README there), its
name in :data:`NAMES`, and its code in the settings.
"""

from __future__ import annotations

from pathlib import Path

from babel.dates import get_timezone, get_timezone_name
from flask import Blueprint, Flask, redirect, request, url_for
from werkzeug.datastructures import Accept
from werkzeug.wrappers import Response

from recorder.domain import time_zones
from web.addresses import inside
from web.cookies import A_YEAR, cookie_name
from web.state import here, visitor

NAMES = {"fr": "Français", "nl": "Nederlands", "de": "Deutsch", "en": "English"}
"""Each in its own words: who looks for their language may not read the present one.  In this order they are
offered, as everywhere else where the languages stand side by side."""

FORMATS = {"en": "en_GB"}
"""Where dates are not written as the bare language writes them (``en`` alone means the United States)."""

blueprint = Blueprint("language", __name__)


@blueprint.post("/language")
def choose() -> Response:
    """Another language, in this browser."""
    config = here().config
    response = redirect(inside(request.form.get("next")) or url_for("recordings.listed"), 303)
    chosen = request.form.get("language", "")
    if chosen in config.languages:
        response.set_cookie(
            cookie_name("language", config),
            chosen,
            max_age=A_YEAR,
            secure=config.secure_cookies,
            httponly=True,
            samesite="Lax",
            path="/",
        )
    return response


def current() -> str:
    """What this browser chose, else the person's own language, else what the browser asks for."""
    config = here().config
    someone = visitor()
    for wish in (
        request.cookies.get(cookie_name("language", config)),
        someone.user.language if someone else None,
    ):
        if wish in config.languages:
            return str(wish)
    # By the language alone: "de-AT, en;q=0.5" is somebody who reads German first.
    asked = Accept([(tag.partition("-")[0], quality) for tag, quality in request.accept_languages])
    return asked.best_match(config.languages) or config.languages[0]


def formats() -> str:
    """The locale in which dates and numbers are written."""
    return FORMATS.get(current(), current())


def time_zone() -> str:
    """The customer's, whoever of their people is reading and wherever; UTC where this machine does not know
    it."""
    someone = visitor()
    return time_zones.display_zone(someone.tenant.time_zone).key if someone else time_zones.FALLBACK


def zone_name() -> str:
    """The customer's time zone as people call it."""
    name = time_zone()
    if name == time_zones.FALLBACK:
        return name  # which Unicode calls an unknown region
    return str(get_timezone_name(get_timezone(name), locale=formats()))


def here_again() -> str:
    """The page that is being shown, to come back to it; the list where it answers a form."""
    return request.full_path.rstrip("?") if request.method == "GET" else "/"


def check(app: Flask, languages: tuple[str, ...]) -> None:
    """Raises ``ValueError`` where a language has no name or no translation (English is in the code)."""
    for language in languages:
        translated = Path(app.root_path) / "translations" / language / "LC_MESSAGES" / "messages.mo"
        if language not in NAMES or (language != "en" and not translated.exists()):
            raise ValueError(f"the panel is not translated into {language!r}")
    app.jinja_env.globals.update(
        here_again=here_again,
        zone_name=zone_name,
        language=current,
        language_names={code: name for code, name in NAMES.items() if code in languages},
    )
