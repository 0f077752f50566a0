"""The signed statement whether a colleague may download recordings as files, kept in the catalogue.

Without it, write access to the catalogue would suffice to let somebody take recordings away::

    {"body": {"type": "accord-download-permission", "version": 1, "tenant": ..., "user": ..., "number": 3,
              "allowed": true, "at": ..., "software": ...},
     "endorsement": ..., "signatures": [...]}

It is a signed document (``signed_document.py``), by a key that is endorsed for credentials. ``number`` counts
a user's statements from 1. Each has a leaf in the customer's log that states its number, so an older one is
refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from recorder.seal import signed_document, signing
from recorder.strict_json import Form, Positive, Strict


@dataclass(frozen=True, slots=True)
class DownloadPermission(Strict):
    """Whether a user may download recordings."""

    tenant: str
    user: str
    number: Positive
    allowed: bool


KIND: Final = signed_document.Kind(
    "accord-download-permission", "permission to download", signing.CREDENTIAL,
    Form[DownloadPermission](DownloadPermission),
)  # fmt: skip
