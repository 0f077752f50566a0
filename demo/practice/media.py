"""The audio of one call, 20 ms at a time: what the external party says and hears, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import structlog
from gevent.event import Event

from demo.practice.conference import PracticeMember
from demo.practice.core import SwitchCore
from demo.practice.leg import Leg
from demo.practice.party import PracticeParty
from demo.practice.sound import SILENCE, Player, Samples, Tape, as_on_the_line, load

log = structlog.get_logger()


class Media:
    """Ticks as long as the call lasts. ``legs`` gives its external and its internal leg; ``changed`` and
    ``changed_inside`` are set when what plays to one of them has ended.

    While the external leg is on hold, a playback continues unheard and the recording stands still, as with
    the real switch (in ``hold.txt`` two holds of 3.5 s turned 15.0 s into a recording of 11.5 s).
    """

    def __init__(
        self,
        switch: SwitchCore[Any],
        party: PracticeParty,
        legs: Callable[[], tuple[Leg, Leg | None]],
        changed: Event,
        changed_inside: Event,
    ) -> None:
        self._switch = switch
        self._party = party
        self._legs = legs
        self._changed = changed
        self._changed_inside = changed_inside
        self.tapes: dict[str, Tape] = {}
        self.tones: list[str] = []
        """Tones mixed into what either party hears."""
        self.prompt: Player | None = None
        """What is playing to the external party, and …"""
        self.prompt_inside: Player | None = None
        """… to the internal one."""
        self.member: PracticeMember | None = None
        """The external party's place in a conference."""
        self.ear: Callable[[Samples], object] = lambda _frame: None
        """Gets every 20 ms that the external party hears."""
        self._caller: Player | None = None
        self._callee: Player | None = None
        self._bridged = False
        self._greenlet: gevent.Greenlet[..., None] | None = None

    @property
    def connected(self) -> bool:
        """Whether both ends hear each other, apart from prompts."""
        return self._bridged

    def prompt_of(self, leg: Leg | None) -> Player | None:
        """What is playing to a leg."""
        return None if leg is None else self.prompt if leg is self._legs()[0] else self.prompt_inside

    def cut_prompt_of(self, leg: Leg | None) -> None:
        """End it early."""
        if leg is self._legs()[0]:
            self.prompt = None
            self._changed.set()
        elif leg is not None:
            self.prompt_inside = None
            self._changed_inside.set()

    def start(self) -> None:
        """Start to tick: the call was answered or has early media."""
        if self._greenlet is None:
            early = self._party.early
            self._caller = Player(_voice(early), repeat=True) if early else None
            self._greenlet = gevent.spawn(self._switch.run_frames, self._tick)

    def connect(self) -> None:
        """Both ends hear each other and start their conversation."""
        party = self._party
        self._caller = Player(_voice(party.speaks)) if party.speaks else None
        self._callee = Player(_voice(party.answers_with)) if party.answers_with else None
        self._bridged = True
        self.start()

    def says(self, path: Path) -> None:
        """Let the external party say this now."""
        self._caller = Player(_voice(path))

    def disconnect(self) -> None:
        """The internal party has left."""
        self._bridged = False
        self._callee = None

    def stop(self) -> None:
        """The call is over."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)
            self._greenlet = None

    def _tick(self) -> None:
        left = self._caller.frame() if self._caller else SILENCE
        prompt = self.prompt.frame() if self.prompt else None
        answered = self._callee.frame() if self._callee else SILENCE
        external, b = self._legs()
        if self.member is not None:
            answered = self.member.exchange(left)
        if self.prompt_inside is not None or (b is not None and b.on_hold):
            answered = SILENCE  # while a prompt plays to the internal party, nobody hears them
        if self.prompt_inside is not None:
            self.prompt_inside.frame()
            if self.prompt_inside.at_end:
                self.prompt_inside = None
                self._changed_inside.set()
        if self.prompt is not None and self.prompt.at_end:
            self.prompt = None
            self._changed.set()
        if external.on_hold:
            return
        right = prompt if prompt is not None else answered
        self.ear(right)
        for tape in list(self.tapes.values()):
            try:
                tape.write(left, right)
            except OSError as error:
                # The real switch continues and reports "uri-failure" at the stop.
                log.warning("practice.write_failed", path=str(tape.path), error=str(error))
                tape.failed = True


def _voice(path: Path) -> Samples:
    return as_on_the_line(load(path))
