"""The beginning of a call of a plan, as its phones perform it."""

from __future__ import annotations

import asyncio

from tests.freeswitch.mixed.parties import NEARLY, CallParties
from tests.freeswitch.mixed.plan import EDGE, OUTBOUND, RINGING, TOGETHER, UNANNOUNCED
from tests.freeswitch.mixed.signals import STEPS
from tests.freeswitch.mixed.sip import Dialogue

ANSWERS_IN_S = 0.5
"""So long before a colleague answers the external party stops saying what nobody may keep of the ringing."""


class Openings(CallParties):
    """:attr:`~tests.freeswitch.mixed.plan.Call.opening`."""

    async def _open(self) -> None:
        call = self.call
        if call.opening in OUTBOUND:
            await self._outward()
        elif call.opening in ("at_pickup", "no_line"):
            await self._at_pickup()
        else:
            await self._before_ringing()

    async def _before_ringing(self) -> None:
        kind, ports = self.call.opening, self.player.rig
        self.outside = outside = self._calls(self.call.outside, self.call.line, ports.sip_port)
        await outside.invite()
        self._say(outside, UNANNOUNCED)
        if kind == "hangs_up_early":
            await self._wait_to_hear(outside, "announcement", 6)
            outside.bye()
            return
        if kind.startswith("opt_in"):
            await self._wait_to_hear(outside, "question", STEPS - 1)
            await asyncio.sleep(0.4)
            if kind != "opt_in_silent":
                outside.sound.press("1" if kind == "opt_in_yes" else "2")
        if kind not in ("opt_in_no", "opt_in_silent"):
            await self._wait_to_hear(
                outside, "announcement", STEPS - 1 if kind == "opt_out_refused" else NEARLY
            )
        since = self.player.studio.now
        if kind == "opt_out_refused":
            await asyncio.sleep(0.4)
            outside.sound.press("2")
        elif not kind.startswith("opt_in_") or kind == "opt_in_yes":
            self._say(outside, EDGE)
            await asyncio.sleep(0.6)
            self._say(outside, RINGING)
        await self._rings()
        if kind == "opt_out_refused":
            # It is mixed into what they hear: as long as the colleague is silent, it can be recognised.
            await self._wait_to_hear(outside, "declined", STEPS - 1, since=since)
            await asyncio.sleep(0.4)

    async def _rings(self) -> None:
        """Ring at the first internal phone until it answers, or the external party gives up."""
        assert self.outside is not None
        first = self.call.colleagues[0]
        dialogue = await self.player.arrives(first)
        self._dialogues.append(dialogue)
        if self.call.opening == "gives_up":
            await asyncio.sleep(0.3)
            self.outside.bye()
            return
        await asyncio.sleep(max(0.0, first.rings - ANSWERS_IN_S))
        self._say(self.outside, EDGE)
        await self.player.until(f"{first.number} answers", lambda: dialogue.leg, 10)
        self.inside = dialogue

    async def _no_longer_refusable(self) -> None:
        """Wait until a call that they talk in already can no longer be refused: until then codes have no
        effect."""
        await self.player.variable(self.call.outside.number, "accord_state", "announced")

    async def _at_pickup(self) -> None:
        self.outside = outside = self._calls(self.call.outside, self.call.line, self.player.rig.sip_port)
        invite = asyncio.create_task(outside.invite())
        self._invites.add(invite)
        self.inside = await self._comes(self.call.colleagues[0])
        self._say(self.inside, UNANNOUNCED)
        await invite
        self._say(outside, UNANNOUNCED)
        if self.call.opening == "at_pickup":
            await self._announce_to_both()

    async def _announce_to_both(self) -> None:
        assert self.outside is not None
        assert self.inside is not None

        async def hear(dialogue: Dialogue) -> None:
            await self._wait_to_hear(dialogue, "announcement")
            self._say(dialogue, EDGE)

        await asyncio.gather(hear(self.outside), hear(self.inside))
        await asyncio.sleep(0.5)

    async def _outward(self) -> None:
        first, rig = self.call.colleagues[0], self.player.rig
        self.inside = inside = self._calls(first, self.call.outside.number, rig.out_port)
        invite = asyncio.create_task(inside.invite())
        self._invites.add(invite)
        self.outside = outside = await self._comes(self.call.outside)
        self._say(outside, UNANNOUNCED)
        if self.call.opening not in TOGETHER:
            await self._wait_to_hear(outside, "announcement")
            self._say(outside, EDGE)
            await invite
            self._say(inside, EDGE)
            return
        await invite
        self._say(inside, UNANNOUNCED)
        await self._announce_to_both()
