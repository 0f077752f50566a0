"""The worker's duty for live calls: it lists them in the catalogue, and then those that have ended and are
being stored; it relays people's commands to the daemon, and records each outcome.

It has a thread of its own and runs several times a second, because a caller who is about to read out a card
number cannot wait. Live calls are read from the spool, as by ``accord status``, so the daemon is not
involved.
"""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.call.remote_commands import NOT_ALLOWED
from recorder.clock import Now, utc_now
from recorder.domain.live_command import NO_ANSWER, UNKNOWN, Request
from recorder.domain.markers import Marker
from recorder.errors import SealError, TakeError
from recorder.features.live import queries, rules
from recorder.features.live.queries import CommandRow, LiveRow
from recorder.features.live.rules import ended_row, hung_up_take, live_row
from recorder.ids import Entropy
from recorder.pipeline.duty_thread import DutyThread
from recorder.seal.revocation import Revoked, none_revoked
from recorder.spool.command_socket import send_request
from recorder.spool.layout import END, EVENTS, QUARANTINE, CallStart, read_markers, read_start, read_take

MOST_ENDED: Final = 200
"""Calls that are listed as being stored, the newest: while the store is away, ten thousand may be waiting."""

LOOK: Final = 1.0
"""Seconds between two scans for live calls."""

CONFIRM_INTERVAL: Final = 5.0
"""Seconds after which unchanged calls are confirmed in the catalogue."""

TIDY: Final = 60.0
"""Seconds between two removals of old rows."""


log = structlog.get_logger()


@dataclass
class LiveCallRelay(DutyThread):
    """Relays the live calls and commands of one node."""

    node: str
    spool: Path
    root: Ed25519PublicKey
    now: Now = utc_now
    entropy: Entropy = os.urandom
    monotonic: Callable[[], float] = time.monotonic
    revoked: Callable[[], Revoked] = none_revoked
    _known: dict[str, LiveRow] | None = None
    """This node's calls as the catalogue has them; ``None``: unknown."""
    _confirmed: dict[str, tuple[int, CallStart, tuple[Marker, ...]]] = field(default_factory=dict)
    _finished: set[str] = field(default_factory=set)
    _ended: dict[str, LiveRow | None] = field(default_factory=dict)
    """The newest finished takes, each read once; ``None``: it is not kept, or cannot be read."""
    _look_due: float = 0.0
    _seen_due: float = 0.0
    _tidy_due: float = 0.0
    _taken_over: bool = False

    NAME: ClassVar[str] = "control"
    INTERVAL: ClassVar[float] = 0.2
    BACK_OFF: ClassVar[float] = 1.0

    def delayed(self, error: Exception) -> None:
        self.faults.report("command.delayed", error)

    def failed(self, error: Exception) -> None:
        self.faults.report("command.failed", error, level="error", exc_info=error)

    def turn(self) -> None:
        """Relay new commands, and list the live calls. Raises what catalogue and disk raise."""
        if not self._taken_over:
            for command in queries.unanswered_commands(self.node):
                # An earlier worker took it and died, or the catalogue was unavailable for its answer.
                self._answer(command, self._carry(command, 0), fallback=UNKNOWN)
            self._taken_over = True
        carried = False
        for command in queries.open_commands(self.node):
            until = self.monotonic() + (command.until - self.now()).total_seconds()
            if queries.take(self.node, command.id, self.now(), self.entropy):
                carried, self._taken_over = True, False
                self._answer(command, self._carry(command, until))
                self._taken_over = True
        if carried or self.monotonic() >= self._look_due:
            self._look_due = self.monotonic() + LOOK
            self.look()
        if self.monotonic() >= self._tidy_due:
            self._tidy_due = self.monotonic() + TIDY
            queries.drop_old(self.now())

    def _carry(self, command: CommandRow, until: float) -> str:
        """Have the daemon carry out a command that was signed as it stands; returns the outcome."""
        try:
            rules.check_command(command, self.root, self.revoked())
        except SealError as error:
            log.error(
                "command.refused",
                command=command.id,
                recording=command.call,
                error_id=error.error_id,
                error=error.message,
                hint="run `accord audit run`: the catalogue was changed outside the panel",
            )
            return NOT_ALLOWED
        if not self._is_theirs(command):
            log.error(
                "command.refused",
                command=command.id,
                recording=command.call,
                error_id="command.foreign",
                error=f"customer {command.tenant} sent it for another customer's call",
                hint="run `accord audit run`: the catalogue was changed outside the panel",
            )
            return NOT_ALLOWED
        return send_request(self.spool, _request(command, until))

    def _is_theirs(self, command: CommandRow) -> bool:
        """Whether a call belongs to the tenant that sent the command, by what was written when it arrived: a
        row may say otherwise. For a call that has ended the daemon answers."""
        name = next((folder for folder in self._open() if folder.name == command.call), None)
        try:
            return name is None or read_start(name).tenant == command.tenant
        except (TakeError, OSError):
            return False

    def _answer(self, command: CommandRow, outcome: str, fallback: str = NO_ANSWER) -> None:
        recorded = fallback if outcome == NO_ANSWER else outcome
        queries.answer(self.node, command.id, recorded, self.now(), self.entropy)
        log.info("command.executed", recording=command.call, what=command.action, outcome=recorded)

    def look(self) -> None:
        """Update the live calls in the catalogue, if they have changed."""
        found = {row.id: row for row in self._calls()}
        if self._known is None:
            queries.put(self.node, list(found.values()), self.now())
        else:
            over = [name for name in self._known if name not in found]
            changed = [row for name, row in found.items() if self._known.get(name) != row]
            due = bool(found) and self.monotonic() >= self._seen_due
            if not (over or changed or due):
                return
            self._known = None  # until the catalogue is updated
            if not queries.change(self.node, over, changed, self.now(), found):
                queries.put(self.node, list(found.values()), self.now())
        self._known = found
        self._seen_due = self.monotonic() + CONFIRM_INTERVAL

    def _calls(self) -> list[LiveRow]:
        rows = []
        for folder in self._open():
            try:
                start, markers = self._read(folder)
            except (TakeError, OSError):
                continue  # it began or ended just now, or is unreadable
            row = live_row(start, markers, self.now())
            if row is None and (take := hung_up_take(folder, start, markers)) is not None:
                row = ended_row(take)
            if row is not None:
                rows.append(row)
        newest = heapq.nlargest(MOST_ENDED, self._finished)  # names sort by time
        self._ended = {
            name: self._ended[name] if name in self._ended else self._read_ended(name) for name in newest
        }
        return rows + [row for row in self._ended.values() if row is not None]

    def _read_ended(self, name: str) -> LiveRow | None:
        try:
            return ended_row(read_take(self.spool / name))
        except (TakeError, OSError):
            return None

    def _open(self) -> list[Path]:
        """Folders of calls that have not ended. Each that has is read once: while the store is away, ten
        thousand may be waiting."""
        names = {name for name in os.listdir(self.spool) if not name.startswith(".") and name != QUARANTINE}
        self._finished &= names
        for name in self._confirmed.keys() - names:
            del self._confirmed[name]
        self._finished |= {name for name in names - self._finished if (self.spool / name / END).exists()}
        return [self.spool / name for name in sorted(names - self._finished)]

    def _read(self, folder: Path) -> tuple[CallStart, tuple[Marker, ...]]:
        """A call's start and markers, read again when there are more."""
        try:
            size = (folder / EVENTS).stat().st_size
        except FileNotFoundError:
            size = 0
        known = self._confirmed.get(folder.name)
        if known is None or known[0] != size:
            start = known[1] if known else read_start(folder)  # never changes
            known = self._confirmed[folder.name] = size, start, read_markers(folder)
        return known[1], known[2]


def _request(command: CommandRow, until: float) -> Request:
    return Request(command.id, command.call, command.action, command.by, until)
