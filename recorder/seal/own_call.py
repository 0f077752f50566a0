"""The signed statement that the person who was recorded may open one recording, kept in the catalogue.

Without it, write access to the catalogue would suffice to open a recording to somebody else's telephone::

    {"body": {"type": "accord-own-call", "version": 1, "tenant": ..., "recording": ..., "number": 1,
              "guest": ..., "phone": "+32...", "code_mac": ..., "until": ..., "names": false, "at": ...,
              "software": ...},
     "endorsement": ..., "signatures": [...]}

It is a signed document (``signed_document.py``), by a key that is endorsed for disclosures. ``number`` counts
a recording's statements from 1. Each has a leaf in the customer's log that states its number, so an older one
is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from recorder.seal import signed_document, signing
from recorder.strict_json import Form, Positive, Sha256, Strict, Time


@dataclass(frozen=True, slots=True)
class OwnCallCode(Strict):
    """A code that opens a recording ``until`` a time, together with one that is spoken to ``phone``, the
    number that took part as sealed. ``code_mac`` is the code under a key of its own (hex), ``None`` once it
    is withdrawn; ``guest`` is the id of the user that the person then is. ``names``: they see the names of
    the customer's people who listened."""

    tenant: str
    recording: str
    number: Positive
    guest: str
    phone: str
    code_mac: Sha256 | None
    until: Time
    names: bool


KIND: Final = signed_document.Kind(
    "accord-own-call", "code for a person's own call", signing.DISCLOSURE, Form[OwnCallCode](OwnCallCode)
)
