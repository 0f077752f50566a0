"""Limits on failed log-ins, designed so that strangers cannot cheaply lock an account's owner out, and on the
requests of logged-in users.

Failed log-ins are counted across all panel processes (:mod:`recorder.identity.throttle`).  An attempt is
counted before its password is checked, so that parallel attempts gain nothing, and taken back if it succeeds.
The response tells how long to wait, but not whether the account exists.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from flask import request
from flask_limiter import Limiter
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from recorder.domain import names
from recorder.errors import AccordError, VerificationCallError
from recorder.identity import throttle
from recorder.identity.throttle import Bucket, RateLimit
from web.cookies import YEAR, cookie_name
from web.proxies import network
from web.state import current_visitor, now, panel_state, visitor


def client_network() -> str:
    """The address that a request is counted by (:func:`web.proxies.network`)."""
    return network(request.remote_addr or "")


limiter = Limiter(key_func=client_network)


def account_key(login: str) -> str:
    """A key for a submitted log-in, whether or not such an account exists."""
    return hashlib.sha256(names.fold(login).encode()).hexdigest()[:32]


def device_id(login: str) -> str | None:
    """The device's id if this browser has logged in to this account before.  ``None`` for an empty log-in,
    which no account has, whatever the cookie says."""
    if not names.fold(login):
        return None
    try:
        cookie = _signer().loads(request.cookies.get(_cookie(), ""), max_age=YEAR)
        return str(cookie["device"]) if cookie["account"] == account_key(login) else None
    except (BadData, KeyError, TypeError):
        return None


def remember_device(response: Response, login: str) -> None:
    """Mark this browser as a known device of the account, after a successful log-in."""
    state = panel_state()
    device = {"account": account_key(login), "device": state.entropy(16).hex()}
    response.set_cookie(
        _cookie(),
        str(_signer().dumps(device)),
        max_age=YEAR,
        secure=state.config.secure_cookies,
        httponly=True,
        samesite="Strict",
        path="/",
    )


CALLS_A_CALLER: Final = RateLimit(10, 86_400)
CALLS_AN_ADDRESS: Final = RateLimit(20, 86_400)
"""Verification calls in a day that one person orders, and that are ordered from one address."""


@contextmanager
def count_call() -> Iterator[None]:
    """A block that orders a verification call, which is counted first, and not if the order is refused.
    Raises :class:`VerificationCallError` (``call.caller_exhausted``)."""
    buckets = [
        (_key("call-user", current_visitor().user.id), CALLS_A_CALLER),
        (_key("call-address", client_network()), CALLS_AN_ADDRESS),
    ]
    if throttle.take(buckets, now()):
        raise VerificationCallError(
            "call.caller_exhausted",
            "a person or address ordered too many calls today",
            "try again tomorrow",
        )
    try:
        yield
    except AccordError:
        throttle.give_back(buckets)
        raise


OWN_CALLS_AN_ADDRESS: Final = RateLimit(10, 3600)
OWN_CALLS: Final = RateLimit(500, 86_400)
"""Codes for people's own calls that are typed in at one address, and at all: right ones count as well, or
the limit would tell them from the others."""


def count_own_call_code(*, is_first: bool = False) -> list[Bucket]:
    """Count a code for somebody's own call before it is checked; the first of the two orders a call. Returns
    what to give back once the call is open. Raises :class:`TooManyFailures`."""
    buckets = [(_key("own-call-address", client_network()), OWN_CALLS_AN_ADDRESS)]
    if is_first:
        buckets.append((_key("call-address", client_network()), CALLS_AN_ADDRESS))
    buckets.append((_key("own-call"), OWN_CALLS))
    if wait := throttle.take(buckets, now()):
        raise TooManyFailures(wait)
    return buckets


def give_back(buckets: list[Bucket]) -> None:
    """Take back what :func:`count_own_call_code` counted."""
    throttle.give_back(buckets)


class TooManyFailures(Exception):
    """The limit of failures is reached; ``seconds`` is how long to wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"{seconds} s")
        self.seconds = seconds


class Attempt:
    """One attempt to log in, counted before its password, or the second factor, is checked."""

    def __init__(self, login: str, step: str = "") -> None:
        """Count the attempt.  The second ``step`` has limits of its own, so that it can only be used up by
        somebody who knows the password.  Raises :class:`TooManyFailures`."""
        config, device, account = panel_state().config, device_id(login), account_key(login)
        limits = config.factor_limits if step else config.login_limits
        place = _key("account-address", account, client_network())
        if device is not None:
            self._pair, self._buckets = _key(f"{step}device", device), []
            self._counted = [(self._pair, limits.device)]
        else:
            self._pair = _key(f"{step}account-address", account, client_network())
            anywhere = (
                (_key(f"{step}account-known", account), limits.account_from_known)
                if throttle.is_known_place(place, now())
                else (_key(f"{step}account", account), limits.account)
            )
            self._buckets = [(_key(f"{step}address", client_network()), limits.address), anywhere]
            self._counted = [*self._buckets, (self._pair, limits.account_and_address)]
        if wait := throttle.take(self._counted, now()):
            raise TooManyFailures(wait)

    def take_back(self) -> None:
        """Take the attempt back: the password was right, but the log-in is not complete."""
        throttle.give_back(self._counted)

    def succeed(self) -> None:
        """Take the attempt back, clear earlier failures from here, and remember the address as known."""
        throttle.give_back(self._buckets)
        throttle.clear(self._pair, now(), remember=bool(self._buckets))


def remember_place(login: str) -> None:
    """Remember the address as known, after a log-in in two steps."""
    throttle.clear(_key("account-address", account_key(login), client_network()), now(), remember=True)


def count_wrong_token() -> None:
    """Count a request with an invalid API token.  Raises :class:`TooManyFailures`."""
    bucket = (_key("token-address", client_network()), panel_state().config.login_limits.address)
    if wait := throttle.take([bucket], now()):
        raise TooManyFailures(wait)


def _key(kind: str, *parts: str) -> str:
    """The key of a bucket: a MAC, so that the stored key reveals neither account nor address."""
    text = "\n".join((kind, *parts)).encode()
    return hmac.new(panel_state().config.secret_key, text, "sha256").hexdigest()


limit_grants = limiter.limit(
    "60/minute",
    key_func=lambda: current_visitor().user.id,
    methods=["POST"],
    scope="grants",
    exempt_when=lambda: visitor() is None,
)
limit_downloads = limiter.limit(
    "30/hour", key_func=lambda: current_visitor().user.id, methods=["POST"], scope="downloads"
)
limit_archives = limiter.limit(
    "6/hour", key_func=lambda: current_visitor().user.id, methods=["POST"], scope="archives"
)
"""Several recordings in one file: a page of the list at most."""
limit_exports = limiter.limit(
    "30/hour",
    key_func=lambda: current_visitor().user.id,
    exempt_when=lambda: visitor() is None,
    scope="exports",
)
limit_commands = limiter.limit(
    "60/minute", key_func=lambda: current_visitor().user.id, methods=["POST"], scope="asking"
)
limit_listen_reports = limiter.limit(
    "120/minute",
    key_func=lambda: current_visitor().user.id,
    exempt_when=lambda: visitor() is None,
    scope="played",
)
limit_refusals = limiter.shared_limit(
    "60/minute; 600/hour",
    scope="refusals",
    key_func=lambda: current_visitor().user.id,
    exempt_when=lambda: visitor() is None,
    deduct_when=lambda answer: _is_refusal(answer),
)
"""Each refusal is a leaf in the audit log, on disk before the response; the limit keeps users from filling
the log.  Successful requests do not count, however many a player makes."""


def _is_refusal(answer: Response) -> bool:
    """Whether a response is a refusal that was logged; 429 is not logged, and 5xx are failures of ours."""
    return 400 <= answer.status_code < 500 and answer.status_code != 429


def retry_after() -> int:
    """Seconds until the limit reached by this request allows another one."""
    limit = limiter.current_limit
    if limit is None:
        raise RuntimeError("no limit was checked in this request")
    # At most the limit's own period, in case the machine's clock was set meanwhile.
    left = math.ceil(limit.window.reset_time - time.time())
    return min(max(left, 1), limit.limit.get_expiry())


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(panel_state().config.secret_key, salt="accord known device")


def _cookie() -> str:
    return cookie_name("device", panel_state().config)
