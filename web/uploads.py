"""Which forms may carry a file, and how large a request with one may be.

All other requests are small forms (:data:`web.request_reader.MAX_BODY`). A file that is somewhat too large is
still read, so that the form can say so beside the field.
"""

from __future__ import annotations

import re
from typing import Final

from flask import Flask, request
from gevent.lock import BoundedSemaphore

MAX_UPLOAD: Final = 12 << 20
"""Largest body of a request with a file, in bytes."""

MAX_FIELDS: Final = 256 << 10
"""Bytes of a form beside its files: the reader counts up to two of its 64 KiB pieces of a file, too."""

MAX_CONCURRENT: Final = 4
"""Large bodies that are read at the same time; further ones wait."""

slots: Final = BoundedSemaphore(MAX_CONCURRENT)

ENDPOINTS: Final = frozenset({"numbers.save_setup", "branding.edit_settings", "contacts.import_contacts"})

_PATHS: Final = re.compile(r"/numbers/[0-9a-f-]{36}/setup|/settings|/contacts/import")


def may_carry_file(command: str, target: str) -> bool:
    """Whether a request with this method and target may carry a file."""
    return command == "POST" and _PATHS.fullmatch(target.partition("?")[0]) is not None


def init_app(app: Flask) -> None:
    """Register before everything that reads the form."""

    @app.before_request
    def raise_limit() -> None:
        if request.endpoint in ENDPOINTS:
            request.max_content_length = MAX_UPLOAD
            request.max_form_memory_size = MAX_FIELDS
