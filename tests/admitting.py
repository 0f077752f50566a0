"""Admission for tests of what comes after it: everybody is the switch, whatever they answer."""

from __future__ import annotations

from collections.abc import Mapping

from recorder.switch import commands
from recorder.switch.commands import SwitchCommand

ANSWER = b"Content-Type: api/response\nContent-Length: 2\n\nUP"
"""What is answered to its question."""


class Everybody:
    """Keeps why connections were refused that nothing is known of."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    @property
    def question(self) -> SwitchCommand:
        return commands.status()

    def is_stranger(self, owner: int | None) -> bool:
        return False

    def admit(self, data: Mapping[str, str], answer: str, owner: int | None) -> Mapping[str, str]:
        return data

    def refuse(self, why: str, owner: int | None) -> None:
        self.refused.append(why)
