"""Participants beside the two parties: the members of each conference on the switch, and each third party.
Their events go to the calls that they take part in, and the notice of a line is played once, however many
of the calls want it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import gevent
import structlog

from recorder.call import transfer_consent
from recorder.call.state import CallState
from recorder.call.transitions import ANSWER, GRACE
from recorder.capture.eavesdroppers import Eavesdroppers
from recorder.domain.call_events import (
    INTERNAL,
    ConferenceJoined,
    ConferenceLeft,
    KeyPressed,
    Participant,
    ParticipantLeft,
    ParticipantsJoined,
    SoundEnded,
    SoundStarted,
)
from recorder.domain.call_plan import ALONE, Speech
from recorder.domain.parties import Party
from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand
from recorder.switch.conference_events import (
    ATTACHED,
    BEGAN,
    CAME,
    LISTENER,
    THIRD,
    WENT,
    ConferenceEvent,
    ConferenceMember,
    attached,
    in_room,
    is_attached,
    listened_on,
    who_is,
)
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import Live, channels
from recorder.switch.translation import observe_talk

if TYPE_CHECKING:
    from recorder.capture.call_controller import CallController

log = structlog.get_logger()

ASKED: Final = (0.05, 0.3, 0.8, 2.0)
"""Seconds between the questions who a third party is: the switch's list lags by up to a second (seen), and
the colleague may be bridged with the external party again only after them."""

GONE: Final = (0.0, 0.5)
"""Seconds between the questions who has left: a leg that was just released may not say so yet."""

LEAD: Final = 0.5
"""Seconds from when somebody joins until they are notified: a telephone that was just answered does not
hear the first moments (seen)."""

ORDERED: Final = 60.0
"""Seconds after which a sound that was ordered and never began is ordered again."""


@dataclass(slots=True)
class _Conference:
    """``heard``: (leg, sound) of each member who heard it. ``ordered``: when a sound was, by (member or
    all, sound)."""

    name: str = ""
    members: dict[str, ConferenceMember] = field(default_factory=dict)
    heard: set[tuple[str, str]] = field(default_factory=set)
    ordered: dict[tuple[str, str], float] = field(default_factory=dict)

    def person(self, leg: str) -> Participant:
        """Return a member, as a call's events name them."""
        sounds = frozenset(sound for who, sound in self.heard if who == leg)
        return Participant(leg, self.members[leg].party, sounds)


class Conferences:
    """``ask`` asks the switch, ``order`` commands it; both raise :class:`SwitchError`. ``calls`` are the
    current calls, by the external leg."""

    def __init__(
        self,
        calls: Mapping[str, CallController],
        ask: Callable[[SwitchCommand], str],
        order: Callable[[SwitchCommand], object],
        now: Callable[[], datetime],
    ) -> None:
        self._calls = calls
        self._ask = ask
        self._order = order
        self._now = now
        self._rooms: dict[str, _Conference] = {}
        self._thirds: dict[str, tuple[str, str]] = {}
        """By the leg of each third party: the channel of the call that they joined, and the leg that they
        are attached to."""
        self._aside: dict[str, bool] = {}
        """By the leg of each third party who was taken aside to be asked: whether the sound has begun."""
        self._listeners = Eavesdroppers(calls, self._data)

    # --- events of the switch

    def event(self, event: EslEvent) -> None:
        """Take a conference's event, or one of :data:`ATTACHED`."""
        if event.name in ATTACHED:
            self._attached(event)
            return
        seen = in_room(event)
        if seen is None:
            return
        if seen.what == CAME and seen.member is not None:
            self._came(seen, seen.member, event.at)
        elif seen.what == WENT and seen.member is not None:
            self._went(seen, seen.member, event.at)
        else:
            self._sounded(seen, event.at)

    def _came(self, seen: ConferenceEvent, member: ConferenceMember, at: datetime) -> None:
        room = self._rooms.setdefault(seen.room, _Conference(seen.name))
        if member.leg in room.members:
            return  # the list contained them already
        room.members[member.leg] = member
        person = room.person(member.leg)
        for call in self._of(room):
            if call.channel == member.leg:
                call.feed(ConferenceJoined(at, room.name, self._others(room, member.leg)))
            else:
                call.feed(ParticipantsJoined(at, (person,)))

    def _others(self, room: _Conference, channel: str) -> tuple[Participant, ...]:
        legs = [leg for leg in room.members if leg != channel]
        try:
            return tuple(self._known(room, leg) for leg in legs)
        except SwitchError as error:
            log.warning("conference.query_failed", error=error.message)
            return tuple(room.person(leg) for leg in legs if leg in room.members)

    def _went(self, seen: ConferenceEvent, member: ConferenceMember, at: datetime) -> None:
        room = self._rooms.get(seen.room)
        if room is None or member.leg not in room.members:
            return
        for call in self._of(room):
            if call.channel == member.leg:
                call.feed(ConferenceLeft(at))
            else:
                call.feed(ParticipantLeft(at, member.leg))
        del room.members[member.leg]
        room.ordered = {key: when for key, when in room.ordered.items() if key[0] != member.number}
        if not room.members:
            del self._rooms[seen.room]

    def _sounded(self, seen: ConferenceEvent, at: datetime) -> None:
        room = self._rooms.get(seen.room)
        if room is None:
            return
        began = seen.what == BEGAN
        if not began:
            room.ordered.pop((seen.member.number if seen.member else "", seen.sound), None)
        for call in self._of(room):
            telling = call.state.transfer.target
            if telling is None or (seen.member is not None and seen.member.leg != telling.leg):
                continue
            before = call.state
            call.feed(_sound(began, at, seen.sound))
            room.heard |= {(leg, seen.sound) for leg in room.members if _learnt(before, call.state, leg)}

    def _of(self, room: _Conference) -> list[CallController]:
        return [call for leg in list(room.members) if (call := self._calls.get(leg)) is not None]

    # --- third parties

    def _attached(self, event: EslEvent) -> None:
        function, leg = event.header("Media-Bug-Function"), event.uuid
        began = event.name == ATTACHED[0]
        if function == "displace":
            call = self._beside(leg)
            if call is not None:
                call.feed(_sound(began, event.at, event.header("Media-Bug-Target"), leg))
        elif function == "eavesdrop" and began:
            if any(leg in _ends(call.state, call.channel) for call in self._calls.values()):
                gevent.spawn(self._look_for_another, leg, event.at)
        elif function == "eavesdrop":
            gevent.spawn(self._look_for_gone, leg, event.at)

    def _beside(self, leg: str) -> CallController | None:
        """Return the call of a third party or supervisor."""
        channel = self._thirds[leg][0] if leg in self._thirds else self._listeners.channel(leg)
        return self._calls.get(channel)

    def _look_for_another(self, leg: str, at: datetime) -> None:
        """A third party or a supervisor was attached to a leg: find out who."""
        try:
            with self._listeners.looking():
                self._find(leg, at)
        except SwitchError as error:
            log.warning("conference.query_failed", error=error.message)
            # The lists are read again when the connection is back.

    def _find(self, leg: str, at: datetime) -> None:
        found: list[str] = []
        for seconds in ASKED:
            gevent.sleep(seconds)
            rows = channels(self._ask(commands.show_channels()))
            found = attached(rows, THIRD).get(leg, [])
            listening = attached(rows, LISTENER).get(leg, [])
            new = [Participant(each, self._party(each)) for each in found if each not in self._thirds]
            there = [one for one in self._calls.values() if leg in (one.channel, one.state.internal.leg)]
            if there and new:
                self._thirds |= {each.leg: (there[0].channel, leg) for each in new}
                there[0].feed(ParticipantsJoined(at, tuple(new)))
                return
            if there and any(not self._listeners.channel(each) for each in listening):
                self._listeners.came(there[0], leg, listening, at)
                return
        # The list does not say to which call a supervisor listens who goes through all calls.
        if there and not (found or listening) and listened_on(self._ask(commands.media_bugs(leg))):
            self._listeners.unknown(there[0], leg, at)

    def _look_for_gone(self, leg: str, at: datetime) -> None:
        try:
            for seconds in GONE:
                gevent.sleep(seconds)
                for third, (channel, on) in list(self._thirds.items()):
                    if third in self._aside:
                        continue  # they come back
                    data = self._data(third) if on == leg else None
                    if on == leg and (data is None or not is_attached(data, leg)):
                        self._thirds.pop(third, None)
                        if (call := self._calls.get(channel)) is not None:
                            call.feed(ParticipantLeft(at, third))
                self._listeners.gone(leg, is_attached, at)
        except SwitchError as error:
            log.warning("conference.query_failed", error=error.message)

    def hung_up(self, event: EslEvent) -> None:
        """A leg is gone; no other event says so of a third party who was taken aside."""
        self._aside.pop(event.uuid, None)
        channel, _on = self._thirds.pop(event.uuid, ("", ""))
        if (call := self._calls.get(channel)) is not None:
            call.feed(ParticipantLeft(event.at, event.uuid))

    # --- sounds and keys

    def in_talk(self, event: EslEvent) -> None:
        """Take a key, or a sound that plays to somebody."""
        if event.name == "DTMF":
            self.pressed(event)
        elif event.uuid in self._aside and (call := self._beside(event.uuid)) is not None:
            observed = observe_talk(event, call.channel, event.uuid)
            # :meth:`hung_up` handles a leg that is ending.
            if isinstance(observed, SoundStarted | SoundEnded) and not observed.ending:
                self._aside[event.uuid] = True
                call.feed(replace(observed, other=event.uuid))

    def pressed(self, event: EslEvent) -> None:
        """Take a key of a conference member, or of a third party, who is being asked something."""
        leg = event.uuid
        calls = [call for room in self._rooms.values() if leg in room.members for call in self._of(room)]
        third = self._beside(leg)
        key = observe_talk(event, "", leg)
        if isinstance(key, KeyPressed):
            self._listeners.pressed(leg, key.key, key.at)
        for call in (*calls, *((third,) if third is not None else ())):
            telling = call.state.transfer.target
            if telling is not None and telling.leg == leg != call.state.internal.leg:
                observed = observe_talk(event, call.channel, leg)
                if isinstance(observed, KeyPressed):
                    call.feed(replace(observed, other=leg))

    # --- commands

    def tell(self, call: CallController, leg: str, speech: Speech) -> None:
        """Play the sound of ``call``'s line to a participant."""
        script = call.state.script.transfer_notice
        if script is None:
            return
        sound = Path(speech.path)
        if not call.state.conference.name or self._listeners.channel(leg):
            if leg in self._thirds and leg in self._aside and call.state.recording.over:
                self._back(leg, Path(speech.path))
            elif leg in self._thirds and not call.state.recording.over and transfer_consent.asks(call.state):
                self._ask_aside(call, leg, speech)
            elif commands.addressable(leg):
                self._soon(commands.mix_in(call.channel, "accord_state", "announced", leg, sound))
            if script.how != ALONE and not call.state.conference.name:
                self._soon(commands.play_to_both(call.channel, "accord_state", "announced", sound))
            return
        room = next((one for one in self._rooms.values() if call.channel in one.members), None)
        if room is None or leg not in room.members:
            return
        number = room.members[leg].number if script.how == ALONE else ""
        key, now = (number, str(sound)), time.monotonic()
        if now - room.ordered.get(key, -ORDERED) < ORDERED:
            return  # another call in it has ordered it
        room.ordered[key] = now
        try:
            order = commands.play_in_room(call.channel, "accord_state", "announced", room.name, sound, number)
        except SwitchError as error:
            # No command can name this conference: the marks say that they were not notified.
            call.log.warning("call.conference_notice_failed", error=error.message)
            return
        self._soon(order)

    def cut(self, call: CallController, leg: str) -> None:
        """End the sound that plays to a participant. A third party who was taken aside leaves it anyway."""
        script = call.state.script.transfer_notice
        room = next((one for one in self._rooms.values() if call.channel in one.members), None)
        if script is None or room is None or leg not in room.members:
            return
        number = room.members[leg].number if script.how == ALONE else ""
        try:
            order = commands.cut_in_room(room.name, number)
        except SwitchError:
            return  # no command can name it: nothing plays there
        room.ordered.pop((number, script.sound.path), None)
        gevent.spawn(self._send, order)

    def _ask_aside(self, call: CallController, leg: str, speech: Speech) -> None:
        answer = (ANSWER + GRACE) // timedelta(milliseconds=1)
        again = self._aside.setdefault(leg, False)
        try:
            orders = commands.take_aside(
                call.channel, leg, self._thirds[leg][1], Path(speech.path), answer, again
            )
        except SwitchError as error:
            call.log.warning(
                "call.transfer_consent_failed", error=error.message
            )  # no command can address this id
            return
        gevent.spawn(self._send, *orders)

    def let_back(self, call: CallController) -> None:
        """Return the third parties of this call who were taken aside and are no longer asked anything."""
        telling = call.state.transfer.target
        for leg in [one for one in self._aside if self._thirds.get(one, ("",))[0] == call.channel]:
            if telling is None or telling.leg != leg:
                self._back(leg)

    def _back(self, leg: str, sound: Path | None = None) -> None:
        del self._aside[leg]
        if commands.addressable(leg):
            gevent.spawn(self._send, *commands.let_back(leg, sound))

    def _soon(self, command: SwitchCommand) -> None:
        # The switch checks then whether the sound is still wanted.
        gevent.spawn_later(LEAD, self._send, command)

    def _send(self, *orders: SwitchCommand) -> None:
        for command in orders:
            try:
                self._order(command)
            except SwitchError as error:
                log.warning("conference.command_failed", command=str(command), error=error.message)
                return

    # --- the daemon is back

    def look(self, live: Live) -> None:
        """Read who is in which conference, and who is a third party. Raises :class:`SwitchError`."""
        before, self._rooms = self._rooms, {}
        for ident, name, numbers in live.rooms:
            old = before.get(ident, _Conference())
            room = self._rooms[ident] = _Conference(name, heard=old.heard)
            for leg, number in numbers.items():
                room.members[leg] = old.members.get(leg, ConferenceMember(leg, number, None))
        self._thirds, self._aside = {}, {}
        for leg, some in live.thirds.items():
            if channel := self._outside_of(leg):
                self._thirds |= dict.fromkeys(some, (channel, leg))
        self._listeners.look(live.listeners, self._outside_of)

    def _outside_of(self, leg: str) -> str:
        """Return the external leg of a leg's call: itself, or the one at its other end."""
        data = self._data(leg)
        if data is None:
            return ""
        return leg if data.variable("accord_state") == "announced" else data.variable("bridge_uuid")

    def listening(self, channel: str) -> tuple[Participant, ...]:
        """Return the supervisors of a call."""
        return self._listeners.there(channel)

    def there(self, channel: str) -> tuple[str, tuple[Participant, ...]]:
        """Return the name of the conference that an external leg is in, empty where it is in none, and the
        other participants. Raises :class:`SwitchError`."""
        for room in self._rooms.values():
            if channel in room.members:
                return room.name, tuple(
                    self._known(room, leg) for leg in list(room.members) if leg != channel
                )
        some = [third for third, (outside, _leg) in self._thirds.items() if outside == channel]
        return "", tuple(Participant(third, self._party(third)) for third in some)

    def _known(self, room: _Conference, leg: str) -> Participant:
        """Return a member whose party the conference's list does not contain."""
        member = room.members[leg]
        if member.party is None:
            room.members[leg] = replace(member, party=self._party(leg))
        return room.person(leg)

    def _party(self, leg: str) -> Party | None:
        data = self._data(leg)
        return None if data is None else who_is(data)

    def _data(self, leg: str) -> EslEvent | None:
        """Return the data of a leg; ``None`` where it does not exist, or cannot be asked about."""
        if not commands.addressable(leg):
            return None
        try:
            return EslEvent(b"\n" + self._ask(commands.channel_data(leg)).encode())
        except SwitchError as error:
            if error.error_id == "switch.refused":
                return None
            raise


def _ends(state: CallState, channel: str) -> tuple[str, ...]:
    """Return the legs of a call that a third party can be attached to; the colleague may just be on
    another one."""
    return tuple(filter(None, (channel, state.internal.leg, state.internal.previous_leg)))


def _learnt(before: CallState, after: CallState, leg: str) -> bool:
    mark = f"leg:{leg}"
    return mark in after.transfer.informed and mark not in before.transfer.informed


def _sound(began: bool, at: datetime, sound: str, other: str = "") -> SoundStarted | SoundEnded:
    """Return the event of a sound that plays to a participant."""
    if began:
        return SoundStarted(at, sound, INTERNAL, other)
    return SoundEnded(at, sound, INTERNAL, complete=True, other=other)
