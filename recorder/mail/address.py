"""Mail addresses: one spelling for one mailbox."""

from __future__ import annotations

import re
import unicodedata

from recorder.errors import MailError

LONGEST = 254
"""Maximum length of an address, in characters (RFC 5321)."""

_LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9][a-z0-9-]*[a-z0-9]")


def normalize_address(text: str) -> str:
    """Return an address as it is stored and compared: in lower case, the domain in ASCII (``müller.example``
    becomes ``xn--mller-kva.example``). Raises :class:`MailError` (``mail.address``) for anything else than
    one address that every mail server accepts."""
    local, at, domain = unicodedata.normalize("NFC", text).strip().casefold().rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        domain = ""
    address = f"{local}@{domain}"
    if not (at and _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)) or len(address) > LONGEST:
        raise MailError(
            "mail.address", f"{text!r} is not a mail address", "use one such as claire@example.com"
        )
    return address
