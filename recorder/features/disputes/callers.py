"""The worker's part of rooms by telephone: it answers what the daemon reports of callers.

A caller enters their code, is told what they will hear and that it is noted, and presses 1. That is their
answer to the invitation, by the same statement as on its page, and a leaf of its own for each call. They are
let into the room if it was established who they are; the session ends when they hang up.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Final

import structlog

from recorder import metrics
from recorder.auditlog.append import append, tenant_lock
from recorder.catalogue.records import UserRow
from recorder.domain.phone_numbers import to_canonical
from recorder.domain.room_caller import ANSWER, ASK, CODE, ENTER, LEAVE, RETRY, CallerDirection, CallerReport
from recorder.errors import AccordError
from recorder.features.disputes import dial_in
from recorder.features.disputes.dial_in import DialIn
from recorder.features.disputes.invitations import GuestInvitations, OpenGuestLink
from recorder.identity import users
from recorder.identity.secret_tokens import new_token, token_hash
from recorder.pipeline.duty_thread import DutyThread
from recorder.prompts import composer
from recorder.prompts.composer import ROOM_SENTENCES, SHIPPED, Rendered
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
    """Somebody on the telephone: the codes that they entered, and since they entered the right one, its
    guest, what they were told, and until when (monotonic seconds) they can say yes."""

    until: float
    tries: int = 0
    link: OpenGuestLink | None = None
    notice: str = ""


@dataclass
class CallerDesk(DutyThread):
    """Answers about the callers of one node's switch. ``snapshot`` is the folder that the switch can read,
    and ``region`` the country of numbers without a country code."""

    spool: Path
    snapshot: Path
    dial_in: DialIn
    invitations: GuestInvitations
    region: str = ""
    sources: Sources = SHIPPED
    monotonic: Callable[[], float] = time.monotonic

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
        return self._server.serve(self.PATIENCE, self.answer)

    def answer(self, report: CallerReport) -> CallerDirection:
        """Where a caller goes after a step. What goes wrong is logged, and sends them off kindly."""
        try:
            if report.step == CODE:
                return self._check_code(report)
            if report.step == ANSWER:
                return self._check_answer(report)
            self._end(report)
        except AccordError as error:
            self._callers.pop(report.channel, None)
            log.warning("dial_in.interrupted", step=report.step, error_id=error.error_id, error=error.message)
            return self._leave("away")
        return CallerDirection(LEAVE)

    def _check_code(self, report: CallerReport) -> CallerDirection:
        """Look for the guest of a code. Wrong, ended and unknown codes have the same answer, and so has any
        once the budget is used up."""
        caller = self._callers.setdefault(report.channel, _Caller(self.monotonic() + QUESTION_S))
        caller.tries += 1
        if caller.tries > TRIES:
            return self._leave("closed")
        number = to_canonical(report.number, self.region.casefold())
        found = self.dial_in.try_code(report.keys, number, self._now())
        if found is None:
            log.info("dial_in.wrong_code", tries=caller.tries)
            if caller.tries < TRIES:
                return CallerDirection(RETRY, str(self._place("wrong")))
            return self._leave("closed")
        dispute, guest = found
        helpers = any(each.is_third_party and each.may_hear for each in dispute.guests)
        question = composer.room_question(
            guest.language, helpers=helpers, first=not guest.takes_part, sources=self.sources
        )
        caller.link, caller.notice = OpenGuestLink(dispute, guest), question.text
        caller.until = self.monotonic() + QUESTION_S
        return CallerDirection(ASK, str(self._sound(question)))

    def _check_answer(self, report: CallerReport) -> CallerDirection:
        """Let a caller in who pressed 1, and whom the dispute lets hear its recordings."""
        caller = self._callers.pop(report.channel, None)
        if caller is None or caller.link is None or self.monotonic() > caller.until:
            return self._leave("away")
        dispute, guest = caller.link.dispute, caller.link.guest
        if report.keys != YES:
            log.info("dial_in.declined", dispute=dispute.id, guest=guest.id)
            return self._leave("declined", guest.language)
        user = self.invitations.answer(caller.link, ACCEPTED, notice=caller.notice, language=guest.language)
        assert user is not None  # they accepted
        dispute = self.invitations.disputes.find(dispute.tenant, dispute.id)
        if dispute.closed_at is not None:
            return self._leave("closed", guest.language)
        if not dispute.find_guest(guest.id).may_hear:
            return self._leave("unrecognised", guest.language)
        session = self._open_session(user, dispute.id, caller.notice)
        log.info("dial_in.entered", dispute=dispute.id, guest=guest.id, session=session)
        keys = str(self._place("keys", guest.language))
        return CallerDirection(ENTER, keys, room=dispute.id, session=session)

    def _open_session(self, user: UserRow, dispute: str, notice: str) -> str:
        """A session of a guest who said yes on the telephone, with a leaf about it; returns its id. Nobody
        knows its token: the session is the call's."""
        now, entropy = self._now(), self.invitations.disputes.changes.entropy
        with tenant_lock(user.tenant):
            opened = users.open_session(
                user, token_sha256=token_hash(new_token(entropy)), now=now, until=now + LONGEST,
                entropy=entropy,
            )  # fmt: skip
            body = {"dispute": dispute, "guest": user.id, "session": opened.id, "language": user.language}
            body |= {"notice_sha256": hashlib.sha256(notice.encode()).hexdigest(), "actor": user.id}
            append(user.tenant, ENTERED, body, now, entropy)
        return opened.id

    def _end(self, report: CallerReport) -> None:
        """Somebody has hung up. The session's id, which the switch names, suffices: this only takes away."""
        self._callers.pop(report.channel, None)
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
