"""``bind_digit_action``: what the internal party's keys do, and which of them reach the external party's
phone.

Only the part that Accord uses: codes bound on the external leg for its peer, which send an event or run an
extension on the peer's leg. The external party's own keys are not matched then (transcript: codes).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

import gevent

from demo.practice.internal_leg import InternalLeg
from recorder.errors import SwitchError

Later: TypeAlias = Callable[[float, Callable[[], object]], "gevent.Greenlet[..., object]"]
"""Does something after so many seconds of call time."""

FIRES = 0.1
"""Seconds from a code's last digit to its effect."""

WAITS = 1.5
"""Seconds for which digits that may become a code wait for the next one."""

_BINDING = re.compile(
    r"\w+,([0-9*#]+),exec\[H\]:(event|execute_extension),"
    r"(Event-Name=CUSTOM\\,Event-Subclass=[\w:.-]+|[\w.-]+ XML \w+),peer,peer"
)


class Digits:
    """The codes of one call.  ``heard_external`` and ``heard_internal``: digits that reached either phone."""

    def __init__(self, inside: InternalLeg, later: Later) -> None:
        self._inside = inside
        self._later = later
        self._codes: dict[str, tuple[str, str]] = {}
        self._longest = 0
        self._pending = ""
        self._timer: gevent.Greenlet[..., object] | None = None
        self.heard_external = ""
        self.heard_internal = ""

    def bind(self, data: str) -> None:
        """``realm,code,exec[H]:application,argument,peer,peer``.  Raises :class:`SwitchError` for another
        form."""
        found = _BINDING.fullmatch(data)
        if found is None:
            raise SwitchError(
                "practice.digits",
                f"the practice switch does not know the binding {data!r}",
                "teach demo/practice/digits.py what the real switch does with it",
            )
        self._longest = max(self._longest, len(found[1]))
        self._codes[found[1]] = found[2], found[3].replace("\\,", ",")

    def clear(self, data: str) -> None:
        """``realm,peer`` removes every code; without a target only those of the leg itself, of which there
        are none here."""
        if data.partition(",")[2] in {"peer", "both"}:
            self._codes.clear()

    def pressed(self, digit: str) -> None:
        """The internal party pressed a key while nothing was playing to them."""
        if not self._longest:  # never a code
            self.heard_external += digit
            return
        self._stop()
        self._pending += digit
        longer = any(code.startswith(self._pending) and code != self._pending for code in self._codes)
        if not self._codes:  # removed: it still waits, for nothing (transcript: codes_taken_away)
            longer = len(self._pending) < self._longest
        if longer:
            self._timer = self._later(WAITS, self._settle)
        else:
            self._settle()

    def _settle(self) -> None:
        """No further digit follows: these are a code, or go on to the other phone."""
        digits, self._pending = self._pending, ""
        self._timer = None
        if digits in self._codes:
            self._later(FIRES, lambda: self._fire(digits))
            return
        for digit in digits:
            self._inside.dtmf(digit, "2000", "APP")
            self.heard_external += digit

    def _fire(self, code: str) -> None:
        leg = self._inside.leg
        if leg is not None and code in self._codes:
            leg.variables["last_matching_digits"] = code
            self._inside.run(*self._codes[code])

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.kill(block=False)
            self._timer = None
