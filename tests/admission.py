"""Admission for tests of later steps: every peer counts as the switch, whatever it answers."""

from __future__ import annotations

from collections.abc import Mapping

from recorder.switch import commands
from recorder.switch.commands import SwitchCommand

ANSWER = b"Content-Type: api/response\nContent-Length: 2\n\nUP"
"""A switch's answer to the question."""


class OpenAdmission:
    """Admits every peer; lists the reasons of refused connections."""

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
