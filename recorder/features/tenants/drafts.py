"""How somebody is about to set up a line, kept until it is switched on: nothing has to be entered twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.line import LineDraftTable, LineTable
from recorder.lifecycle.line_history import active_line
from recorder.prompts.sentences import SHORT, WORDINGS, Wording


@dataclass(frozen=True, slots=True)
class LineSettings:
    """What a line is to announce. ``languages``: the first one first; ``greeting_text`` is what the greeting
    says, word for word, in that language."""

    languages: tuple[str, ...]
    mode: str
    purposes: tuple[str, ...]
    keep_days: int
    wording: Wording = SHORT
    greeting_text: str = ""

    def to_data(self) -> dict[str, Any]:
        """The content of the column ``settings``."""
        return {
            "languages": list(self.languages),
            "mode": self.mode,
            "purposes": list(self.purposes),
            "keep_days": self.keep_days,
            "wording": self.wording,
            "greeting_text": self.greeting_text,
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> LineSettings:
        """Settings from that column; whatever a row says is checked again before it is used."""
        return cls(
            tuple(map(str, data["languages"])),
            str(data["mode"]),
            tuple(map(str, data["purposes"])),
            int(data["keep_days"]),
            next((each for each in WORDINGS if each == data["wording"]), SHORT),
            str(data["greeting_text"]),
        )


@dataclass(frozen=True, slots=True)
class LineDraft:
    """A line's draft: its settings, and the greeting's WAV."""

    settings: LineSettings
    greeting: bytes | None


def find_draft(tenant: str, line_id: str) -> LineDraft | None:
    """The draft of a tenant's line."""
    with connected():
        query = LineDraftTable.select().join(LineTable).where(active_line(tenant, line_id))
        row = query.first()
    if row is None:
        return None
    return LineDraft(LineSettings.of(row.settings), None if row.greeting is None else bytes(row.greeting))


def drafted_lines(tenant: str) -> frozenset[str]:
    """The ids of a tenant's lines that have a draft."""
    with connected():
        query = LineDraftTable.select(LineDraftTable.line).join(LineTable).where(LineTable.tenant == tenant)
        return frozenset(row.line_id for row in query)


def save_draft(tenant: str, line_id: str, draft: LineDraft, *, who: str, now: datetime) -> bool:
    """Keep a draft in place of the one before. False if the tenant has no such line."""
    with writing():
        if LineTable.get_or_none(active_line(tenant, line_id)) is None:
            return False
        LineDraftTable.delete().where(LineDraftTable.line == line_id).execute()
        LineDraftTable.insert(
            line=line_id,
            settings=draft.settings.to_data(),
            greeting=draft.greeting,
            changed_at=now,
            changed_by=who,
        ).execute()
    return True


def drop_draft(line_id: str) -> None:
    """Inside the caller's transaction: forget a line's draft."""
    LineDraftTable.delete().where(LineDraftTable.line == line_id).execute()
