"""Reconciles the spool with the switch after a restart of the daemon or of the connection."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import gevent
import structlog
from gevent.lock import RLock

from recorder import metrics
from recorder.call import initial
from recorder.call.state import CallState
from recorder.capture.call_controller import CallController
from recorder.capture.conferences import Conferences
from recorder.capture.pause_query import pause_seconds, paused_at
from recorder.capture.thread_pool import in_thread
from recorder.clock import Now
from recorder.domain.call_events import CallReconciled, ChannelGone
from recorder.domain.call_plan import OPT_OUT, CallPlan, Script
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.errors import SwitchError, TakeError
from recorder.spool import disk_space, layout
from recorder.spool.layout import CallEnd, CallStart
from recorder.switch import commands
from recorder.switch.caller_id import own_party
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import Live, Node, data_of, variable_of
from recorder.switch.translation import bridged_time, held_since

log = structlog.get_logger()

MAY_RECORD = frozenset({"announcing", "announced"})
"""The switch's states of a call that may be recorded; see ``freeswitch_conf/dialplan/accord.xml``."""

AGAIN = 10.0
"""Seconds until a folder that could not be read is tried again."""

BYTES_PER_SECOND = 8000 * 2 * 2
"""Of a recording: 8 kHz, two channels, 16 bits; one with a higher rate only looks longer."""

SHORTEST = timedelta(milliseconds=500)
"""A recording that is not this much longer than its announcement was stopped with it."""


@dataclass(frozen=True, slots=True)
class _There:
    """The other end of a call: its leg and party, and ``since`` when the call was last bridged; since when
    the external party is on hold (``held``), and the other leg (``colleague_held``)."""

    leg: str
    party: Party | None
    since: datetime | None
    held: datetime | None = None
    colleague_held: datetime | None = None


_NOBODY = _There("", None, None)


class Reconciliation:
    """Reconciles what the spool knows with what the switch does.

    ``adopt`` creates a :class:`CallController` for a call that an earlier daemon began, ``script`` knows
    what plays to it, ``rooms`` who takes part in it. ``own`` is this node's name: the spool of another
    node's call was moved here, and nobody has watched that call since its last mark."""

    def __init__(
        self,
        node: Node,
        root: Path,
        now: Now,
        adopt: Callable[[CallStart, CallState], CallController],
        script: Callable[[CallStart], Script | None],
        rooms: Conferences,
        own: str | None = None,
    ) -> None:
        self._rooms = rooms
        self._own = own
        self._node = node
        self._root = root
        self._now = now
        self._adopt = adopt
        self._script = script
        self._left_open: list[Path] = []
        self._late: list[tuple[CallController, datetime]] = []
        self._since: datetime | None = None
        self._complained: set[Path] = set()
        self._one_at_a_time = RLock()
        self._again: gevent.Greenlet[[], None] | None = None

    def look(self, since: datetime | None = None, own: Container[str] = ()) -> None:
        """See what an earlier daemon, which watched until ``since``, left open; ``own`` are the recordings
        that this daemon began, whose folders look the same."""
        self._since = since
        self._left_open = [folder for folder in layout.open_takes(self._root) if folder.name not in own]

    def take_over(self, live: Live) -> None:
        """Take over the calls that were left open; our own were watched all the time. Raises
        :class:`SwitchError`: :meth:`reconcile` then does it."""
        self._take_up(live)
        self._tell_late()

    @property
    def left_open(self) -> set[str]:
        """The folders that are still to be taken over."""
        return {folder.name for folder in self._left_open}

    def end(self, folder: Path, start: CallStart, marks: tuple[Marker, ...]) -> None:
        """Take over a call that is over, and whose end nobody saw, without any command for it."""
        since = _noted(start, marks)
        call = self._adopt(start, self._state(start, marks, since))
        metrics.CALLS_TAKEN_OVER.inc()
        call.log.info("call.reconciled", marks=len(marks), node=start.node)
        self._gone(call, min(since, self._now()))

    def leave(self, folder: Path, error: TakeError) -> None:
        """End a folder that can never be taken over, so that the worker lists it, and sets it aside."""
        now = self._now()
        in_thread(lambda: layout.close_take(folder, CallEnd("recorded", None, now, None)))
        log.warning("spool.deferred_to_worker", folder=folder.name, error=error.message)

    def reconcile(self, live: Live, calls: Mapping[str, CallController], since: datetime) -> None:
        """Check every call that is open here: does it still exist, and what does the switch say of it? Then
        stop every recording of ours on a call that may not have one.

        A folder that cannot be read is left as it is, with its recording; it is tried again until it can.

        Raises :class:`SwitchError`: the connection is then made again, and this with it."""
        self._since = min(since, self._since or since)
        self._take_up(live)
        late = [call for call, _ in self._late]
        others = [call for call in calls.values() if call not in late]
        self._tell_late()
        for call in others:
            if call.left_at is not None:
                self._tell(call, max(since, call.left_at))
            elif variable_of(self._node, call.channel, "accord_state") is None:
                # Its own socket reported everything, except an end that came before we were listening.
                self._tell(call, self._now())
        for channel in live.channels.values():
            ours = [path for path in channel.recordings if Path(path).is_relative_to(self._root)]
            if ours and variable_of(self._node, channel.uuid, "accord_state") not in MAY_RECORD:
                for path in ours:
                    self._stop(channel.uuid, Path(path))

    def _tell(self, call: CallController, since: datetime) -> None:
        """Feed a call what the switch says of it. A call that cannot be asked about was never recorded: it
        is written now, because it may end while nobody watches."""
        if not commands.addressable(call.channel):
            call.feed(ChannelGone(self._now(), since=since))
            return
        state = variable_of(self._node, call.channel, "accord_state")
        if state is None:
            self._gone(call, since)
            return
        left = (variable_of(self._node, call.channel, "accord_left") or "") if state == "unrecorded" else ""
        capturing = str(call.writer.audio) in (self._node.recordings_of(call.channel) or ())
        # Ask now: once it has been transferred, no later event says when it was answered.
        may_talk = state in ("announced", "pickup")
        there = self._there(call.channel) if may_talk else _NOBODY
        room, others = self._rooms.there(call.channel)
        paused = state == "announced" and variable_of(self._node, call.channel, "accord_paused") == "true"
        lasts = timedelta(seconds=pause_seconds(self._node.api)) if paused else timedelta(0)
        begun = (variable_of(self._node, call.channel, "accord_paused_at") or "") if paused else ""
        now = self._now()
        call.feed(
            CallReconciled(
                now,
                since=since,
                state=state,
                left=left,
                capturing=capturing,
                bridged_at=there.since,
                other=there.leg,
                party=there.party,
                paused=paused,
                paused_at=paused_at(begun, lasts, now),
                lasts=lasts,
                held_since=there.held,
                colleague_held_since=there.colleague_held,
                conference=room,
                participants=others,
                supervisors=self._rooms.listening(call.channel),
            )
        )

    def _gone(self, call: CallController, since: datetime) -> None:
        went_on = in_thread(lambda: _went_on(call.writer.folder))
        call.feed(ChannelGone(self._now(), since=since, capturing=went_on))

    def stray(self, event: EslEvent) -> None:
        """Stop a recording of ours that began on an unknown call."""
        if event.recording_variable("accord_recording") and event.variable("accord_state") not in MAY_RECORD:
            path = event.header("Record-File-Path")
            log.error("call.stray_recording", channel=repr(event.uuid))
            if Path(path).is_relative_to(self._root):
                self._stop(event.uuid, Path(path))

    def _take_up(self, live: Live) -> None:
        """Take over the calls that were left open, or leave them to the worker. What cannot be read or
        written now stays on the list, and is tried again."""
        with self._one_at_a_time:
            for folder in list(self._left_open):
                try:
                    self._take_over(folder, live)
                except FileNotFoundError:
                    log.warning("spool.folder_gone", folder=folder.name)
                except OSError as error:
                    self._complain(folder, error)
                    continue
                self._left_open.remove(folder)  # not earlier: the connection may end in between
            self._look_later()

    def _look_later(self) -> None:
        if self._left_open and self._again is None:
            self._again = gevent.spawn_later(AGAIN, self._look_again)

    def _look_again(self) -> None:
        self._again = None
        try:
            if not in_thread(lambda: all(_closed(folder) for folder in list(self._left_open))):
                self._take_up(self._node.reconcile())
                self._tell_late()
        except SwitchError as error:
            log.warning("daemon.reconcile_failed", error=error.message)
        self._look_later()

    def _complain(self, folder: Path, error: OSError) -> None:
        if folder not in self._complained:
            log.error(
                "spool.reconcile_failed",
                folder=folder.name,
                error=str(error),
                hint=disk_space.hint_for(error),
            )
        self._complained.add(folder)

    def _take_over(self, folder: Path, live: Live) -> None:
        """Raises ``OSError`` where the folder cannot be read or written now; nothing is changed then."""
        since = self._since or self._now()
        try:
            start, marks = in_thread(lambda: read(folder))
        except TakeError as error:
            self._leave(folder, live, error, since)
            return
        if self._own is not None and start.node != self._own:
            since = min(_noted(start, marks), self._now())
        call = self._adopt(start, self._state(start, marks, since))
        self._late.append((call, max(since, start.started_at)))
        metrics.CALLS_TAKEN_OVER.inc()
        call.log.info("call.reconciled", marks=len(marks))

    def _state(self, start: CallStart, marks: tuple[Marker, ...], since: datetime) -> CallState:
        script = self._script(start)
        if start.refused is not None or script is None:
            return initial.refuse(start.refused or "no_line")[0]
        plan = CallPlan(start.mode, (script,), at_pickup=start.at_pickup, beep=start.beep)
        return initial.resume(plan, marks, since)

    def _tell_late(self) -> None:
        """Feed the calls that were just taken over, which may have been unwatched for longer than the
        others."""
        while self._late:
            call, since = self._late[0]
            self._tell(call, since)
            with suppress(ValueError):  # fed by somebody else meanwhile
                self._late.remove((call, since))

    def _leave(self, folder: Path, live: Live, error: TakeError, since: datetime) -> None:
        """An earlier daemon died before it had written whose call this is: its announcement was not over,
        and it goes. A folder that is broken is ended for the worker, which lists the call as not recorded
        with the reason and sets the folder aside."""
        audio = folder / layout.AUDIO
        channel = live.recorded_by(str(audio))
        if channel is not None:
            self._stop(channel.uuid, audio)
        ended = since if channel is None else self._now()
        begun = in_thread(lambda: _end(folder, ended))
        said = "spool.deferred_to_worker" if begun else "spool.cleared"
        log.warning(said, folder=folder.name, error=error.message)

    def _there(self, channel: str) -> _There:
        """Return the other end of a call, and since when they are bridged."""
        own = data_of(self._node, channel)
        if own is None:
            return _NOBODY
        leg, since, held = own.variable("bridge_uuid"), bridged_time(own), held_since(own)
        if leg and not commands.addressable(leg):
            return _There(leg, None, since, held)
        other = data_of(self._node, leg) if leg and since is not None else None
        # A leg that is gone since, or is bridged with somebody else now.
        if other is None or channel not in (other.variable("bridge_uuid"), other.variable("signal_bond")):
            return replace(_NOBODY, since=since, held=held)
        theirs = held_since(other)
        if theirs is not None and since is not None:
            theirs = max(theirs, since)  # before that they had somebody else on hold
        return _There(leg, own_party(other.headers), since, held, theirs)

    def _stop(self, channel: str, path: Path) -> None:
        try:
            command = commands.record_stop(channel, path)
        except SwitchError as error:
            # A channel or a file that we never named must not cost us the connection.
            log.error(
                "call.recording_stop_failed", channel=repr(channel), path=repr(str(path)), error=error.message
            )
            return
        metrics.RECORDINGS_STOPPED.inc()
        log.warning("call.recording_stopped", channel=repr(channel), folder=path.parent.name)
        self._node.send_later(command)


def _noted(start: CallStart, marks: tuple[Marker, ...]) -> datetime:
    """Return the time of the last mark of a call."""
    return max([start.started_at, *(mark.at for mark in marks)])


def read(folder: Path) -> tuple[CallStart, tuple[Marker, ...]]:
    """Read a call that has not ended. Raises :class:`TakeError` for what is missing or broken, ``OSError``
    for a condition that may pass."""
    try:
        return layout.read_start(folder), layout.read_marks(folder)
    except TakeError as error:
        if (cause := layout.read_failure(error)) is not None:
            raise cause from None
        raise


def _closed(folder: Path) -> bool:
    """Whether a folder cannot be read at present."""
    try:
        with suppress(TakeError):
            read(folder)
    except OSError:
        return True
    return False


def _end(folder: Path, at: datetime) -> bool:
    """End a folder that cannot be taken over; ``False`` where it was empty, and is removed."""
    if not (folder / layout.CALL).exists() and not (folder / layout.EVENTS).exists():
        shutil.rmtree(folder)
        return False
    # "Recorded": if it can be read after all, its audio is kept.
    layout.close_take(folder, CallEnd("recorded", None, at, None))
    return True


def _went_on(folder: Path) -> bool:
    """Whether a recording went on after its announcement. A daemon may have died, or lost its connection,
    between the announcement's end and its confirmation to the switch, which then stopped the recording
    there."""
    try:
        marks = layout.read_marks(folder)
        times = {mark.kind: mark.at for mark in marks}
        if layout.read_start(folder).mode == OPT_OUT:
            # Nobody refused, if there was time to.
            if initial.consent_answer(marks) != "none":
                return False
            times["announcement_finished"] = times["answered"]
        audio = folder / layout.AUDIO
        if not {"recording_started", "announcement_finished"} <= set(times) or not audio.exists():
            return False
        size = audio.stat().st_size
    except (TakeError, OSError):
        return True  # kept: the worker waits until it can be read, or sets it aside with the reason
    told = times["announcement_finished"] - times["recording_started"]
    return size > (told + SHORTEST).total_seconds() * BYTES_PER_SECOND
