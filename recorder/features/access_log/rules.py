"""What a leaf says: who did it, about whom, and how much was heard. Without I/O.

A leaf is shown by what was hashed, never by its row alone: a row that does not match its leaf is shown as
changed, and without its content.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from recorder.auditlog.append import OWNER_FIELDS, commitment, leaf_hash
from recorder.clock import from_iso, to_iso
from recorder.domain.parties import Party

State = Literal["intact", "erased", "changed"]
INTACT: Final = "intact"
ERASED: Final = "erased"
CHANGED: Final = "changed"

OPENED: Final = "listen.opened"
CLOSED: Final = "listen.closed"
DESTROYED: Final = "recording.erased"

SUBJECTS: Final = "user."
"""Kinds of leaves whose field ``user`` is the person they are about; in other kinds it is who did it."""

DOERS: Final = ("actor", "by", "user")
"""The fields of a body that name who did it, the first that there is. The index ``log_leaf_actor`` and
:data:`recorder.features.access_log.queries.ACTOR` read them in this order, too."""

WORDS: Final = frozenset({"operator", "system", "panel", "api", "user", ""})
"""Values of those fields that are no ids."""

UNKNOWN_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the time of a leaf that cannot be read."""


@dataclass(frozen=True, slots=True)
class RawLeaf:
    """A leaf's row as it is in the database, whatever somebody wrote there."""

    number: int
    kind: str
    at: str
    recording: str | None
    body: str | None
    salt: bytes | None
    leaf: str
    leaf_hash: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is named in the log: a ``user`` or an API ``token`` of the customer, the provider's
    ``operator``, the ``system`` itself, or somebody who is ``unknown``. ``name`` may be empty: after a
    customer has left, names are erased."""

    id: str
    kind: Literal["user", "token", "operator", "system", "unknown"]
    name: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """The call that an entry is about: its start, the line's number, the external party (``None`` once it was
    erased), and whether it is ``recorded``, so that it has a page."""

    id: str
    started_at: datetime
    number: str
    direction: str
    party: Party | None
    recorded: bool


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One leaf, as it is shown. ``state`` is ``erased`` once the body was erased with the recording that it
    is about, and ``changed`` if the row is not what was hashed; ``body`` is empty in both cases.
    ``heard_ms``: how much of a recording was played, as the player reported by the end of this listen;
    ``None`` for any other leaf, and without a report. ``finished``: the listen has ended."""

    number: int
    kind: str
    at: datetime
    state: State
    leaf_hash: str
    recording: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    who: Person | None = None
    about: Person | None = None
    heard_ms: int | None = None
    finished: bool = False

    @property
    def purpose(self) -> str:
        """The purpose that a listen, a grant or a refusal was for; empty if it has none."""
        return str(self.body.get("purpose") or "")

    @property
    def about_recording(self) -> str | None:
        """The id of the recording or call that it is about. The leaf of an erasure belongs to none, so that
        its body stays, but names it."""
        return self.recording or (str(self.body["recording"]) if self.body.get("recording") else None)


@dataclass(frozen=True, slots=True)
class LogPosition:
    """A position in the log, which is listed latest first; it stays valid when leaves are appended."""

    at: str
    number: int

    def encode(self) -> str:
        """The text for a URL."""
        return f"{self.at}_{self.number}"

    @classmethod
    def decode(cls, text: str) -> LogPosition:
        """Read what :meth:`encode` wrote. Raises ``ValueError`` for anything else."""
        at, _, number = text.partition("_")
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            raise ValueError(f"not a position in the log: {text!r}")
        return cls(to_iso(from_iso(at)), int(number))


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What to list: entries by or about a ``person`` (an id), of some ``kinds`` (``None``: all), about a
    ``recording`` or call, from ``since`` (inclusive) to ``until`` (exclusive)."""

    person: str | None = None
    kinds: Collection[str] | None = None
    recording: str | None = None
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING: Final = LogFilter()


@dataclass(frozen=True, slots=True)
class LogPage:
    """A page of the log, and the position after which the next one begins, if there is one."""

    entries: tuple[LogEntry, ...]
    more: LogPosition | None


def read_entry(tenant: str, row: RawLeaf) -> LogEntry:
    """A row as an entry of the tenant's log, still without names."""
    changed = LogEntry(row.number, row.kind, _time(row.at), CHANGED, row.leaf_hash, row.recording)
    try:
        leaf = json.loads(row.leaf)
        stated = leaf["tenant"], leaf["number"], leaf["kind"], leaf["at"]
        if stated != (tenant, row.number, row.kind, row.at) or leaf_hash(row.leaf.encode()) != row.leaf_hash:
            return changed
        if row.body is None or row.salt is None:
            is_erased = row.body is None and row.salt is None and row.kind in OWNER_FIELDS
            return replace(changed, state=ERASED) if is_erased else changed
        if commitment(row.salt, row.body.encode()) != leaf["commitment"]:
            return changed
        body = json.loads(row.body)
        return replace(changed, state=INTACT, body=body, heard_ms=heard_ms(row.kind, body))
    except (ValueError, TypeError, KeyError, AttributeError):
        return changed


def _time(text: str) -> datetime:
    try:
        return from_iso(text)
    except (ValueError, TypeError):
        return UNKNOWN_TIME


def doer(kind: str, body: Mapping[str, Any]) -> str | None:
    """Who did it: an id, or a word for whoever has none (``operator``, ``system``). ``None``: the body does
    not say."""
    for name in DOERS[:2] if kind.startswith(SUBJECTS) else DOERS:
        value = body.get(name)
        if isinstance(value, str) and value not in ("", "user", "panel", "api"):
            return value
    return None


def subject(kind: str, body: Mapping[str, Any]) -> str | None:
    """The user whom a leaf is about, if that is not who did it."""
    value = body.get("user")
    if not isinstance(value, str) or value in WORDS:
        return None
    return value if kind.startswith(SUBJECTS) or doer(kind, body) != value else None


def heard_ms(kind: str, body: Mapping[str, Any]) -> int | None:
    """How much the player reported as played, in milliseconds of the recording; each part counts once."""
    report = body.get("listen_report")
    if kind != CLOSED or not isinstance(report, Sequence):
        return None
    return sum(int(end) - int(begin) for begin, end in report)
