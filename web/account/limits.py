"""How often somebody may try to log in, without letting anybody lock somebody else out cheaply, and how often
somebody who is logged in may be refused.

Every attempt to log in counts, the right ones too, before the password is looked at: so many at once win
nothing.  How long to wait is told; whether the account exists does not show.
"""

from __future__ import annotations

import hashlib
import math
import time

from flask import request
from flask_limiter import Limiter
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from web.forwarding import network
from web.security import A_YEAR, cookie_name
from web.state import here, someone, visitor


def address() -> str:
    """Where a request comes from."""
    return network(request.remote_addr or "")


limiter = Limiter(key_func=address)


def _name() -> str:
    """The log-in that is tried, as it is looked up."""
    return request.form.get("login", "").strip().casefold()


def account() -> str:
    """The account that somebody tries, whether there is one of that name or not."""
    return hashlib.sha256(_name().encode()).hexdigest()[:32]


def account_and_address() -> str:
    return f"{account()}/{address()}"


def known_device() -> str | None:
    """The device's id, where this browser has logged in to this very account before.  Nobody's log-in is
    empty: a cookie that names the empty one was not given for an account, and opens nothing."""
    if not _name():
        return None
    try:
        said = _signer().loads(request.cookies.get(_cookie(), ""), max_age=A_YEAR)
        return str(said["device"]) if said["account"] == account() else None
    except (BadData, KeyError, TypeError):
        return None


def remember_device(response: Response) -> None:
    """After a log-in that went well."""
    state = here()
    said = {"account": account(), "device": state.entropy(16).hex()}
    response.set_cookie(
        _cookie(),
        str(_signer().dumps(said)),
        max_age=A_YEAR,
        secure=state.config.secure_cookies,
        httponly=True,
        samesite="Strict",
        path="/",
    )


limit_address = limiter.limit(
    lambda: here().config.login_limits.address,
    key_func=address,
    methods=["POST"],
    exempt_when=lambda: known_device() is not None,
    scope="log-in-address",
)
limit_account_and_address = limiter.limit(
    lambda: here().config.login_limits.account_and_address,
    key_func=account_and_address,
    methods=["POST"],
    exempt_when=lambda: known_device() is not None,
    scope="log-in-account-address",
)
limit_account = limiter.limit(
    lambda: here().config.login_limits.account,
    key_func=account,
    methods=["POST"],
    exempt_when=lambda: known_device() is not None,
    scope="log-in-account",
)
limit_device = limiter.limit(
    lambda: here().config.login_limits.device,
    key_func=lambda: known_device() or "",
    methods=["POST"],
    exempt_when=lambda: known_device() is None,
    scope="log-in-device",
)
limit_grants = limiter.limit(
    "60/minute", key_func=lambda: someone().user.id, methods=["POST"], scope="grants"
)
limit_asking = limiter.limit(
    "60/minute", key_func=lambda: someone().user.id, methods=["POST"], scope="asking"
)
limit_played = limiter.limit(
    "120/minute", key_func=lambda: someone().user.id, exempt_when=lambda: visitor() is None, scope="played"
)
limit_refusals = limiter.shared_limit(
    "60/minute; 600/hour",
    scope="refusals",
    key_func=lambda: someone().user.id,
    exempt_when=lambda: visitor() is None,
    deduct_when=lambda answer: _refused(answer),
)
"""Each refusal is a leaf in the log, on disk before it is answered: nobody fills the log with them.  What is
given does not count, however much a player asks for."""


def _refused(answer: Response) -> bool:
    """Whether an answer says no to what was asked; one of 500 and above says that we cannot, and one of 429
    is in no log."""
    return 400 <= answer.status_code < 500 and answer.status_code != 429


def wait() -> int:
    """Seconds until the limit that this request has reached lets one more through."""
    reached = limiter.current_limit
    if reached is None:
        raise RuntimeError("no limit was looked at in this request")
    # No longer than the limit itself, wherever the machine's clock has been set meanwhile.
    left = math.ceil(reached.window.reset_time - time.time())
    return min(max(left, 1), reached.limit.get_expiry())


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(here().config.secret_key, salt="accord known device")


def _cookie() -> str:
    return cookie_name("device", here().config)
