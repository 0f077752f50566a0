"""A client that carries out :mod:`tests.scenarios.mechanics` and records the messages of both sides."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.scenarios.definitions import Expected, Scenario
from tests.scenarios.driver import Call, Driver
from tests.scenarios.mechanics import Mechanic, Step
from tests.scenarios.transcript import Block, message

EVENTS = (
    "CHANNEL_EXECUTE_COMPLETE CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_HOLD CHANNEL_UNHOLD "
    "CHANNEL_HANGUP_COMPLETE CHANNEL_DESTROY PLAYBACK_START PLAYBACK_STOP DTMF CUSTOM accord::keep"
)

CALL = Scenario("by hand", Expected(None), daemon=False)
RINGS = replace(CALL, line="opt_out", callee="slow")

LONGEST = 30.0
"""The time limit of each step in seconds."""


class Wire:
    """One connection of the event socket, read in a thread; ``name`` is ``standing`` or ``call``."""

    def __init__(self, name: str, connection: socket.socket, blocks: list[tuple[str, bytes]]) -> None:
        self._name = name
        self._socket = connection
        self._socket.settimeout(None)
        self._wire_log = blocks
        self.received_blocks: list[Block] = []
        """The switch's messages so far."""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while data := self._socket.recv(65536):
                self._wire_log.append((f"switch {self._name}", data))
                rest += data
                while (cut := message(rest)) is not None:
                    text, rest = cut
                    self.received_blocks.append(
                        Block(f"switch {self._name}", text.decode("utf-8", "surrogateescape"))
                    )

    def say(self, text: str) -> None:
        """Send a command."""
        data = text.encode() + b"\n\n"
        self._wire_log.append((f"daemon {self._name}", data))
        self._socket.sendall(data)

    def replies(self) -> int:
        """How many commands have been answered."""
        return sum(not block.event or "Reply-Text" in block.headers() for block in self.received_blocks)

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class ManualClient:
    """Plays one mechanic.  ``event_port`` and ``password`` are the switch's, ``call_port`` is where it
    brings its calls."""

    def __init__(self, driver: Driver, event_port: int, call_port: int, password: str,
                 sounds: dict[str, Path]) -> None:  # fmt: skip
        self.wire_log: list[tuple[str, bytes]] = []
        self._driver = driver
        self._sounds = sounds
        self._server = socket.create_server(("127.0.0.1", call_port))
        self._arrived: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        connection = socket.create_connection(("127.0.0.1", event_port))
        self._standing_wire = Wire("standing", connection, self.wire_log)
        self._until("asked to log in", lambda: self._standing_wire.replies() == 1)
        self._ask(self._standing_wire, f"auth {password}")
        self._ask(self._standing_wire, f"event plain {EVENTS}")

    def play(self, mechanic: Mechanic) -> None:
        """Make the call and carry out every step.  Raises ``AssertionError`` at a timeout."""
        call = self._driver.place(RINGS if mechanic.rings else CALL)
        self._until("the call came", lambda: self._arrived)
        self._own = Wire("call", self._arrived[0], self.wire_log)
        self._ask(self._own, "connect")
        self._ask(self._own, "myevents")
        self._legs: list[str] = []
        for step in mechanic.steps:
            self._do(step, call)
        self._until("both legs are gone", lambda: self._count("CHANNEL_DESTROY") == 2)

    def close(self) -> None:
        """End the connections."""
        self._server.shutdown(socket.SHUT_RDWR)  # otherwise the thread in accept() keeps the port
        self._server.close()
        self._standing_wire.close()

    # --- steps

    def _do(self, step: Step, call: Call) -> None:
        match step.action:
            case "play":
                self._execute("playback", str(self._sounds[step.what]))
                self._until("it is played", lambda: self._count("PLAYBACK_START"))
            case "cancel_key":
                self._execute("set", f"origination_cancel_key={step.what}")
            case "let_ring":
                self._own.close()
                assert call.wait("ringing", LONGEST)
            case "dial":
                call.press(step.what)
            case "let_go":
                self._own.close()
                self._until("they are connected", lambda: self._count("CHANNEL_BRIDGE"))
                (bridge,) = [
                    block for block in self._standing_wire.received_blocks if block.event == "CHANNEL_BRIDGE"
                ]
                self._legs = [bridge.headers()[f"Bridge-{leg}-Unique-ID"] for leg in "AB"]
                self._driver.sleep(1.0)  # the phones list their calls a second late
            case "broadcast":
                leg = self._legs[0]
                target = f"${{cond(${{uuid_getvar({leg} accord_state)}} == {step.in_state} ? {leg} : none)}}"
                self._api(f"expand uuid_broadcast {target} 'playback::{self._sounds[step.what]}' both")
            case "terminators":
                for leg in self._legs:
                    self._api(f"uuid_setvar {leg} playback_terminators {step.what}")
            case "terminators_by_broadcast":
                self._api(f"uuid_broadcast {self._legs[0]} set::playback_terminators={step.what} both")
            case "clear":
                self._api(f"uuid_broadcast {self._legs[0]} clear_digit_action::{step.what} aleg")
            case "until":
                self._until(f"{step.count} {step.what}", lambda: self._count(step.what) >= step.count)
            case "press" | "callee_presses":
                before = self._pressed()
                getattr(call, step.action)(step.what)
                self._until("keys came", lambda: self._pressed() == before + len(step.what))
            case _:
                getattr(call, step.action)()

    def _execute(self, application: str, argument: str) -> None:
        self._ask(
            self._own,
            f"sendmsg\ncall-command: execute\nexecute-app-name: {application}\n"
            f"execute-app-arg: {argument}\nevent-lock: true",
        )

    def _api(self, command: str) -> None:
        self._ask(self._standing_wire, f"api {command}")

    def _ask(self, wire: Wire, text: str) -> None:
        before = wire.replies()
        wire.say(text)
        self._until(f"an answer to {text}", lambda: wire.replies() > before)

    def _count(self, name: str) -> int:
        """Events of a name; ``PLAYBACK_MISSED`` are sounds that were not found, ``CLEARED`` codes."""
        blocks = self._standing_wire.received_blocks
        if name == "CLEARED":
            return sum(block.headers().get("Application") == "clear_digit_action" for block in blocks)
        if name == "PLAYBACK_MISSED":
            return sum("Application-Response: FILE%20NOT%20FOUND" in block.text for block in blocks)
        return sum(block.event == name for block in blocks)

    def _pressed(self) -> int:
        return sum(
            block.headers().get("DTMF-Source") == "RTP" for block in self._standing_wire.received_blocks
        )

    def _until(self, what: str, check: Callable[[], object]) -> None:
        self._driver.until(what, check, LONGEST)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._arrived.append(self._server.accept()[0])
