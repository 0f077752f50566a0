"""Reconciles the spool with the switch after a restart of the daemon or of the connection."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
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
from recorder.fault_log import FaultLog
from recorder.spool import disk_space, layout
from recorder.spool.layout import CallEnd, CallStart
from recorder.spool.spool_paths import SpoolPaths
from recorder.switch import commands
from recorder.switch.caller_id import own_party
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import LiveState, Node, data_of, variable_of
from recorder.switch.translation import bridged_time, held_since

log = structlog.get_logger()

MAY_RECORD = frozenset({"announcing", "refusable", "announced"})
"""The switch's states of a call that may be recorded; see ``freeswitch_conf/dialplan/accord.xml``."""

RETRY_INTERVAL = 10.0
"""Seconds until a folder that could not be read is tried again."""

BYTES_PER_SECOND = 8000 * 2 * 2
"""Of a recording at 8 kHz, two channels, 16 bits. One at a higher rate only appears longer."""

MINIMUM_EXCESS = timedelta(milliseconds=500)
"""A recording that exceeds its announcement by less was stopped with it."""


@dataclass(frozen=True, slots=True)
class _Peer:
    """The other end of a call: its leg and party, and when the two were last bridged. ``held_since`` and
    ``peer_held_since``: since when the external party and the peer are on hold."""

    leg: str
    party: Party | None
    bridged_at: datetime | None
    held_since: datetime | None = None
    peer_held_since: datetime | None = None


_NO_PEER = _Peer("", None, None)


@dataclass(eq=False, repr=False)
class Reconciliation:
    """Reconciles the calls in the spool with those on the switch.

    ``adopt`` creates the controller of a call that an earlier daemon began, ``script`` returns its sounds,
    and ``conferences`` knows its participants. ``own`` is this node's name: a call of another node was moved
    here with its spool, and has been unwatched since its last marker."""

    node: Node
    root: Path
    now: Now
    adopt: Callable[[CallStart, CallState], CallController]
    script: Callable[[CallStart], Script | None]
    conferences: Conferences
    own: str | None = None
    _own_paths: SpoolPaths = field(init=False)
    _open_folders: list[Path] = field(default_factory=list, init=False)
    _adopted: list[tuple[CallController, datetime]] = field(default_factory=list, init=False)
    """The calls that were just taken over, with the times since when they are unwatched."""
    _since: datetime | None = field(default=None, init=False)
    _faults: FaultLog = field(default_factory=FaultLog, init=False)
    _lock: RLock = field(default_factory=RLock, init=False)
    _retry: gevent.Greenlet[[], None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._own_paths = SpoolPaths(self.root)

    def list_open_folders(self, since: datetime | None = None, own: Container[str] = ()) -> None:
        """List the folders left open by an earlier daemon, which watched until ``since``. ``own`` are this
        daemon's recordings, whose folders look the same."""
        self._since = since
        self._open_folders = [folder for folder in layout.open_takes(self.root) if folder.name not in own]

    def take_over(self, live: LiveState) -> None:
        """Take over the calls in the open folders. This daemon's own calls were watched all the time. Raises
        :class:`SwitchError`; :meth:`reconcile` then does it."""
        self._take_over_open_folders(live)
        self._feed_adopted()

    @property
    def open_folders(self) -> set[str]:
        """The names of the folders that are still to be taken over."""
        return {folder.name for folder in self._open_folders}

    def end_call(self, folder: Path, start: CallStart, markers: tuple[Marker, ...]) -> None:
        """Take over and end a call that is over, without any command for it."""
        since = _last_marker(start, markers)
        call = self.adopt(start, self._state(start, markers, since))
        metrics.CALLS_RECONCILED.inc()
        call.log.info("call.reconciled", markers=len(markers), node=start.node)
        self._end(call, min(since, self.now()))

    def defer_to_worker(self, folder: Path, error: TakeError) -> None:
        """End a folder that can never be taken over, so that the worker lists it and sets it aside."""
        now = self.now()
        in_thread(lambda: layout.close_take(folder, CallEnd("recorded", None, now, None)))
        log.warning("spool.deferred_to_worker", folder=folder.name, error=error.message)

    def reconcile(self, live: LiveState, calls: Mapping[str, CallController], since: datetime) -> None:
        """Feed each open call its state on the switch, which was unwatched since ``since``. Then stop every
        recording of Accord's on a call that may not be recorded.

        A folder that cannot be read is left as it is, with its recording, and tried again until it can be.

        Raises :class:`SwitchError`; the connection is then made again, and reconciling is repeated."""
        self._since = min(since, self._since or since)
        self._take_over_open_folders(live)
        adopted = [call for call, _ in self._adopted]
        others = [call for call in calls.values() if call not in adopted]
        self._feed_adopted()
        for call in others:
            if call.left_at is not None:
                self._feed(call, max(since, call.left_at))
            elif variable_of(self.node, call.channel, "accord_state") is None:
                # Its own socket reported everything, except an end before this connection was made.
                self._feed(call, self.now())
        for channel in live.channels.values():
            ours = [path for path in channel.recordings if self._own_paths.contain(path)]
            if ours and variable_of(self.node, channel.uuid, "accord_state") not in MAY_RECORD:
                for path in ours:
                    self._stop(channel.uuid, Path(path))

    def _feed(self, call: CallController, since: datetime) -> None:
        """Feed a call its state on the switch. A call that no command can address was never recorded: it ends
        now, because its end may be missed."""
        if not commands.addressable(call.channel):
            call.feed(ChannelGone(self.now(), since=since))
            return
        state = variable_of(self.node, call.channel, "accord_state")
        if state is None:
            self._end(call, since)
            return
        left = (variable_of(self.node, call.channel, "accord_left") or "") if state == "unrecorded" else ""
        captures = str(call.writer.audio) in (self.node.recordings_of(call.channel) or ())
        # Ask now: once it has been transferred, no later event says when it was answered.
        peer = self._peer(call.channel) if state in ("refusable", "announced", "pickup") else _NO_PEER
        conference, participants = self.conferences.participants_of(call.channel)
        paused = state == "announced" and variable_of(self.node, call.channel, "accord_paused") == "true"
        # A pause that is over may have begun and ended while nobody watched.
        pause_start = (
            variable_of(self.node, call.channel, "accord_paused_at") if state == "announced" else None
        )
        lasts = timedelta(seconds=pause_seconds(self.node.api)) if paused or pause_start else timedelta(0)
        now = self.now()
        call.feed(
            CallReconciled(
                now,
                since=since,
                state=state,
                left=left,
                capturing=captures,
                bridged_at=peer.bridged_at,
                other=peer.leg,
                party=peer.party,
                paused=paused,
                paused_at=paused_at(pause_start or "", now - lasts if paused else since, now),
                lasts=lasts,
                held_since=peer.held_since,
                colleague_held_since=peer.peer_held_since,
                conference=conference,
                participants=participants,
                supervisors=self.conferences.supervisors_of(call.channel),
            )
        )

    def _end(self, call: CallController, since: datetime) -> None:
        continued = in_thread(lambda: _continued_after_announcement(call.writer.folder))
        call.feed(ChannelGone(self.now(), since=since, capturing=continued))

    def stop_stray_recording(self, event: EslEvent) -> None:
        """Stop a recording of Accord's that began on an unknown call."""
        if event.recording_variable("accord_recording") and event.variable("accord_state") not in MAY_RECORD:
            path = event.header("Record-File-Path")
            log.error("call.stray_recording", channel=repr(event.uuid))
            if self._own_paths.contain(path):
                self._stop(event.uuid, Path(path))

    def _take_over_open_folders(self, live: LiveState) -> None:
        """Take over the calls in the open folders, or leave them to the worker. A folder that cannot be read
        or written now stays on the list, and is tried again."""
        with self._lock:
            for folder in list(self._open_folders):
                try:
                    self._take_over(folder, live)
                except FileNotFoundError:
                    log.warning("spool.folder_gone", folder=folder.name)
                except OSError as error:
                    self._report(folder, error)
                    continue
                self._faults.recover("spool.reconcile_failed", folder.name, folder=folder.name)
                self._open_folders.remove(folder)  # not earlier: the connection may end in between
            self._retry_later()

    def _retry_later(self) -> None:
        if self._open_folders and self._retry is None:
            self._retry = gevent.spawn_later(RETRY_INTERVAL, self._retry_open_folders)

    def _retry_open_folders(self) -> None:
        self._retry = None
        try:
            if not in_thread(lambda: all(_is_unreadable(folder) for folder in list(self._open_folders))):
                self._take_over_open_folders(self.node.reconcile())
                self._feed_adopted()
        except SwitchError as error:
            self._faults.report("daemon.reconcile_failed", error)
        else:
            self._faults.recover("daemon.reconcile_failed")
        self._retry_later()

    def _report(self, folder: Path, error: OSError) -> None:
        self._faults.report(
            "spool.reconcile_failed",
            error,
            folder.name,
            level="error",
            folder=folder.name,
            hint=disk_space.hint_for(error),
        )

    def _take_over(self, folder: Path, live: LiveState) -> None:
        """Raises ``OSError`` if the folder cannot be read or written now; nothing is changed then."""
        since = self._since or self.now()
        try:
            start, markers = in_thread(lambda: read_open_take(folder))
        except TakeError as error:
            self._close_broken(folder, live, error, since)
            return
        if self.own is not None and start.node != self.own:
            since = min(_last_marker(start, markers), self.now())
        call = self.adopt(start, self._state(start, markers, since))
        self._adopted.append((call, max(since, start.started_at)))
        metrics.CALLS_RECONCILED.inc()
        call.log.info("call.reconciled", markers=len(markers))

    def _state(self, start: CallStart, markers: tuple[Marker, ...], since: datetime) -> CallState:
        script = self.script(start)
        if start.refused is not None or script is None:
            return initial.refuse(start.refused or "no_line")[0]
        plan = CallPlan(start.mode, (script,), at_pickup=start.at_pickup, beep=start.beep)
        return initial.resume(plan, markers, since)

    def _feed_adopted(self) -> None:
        """Feed the calls that were just taken over, which may have been unwatched for longer than the
        others."""
        while self._adopted:
            call, since = self._adopted[0]
            self._feed(call, since)
            with suppress(ValueError):  # another greenlet fed it meanwhile
                self._adopted.remove((call, since))

    def _close_broken(self, folder: Path, live: LiveState, error: TakeError, since: datetime) -> None:
        """Close a folder without a readable ``call.json``. If an earlier daemon died before it had written
        one, the announcement was not over, and the folder is removed. A broken folder is ended for the
        worker, which lists the call as not recorded with the reason and sets the folder aside."""
        audio = folder / layout.AUDIO
        channel = live.recorded_by(str(audio))
        if channel is not None:
            self._stop(channel.uuid, audio)
        end = since if channel is None else self.now()
        deferred = in_thread(lambda: _end_folder(folder, end))
        log.warning(
            "spool.deferred_to_worker" if deferred else "spool.cleared",
            folder=folder.name,
            error=error.message,
        )

    def _peer(self, channel: str) -> _Peer:
        """Return the other end of a call."""
        own = data_of(self.node, channel)
        if own is None:
            return _NO_PEER
        leg, since, hold_start = own.variable("bridge_uuid"), bridged_time(own), held_since(own)
        if leg and not commands.addressable(leg):
            return _Peer(leg, None, since, hold_start)
        other = data_of(self.node, leg) if leg and since is not None else None
        # The leg is gone, or bridged with another leg by now.
        if other is None or channel not in (other.variable("bridge_uuid"), other.variable("signal_bond")):
            return replace(_NO_PEER, bridged_at=since, held_since=hold_start)
        peer_held = held_since(other)
        if peer_held is not None and since is not None:
            peer_held = max(peer_held, since)  # an earlier hold was of another call
        return _Peer(leg, own_party(other.headers), since, hold_start, peer_held)

    def _stop(self, channel: str, path: Path) -> None:
        try:
            command = commands.record_stop(channel, path)
        except SwitchError as error:
            # A channel or file that Accord did not name must not end the connection.
            log.error(
                "call.recording_stop_failed", channel=repr(channel), path=repr(str(path)), error=error.message
            )
            return
        metrics.RECORDINGS_STOPPED.inc()
        log.warning("call.recording_stopped", channel=repr(channel), folder=path.parent.name)
        self.node.send_later(command)


def _last_marker(start: CallStart, markers: tuple[Marker, ...]) -> datetime:
    """Return the time of the last marker of a call."""
    return max([start.started_at, *(marker.at for marker in markers)])


def read_open_take(folder: Path) -> tuple[CallStart, tuple[Marker, ...]]:
    """Read a call that has not ended. Raises :class:`TakeError` if its files are missing or broken,
    ``OSError`` for a condition that may pass."""
    try:
        return layout.read_start(folder), layout.read_markers(folder)
    except TakeError as error:
        if (cause := layout.read_failure(error)) is not None:
            raise cause from None
        raise


def _is_unreadable(folder: Path) -> bool:
    """Whether a folder cannot be read at present."""
    try:
        with suppress(TakeError):
            read_open_take(folder)
    except OSError:
        return True
    return False


def _end_folder(folder: Path, at: datetime) -> bool:
    """End a folder that cannot be taken over; ``False`` if it was empty and is removed."""
    if not (folder / layout.CALL).exists() and not (folder / layout.EVENTS).exists():
        shutil.rmtree(folder)
        return False
    # "recorded", so that the audio is kept if the folder can be read after all.
    layout.close_take(folder, CallEnd("recorded", None, at, None))
    return True


def _continued_after_announcement(folder: Path) -> bool:
    """Whether a recording continued after its announcement. A daemon may have died, or lost its connection,
    between the announcement's end and its confirmation to the switch, which then stopped the recording."""
    try:
        markers = layout.read_markers(folder)
        times = {marker.kind: marker.at for marker in markers}
        if layout.read_start(folder).mode == OPT_OUT:
            # In opt-out it continued only if the time to refuse passed without a refusal.
            if initial.consent_answer(markers) != "none":
                return False
            times["announcement_finished"] = times["answered"]
        audio = folder / layout.AUDIO
        if not {"recording_started", "announcement_finished"} <= set(times) or not audio.exists():
            return False
        size = audio.stat().st_size
    except (TakeError, OSError):
        return True  # the worker waits until it can be read, or sets it aside with the reason
    announcement = times["announcement_finished"] - times["recording_started"]
    return size > (announcement + MINIMUM_EXCESS).total_seconds() * BYTES_PER_SECOND
