"""A call that a colleague makes to somebody outside.

The external party is then the callee: once the dialplan calls them, :attr:`leg` is their leg and :attr:`b`
the colleague's. What the dialplan wants done on a leg before both are connected (``group_confirm_key=exec``)
is run on it once they have answered, while the colleague hears ringing.
"""

from __future__ import annotations

from demo.practice import hangup
from demo.practice.conversation import CALL_TIMEOUT, talk
from demo.practice.leg import Leg, outbound_leg
from demo.practice.session import PracticeCall


class OutboundCall(PracticeCall):
    """Methods that begin with ``callee_`` are the colleague's, who is the internal party here, too."""

    # --- from outside

    def press(self, digits: str) -> None:
        """While nothing plays and nobody is connected, keys are queued for ``read``."""
        if self.media.connected or self.media.prompt is not None:
            super().press(digits)
        else:
            self.keys += digits
            self.wake()

    def callee_hangs_up(self, cause: str = "NORMAL_CLEARING") -> None:
        """Before both are connected, this also ends the external leg."""
        super().callee_hangs_up(cause)
        if not self.media.connected and self.leg is not self.colleague:
            self.hang_up("ORIGINATOR_CANCEL")

    # --- for the applications

    @property
    def colleague(self) -> Leg:
        """The calling leg."""
        return self.leg if self.b is None else self.b

    def read(self, variable: str, seconds: float) -> None:
        """Wait for one key."""
        self.leg.variables.pop(variable, None)
        if not self.until(lambda: bool(self.keys), seconds):
            return
        digit, self.keys = self.keys[0], self.keys[1:]
        last = [("DTMF-Digit", digit), ("DTMF-Duration", "2080"), ("DTMF-Source", "RTP")]
        self.emit("DTMF", variables=False, last=last)
        self.leg.variables[variable] = digit

    def dials(self, target: str) -> bool:
        """Call the external party, run what is wanted on their leg, and connect both."""
        a, switch = self.leg, self.switch
        for name, value in list(a.variables.items()):
            if name.startswith("execute_on_pre_originate"):
                application, _, data = value.partition(" ")
                self.execute(application, data)
        self.call_state(a, "RING_WAIT")
        switch.calls_so_far += 1
        b = outbound_leg(switch.new_uuid(), a, target, switch.pace, switch.calls_so_far)
        b.variables |= self.exports
        b.variables |= {
            name: value for name, value in a.variables.items() if name.startswith("group_confirm_")
        }
        self.leg, self.b = b, a
        switch.renamed(self, a.uuid)
        self.state(b, "CS_INIT")
        self.emit("CHANNEL_CREATE")
        self.state(b, "CS_ROUTING")
        self.state(b, "CS_CONSUME_MEDIA")
        if self._answers(b) and self._confirms(b):
            self._connect(a, b)
        if b.cause is None:
            self.hang_up_leg(b, self.callee_gone or "NORMAL_CLEARING")
        hangup.end_internal(self, self.callee_gone or b.cause or "NORMAL_CLEARING")
        return True

    def _answers(self, b: Leg) -> bool:
        party = self.party
        if party.callee == "busy":
            self.hang_up("USER_BUSY")
            return False
        b.progress_at = self.switch.pace.micros()
        self.emit("CHANNEL_PROGRESS")
        self.call_state(b, "RINGING")
        self.phase_events["ringing"].set()
        limit = float(b.variables.get("leg_timeout", CALL_TIMEOUT))
        answers = party.callee == "answers" and party.rings <= limit
        self.until(lambda: False, party.rings if answers else limit)
        if not self.ready:
            return False
        if not answers:
            self.hang_up("NO_ANSWER")
            return False
        b.answered_at = self.switch.pace.micros()
        b.variables["endpoint_disposition"] = "ANSWER"
        self.emit("CHANNEL_ANSWER")
        self.call_state(b, "ACTIVE")
        self.media.start()
        return True

    def _confirms(self, b: Leg) -> bool:
        if b.variables.get("group_confirm_key") == "exec":
            application, _, data = b.variables.get("group_confirm_file", "").partition(" ")
            self.execute(application, data)
        for name in ("group_confirm_key", "group_confirm_file", "group_confirm_cancel_timeout"):
            b.variables.pop(name, None)
        return self.ready and self.callee_gone is None

    def _connect(self, a: Leg, b: Leg) -> None:
        a.other = b
        a.answered_at = self.switch.pace.micros()
        self.emit("CHANNEL_ANSWER", leg=a)
        self.call_state(a, "ACTIVE")
        a.bridged_at = b.bridged_at = self.switch.pace.micros()
        a.variables |= {"originate_disposition": "SUCCESS", "DIALSTATUS": "SUCCESS", "signal_bond": b.uuid}
        both = [("Bridge-A-Unique-ID", a.uuid), ("Bridge-B-Unique-ID", b.uuid)]
        self.emit("CHANNEL_BRIDGE", leg=a, first=both)
        self.state(b, "CS_EXCHANGE_MEDIA")
        self.media.connect()
        self.phase_events["bridged"].set()
        talk(self)
        self.inside.cut()
        self.media.disconnect()
        if self.callee_gone is not None and a.cause is None:
            self.hang_up_leg(a, self.callee_gone)
        self.emit("CHANNEL_UNBRIDGE", leg=a, first=both)


class AnsweredCall(PracticeCall):
    """A call that ``originate`` made, and that was answered: its one leg is in an extension."""

    def extension_steps(self, name: str, context: str) -> None:
        self.answer()
        super().extension_steps(name, context)
