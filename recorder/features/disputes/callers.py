"""The worker's part of rooms by telephone: it answers what the daemon reports of callers.

A caller enters their code, is told what they will hear and that it is noted, and presses 1. For the person
who was recorded, that is the answer to the invitation, by the same statement as on its page; it is a leaf of
its own for each call. They are let into the room if they may hear its recordings; the session ends when they
hang up.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar, Final, Protocol

import structlog

from recorder import metrics
from recorder.auditlog.append import append, tenant_lock
from recorder.auditlog.complete_log import complete_log, signed_length
from recorder.catalogue.records import UserRow
from recorder.catalogue.tables import lease
from recorder.domain.phone_numbers import to_canonical
from recorder.domain.roles import EXTERNAL_PARTY, OWN_SIDE, PROVIDER
from recorder.domain.room_caller import (
    ANSWER,
    ASK,
    CODE,
    ENTER,
    FORWARD,
    LEAVE,
    PASSED,
    RETRY,
    CallerDirection,
    CallerReport,
)
from recorder.domain.telephone_room import LEASE, lease_of
from recorder.errors import AccordError
from recorder.features.disputes import dial_in
from recorder.features.disputes.dial_in import DialIn, RoomCaller
from recorder.features.disputes.hearers import find_hearer
from recorder.features.disputes.invitations import GuestInvitations, OpenGuestLink
from recorder.features.disputes.rules import Dispute
from recorder.identity import users
from recorder.identity.secret_tokens import new_token, token_hash
from recorder.pipeline.duty_thread import DutyThread
from recorder.playback.interface import TELEPHONE
from recorder.prompts import composer
from recorder.prompts.composer import OWN_CALL_SENTENCES, ROOM_SENTENCES, SHIPPED, Rendered, RoomPeople
from recorder.prompts.purposes import LANGUAGES
from recorder.prompts.sound_sources import Sources
from recorder.seal.dispute_kinds import ACCEPTED
from recorder.spool.atomic_files import write_file
from recorder.spool.caller_socket import CallerServer
from recorder.spool.snapshot import ROOM_PROMPTS

ENTERED: Final = "dispute.called_in"

TRIES: Final = 2
"""Codes that one can enter in a call."""

LONGEST: Final = timedelta(hours=2)
"""How long a session lasts whose end nobody reported."""

QUESTION_S: Final = 120.0
"""Seconds that a caller has from their code to their yes: they are told it all, and wait a little."""

MEASURED_EVERY: Final = 30.0
"""Seconds between two looks at how much of the budget is used."""

YES: Final = "1"

log = structlog.get_logger()


@dataclass(slots=True)
class _Caller:
    """Somebody on the telephone: the codes that they entered, and since they entered the right one, who has
    it, what they were told, and until when (monotonic seconds) they can say yes."""

    until: float
    tries: int = 0
    person: RoomCaller | None = None
    notice: str = ""


def count_people(dispute: Dispute, users: Collection[str]) -> RoomPeople:
    """How many of some of a dispute's people are on which side."""
    sides = [dispute.side_of(each) for each in users]
    company, callers = sides.count(OWN_SIDE), sides.count(EXTERNAL_PARTY)
    return RoomPeople(company, callers, len(sides) - company - callers)


class OwnCallers(Protocol):
    """Callers who open their own call, by channel."""

    def try_keys(self, channel: str, keys: str) -> bool:
        """Whether a caller has entered a right code, or the digits that were read out for it."""

    def begin(self, channel: str) -> CallerDirection | None:
        """What somebody hears who has opened their call; ``None`` for anybody else."""

    def answer(self, channel: str, key: str) -> CallerDirection | None:
        """What follows from a key; ``None`` for somebody who has opened no call. Raises
        :class:`AccordError`."""

    def end(self, channel: str) -> None:
        """Somebody has hung up."""

    def tidy(self) -> None:
        """Remove the files that the switch has opened."""


@dataclass
class CallerDesk(DutyThread):
    """Answers about the callers of the switch of one ``node``. ``snapshot`` is the folder that the switch can
    read, and ``region`` the country of numbers without a country code. ``present`` tells who is in a room, by
    tenant and dispute, and ``can_play`` whether anything can be played there. ``own_calls`` opens people's
    own calls."""

    spool: Path
    snapshot: Path
    dial_in: DialIn
    invitations: GuestInvitations
    present: Callable[[str, str], Collection[str]]
    can_play: Callable[[], bool]
    node: str
    region: str = ""
    sources: Sources = SHIPPED
    nodes: Mapping[str, str] = field(default_factory=dict)
    """The SIP addresses of other nodes, by name: a room is on the node that its first caller came to."""
    monotonic: Callable[[], float] = time.monotonic
    own_calls: OwnCallers | None = None

    _server: CallerServer | None = field(default=None, init=False)
    _callers: dict[str, _Caller] = field(default_factory=dict, init=False)
    """By channel."""
    _measure_due: float = 0.0

    NAME: ClassVar[str] = "callers"
    INTERVAL: ClassVar[float] = 0.0
    BACK_OFF: ClassVar[float] = 1.0
    PATIENCE: ClassVar[float] = 0.5
    """Seconds to wait for a report."""

    def delayed(self, error: Exception) -> None:
        self.faults.report("dial_in.delayed", error)

    def failed(self, error: Exception) -> None:
        self.faults.report("dial_in.failed", error, level="error", exc_info=error)

    def turn(self) -> bool:
        """Answer the next report; false if none arrives for a moment. Raises what spool and catalogue
        raise."""
        if self._server is None:
            self._write_sentences()
            self._server = CallerServer(self.spool)
        if self.monotonic() >= self._measure_due:
            self._measure_due = self.monotonic() + MEASURED_EVERY
            metrics.DIAL_IN_BUDGET_USED.set(min(1.0, dial_in.share_used(self._now())))
            self._forget()
        if self.own_calls is not None:
            self.own_calls.tidy()
        return self._server.serve(self.PATIENCE, self.answer)

    def answer(self, report: CallerReport) -> CallerDirection:
        """Where a caller goes after a step. What goes wrong is logged, and sends them off kindly."""
        try:
            if report.step == CODE:
                return self._check_code(report)
            if report.step == ANSWER:
                return self._check_answer(report)
            if report.step == PASSED:
                return self._take_passed(report)
            self._end(report)
        except AccordError as error:
            self._callers.pop(report.channel, None)
            log.warning("dial_in.interrupted", step=report.step, error_id=error.error_id, error=error.message)
            return self._leave("away")
        return CallerDirection(LEAVE)

    def _check_code(self, report: CallerReport) -> CallerDirection:
        """Look for whose code it is. Wrong, ended and unknown codes have the same answer, and so has any
        once the budget is used up."""
        caller = self._callers.setdefault(report.channel, _Caller(self.monotonic() + QUESTION_S))
        caller.tries += 1
        if caller.tries > TRIES:
            return self._leave("closed")
        number = to_canonical(report.number, self.region.casefold())
        other = None if self.own_calls is None else partial(self.own_calls.try_keys, report.channel)
        found = self.dial_in.try_code(report.keys, number, self._now(), other)
        if found is None and self.own_calls is not None and (own := self.own_calls.begin(report.channel)):
            return own if self.can_play() else self._leave("unplayed")
        if found is None:
            log.info("dial_in.wrong_code", tries=caller.tries)
            if caller.tries < TRIES:
                return CallerDirection(RETRY, str(self._place("wrong")))
            return self._leave("closed")
        dispute, guest = found.dispute, found.guest
        if not self.can_play():  # only the person who was recorded has an invitation's page to go to
            return self._leave("away" if guest is None else "unplayed", found.language)
        others = {*self.present(dispute.tenant, dispute.id)} - {found.id}
        helpers = any(each.is_third_party and each.may_hear for each in dispute.guests)
        question = composer.room_question(
            found.language, people=count_people(dispute, others), helpers=helpers,
            first=guest is not None and not guest.takes_part, was_recorded=guest is not None,
            sources=self.sources,
        )  # fmt: skip
        caller.person, caller.notice = found, question.text
        caller.until = self.monotonic() + QUESTION_S
        return CallerDirection(ASK, str(self._sound(question)))

    def _check_answer(self, report: CallerReport) -> CallerDirection:
        """Let a caller in who pressed 1, and may hear the dispute's recordings."""
        own = None if self.own_calls is None else self.own_calls.answer(report.channel, report.keys)
        if own is not None:
            return own
        caller = self._callers.pop(report.channel, None)
        if caller is None or caller.person is None or self.monotonic() > caller.until:
            return self._leave("away")
        person, dispute, language = caller.person, caller.person.dispute, caller.person.language
        if report.keys != YES:
            log.info("dial_in.declined", dispute=dispute.id, user=person.id)
            return self._leave("declined", language)
        if person.guest is not None:
            link = OpenGuestLink(dispute, person.guest)
            self.invitations.answer(link, ACCEPTED, notice=caller.notice, language=language)
        dispute = self.invitations.disputes.find(dispute.tenant, dispute.id)
        if dispute.closed_at is not None:
            return self._leave("closed", language)
        if person.guest is not None and not dispute.find_guest(person.id).may_hear:
            return self._leave("unrecognised", language)
        user = users.user(dispute.tenant, person.id) or users.user(PROVIDER, person.id)
        if user is None or find_hearer(user, dispute) is None:
            return self._leave("closed", language)
        node = self._find_node(dispute.id)
        if node != self.node and node not in self.nodes:
            log.warning("dial_in.elsewhere", dispute=dispute.id, node=node)
            return self._leave("away", language)
        session = self._open_session(user, dispute, caller.notice)
        log.info("dial_in.entered", dispute=dispute.id, user=person.id, session=session, node=node)
        if node != self.node:
            token = self.dial_in.pass_on(session, dispute.id, node, self._now())
            return CallerDirection(FORWARD, session=session, address=self.nodes[node], token=token)
        keys = str(self._place("enter", language))
        return CallerDirection(ENTER, keys, room=dispute.id, session=session)

    def _find_node(self, room: str) -> str:
        """The node that a room is on: this one, unless another has it; empty if that one has just left it."""
        if lease.take(lease_of(room), self.node, self._now(), LEASE):
            return self.node
        return lease.find_owner(lease_of(room)) or ""

    def _take_passed(self, report: CallerReport) -> CallerDirection:
        """Let somebody in who entered their code at another node, if the room is here. Who they are and what
        they may hear is checked by their session, as for everybody."""
        found = self.dial_in.take_passed(report.keys, self.node, self._now())
        if found is None:
            log.warning("dial_in.pass_refused", channel=report.channel)
            return self._leave("away")
        session, room = found
        user = users.user_of_session(session)
        if user is None or self._find_node(room) != self.node:
            return self._leave("away", user.language if user is not None else "")
        log.info("dial_in.passed_on", dispute=room, user=user.id, session=session)
        keys = str(self._place("enter", user.language))
        return CallerDirection(ENTER, keys, room=room, session=session)

    def _open_session(self, user: UserRow, dispute: Dispute, notice: str) -> str:
        """A session of somebody who said yes on the telephone, with a leaf about it; returns its id. Nobody
        knows its token: the session is the call's. A log that lacks leaves opens none, since one of them may
        have ended the code or the invitation. Raises :class:`AuditLogError` (``audit_log.incomplete``),
        :class:`StoreError`."""
        changes = self.invitations.disputes.changes
        now, entropy = changes.now(), changes.entropy
        signed = signed_length(dispute.tenant, changes.store, changes.root)
        with tenant_lock(dispute.tenant) as locked:
            complete_log(locked, signed)
            opened = users.open_session(
                user, token_sha256=token_hash(new_token(entropy)), now=now, until=now + LONGEST,
                entropy=entropy, device=TELEPHONE,
            )  # fmt: skip
            body = {"dispute": dispute.id, "session": opened.id, "language": user.language}
            body |= {"notice_sha256": hashlib.sha256(notice.encode()).hexdigest(), "actor": user.id}
            append(dispute.tenant, ENTERED, body, now, entropy)
        return opened.id

    def _end(self, report: CallerReport) -> None:
        """Somebody has hung up. The session's id, which the switch names, suffices: this only takes away."""
        self._callers.pop(report.channel, None)
        if self.own_calls is not None:
            self.own_calls.end(report.channel)
        person = users.user_of_session(report.session) if report.session else None
        if person is not None:
            entropy = self.invitations.disputes.changes.entropy
            users.end_session(person, report.session, now=self._now(), entropy=entropy)

    def _now(self) -> datetime:
        return self.invitations.disputes.changes.now()

    def _leave(self, name: str, language: str = "") -> CallerDirection:
        return CallerDirection(LEAVE, str(self._place(name, language)))

    # --- sounds

    def _write_sentences(self) -> None:
        """Write what callers hear whatever their code, and after it in their language. Raises ``OSError``,
        :class:`ConfigError`."""
        for name in ROOM_SENTENCES:
            for language in ("", *LANGUAGES):
                sound = composer.room_sentence(
                    name, (language,) if language else LANGUAGES, sources=self.sources
                )
                self._write(self._place(name, language), sound)
        for name in OWN_CALL_SENTENCES:
            for language in LANGUAGES:
                sound = composer.room_sentence(name, (language,), sources=self.sources)
                self._write(self._place(name, language), sound)

    def _place(self, name: str, language: str = "") -> Path:
        return self.snapshot / ROOM_PROMPTS / f"{name}{language and '-'}{language}.wav"

    def _sound(self, sound: Rendered) -> Path:
        """The file of a question; there are a few in each language."""
        path = self._place(sound.sha256)
        if not path.exists():
            self._write(path, sound)
        return path

    def _write(self, path: Path, sound: Rendered) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, sound.wav)

    def _forget(self) -> None:
        """Forget callers whose end nobody reported."""
        now = self.monotonic()
        self._callers = {key: each for key, each in self._callers.items() if each.until > now}
