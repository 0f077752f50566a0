"""The calls that people wrote about, or look after: found by a note's text, a label or a colleague's name."""

from __future__ import annotations

from typing import Final

from recorder.catalogue.database import connected
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.note import NoteTable
from recorder.domain.names import fold_name
from recorder.seal.amendment_kinds import HOLD_SET

READ: Final = 10_000
"""Notes and labels that a search reads, latest first: no index knows their words without case and accents."""

FOUND: Final = 1000
"""Calls that a search takes from them, latest first."""


def annotated_calls(tenant: str, text: str) -> tuple[str, ...]:
    """The ids of a tenant's recordings with a text (:func:`fold_name`) in a note or a label, in the
    name of the colleague who wrote it, or in the name of a colleague whom they are kept for."""
    with connected():
        users = UserTable.select(UserTable.id, UserTable.name).where(UserTable.tenant == tenant)
        people = {row.id for row in users if text in fold_name(row.name)}
        found = {*_calls_with_notes(tenant, text, people), *_calls_on_hold(tenant, people)}
    return tuple(sorted(found, reverse=True)[:FOUND])


def _calls_with_notes(tenant: str, text: str, people: set[str]) -> list[str]:
    mine = (NoteTable.tenant == tenant) & NoteTable.deleted_at.is_null()
    columns = NoteTable.select(NoteTable.recording, NoteTable.user, NoteTable.text)
    latest = columns.where(mine).order_by(NoteTable.id.desc()).limit(READ)
    return [row.recording_id for row in latest if row.user_id in people or text in fold_name(row.text)]


def _calls_on_hold(tenant: str, people: set[str]) -> list[str]:
    holds = (AmendmentTable.kind == HOLD_SET) & AmendmentTable.ended_by.is_null()
    columns = AmendmentTable.select(AmendmentTable.recording, AmendmentTable.data)
    rows = columns.where((AmendmentTable.tenant == tenant) & holds).limit(READ)
    return [row.recording_id for row in rows if row.data.get("owner") in people] if people else []
