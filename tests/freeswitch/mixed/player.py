"""Plays a plan: all phones of all calls on one clock, and what each of them said and heard."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from recorder.errors import TakeError
from recorder.spool import layout
from tests.freeswitch.mixed.history import Telephone
from tests.freeswitch.mixed.media import HOST, TICK_S, Studio, as_runs
from tests.freeswitch.mixed.plan import Call, Party
from tests.freeswitch.mixed.script import Script
from tests.freeswitch.mixed.signals import Run
from tests.freeswitch.mixed.sip import CallError, Dialogue, Telephones
from tests.freeswitch.process import PATIENCE, real_time
from tests.freeswitch.switches import PASSWORD, Rig

LOOK_S = 0.2


class Commands:
    """The switch's event socket, for actions that no phone can perform, such as ``uuid_transfer``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, port: int) -> Commands:
        commands = cls(*await asyncio.open_connection(HOST, port))
        await commands._frame()
        await commands._ask(f"auth {PASSWORD}")
        return commands

    async def api(self, command: str) -> str:
        return (await self._ask(f"api {command}")).strip()

    async def _ask(self, text: str) -> str:
        async with self._lock:
            self._writer.write(f"{text}\n\n".encode())
            return await self._frame()

    async def _frame(self) -> str:
        head = (await self._reader.readuntil(b"\n\n")).decode("utf-8", "replace")
        length = re.search(r"Content-Length: (\d+)", head)
        body = await self._reader.readexactly(int(length[1])) if length else b""
        return body.decode("utf-8", "replace")

    def close(self) -> None:
        self._writer.close()


class Player:
    """Plays the calls. ``peak``: the maximum number of external legs in calls at once."""

    def __init__(self, rig: Rig, telephones: Telephones, calls: Sequence[Call], guard: float) -> None:
        self.rig = rig
        self.telephones = telephones
        self.studio = telephones.studio
        self.calls = calls
        self.guard = guard
        self.failed: dict[int, str] = {}
        self.peak = 0
        self.lived = 0.0
        self.together = asyncio.Event()
        self._arrived: dict[str, Dialogue] = {}
        self._channels: dict[str, str] = {}
        self._read: set[Path] = set()
        self._over = False
        telephones.parties = {party.number: party for call in calls for party in call.parties}
        telephones.on_call = self._answer_call

    async def play(self) -> None:
        with real_time():
            await self._play()

    async def _play(self) -> None:
        self.commands = await Commands.open(self.rig.switch.esl_port)
        gc.collect()
        gc.freeze()
        clock = asyncio.create_task(self._clock())
        self.scripts = [Script(self, call) for call in self.calls]
        watch = asyncio.create_task(self._watch())
        try:
            await asyncio.gather(*(self._one(script) for script in self.scripts))
            await asyncio.sleep(1)
        finally:
            self._over = True
            await clock
            await watch
            self.commands.close()
            gc.unfreeze()

    async def _one(self, script: Script) -> None:
        call = script.call
        await asyncio.sleep(max(0.0, call.begins - self.studio.now))
        try:
            await script.play()
        except (CallError, TimeoutError) as error:
            self.failed[call.number] = f"{script.doing}: {error}"
        finally:
            script.is_over = True
            await script.hang_up()

    async def _clock(self) -> None:
        tick = int(self.studio.now / TICK_S)
        while not self._over:
            tick += 1
            await asyncio.sleep(max(0.0, tick * TICK_S - self.studio.now))
            self.studio.tick(tick * TICK_S)

    async def _watch(self) -> None:
        long_scripts = [script for script in self.scripts if script.lasts]
        while not self._over:
            self._look()
            live = sum(script.live for script in long_scripts)
            self.peak = max(self.peak, live)
            self.lived += LOOK_S * (live == len(long_scripts))
            if all(script.live or script.is_over for script in long_scripts):
                self.together.set()
            await asyncio.sleep(LOOK_S)

    async def _answer_call(self, dialogue: Dialogue) -> None:
        self._arrived[dialogue.party.number] = dialogue
        await asyncio.sleep(dialogue.party.rings)

    async def arrives(self, party: Party, seconds: float = 20) -> Dialogue:
        """Handle a call that arrives at a party."""
        await self.until(f"it rings at {party.number}", lambda: party.number in self._arrived, seconds)
        return self._arrived.pop(party.number)

    async def until(self, what: str, check: Callable[[], object], seconds: float) -> None:
        end = self.studio.now + seconds * PATIENCE
        while not check():
            if self.studio.now > end:
                raise CallError(f"not within {seconds * PATIENCE} s: {what}")
            await asyncio.sleep(2 * TICK_S)

    async def channel(self, outside: str) -> str:
        """Return the channel of an external party's leg, as the daemon wrote it."""

        await self.until(f"the take of {outside} is there", lambda: outside in self._channels, 10)
        return self._channels[outside]

    async def variable(self, outside: str, name: str, value: str) -> None:
        """Wait until a variable of an external party's leg has a value on the switch."""
        command = f"uuid_getvar {await self.channel(outside)} {name}"
        end = self.studio.now + 10 * PATIENCE
        while await self.commands.api(command) != value:
            if self.studio.now > end:
                raise CallError(f"{name} is not {value}")
            await asyncio.sleep(2 * TICK_S)

    def _look(self) -> None:
        for path in self.rig.spool.glob(f"*/{layout.CALL}"):
            if path.parent in self._read:
                continue
            self._read.add(path.parent)
            with contextlib.suppress(TakeError):  # stored meanwhile
                start = layout.read_start(path.parent)
                self._channels[start.external_party.value.removeprefix("+")] = start.channel

    def telephones_by_party(self) -> dict[int, Telephone]:
        """Return what each phone said and heard, over all its calls."""
        spoken_runs: dict[int, list[Run]] = defaultdict(list)
        heard_runs: dict[int, list[Run]] = defaultdict(list)
        tones: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for leg in self.telephones.legs:
            spoken_runs[leg.who] += as_runs(leg.speech, 1)
            heard_runs[leg.who] += as_runs(leg.ear)
            for tone, frames in leg.tones.items():
                tones[leg.who][tone] += frames
        whose = {party.who for call in self.calls for party in call.parties}
        by_time = {who: sorted(heard_runs[who], key=lambda run: run.begin) for who in whose}
        return {
            who: Telephone(
                tuple(sorted(spoken_runs[who], key=lambda run: run.begin)),
                tuple(by_time[who]),
                dict(tones[who]),
            )
            for who in whose
        }


async def telephones(studio: Studio) -> Telephones:
    """Run the phones on a port of their own."""
    all_telephones = Telephones(studio)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: all_telephones, local_addr=(HOST, 0))
    return all_telephones
