"""Composes the panel; the pages themselves are in the folders."""

from __future__ import annotations

from flask import Flask
from flask_babel import Babel
from flask_wtf.csrf import CSRFProtect

from web import (
    access_log,
    account,
    api,
    api_tokens,
    brand,
    branding,
    call_list,
    company,
    compliance,
    contacts,
    design,
    disputes,
    errors,
    first_day,
    health,
    help,
    language,
    live,
    navigation,
    notes,
    notifications,
    numbers,
    offboarding,
    own_call,
    packs,
    playback,
    provider,
    registration,
    retention,
    rooms,
    security,
    state,
    subject_requests,
    team,
    uploads,
    usage,
)
from web.account import sessions
from web.account.limits import limiter
from web.addresses import encode_query
from web.assets import Assets
from web.contacts import names
from web.cookies import cookie_name
from web.disputes import access as guest_access
from web.provider import access as provider_access
from web.proxies import trust_proxies
from web.request_reader import MAX_BODY
from web.text import labels


def create_app(panel: state.PanelState) -> Flask:
    """The panel as a WSGI application.

    The catalogue must be open in this process (:func:`recorder.catalogue.database.open_catalogue`). Raises
    ``ValueError`` for a language without a translation.
    """
    config = panel.config
    app = errors.PanelApp(__name__)
    app.config.update(
        SECRET_KEY=config.secret_key,
        MAX_CONTENT_LENGTH=MAX_BODY,
        MAX_FORM_MEMORY_SIZE=MAX_BODY,
        # Flask's signed cookie holds only the form token; log-in sessions are in the catalogue.
        SESSION_COOKIE_NAME=cookie_name("form", config),
        SESSION_COOKIE_SECURE=config.secure_cookies,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        # No time limit: a page may be open for hours, and each log-in replaces the cookie that holds the
        # token.
        WTF_CSRF_TIME_LIMIT=None,
        # "no-referrer" leaves no referrer to compare; security.py checks Sec-Fetch-Site instead.
        WTF_CSRF_SSL_STRICT=False,
        RATELIMIT_STRATEGY="moving-window",
        RATELIMIT_STORAGE_URI="memory://",
        BABEL_DEFAULT_LOCALE=config.languages[0],
        BABEL_TRANSLATION_DIRECTORIES="translations",
    )
    # No path of ours contains "//", and redirecting to the merged path would trust the request's Host header.
    app.url_map.merge_slashes = False
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.extensions[state.KEY] = panel
    app.wsgi_app = trust_proxies(app.wsgi_app, config)  # type: ignore[method-assign, assignment]
    app.wsgi_app = encode_query(app.wsgi_app)  # type: ignore[method-assign, assignment]
    Babel(app, locale_selector=language.current_locale, timezone_selector=language.time_zone)
    language.check_translations(app, config.languages)
    Assets(app)
    uploads.init_app(app)
    health.init_app(app)
    state.init_app(app, health.PUBLIC_ENDPOINTS)
    sessions.init_app(app, health.PUBLIC_ENDPOINTS)
    provider_access.init_app(app)
    guest_access.init_app(app)
    csrf = CSRFProtect(app)
    csrf.exempt(api.blueprint)  # authenticates by token, never by cookie
    security.init_app(app)
    limiter.init_app(app)
    labels.init_app(app)
    names.init_app(app)
    navigation.init_app(app)
    brand.init_app(app)
    errors.init_app(app)
    for package in (
        account, first_day, call_list, company, live, api, api_tokens, numbers, playback, retention,
        offboarding, subject_requests, compliance, access_log, team, usage, health, language, design,
        notes, contacts, notifications, brand, help, provider, disputes, rooms,
        branding, registration, own_call, packs,
    ):  # fmt: skip
        app.register_blueprint(package.blueprint)
    return app
