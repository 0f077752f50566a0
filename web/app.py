"""Composes the panel; the pages themselves are in the folders."""

from __future__ import annotations

import os
from collections.abc import Mapping

from flask import Flask
from flask_babel import Babel
from flask_wtf.csrf import CSRFProtect

from recorder.catalogue import ping
from recorder.clock import Now, utc_now
from recorder.features.access_log.verification import EntryProofs
from recorder.features.branding.service import CurrentBranding
from recorder.features.tenants.number_proof import NumberProofs
from recorder.features.tenants.registration import Registration
from recorder.health import Check, Readiness
from recorder.identity.second_factors import SecondFactorService
from recorder.ids import Entropy
from recorder.lifecycle.amendment_service import Changes
from recorder.mail.outbox import Outbox
from recorder.prompts.composer import SHIPPED
from recorder.prompts.sound_sources import Sources
from recorder.verification_calls.policy import CallPolicy
from web import (
    access_log,
    account,
    api,
    brand,
    call_list,
    compliance,
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
    playback,
    provider,
    retention,
    rooms,
    security,
    state,
    subject_requests,
    team,
    uploads,
    usage,
)
from web import (
    branding as branding_pages,
)
from web import (
    registration as registration_pages,
)
from web.account import sessions
from web.account.limits import limiter
from web.addresses import encode_query
from web.assets import Assets
from web.config import WebConfig
from web.cookies import cookie_name
from web.disputes import access as guest_access
from web.login_refusals import LoginRefusals
from web.provider import access as provider_access
from web.proxies import trust_proxies
from web.request_reader import MAX_BODY
from web.state import PanelGateInterface
from web.text import labels


def create_app(
    config: WebConfig,
    *,
    gate: PanelGateInterface,
    now: Now = utc_now,
    entropy: Entropy = os.urandom,
    checks: Mapping[str, Check] | None = None,
    changes: Changes | None = None,
    factors: SecondFactorService | None = None,
    outbox: Outbox | None = None,
    sources: Sources = SHIPPED,
    registration: Registration | None = None,
    proofs: EntryProofs | None = None,
    number_proofs: NumberProofs | None = None,
    call_policy: CallPolicy = CallPolicy(),  # noqa: B008 - frozen
    branding: CurrentBranding | None = None,
) -> Flask:
    """The panel as a WSGI application.

    The catalogue must be open in this process (:func:`recorder.catalogue.database.open_catalogue`). ``gate``
    is the only source of audio.  ``checks`` are those of ``/readyz`` beside, or in place of, the
    catalogue's.  ``changes`` writes amendments; ``None`` if the panel has no signing key.  Without
    ``factors``, nobody who ever had a second factor can log in.  ``outbox`` queues mail to people; by default
    none is sent, and pages show the links.  ``proofs`` shows how an entry of the access log is checked;
    ``None`` where the store is not at hand.  ``sources`` are those of the sound of sentences,
    ``registration`` creates customers who register (``None``: nobody can), ``number_proofs`` calls the
    numbers that they add (``None``: the provider adds them).  ``branding`` is what operators set of the
    provider's presentation (``None``: the settings alone apply).  Raises ``ValueError`` for a language
    without a translation.
    """
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
    app.extensions[state.KEY] = state.PanelState(
        config,
        gate,
        now,
        entropy,
        Readiness({"catalogue": ping.ping, **(checks or {})}),
        LoginRefusals(entropy),
        changes,
        factors=factors,
        outbox=outbox or Outbox(),
        sources=sources,
        registration=registration,
        proofs=proofs,
        number_proofs=number_proofs,
        call_policy=call_policy,
        branding=branding,
    )
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
    navigation.init_app(app)
    brand.init_app(app)
    errors.init_app(app)
    for package in (
        account, first_day, call_list, live, api, numbers, playback, retention, offboarding,
        subject_requests, compliance, access_log, team, usage, health, language, design,
        notes, notifications, brand, help, provider, disputes, rooms,
    ):  # fmt: skip
        app.register_blueprint(package.blueprint)
    app.register_blueprint(branding_pages.blueprint)
    app.register_blueprint(registration_pages.blueprint)
    return app
