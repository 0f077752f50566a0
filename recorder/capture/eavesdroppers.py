"""Supervisors who listen to a conversation (``eavesdrop``). The list of channels says who they are,
because the switch reports only that something was attached to a leg; their keys, which it reports, say who
hears them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from recorder.domain.call_events import Participant, SupervisorHeard, SupervisorLeft, SupervisorsJoined
from recorder.switch.conference_events import (SUPERVISOR_KEYS, audible_to, accepts_keys, initial_key, party_of)
from recorder.switch.esl_events import EslEvent

if TYPE_CHECKING:
    from recorder.capture.call_controller import CallController

Ask = Callable[[str], EslEvent | None]
"""Returns the data of a leg, ``None`` where it does not exist. Raises ``SwitchError``."""


@dataclass(frozen=True, slots=True)
class _Listener:
    """``channel``: the external leg of the call; ``attached``: the leg that they listen on. ``keys``:
    their keys choose who hears them."""

    channel: str
    attached: str
    person: Participant
    keys: bool


class Eavesdroppers:
    """``calls`` are the current calls, by the external leg."""

    def __init__(self, calls: Mapping[str, CallController], data: Ask) -> None:
        self._calls = calls
        self._data = data
        self._known: dict[str, _Listener] = {}
        self._looking = 0
        self._early: dict[str, str] = {}

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Remember the last key of everybody while the list of channels is read, which may take seconds: a
        supervisor may press one before they are known."""
        self._looking += 1
        try:
            yield
        finally:
            self._looking -= 1
            if not self._looking:
                self._early.clear()

    def channel(self, leg: str) -> str:
        """Return the call that a supervisor listens to, by its external leg; empty where it is none."""
        return self._known[leg].channel if leg in self._known else ""

    def came(self, call: CallController, attached: str, legs: list[str], at: datetime) -> None:
        """Supervisors listen on a leg of a call. Raises ``SwitchError``."""
        for leg in legs:
            if leg in self._known:
                continue
            data = self._data(leg)
            one = self._take_in(call.channel, attached, leg, data)
            call.feed(SupervisorsJoined(at, (one.person,)))
            pressed = self._early.get(leg, "") if one.keys else ""
            if key := pressed or (initial_key(data) if data is not None else ""):
                self._heard(one, key, at)

    def unknown(self, call: CallController, attached: str, at: datetime) -> None:
        """Somebody listens on a leg of a call, and the list of channels does not say who."""
        one = self._take_in(call.channel, attached, f"on:{attached}", None)
        call.feed(SupervisorsJoined(at, (one.person,)))

    def _take_in(self, channel: str, attached: str, leg: str, data: EslEvent | None) -> _Listener:
        person = Participant(leg, None if data is None else party_of(data))
        one = _Listener(channel, attached, person, data is not None and accepts_keys(data))
        self._known[leg] = one
        return one

    def gone(self, attached: str, still: Callable[[EslEvent, str], bool], at: datetime) -> None:
        """Supervisors of a leg may have stopped; ``still`` says whether one listens. Raises
        ``SwitchError``."""
        for leg, one in list(self._known.items()):
            if one.attached != attached:
                continue
            data = self._data(leg)
            if data is None or not still(data, attached):
                self._known.pop(leg, None)
                if (call := self._calls.get(one.channel)) is not None:
                    call.feed(SupervisorLeft(at, leg))

    def pressed(self, leg: str, key: str, at: datetime) -> None:
        """Somebody pressed a key."""
        one = self._known.get(leg)
        if key not in SUPERVISOR_KEYS:
            return
        if one is None and self._looking:
            self._early[leg] = key
        elif one is not None and one.keys:
            self._heard(one, key, at)

    def _heard(self, one: _Listener, key: str, at: datetime) -> None:
        call = self._calls.get(one.channel)
        if call is not None:
            who, lane = audible_to(key, on_outside=one.attached == call.channel)
            call.feed(SupervisorHeard(at, one.person.leg, who, lane))

    def look(self, listed: Mapping[str, list[str]], of_call: Callable[[str], str]) -> None:
        """Read who listens, by the leg that they are attached to; ``of_call`` returns the external leg of
        a leg's call. Raises ``SwitchError``."""
        self._known = {}
        for attached, legs in listed.items():
            channel = of_call(attached)
            for leg in legs if channel else ():
                self._take_in(channel, attached, leg, self._data(leg))

    def there(self, channel: str) -> tuple[Participant, ...]:
        """Return the supervisors of a call."""
        return tuple(one.person for one in self._known.values() if one.channel == channel)
