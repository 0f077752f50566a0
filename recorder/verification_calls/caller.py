"""The worker's thread for verification calls: it creates the code and its sound, and has the daemon call.

It has a thread of its own, because a telephone rings for up to a minute.  The sound is in the spool while it
plays; the code is in no table and no log.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

import structlog

from recorder import metrics
from recorder.clock import Now, utc_now
from recorder.domain.live_command import RING_SECONDS, CallOut
from recorder.errors import ConfigError
from recorder.ids import Entropy
from recorder.pipeline.duty_thread import DutyThread
from recorder.prompts.composer import SHIPPED, verification_code
from recorder.prompts.sound_sources import Sources
from recorder.spool.atomic_files import share_folder, write_file
from recorder.spool.command_socket import OUTGOING_SOUNDS, send_request
from recorder.verification_calls import register
from recorder.verification_calls.policy import CallPolicy, count_calls
from recorder.verification_calls.register import OPENINGS, ROOM, USES, VerificationCall

PLAYED: Final = 300.0
"""Seconds after which a sound has been played."""

PATIENCE: Final = RING_SECONDS + 15.0
"""Seconds to wait for the outcome of a call."""

MEASURED_EVERY: Final = 30.0
"""Seconds between two looks at how much of the day's budget is used."""

NO_SOUND: Final = "no_sound"
"""Outcome: no call was made, because a sentence has no sound."""

NOT_ALLOWED: Final = "not_allowed"
"""Outcome: no call was made, because the policy does not allow it."""

MODE: Final = 0o640

log = structlog.get_logger()


@dataclass
class VerificationCaller(DutyThread):
    """Makes the verification calls of one node that can call out: those of ``uses``."""

    node: str
    spool: Path
    sources: Sources = SHIPPED
    policy: CallPolicy = field(default_factory=CallPolicy)
    now: Now = utc_now
    entropy: Entropy = os.urandom
    monotonic: Callable[[], float] = time.monotonic
    uses: Collection[str] = USES

    _measure_due: float = 0.0

    NAME: ClassVar[str] = "calling"
    INTERVAL: ClassVar[float] = 0.5
    BACK_OFF: ClassVar[float] = 5.0

    def delayed(self, error: Exception) -> None:
        self.faults.report("verification_call.delayed", error)

    def failed(self, error: Exception) -> None:
        self.faults.report("verification_call.failed", error, level="error", exc_info=error)

    def turn(self) -> bool:
        """Make the next call; false if none was ordered.  Raises what catalogue and disk raise."""
        self._tidy()
        if self.monotonic() >= self._measure_due:
            self._measure_due = self.monotonic() + MEASURED_EVERY
            self._measure_budget()
        claim = register.take(self.node, self.now(), self.entropy, self.uses)
        if claim is None:
            return False
        call, digits = claim
        outcome = self._call(call, digits) if self._may_call(call) else NOT_ALLOWED
        register.answer(self.node, call, outcome, self.now(), self.entropy)
        log.info("verification_call.answered", call=call.id, outcome=outcome)
        return True

    def _may_call(self, call: VerificationCall) -> bool:
        """Whether the policy allows a call that was ordered: a row may be anybody's."""
        count = self._measure_budget()
        if count <= self.policy.calls_a_day and self.policy.allows_number(call.tenant, call.number):
            return True
        log.error(
            "verification_call.not_allowed", call=call.id, tenant=call.tenant, calls_today=count,
            hint="run `accord audit run`: the catalogue was changed outside Accord",
        )  # fmt: skip
        return False

    def _measure_budget(self) -> int:
        """The calls of the last 24 hours."""
        count, budget = count_calls(self.now()), self.policy.calls_a_day
        metrics.CALL_BUDGET_USED.set(count / budget if budget else 1.0)
        return count

    def _call(self, call: VerificationCall, digits: str) -> str:
        if call.use == ROOM:
            return send_request(
                self.spool, CallOut(call.id, call.number, self._until(call), call.language), PATIENCE
            )
        try:
            sound = verification_code(call.language, digits, OPENINGS[call.use], sources=self.sources)
        except ConfigError as error:
            log.error(
                "verification_call.sound_missing",
                language=call.language,
                error=error.message,
                hint=error.hint,
            )
            return NO_SOUND
        share_folder(self.spool / OUTGOING_SOUNDS)
        path = self.spool / OUTGOING_SOUNDS / f"{call.id}.wav"
        write_file(path, sound.wav)
        path.chmod(MODE)
        return send_request(self.spool, CallOut(call.id, call.number, self._until(call)), PATIENCE)

    def _until(self, call: VerificationCall) -> float:
        """The deadline of a call by the machine's monotonic clock."""
        return self.monotonic() + (call.until - self.now()).total_seconds()

    def _tidy(self) -> None:
        """Remove sounds that have been played."""
        folder = self.spool / OUTGOING_SOUNDS
        if not folder.is_dir():
            return
        for path in folder.iterdir():
            if self.now().timestamp() - path.stat().st_mtime > PLAYED:
                path.unlink(missing_ok=True)
