"""What admins are told, when, and when by mail. Without I/O.

A line that is not recorded has one notification per cause, from the first call that was not recorded until
the next one that was. If it fails again within :data:`REOPENING_WINDOW`, the same notification goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from recorder.clock import to_iso
from recorder.domain.line_policy import OFF

NOT_RECORDED: Final = "not_recorded"
WORK: Final = "work"
REVIEW: Final = "review"
HANDOVER: Final = "handover"
"""That others asked the reader to handle recordings: open as long as they do. It has no row; its kind, its
cause and its id are the same."""

DISPUTE_NEWS: Final = "dispute_news"
"""That somebody else did something in an open question that the reader takes part in; it has a row of its
own, for each person and dispute, and its mails come from there."""

KINDS: Final = (DISPUTE_NEWS, NOT_RECORDED, WORK, REVIEW)
"""What admins choose to be told: what happens in open questions, that a number is not recorded, that work has
ended, and that a review is due."""

COLLEAGUES_KINDS: Final = (DISPUTE_NEWS,)
"""What their colleagues choose to be told."""

SET_ASIDE: Final = "set_aside"
"""The cause for every reason that is neither in :data:`FAULTS` nor in :data:`ORDINARY_REASONS`: the id
of an error for which a take went into quarantine."""
RECORDER_AWAY: Final = "recorder_away"
"""The cause where no daemon watches a switch, whether there are calls or not."""
SWITCHED_OFF: Final = "switched_off"
LINE_ENDED: Final = "line_ended"
SUSPENDED: Final = "suspended"
"""The cause where the provider has suspended the line, or the customer."""

FAULTS: Final = (
    "no_snapshot", "prompt_damaged", "announcement_failed", "recording_failed", "daemon_away", "daemon_late",
    "dialplan_did_not_ask", "full_disk",
)  # fmt: skip
"""Reasons of :data:`recorder.spool.layout.REASONS` that are causes: something is wrong with the recording."""

ORDINARY_REASONS: Final = (
    "no_line", "suspended", "never_record", "never_connected", "forwarded_externally",
    "hung_up_in_announcement", "hung_up_in_question", "declined", "no_answer", "unclear", "not_kept",
    "deleted", "channel_gone",
)  # fmt: skip
"""The other reasons: somebody decided it, or the call came to nothing. Nothing is wrong with the line."""

CALL_CAUSES: Final = (*FAULTS, SET_ASIDE)

IMPORT: Final = "import"
ARCHIVE: Final = "archive"
HOLD: Final = "hold"
REQUEST: Final = "request"
LEGAL_DUTY: Final = "legal_duty"
"""A person's recording could not be erased while a law required to keep it."""

PROPOSAL: Final = "proposal"
"""The provider proposes to change what a line announces."""

CAUSES: Final[Mapping[str, tuple[str, ...]]] = {
    NOT_RECORDED: (*CALL_CAUSES, RECORDER_AWAY, SWITCHED_OFF, LINE_ENDED, SUSPENDED),
    WORK: (IMPORT, ARCHIVE),
    REVIEW: (HOLD, REQUEST, LEGAL_DUTY, PROPOSAL),
}
"""The causes of each kind."""

RECORDED_AGAIN: Final = "recorded_again"
SWITCHED_ON: Final = "switched_on"
LINE_STOPPED: Final = "line_stopped"
"""The line was switched off, or ended."""
DONE: Final = "done"
OUTCOMES: Final = (RECORDED_AGAIN, SWITCHED_ON, LINE_STOPPED, DONE)

AWAY_AFTER: Final = timedelta(minutes=10)
"""How long no daemon may watch a switch before it is told."""

REPORT_VALID: Final = timedelta(minutes=10)
"""How long a worker's report of its node's daemon holds. Of a node whose worker is gone, nothing is known."""

CALL_WINDOW: Final = timedelta(days=2)
"""How old a call that was not recorded may be to begin a notification."""

REOPENING_WINDOW: Final = timedelta(days=1)
"""A line that fails by turns has one notification, not one for each time."""

LINE_END_WINDOW: Final = timedelta(days=7)
"""How long after a line's end it is still told."""

REQUEST_NOTICE: Final = timedelta(days=7)
"""How long before its due day a subject request is told."""

RETENTION: Final = timedelta(days=90)
"""How long a notification is kept after its end."""

SETTLING_TIME: Final = timedelta(minutes=5)
"""How long a line's state must have lasted before it is mailed: what fails with a whole switch is then in
one mail, and what lasted a moment is in none."""

PAUSES: Final[Mapping[str, timedelta]] = {
    NOT_RECORDED: timedelta(hours=1), WORK: timedelta(0), REVIEW: timedelta(hours=12),
}  # fmt: skip
"""The least time between two mails of a kind to a customer's admins."""

BY_MAIL: Final = "mail"
ON_PAGE: Final = "page"
NOT_AT_ALL: Final = "none"
CHANNELS: Final = (BY_MAIL, ON_PAGE, NOT_AT_ALL)
"""How an admin is told of a kind: by mail and in the panel, only in the panel, or not at all."""

State = Literal["open", "ended"]


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification, as its row has it."""

    id: str
    kind: str
    cause: str
    key: str
    since: datetime
    changed_at: datetime
    line: str | None = None
    recording: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    ended_at: datetime | None = None
    outcome: str | None = None
    mailed: str | None = None

    @property
    def state(self) -> State:
        return "open" if self.ended_at is None else "ended"


@dataclass(frozen=True, slots=True)
class ReadMarks:
    """What an admin has read: what changed up to ``until``, and otherwise the ``single`` notifications that
    they marked, by id: each with the change that it had then, and whether as read. A notification that has
    changed since is unread."""

    until: datetime | None = None
    single: Mapping[str, tuple[datetime, bool]] = field(default_factory=dict)

    def is_read(self, notification: str, changed_at: datetime) -> bool:
        """Whether the admin has read a notification since its last change."""
        change, is_read = self.single.get(notification, (None, False))
        return is_read if change == changed_at else self.covers(changed_at)

    def covers(self, changed_at: datetime) -> bool:
        """Whether everything that changed at a time was marked as read."""
        return self.until is not None and changed_at <= self.until


@dataclass(frozen=True, slots=True)
class Occasion:
    """What there is to tell, apart from calls; ``key`` is the same each time it is found. ``over``: nothing
    about it will change."""

    kind: str
    cause: str
    key: str
    since: datetime
    line: str | None = None
    recording: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    over: bool = False


@dataclass(frozen=True, slots=True)
class LineFailure:
    """Calls of a line were not recorded, for a cause; the ``last`` of them began then."""

    line: str
    cause: str
    last: datetime


@dataclass(frozen=True, slots=True)
class NotificationEnd:
    """That a notification has ended."""

    notification: Notification
    at: datetime
    outcome: str


@dataclass(frozen=True, slots=True)
class CallChanges:
    """Which lines begin to fail, which fail again, and which notifications end."""

    starts: tuple[LineFailure, ...]
    reopenings: tuple[Notification, ...]
    ends: tuple[NotificationEnd, ...]


def compare_calls(
    failures: Iterable[LineFailure],
    rows: Sequence[Notification],
    recorded_lines: Collection[str],
    recorded_after: Callable[[str, datetime], datetime | None],
    now: datetime,
) -> CallChanges:
    """What has changed, by the calls that were not recorded lately.

    ``rows`` are a customer's notifications about calls that are open or ended lately, ``recorded_lines`` the
    lines that should be recorded. ``recorded_after`` returns the start of the first recorded call of a line
    after a time."""
    last = {(each.line, each.cause): each.last for each in failures}
    newest = {(str(row.line), row.cause): row for row in sorted(rows, key=lambda row: row.since)}
    ends = []
    for row in rows:
        line = str(row.line)
        if row.ended_at is not None:
            continue
        if line not in recorded_lines:
            ends.append(NotificationEnd(row, now, LINE_STOPPED))
        elif (at := recorded_after(line, last.get((line, row.cause), row.since))) is not None:
            ends.append(NotificationEnd(row, at, RECORDED_AGAIN))
    starts, reopenings = [], []
    for (line, cause), at in last.items():
        known = newest.get((line, cause))
        known_end = None if known is None else known.ended_at
        goes_on = known is not None and (known_end is None or at <= known_end)
        if goes_on or line not in recorded_lines or recorded_after(line, at) is not None:
            continue
        if known is not None and known_end is not None and at - known_end <= REOPENING_WINDOW:
            reopenings.append(known)
        else:
            starts.append(LineFailure(line, cause, at))
    return CallChanges(tuple(starts), tuple(reopenings), tuple(ends))


def away_since(watches: Iterable[tuple[datetime, datetime]], now: datetime) -> datetime | None:
    """Since when no daemon watches a switch; ``None`` if one does, or nothing is known. ``watches`` are, of
    each node, when its daemon last did, and when that was reported.

    A line's calls may come through any node, so only if all are away it is certain that none is recorded."""
    found = [at for at, reported_at in watches if abs(now - reported_at) <= REPORT_VALID]
    if not found or any(now - at <= AWAY_AFTER for at in found):
        return None
    return max(found)


def away_occasions(
    rows: Iterable[Notification], recorded_lines: Iterable[str], since: datetime | None
) -> list[Occasion]:
    """What there is to tell while no daemon watches a switch: one notification of each line, as long as that
    lasts. ``rows`` are the customer's notifications."""
    if since is None:
        return []
    open_keys = {row.line: row.key for row in rows if row.cause == RECORDER_AWAY and row.ended_at is None}
    return [
        Occasion(
            NOT_RECORDED,
            RECORDER_AWAY,
            open_keys.get(line, f"{RECORDER_AWAY}/{line}/{to_iso(since)}"),
            since,
            line,
        )
        for line in sorted(recorded_lines)
    ]


def find_ends(
    rows: Iterable[Notification],
    occasions: Iterable[Occasion],
    recorded_lines: Collection[str],
    living_lines: Collection[str],
    now: datetime,
) -> tuple[NotificationEnd, ...]:
    """Which of the open notifications that are not about calls have no occasion any more. ``recorded_lines``
    should be recorded, ``living_lines`` have not ended."""
    keys = {each.key for each in occasions}
    ends = []
    for row in rows:
        if row.cause in CALL_CAUSES or row.ended_at is not None or row.key in keys:
            continue
        outcome = DONE
        if row.cause == SWITCHED_OFF:
            outcome = SWITCHED_ON if row.line in living_lines else LINE_STOPPED
        elif row.cause in (RECORDER_AWAY, SUSPENDED):
            outcome = RECORDED_AGAIN if row.line in recorded_lines else LINE_STOPPED
        ends.append(NotificationEnd(row, now, outcome))
    return tuple(ends)


def switch_off_times(modes: Iterable[tuple[str, str, datetime]]) -> dict[str, datetime]:
    """Since when lines that were recorded are switched off; ``modes`` are a line's id, its mode, and since
    when it has it, in order."""
    lines_on: set[str] = set()
    found: dict[str, datetime] = {}
    for line, mode, at in modes:
        if mode != OFF:
            lines_on.add(line)
            found.pop(line, None)
        elif line in lines_on and line not in found:
            found[line] = at
    return found


def due_for_mail(
    kind: str, rows: Sequence[Notification], last_mail: datetime | None, now: datetime
) -> tuple[Notification, ...]:
    """Those of a kind's notifications that are to be mailed now, in one mail; none soon after the last one.

    A notification is mailed when it begins and, if it is about a line, when it ends."""
    if last_mail is not None and last_mail <= now < last_mail + PAUSES[kind]:
        return ()
    shortest = SETTLING_TIME if kind == NOT_RECORDED else timedelta(0)
    return tuple(
        row
        for row in rows
        if row.kind == kind
        and row.mailed != row.state
        and row.changed_at <= now - shortest
        and not (kind == REVIEW and row.ended_at is not None)
    )


def channel_of(choices: Mapping[str, str], kind: str) -> str:
    """How an admin is told of a kind: by mail, unless they have chosen otherwise."""
    found = choices.get(kind)
    return found if found in CHANNELS else BY_MAIL
