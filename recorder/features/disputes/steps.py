"""What happened in a dispute, in words (``steps.toml``): the same on pages and in mails."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Final

from recorder.domain.roles import SUPPORT
from recorder.features.disputes.rules import Dispute
from recorder.seal.dispute_kinds import (
    DisputeClosed,
    DisputeData,
    ErasureOrdered,
    GuestAgreed,
    GuestAnswered,
    GuestEnded,
    GuestEntered,
    GuestInvited,
    GuestVerified,
    OutcomeConfirmed,
    Rescheduled,
    TimeChosen,
)
from recorder.seal.dispute_statement import DisputeStatement

SOMEBODY: Final = "somebody"
"""Stands for a name that is not known."""


@dataclass(frozen=True, slots=True)
class StepWriter:
    """Writes steps in a ``language``; ``date`` and ``moment`` write a day and a time as its reader has
    them."""

    language: str
    date: Callable[[date], str]
    moment: Callable[[datetime], str]

    def write(self, statement: DisputeStatement, names: Mapping[str, str], *, renewed: bool = False) -> str:
        """What happened. ``names`` are those of the dispute's people by id; ``renewed``: an invitation was
        sent again."""
        data, somebody = statement.data, _words(SOMEBODY, self.language)
        people = {
            "who": names.get(statement.by.id or "") or somebody,
            "whom": names.get(getattr(data, "guest", "")) or somebody,
        }
        special = f"{statement.kind} {_variant(data, renewed)}"
        code = special if special in load_steps() else statement.kind
        return _words(code, self.language) % {**people, **self._values(data)}

    def _values(self, data: DisputeData) -> dict[str, str]:
        """What the sentence about a statement names beside people."""
        if isinstance(data, Rescheduled):
            return {"date": self.date(data.settle_by)}
        if isinstance(data, TimeChosen):
            return {"time": self.moment(data.time)}
        if isinstance(data, ErasureOrdered):
            return {"authority": data.authority, "reference": data.reference}
        return {"who": data.name, "reason": data.reason} if isinstance(data, GuestEntered) else {}


def is_renewal(dispute: Dispute, statement: DisputeStatement) -> bool:
    """Whether a statement sends an invitation again."""
    data = statement.data
    return isinstance(data, GuestInvited) and any(
        isinstance(each.data, GuestInvited) and each.data.guest == data.guest
        for each in dispute.statements[: statement.number - 1]
    )


def _variant(data: DisputeData, renewed: bool) -> str:
    """Which of the sentences about a kind of statement."""
    if isinstance(data, GuestInvited):
        if data.role == SUPPORT:
            return SUPPORT
        return "renewed" if renewed else "link" if data.address is None else "mail"
    if isinstance(data, GuestAnswered | GuestAgreed):
        return data.answer
    if isinstance(data, OutcomeConfirmed):
        return data.how or ""
    return data.how if isinstance(data, GuestVerified | GuestEnded | DisputeClosed) else ""


def _words(code: str, language: str) -> str:
    words = load_steps()[code]
    return words.get(language) or words["en"]


@cache
def load_steps() -> Mapping[str, Mapping[str, str]]:
    """The sentences, by kind of statement (with what it says, where that has its own) and language."""
    return tomllib.loads(Path(__file__).with_name("steps.toml").read_text("utf-8"))
