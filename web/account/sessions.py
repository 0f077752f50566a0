"""Web sessions: a random token in a cookie, its hash in the catalogue, a new one at each log-in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Container
from datetime import timedelta

import structlog
from flask import Flask, g, request, session
from werkzeug.wrappers import Response

from recorder.catalogue import people
from recorder.catalogue.rows import UserRow
from web.security import cookie_name
from web.state import Visitor, here, now, tenant_of, visitor

log = structlog.get_logger()

TOUCH = timedelta(minutes=2)
"""How old ``seen_at`` may get before it is written again: not every request is a write."""


def init_app(app: Flask, without: Container[str | None]) -> None:
    """Know who asks, but at the endpoints in ``without``."""

    @app.before_request
    def recognise() -> None:
        if request.endpoint in without:
            return
        token = request.cookies.get(_cookie())
        found = people.session_by_token(_hash(token), now()) if token else None
        if found is None:
            return
        opened, user = found
        if now() >= opened.created_at + here().config.longest:
            return  # whatever its row says until when it lasts: nothing signs that
        g.visitor = Visitor(user, opened, tenant_of(user))
        if now() - opened.seen_at > TOUCH:
            config = here().config
            until = min(now() + config.idle, opened.created_at + config.longest)
            people.touch_session(user, opened.id, now=now(), until=until)


def open_session(response: Response, user: UserRow) -> None:
    """Log somebody in whose password was checked.  The token is new, and so is the form token: what
    anybody may have planted in this browser before is worth nothing after."""
    _end_present()
    state = here()
    token = base64.urlsafe_b64encode(state.entropy(32)).decode().rstrip("=")
    until = now() + min(state.config.idle, state.config.longest)
    people.open_session(user, token_sha256=_hash(token), now=now(), until=until, entropy=state.entropy)
    response.set_cookie(
        _cookie(),
        token,
        secure=state.config.secure_cookies,
        httponly=True,
        samesite="Lax",
        path="/",
    )


def close_session(response: Response) -> None:
    """Log out whoever is logged in here, and with them their grants."""
    _end_present()
    response.delete_cookie(
        _cookie(), secure=here().config.secure_cookies, httponly=True, samesite="Lax", path="/"
    )


def _end_present() -> None:
    session.clear()
    someone = visitor()
    if someone is not None:
        people.end_session(someone.user, someone.session.id, now=now(), entropy=here().entropy)
        log.info("web.logged_out", user=someone.user.id)
        g.pop("visitor")


def _cookie() -> str:
    return cookie_name("session", here().config)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
