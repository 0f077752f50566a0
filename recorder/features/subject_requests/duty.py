"""The worker's duty for verification calls: it makes the code and its sound, and has the daemon call.

It runs in a thread of its own, because a telephone rings for a while.  The sound lies in the spool while it
is played; the code is in no table and no log.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from peewee import PeeweeException

from recorder import metrics
from recorder.clock import Now, utc_now
from recorder.domain.live_command import RING_SECONDS, SOUNDS, CallOut, send_request
from recorder.errors import AccordError, ConfigError
from recorder.features.subject_requests import verification_code
from recorder.ids import Entropy
from recorder.prompts.composer import SHIPPED
from recorder.prompts.composer import verification_code as code
from recorder.prompts.sound_sources import Sources
from recorder.spool.atomic_files import share_folder, write_file

TURN: Final = 0.5
"""Seconds between two looks whether there is a call to make."""

BACK_OFF: Final = 5.0

PLAYED: Final = 300.0
"""Seconds after which a sound has been played."""

PATIENCE: Final = RING_SECONDS + 15.0
"""Seconds that a call may take until somebody answers."""

NO_SOUND: Final = "no_sound"
"""Nobody was called: there is no sound for what would be said."""

MODE: Final = 0o640

log = structlog.get_logger()


@dataclass
class VerificationCaller:
    """One node's, which has a way out.  :meth:`start` it once; it works until :meth:`stop`."""

    node: str
    spool: Path
    sources: Sources = SHIPPED
    now: Now = utc_now
    entropy: Entropy = os.urandom
    monotonic: Callable[[], float] = time.monotonic
    _ended: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin, in a thread."""
        threading.Thread(target=self._work, name="calling", daemon=True).start()

    def stop(self) -> None:
        """Begin nothing any more."""
        self._ended.set()

    def _work(self) -> None:
        while not self._ended.wait(TURN):
            try:
                self.turn()
            except (AccordError, OSError, PeeweeException) as error:
                log.warning("verification_call.delayed", error=str(error))
                self._ended.wait(BACK_OFF)
            except Exception:
                # A mistake of ours: shown, and the next turn comes all the same.
                metrics.UNFORESEEN.inc()
                log.exception("verification_call.failed")
                self._ended.wait(BACK_OFF)

    def turn(self) -> bool:
        """Make the next call, if there is one; whether there was.  Raises what catalogue and disk raise."""
        self._tidy()
        taken = verification_code.take(self.node, self.now(), self.entropy)
        if taken is None:
            return False
        row, digits = taken
        outcome = self._call(row, digits)
        verification_code.answer(self.node, row, outcome, self.now(), self.entropy)
        log.info("verification_call.answered", call=row.id, outcome=outcome)
        return True

    def _call(self, row: verification_code.CodeRow, digits: str) -> str:
        try:
            said = code(row.language, digits, sources=self.sources)
        except ConfigError as error:
            log.error(
                "verification_call.sound_missing", language=row.language, error=error.message, hint=error.hint
            )
            return NO_SOUND
        share_folder(self.spool / SOUNDS)
        path = self.spool / SOUNDS / f"{row.id}.wav"
        write_file(path, said.wav)
        path.chmod(MODE)
        until = self.monotonic() + (row.until - self.now()).total_seconds()
        return send_request(self.spool, CallOut(row.id, row.number, until), PATIENCE)

    def _tidy(self) -> None:
        """Take sounds away that were played."""
        folder = self.spool / SOUNDS
        if not folder.is_dir():
            return
        for path in folder.iterdir():
            if self.now().timestamp() - path.stat().st_mtime > PLAYED:
                path.unlink(missing_ok=True)
