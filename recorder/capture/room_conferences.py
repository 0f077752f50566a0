"""The conferences of rooms on this switch: who is in them, the keys that they press, and the worker's orders.

Nobody in such a conference hears anything until the worker has admitted them: the switch lets members in
deaf. A sound ends by itself where no worker attends to it any more."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from recorder.domain.room_caller import SESSION_VARIABLE
from recorder.domain.telephone_room import (
    CONFERENCE,
    UNATTENDED_SECONDS,
    RoomAnswer,
    RoomMember,
    RoomOrder,
    RoomReport,
    RoomRequest,
)
from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand
from recorder.switch.conference_events import JOINED, LEFT, read_event, read_key
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import LiveState, Node, variable_of

MOST_KEYS: Final = 50
"""Keys of a room that wait for the worker; older ones are dropped."""

LIMIT: Final = 1.0
"""Seconds that the switch may take for a command."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Conference:
    """Legs by member number, the keys that were pressed, and whether the sound is paused (``None``: not
    known)."""

    legs: dict[str, str] = field(default_factory=dict)
    is_paused: bool | None = None
    keys: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=MOST_KEYS))


@dataclass(eq=False, repr=False)
class RoomConferences:
    """The conferences of rooms on the switch of ``node``."""

    node: Node
    _conferences: dict[str, _Conference] = field(default_factory=dict, init=False)
    """By their room."""
    _sessions: dict[str, str] = field(default_factory=dict, init=False)
    """By leg."""

    def handle_event(self, event: EslEvent) -> None:
        """Handle an event of a conference."""
        name = event.header("Conference-Name")
        if not name.startswith(CONFERENCE):
            return
        room = name.removeprefix(CONFERENCE)
        if (key := read_key(event)) is not None and room in self._conferences:
            self._conferences[room].keys.append(key)
        observation = read_event(event)
        if observation is None or observation.member is None:
            return
        member = observation.member
        if observation.what == JOINED:
            self._conferences.setdefault(room, _Conference()).legs[member.number] = member.leg
        elif observation.what == LEFT and room in self._conferences:
            self._conferences[room].legs.pop(member.number, None)
            self._sessions.pop(member.leg, None)
            if not self._conferences[room].legs:
                del self._conferences[room]

    def reconcile(self, live: LiveState) -> None:
        """Read who is in the conferences."""
        self._sessions.clear()
        self._conferences = {
            name.removeprefix(CONFERENCE): _Conference({number: leg for leg, number in numbers.items()})
            for _ident, name, numbers in live.conferences
            if name.startswith(CONFERENCE)
        }

    def answer(self, request: RoomRequest) -> RoomAnswer:
        """Carry out the orders; without any, report all rooms."""
        failed: list[RoomOrder] = []
        for order in request.orders:
            if any(each.room == order.room for each in failed):
                continue
            try:
                self._carry_out(order)
            except SwitchError as error:
                failed.append(order)
                log.info("room.order_failed", room=order.room, action=order.action, error_id=error.error_id)
        if request.orders:
            return RoomAnswer(failed=tuple(failed))
        try:
            return RoomAnswer(self._reports())
        except SwitchError as error:
            log.info("room.report_failed", error_id=error.error_id)
            return RoomAnswer()

    def _reports(self) -> tuple[RoomReport, ...]:
        """Raises :class:`SwitchError`."""
        if not self.node.up.is_set():
            raise SwitchError("switch.gone", "not connected to FreeSWITCH", "the daemon reconnects by itself")
        reports = []
        for room, conference in list(self._conferences.items()):
            members = [
                RoomMember(number, self._session(leg)) for number, leg in list(conference.legs.items())
            ]
            keys = tuple(conference.keys)
            conference.keys.clear()
            reports.append(RoomReport(room, tuple(members), keys))
        return tuple(reports)

    def _session(self, leg: str) -> str:
        """The session in which a caller was admitted. Raises :class:`SwitchError`."""
        if leg not in self._sessions:
            known = commands.addressable(leg)
            self._sessions[leg] = (known and variable_of(self.node, leg, SESSION_VARIABLE)) or ""
        return self._sessions[leg]

    def _carry_out(self, order: RoomOrder) -> None:
        """Raises :class:`SwitchError`."""
        name, value = f"{CONFERENCE}{order.room}", order.value
        match order.action:
            case "load":
                # Sent together, nothing of it is heard (observed).
                sound = [
                    commands.play_sound(name, Path(value)),
                    commands.toggle_sound(name),
                    commands.seek_sound(name, 0),
                ]
                for pending in self.node.send_all([*_renewal(name), *sound], LIMIT):
                    pending.accepted()
                self._find(order.room).is_paused = True
            case "unload":
                self._ask(commands.stop_sounds(name))
                self._ask(commands.unschedule(name))
            case "play":
                self._ask(commands.seek_sound(name, _number(value)))
                self._set_paused(order.room, is_paused=False)
            case "pause":
                self._set_paused(order.room, is_paused=True)
                self._ask(commands.seek_sound(name, _number(value)))
            case "admit":
                self._ask(commands.let_hear(name, value))
            case "remove":
                self._ask(commands.hang_up_member(name, value))
            case "tell":
                number, _, path = value.partition(" ")
                self._ask(commands.play_sound(name, Path(path), number))
            case "hush":
                self._ask(commands.stop_sounds(name, value))
            case "renew":
                for pending in self.node.send_all(_renewal(name), LIMIT):
                    pending.accepted()

    def _set_paused(self, room: str, *, is_paused: bool) -> None:
        """The switch only toggles, and says what it did."""
        conference = self._find(room)
        for _ in range(2):
            if conference.is_paused is is_paused:
                return
            answer = self._ask(commands.toggle_sound(f"{CONFERENCE}{room}"))
            conference.is_paused = answer.startswith("+OK Pause")

    def _find(self, room: str) -> _Conference:
        if room not in self._conferences:
            raise SwitchError("switch.refused", "the conference has ended", "its callers can dial in again")
        return self._conferences[room]

    def _ask(self, command: SwitchCommand) -> str:
        return self.node.api(command, LIMIT)


def _renewal(name: str) -> list[SwitchCommand]:
    return [
        commands.unschedule(name),
        commands.schedule(UNATTENDED_SECONDS, name, commands.stop_sounds(name)),
    ]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise SwitchError("switch.argument", f"{text!r} is no position", "allowed: milliseconds")
    return int(text)
