"""Takes in quarantine that are over: their date has come, or a signed note says that they were erased."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recorder.clock import from_iso
from recorder.errors import TakeError
from recorder.lifecycle.statements import Statements
from recorder.spool.layout import QUARANTINE_REASON, RemovableTake, read_start


@dataclass(frozen=True, slots=True)
class QuarantinedTake(RemovableTake):
    """A take in quarantine that is over."""


def over_in_quarantine(
    folder: Path, now: datetime, erased_calls: Collection[str], statements: Statements
) -> QuarantinedTake | None:
    """The take in a folder of the quarantine if it is over. ``erased_calls`` are ids of calls that rows say
    were erased at their person's request, which a signed note confirms. Raises
    :class:`recorder.errors.StoreError`."""
    until = _until(folder)
    if until is None:
        return None  # it may still become a recording, to which no such note applies
    if until <= now or (folder.name in erased_calls and _was_erased(folder, statements)):
        return QuarantinedTake(folder)
    return None


def _was_erased(folder: Path, statements: Statements) -> bool:
    try:
        tenant = read_start(folder).tenant
    except TakeError:
        return False
    return statements.forgot(tenant, folder.name)


def _until(folder: Path) -> datetime | None:
    """The expiry of a take in quarantine; ``None`` if it has none, or if its note is unreadable: then an
    operator has put the folder there."""
    try:
        until = json.loads((folder / QUARANTINE_REASON).read_bytes())["until"]
        return None if until is None else from_iso(until)
    except (OSError, ValueError, KeyError, TypeError):
        return None
