"""Web sessions: a random token in a cookie, its hash in the catalogue, a new one at each log-in.

The cookie carries a MAC under the panel's secret, too, over the token, its person, their customer and role: a
session that was written into the catalogue past the panel, or given to another person, opens nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Container
from datetime import timedelta

import structlog
from flask import Flask, g, request, session
from werkzeug.wrappers import Response

from recorder.catalogue.records import UserRow
from recorder.errors import SealError
from recorder.identity import users
from web.cookies import cookie_name
from web.gate import gate
from web.state import Visitor, load_tenant, now, panel_state, visitor

log = structlog.get_logger()

TOUCH_INTERVAL = timedelta(minutes=2)
"""How old ``seen_at`` may get before it is written again: not every request is a write."""


def init_app(app: Flask, without: Container[str | None]) -> None:
    """Know who asks, but at the endpoints in ``without``."""

    @app.before_request
    def recognise() -> None:
        if request.endpoint in without:
            return
        token, _, mac = request.cookies.get(_cookie(), "").partition(".")
        found = users.session_by_token(_hash(token), now()) if token else None
        if found is None:
            return
        opened, user = found
        if not hmac.compare_digest(mac, _mac(token, user)) or not has_valid_credential(user):
            return
        if now() >= opened.created_at + panel_state().config.longest:
            return  # whatever its row says until when it lasts: nothing signs that
        g.visitor = Visitor(user, opened, load_tenant(user))
        if now() - opened.seen_at > TOUCH_INTERVAL:
            config = panel_state().config
            until = min(now() + config.idle, opened.created_at + config.longest)
            users.touch_session(user, opened.id, now=now(), until=until)


def open_session(response: Response, user: UserRow) -> None:
    """Log somebody in whose password was checked.  The token is new, and so is the form token: what
    anybody may have planted in this browser before is worth nothing after."""
    _end_current_session()
    state = panel_state()
    token = base64.urlsafe_b64encode(state.entropy(32)).decode().rstrip("=")
    until = now() + min(state.config.idle, state.config.longest)
    users.open_session(user, token_sha256=_hash(token), now=now(), until=until, entropy=state.entropy)
    response.set_cookie(
        _cookie(),
        f"{token}.{_mac(token, user)}",
        secure=state.config.secure_cookies,
        httponly=True,
        samesite="Lax",
        path="/",
    )


def close_session(response: Response) -> None:
    """Log out whoever is logged in here, and with them their grants."""
    _end_current_session()
    response.delete_cookie(
        _cookie(), secure=panel_state().config.secure_cookies, httponly=True, samesite="Lax", path="/"
    )


def _end_current_session() -> None:
    session.clear()
    someone = visitor()
    if someone is not None:
        users.end_session(someone.user, someone.session.id, now=now(), entropy=panel_state().entropy)
        log.info("web.logged_out", user=someone.user.id)
        g.pop("visitor")


def _cookie() -> str:
    return cookie_name("session", panel_state().config)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _mac(token: str, user: UserRow) -> str:
    text = "\n".join(("accord session", token, user.id, user.tenant, user.role))
    return hmac.digest(panel_state().config.secret_key, text.encode(), "sha256").hex()


def has_valid_credential(user: UserRow, *, logs_in: bool = False) -> bool:
    """Whether a person's row is as it was signed; where it is not, the operator reads why in the log.  Who
    ``logs_in`` is looked for in the customer's log too: a session was given by one who was."""
    try:
        (gate().check_log_in if logs_in else gate().check_user)(user)
    except SealError as error:
        log.error(
            "credential.refused",
            user=user.id,
            error_id=error.error_id,
            error=error.message,
            hint=error.hint,
        )
        return False
    return True
