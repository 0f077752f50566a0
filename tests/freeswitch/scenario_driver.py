"""A driver that plays scenarios (``tests/scenarios/``) on a real FreeSWITCH."""

from __future__ import annotations

import json
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from time import sleep

from tests.freeswitch.switches import HERE, NUMBER, PASSWORD, Esl, Rig, until
from tests.scenarios.definitions import Scenario
from tests.scenarios.driver import DaemonProcess
from tests.scenarios.files import SAYS_YES, write_snapshot

NUMBERS = {
    "line": f"{NUMBER}01", "unknown": f"{NUMBER}95", "never_record": f"{NUMBER}89", "damaged": f"{NUMBER}85",
    "listed": f"{NUMBER}99", "emergency": "112", "busy": f"{NUMBER}86", "silent": f"{NUMBER}87",
    "opt_out": f"{NUMBER}11", "opt_in": f"{NUMBER}12", "languages": f"{NUMBER}13", "keep": f"{NUMBER}14",
    "keep_or_destroy": f"{NUMBER}15", "keep_at_start": f"{NUMBER}16", "own_words": f"{NUMBER}17",
    "at_pickup": f"{NUMBER}18", "at_pickup_and_asked": f"{NUMBER}19", "at_pickup_busy": f"{NUMBER}76",
    "at_pickup_silent": f"{NUMBER}77", "at_pickup_slow": f"{NUMBER}78", "deletable": f"{NUMBER}20",
    "joining_alone": f"{NUMBER}21", "joining_both": f"{NUMBER}22", "other": f"{NUMBER}23",
    "external": f"{NUMBER}97", "forwarded": f"{NUMBER}97",
    "opt_out_slow": f"{NUMBER}68", "joining_opt_in": f"{NUMBER}24", "joining_opt_out": f"{NUMBER}25",
    "out": f"{NUMBER}31", "out_once": f"{NUMBER}32", "out_opt_in": f"{NUMBER}33",
    "out_opt_out": f"{NUMBER}34", "out_languages": f"{NUMBER}35", "suspended": f"{NUMBER}36",
}  # fmt: skip
NOBODYS = ("unknown", "listed", "emergency", "other", "external")
"""The numbers without a line. The last two digits of a number select what its phone does
(``phones/freeswitch.xml``)."""

EVENTS = (
    "CHANNEL_EXECUTE CHANNEL_PROGRESS CHANNEL_BRIDGE CHANNEL_HANGUP_COMPLETE CHANNEL_DESTROY PLAYBACK_START"
)


class Watcher:
    """Records every event of the switch, in the order of arrival."""

    def __init__(self, port: int) -> None:
        self._esl = Esl(port, PASSWORD)
        self._esl.command(f"event plain {EVENTS}")
        self._esl.sock.settimeout(None)
        self.events = self._esl.events
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while True:
                self._esl._keep(self._esl._frame()[1])
        except (OSError, ValueError):
            return

    def close(self) -> None:
        self._esl.sock.shutdown(2)
        self._esl.close()
        self._thread.join(5)


class RealCall:
    """A phone's call to the switch under test."""

    def __init__(self, rig: Rig, watcher: Watcher, phone: str, caller: str, sounds: dict[str, Path]) -> None:
        self.caller = caller
        self._rig = rig
        self._watcher = watcher
        self._phone = phone
        self._sounds = sounds

    def _events(self, name: str) -> list[dict[str, str]]:
        return [event for event in list(self._watcher.events) if event["Event-Name"] == name]

    @property
    def leg(self) -> str:
        """The external leg's id on the switch; empty before it exists."""
        for event in list(self._watcher.events):
            if event.get("Call-Direction") == "inbound" and event["Caller-Caller-ID-Number"] == self.caller:
                return event["Unique-ID"]
        return ""

    def wait(self, phase: str, seconds: float) -> bool:
        try:
            until(phase, lambda: self._has_reached(phase), seconds)
        except AssertionError:
            return False
        return True

    def _has_reached(self, phase: str) -> bool:
        leg = self.leg
        if not leg:
            return False
        match phase:
            case "asked":
                return any(
                    event["Unique-ID"] == leg and event["Application"] == "socket"
                    for event in self._events("CHANNEL_EXECUTE")
                )
            case "announcing":
                return self.played("announcement") > 0
            case "ringing":
                return any(
                    event.get("Other-Leg-Unique-ID") == leg for event in self._events("CHANNEL_PROGRESS")
                )
            case "bridged":
                return any(event["Bridge-A-Unique-ID"] == leg for event in self._events("CHANNEL_BRIDGE"))
            case _:
                return any(event["Unique-ID"] == leg for event in self._events("CHANNEL_DESTROY"))

    def press(self, key: str) -> None:
        self._rig.phones.esl.api(f"uuid_send_dtmf {self._phone} {key}")

    def speak(self) -> None:
        self._rig.phones.esl.api(f"uuid_displace {self._phone} start {SAYS_YES}")

    def hold(self) -> None:
        self._rig.phones.esl.api(f"uuid_hold {self._phone}")

    def unhold(self) -> None:
        self._rig.phones.esl.api(f"uuid_hold off {self._phone}")

    def hang_up(self) -> None:
        self._rig.phones.esl.api(f"uuid_kill {self._phone}")

    def callee_presses(self, key: str) -> None:
        self._send_command("uuid_send_dtmf {} " + key)

    def callee_holds(self) -> None:
        self._send_command("uuid_hold {}")

    def callee_unholds(self) -> None:
        self._send_command("uuid_hold off {}")

    def callee_hangs_up(self) -> None:
        self._send_command("uuid_kill {}")

    def _send_command(self, command: str) -> None:
        """Run a command on the called phone."""
        for row in self._rig.phones.channels():
            if row["direction"] == "inbound" and row["cid_num"] == self.caller:
                self._rig.phones.esl.api(command.format(row["uuid"]))

    def transfer(self, number: str) -> None:
        self._rig.switch.esl.api(f"uuid_transfer {self.leg} {NUMBERS[number]} XML public")

    def state(self) -> str:
        answer = self._rig.switch.esl.api(f"uuid_getvar {self.leg} accord_state")
        if not answer.startswith("-ERR"):
            return "" if answer == "_undef_" else answer
        for event in self._events("CHANNEL_HANGUP_COMPLETE"):
            if event["Unique-ID"] == self.leg:
                return event.get("variable_accord_state", "")
        return ""

    def recorded(self) -> bool:
        return "session_record" in self._rig.switch.esl.api(f"uuid_buglist {self.leg}")

    def played(self, name: str) -> int:
        leg, path = self.leg, str(self._sounds[name])
        return sum(
            event["Unique-ID"] == leg and event["Playback-File-Path"] == path
            for event in self._events("PLAYBACK_START")
        )


class RealOutboundCall(RealCall):
    """An outbound call; ``caller`` is the called number."""

    @property
    def leg(self) -> str:
        for event in list(self._watcher.events):
            is_called = event.get("Caller-Destination-Number") == self.caller
            if event.get("Call-Direction") == "outbound" and is_called:
                return event["Unique-ID"]
            if event.get("Other-Leg-Destination-Number") == self.caller:
                return event["Other-Leg-Unique-ID"]
        return ""

    def _has_reached(self, phase: str) -> bool:
        leg = self.leg
        if phase == "ringing":
            return any(event["Unique-ID"] == leg for event in self._events("CHANNEL_PROGRESS"))
        if phase == "bridged":
            return any(event["Bridge-B-Unique-ID"] == leg for event in self._events("CHANNEL_BRIDGE"))
        return super()._has_reached(phase)

    def _send_command(self, command: str) -> None:
        """Run a command on the calling phone, which is internal."""
        self._rig.phones.esl.api(command.format(self._phone))

    def _outside(self, command: str) -> None:
        """Run a command on the called phone, which is external."""
        for row in self._rig.phones.channels():
            if row["direction"] == "inbound" and row["dest"].removeprefix("talk-") == self.caller:
                self._rig.phones.esl.api(command.format(row["uuid"]))

    def press(self, key: str) -> None:
        self._outside("uuid_send_dtmf {} " + key)

    def speak(self) -> None:
        self._outside("uuid_displace {} start " + str(SAYS_YES))

    def hold(self) -> None:
        self._outside("uuid_hold {}")

    def unhold(self) -> None:
        self._outside("uuid_hold off {}")

    def hang_up(self) -> None:
        self._outside("uuid_kill {}")


_DIGITS = {"answers": "01", "busy": "86", "silent": "87", "slow": "78"}
"""The last two digits of a called number, by what its phone does (``phones/freeswitch.xml``)."""


class RealDriver:
    """Switch, phones and daemon of a :class:`Rig`."""

    numbers = NUMBERS

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.spool = rig.spool
        numbers = {name: number for name, number in NUMBERS.items() if name not in NOBODYS}
        self.sounds = write_snapshot(rig.snapshot, numbers)
        self._watcher = Watcher(rig.switch.esl_port)
        command = [sys.executable, str(HERE / "run_daemon.py"), json.dumps(rig.settings)]
        self._daemon = DaemonProcess(command, HERE.parents[1], rig.folder / "daemon.log")
        self._calls = 0

    def place(self, scenario: Scenario) -> RealCall:
        self._calls += 1
        if scenario.outbound:
            return self._place_outward(scenario)
        caller, phone = f"3247999{self._calls:04}", str(uuid.uuid4())
        what = scenario.callee if scenario.callee != "answers" else scenario.line
        if scenario.line in ("at_pickup", "opt_out") and scenario.callee != "answers":
            what = f"{scenario.line}_{scenario.callee}"
        variables = [
            f"origination_uuid={phone}", f"origination_caller_id_number={caller}",
            "absolute_codec_string=PCMU", "ignore_early_media=true",
        ]  # fmt: skip
        if scenario.name_shown:
            # The phone decodes a name once before it sends it.
            name = scenario.name_shown.replace("%", "%25")
            variables.append(f"origination_caller_id_name={name}")
        if scenario.header:
            variables.append(f"sip_h_X-Note={scenario.header}")
        answer = self._rig.phones.esl.command(
            f"bgapi originate {{{','.join(variables)}}}"
            f"sofia/phones/{NUMBERS[what]}@127.0.0.1:{self._rig.sip_port} talk XML caller"
        )
        assert "ERR" not in answer, answer
        return RealCall(self._rig, self._watcher, phone, caller, self.sounds)

    def _place_outward(self, scenario: Scenario) -> RealCall:
        number = scenario.calls or f"3247888{self._calls:04}{_DIGITS[scenario.callee]}"
        phone = str(uuid.uuid4())
        answer = self._rig.phones.esl.command(
            f"bgapi originate {{origination_uuid={phone},"
            f"origination_caller_id_number={NUMBERS[scenario.line]},"
            f"absolute_codec_string=PCMU,ignore_early_media=true}}"
            f"sofia/phones/{number}@127.0.0.1:{self._rig.out_port} talk XML caller"
        )
        assert "ERR" not in answer, answer
        return RealOutboundCall(self._rig, self._watcher, phone, number, self.sounds)

    def daemon(self, action: str) -> None:
        match action:
            case "start":
                self._daemon.start()
                self._rig.wait_daemon()
                until("the daemon is at the switch", self._at_the_switch, 20.0)
            case "kill":
                self._daemon.kill()
            case "stall":
                self._daemon.stall()
            case "wake":
                self._daemon.wake()

    def _at_the_switch(self) -> bool:
        """Whether the standing connection is made; earlier calls are a different case."""
        log_text = (self._rig.folder / "daemon.log").read_text()
        return "switch.up" in log_text.rpartition("daemon.listening")[2]

    def until(self, what: str, check: Callable[[], object], seconds: float) -> None:
        until(what, check, seconds)

    def sleep(self, seconds: float) -> None:
        sleep(seconds)

    def close(self) -> None:
        """Stop the daemon; the rig owns switch and phones."""
        self._daemon.wake()
        self._daemon.kill()
        self._watcher.close()
