"""The parties of one call of a plan: who speaks, who is called, and what they wait to hear."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.freeswitch.mixed.history import SENTENCES
from tests.freeswitch.mixed.plan import BRIEF, EDGE, Call, Party
from tests.freeswitch.mixed.signals import PARTIES, STEPS, Word
from tests.freeswitch.mixed.sip import Dialogue

if TYPE_CHECKING:
    from tests.freeswitch.mixed.player import Player

NEARLY = STEPS - 3
"""The step of a sentence at which it is nearly over."""


def step(name: str, number: int) -> int:
    """Return a sentence's step, as it is heard."""
    return Word(PARTIES + SENTENCES.index(name), number).code


class CallParties:
    """``live``: the external party is in the call; ``doing``: the current act."""

    def __init__(self, player: Player, call: Call) -> None:
        self.player = player
        self.call = call
        self.lasts = call.opening not in BRIEF
        self.is_over = False
        self.doing = "opening"
        self.outside: Dialogue | None = None
        self.inside: Dialogue | None = None
        self._dialogues: list[Dialogue] = []
        self._invites: set[asyncio.Task[None]] = set()

    @property
    def live(self) -> bool:
        return self.outside is not None and self.outside.leg is not None and not self.outside.over.is_set()

    def _two(self) -> tuple[Dialogue, Dialogue]:
        assert self.outside is not None
        assert self.inside is not None
        return self.outside, self.inside

    def _say(self, dialogue: Dialogue | None, word: int | None) -> None:
        if dialogue is not None and dialogue.leg is not None:
            dialogue.leg.word = None if word is None else Word(dialogue.party.who, word)

    def _edge(self) -> None:
        self._say(self.outside, EDGE)
        self._say(self.inside, EDGE)

    async def _guard(self, times: float = 1) -> None:
        await asyncio.sleep(self.player.guard * times)

    async def _wait_to_hear(
        self,
        dialogue: Dialogue,
        name: str,
        number: int = NEARLY,
        seconds: float = 20,
        since: float | None = None,
    ) -> None:
        """Wait until a phone has heard a sentence up to a step, from now on or from an earlier moment."""
        since, code = self.player.studio.now if since is None else since, step(name, number)
        leg = dialogue.sound
        await self.player.until(
            f"{dialogue.party.number} hears “{name}”",
            lambda: leg.last.get(code, -1.0) >= since or dialogue.over.is_set(), seconds,
        )  # fmt: skip
        dialogue.sound  # noqa: B018  it is still there

    def _calls(self, party: Party, what: str, port: int) -> Dialogue:
        dialogue = self.player.telephones.call(party, what, port)
        self._dialogues.append(dialogue)
        return dialogue

    async def _comes(self, party: Party) -> Dialogue:
        """Wait until a party is called, and answer."""
        dialogue = await self.player.arrives(party)
        self._dialogues.append(dialogue)
        await self.player.until(f"{party.number} answers", lambda: dialogue.leg, 10)
        self._say(dialogue, EDGE)
        return dialogue
