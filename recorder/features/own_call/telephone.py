"""A person's own call by telephone: they dial the number of rooms, and enter the code that they were given.

The number that a caller shows can be forged, so it opens nothing. Whoever enters a code and hangs up has the
number that took part called with a second one; they dial again, and enter both. Until then, every code has
the same answer. What is dialled is the number in the signed code, once the caller has hung up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Final, Protocol

import structlog

from recorder.catalogue import queries
from recorder.catalogue.records import UserRow
from recorder.domain.roles import ROLES
from recorder.domain.room_caller import ASK, LEAVE, CallerDirection
from recorder.errors import AccordError, SubjectRequestError
from recorder.features.own_call import codes, rules
from recorder.features.own_call.admissions import verify_number
from recorder.features.own_call.opening import OwnCalls
from recorder.identity import users
from recorder.identity.secret_tokens import new_token, token_hash
from recorder.playback import call_history
from recorder.playback.call_history import HistoryEntry
from recorder.playback.interface import (
    TELEPHONE,
    Actor,
    CallFacts,
    ConferenceGateInterface,
    ConferenceListener,
)
from recorder.prompts import composer
from recorder.prompts.composer import SHIPPED, CallListen, CallSide
from recorder.prompts.sound_sources import Sources
from recorder.spool.atomic_files import write_file
from recorder.verification_calls.verified_number import VerifiedNumber

SPOKEN_DIGITS: Final = 6
"""Digits of the code that is read out."""

LONGEST: Final = timedelta(hours=2)
"""How long a call lasts at most: its session, and how long a caller is known whose end nobody reported."""

QUIET: Final = 3
"""Times in a row that nothing is pressed, until the call ends."""

WRITE_S: Final = 2.0
"""Seconds that a caller waits for their sound in silence; then they are asked for a moment."""

OPENED_S: Final = 10.0
"""Seconds after which the switch has opened a sound that a caller was sent to: its file is removed."""

ANSWER_MS: Final = 5_000
"""What is heard after an answer, or after the beginning of a question that had none."""

BYTES_A_MS: Final = 16
"""Of sound for the telephone."""

PERSON: Final = {
    "en": "Recorded person", "fr": "Personne enregistrée",
    "nl": "Opgenomen persoon", "de": "Aufgezeichnete Person",
}  # fmt: skip
"""What people call a guest who was recorded."""

HEAR, WHAT_WAS_ASKED, LISTENERS, REQUESTS, TAKE_BACK, AGAIN = "1", "2", "3", "0", "8", ""
WANTS: Final = {"4": "copy", "5": "erasure", "6": "withdrawal", "7": "listening"}
"""The keys of a request, and what it asks for."""

LATEST: Final = 3
"""How many listens are read out."""

log = structlog.get_logger()


class TelephoneGate(ConferenceGateInterface, Protocol):
    """The gate, as somebody on the telephone sees it."""

    def facts(self, who: Actor, recording_id: str) -> CallFacts:
        """See :class:`recorder.playback.interface.GateInterface`."""


@dataclass(slots=True)
class _Person:
    """Somebody on the telephone: the MAC of the code that they entered, until when they are known at most
    (monotonic seconds), whether they tried the digits that were read out, and once they were right, who they
    are and what is being written for them."""

    mac: str
    until: float
    has_tried: bool = False
    who: Actor | None = None
    recording: str = ""
    sound: Future[Path] | None = None
    quiet: int = 0


@dataclass
class OwnCallPhone:
    """Opens calls to callers. ``write`` puts a sound where the switch can open it, ``sentence`` names the
    file of one in a language, ``enter_request`` registers what a person asks for, and
    ``take_back_requests`` takes back what they have no answer to."""

    calls: OwnCalls
    keys: Sequence[bytes]
    gate: TelephoneGate
    write: Callable[[Iterator[bytes]], Path]
    sentence: Callable[[str, str], Path]
    enter_request: Callable[[VerifiedNumber, str, str], object]
    take_back_requests: Callable[[VerifiedNumber], object]
    monotonic: Callable[[], float]
    sources: Sources = SHIPPED
    writers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(2, thread_name_prefix="own-calls"), init=False
    )
    _people: dict[str, _Person] = field(default_factory=dict, init=False)
    """By channel."""
    _files: list[tuple[float, Path]] = field(default_factory=list, init=False)
    """The files that callers hear, and when they were sent there."""

    def try_keys(self, channel: str, keys: str) -> bool:
        """Whether a caller has entered a right code, or the digits that were read out for it, which opens
        their call. Raises what the catalogue raises."""
        if len(keys) == rules.DIGITS:
            until = self.monotonic() + LONGEST.total_seconds()
            person = self._people[channel] = _Person(codes.mac_of(self.keys, keys), until)
            changes = self.calls.changes
            return codes.find_by_mac(person.mac, changes.trust, changes.now()) is not None
        known = self._people.get(channel)
        if known is None or len(keys) != SPOKEN_DIGITS:
            return False
        known.has_tried = True
        return self._open(known, keys)

    def _open(self, person: _Person, digits: str) -> bool:
        changes, language = self.calls.changes, self._language(person.mac)
        try:
            user = self.calls.open(person.mac, digits, name=PERSON[language], language=language)
        except AccordError as error:
            log.info("own_call.refused", error_id=error.error_id, error=error.message)
            return False
        person.recording = codes.find_of_guest(user.tenant, user.id) or ""
        now, token = changes.now(), token_hash(new_token(changes.entropy))
        session = users.open_session(
            user, token_sha256=token, now=now, until=now + LONGEST, entropy=changes.entropy
        )
        person.who = Actor(user.id, user.tenant, user.role, language, session.id)
        log.info("own_call.opened", user=user.id)
        return True

    def _language(self, mac: str) -> str:
        """The language of the customer to whom a code leads."""
        changes = self.calls.changes
        valid = codes.find_by_mac(mac, changes.trust, changes.now())
        customer = None if valid is None else queries.tenant(valid.code.tenant)
        return "en" if customer is None or customer.language not in PERSON else customer.language

    def begin(self, channel: str) -> CallerDirection | None:
        """What somebody hears who has opened their call: the keys; ``None`` for anybody else."""
        person = self._people.get(channel)
        return None if person is None or person.who is None else self._say("own-menu", person.who)

    def answer(self, channel: str, key: str) -> CallerDirection | None:
        """What follows from a key; ``None`` for somebody who has opened no call. Raises
        :class:`AccordError`."""
        person = self._people.get(channel)
        if person is None or person.who is None:
            return None
        who = person.who
        person.quiet = person.quiet + 1 if key == AGAIN and person.sound is None else 0
        if person.quiet >= QUIET:
            return CallerDirection(LEAVE, str(self.sentence("goodbye", who.language)))
        if key in WANTS or key == TAKE_BACK:
            return self._say(self._change_requests(who, person.recording, key), who)
        if key == REQUESTS:
            return self._say("own-requests", who)
        if key == LISTENERS:
            path = self._write_listens(who, person.recording)
            return CallerDirection(ASK, str(path), session=who.session or "")
        if key in (HEAR, WHAT_WAS_ASKED) and person.sound is None:
            person.sound = self.writers.submit(self._write, who, person.recording, key == WHAT_WAS_ASKED)
        if person.sound is None:
            return self._say("own-keys", who)
        try:
            path = person.sound.result(WRITE_S)
        except NotYet:
            return self._say("own-wait", who)
        except (AccordError, OSError) as error:
            person.sound = None
            log.warning("own_call.not_played", recording=person.recording, error=str(error))
            return self._say("unheard", who)
        person.sound = None
        self._files.append((self.monotonic(), path))
        return CallerDirection(ASK, str(path), session=who.session or "")

    def _write(self, who: Actor, recording: str, is_part: bool) -> Path:
        """In a thread of its own: write the call, or what was announced and asked in it and how long it is
        kept, through the gate."""
        facts = self.gate.facts(who, recording)
        if is_part and facts.status.terms.holds:  # it stops every other listening
            return self.write(
                iter([composer.own_call_days_left(who.language, None, sources=self.sources).pcm])
            )
        purpose = next((each.code for each in facts.choices if each.allowed), "")
        grant = self.gate.grant(who, recording, purpose)
        pieces = self.gate.open_together([ConferenceListener(who, grant)])
        try:
            if not is_part:
                return self.write(pieces)
            days = max(0, (facts.status.terms.until - self.calls.changes.now()).days)
            days_left = composer.own_call_days_left(who.language, days, sources=self.sources)
            return self.write(chain(_parts(pieces, _passages(facts)), [days_left.pcm]))
        finally:
            self.gate.close(who, grant.id, TELEPHONE)

    def _write_listens(self, who: Actor, recording: str) -> Path:
        """The file of how often the call was listened to, by whom, and what for the last times."""
        now = self.calls.changes.now()
        listens = [
            CallListen(_side(each, who), each.purpose, (now - each.at).days)
            for each in call_history.history(who.tenant, recording)
            if each.how != call_history.WAS_REFUSED
        ]
        sides = Counter(each.side for each in listens)
        sentence = composer.own_call_listens(
            who.language,
            {side: sides[side] for side in composer.CALL_SIDES},
            listens[:LATEST],
            sources=self.sources,
        )
        path = self.sentence(f"listens-{sentence.sha256}", who.language)
        if not path.exists():
            write_file(path, sentence.wav)
        return path

    def _change_requests(self, who: Actor, recording: str, key: str) -> str:
        """Ask for something, or take it all back. Returns the sentence that says so."""
        changes = self.calls.changes
        try:
            person = verify_number(who, recording, changes.trust, changes.now())
            if key == TAKE_BACK:
                self.take_back_requests(person)
                return "own-taken-back"
            status = self.gate.facts(who, recording).status
            offers = {"withdrawal": status.may_withdraw, "listening": status.may_hold}
            wants = WANTS[key]
            if wants in offers and not offers[wants]():
                return "own-impossible"
            self.enter_request(person, wants, who.language)
        except SubjectRequestError as error:  # they asked for it before
            log.info("own_call.refused", error_id=error.error_id, error=error.message)
        except AccordError as error:
            log.info("own_call.refused", error_id=error.error_id, error=error.message)
            return "own-impossible"
        return "own-request"

    def end(self, channel: str) -> None:
        """Somebody has hung up: their session ends; or, if they only entered a code, the number that took
        part is called. Raises :class:`AccordError`."""
        person = self._people.pop(channel, None)
        if person is None:
            return
        if person.who is not None:
            self._close(person.who)
            _discard_sound(person)
        elif not person.has_tried:
            try:
                self.calls.order_call(person.mac, self._language(person.mac))
            except AccordError as error:
                log.info("own_call.refused", error_id=error.error_id, error=error.message)

    def _close(self, who: Actor) -> None:
        user: UserRow | None = users.user(who.tenant, who.user)
        if user is not None:
            changes = self.calls.changes
            users.end_session(user, who.session or "", now=changes.now(), entropy=changes.entropy)

    def tidy(self) -> None:
        """Remove the files that the switch has opened, and forget callers whose end nobody reported: their
        session is over by then."""
        now = self.monotonic()
        for at, path in [each for each in self._files if each[0] <= now - OPENED_S]:
            path.unlink(missing_ok=True)
            self._files.remove((at, path))
        for channel, person in [each for each in self._people.items() if each[1].until <= now]:
            del self._people[channel]
            _discard_sound(person)

    def _say(self, name: str, who: Actor) -> CallerDirection:
        return CallerDirection(ASK, str(self.sentence(name, who.language)), session=who.session or "")


def _side(entry: HistoryEntry, who: Actor) -> CallSide:
    if entry.user == who.user:
        return "you"
    return "company" if entry.role in ROLES else "others"


def _passages(facts: CallFacts) -> list[tuple[int, int]]:
    """Where the announcement is in the audio, and the keep questions with their answers, in milliseconds."""
    manifest = facts.status.chain.manifest
    found = [] if manifest.announced is None else [(manifest.announced.offset_ms, manifest.announced.end_ms)]
    questions = (
        (each.offset_ms, each.answered_offset_ms or each.offset_ms) for each in manifest.keep_questions
    )
    return [*found, *((begin, end + ANSWER_MS) for begin, end in questions)]


def _parts(pieces: Iterator[bytes], stretches: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """Some stretches of a sound, in order."""
    begin = 0
    for piece in pieces:
        end = begin + len(piece)
        for begin_ms, end_ms in stretches:
            part = piece[max(0, begin_ms * BYTES_A_MS - begin) : max(0, end_ms * BYTES_A_MS - begin)]
            if part:
                yield part
        begin = end


def _discard_sound(person: _Person) -> None:
    """Remove what is being written for somebody who waits for it no more."""
    if person.sound is not None:
        person.sound.add_done_callback(_discard)


def _discard(sound: Future[Path]) -> None:
    if not sound.cancelled() and sound.exception() is None:
        sound.result().unlink(missing_ok=True)
