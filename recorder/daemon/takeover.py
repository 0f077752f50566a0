"""Taking a switch over: after a restart of the daemon or of the connection, nothing is left unlooked at."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from recorder import metrics
from recorder.call import session
from recorder.clock import Now
from recorder.daemon.calls import Call, length_of
from recorder.daemon.threads import in_thread
from recorder.errors import SwitchError, TakeError
from recorder.switch import commands
from recorder.switch.events import CallEvent
from recorder.switch.node import Live, Node
from recorder.switch.observed import Observed, What
from recorder.take import spool
from recorder.take.spool import CallStart, Mark

log = structlog.get_logger()

MAY_RECORD = frozenset({"announcing", "announced"})
"""The switch's words for a call that may be recorded; see ``freeswitch_conf/dialplan/accord.xml``."""


QUARANTINE = timedelta(days=30)
"""How long an open take that cannot be read is kept aside."""


BYTES_PER_SECOND = 8000 * 2 * 2
"""Of a take: 8 kHz, two channels, 16 bits; one of more only looks longer."""

SHORTEST = timedelta(milliseconds=500)
"""A recording that is not this much longer than its announcement was stopped with it."""


class Takeover:
    """Brings what the spool knows and what the switch does together.

    ``adopt`` makes a :class:`Call` of one that an earlier daemon began.
    """

    def __init__(
        self,
        node: Node,
        root: Path,
        now: Now,
        adopt: Callable[[CallStart, session.State], Call],
    ) -> None:
        self._node = node
        self._root = root
        self._now = now
        self._adopt = adopt
        self._left_open: list[Path] = []

    def look(self) -> None:
        """See what an earlier daemon left open; before calls can arrive, whose folders look the same."""
        self._left_open = list(spool.open_takes(self._root))

    def reconcile(self, live: Live, calls: Mapping[str, Call], since: datetime) -> None:
        """For every call that is open here: is it still there, and what does the switch say of it?  Then
        every recording of ours on a call that may not have one is stopped.

        Raises :class:`SwitchError`: the connection is then made again, and this with it."""
        while self._left_open:
            self._take_over(self._left_open[0], live, since)
            del self._left_open[0]  # not before: the connection may end in between
        for call in list(calls.values()):
            self._tell(call, max(since, call.start.started_at))
        for channel in live.channels.values():
            ours = [path for path in channel.recordings if Path(path).is_relative_to(self._root)]
            if ours and self._ask(channel.uuid) not in MAY_RECORD:
                for path in ours:
                    self._stop(channel.uuid, Path(path))

    def _tell(self, call: Call, since: datetime) -> None:
        """Tell a call what the switch says of it.  One that cannot be asked about was never recorded: it is
        written down now, for its end may be told while nobody watches."""
        if not commands.addressable(call.channel):
            call.feed(Observed(What.GONE, self._now(), since=since))
            return
        state = self._ask(call.channel)
        if state is None:
            went_on = in_thread(lambda: _went_on(call.writer.folder))
            call.feed(Observed(What.GONE, self._now(), since=since, capturing=went_on))
            return
        left = (self._ask(call.channel, "accord_left") or "") if state == "unrecorded" else ""
        capturing = str(call.writer.audio) in (self._node.recordings_of(call.channel) or ())
        call.feed(
            Observed(What.UNWATCHED, self._now(), since=since, state=state, left=left, capturing=capturing)
        )

    def stray(self, event: CallEvent) -> None:
        """A recording of ours began on a call that nobody here knows."""
        if event.recording_variable("accord_recording") and event.variable("accord_state") not in MAY_RECORD:
            path = event.header("Record-File-Path")
            log.error("call.stray_recording", channel=repr(event.uuid))
            if Path(path).is_relative_to(self._root):
                self._stop(event.uuid, Path(path))

    def _take_over(self, folder: Path, live: Live, since: datetime) -> None:
        try:
            start, marks = in_thread(lambda: _read(folder))
        except TakeError as error:
            self._clear(folder, live, error)
            return
        kinds = frozenset(mark.kind for mark in marks)
        prompt = "" if start.announcement is None else start.announcement.sha256
        call = self._adopt(start, session.resume(prompt, length_of(start), kinds, since))
        metrics.CALLS_TAKEN_OVER.inc()
        call.log.info("call.taken_over", marks=len(marks))

    def _clear(self, folder: Path, live: Live, error: TakeError) -> None:
        """A daemon died before it had written whose call this is: its announcement was not over.  What
        was written and cannot be read is set aside instead."""
        audio = folder / spool.AUDIO
        channel = live.recorded_by(str(audio))
        if channel is not None:
            self._stop(channel.uuid, audio)
        log.warning("spool.cleared", folder=folder.name, error=error.message)
        try:
            in_thread(lambda: self._set_aside(folder, error))
        except OSError as failed:
            log.error("spool.not_cleared", folder=folder.name, error=str(failed))

    def _set_aside(self, folder: Path, error: TakeError) -> None:
        if (folder / spool.CALL).exists():
            now = self._now()
            spool.quarantine(folder, error.message, now, now + QUARANTINE)
        else:
            shutil.rmtree(folder)

    def _ask(self, channel: str, name: str = "accord_state") -> str | None:
        """The switch's word on a call; ``None`` where it has no such call."""
        try:
            answer = self._node.api(commands.get_variable(channel, name))
        except SwitchError as error:
            if error.error_id == "switch.refused":
                return None
            raise
        return "" if answer == "_undef_" else answer

    def _stop(self, channel: str, path: Path) -> None:
        try:
            command = commands.record_stop(channel, path)
        except SwitchError as error:
            # Of a channel or a file that we never named: it must not cost us the connection.
            log.error(
                "call.recording_not_stopped", channel=repr(channel), path=repr(str(path)), error=error.message
            )
            return
        metrics.RECORDINGS_STOPPED.inc()
        log.warning("call.recording_stopped", channel=repr(channel), folder=path.parent.name)
        self._node.send_later(command)


def _read(folder: Path) -> tuple[CallStart, tuple[Mark, ...]]:
    return spool.read_start(folder), spool.read_marks(folder)


def _went_on(folder: Path) -> bool:
    """Whether a recording went on after its announcement.  A daemon may have died, or lost its connection,
    between the announcement's end and its word to the switch, which then stopped the recording there."""
    try:
        times = {mark.kind: mark.at for mark in spool.read_marks(folder)}
    except TakeError:
        return True  # kept, and set aside by the worker, which says why
    audio = folder / spool.AUDIO
    if not {"recording_started", "announcement_finished"} <= set(times) or not audio.exists():
        return False
    told = times["announcement_finished"] - times["recording_started"]
    return audio.stat().st_size > (told + SHORTEST).total_seconds() * BYTES_PER_SECOND
