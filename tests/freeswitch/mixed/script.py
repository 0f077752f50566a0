"""One call of a plan, as its telephones do it: each thing once they have heard what must come before it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.freeswitch.mixed.history import SENTENCES
from tests.freeswitch.mixed.plan import (
    BRIEF,
    EDGE,
    KEEPS,
    KEPT,
    MOVES,
    OUTWARD,
    RINGING,
    TOGETHER,
    UNTOLD,
    Act,
    Call,
    Party,
)
from tests.freeswitch.mixed.signals import PARTIES, STEPS, Word
from tests.freeswitch.mixed.sip import CallError, Dialogue

if TYPE_CHECKING:
    from tests.freeswitch.mixed.player import Player

NEARLY = STEPS - 3
"""The step of a sentence at which it is nearly over."""

ANSWERS_IN_S = 0.5
"""So long before a colleague answers the outside party stops saying what nobody may keep of the ringing."""


def step(name: str, number: int) -> int:
    """A sentence's step, as it is heard."""
    return Word(PARTIES + SENTENCES.index(name), number).code


class Script:
    """``live`` while the outside party is in the call, ``doing`` what is being done."""

    def __init__(self, player: Player, call: Call) -> None:
        self.player = player
        self.call = call
        self.lasts = call.opening not in BRIEF
        self.done = False
        self.doing = "opening"
        self.outside: Dialogue | None = None
        self.inside: Dialogue | None = None
        self._dialogues: list[Dialogue] = []
        self._recorded = False
        self._waiting: set[asyncio.Task[None]] = set()

    @property
    def live(self) -> bool:
        return self.outside is not None and self.outside.leg is not None and not self.outside.over.is_set()

    async def play(self) -> None:
        await self._open()
        if not self.lasts:
            return
        self._edge()
        await self._guard(2)
        for act in self.call.acts:
            self.doing = f"{act.deed} {act.word}"
            if act.deed in MOVES:
                await self._move(act)
            elif act.deed in KEEPS:
                await self._keep(act.deed.removeprefix("keep_"))
            else:
                await getattr(self, f"_{act.deed}")(act)
            self._edge()
            await self._guard()
        self.doing = "waiting for the others"
        await asyncio.wait_for(self.player.together.wait(), 180)
        if not self.live:
            raise CallError("the call had ended by itself")

    async def hang_up(self) -> None:
        """The outside party first."""
        if self.outside is not None:
            self.outside.bye()
        await asyncio.sleep(1.0)
        for dialogue in self._dialogues:
            dialogue.bye()
        for task in self._waiting:
            task.cancel()

    # --- who says what

    def _say(self, dialogue: Dialogue | None, word: int | None) -> None:
        if dialogue is not None and dialogue.leg is not None:
            dialogue.leg.word = None if word is None else Word(dialogue.party.who, word)

    def _edge(self) -> None:
        self._say(self.outside, EDGE)
        self._say(self.inside, EDGE)

    async def _guard(self, times: float = 1) -> None:
        await asyncio.sleep(self.player.guard * times)

    async def _heard(self, dialogue: Dialogue, name: str, number: int = NEARLY, seconds: float = 20) -> None:
        """Until a telephone has heard a sentence up to a step, from now on."""
        since, code = self.player.studio.now, step(name, number)
        leg = dialogue.sound
        await self.player.until(
            f"{dialogue.party.number} hears “{name}”",
            lambda: leg.last.get(code, -1.0) >= since or dialogue.over.is_set(), seconds,
        )  # fmt: skip
        dialogue.sound  # noqa: B018  it is still there

    def _calls(self, party: Party, what: str, port: int) -> Dialogue:
        made = self.player.telephones.call(party, what, port)
        self._dialogues.append(made)
        return made

    async def _comes(self, party: Party) -> Dialogue:
        """Somebody is called, and answers."""
        came = await self.player.arrives(party)
        self._dialogues.append(came)
        await self.player.until(f"{party.number} answers", lambda: came.leg, 10)
        self._say(came, EDGE)
        return came

    # --- how it begins

    async def _open(self) -> None:
        call = self.call
        if call.opening in OUTWARD:
            await self._outward()
        elif call.opening in ("at_pickup", "nobodys"):
            await self._at_pickup()
        else:
            await self._before_ringing()

    async def _before_ringing(self) -> None:
        opening, ports = self.call.opening, self.player.rig
        self.outside = outside = self._calls(self.call.outside, self.call.line, ports.sip_port)
        await outside.invite()
        self._say(outside, UNTOLD)
        if opening == "hangs_up_told":
            await self._heard(outside, "told", 6)
            outside.bye()
            return
        if opening.startswith("opt_in"):
            await self._heard(outside, "question", STEPS - 1)
            await asyncio.sleep(0.4)
            if opening != "opt_in_silent":
                outside.sound.press("1" if opening == "opt_in_yes" else "2")
        if opening not in ("opt_in_no", "opt_in_silent"):
            await self._heard(outside, "told", STEPS - 1 if opening == "opt_out_refused" else NEARLY)
        if opening == "opt_out_refused":
            await asyncio.sleep(0.4)
            outside.sound.press("2")
        elif not opening.startswith("opt_in_") or opening == "opt_in_yes":
            self._say(outside, EDGE)
            await asyncio.sleep(0.6)
            self._say(outside, RINGING)
        await self._rings()

    async def _rings(self) -> None:
        """At the first colleague's, until they answer, or the outside party gives up."""
        assert self.outside is not None
        first = self.call.colleagues[0]
        came = await self.player.arrives(first)
        self._dialogues.append(came)
        if self.call.opening == "gives_up":
            await asyncio.sleep(0.3)
            self.outside.bye()
            return
        await asyncio.sleep(max(0.0, first.rings - ANSWERS_IN_S))
        self._say(self.outside, EDGE)
        await self.player.until(f"{first.number} answers", lambda: came.leg, 10)
        self.inside = came

    async def _at_pickup(self) -> None:
        self.outside = outside = self._calls(self.call.outside, self.call.line, self.player.rig.sip_port)
        calling = asyncio.create_task(outside.invite())
        self._waiting.add(calling)
        self.inside = await self._comes(self.call.colleagues[0])
        self._say(self.inside, UNTOLD)
        await calling
        self._say(outside, UNTOLD)
        if self.call.opening == "at_pickup":
            await self._both_told()

    async def _both_told(self) -> None:
        assert self.outside is not None
        assert self.inside is not None

        async def told(dialogue: Dialogue) -> None:
            await self._heard(dialogue, "told")
            self._say(dialogue, EDGE)

        await asyncio.gather(told(self.outside), told(self.inside))
        await asyncio.sleep(0.5)

    async def _outward(self) -> None:
        first, rig = self.call.colleagues[0], self.player.rig
        self.inside = inside = self._calls(first, self.call.outside.number, rig.out_port)
        calling = asyncio.create_task(inside.invite())
        self._waiting.add(calling)
        self.outside = outside = await self._comes(self.call.outside)
        self._say(outside, UNTOLD)
        if self.call.opening not in TOGETHER:
            await self._heard(outside, "told")
            self._say(outside, EDGE)
            await calling
            self._say(inside, EDGE)
            return
        await calling
        self._say(inside, UNTOLD)
        await self._both_told()

    # --- in between

    def _two(self) -> tuple[Dialogue, Dialogue]:
        assert self.outside is not None
        assert self.inside is not None
        return self.outside, self.inside

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

    async def _note(self, act: Act) -> None:
        await self._dials("*8")
        await self._guard()
        await self._both_say(act)

    async def _pause(self, act: Act) -> None:
        await self._dials("*6")
        await self._guard(2)
        await self._both_say(act)
        await self._guard()
        await self._dials("*7")
        await self._guard(2)

    async def _keep(self, answer: str) -> None:
        outside, inside = self._two()
        await self._dials("*5")
        await self._heard(inside, "keep_question", STEPS - 1)
        await asyncio.sleep(1.5)
        if answer != "none":
            outside.sound.press("1" if answer == "yes" else "2")
        verdict = {"yes": "agreed", "no": "keep_no", "none": "keep_none"}[answer]
        await self._heard(outside, verdict, STEPS - 1, 40)
        await asyncio.sleep(1.5)

    async def _delete(self, _act: Act) -> None:
        outside, inside = self._two()
        await self._dials("*9")
        await self._heard(inside, "delete_question", STEPS - 1)
        await asyncio.sleep(0.8)
        inside.sound.press("1")
        await self._heard(outside, "deleted", STEPS - 1)
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

    # --- somebody else comes

    async def _move(self, act: Act) -> None:
        outside, before = self._two()
        to = self.call.colleagues[act.to]
        self._say(outside, act.word)
        came = await getattr(self, f"_by_{act.deed}")(before, to, act)
        self.inside = came
        self._say(came, EDGE)
        self._say(outside, EDGE)
        if self.call.telling and self.call.opening in KEPT:
            await self._heard(came, "joining", STEPS - 1)
            await asyncio.sleep(0.6)
        await self._guard(2)
        before.bye()

    async def _leg(self) -> str:
        return await self.player.channel(self.call.outside.number)

    async def _by_uuid_transfer(self, _before: Dialogue, to: Party, _act: Act) -> Dialogue:
        await self.player.commands.api(f"uuid_transfer {await self._leg()} {to.number} XML public")
        return await self._comes(to)

    async def _by_refer(self, before: Dialogue, to: Party, _act: Act) -> Dialogue:
        before.refer(to.number)
        return await self._comes(to)

    async def _by_replaces(self, before: Dialogue, to: Party, act: Act) -> Dialogue:
        self._say(before, None)
        consult = self._calls(before.party, to.number, self.player.rig.sip_port)
        calling = asyncio.create_task(consult.invite())
        self._waiting.add(calling)
        came = await self._comes(to)
        await calling
        await self._consult(consult, came, act)
        before.refer(to.number, consult)
        await self.player.until("the colleague is out of it", consult.over.is_set, 10)
        return came

    async def _by_att_xfer(self, before: Dialogue, to: Party, act: Act) -> Dialogue:
        inside = await self.player.commands.api(f"uuid_getvar {await self._leg()} bridge_uuid")
        route = self.player.rig.environment["ACCORD_ROUTE"]
        await self.player.commands.api(
            f"uuid_broadcast {inside} att_xfer::sofia/accord/{to.number}@{route} aleg"
        )
        came = await self._comes(to)
        await self._consult(before, came, act)
        before.bye()
        return came

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
        came = self._calls(to, f"pick-{leg}", self.player.rig.sip_port)
        await came.invite()
        return came

    async def _to_outside(self, act: Act) -> None:
        outside, before = self._two()
        assert self.call.other is not None
        self._say(outside, act.word)
        before.refer(self.call.other.number)
        self.inside = await self._comes(self.call.other)
        await self._guard(3)
        before.bye()
