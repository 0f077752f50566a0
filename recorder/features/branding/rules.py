"""What a branding may contain, and how it changes what the settings say."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from recorder.colour_contrast import LEGIBLE, lowest_contrast
from recorder.domain import names
from recorder.errors import CatalogueError, MailError
from recorder.mail.address import normalize_address
from recorder.mail.server import MailServer
from recorder.seal.branding import Branding

LONGEST_NAME: Final = 40
"""Characters of the provider's name: it stands at the top of each page."""

LONGEST_SENDER_NAME: Final = 100

LONGEST_LINK: Final = 200

LINK: Final = "https://"
"""The beginning of a help address that is a link."""

_COLOUR: Final = re.compile("#[0-9a-f]{6}")

_LINK: Final = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?#][!-;=?-~]*)?")
"""A link that shows where it leads: no log-in before the host, no blank, nothing but ASCII."""


def check_name(name: str) -> str:
    """The provider's name as it is stored. Raises :class:`CatalogueError` (``branding.name``)."""
    return names.tidy(name, "the provider's name", "branding.name", longest=LONGEST_NAME, empty=True)


def check_colour(colour: str, *, dark: bool) -> str:
    """A colour that is legible on the panel's pages, or empty. Raises :class:`CatalogueError`
    (``branding.colour``, ``branding.contrast``)."""
    colour = colour.strip().lower()
    if not colour:
        return ""
    if not _COLOUR.fullmatch(colour):
        raise CatalogueError("branding.colour", f"{colour!r} is no colour", "write it as #003366")
    if (found := lowest_contrast(colour, dark=dark).ratio) < LEGIBLE:
        change = "a lighter one" if dark else "a darker one"
        what = f"{colour} has a contrast of {found:.1f} with the panel's pages, and text needs {LEGIBLE}"
        raise CatalogueError("branding.contrast", what, f"choose {change}")
    return colour


def check_sender(address: str, configured: str) -> str:
    """A sender's address, or empty. Only the domain that the mail server is ``configured`` to send for is
    accepted: elsewhere, mails would be refused as forged, and an operator's account could send in somebody
    else's name. Raises :class:`CatalogueError` (``branding.sender``, ``branding.sender_domain``)."""
    if not address.strip():
        return ""
    try:
        found = normalize_address(address)
    except MailError as error:
        raise CatalogueError(
            "branding.sender", error.message, "write an email address: calls@example.com"
        ) from error
    if domain_of(found) != domain_of(configured):
        raise CatalogueError(
            "branding.sender_domain",
            f"the mail server sends for {domain_of(configured) or 'no domain'}, not for {domain_of(found)}",
            "use an address of that domain, or change [mail] sender",
        )
    return found


def check_sender_name(name: str) -> str:
    """The name beside a sender's address. Raises :class:`CatalogueError` (``branding.sender_name``)."""
    return names.tidy(
        name, "the sender's name", "branding.sender_name", longest=LONGEST_SENDER_NAME, empty=True
    )


def check_help_address(address: str) -> str:
    """A mail address or an ``https`` link, or empty. Raises :class:`CatalogueError`
    (``branding.help_address``)."""
    address = address.strip()
    if not address:
        return ""
    if address.lower().startswith(LINK):
        link = LINK + address[len(LINK) :]
        if len(link) <= LONGEST_LINK and _LINK.fullmatch(link) and urlsplit(link).hostname:
            return link
    else:
        try:
            return normalize_address(address)
        except MailError:
            pass
    raise CatalogueError(
        "branding.help_address",
        f"{address!r} is neither a mail address nor an https link",
        "write help@example.com or https://example.com/help",
    )


def domain_of(address: str) -> str:
    """The domain of a mail address."""
    return address.rpartition("@")[2].lower()


def sent_by(server: MailServer, branding: Branding | None) -> MailServer:
    """The mail server with the sender and logo of a branding; its address only where it has the configured
    domain, as the settings may have changed since."""
    if branding is None:
        return server
    same_domain = branding.sender and domain_of(branding.sender) == domain_of(server.sender)
    return replace(
        server,
        sender=branding.sender if same_domain else server.sender,
        sender_name=branding.sender_name or server.sender_name or branding.name,
        logo=branding.logo or server.logo,
    )
