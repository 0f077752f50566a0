"""The panel's settings, as plain values that the process passes in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from recorder.identity.throttle import RateLimit

MIN_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class SupportContact:
    """Whom customers ask at the provider: a name, a mail address, a telephone number as it is written, and
    an ``https`` link to a page; each may be empty."""

    name: str = ""
    mail: str = ""
    phone: str = ""
    link: str = ""

    @property
    def phone_link(self) -> str:
        """The telephone number as a ``tel:`` address has it."""
        return "".join(each for each in self.phone if each.isdecimal() or each == "+")


@dataclass(frozen=True, slots=True)
class Brand:
    """How the panel presents the provider: its name, the logo's media type and content, its colours on light
    and dark pages (``#rrggbb``; empty: the panel's own), and whom to ask there. ``version`` is another one
    after each change in the panel."""

    name: str = "Accord"
    logo: tuple[str, bytes] | None = None
    colour: str = ""
    colour_dark: str = ""
    support: SupportContact = SupportContact()
    version: int = 0


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The panel's settings.

    ``address`` is the public address, which passkeys are bound to; without it there are none.
    ``secret_key`` (at least 32 bytes) signs sessions, form tokens and known-device cookies.
    ``secure_cookies`` is false only for a panel on loopback without HTTPS.  ``proxies`` is the number of
    reverse proxies in front; their ``X-Forwarded-For`` is trusted if the nearest one is on loopback or in one
    of ``proxy_networks``.  ``languages`` are offered in the order of :data:`web.language.NAMES`; the first is
    the default.  A session ends after ``idle`` without a request, at the latest after ``longest``.  ``page``
    is the number of calls on a page of the list.  ``patience`` is how many seconds a request waits for the
    outcome of a live command.  ``backups_kept`` is how long the operator keeps backups of catalogue and
    bucket.  ``breached_passwords`` is a list of passwords that nobody may choose
    (:mod:`recorder.identity.breached_passwords`).  ``mail_sender`` is the address that mails come from; empty
    without a mail server.
    """

    secret_key: bytes = field(repr=False)
    secure_cookies: bool = True
    address: str = ""
    proxies: int = 0
    proxy_networks: tuple[str, ...] = ()
    languages: tuple[str, ...] = ("en", "fr", "nl", "de")
    idle: timedelta = timedelta(hours=2)
    longest: timedelta = timedelta(hours=12)
    page: int = 50
    patience: float = 3.5
    backups_kept: timedelta = timedelta(days=30)
    breached_passwords: Path | None = None
    login_limits: LoginLimits = field(default_factory=lambda: LoginLimits())
    brand: Brand = Brand()
    mail_sender: str = ""
    factor_limits: LoginLimits = field(default_factory=lambda: factor_limits())

    def __post_init__(self) -> None:
        if len(self.secret_key) < MIN_SECRET_BYTES:
            raise ValueError(f"secret_key must have at least {MIN_SECRET_BYTES} bytes")
        if not self.languages:
            raise ValueError("the panel needs a language")


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """Rate limits of failed log-ins; each allows a burst and then refills evenly over its seconds.

    ``address``: failures from one address, for any account.  ``account_and_address``: for one account from
    one address.  ``account``: for one account from anywhere.  ``device``: from a browser that has logged in
    to this account before; it is the only limit for such a browser, so that somebody who guesses an account's
    password cannot lock its owner out (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
    ``account_from_known``: for one account from all addresses that have logged in to it; there it replaces
    ``account``, so that strangers elsewhere cannot delay the owner's new browser.
    """

    address: RateLimit = field(default=RateLimit(30, 15 * 60))
    account_and_address: RateLimit = field(default=RateLimit(10, 15 * 60))
    account: RateLimit = field(default=RateLimit(60, 3600))
    account_from_known: RateLimit = field(default=RateLimit(60, 3600))
    device: RateLimit = field(default=RateLimit(20, 15 * 60))


def factor_limits() -> LoginLimits:
    """Limits of wrong codes after the right password. Three of a million codes are right at a time, so that
    whoever knows the password needs a year on average."""
    return LoginLimits(
        account_and_address=RateLimit(5, 15 * 60),
        account=RateLimit(20, 3600),
        account_from_known=RateLimit(20, 3600),
        device=RateLimit(5, 15 * 60),
    )
