"""Web sessions: a random token in a cookie, its hash in the catalogue, a new one at each log-in.

The cookie also carries a MAC under the panel's secret over the token, when the session began, its user and
their signed credential, which names customer, role and lines: a session that was inserted into the catalogue
by other means, assigned to another user or made younger is not accepted.
"""

from __future__ import annotations

import hmac
from collections.abc import Container
from datetime import timedelta

import structlog
from flask import Flask, g, redirect, request, session, url_for
from werkzeug.wrappers import Response

from recorder.catalogue.records import SessionRow, UserRow
from recorder.clock import to_iso
from recorder.errors import SealError
from recorder.identity import users
from recorder.identity.secret_tokens import new_token, token_hash
from web.account import devices
from web.cookies import cookie_name
from web.gate import gate
from web.state import Visitor, current_visitor, load_tenant, now, panel_state, visitor

log = structlog.get_logger()

TOUCH_INTERVAL = timedelta(minutes=2)
"""Age of ``seen_at`` at which it is updated, so that not every request writes."""


def init_app(app: Flask, without: Container[str | None]) -> None:
    """Identify the visitor of each request, except at the endpoints in ``without``."""

    @app.before_request
    def identify_visitor() -> None:
        if request.endpoint in without:
            return
        token, _, mac = request.cookies.get(_cookie(), "").partition(".")
        found = users.session_by_token(token_hash(token), now()) if token else None
        if found is None:
            return
        opened, user = found
        limited = hmac.compare_digest(mac, _mac(token, opened, user, limited=True))
        if not limited and not hmac.compare_digest(mac, _mac(token, opened, user)):
            return
        if not has_valid_credential(user):
            return
        if now() >= opened.created_at + panel_state().config.longest:
            return  # enforced here because nothing signs the row's expiry
        g.visitor = Visitor(user, opened, load_tenant(user), limited)
        if now() - opened.seen_at > TOUCH_INTERVAL:
            config = panel_state().config
            until = min(now() + config.idle, opened.created_at + config.longest)
            users.touch_session(user, opened.id, now=now(), until=until, network=devices.network())

    @app.before_request
    def lead_to_enrolment() -> Response | None:
        found = visitor()
        if found is None or not found.limited or _is_open_to_limited(request.endpoint):
            return None
        return redirect(url_for("account.show"), 303)


def _is_open_to_limited(endpoint: str | None) -> bool:
    """Whether somebody who must set up a second factor first may use an endpoint."""
    return (endpoint or "").startswith(("account.", "brand.", "language.", "static"))


def open_session(response: Response, user: UserRow, factor: str = "") -> None:
    """Log a user in after the password was verified, and the second ``factor``, if any.  Session token and
    form token are new, so that nothing planted in this browser earlier stays valid.  Where the customer
    requires a second factor and the user has none, the session only serves to set one up."""
    _end_current_session()
    state = panel_state()
    limited = not factor and state.factors is not None and state.factors.must_enrol(user)
    token = new_token(state.entropy)
    until = now() + min(state.config.idle, state.config.longest)
    opened = users.open_session(
        user, token_sha256=token_hash(token), now=now(), until=until, entropy=state.entropy, factor=factor,
        device=devices.device(), network=devices.network(),
    )  # fmt: skip
    response.set_cookie(
        _cookie(),
        f"{token}.{_mac(token, opened, user, limited=limited)}",
        secure=state.config.secure_cookies,
        httponly=True,
        samesite="Lax",
        path="/",
    )
    g.visitor = Visitor(user, opened, load_tenant(user), limited)


def renew_session(response: Response) -> None:
    """After a change of how the visitor logs in: end all their sessions, and continue in a new one."""
    user = current_visitor().user
    users.end_sessions(user, now=now(), entropy=panel_state().entropy)
    # The row, too, may have changed with the password.
    open_session(response, users.user(user.tenant, user.id) or user)


def close_session(response: Response) -> None:
    """Log out, which also ends the session's grants."""
    _end_current_session()
    response.delete_cookie(
        _cookie(), secure=panel_state().config.secure_cookies, httponly=True, samesite="Lax", path="/"
    )


def _end_current_session() -> None:
    session.clear()
    g.pop("csrf_token", None)  # Flask-WTF's, of the former session
    found = visitor()
    if found is not None:
        users.end_session(found.user, found.session.id, now=now(), entropy=panel_state().entropy)
        log.info("web.logged_out", user=found.user.id)
        g.pop("visitor")


def _cookie() -> str:
    return cookie_name("session", panel_state().config)


def _mac(token: str, opened: SessionRow, user: UserRow, *, limited: bool = False) -> str:
    kind = "accord limited session" if limited else "accord session"
    text = "\n".join((kind, token, to_iso(opened.created_at), user.id, user.credential or ""))
    return hmac.digest(panel_state().config.secret_key, text.encode(), "sha256").hex()


def has_valid_credential(user: UserRow, *, logs_in: bool = False) -> bool:
    """Whether a user's row matches its signature; the reason for a refusal is logged for the operator.  With
    ``logs_in``, the user must also be in the customer's audit log; sessions were opened after that check."""
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
