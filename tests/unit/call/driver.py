"""A driver for the state machine: it feeds events to one call, and keeps the actions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recorder.call.machine import step
from recorder.call.state import Action, CallState, Do
from recorder.domain.call_events import CallEvent, DeadlinePassed
from recorder.domain.markers import Marker

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
TICK = timedelta(milliseconds=100)


class CallDriver:
    """One call; each event comes :data:`TICK` after the one before."""

    def __init__(self, state: CallState, at: datetime = AT) -> None:
        self.state = state
        self.now = at
        self.action_log: list[Action] = []

    def feed(self, what: type[CallEvent], **more: object) -> None:
        self.now += TICK
        self.state, actions = step(self.state, what(self.now, **more))  # type: ignore[arg-type]
        self.action_log += actions

    def expire_timer(self) -> None:
        assert self.state.timer.deadline is not None
        self.now = max(self.now, self.state.timer.deadline - TICK)
        self.feed(DeadlinePassed)

    @property
    def kinds(self) -> list[str]:
        """The kinds of the markers so far."""
        return [one.kind for one in self.action_log if isinstance(one, Marker)]

    def markers(self, kind: str) -> list[dict[str, str]]:
        """The data of the markers of this kind."""
        return [dict(one.data) for one in self.action_log if isinstance(one, Marker) and one.kind == kind]

    def count(self, order: Do) -> int:
        return self.action_log.count(order)
