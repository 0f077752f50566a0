"""The worker's duty for live calls: it lists them in the catalogue, passes people's commands to the daemon,
and writes down each outcome.

It runs in a thread of its own several times a second, because a caller who is about to read out a card number
cannot wait.  Live calls are read from the spool, as by ``accord status``, so the daemon is not asked.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from peewee import PeeweeException

from recorder import metrics
from recorder.audio.pause_redaction import pauses
from recorder.call.remote_commands import NOT_ALLOWED
from recorder.clock import Now, utc_now
from recorder.domain.call_plan import OPT_IN
from recorder.domain.live_command import NO_ANSWER, UNKNOWN, Request, carry
from recorder.errors import AccordError, SealError, TakeError
from recorder.features.live import queries
from recorder.features.live.queries import AskedRow, LiveRow
from recorder.ids import Entropy
from recorder.seal.revocation import Revoked, none_revoked
from recorder.spool.layout import END, EVENTS, QUARANTINE, CallStart, Mark, read_marks, read_start

TURN: Final = 0.2
"""Seconds between two looks at what was asked."""

LOOK: Final = 1.0
"""Seconds between two looks at which calls go on."""

SEEN: Final = 5.0
"""Seconds between two times that the catalogue is told that they still do."""

TIDY: Final = 60.0

_LONG: Final = timedelta(days=7)
"""What a pause ends after at the latest, where nobody saw how long it is."""

log = structlog.get_logger()


@dataclass
class Desk:
    """One node's.  :meth:`start` it once; it works until :meth:`stop`, or for the life of the process."""

    node: str
    spool: Path
    root: Ed25519PublicKey
    now: Now = utc_now
    entropy: Entropy = os.urandom
    monotonic: Callable[[], float] = time.monotonic
    revoked: Callable[[], Revoked] = none_revoked
    _known: dict[str, LiveRow] | None = None
    """What the catalogue has of this node's calls; ``None``: not known."""
    _seen: dict[str, tuple[int, CallStart, tuple[Mark, ...]]] = field(default_factory=dict)
    _finished: set[str] = field(default_factory=set)
    _look_due: float = 0.0
    _seen_due: float = 0.0
    _tidy_due: float = 0.0
    _taken_over: bool = False
    _ended: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin, in a thread."""
        threading.Thread(target=self._work, name="control", daemon=True).start()

    def stop(self) -> None:
        """Begin nothing any more."""
        self._ended.set()

    def _work(self) -> None:
        while not self._ended.wait(TURN):
            try:
                self.turn()
            except (AccordError, OSError, PeeweeException) as error:
                log.warning("command.delayed", error=str(error))
                self._ended.wait(LOOK)
            except Exception:
                # A mistake of ours: shown, and the next turn comes all the same.
                metrics.UNFORESEEN.inc()
                log.exception("command.failed")
                self._ended.wait(LOOK)

    def turn(self) -> None:
        """Carry what was asked, and look which calls go on.  Raises what catalogue and disk raise."""
        if not self._taken_over:
            for asked in queries.unanswered_of(self.node):
                # A worker of before had it, and ended; or the catalogue was away when it was to be answered.
                self._answer(asked, self._carry(asked, 0), lost=UNKNOWN)
            self._taken_over = True
        carried = False
        for asked in queries.open_of(self.node):
            until = self.monotonic() + (asked.until - self.now()).total_seconds()
            if queries.take(self.node, asked.id, self.now(), self.entropy):
                carried, self._taken_over = True, False
                self._answer(asked, self._carry(asked, until))
                self._taken_over = True
        if carried or self.monotonic() >= self._look_due:
            self._look_due = self.monotonic() + LOOK
            self.look()
        if self.monotonic() >= self._tidy_due:
            self._tidy_due = self.monotonic() + TIDY
            queries.drop_old(self.now())

    def _carry(self, asked: AskedRow, until: float) -> str:
        """Have the daemon carry out a command that was signed as it stands; the outcome."""
        try:
            queries.check_command(asked, self.root, self.revoked())
        except SealError as error:
            log.error(
                "command.refused",
                command=asked.id,
                recording=asked.call,
                error_id=error.error_id,
                error=error.message,
                hint="`accord audit` says who wrote to the catalogue past the panel",
            )
            return NOT_ALLOWED
        if not self._is_theirs(asked):
            log.error(
                "command.refused",
                command=asked.id,
                recording=asked.call,
                error_id="command.foreign",
                error=f"customer {asked.tenant} asked it of another customer's call",
                hint="`accord audit` says who wrote to the catalogue past the panel",
            )
            return NOT_ALLOWED
        return carry(self.spool, _request(asked, until))

    def _is_theirs(self, asked: AskedRow) -> bool:
        """Whether a call is the customer's who asks, by what was written when it arrived: its row may say
        another one.  Of one that has ended the daemon says so."""
        name = next((folder for folder in self._open() if folder.name == asked.call), None)
        try:
            return name is None or read_start(name).tenant == asked.tenant
        except (TakeError, OSError):
            return False

    def _answer(self, asked: AskedRow, outcome: str, lost: str = NO_ANSWER) -> None:
        told = lost if outcome == NO_ANSWER else outcome
        queries.answer(self.node, asked.id, told, self.now(), self.entropy)
        log.info("command.executed", recording=asked.call, what=asked.action, outcome=told)

    def look(self) -> None:
        """Put into the catalogue which calls go on now, as far as that has changed."""
        found = {row.id: row for row in self._calls()}
        if self._known is None:
            queries.put(self.node, list(found.values()), self.now())
        else:
            gone = [name for name in self._known if name not in found]
            changed = [row for name, row in found.items() if self._known.get(name) != row]
            due = bool(found) and self.monotonic() >= self._seen_due
            if not (gone or changed or due):
                return
            self._known = None  # until it is sure that it is written
            if not queries.change(self.node, gone, changed, self.now(), found):
                queries.put(self.node, list(found.values()), self.now())
        self._known = found
        self._seen_due = self.monotonic() + SEEN

    def _calls(self) -> list[LiveRow]:
        rows = []
        for folder in self._open():
            try:
                start, marks = self._read(folder)
            except (TakeError, OSError):
                continue  # it began or ended just now, or cannot be read: the others can
            row = live_row(start, marks, self.now())
            if row is not None:
                rows.append(row)
        return rows

    def _open(self) -> list[Path]:
        """Folders of calls that have not ended.  Each that has is looked at once: where the store is away,
        ten thousands may wait."""
        names = {name for name in os.listdir(self.spool) if not name.startswith(".") and name != QUARANTINE}
        self._finished &= names
        for name in self._seen.keys() - names:
            del self._seen[name]
        self._finished |= {name for name in names - self._finished if (self.spool / name / END).exists()}
        return [self.spool / name for name in sorted(names - self._finished)]

    def _read(self, folder: Path) -> tuple[CallStart, tuple[Mark, ...]]:
        """What was written of a call, read again where there is more of it."""
        try:
            size = (folder / EVENTS).stat().st_size
        except FileNotFoundError:
            size = 0
        known = self._seen.get(folder.name)
        if known is None or known[0] != size:
            start = known[1] if known else read_start(folder)  # it is never changed
            known = self._seen[folder.name] = size, start, read_marks(folder)
        return known[1], known[2]


def live_row(start: CallStart, marks: tuple[Mark, ...], now: datetime) -> LiveRow | None:
    """A call that is recorded, or about to be; ``None`` for one that is not, or not any more."""
    if start.tenant is None or start.announcement is None or start.refused or _over(start, marks):
        return None
    going = [pause for pause in pauses(marks, start.started_at + _LONG) if now < pause.latest]
    return LiveRow(
        id=start.recording,
        tenant=start.tenant,
        node=start.node,
        line=start.line,
        number=start.number,
        direction=start.direction,
        external_party=start.external_party,
        started_at=start.started_at,
        announced=any(mark.kind == "announcement_finished" for mark in marks),
        paused_until=going[-1].latest if going else None,
        deletable=start.delete is not None,
    )


def _over(start: CallStart, marks: tuple[Mark, ...]) -> bool:
    """Whether it was refused, destroyed, or has ended, by what was written down last."""
    kinds = [mark.kind for mark in marks]
    if {"deleted", "transferred_outside", "hangup"} & set(kinds):
        return True
    answers = [
        mark.data.get("answer")
        for mark in marks
        if mark.kind == "question_answered" and mark.data.get("question") == "recording"
    ]
    no = ("no", "none", "unclear") if start.mode == OPT_IN else ("no",)
    if answers and answers[-1] in no:
        return True
    stopped = [kind for kind in kinds if kind in ("recording_started", "recording_stopped")][-1:]
    told = "announcement_finished" in kinds
    # One that is told at pick-up is stopped, and begins anew where it was not heard whole.
    return stopped == ["recording_stopped"] and (told or not start.at_pickup)


def _request(asked: AskedRow, until: float) -> Request:
    return Request(asked.id, asked.call, asked.action, asked.by, until)
