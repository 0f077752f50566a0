"""The signed statement of how the panel and its mails present the provider, kept in the catalogue.

Without it, write access to the catalogue would suffice to show customers another provider's name, a
misleading help address, or mails from another sender::

    {"body": {"type": "accord-branding", "version": 1, "tenant": ..., "number": 3, "by": ..., "name": ...,
              "logo": ..., "colour": ..., "colour_dark": ..., "sender": ..., "sender_name": ...,
              "help_address": ..., "at": ..., "software": ...},
     "endorsement": ..., "signatures": [...]}

It is a signed document (``signed_document.py``), by a key that is endorsed for credentials. ``number``
counts the provider's statements from 1. Each has a leaf in the provider's log that states its number, so an
older one is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from recorder.seal import signed_document, signing
from recorder.strict_json import Binary, Form, Positive, Strict

LONGEST_LOGO: Final = 50_000
"""Maximum length of a logo, in bytes: a first visit stays light."""

Colour = Annotated[str, Field(pattern="^(#[0-9a-f]{6})?$")]


@dataclass(frozen=True, slots=True)
class Branding(Strict):
    """The provider's presentation, as the user ``by`` set it. An empty value leaves the one of the settings
    file. ``logo`` is a PNG file. ``sender`` and ``sender_name`` are of mails; ``help_address`` is the mail
    address or ``https`` link under which customers get help."""

    tenant: str
    number: Positive
    by: str
    name: str = ""
    logo: Annotated[Binary, Field(max_length=LONGEST_LOGO)] = b""
    colour: Colour = ""
    colour_dark: Colour = ""
    sender: str = ""
    sender_name: str = ""
    help_address: str = ""


KIND: Final = signed_document.Kind(
    "accord-branding", "branding", signing.CREDENTIAL, Form[Branding](Branding), largest=96 * 1024
)
