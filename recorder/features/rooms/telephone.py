"""The worker's part of rooms by telephone: the conferences of this node's switch follow the rooms' rows, and
their callers' keys change these.

Nobody hears anything before the gate has given them a grant, and everybody in a conference hears the same: so
a new caller, who hears nothing yet, has the sound written anew. What is written is in memory until the switch
has opened it (:mod:`recorder.features.rooms.sound_folder`). If this worker dies, the switch ends the sound by
itself (:data:`recorder.domain.telephone_room.UNATTENDED_SECONDS`), and the next worker begins with none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final, Protocol

import structlog

from recorder.catalogue.tables import lease
from recorder.clock import Now, utc_now
from recorder.domain.telephone_room import (
    LEASE,
    RoomAction,
    RoomAnswer,
    RoomMember,
    RoomOrder,
    RoomReport,
    RoomRequest,
    lease_of,
)
from recorder.errors import AccessError, AccordError, DisputeError, RoomError
from recorder.features.rooms.announcer import NOT_NOW, YES, RoomAnnouncer, TelephoneListener
from recorder.features.rooms.rules import (
    KEYS_KEY,
    LEAD_KEY,
    MARK_KEY,
    PAUSE,
    STEP_MS,
    Room,
    RoomCommand,
    command_of,
    is_key,
)
from recorder.features.rooms.service import Rooms
from recorder.features.rooms.sound_folder import SoundFolder
from recorder.isolation import isolate_object
from recorder.pipeline.duty_thread import DutyThread
from recorder.playback.interface import (
    TELEPHONE,
    ConferenceGateInterface,
    ConferenceListener,
    Passages,
)
from recorder.prompts.sound_sources import Sources

EARLY_MS: Final = 26
"""The switch's sound is heard so many milliseconds after the order (observed)."""

WATCH: Final = 5.0
"""Seconds between two looks whether everybody may still hear what they hear."""

RENEW_BEFORE: Final = timedelta(minutes=5)
"""How long before its end a grant is renewed."""

RETRY: Final = 5.0
"""Seconds until a sound that could not be made is tried again."""

LOOK: Final = 2.0
"""Seconds between two looks at who is in a room."""

IDLE: Final = 0.4
"""Further seconds between two looks while nobody is in a room."""

WRITERS: Final = 4
"""Sounds that are written at once."""

log = structlog.get_logger()


class TelephoneAdmissions(Protocol):
    """Who may listen by telephone, by signed statements."""

    def find(self, room: str, session: str) -> TelephoneListener | None:
        """Who was admitted in a session, while they may be in the room. Raises :class:`AccordError`."""

    def mark_passage(
        self, caller: TelephoneListener, room: str, recording: str, begin_ms: int, end_ms: int
    ) -> None:
        """Mark a passage for a caller. Raises :class:`DisputeError`."""

    def confirm_outcome(self, caller: TelephoneListener, room: str, sha256: str) -> bool:
        """Confirm the outcome that was read out to a caller; whether both sides have now. Raises
        :class:`AccordError`."""


@dataclass(frozen=True, slots=True)
class _Sound:
    """What is loaded: for these members, and what all of them may hear."""

    recording: str
    members: frozenset[str]
    passages: Passages | None


@dataclass(frozen=True, slots=True)
class _WrittenSound(_Sound):
    path: Path


@dataclass
class TelephoneRooms(DutyThread):
    """Drives the conferences of rooms on the switch of a ``node``."""

    node: str
    rooms: Rooms
    gate: ConferenceGateInterface
    callers: TelephoneAdmissions
    folder: SoundFolder
    sentences: Path
    """The folder of what callers are told (:mod:`recorder.features.disputes.callers` writes it)."""
    sources: Sources
    send: Callable[[RoomRequest], RoomAnswer]
    now: Now = utc_now
    monotonic: Callable[[], float] = time.monotonic
    writers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(WRITERS, thread_name_prefix="rooms"), init=False
    )
    speakers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="room speech"), init=False
    )
    _conferences: dict[str, RoomConference] = field(default_factory=dict, init=False)
    _has_begun: bool = field(default=False, init=False)

    NAME: ClassVar[str] = "rooms"
    INTERVAL: ClassVar[float] = 0.1
    BACK_OFF: ClassVar[float] = 1.0

    def delayed(self, error: Exception) -> None:
        self.faults.report("rooms.delayed", error)

    def failed(self, error: Exception) -> None:
        self.faults.report("rooms.failed", error, level="error", exc_info=error)

    def recover(self) -> None:
        """The faults of one room end by themselves."""
        for event in ("rooms.delayed", "rooms.failed"):
            self.faults.recover(event)

    def turn(self) -> None:
        """Follow each room. Raises what catalogue, disk and daemon raise."""
        if not self._has_begun:
            self.folder.empty()
            self._has_begun = True
        reports = self.send(RoomRequest()).reports
        if reports is None:
            return  # the switch is away, or its connection
        here = {each.room for each in reports}
        for room in [each for each in self._conferences if each not in here]:
            self._conferences.pop(room).close()
        for report in reports:
            if report.room not in self._conferences:
                self._conferences[report.room] = RoomConference(self, report.room)
            with isolate_object(self.faults, "room.delayed", report.room, room=report.room):
                self._conferences[report.room].follow(report)
        if not reports:
            self.folder.tidy()
            self._stopped.wait(IDLE)

    def order(self, *orders: RoomOrder) -> bool:
        """Have the switch carry out orders; whether it did. Raises :class:`recorder.errors.SwitchError`."""
        return not self.send(RoomRequest(orders)).failed


class RoomConference:
    """The conference of one room."""

    def __init__(self, duty: TelephoneRooms, room: str) -> None:
        self._duty, self._room = duty, room
        self._callers: dict[str, TelephoneListener] = {}
        self._listeners: dict[str, ConferenceListener] = {}
        """By their number in the conference, as the callers."""
        self._sessions: dict[str, str] = {}
        self._refused: set[str] = set()
        self._write_task: Future[_WrittenSound] | None = None
        self._sound: _Sound | None = None
        self._landed: tuple[int, bool] | None = None
        """What the conference does: the room's number of its state, and whether the sound is over."""
        self._watch_due = self._retry_due = self._people_due = 0.0
        self._announcer = RoomAnnouncer(
            self._tell, self._hush, duty.folder, duty.sentences, duty.sources, duty.speakers, duty.monotonic
        )
        self._has_begun = self._is_missing = False

    def follow(self, report: RoomReport) -> None:
        """Do what the room's row says, for those who are there."""
        if not self._has_begun:
            self._unload()  # what an earlier worker let play
            self._has_begun = True
        self._meet(report.members)
        if self._duty.monotonic() >= self._watch_due:
            self._watch()
        if not self._callers:
            self._unload()
            return
        self._announce()
        for number, key in report.keys:
            if number in self._callers:
                self._press(number, key)
        room = self._slow_down(self._find_room())
        if self._has_sound(room):
            self._land(room)

    def close(self) -> None:
        """Everybody has left."""
        self._sound = None  # the switch has closed it
        if self._write_task is not None:
            self._write_task.add_done_callback(_discard)
        for number in list(self._callers):
            self._drop(number)
        self._announcer.close()
        for event in ("room.delayed", "room.sound_missing"):
            self._duty.faults.recover(event, self._room)
        lease.release(lease_of(self._room), self._duty.node)

    # --- who is there

    def _meet(self, members: tuple[RoomMember, ...]) -> None:
        here = {each.number for each in members}
        for number in [each for each in self._callers if each not in here]:
            self._drop(number)
        for member in members:
            if member.number in self._callers or member.number in self._refused:
                continue
            caller = self._find_caller(member.session) if self._has_lease() else None
            if caller is None:
                self._refuse(member.number)
                continue
            self._callers[member.number], self._sessions[member.number] = caller, member.session
            self._note_presence(caller)
            log.info("room.joined", room=self._room, user=caller.who.user)

    def _find_caller(self, session: str) -> TelephoneListener | None:
        return self._duty.callers.find(self._room, session) if session else None

    def _has_lease(self) -> bool:
        """Whether this node has the room: there is one conference, however many switches there are."""
        return lease.take(lease_of(self._room), self._duty.node, self._duty.now(), LEASE)

    def _refuse(self, number: str) -> None:
        """Hang up on somebody who may not be here."""
        if self._duty.order(RoomOrder(self._room, "remove", number)):
            self._refused.add(number)  # until they are gone
            log.info("room.caller_refused", room=self._room, member=number)

    def _drop(self, number: str) -> None:
        """Somebody has left, or is no longer let in."""
        caller, listener = self._callers.pop(number), self._listeners.pop(number, None)
        self._sessions.pop(number)
        self._announcer.forget(number)
        log.info("room.left", room=self._room, user=caller.who.user)
        if listener is not None:
            self._duty.gate.close(listener.who, listener.grant.id, TELEPHONE)
        self._duty.rooms.note_departure(caller.who.tenant, self._room, caller.who.user)

    def _end(self, number: str) -> None:
        """Somebody may no longer hear the sound, which has been ended."""
        self._drop(number)
        self._refuse(number)

    def _note_presence(self, caller: TelephoneListener) -> None:
        self._duty.rooms.note_presence(
            caller.who.tenant, self._room, caller.who.user, ready=self._sound is not None, by_telephone=True
        )

    def _watch(self) -> None:
        """Check everybody again, and keep the switch from ending the sound."""
        self._watch_due = self._duty.monotonic() + WATCH
        if not self._has_lease():
            self._unload()
            for number in list(self._callers):
                self._end(number)
            return
        for number, session in list(self._sessions.items()):
            caller = self._find_caller(session)
            if caller is None:
                self._unload()
                self._end(number)
            else:
                self._callers[number] = caller
                self._note_presence(caller)
        if self._sound is None:
            return
        try:
            self._renew_grants()
            passages = self._duty.gate.heard_together([*self._listeners.values()])
        except AccordError:
            self._unload()
            self._find_refused()
            return
        if passages != self._sound.passages or not self._duty.order(RoomOrder(self._room, "renew")):
            self._unload()

    def _renew_grants(self) -> None:
        for number, (who, grant) in list(self._listeners.items()):
            if grant.until - self._duty.now() < RENEW_BEFORE:
                renewed = self._duty.gate.renew(who, grant.id)
                self._listeners[number] = ConferenceListener(who, renewed)

    def _find_refused(self) -> None:
        """End the calls of those who may no longer hear the recording. Raises :class:`AccordError` for what
        concerns everybody."""
        for number, listener in list(self._listeners.items()):
            try:
                self._duty.gate.heard_together([listener])
            except AccessError:
                self._end(number)

    # --- what is heard

    def _find_room(self) -> Room:
        caller = next(iter(self._callers.values()))
        return self._duty.rooms.find(caller.who.tenant, self._room, next(iter(caller.durations)))

    def _slow_down(self, room: Room) -> Room:
        return self._duty.rooms.slow_down(room, next(iter(self._callers.values())).durations)

    def _has_sound(self, room: Room) -> bool:
        """Whether the room's recording is loaded for everybody who is here; if not, it is being written."""
        here, sound = frozenset(self._callers), self._sound
        if sound is not None and sound.recording == room.recording and here <= sound.members:
            return True
        self._unload()
        if self._write_task is not None:
            if self._write_task.done():
                self._take_written(room, here)
            return self._sound is not None
        if self._duty.monotonic() >= self._retry_due and self._grant(room.recording):
            listeners = dict(self._listeners)
            self._write_task = self._duty.writers.submit(self._write, room.recording, listeners)
        return False

    def _grant(self, recording: str) -> bool:
        """Get a grant for each caller; whether everybody has one."""
        for number, caller in list(self._callers.items()):
            listener = self._listeners.get(number)
            if listener is not None and listener.grant.recording == recording:
                continue
            try:
                grant = self._duty.gate.grant(caller.who, recording, caller.purpose)
            except AccessError:
                self._end(number)
                return False
            if listener is not None:
                self._duty.gate.close(listener.who, listener.grant.id, TELEPHONE)
            self._listeners[number] = ConferenceListener(caller.who, grant)
        return bool(self._listeners)

    def _write(self, recording: str, listeners: Mapping[str, ConferenceListener]) -> _WrittenSound:
        """In a thread of its own: write what all of the listeners may hear."""
        gate, people = self._duty.gate, [*listeners.values()]
        passages = gate.heard_together(people)
        path = self._duty.folder.write(gate.open_together(people))
        return _WrittenSound(recording, frozenset(listeners), passages, path)

    def _take_written(self, room: Room, here: frozenset[str]) -> None:
        """Load what was written, if it is still what everybody here may hear. The file is gone afterwards."""
        assert self._write_task is not None
        future, self._write_task = self._write_task, None
        try:
            sound = future.result()
        except AccessError:
            self._find_refused()
            return
        except (AccordError, OSError) as error:
            self._retry_due = self._duty.monotonic() + RETRY
            self._duty.faults.report("room.sound_missing", error, self._room, level="error", room=self._room)
            if not self._is_missing:
                self._is_missing = True
                for number, caller in self._callers.items():
                    self._announcer.say(number, caller, "unheard")
            return
        self._is_missing = False
        self._duty.faults.recover("room.sound_missing", self._room, room=self._room)
        is_wanted = sound.recording == room.recording and here <= sound.members
        try:
            if is_wanted and self._duty.order(RoomOrder(self._room, "load", str(sound.path))):
                self._landed, self._sound = None, sound
        finally:
            sound.path.unlink(missing_ok=True)
        admissions = [RoomOrder(self._room, "admit", number) for number in sorted(here)]
        if self._sound is not None and not self._duty.order(*admissions):
            self._unload()  # somebody has left

    def _unload(self) -> None:
        """End the sound."""
        if self._sound is not None or not self._has_begun:
            self._sound = None
            self._duty.order(RoomOrder(self._room, "unload"))

    def _land(self, room: Room) -> None:
        """Be where the room is, from when it is there."""
        duration = next(iter(self._callers.values())).durations.get(room.recording, 0)
        rooms = self._duty.rooms
        wait = room.at_ms - EARLY_MS - rooms.now_ms()
        if self._landed is not None and self._landed[0] != room.seq and wait > 0:
            if wait > self._duty.INTERVAL * 1000:
                return
            time.sleep(wait / 1000)
        position = room.position_at(rooms.now_ms() + EARLY_MS, duration)
        is_over = room.playing and position >= duration
        if self._landed == (room.seq, is_over):
            return
        action: RoomAction = "play" if room.playing and not is_over else "pause"
        self._landed = (room.seq, is_over)
        if not self._duty.order(RoomOrder(self._room, action, str(position))):
            self._unload()  # the switch has ended it

    # --- what callers are told

    def _tell(self, number: str, path: Path) -> bool:
        return self._duty.order(RoomOrder(self._room, "tell", f"{number} {path}"))

    def _hush(self, number: str) -> bool:
        return self._duty.order(RoomOrder(self._room, "hush", number))

    def _announce(self) -> None:
        """Tell who comes and goes, and read out the outcome to those whose answer it waits for. While it is
        read, the room is paused."""
        if self._duty.monotonic() >= self._people_due:
            self._people_due = self._duty.monotonic() + LOOK
            self._announcer.note_people(self._callers, self._find_people())
        for number, caller in self._callers.items():
            if self._announcer.propose(number, caller) and (room := self._find_room()).playing:
                self._command(caller, room, RoomCommand(PAUSE))
        self._announcer.follow()

    def _find_people(self) -> frozenset[str]:
        rooms, tenant = self._duty.rooms, next(iter(self._callers.values())).who.tenant
        now = rooms.now_ms()
        return frozenset(each.user for each in rooms.members(tenant, self._room) if each.is_present(now))

    # --- keys

    def _press(self, number: str, key: str) -> None:
        """Do what a key asks for, by the same rules as for a browser, and say why where it is refused."""
        caller = self._callers[number]
        self._announcer.interrupt(number)
        sha256 = self._announcer.find_question(number)
        if sha256 is not None and key in (YES, NOT_NOW):
            self._announcer.end_question(number)
            if key == YES:
                self._confirm(number, caller, sha256)
                return
            self._announcer.answer(number, caller, "not-now")  # and it pauses, as ever
        try:
            sentence = self._carry_out(number, caller, key)
        except RoomError as error:
            log.info("room.key_refused", room=self._room, key=key, error_id=error.error_id)
            sentence = "led" if error.error_id == "room.led" else "overtaken"
        except DisputeError as error:
            log.info("room.key_refused", room=self._room, key=key, error_id=error.error_id)
            sentence = "unmarked"
        if sentence:
            self._announcer.answer(number, caller, sentence)

    def _carry_out(self, number: str, caller: TelephoneListener, key: str) -> str:
        """Returns what the caller is told of it, if anything. Raises :class:`RoomError`,
        :class:`DisputeError`."""
        room, now = self._find_room(), self._duty.rooms.now_ms()
        duration = caller.durations.get(room.recording, 0)
        if key == KEYS_KEY:
            self._announcer.say_people(number, caller, self._find_people())
            return "keys"
        if key == MARK_KEY:
            end = room.position_at(now, duration)
            self._duty.callers.mark_passage(caller, self._room, room.recording, max(0, end - STEP_MS), end)
            return "marked"
        command = command_of(key, room, duration, now)
        if command is None:
            return "" if is_key(key) else "other-key"
        self._command(caller, room, command)
        return "leading" if key == LEAD_KEY else ""

    def _command(self, caller: TelephoneListener, room: Room, command: RoomCommand) -> None:
        self._duty.rooms.command(room, command, caller.who.user, seq=room.seq, durations=caller.durations)

    def _confirm(self, number: str, caller: TelephoneListener, sha256: str) -> None:
        """Confirm the outcome that was read out, by the same way as on its page."""
        try:
            is_agreed = self._duty.callers.confirm_outcome(caller, self._room, sha256)
        except AccordError as error:
            log.info("room.confirmation_refused", room=self._room, error_id=error.error_id)
            # A text that has changed is read out as soon as it is looked at again.
            sentence = "text-changed" if error.error_id == "dispute.text_changed" else "unconfirmed"
        else:
            sentence = "agreed" if is_agreed else "confirmed"
        self._announcer.say(number, caller, sentence)


def _discard(task: Future[_WrittenSound]) -> None:
    """Remove a sound that nobody waits for any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().path.unlink(missing_ok=True)
