"""One call of a plan, as its phones perform it: each act once they have heard its cue."""

from __future__ import annotations

import asyncio

from tests.freeswitch.mixed.openings import Openings
from tests.freeswitch.mixed.plan import EDGE, FIRST, KEEPS, MOVES, Act
from tests.freeswitch.mixed.signals import STEPS
from tests.freeswitch.mixed.sip import CallError, Dialogue
from tests.freeswitch.mixed.transfers import Transfers


class Script(Openings, Transfers):
    """A complete call."""

    async def play(self) -> None:
        await self._open()
        if not self.lasts:
            return
        self._edge()
        await self._guard(2)
        for act in self.call.acts:
            self.doing = f"{act.action} {act.word}"
            if act.action in MOVES:
                await self._move(act)
            elif act.action in KEEPS:
                await self._keep(act.action.removeprefix("keep_"))
            else:
                await getattr(self, f"_{act.action}")(act)
            self._edge()
            await self._guard()
            if self.call.opening == "opt_out" and act.word == FIRST:
                await self._no_longer_refusable()
        self.doing = "waiting for the others"
        await asyncio.wait_for(self.player.together.wait(), 180)
        await asyncio.sleep(self.call.begins / 5)  # as many at once as came
        if not self.live:
            raise CallError("the call had ended by itself")

    async def hang_up(self) -> None:
        """Hang up, the external party first."""
        if self.outside is not None:
            self.outside.bye()
        await asyncio.sleep(1.0)
        for dialogue in self._dialogues:
            dialogue.bye()
        for task in self._invites:
            task.cancel()

    async def _both_say(self, act: Act) -> None:
        for dialogue in self._two():
            dialogue.sound  # noqa: B018  they are there
            self._say(dialogue, act.word)
        await asyncio.sleep(act.seconds)
        self._edge()

    async def _talk(self, act: Act) -> None:
        await self._both_say(act)

    async def _dials(self, keys: str) -> None:
        _, inside = self._two()
        inside.sound.press(keys)
        await self.player.until("the keys are pressed", lambda: not inside.sound.presses, 10)

    async def _mark(self, act: Act) -> None:
        await self._dials("*8")
        await self._guard()
        await self._both_say(act)

    async def _pause(self, act: Act) -> None:
        await self._dials("*6")
        await self._paused("true")
        await self._guard(2)
        await self._both_say(act)
        await self._guard()
        await self._dials("*7")
        await self._paused("_undef_")
        await self._guard(2)

    async def _paused(self, value: str) -> None:
        await self.player.variable(self.call.outside.number, "accord_paused", value)

    async def _keep(self, answer: str) -> None:
        outside, inside = self._two()
        await self._dials("*5")
        await self._wait_to_hear(inside, "keep_question", STEPS - 1)
        await asyncio.sleep(1.5)
        if answer != "none":
            outside.sound.press("1" if answer == "yes" else "2")
        verdict = {"yes": "keep_yes", "no": "keep_no", "none": "keep_none"}[answer]
        await self._wait_to_hear(outside, verdict, STEPS - 1, 40)
        await asyncio.sleep(1.5)

    async def _delete(self, _act: Act) -> None:
        outside, inside = self._two()
        await self._dials("*9")
        await self._wait_to_hear(inside, "delete_question", STEPS - 1)
        await asyncio.sleep(0.8)
        inside.sound.press("1")
        await self._wait_to_hear(outside, "deleted", STEPS - 1)
        await asyncio.sleep(0.8)

    async def _colleague_holds(self, act: Act) -> None:
        outside, inside = self._two()
        await self._on_hold(inside, outside, act)

    async def _outside_holds(self, act: Act) -> None:
        outside, inside = self._two()
        await self._on_hold(outside, inside, act)

    async def _on_hold(self, holds: Dialogue, waits: Dialogue, act: Act) -> None:
        self._say(holds, None)
        await holds.invite("sendonly")
        await self._guard(2)
        self._say(waits, act.word)
        await asyncio.sleep(act.seconds)
        self._say(waits, EDGE)
        await self._guard()
        await holds.invite()
        self._say(holds, EDGE)
        await self._guard(2)
