"""A real FreeSWITCH in the chaos harness, with a second one that plays the phones: real SIP, real sound.

Faults never hit the phones' switch.  The events of the switch under test report what a call does, those of
the phones' switch that it continues.
"""

from __future__ import annotations

import contextlib
import socket
import time
import uuid
from pathlib import Path
from urllib.parse import unquote

from tests.chaos.facts import CallSeen
from tests.chaos.plan import COLLEAGUE, PAUSE_SECONDS, CallPlan, Press
from tests.chaos.plant import Plant
from tests.chaos.processes import Unit
from tests.freeswitch.process import Switch, binary, rtp_ports
from tests.freeswitch.switches import CONF, HERE
from tests.processes import PASSWORD

EVENTS = (
    "CHANNEL_CREATE CHANNEL_ANSWER PLAYBACK_START CHANNEL_BRIDGE CHANNEL_HANGUP_COMPLETE "
    "CUSTOM accord::pause accord::resume accord::mark"
)

PHASES = {
    ("CHANNEL_CREATE", "inbound"): "placed", ("PLAYBACK_START", "inbound"): "announcing",
    ("CHANNEL_CREATE", "outbound"): "ringing", ("CHANNEL_BRIDGE", "inbound"): "bridged",
    ("CHANNEL_HANGUP_COMPLETE", "inbound"): "ended",
}  # fmt: skip
"""The step that an event of a call's leg reports; of an outbound call, of the leg that is called."""

OUTBOUND = {**PHASES, ("PLAYBACK_START", "inbound"): "", ("PLAYBACK_START", "outbound"): "announcing"}

TICKS = 0.1
"""Seconds by which an event's time may be too early."""

COMES = 20.0
"""Seconds after a transfer in which somebody is at the other end again, or it is hung up."""

HEAR_TIME = 0.5
"""Seconds for a key to be pressed and received."""


class Events:
    """An event socket that is read without waiting."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=2)
        self._socket.sendall(f"auth {PASSWORD}\n\nevent plain {EVENTS}\n\n".encode())
        self._socket.setblocking(False)
        self._rest = b""
        self.alive = True
        self.is_listening = False

    def read(self) -> list[dict[str, str]]:
        """Events since the last time; ``alive`` shows whether the connection has ended."""
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    data = self._socket.recv(1 << 16)
                except ConnectionError:
                    data = b""
                if not data:
                    self.alive = False
                    break
                self._rest += data
        found = []
        while (frame := self._frame()) is not None:
            if frame:
                found.append(frame)
        return found

    def _frame(self) -> dict[str, str] | None:
        head, empty, rest = self._rest.partition(b"\n\n")
        if not empty:
            return None
        headers = _headers(head)
        length = int(headers.get("Content-Length", 0))
        if len(rest) < length:
            return None
        body, self._rest = rest[:length], rest[length:]
        self.is_listening = self.is_listening or "event listener enabled" in headers.get("Reply-Text", "")
        return _headers(body) if headers.get("Content-Type") == "text/event-plain" else {}

    def send(self, command: str) -> None:
        """Send the switch a command and ignore its answer."""
        with contextlib.suppress(OSError):  # it is away: the call is over then
            self._socket.sendall(f"bgapi {command}\n\n".encode())

    def close(self) -> None:
        self._socket.close()


def _headers(block: bytes) -> dict[str, str]:
    lines = (line.partition(": ") for line in block.decode("utf-8", "replace").split("\n"))
    return {name: unquote(value) for name, _, value in lines if name}


class RealBoard:
    """Calls on a FreeSWITCH that may be killed."""

    bound = 3 + 1 + 6 + 1 + 6.0
    """As on the practised switch, and the phones' own time."""

    lists_after = 1.2
    """The real one writes its list of channels into a database of its own, up to a second later (seen)."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.calls: dict[int, CallSeen] = {}
        self._by_caller: dict[str, CallSeen] = {}
        self._legs: dict[int, str] = {}
        self._hang_up: dict[int, float] = {}
        self._due: list[tuple[float, CallSeen, Press | None]] = []
        """Keys, and transfers (``None``)."""
        self._events: Events | None = None
        self._events_of: int | None = None
        phones = plant.ports.spare
        self.sip_port = phones
        base = rtp_ports()
        folder = plant.folder / "phones"
        sounds = plant.folder / "phones-sound"
        sounds.mkdir(parents=True)
        for name in ("caller.wav", "callee.wav"):
            (sounds / name).write_bytes((plant.folder / name).read_bytes())
        self.phones = Switch(
            folder,
            HERE / "phones",
            {
                "PHONES_SIP_PORT": str(phones + 1), "PHONES_ESL_PORT": str(phones + 2),
                "PHONES_RTP_START": str(base + 800), "PHONES_RTP_END": str(base + 1598),
                "PHONES_PASSWORD": PASSWORD, "PHONES_FOLDER": str(sounds),
            },
            phones + 2,
            PASSWORD,
        )  # fmt: skip
        self._unit(plant.folder / "switch", phones, base)
        plant.on_switch_gone = self.note_end
        self.phones.start()

    def _unit(self, folder: Path, phones: int, base: int) -> None:
        argv = [binary() or "", "-nonat", "-np", "-nf", "-nc", "-conf", str(CONF)]
        for name in ("log", "db", "run"):
            (folder / name).mkdir(parents=True)
            argv += [f"-{name}", str(folder / name)]
        environment = {
            **self.plant.environment,
            "ACCORD_SIP_PORT": str(phones),
            "ACCORD_RTP_START": str(base),
            "ACCORD_RTP_END": str(base + 798),
            "ACCORD_ROUTE": f"127.0.0.1:{phones + 1}",
            "ACCORD_OUTBOUND_PORT": str(phones + 3),
            "ACCORD_TRUNK": f"127.0.0.1:{phones + 1}",
            "ACCORD_PAUSE_SECONDS": str(PAUSE_SECONDS),
        }
        log = self.plant.folder / "logs" / "switch.log"
        self.plant.units["switch"] = Unit("switch", argv, environment, log)

    @property
    def ready(self) -> bool:
        """Subscribe to the switch's events."""
        return self._events is not None and self._events.is_listening

    def place(self, plan: CallPlan) -> bool:
        """Have a phone call; returns whether there is a switch to call."""
        if not self.ready:
            return False
        leg = str(uuid.uuid4())
        caller_id, number, port = plan.caller, plan.called, self.sip_port
        if plan.outbound:
            caller_id, number, port = number, caller_id, self.sip_port + 3
        self.phones.esl.command(
            f"bgapi originate {{origination_uuid={leg},origination_caller_id_number={caller_id},"
            f"absolute_codec_string=PCMU,ignore_early_media=true}}"
            f"sofia/phones/{number}@127.0.0.1:{port} talk XML caller"
        )
        call = CallSeen(plan, time.time())
        self.calls[plan.number] = self._by_caller[plan.caller] = call
        self._legs[plan.number] = leg
        if plan.gives_up is not None:
            self._hang_up[plan.number] = call.placed + plan.gives_up
        return True

    def poll(self) -> list[tuple[str, CallSeen]]:
        """Steps of calls since the last time; hangs up calls that have lasted long enough."""
        now = time.time()
        self._connect()
        steps = []
        for event in self._events.read() if self._events is not None else ():
            if step := self._take(event):
                steps.append(step)
        for each in [each for each in self._due if now >= each[0]]:
            self._due.remove(each)
            steps += self._do(now, *each[1:])
        for number in [n for n, at in self._hang_up.items() if now >= at]:
            del self._hang_up[number]
            self.phones.esl.command(f"bgapi uuid_kill {self._legs[number]}")
        for call in list(self.open):
            # The switch went away before it told us of it; a daemon may have heard of it.
            if now - call.placed > 5.0 and not call.phases and self.ready:
                call.cut, call.ended = True, now
        return steps

    def _connect(self) -> None:
        process = self.plant.units["switch"].process
        pid = None if process is None else process.pid
        if self._events is not None and (not self._events.alive or pid != self._events_of):
            self._events.close()
            self._events = None
        if self._events is None and pid is not None:
            with contextlib.suppress(OSError):
                self._events, self._events_of = Events(self.plant.ports.event_socket), pid

    def _do(self, now: float, call: CallSeen, press: Press | None) -> list[tuple[str, CallSeen]]:
        """Press keys, or transfer the call to another colleague."""
        if call.ended is not None:
            return []
        if press is None:
            if self._events is None:
                return []
            self._events.send(f"uuid_transfer {call.uuid} {COLLEAGUE} XML public")
            self._hang_up[call.plan.number] = now + COMES
            call.phases["transferred"] = now
            return [("transferred", call)]
        phone = self._legs[call.plan.number]
        if (press.who == "colleague") != call.plan.outbound:
            phone = self._callee(call.plan) or ""
        if not phone:
            return []
        call.pressed.append((press.who, press.keys, now))
        call.phases["pressed"] = now
        self.phones.esl.command(f"bgapi uuid_send_dtmf {phone} {press.keys}")
        if (hang_up := self._hang_up.get(call.plan.number)) is not None:
            self._hang_up[call.plan.number] = max(hang_up, now + HEAR_TIME)  # also where we come to it late
        return [("pressed", call)]

    def _callee(self, plan: CallPlan) -> str | None:
        """The called telephone."""
        for row in self.phones.channels():
            other = row["dest"].removeprefix("talk-") if plan.outbound else row["cid_num"]
            if row["direction"] == "inbound" and other == plan.caller:
                return str(row["uuid"])
        return None

    def _take(self, event: dict[str, str]) -> tuple[str, CallSeen] | None:
        # Both legs of a call have the external party's number in the one place or the other.
        numbers = (event.get("Caller-Caller-ID-Number", ""), event.get("Caller-Destination-Number", ""))
        call = next((self._by_caller[each] for each in numbers if each in self._by_caller), None)
        if call is None:
            return None
        if not call.phases:
            call.ended = None  # given up with a switch that died, it came in at the next one all the same
        name, direction = event["Event-Name"], event.get("Call-Direction", "")
        at = int(event["Event-Date-Timestamp"]) / 1e6
        if name == "CUSTOM":
            code = event["Event-Subclass"].removeprefix("accord::")
            call.codes.append((code, at))
            call.phases[code] = at
            return code, call
        phase = (OUTBOUND if call.plan.outbound else PHASES).get((name, direction))
        outside = direction == ("outbound" if call.plan.outbound else "inbound")
        if outside or not call.uuid:  # before somebody is rung there is the colleague's leg alone
            call.uuid = event["Unique-ID"] if outside else ""
            call.state = event.get("variable_accord_state", call.state)
            call.left = event.get("variable_accord_left", call.left)
        if not phase:
            return None
        if phase == "bridged" and "transferred" in call.phases:
            phase = "joined"
        if phase == "bridged" and "bridged" not in call.phases:
            self._due += [(at + each.after, call, each) for each in call.plan.presses]
            if call.plan.transfer is not None:
                self._due.append((at + call.plan.transfer, call, None))
        call.phases.setdefault(phase, at)
        if phase == "placed":
            call.placed = at
        if phase in ("bridged", "joined") and call.plan.gives_up is None:
            self._hang_up[call.plan.number] = at + call.plan.talks
        if phase == "ended" and call.ended is None:
            call.ended = at
            self._hang_up.pop(call.plan.number, None)
        return phase, call

    def note_end(self, at: float) -> None:
        """Note that the switch was killed or told to end: its calls end with it."""
        if self._events is not None:
            for event in self._events.read():
                self._take(event)
        for call in self.calls.values():
            # A switch that is told to end hangs up in order.
            if call.ended is None or call.ended >= at - TICKS:
                call.cut, call.ended = True, call.ended or at
        self._hang_up.clear()
        self.phones.esl.command("bgapi hupall")

    @property
    def open(self) -> list[CallSeen]:
        """Live calls."""
        return [call for call in self.calls.values() if call.ended is None]

    def stop(self) -> None:
        """End the phones."""
        if self._events is not None:
            self._events.close()
        self.phones.stop()
