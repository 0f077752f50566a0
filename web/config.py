"""What the panel is told when it starts: plain values, so that it needs no settings file of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from recorder.identity.throttle import RateLimit

MIN_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The panel's settings.

    ``secret_key`` (at least 32 bytes) signs sessions, form tokens and known-device cookies.
    ``secure_cookies`` is false only for a panel on loopback without HTTPS.  ``proxies`` is how many reverse
    proxies stand in front, whose ``X-Forwarded-For`` is believed where the nearest one is on
    loopback or in one of ``proxy_networks``.  ``languages`` are offered
    in the order of :data:`web.language.NAMES`; the first is for whoever asks for none of them.  A session
    ends after ``idle`` without a request and at the latest after ``longest``.  ``page`` is how many calls a
    page of the list shows.  ``patience``: seconds for which an answer about a live call is waited for before
    a page says that it is still to come.  ``backups_kept``: how long the operator keeps copies of catalogue
    and bucket.
    """

    secret_key: bytes = field(repr=False)
    secure_cookies: bool = True
    proxies: int = 0
    proxy_networks: tuple[str, ...] = ()
    languages: tuple[str, ...] = ("en", "fr", "nl", "de")
    idle: timedelta = timedelta(hours=2)
    longest: timedelta = timedelta(hours=12)
    page: int = 50
    patience: float = 3.5
    backups_kept: timedelta = timedelta(days=30)
    login_limits: LoginLimits = field(default_factory=lambda: LoginLimits())

    def __post_init__(self) -> None:
        if len(self.secret_key) < MIN_SECRET_BYTES:
            raise ValueError(f"secret_key must have at least {MIN_SECRET_BYTES} bytes")
        if not self.languages:
            raise ValueError("the panel needs a language")


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """How often somebody may fail to log in: so many times at once, and then one more after each share of the
    seconds.

    ``address``: from one address, whatever account.  ``account_and_address``: one account from one address.
    ``account``: one account from everywhere.  ``device``: a browser that has logged in to this account
    before; it is counted by this alone, so that whoever guesses at an account does not lock its owner
    out (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").  ``account_from_known``: one account
    from all addresses that somebody logged in to it from; it takes the place of ``account`` there, so that
    the owner's new browser does not wait for strangers elsewhere.
    """

    address: RateLimit = field(default=RateLimit(30, 15 * 60))
    account_and_address: RateLimit = field(default=RateLimit(10, 15 * 60))
    account: RateLimit = field(default=RateLimit(60, 3600))
    account_from_known: RateLimit = field(default=RateLimit(60, 3600))
    device: RateLimit = field(default=RateLimit(20, 15 * 60))
