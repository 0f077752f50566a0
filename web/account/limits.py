"""How often somebody may try to log in, without letting anybody lock somebody else out cheaply, and how often
somebody who is logged in may be refused.

Failures count, for all panel processes together (:mod:`recorder.identity.throttle`).  An attempt
counts before the password is looked at, so that many at once win nothing, and no more once it was right.  How
long to wait is told; whether the account exists does not show.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import time

from flask import request
from flask_limiter import Limiter
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from recorder.domain import names
from recorder.identity import throttle
from web.cookies import A_YEAR, cookie_name
from web.proxies import network
from web.state import here, now, someone, visitor


def address() -> str:
    """Where a request comes from."""
    return network(request.remote_addr or "")


limiter = Limiter(key_func=address)


def _name() -> str:
    """The log-in that is tried, as it is looked up."""
    return names.fold(request.form.get("login", ""))


def account() -> str:
    """The account that somebody tries, whether there is one of that name or not."""
    return hashlib.sha256(_name().encode()).hexdigest()[:32]


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


class TooManyFailures(Exception):
    """Somebody has failed so often that they must wait; for so many seconds."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"{seconds} s")
        self.seconds = seconds


class Attempt:
    """One attempt to log in, counted before its password is looked at."""

    def __init__(self) -> None:
        """Raises :class:`TooManyFailures`."""
        limits, device = here().config.login_limits, known_device()
        if device is not None:
            self._pair, self._buckets = _key("device", device), []
            counted = [(self._pair, limits.device)]
        else:
            self._pair = _key("account-address", account(), address())
            whose = (
                (_key("account-known", account()), limits.account_from_known)
                if throttle.known(self._pair, now())
                else (_key("account", account()), limits.account)
            )
            self._buckets = [(_key("address", address()), limits.address), whose]
            counted = [*self._buckets, (self._pair, limits.account_and_address)]
        if wait := throttle.take(counted, now()):
            raise TooManyFailures(wait)

    def went_well(self) -> None:
        """It does not count, nor what failed here before; the address is known from now on."""
        throttle.give_back(self._buckets)
        throttle.clear(self._pair, now(), remember=bool(self._buckets))


def note_wrong_token() -> None:
    """Somebody showed a token that is none.  Raises :class:`TooManyFailures`."""
    bucket = (_key("token-address", address()), here().config.login_limits.address)
    if wait := throttle.take([bucket], now()):
        raise TooManyFailures(wait)


def _key(kind: str, *parts: str) -> str:
    """What is counted by, so that nothing tells who it was."""
    said = "\n".join((kind, *parts)).encode()
    return hmac.new(here().config.secret_key, said, "sha256").hexdigest()


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
