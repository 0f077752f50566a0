"""Classifies the errors that delay a take, for the metrics."""

from __future__ import annotations

from typing import Final

from peewee import PeeweeException

from recorder.errors import CatalogueError, EncoderError, SealError, StoreError, TakeError
from recorder.store.contract import Unreachable

_KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (Unreachable, "store_away"),
    (StoreError, "store"),
    (CatalogueError, "catalogue"),
    (PeeweeException, "catalogue"),
    (SealError, "seal"),
    (TakeError, "take"),
    (EncoderError, "encoder"),
    (OSError, "disk"),
)


def obstacle(error: Exception) -> str:
    """The class of an error: one of :data:`recorder.metrics.OBSTACLES`."""
    return next((word for kind, word in _KINDS if isinstance(error, kind)), "other")
