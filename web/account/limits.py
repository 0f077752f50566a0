"""How often somebody may try to log in, without letting anybody lock somebody else out cheaply.

Every attempt counts, the right ones too, before the password is looked at: so many at once win nothing.
Which limit was reached, and whether the account exists, does not show.
"""

from __future__ import annotations

import hashlib
import ipaddress

from flask import request
from flask_limiter import Limiter
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from web.security import cookie_name
from web.state import here, someone

A_YEAR = 365 * 24 * 3600


def address() -> str:
    """Where a request comes from; of IPv6 the /64, which is what one household has."""
    text = request.remote_addr or ""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False).network_address)
    return text


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


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(here().config.secret_key, salt="accord known device")


def _cookie() -> str:
    return cookie_name("device", here().config)
