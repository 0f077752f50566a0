"""Transfers in a call of a plan, as its phones perform them."""

from __future__ import annotations

import asyncio

from tests.freeswitch.mixed.parties import CallParties
from tests.freeswitch.mixed.plan import EDGE, HELD_FIRST, RECORDED_OPENINGS, Act, Party
from tests.freeswitch.mixed.signals import STEPS
from tests.freeswitch.mixed.sip import Dialogue


class Transfers(CallParties):
    """:data:`~tests.freeswitch.mixed.plan.MOVES`, and to another number outside."""

    async def _move(self, act: Act) -> None:
        outside, before = self._two()
        to = self.call.colleagues[act.to]
        if act.action in HELD_FIRST:
            await self._put_on_hold(before, outside, act)
        else:
            self._say(outside, act.word)
        since = self.player.studio.now
        arrival = await getattr(self, f"_by_{act.action}")(before, to, act)
        self.inside = arrival
        self._say(arrival, EDGE)
        self._say(outside, EDGE)
        if self.call.notified and self.call.opening in RECORDED_OPENINGS:
            await self._wait_to_hear(arrival, "transfer_notice", STEPS - 1, since=since)
            await asyncio.sleep(0.6)
        await self._guard(2)
        before.bye()

    async def _put_on_hold(self, before: Dialogue, outside: Dialogue, act: Act) -> None:
        """Hold as phones do before a transfer: speech during it is heard by nobody."""
        self._say(before, None)
        await before.invite("sendonly")
        await self._guard(2)
        self._say(outside, act.word)
        await asyncio.sleep(act.seconds)
        self._say(outside, EDGE)
        await self._guard()

    async def _leg(self) -> str:
        return await self.player.channel(self.call.outside.number)

    async def _by_uuid_transfer(self, _before: Dialogue, to: Party, _act: Act) -> Dialogue:
        await self.player.commands.api(f"uuid_transfer {await self._leg()} {to.number} XML public")
        return await self._comes(to)

    async def _by_refer(self, before: Dialogue, to: Party, _act: Act) -> Dialogue:
        before.refer(to.number)
        return await self._comes(to)

    async def _by_replaces(self, before: Dialogue, to: Party, act: Act) -> Dialogue:
        consult = self._calls(before.party, to.number, self.player.rig.sip_port)
        invite = asyncio.create_task(consult.invite())
        self._invites.add(invite)
        arrival = await self._comes(to)
        await invite
        await self._consult(consult, arrival, act)
        before.refer(to.number, consult)
        await self.player.until("the colleague is out of it", consult.over.is_set, 10)
        return arrival

    async def _by_att_xfer(self, before: Dialogue, to: Party, act: Act) -> Dialogue:
        inside = await self.player.commands.api(f"uuid_getvar {await self._leg()} bridge_uuid")
        route = self.player.rig.environment["ACCORD_ROUTE"]
        await self.player.commands.api(
            f"uuid_broadcast {inside} att_xfer::sofia/accord/{to.number}@{route} aleg"
        )
        arrival = await self._comes(to)
        await self._consult(before, arrival, act)
        before.bye()
        return arrival

    async def _consult(self, one: Dialogue, other: Dialogue, act: Act) -> None:
        await self._guard(2)
        for dialogue in (one, other):
            self._say(dialogue, act.word)
        await asyncio.sleep(act.seconds)
        for dialogue in (one, other):
            self._say(dialogue, EDGE)
        await self._guard()

    async def _by_park(self, before: Dialogue, to: Party, act: Act) -> Dialogue:
        leg = await self._leg()
        await self.player.commands.api(f"uuid_transfer {leg} park inline")
        await self.player.until("the colleague is out of it", before.over.is_set, 10)
        await asyncio.sleep(act.seconds)
        return await self._picks_up(leg, to)

    async def _by_intercept(self, _before: Dialogue, to: Party, _act: Act) -> Dialogue:
        return await self._picks_up(await self._leg(), to)

    async def _picks_up(self, leg: str, to: Party) -> Dialogue:
        dialogue = self._calls(to, f"pick-{leg}", self.player.rig.sip_port)
        await dialogue.invite()
        return dialogue

    async def _to_external(self, act: Act) -> None:
        outside, before = self._two()
        assert self.call.other is not None
        self._say(outside, act.word)
        before.refer(self.call.other.number)
        self.inside = await self._comes(self.call.other)
        await self._guard(3)
        before.bye()
