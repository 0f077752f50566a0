"""Tracks the participants beside the two parties: the members of each conference on the switch, and third
parties (``three_way``). Passes their events to the calls that they take part in, and plays the notice of a
line once, however many of the calls ask for it."""

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
from recorder.call.transitions import ANSWER_TIME, PLAYBACK_GRACE
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
    EAVESDROP,
    JOINED,
    LEFT,
    MEDIA_BUG_EVENTS,
    SOUND_STARTED,
    THREE_WAY,
    ConferenceEvent,
    ConferenceMember,
    attached_legs,
    has_eavesdropper,
    is_attached,
    party_of,
    read_event,
)
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import LiveState, channels
from recorder.switch.translation import translate_talk

if TYPE_CHECKING:
    from recorder.capture.call_controller import CallController

log = structlog.get_logger()

ARRIVAL_QUERIES: Final = (0.05, 0.3, 0.8, 2.0)
"""Seconds before each query that identifies a third party: the switch's list lags by up to a second
(observed), and the internal party may be bridged with the external party again only after them."""

DEPARTURE_QUERIES: Final = (0.0, 0.5)
"""Seconds before each query for departures: a leg that was just released may not report it yet."""

NOTICE_DELAY: Final = 0.5
"""Seconds from joining to the notice: a telephone that was just answered misses the first moments
(observed)."""

REQUEST_LIFETIME: Final = 60.0
"""Seconds after which a sound that was requested and never began may be requested again."""


@dataclass(slots=True)
class _Conference:
    """``sounds_heard``: the leg and sound of each notice that a member heard. ``requested``: when a sound was
    requested (monotonic seconds), by member number (empty: all) and sound."""

    name: str = ""
    members: dict[str, ConferenceMember] = field(default_factory=dict)
    sounds_heard: set[tuple[str, str]] = field(default_factory=set)
    requested: dict[tuple[str, str], float] = field(default_factory=dict)

    def participant(self, leg: str) -> Participant:
        """Return a member as a participant of a call."""
        sounds = frozenset(sound for who, sound in self.sounds_heard if who == leg)
        return Participant(leg, self.members[leg].party, sounds)

    def others(self, channel: str) -> tuple[Participant, ...]:
        """Return the members beside ``channel``."""
        return tuple(self.participant(leg) for leg in self.members if leg != channel)


@dataclass(eq=False, repr=False)
class Conferences:
    """The participants of ``calls``, which are the current calls by the external leg. ``ask`` queries the
    switch, ``send`` commands it; both raise :class:`SwitchError`."""

    calls: Mapping[str, CallController]
    ask: Callable[[SwitchCommand], str]
    send: Callable[[SwitchCommand], object]
    now: Callable[[], datetime]
    _conferences: dict[str, _Conference] = field(default_factory=dict, init=False)
    _third_parties: dict[str, tuple[str, str]] = field(default_factory=dict, init=False)
    """By the leg of each third party: the channel of the call that they joined, and the leg that they are
        attached to."""
    _aside: dict[str, bool] = field(default_factory=dict, init=False)
    """By the leg of each third party who was taken aside to be asked for consent: whether the
        question has begun."""
    _supervisors: Eavesdroppers = field(init=False)

    def __post_init__(self) -> None:
        self._supervisors = Eavesdroppers(self.calls, self._data)

    # --- events of the switch

    def handle_event(self, event: EslEvent) -> None:
        """Handle a conference's event, or one of :data:`MEDIA_BUG_EVENTS`."""
        if event.name in MEDIA_BUG_EVENTS:
            self._handle_media_bug(event)
            return
        observation = read_event(event)
        if observation is None:
            return
        if observation.what == JOINED and observation.member is not None:
            self._handle_join(observation, observation.member, event.at)
        elif observation.what == LEFT and observation.member is not None:
            self._handle_departure(observation, observation.member, event.at)
        else:
            self._handle_sound(observation, event.at)

    def _handle_join(self, observation: ConferenceEvent, member: ConferenceMember, at: datetime) -> None:
        conference = self._conferences.setdefault(observation.conference, _Conference(observation.name))
        if member.leg in conference.members:
            return  # reconciling has added them already
        conference.members[member.leg] = member
        participant = conference.participant(member.leg)
        for call in self._calls_in(conference):
            if call.channel == member.leg:
                call.feed(ConferenceJoined(at, conference.name, self._others(conference, member.leg)))
            else:
                call.feed(ParticipantsJoined(at, (participant,)))

    def _others(self, conference: _Conference, channel: str) -> tuple[Participant, ...]:
        try:
            self._add_parties(conference, channel)
        except SwitchError as error:
            log.warning("conference.query_failed", error=error.message)
        return conference.others(channel)

    def _handle_departure(self, observation: ConferenceEvent, member: ConferenceMember, at: datetime) -> None:
        conference = self._conferences.get(observation.conference)
        if conference is None or member.leg not in conference.members:
            return
        for call in self._calls_in(conference):
            if call.channel == member.leg:
                call.feed(ConferenceLeft(at))
            else:
                call.feed(ParticipantLeft(at, member.leg))
        del conference.members[member.leg]
        conference.requested = {
            key: when for key, when in conference.requested.items() if key[0] != member.number
        }
        if not conference.members:
            del self._conferences[observation.conference]

    def _handle_sound(self, observation: ConferenceEvent, at: datetime) -> None:
        conference = self._conferences.get(observation.conference)
        if conference is None:
            return
        started = observation.what == SOUND_STARTED
        if not started:
            conference.requested.pop(
                (observation.member.number if observation.member else "", observation.sound), None
            )
        for call in self._calls_in(conference):
            target = call.state.transfer.target
            if target is None or (observation.member is not None and observation.member.leg != target.leg):
                continue
            before = call.state
            call.feed(_sound_event(started, at, observation.sound))
            conference.sounds_heard |= {
                (leg, observation.sound)
                for leg in conference.members
                if _was_informed(before, call.state, leg)
            }

    def _calls_in(self, conference: _Conference) -> list[CallController]:
        return [call for leg in list(conference.members) if (call := self.calls.get(leg)) is not None]

    # --- third parties

    def _handle_media_bug(self, event: EslEvent) -> None:
        function, leg = event.header("Media-Bug-Function"), event.uuid
        started = event.name == MEDIA_BUG_EVENTS[0]
        if function == "displace":
            call = self._call_of(leg)
            if call is not None:
                call.feed(_sound_event(started, event.at, event.header("Media-Bug-Target"), leg))
        elif function == "eavesdrop" and started:
            if any(leg in _legs_of(call.state, call.channel) for call in self.calls.values()):
                gevent.spawn(self._identify, leg, event.at)
        elif function == "eavesdrop":
            gevent.spawn(self._check_departures, leg, event.at)

    def _call_of(self, leg: str) -> CallController | None:
        """Return the call of a third party or supervisor."""
        channel = (
            self._third_parties[leg][0] if leg in self._third_parties else self._supervisors.call_of(leg)
        )
        return self.calls.get(channel)

    def _identify(self, leg: str, at: datetime) -> None:
        """Identify the third party or supervisor who was attached to a leg."""
        try:
            with self._supervisors.remember_keys():
                self._find(leg, at)
        except SwitchError as error:
            log.warning("conference.query_failed", error=error.message)
            # The lists are read again when the connection is back.

    def _find(self, leg: str, at: datetime) -> None:
        found: list[str] = []
        for seconds in ARRIVAL_QUERIES:
            gevent.sleep(seconds)
            rows = channels(self.ask(commands.show_channels()))
            found = attached_legs(rows, THREE_WAY).get(leg, [])
            supervisors = attached_legs(rows, EAVESDROP).get(leg, [])
            new = [Participant(each, self._party(each)) for each in found if each not in self._third_parties]
            calls = [one for one in self.calls.values() if leg in (one.channel, one.state.internal.leg)]
            if calls and new:
                self._third_parties |= {each.leg: (calls[0].channel, leg) for each in new}
                calls[0].feed(ParticipantsJoined(at, tuple(new)))
                return
            if calls and any(not self._supervisors.call_of(each) for each in supervisors):
                self._supervisors.join(calls[0], leg, supervisors, at)
                return
        # The list does not name the call of a supervisor who goes through all calls.
        if calls and not (found or supervisors) and has_eavesdropper(self.ask(commands.media_bugs(leg))):
            self._supervisors.join_unknown(calls[0], leg, at)

    def _check_departures(self, leg: str, at: datetime) -> None:
        try:
            for seconds in DEPARTURE_QUERIES:
                gevent.sleep(seconds)
                for third, (channel, on) in list(self._third_parties.items()):
                    if third in self._aside:
                        continue  # the third party comes back
                    data = self._data(third) if on == leg else None
                    if on == leg and (data is None or not is_attached(data, leg)):
                        self._third_parties.pop(third, None)
                        if (call := self.calls.get(channel)) is not None:
                            call.feed(ParticipantLeft(at, third))
                self._supervisors.check_departures(leg, is_attached, at)
        except SwitchError as error:
            log.warning("conference.query_failed", error=error.message)

    def handle_hangup(self, event: EslEvent) -> None:
        """Handle the end of a leg: the only event about a third party who leaves while taken aside."""
        self._aside.pop(event.uuid, None)
        channel, _on = self._third_parties.pop(event.uuid, ("", ""))
        if (call := self.calls.get(channel)) is not None:
            call.feed(ParticipantLeft(event.at, event.uuid))

    # --- sounds and keys

    def handle_talk_event(self, event: EslEvent) -> None:
        """Handle a key, or a sound that plays to a leg."""
        if event.name == "DTMF":
            self.handle_key(event)
        elif event.uuid in self._aside and (call := self._call_of(event.uuid)) is not None:
            translated = translate_talk(event, call.channel, event.uuid)
            # :meth:`handle_hangup` handles a leg that is ending.
            if isinstance(translated, SoundStarted | SoundEnded) and not translated.hangup:
                self._aside[event.uuid] = True
                call.feed(replace(translated, other=event.uuid))

    def handle_key(self, event: EslEvent) -> None:
        """Handle a key of a supervisor, or of a participant who is asked for consent."""
        leg = event.uuid
        calls = [
            call
            for conference in self._conferences.values()
            if leg in conference.members
            for call in self._calls_in(conference)
        ]
        beside = self._call_of(leg)
        key = translate_talk(event, "", leg)
        if isinstance(key, KeyPressed):
            self._supervisors.handle_key(leg, key.key, key.at)
        for call in (*calls, *((beside,) if beside is not None else ())):
            target = call.state.transfer.target
            if target is not None and target.leg == leg != call.state.internal.leg:
                translated = translate_talk(event, call.channel, leg)
                if isinstance(translated, KeyPressed):
                    call.feed(replace(translated, other=leg))

    # --- commands

    def play_notice(self, call: CallController, leg: str, speech: Speech) -> None:
        """Play a sound of ``call``'s line to a participant."""
        script = call.state.script.transfer_notice
        if script is None:
            return
        sound = Path(speech.path)
        if not call.state.conference.name or self._supervisors.call_of(leg):
            if leg in self._third_parties and leg in self._aside and call.state.recording.over:
                self._return(leg, Path(speech.path))
            elif (
                leg in self._third_parties
                and not call.state.recording.over
                and transfer_consent.asks_for_consent(call.state)
            ):
                self._ask_aside(call, leg, speech)
            elif commands.addressable(leg):
                self._send_later(commands.mix_in(call.channel, "accord_state", "announced", leg, sound))
            if script.how != ALONE and not call.state.conference.name:
                self._send_later(commands.play_to_both(call.channel, "accord_state", "announced", sound))
            return
        conference = next((one for one in self._conferences.values() if call.channel in one.members), None)
        if conference is None or leg not in conference.members:
            return
        number = conference.members[leg].number if script.how == ALONE else ""
        key, now = (number, str(sound)), time.monotonic()
        if now - conference.requested.get(key, -REQUEST_LIFETIME) < REQUEST_LIFETIME:
            return  # another call in the conference has requested it
        conference.requested[key] = now
        try:
            command = commands.play_in_conference(
                call.channel, "accord_state", "announced", conference.name, sound, number
            )
        except SwitchError as error:
            # No command can name this conference: the markers say that the participant was not notified.
            call.log.warning("call.conference_notice_failed", error=error.message)
            return
        self._send_later(command)

    def cut_notice(self, call: CallController, leg: str) -> None:
        """End the sound that plays to a conference member. For a third party who was taken aside, returning
        ends it."""
        script = call.state.script.transfer_notice
        conference = next((one for one in self._conferences.values() if call.channel in one.members), None)
        if script is None or conference is None or leg not in conference.members:
            return
        number = conference.members[leg].number if script.how == ALONE else ""
        try:
            command = commands.end_conference_playback(conference.name, number)
        except SwitchError:
            return  # no command can name it: nothing plays there
        conference.requested.pop((number, script.sound.path), None)
        gevent.spawn(self._send, command)

    def _ask_aside(self, call: CallController, leg: str, speech: Speech) -> None:
        answer = (ANSWER_TIME + PLAYBACK_GRACE) // timedelta(milliseconds=1)
        repeated = self._aside.setdefault(leg, False)
        try:
            batch = commands.take_aside(
                call.channel, leg, self._third_parties[leg][1], Path(speech.path), answer, repeated
            )
        except SwitchError as error:
            # No command can address this leg.
            call.log.warning("call.transfer_consent_failed", error=error.message)
            return
        gevent.spawn(self._send, *batch)

    def return_participants(self, call: CallController) -> None:
        """Return the third parties of this call who were taken aside and are no longer asked for consent."""
        target = call.state.transfer.target
        for leg in [one for one in self._aside if self._third_parties.get(one, ("",))[0] == call.channel]:
            if target is None or target.leg != leg:
                self._return(leg)

    def _return(self, leg: str, sound: Path | None = None) -> None:
        del self._aside[leg]
        if commands.addressable(leg):
            gevent.spawn(self._send, *commands.return_from_aside(leg, sound))

    def _send_later(self, command: SwitchCommand) -> None:
        # The switch then checks whether the sound is still wanted.
        gevent.spawn_later(NOTICE_DELAY, self._send, command)

    def _send(self, *batch: SwitchCommand) -> None:
        for command in batch:
            try:
                self.send(command)
            except SwitchError as error:
                log.warning("conference.command_failed", command=str(command), error=error.message)
                return

    # --- reconciling

    def reconcile(self, live: LiveState) -> None:
        """Read the members of all conferences, third parties and supervisors. Raises :class:`SwitchError`."""
        previous, self._conferences = self._conferences, {}
        for ident, name, numbers in live.conferences:
            old = previous.get(ident, _Conference())
            conference = self._conferences[ident] = _Conference(name, sounds_heard=old.sounds_heard)
            for leg, number in numbers.items():
                conference.members[leg] = old.members.get(leg, ConferenceMember(leg, number, None))
        self._third_parties, self._aside = {}, {}
        for leg, third_parties in live.third_parties.items():
            if channel := self._external_leg(leg):
                self._third_parties |= dict.fromkeys(third_parties, (channel, leg))
        self._supervisors.reconcile(live.supervisors, self._external_leg)

    def _external_leg(self, leg: str) -> str:
        """Return the external leg of a leg's call: the leg itself, or the one at its other end."""
        data = self._data(leg)
        if data is None:
            return ""
        return leg if data.variable("accord_state") == "announced" else data.variable("bridge_uuid")

    def supervisors_of(self, channel: str) -> tuple[Participant, ...]:
        """Return the supervisors of a call."""
        return self._supervisors.supervisors_of(channel)

    def participants_of(self, channel: str) -> tuple[str, tuple[Participant, ...]]:
        """Return the name of the conference that an external leg is in (empty: none), and the other
        participants. Raises :class:`SwitchError`."""
        for conference in self._conferences.values():
            if channel in conference.members:
                self._add_parties(conference, channel)
                return conference.name, conference.others(channel)
        legs = [leg for leg, (external, _on) in self._third_parties.items() if external == channel]
        return "", tuple(Participant(leg, self._party(leg)) for leg in legs)

    def _add_parties(self, conference: _Conference, channel: str) -> None:
        """Ask for the parties of the members beside ``channel`` that the conference's list does not contain.
        Raises :class:`SwitchError`."""
        for leg, member in list(conference.members.items()):
            if leg != channel and member.party is None:
                party = self._party(leg)
                if leg in conference.members:  # they may have left meanwhile
                    conference.members[leg] = replace(member, party=party)

    def _party(self, leg: str) -> Party | None:
        data = self._data(leg)
        return None if data is None else party_of(data)

    def _data(self, leg: str) -> EslEvent | None:
        """Return the data of a leg; ``None`` if it does not exist, or no command can address it."""
        if not commands.addressable(leg):
            return None
        try:
            return EslEvent(b"\n" + self.ask(commands.channel_data(leg)).encode())
        except SwitchError as error:
            if error.error_id == "switch.refused":
                return None
            raise


def _legs_of(state: CallState, channel: str) -> tuple[str, ...]:
    """Return the legs of a call that a third party can be attached to. The internal party may have moved to
    another leg a moment ago."""
    return tuple(filter(None, (channel, state.internal.leg, state.internal.previous_leg)))


def _was_informed(before: CallState, after: CallState, leg: str) -> bool:
    key = f"leg:{leg}"
    return key in after.transfer.informed and key not in before.transfer.informed


def _sound_event(started: bool, at: datetime, sound: str, other: str = "") -> SoundStarted | SoundEnded:
    """Return the event of a sound that plays to a participant."""
    if started:
        return SoundStarted(at, sound, INTERNAL, other)
    return SoundEnded(at, sound, INTERNAL, complete=True, other=other)
