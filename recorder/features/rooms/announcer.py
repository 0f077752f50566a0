"""What callers in a room are told, each in their language and alone: the keys, who comes and goes, and the
outcome that waits for their answer.

Sentences of the catalogue are files that are there. What is composed, or spoken by an engine, is made in a
thread, and is in memory until the switch has opened it.
"""

from __future__ import annotations

import tomllib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, Literal

import structlog

from recorder.errors import AccordError
from recorder.features.rooms.sound_folder import RATE, SoundFolder
from recorder.playback.interface import Actor
from recorder.prompts import composer
from recorder.prompts.composer import Rendered, RoomPeople
from recorder.prompts.sound_sources import Sources

YES: Final = "1"
NOT_NOW: Final = "2"
"""The keys that answer a proposed outcome, once it was read out."""

Side = Literal["company", "caller", "helper"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RoomPerson:
    """Somebody in a room: their side, and their ``name``, if a statement has it."""

    side: Side = "company"
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ProposedOutcome:
    """An outcome that waits for somebody's answer, as its author wrote it; ``sha256`` is what they
    confirm."""

    sha256: str
    outcome: str
    text: str
    keep_days: int | None = None


@dataclass(frozen=True, slots=True)
class TelephoneListener:
    """Somebody who listens by telephone; the recordings of the room that they may hear, by id, with their
    durations in milliseconds; the purpose for which they listen; the ``guests`` of the room by id (everybody
    else is of the company); and the outcome that waits for their answer."""

    who: Actor
    durations: Mapping[str, int]
    purpose: str
    guests: Mapping[str, RoomPerson] = field(default_factory=dict)
    proposal: ProposedOutcome | None = None

    def count(self, users: Iterable[str]) -> RoomPeople:
        """How many of some people are on which side."""
        sides = Counter(self.guests.get(each, RoomPerson()).side for each in users)
        return RoomPeople(sides["company"], sides["caller"], sides["helper"])


Tell = Callable[[str, Path], bool]
"""Plays a file to a member alone; whether the switch does."""


@dataclass
class _Announcement:
    """What a member is told once it is made; ``instead``, a sentence of the catalogue, where it cannot be."""

    number: str
    language: str
    task: Future[Path]
    instead: str
    proposal: str = ""
    """The hash of the outcome that it reads out."""

    @property
    def is_of_key(self) -> bool:
        """Whether it answers a key: who is there."""
        return not self.instead


@dataclass
class RoomAnnouncer:
    """Tells those in one room. ``sentences`` is the folder of the catalogue's."""

    tell: Tell
    hush: Callable[[str], object]
    """Ends what a member is told."""
    folder: SoundFolder
    sentences: Path
    sources: Sources
    threads: ThreadPoolExecutor
    monotonic: Callable[[], float]
    _queue: deque[_Announcement] = field(default_factory=deque, init=False)
    _busy_until: dict[str, float] = field(default_factory=dict, init=False)
    """By member's number: until when (monotonic seconds) they are told something."""
    _owed_until: dict[str, float] = field(default_factory=dict, init=False)
    """… and until when something that no key ends: who comes and goes, the outcome."""
    _proposals: dict[str, str] = field(default_factory=dict, init=False)
    """By member's number: the hash of the outcome that is, or was, read out to them."""
    _asked_from: dict[str, float] = field(default_factory=dict, init=False)
    """By member's number: from when the keys answer it."""
    _present: frozenset[str] | None = field(default=None, init=False)
    _missing: frozenset[str] = frozenset()
    """Who was away at the last look: a page that is loaded again is away for a moment."""

    def say(self, number: str, caller: TelephoneListener, name: str) -> None:
        """Tell a member one of the catalogue's sentences."""
        self._say(number, caller.who.language, name)

    def answer(self, number: str, caller: TelephoneListener, name: str) -> None:
        """Tell a member of a key that they have pressed, until they press another one."""
        self._say(number, caller.who.language, name, is_owed=False)

    def _say(self, number: str, language: str, name: str, *, is_owed: bool = True) -> None:
        self._play(number, self.sentences / f"{name}-{language}.wav", is_owed=is_owed)

    def _play(self, number: str, path: Path, *, is_owed: bool) -> bool:
        """Whether the switch plays it; one after the other."""
        if not self.tell(number, path):
            return False
        now = self.monotonic()
        seconds = path.stat().st_size / 2 / RATE
        self._busy_until[number] = max(now, self._busy_until.get(number, now)) + seconds
        if is_owed:
            self._owed_until[number] = self._busy_until[number]
        return True

    def interrupt(self, number: str) -> None:
        """A member has pressed a key: end what they are told of earlier ones, unless they are owed something
        that is, or waits to be, told."""
        for each in [each for each in self._queue if each.number == number and each.is_of_key]:
            self._queue.remove(each)
            each.task.add_done_callback(discard_file)
        now = self.monotonic()
        if self._owed_until.get(number, now) <= now < self._busy_until.get(number, now):
            self.hush(number)
            self._busy_until[number] = now

    def say_people(self, number: str, caller: TelephoneListener, users: frozenset[str]) -> None:
        """Tell a member who else is there."""
        people = caller.count(users - {caller.who.user})
        language = caller.who.language
        self._compose(number, caller, lambda: composer.room_people(language, people, sources=self.sources))

    def _compose(
        self,
        number: str,
        caller: TelephoneListener,
        make: Callable[[], Rendered],
        instead: str = "",
        proposal: str = "",
    ) -> None:
        def write() -> Path:
            return self.folder.write(iter([make().pcm]), tail_ms=0)

        task = self.threads.submit(write)
        self._queue.append(_Announcement(number, caller.who.language, task, instead, proposal))

    def follow(self) -> None:
        """Tell what was made meanwhile, in order."""
        while self._queue and self._queue[0].task.done():
            found = self._queue.popleft()
            try:
                path = found.task.result()
            except (AccordError, OSError) as error:
                log.info("room.sentence_missing", error=str(error))
                if found.instead:
                    self._say(found.number, found.language, found.instead)
                continue
            try:
                is_told = self._play(found.number, path, is_owed=not found.is_of_key)
            finally:
                path.unlink(missing_ok=True)
            if is_told and found.proposal and self._proposals.get(found.number) == found.proposal:
                self._asked_from[found.number] = self._busy_until.get(found.number, self.monotonic())
                self._say(found.number, found.language, "confirm")

    def forget(self, number: str) -> None:
        """Somebody has left."""
        for each in (self._busy_until, self._owed_until, self._proposals, self._asked_from):
            each.pop(number, None)

    def close(self) -> None:
        """Everybody has left."""
        for each in self._queue:
            each.task.add_done_callback(discard_file)
        self._queue.clear()

    # --- who comes and goes

    def note_people(self, callers: Mapping[str, TelephoneListener], users: frozenset[str]) -> None:
        """Tell callers who has come or gone since the last look. Who has gone is told at the second one."""
        before, self._present = self._present, users | ((self._present or users) - users - self._missing)
        self._missing = self._present - users
        if before is None:
            return
        for number, caller in callers.items():
            for user in sorted(self._present - before - {caller.who.user}):
                self._tell_of(number, caller, user, "joined")
            for user in sorted(before - self._present - {caller.who.user}):
                self._tell_of(number, caller, user, "left")

    def _tell_of(
        self, number: str, caller: TelephoneListener, user: str, what: Literal["joined", "left"]
    ) -> None:
        person, language = caller.guests.get(user, RoomPerson()), caller.who.language
        sentence = f"joined-{person.side}" if what == "joined" else what
        if person.name is None or not any(each.speaks(language) for each in self.sources.engines):
            self._say(number, language, sentence)
            return
        words = _words()[what][language] % {"name": person.name}
        self._compose(
            number,
            caller,
            lambda: composer.room_name(language, words, sources=self.sources),
            instead=sentence,
        )

    # --- the outcome

    def propose(self, number: str, caller: TelephoneListener) -> bool:
        """Read out the outcome that waits for a member's answer, once; whether it begins now. Only what was
        read out is asked for: where it cannot be, they hear where the text is."""
        found, known = caller.proposal, self._proposals.get(number)
        if found is None or found.sha256 == known:
            if found is None:
                self._asked_from.pop(number, None)
            return False
        if self._asked_from.pop(number, None) is not None:
            self.say(number, caller, "text-changed")
        self._proposals[number] = found.sha256
        language = caller.who.language
        self._compose(
            number,
            caller,
            lambda: composer.room_proposal(
                language, found.outcome, found.text, found.keep_days, sources=self.sources
            ),
            instead="text-on-page",
            proposal=found.sha256,
        )
        return True

    def find_question(self, number: str) -> str | None:
        """The hash of the outcome that a member's keys answer now: the one that was read out to them."""
        begin = self._asked_from.get(number)
        return None if begin is None or self.monotonic() < begin else self._proposals[number]

    def end_question(self, number: str) -> None:
        """They have answered: keys mean again what they meant before."""
        self._asked_from.pop(number, None)


def discard_file(task: Future[Path]) -> None:
    """Remove what nobody waits for any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().unlink(missing_ok=True)


@cache
def _words() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(Path(__file__).with_name("announcer.toml").read_text("utf-8"))
