"""Tracks the supervisors who listen to conversations (``eavesdrop``). The switch reports only that something
was attached to a leg; the list of channels identifies the supervisor. Their keys, which the switch reports,
decide who hears them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from recorder.domain.call_events import Participant, SupervisorHeard, SupervisorLeft, SupervisorsJoined
from recorder.switch.conference_events import SUPERVISOR_KEYS, accepts_keys, audible_to, initial_key, party_of
from recorder.switch.esl_events import EslEvent

if TYPE_CHECKING:
    from recorder.capture.call_controller import CallController

LegQuery = Callable[[str], EslEvent | None]
"""Returns the data of a leg, ``None`` if it does not exist. Raises ``SwitchError``."""


@dataclass(frozen=True, slots=True)
class _Supervisor:
    """``channel``: the external leg of the call; ``attached``: the leg that the supervisor listens on.
    ``keys``: whether the supervisor's keys choose who hears them."""

    channel: str
    attached: str
    person: Participant
    keys: bool


class Eavesdroppers:
    """The supervisors of ``calls``, which are the current calls by the external leg."""

    def __init__(self, calls: Mapping[str, CallController], data: LegQuery) -> None:
        self._calls = calls
        self._data = data
        self._known: dict[str, _Supervisor] = {}
        self._queries = 0
        self._early_keys: dict[str, str] = {}

    @contextmanager
    def remember_keys(self) -> Iterator[None]:
        """Remember the last key of each leg while the list of channels is read, which may take seconds: a
        supervisor may press one before being identified."""
        self._queries += 1
        try:
            yield
        finally:
            self._queries -= 1
            if not self._queries:
                self._early_keys.clear()

    def call_of(self, leg: str) -> str:
        """Return the external leg of the call that a supervisor listens to; empty if ``leg`` is no
        supervisor."""
        return self._known[leg].channel if leg in self._known else ""

    def join(self, call: CallController, attached: str, legs: list[str], at: datetime) -> None:
        """Supervisors began to listen on a leg of a call. Raises ``SwitchError``."""
        for leg in legs:
            if leg in self._known:
                continue
            data = self._data(leg)
            one = self._add(call.channel, attached, leg, data)
            call.feed(SupervisorsJoined(at, (one.person,)))
            pressed = self._early_keys.get(leg, "") if one.keys else ""
            if key := pressed or (initial_key(data) if data is not None else ""):
                self._set_audience(one, key, at)

    def join_unknown(self, call: CallController, attached: str, at: datetime) -> None:
        """A supervisor whom the list of channels does not identify began to listen on a leg of a call."""
        one = self._add(call.channel, attached, f"on:{attached}", None)
        call.feed(SupervisorsJoined(at, (one.person,)))

    def _add(self, channel: str, attached: str, leg: str, data: EslEvent | None) -> _Supervisor:
        person = Participant(leg, None if data is None else party_of(data))
        one = _Supervisor(channel, attached, person, data is not None and accepts_keys(data))
        self._known[leg] = one
        return one

    def check_departures(
        self, attached: str, is_listening: Callable[[EslEvent, str], bool], at: datetime
    ) -> None:
        """Remove the supervisors of a leg who no longer listen. Raises ``SwitchError``."""
        for leg, one in list(self._known.items()):
            if one.attached != attached:
                continue
            data = self._data(leg)
            if data is None or not is_listening(data, attached):
                self._known.pop(leg, None)
                if (call := self._calls.get(one.channel)) is not None:
                    call.feed(SupervisorLeft(at, leg))

    def handle_key(self, leg: str, key: str, at: datetime) -> None:
        """Handle a key that was pressed on a leg, which may be a supervisor's."""
        one = self._known.get(leg)
        if key not in SUPERVISOR_KEYS:
            return
        if one is None and self._queries:
            self._early_keys[leg] = key
        elif one is not None and one.keys:
            self._set_audience(one, key, at)

    def _set_audience(self, one: _Supervisor, key: str, at: datetime) -> None:
        call = self._calls.get(one.channel)
        if call is not None:
            who, lane = audible_to(key, on_external=one.attached == call.channel)
            call.feed(SupervisorHeard(at, one.person.leg, who, lane))

    def reconcile(self, listed: Mapping[str, list[str]], external_leg: Callable[[str], str]) -> None:
        """Replace all supervisors by those in ``listed``, by the leg that they are attached to.
        ``external_leg`` returns the external leg of a leg's call. Raises ``SwitchError``."""
        self._known = {}
        for attached, legs in listed.items():
            channel = external_leg(attached)
            for leg in legs if channel else ():
                self._add(channel, attached, leg, self._data(leg))

    def supervisors_of(self, channel: str) -> tuple[Participant, ...]:
        """Return the supervisors of a call."""
        return tuple(one.person for one in self._known.values() if one.channel == channel)
